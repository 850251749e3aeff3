"""Help and the table of plugins are answered from the cache, and never from one that is out of date."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HEAVY = ("typer", "rich", "pluggy", "importlib.metadata", "email", "colorpipe.plugins.host", "numpy", "torch")
ROOT = Path(__file__).parents[1]
PROBE = f"""
import os, sys
copies = {{{str(ROOT)!r}: os.environ["COPY"], {str(ROOT / "plugins")!r}: os.path.join(os.environ["COPY"], "plugins")}}
sys.path[:] = [copies.get(path, path) for path in sys.path]
from colorpipe.cli.app import main
sys.argv[0] = "colorpipe"
status = main()
print(status, *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
PLUGIN = """
import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl


class Plum(Colorizer):
    name = "plum"
    summary = "{summary}"
    licence = "MIT"

    def predict(self, batch):
        raise NotImplementedError


@hookimpl
def colorpipe_colorizers():
    return [Plum]
"""
Ask = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The packages, copied: whatever else runs in this tree compiles modules and builds metadata in it meanwhile."""
    root = tmp_path_factory.mktemp("copy")
    for place in ("colorpipe", "plugins"):
        shutil.copytree(ROOT / place, root / place, ignore=shutil.ignore_patterns("*.pyc.*"))
    for folder, _, _ in os.walk(root):
        os.utime(folder, (time.time() - 60,) * 2)
    yield root
    shutil.rmtree(root)  # with 40 MB of weights


@pytest.fixture
def ask(copy: Path, tmp_path: Path) -> Ask:
    """Asks a fresh process; gives its answer, and its exit status with the heavy modules that it imported."""

    def call(*words: str, cache: str = "cache", **variables: str) -> tuple[str, str]:
        paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
        here = {"COLORPIPE_CACHE": str(tmp_path / cache), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        here["PYTHONDONTWRITEBYTECODE"] = "1"  # compiling changes the folder just now
        here["COPY"] = str(copy)
        done = subprocess.run(
            [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-c", PROBE, *words],
            capture_output=True, text=True, cwd=tmp_path / "site", env={**os.environ, **here, **variables}, check=True,
        )  # fmt: skip
        return done.stdout, done.stderr.strip()

    (tmp_path / "site").mkdir()
    return call


def lay(file: Path, text: str, *, age: float = 60) -> None:
    """A file that was written some time ago."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    for place in (file, file.parent, file.parent.parent):
        os.utime(place, (time.time() - age,) * 2)


def install(site: Path, entry: str = "plum = plum\n") -> None:
    """The marks that pip leaves."""
    lay(site / "plum-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: plum\nVersion: 1.0\n")
    lay(site / "plum-1.0.dist-info" / "entry_points.txt", f"[colorpipe]\n{entry}")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["plugins"],
        *(pytest.param(more, marks=pytest.mark.slow) for more in ([], ["plugins", "list"], ["run", "--help"])),
    ],
)
def test_the_second_answer_is_the_first_and_imports_nothing(ask: Ask, words: list[str]) -> None:
    first, _ = ask(*words)
    second, loaded = ask(*words)
    assert second == first
    assert len(first) > 200
    assert loaded == "0"


def test_another_width_is_another_answer(ask: Ask) -> None:
    narrow = ask("--help", COLUMNS="70")
    wide = ask("--help", COLUMNS="130")
    assert max(map(len, wide[0].splitlines())) > max(map(len, narrow[0].splitlines()))
    assert ask("--help", COLUMNS="70") == (narrow[0], "0")


def test_what_is_installed_edited_and_removed_is_seen_at_once(ask: Ask, tmp_path: Path) -> None:
    site = tmp_path / "site"
    ask("plugins")
    assert ask("plugins")[1] == "0"
    lay(site / "plum.py", PLUGIN.format(summary="violet all over"), age=60)
    install(site)
    assert "violet all over" in ask("plugins")[0]
    assert ask("plugins")[1] == "0"
    lay(site / "plum.py", PLUGIN.format(summary="violet in places"), age=30)
    assert "violet in places" in ask("plugins")[0]
    assert ask("plugins")[1] == "0"
    (site / "plum-1.0.dist-info" / "entry_points.txt").unlink()
    assert "violet" not in ask("plugins")[0]


def test_a_file_that_was_just_changed_is_not_trusted(ask: Ask, tmp_path: Path) -> None:
    """Its text may have been replaced within one tick of the clock that files are stamped with."""
    install(tmp_path / "site")
    lay(tmp_path / "site" / "plum.py", PLUGIN.format(summary="as it is now"), age=-3600)
    assert "as it is now" in ask("plugins")[0]
    assert ask("plugins")[1] != "0"


def test_a_broken_plugin_is_looked_at_again(ask: Ask, tmp_path: Path) -> None:
    lay(tmp_path / "site" / "plum.py", "import nowhere_to_be_found\n")
    install(tmp_path / "site")
    for _ in range(2):
        told, loaded = ask("plugins")
        assert "nowhere_to_be_found" in told
        assert loaded != "0"


def test_a_cache_that_cannot_be_written_or_read_only_costs_time(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    first = ask("--help", cache="file")
    assert ask("--help", cache="file")[0] == first[0]
    ask("--help")
    for kept in (tmp_path / "cache" / "answers").iterdir():
        kept.write_text('{"key": 3')
    assert ask("--help")[0] == first[0]
    assert ask("--help")[1] == "0"


def test_answers_do_not_pile_up(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "answers"
    folder.mkdir(parents=True)
    for index in range(40):
        lay(folder / f"{index:08x}.json", "{}", age=1000 - index)
    ask("--help")
    assert len(list(folder.iterdir())) == 24
    assert ask("--help")[1] == "0"


def test_errors_and_results_are_never_kept(ask: Ask, tmp_path: Path) -> None:
    ask("--version")
    ask("models")
    assert not (tmp_path / "cache" / "answers").exists()


def test_results_in_the_current_folder_change_nothing(ask: Ask, tmp_path: Path) -> None:
    """``python -m colorpipe`` imports from the current folder, which results are written to."""
    (tmp_path / "cache").mkdir()
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    ask("--help", PYTHONPATH=paths)
    (tmp_path / "photo.jpg").write_bytes(b"new")
    assert ask("--help", PYTHONPATH=paths)[1] == "0"
