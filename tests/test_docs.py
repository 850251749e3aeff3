"""What the documents say is so: commands parse, links lead somewhere, every plugin and hook is told of."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import colorpipe
from colorpipe.cli.app import main
from colorpipe.plugins import hookspecs
from colorpipe.plugins.host import PluginHost

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs", "plugins", "samples")
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("plugins/*/*.md"))
    if ".pytest" not in str(path)
)
README = (ROOT / "README.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every call of colorpipe in a fenced block of any document, without its comment."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        for block in [*blocks(text, "sh"), *blocks(text, "console"), *blocks(text, "")]:
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                found += [part.strip() for part in line.split("&&") if part.strip().startswith("colorpipe ")]
    return sorted({command.partition("#")[0].strip() for command in found})


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_documents_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    assert main([*words, "--help"]) == 0, capsys.readouterr().err


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    first, second = blocks(README, "console")
    assert "pip install" in first
    assert "samples/" in first
    assert "[test]" in second
    assert "pytest" in second


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_local_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), target


def test_every_plugin_is_in_the_readme() -> None:
    for row in PluginHost.load().rows:
        if row.source.startswith("colorpipe "):
            assert f"`{row.name}`" in README, f"{row.kind} {row.name}"


def test_every_hook_says_in_a_sentence_what_it_is_for() -> None:
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("colorpipe_")}
    assert len(hooks) == 6
    for name, hook in hooks.items():
        assert (hook.__doc__ or "").endswith("."), name


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    unreleased = text.partition("## [Unreleased]")[2].partition("\n## [")[0]
    assert f"## [{colorpipe.__version__}]" in text or colorpipe.__version__ in unreleased


def test_the_files_that_contributing_names_are_there() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("Where to change what:")[2].partition("## Words")[0]
    named = set(re.findall(r"`([a-z_/]+(?:/|\.py))`", table))
    assert len(named) > 25
    homes = (ROOT, ROOT / "colorpipe", ROOT / "colorpipe" / "batch")
    assert [name for name in sorted(named) if not any((home / name).exists() for home in homes)] == []
