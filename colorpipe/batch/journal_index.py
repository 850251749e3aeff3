"""What a journal's lines say, held as their places in the file: a million entries take 250 MB, and one look-up reads
one line, whatever the file's length."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from colorpipe.errors import OutputError
from colorpipe.files import BINARY, unwritable

if os.name == "posix":
    import fcntl

    def _lock(file: int) -> None:
        """Wait for other writers. Network file systems append nothing in one piece unless the file is locked."""
        with contextlib.suppress(OSError):  # a file system that knows no locks
            fcntl.flock(file, fcntl.LOCK_EX)

else:

    def _lock(file: int) -> None:
        pass  # there, an append is one piece


class Line(NamedTuple):
    """One entry's place, for another process: see ``Index.take``."""

    output: str
    source: str
    """Path of the source from the root."""
    offset: int
    recipe: str
    done: bool


class Index:
    """The latest line about each output of a journal. Safe to use from several threads and processes.

    Args:
        file: The journal; it need not be there.
        start: Bytes at its start that need not be read, whole lines: what matters of them comes by ``take``.
    """

    def __init__(self, file: Path, start: int = 0) -> None:
        self._file = file
        self.lock = threading.RLock()
        self._lines: dict[str, int] = {}
        """Output -> the place of its line, with the number of its recipe and whether it is done: see ``_packed``."""
        self._results: dict[int, str | tuple[str, ...]] = {}
        """Hash of a source's path -> outputs that were ever made of it. Two paths with one hash share theirs: whoever
        asks looks at each entry."""
        self._recipes: dict[str, int] = {}
        self.seen = start
        """Bytes of the file that were read, whole lines only."""
        self.read()

    def get(self, output: str, default: Any = None) -> Any:
        """The latest entry about an output, as it was written; ``default`` where there is none."""
        with self.lock:
            place = self._lines.get(output)
            if place is None:
                return default
            try:
                with self._file.open("rb") as file:
                    file.seek(place >> 25)
                    entry = json.loads(file.readline())
            except (OSError, ValueError):  # somebody deleted it, or began it anew
                return default
        return entry if isinstance(entry, dict) and entry.get("output") == output else default

    def is_done(self, output: str) -> bool:
        """Whether the latest entry says so; nothing is read."""
        return bool(self._lines.get(output, 0) & 1)

    def recipe_of(self, output: str) -> str | None:
        """The recipe of the latest entry; nothing is read."""
        place = self._lines.get(output)
        return None if place is None else list(self._recipes)[place >> 1 & 0xFFFFFF]

    def knows_other_recipes(self, recipe: str) -> bool:
        """Whether any result was made by another recipe."""
        return not self._recipes.keys() <= {recipe, ""}

    def results_of(self, source: str) -> tuple[str, ...]:
        """Outputs that were ever made of a source, and rarely one of another source."""
        known = self._results.get(hash(source), ())
        return (known,) if isinstance(known, str) else known

    def lines(self, source: str, output: str) -> Iterator[Line]:
        """What is known about an output, and about other results of a source."""
        recipes = list(self._recipes)
        for key in dict.fromkeys((output, *self.results_of(source))):
            place = self._lines.get(key)
            if place is not None:
                made_of = source if key in self.results_of(source) else ""
                yield Line(key, made_of, place >> 25, recipes[place >> 1 & 0xFFFFFF], bool(place & 1))

    def take(self, lines: list[Line]) -> None:
        """Know what another process has read. What was read here since is newer, and stays."""
        with self.lock:
            for line in lines:
                if line.offset >= self._lines.get(line.output, -1) >> 25:
                    self._place(line.output, line.source, line.offset, line.recipe, line.done)

    def read(self) -> None:
        """Take in what was appended since.

        Raises:
            OutputError: the file cannot be read.
        """
        with self.lock:
            try:
                with self._file.open("rb") as file:
                    if os.fstat(file.fileno()).st_size < self.seen:
                        self.seen = 0  # somebody began it anew
                        self._lines.clear()
                        self._results.clear()
                    file.seek(self.seen)
                    for line in file:
                        self._keep(line.decode("utf-8"), self.seen)
                        self.seen += len(line) if line.endswith(b"\n") else 0
            except FileNotFoundError:
                return
            except (OSError, UnicodeDecodeError) as error:
                raise OutputError(f"{self._file}: cannot be read ({error})", hint="delete it to start afresh") from None

    def append(self, entry: dict[str, Any]) -> None:
        """Write a line at the file's end.

        Raises:
            OutputError: it cannot be written.
        """
        line = (json.dumps(entry, ensure_ascii=True) + "\n").encode()
        with self.lock:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
                try:
                    _lock(file)
                    end = os.fstat(file).st_size
                    # After a line that a power cut or a full disk left unfinished.
                    begin = b"" if _ends_a_line(file, end) else b"\n"
                    # In one call, which the system does at the file's end and whole: other runs append here too.
                    if os.write(file, begin + line) != len(begin + line):
                        raise OSError(28, os.strerror(28))
                    after = os.lseek(file, 0, os.SEEK_CUR)
                finally:
                    os.close(file)
            except OSError as error:
                raise unwritable(self._file, error) from None
            self._keep(line.decode(), after - len(line))
            if self.seen == after - len(begin + line):
                self.seen = after  # nobody else wrote since

    def _keep(self, line: str, offset: int) -> None:
        """Take in a line; one that is no entry, that a power cut left unfinished for one, says nothing."""
        try:
            entry = json.loads(line)
            output, source, event = entry["output"], entry["source"], entry["event"]
            place = source.get("place") or os.path.abspath(source["path"])
            recipe = entry["recipe"] if event == "done" else ""
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if event in ("begun", "done") and isinstance(output, str):
            self._place(output, place, offset, recipe, event == "done")

    def _place(self, output: str, source: str, offset: int, recipe: str, done: bool) -> None:
        number = self._recipes.setdefault(recipe, len(self._recipes))
        self._lines[output] = offset << 25 | number << 1 | done
        if not source:
            return
        key = hash(source)
        known = self._results.get(key)
        if known is None:
            self._results[key] = output
        elif output != known and output not in ((known,) if isinstance(known, str) else known):
            self._results[key] = (known, output) if isinstance(known, str) else (*known, output)


def _ends_a_line(file: int, size: int) -> bool:
    if not size:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"
