"""The record of an output folder, so that a job that is started again goes on where it stopped.

One line of JSON per event, appended to ``.colorpipe.jsonl`` in the folder: ``begun`` before a result is put in its
place, ``done`` after. A result that was begun is colorpipe's own and may be written again from the same source; one of
another source is never replaced, and one that the journal does not know is somebody else's file and is left alone.

An entry is for the path of a source. ``place`` is that path from the root; entries of earlier versions lack it, and
their ``path`` may be relative to the folder that colorpipe was called in.

Several runs may share a folder: each line is appended in one call, and what others appended is read before anything is
decided.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from colorpipe.errors import InputError, OutputError
from colorpipe.files import sha256, unwritable, working_folder
from colorpipe.media import sniff
from colorpipe.media.passed import JOURNAL

NAME = JOURNAL
State = Literal["new", "done", "stale", "foreign", "another", "touched"]


class Journal:
    """The journal of one output folder. Safe to use from several threads and processes.

    Args:
        folder: Where results go; made when the first event is recorded.
        recipe: Digest of the recipe: a result of another recipe is made anew.
        engine: Is noted beside each result, where it is not torch.
    """

    def __init__(self, folder: Path, recipe: str, engine: str = "") -> None:
        self.folder = folder
        self.recipe = recipe
        self._engine = engine
        self._file = folder / NAME
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        self._results_of: dict[str, set[str]] = {}
        """Path of a source from the root -> outputs that were ever made of it."""
        self._seen = 0
        """Bytes of the file that were read, whole lines only."""
        self._read()

    def state(self, source: Path, output: Path, guides: Mapping[str, str] | None = None) -> State:
        """``new``: nothing is there. ``done``: this source, by this recipe. ``stale``: of this source, but changed, of
        another recipe, or unfinished. ``another``: of another source. ``touched``: of this source, and the result was
        changed since. ``foreign``: not colorpipe's.

        Args:
            guides: ``SidecarFiles.identity`` of the source: with other hint files it is another source.
        """
        with self._lock:
            self._read()
        entry = self._entries.get(self._key(output))
        if not output.exists():
            begun = entry is not None and working_folder(output).exists() and not _is_of(source, entry["source"])
            return "another" if begun else "new"
        if entry is None:
            return "foreign"
        if not _is_of(source, entry["source"]):
            return "another"
        if entry["event"] == "done" and _is_touched(output, entry):
            return "touched"
        if entry["event"] != "done" or entry["recipe"] != self.recipe or entry["size"] != output.stat().st_size:
            return "stale"
        same = entry["source"].get("guides", {}) == (guides or {}) and _same(source, entry["source"])
        return "done" if same else "stale"

    def is_of_another_recipe(self, source: Path, output: Path) -> bool:
        """Whether this source's result exists, untouched, but made by another recipe; decided without reading it."""
        with self._lock:
            self._read()
        entry = self._entries.get(self._key(output))
        if entry is None or entry["event"] != "done" or entry["recipe"] == self.recipe:
            return False
        try:
            return bool(output.stat().st_size == entry["size"]) and _is_of(source, entry["source"])
        except OSError:  # it is gone
            return False

    def origin(self, output: Path) -> str | None:
        """The path of the source of a result, finished or begun; None where the journal does not know it."""
        entry = self._entries.get(self._key(output))
        return None if entry is None else str(entry["source"].get("path"))

    def result_of(self, source: Path, output: Path) -> Path | None:
        """Where an earlier run put the result of a source that was to go to ``output``: there, or beside it under the
        name with a number; None where there is no such result."""
        numbered = re.compile(re.escape(output.stem) + r"(-\d+)?" + re.escape(output.suffix))
        for key in sorted(self._results_of.get(os.path.abspath(source), ())):
            path = output.with_name(os.path.basename(key))
            named = self._key(path) == key and numbered.fullmatch(path.name) and path.exists()
            if named and _is_of(source, self._entries[key]["source"]):
                return path
        return None

    def begin(self, source: Path, output: Path) -> None:
        """Call before the result appears in its place."""
        known = {"path": str(source), "place": os.path.abspath(source)}
        self._append({"event": "begun", "output": self._key(output), "source": known})

    def done(self, source: Path, output: Path, known: dict[str, Any] | None = None) -> None:
        """Call after the result is in its place.

        Args:
            known: The source's ``identity`` when it was read, with its ``guides``, if any; None takes it now.
        """
        status = output.stat()
        self._append(
            {
                "event": "done",
                "output": self._key(output),
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": sha256(output),
                "recipe": self.recipe,
                **({"engine": self._engine} if self._engine else {}),
                "source": identity(source) if known is None else known,
            }
        )

    def _key(self, output: Path) -> str:
        return os.path.relpath(output, self.folder)

    def _read(self) -> None:
        try:
            with self._file.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._seen:
                    self._seen = 0  # somebody began it anew
                file.seek(self._seen)
                data = file.read()
            text = data.decode("utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(f"{self._file}: cannot be read ({error})", hint="delete it to start afresh") from None
        self._seen += data.rfind(b"\n") + 1
        for line in filter(None, text.splitlines()):
            try:
                self._keep(json.loads(line))
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
                continue  # the line that a power cut left unfinished; its result is treated as unknown

    def _append(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry, ensure_ascii=True) + "\n").encode()
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
                try:
                    # Another run may append while this one looks: at worst an empty line comes of it, and is skipped.
                    if not _ends_a_line(file):
                        line = b"\n" + line
                    # In one call, which the system does at the file's end and whole: other runs append here too.
                    if os.write(file, line) != len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                finally:
                    os.close(file)
            except OSError as error:
                raise unwritable(self._file, error) from None
            self._keep(entry)

    def _keep(self, entry: dict[str, Any]) -> None:
        """Raises KeyError or TypeError if the line is no entry."""
        output, source = entry["output"], entry["source"]
        self._results_of.setdefault(source.get("place") or os.path.abspath(source["path"]), set()).add(output)
        self._entries[output] = entry


def _ends_a_line(file: int) -> bool:
    """False after a line that a power cut or a full disk left unfinished."""
    size = os.fstat(file).st_size
    if not size:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


def identity(source: Path, *, digest: bool = True) -> dict[str, Any]:
    """The identity of a source: size, time of change and SHA-256.

    Args:
        digest: False leaves SHA-256 out, where what is made is not worth reading the whole source for.
    """
    status = source.stat()
    place = {"path": str(source), "place": os.path.abspath(source)}
    known = {**place, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    return {**known, "sha256": sha256(source)} if digest else known


def _is_touched(output: Path, entry: dict[str, Any]) -> bool:
    """Whether a result's content is no longer what was written, and may be somebody's work: not what is empty or no
    picture and no film at all. An entry of an earlier version knows the size alone."""
    status = output.stat()
    if status.st_size != entry["size"]:
        return _may_be_work(output)
    if "sha256" not in entry or status.st_mtime_ns == entry.get("mtime_ns"):
        return False
    return sha256(output) != entry["sha256"] and _may_be_work(output)


def _may_be_work(output: Path) -> bool:
    try:
        return sniff.kind_of(output) not in (sniff.UNKNOWN, sniff.TEXT)
    except InputError:  # it is empty
        return False


def _is_of(source: Path, known: dict[str, Any]) -> bool:
    """Whether an entry is for this source.

    Another path is another source, unless it leads to the same file, or the source was moved: then nothing is left at
    the recorded path, and the bytes are the recorded ones.
    """
    place = known.get("place") or os.path.abspath(known.get("path", ""))
    if place == os.path.abspath(source):
        return True
    try:
        return os.path.samefile(place, source)
    except OSError:  # one of them is not there
        pass
    if os.path.lexists(place) or "sha256" not in known:
        return False
    try:
        return source.stat().st_size == known.get("size") and sha256(source) == known["sha256"]
    except OSError:
        return False


def _same(source: Path, known: dict[str, Any]) -> bool:
    """Equal size and time of change prove it; if the time differs, the digest decides, if there is one."""
    status = source.stat()
    if status.st_size != known.get("size"):
        return False
    return status.st_mtime_ns == known.get("mtime_ns") or ("sha256" in known and sha256(source) == known["sha256"])
