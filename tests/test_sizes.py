"""How large things may be: beyond that they say why, in a comment ``# large: ...`` beside them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import colorpipe

CORE = Path(colorpipe.__file__).parent
MODULE, FUNCTION, PARAMETERS = 400, 60, 8


def functions(text: str) -> Iterator[tuple[str, int, int, bool]]:
    """Name, lines, parameters, and whether a reason stands above or within the signature."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in named)
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            beside = lines[max(0, first - 2) : node.body[0].lineno - 1]
            yield (
                node.name,
                (node.end_lineno or 0) - node.lineno + 1,
                count,
                any("# large: " in line for line in beside),
            )


def too_large(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    if text.count("\n") > MODULE and "# large: " not in text[:2000]:
        yield f"{path}: {text.count(chr(10))} lines"
    for name, length, parameters, reasoned in functions(text):
        if not reasoned and (length > FUNCTION or parameters > PARAMETERS):
            yield f"{path}: {name} has {length} lines and {parameters} parameters"


def test_modules_and_functions_are_small_or_say_why() -> None:
    assert [line for path in sorted(CORE.rglob("*.py")) for line in too_large(path)] == []


def test_what_is_too_large_is_found(tmp_path: Path) -> None:
    long = "def long(a):\n" + "    a += 1\n" * FUNCTION
    wide = "def wide(a, b, c, d, e, f, g, h, *, i): ...\n"
    file = tmp_path / "made.py"
    file.write_text(f"{long}\n\n{wide}")
    assert [line.partition(": ")[2] for line in too_large(file)] == [
        "long has 61 lines and 1 parameters",
        "wide has 1 lines and 9 parameters",
    ]
    file.write_text(f"# large: one table\n{long}\n\ndef wide(  # large: a public call\n" + wide[9:])
    assert list(too_large(file)) == []
    file.write_text("a = 1\n" * (MODULE + 1))
    assert [line.partition(": ")[2] for line in too_large(file)] == ["401 lines"]
