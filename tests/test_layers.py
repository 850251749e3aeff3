"""The drawing of imports: no circle, no arrow that runs up, nothing that a package does not declare.

Every ``import`` counts: at the top of a module, inside a function, and under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import colorpipe

CORE = Path(colorpipe.__file__).parent
GROUND = ("_version", "errors", "types", "options", "files", "settings")
"""Modules without a package, each may import those before it."""
PACKAGES = (
    "pages", "color", "weights", "media", "plugins", "inference", "guidance", "temporal", "pipeline", "training",
    "batch", "review", "evaluation", "verification", "testing", "web", "cli",
)  # fmt: skip
"""Lowest first: an import goes to the left."""


def modules(root: Path) -> dict[str, Path]:
    """Dotted names without ``colorpipe.``, and their files."""
    files = {path.relative_to(root).with_suffix("").parts: path for path in sorted(root.rglob("*.py"))}
    return {".".join(part for part in parts if part != "__init__"): path for parts, path in files.items()}


@lru_cache
def arrows(root: Path) -> Mapping[str, frozenset[str]]:
    """Module -> the modules that it imports."""
    known = modules(root)
    found: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: write imports out, from colorpipe on"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for target in (
                re.sub(r"^colorpipe\.?", "", dotted) for dotted in names if re.match(r"colorpipe\b", dotted)
            ):
                found[name].add(target if target in known else target.rpartition(".")[0])
    return {name: frozenset(targets - {name}) for name, targets in found.items()}


def circles(graph: Mapping[str, frozenset[str]]) -> list[str]:
    """What is left when modules that import nothing left are taken away, again and again."""
    left = dict(graph)
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    while tops := [name for name in left if not any(name in targets for targets in left.values())]:
        for name in tops:  # they import a circle and are in none
            del left[name]
    return sorted(left)


def upward(graph: Mapping[str, frozenset[str]]) -> list[str]:
    """Arrows from a package, or ground module, to one that stands to its right. The door, ``colorpipe`` itself, is for
    others: no module within imports it."""
    rank = {name: place for place, name in enumerate((*GROUND, *PACKAGES, "__main__", ""))}
    return [
        f"{name} imports {target or 'colorpipe'}"
        for name, targets in graph.items()
        for target in sorted(targets)
        if rank[target.partition(".")[0]] > rank[name.partition(".")[0]]
    ]


def undeclared(root: Path, graph: Mapping[str, frozenset[str]]) -> list[str]:
    """Imports of packages that the importing package's docstring does not name."""
    found = []
    for package in PACKAGES[:-1]:
        told = ast.get_docstring(ast.parse((root / package / "__init__.py").read_text("utf-8"))) or ""
        declared = re.search(r"^May import: ([a-z, ]+)\.$", told, re.MULTILINE)
        assert declared, f"colorpipe/{package}/__init__.py does not say `May import: ...`"
        allowed = {package, *declared[1].split(", ")}
        for name, targets in graph.items():
            if name.partition(".")[0] == package:
                for home in {target.partition(".")[0] for target in targets}:
                    if ("ground" if home in GROUND else home) not in allowed:
                        found.append(f"{name} imports {home}, which colorpipe/{package}/__init__.py does not declare")
    return found


def test_every_module_has_its_place() -> None:
    assert {name.partition(".")[0] for name in modules(CORE)} == {*GROUND, *PACKAGES, "__main__", ""}


def test_no_circle() -> None:
    assert circles(arrows(CORE)) == []


def test_nothing_imports_upwards() -> None:
    assert upward(arrows(CORE)) == []


def test_packages_import_what_they_declare() -> None:
    assert undeclared(CORE, arrows(CORE)) == []


def test_a_bad_import_is_found(tmp_path: Path) -> None:
    """Of a copy: the tests above are worth something only if they fail."""
    root = tmp_path / "colorpipe"
    for name, path in modules(CORE).items():
        copy = root / path.relative_to(CORE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8")
        if name == "color.spaces":
            text += "\n\ndef late() -> None:\n    from colorpipe.temporal import fill\n"
        copy.write_text(text, "utf-8")
    graph = arrows(root)
    assert "color.spaces imports temporal.fill" in upward(graph)
    assert {"color.spaces", "temporal.fill"} <= set(circles(graph))
    assert any(line.startswith("color.spaces imports temporal") for line in undeclared(root, graph))
