"""The public API: named in one place, kept, and found by tools although it is imported lazily."""

from __future__ import annotations

import ast
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import colorpipe
from tests import make_public_api

ROOT = Path(__file__).parents[1]


def test_public_names_and_signatures_are_those_on_the_list() -> None:
    stored = make_public_api.FILE.read_text("utf-8")
    assert make_public_api.text() == stored, "run python -m tests.make_public_api, and read what it says on top"


def test_the_list_would_show_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def colorize(source: str) -> None: ...

    monkeypatch.setattr(colorpipe, "colorize", colorize)
    changed = set(make_public_api.text().splitlines()) - set(make_public_api.FILE.read_text("utf-8").splitlines())
    assert changed == {"def colorpipe.colorize(source: str) -> None"}


def test_completion_and_help_show_the_public_names() -> None:
    assert set(colorpipe.__all__) <= set(dir(colorpipe))
    assert {"color", "testing", "training", "verification"} <= set(dir(colorpipe))
    shown = pydoc.plain(pydoc.render_doc(colorpipe))
    for name in ("class Session(", "class Colorizer(", "colorize(", "option("):
        assert name in shown


def test_looking_costs_nothing() -> None:
    code = (
        "import sys, colorpipe; dir(colorpipe); colorpipe.testing; colorpipe.Colorizer; colorpipe.training.Task; "
        "sys.exit(','.join({'torch', 'numpy', 'cv2', 'av', 'lightning'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'colorpipe' has no attribute 'colorise'"):
        colorpipe.colorise  # type: ignore[attr-defined]  # noqa: B018


def test_the_types_name_what_is_imported() -> None:
    """The names that a type checker sees, and those that are there, are written down twice."""
    tree = ast.parse((ROOT / "colorpipe" / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == colorpipe._HOME


def imports(file: Path) -> set[str]:
    """What a file takes from colorpipe: ``colorpipe.NAME`` and ``colorpipe.PACKAGE.NAME``."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("colorpipe.")}


@pytest.mark.parametrize("plugin", sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py")))
def test_our_plugins_use_only_what_others_can(plugin: str) -> None:
    public = {f"colorpipe.{name}" for name in (*colorpipe.__all__, *colorpipe.PUBLIC)}
    public |= {f"colorpipe.{package}.{name}" for package, names in colorpipe.PUBLIC.items() for name in names}
    for file in (ROOT / "plugins" / plugin).rglob("*.py"):
        assert imports(file) <= public, file


def test_every_public_package_has_its_names() -> None:
    for package, names in colorpipe.PUBLIC.items():
        for name in names:
            assert getattr(getattr(colorpipe, package), name) is not None, f"{package}.{name}"
