"""What Windows and macOS do otherwise, as far as it can be shown on another system: the system's answers are put on."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from colorpipe import files
from colorpipe.batch import journal_index
from colorpipe.batch.journal import Journal
from colorpipe.errors import OutputError
from colorpipe.media import inputs, result_names
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_pages import small_film

TINT = ("--colorizer", "tint", "--plugin")


def windows_error(number: int, text: str) -> PermissionError:
    """As Windows raises it."""
    error = PermissionError(errno.EACCES, text)
    error.winerror = number  # type: ignore[attr-defined]
    return error


def held(monkeypatch: pytest.MonkeyPatch, names: set[str], times: int) -> list[str]:
    """Other programs hold these files for so many tries; the tries."""
    real, tries = os.replace, []

    def replace(part: str | Path, path: str | Path) -> None:
        if Path(path).name in names:
            tries.append(Path(path).name)
            if len(tries) <= times:
                raise windows_error(
                    32, "The process cannot access the file because it is being used by another process"
                )
        real(part, path)

    monkeypatch.setattr(os, "replace", replace)
    return tries


def test_a_file_that_a_scanner_holds_for_a_moment_is_replaced(
    workplace: Path, cli: Cli, tint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_grey(Path("a.png"))
    tries = held(monkeypatch, {"a.png"}, 3)
    assert cli("run", "a.png", *TINT, tint)[0] == 0
    assert len(tries) == 4
    assert cv2.imread("colorized/a.png") is not None


def test_a_file_that_a_viewer_holds_is_one_line_and_the_others_are_done(
    workplace: Path, cli: Cli, tint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        write_grey(workplace / "album" / name)
    assert cli("run", "album", *TINT, tint)[0] == 0
    before = Path("colorized/a.png").read_bytes()
    monkeypatch.setattr(files, "_PATIENCE", 0.2)
    held(monkeypatch, {"a.png"}, 10_000)
    status, _, told = cli("run", "album", *TINT, tint, "--overwrite")
    assert status == 1
    assert "cannot write colorized/a.png: the process cannot access the file" in told
    assert "another program has it open: close it there" in told
    assert "1 done, 1 failed" in told
    assert Path("colorized/a.png").read_bytes() == before
    assert not list(Path("colorized").glob(".*.part"))


def test_a_refusal_that_is_none_of_another_program_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def replace(part: Path, path: Path) -> None:
        tries.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", replace)
    (tmp_path / "part").write_bytes(b"x")
    with pytest.raises(OutputError, match="permission denied"):
        files.place(tmp_path / "part", tmp_path / "a.png")
    assert len(tries) == 1


def test_a_film_is_stored_where_only_writers_may_ask_for_it(
    workplace: Path, cli: Cli, tint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(file: int) -> None:
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")  # as Windows answers
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    small_film(workplace / "film.mp4", 6)
    write_grey(Path("a.tif"))
    status, _, told = cli("run", "film.mp4", "a.tif", *TINT, tint)
    assert status == 0, told
    assert Path("colorized/film.mp4").stat().st_size


def test_lines_end_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = 1 << 28  # no flag of this system
    seen: list[int] = []
    real = os.open

    def opened(path: str | Path, flags: int, *more: int) -> int:
        seen.append(flags)
        return real(path, flags & ~binary, *more)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(journal_index, "BINARY", binary)
    write_grey(tmp_path / "a.png")
    write_grey(tmp_path / "out" / "a.png")
    record = Journal(tmp_path / "out", "recipe")
    record.begin(tmp_path / "a.png", tmp_path / "out" / "a.png")
    assert seen
    assert all(flags & binary for flags in seen)
    assert (tmp_path / "out" / ".colorpipe.jsonl").read_bytes().count(b"\r") == 0


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_results_whose_names_differ_in_case_alone_get_different_ones(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [inputs.Found(tmp_path / name, Path(name)) for name in ("Photo.bmp", "photo.png")]
    same = {str(job.output).casefold() for job in inputs.plan(found, tmp_path / "out")}
    monkeypatch.setattr(result_names.sys, "platform", system)
    apart = {str(job.output).casefold() for job in inputs.plan(found, tmp_path / "out")}
    assert (len(same), len(apart)) == (1, 2)


def test_what_finder_and_explorer_leave_is_passed_over(workplace: Path, cli: Cli, tint: Path) -> None:
    write_grey(workplace / "album" / "a.png")
    picture = (workplace / "album" / "a.png").read_bytes()
    for name in (".DS_Store", "._a.png", "__MACOSX/a.png", "$RECYCLE.BIN/b.png", "Thumbs.db", "desktop.ini"):
        place = workplace / "album" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(picture)
    status, _, told = cli("run", "album", *TINT, tint)
    assert status == 0
    assert "1 done" in told
    assert [path.name for path in Path("colorized").rglob("*") if not path.name.startswith(".")] == ["a.png"]


def test_names_that_the_console_cannot_show(workplace: Path) -> None:
    write_grey(workplace / "łódź.png")
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252:strict", "PYTHONUTF8": "0"}
    words = ["verify", "łódź.png", "łódź.png"]
    done = subprocess.run(
        [sys.executable, "-m", "colorpipe", *words], capture_output=True, env=environment, cwd=workplace, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"equal \\u0142" in done.stdout


def test_a_picture_is_not_changed_by_it(workplace: Path, cli: Cli, tint: Path) -> None:
    """``py -m colorpipe`` is ``colorpipe``."""
    write_grey(Path("a.png"))
    done = subprocess.run(
        [sys.executable, "-m", "colorpipe", "run", "a.png", *TINT, str(tint), "-o", "module"], check=False
    )
    assert done.returncode == 0
    assert cli("run", "a.png", *TINT, tint)[0] == 0
    assert np.array_equal(cv2.imread("module/a.png"), cv2.imread("colorized/a.png"))
