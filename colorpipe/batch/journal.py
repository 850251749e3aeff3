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

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from colorpipe.batch.journal_index import Index
from colorpipe.errors import InputError
from colorpipe.files import sha256, working_folder
from colorpipe.media import sniff
from colorpipe.media.passed import JOURNAL
from colorpipe.media.result_names import is_video
from colorpipe.media.video.half_made import HalfMade, half_made

NAME = JOURNAL
State = Literal["new", "done", "stale", "foreign", "another", "touched"]


class Journal:
    """The journal of one output folder. Safe to use from several threads and processes.

    Args:
        folder: Where results go; made when the first event is recorded.
        recipe: Digest of the recipe: a result of another recipe is made anew.
        index: What was read of the folder's journal already; None reads it.
        engine: Is noted beside each result, where it is not torch.
    """

    def __init__(self, folder: Path, recipe: str, index: Index | None = None, engine: str = "") -> None:
        self.folder = folder
        self.recipe = recipe
        self._engine = engine
        self._entries = Index(folder / NAME) if index is None else index

    def state(self, source: Path, output: Path, guides: Mapping[str, str] | None = None) -> State:
        """``new``: nothing is there. ``done``: this source, by this recipe. ``stale``: of this source, but changed, of
        another recipe, or unfinished. ``another``: of another source, or half made of one. ``touched``: of this source,
        and the result was changed since. ``foreign``: not colorpipe's.

        Args:
            guides: ``SidecarFiles.identity`` of the source: with other hint files it is another source.
        """
        self._entries.read()
        entry = self._entries.get(self.key(output))
        if not output.exists():
            begun = entry is not None and working_folder(output).exists() and not _is_of(source, entry["source"])
            return "another" if begun or self.half_made_of_another(source, output) else "new"
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

    def half_made_of_another(self, source: Path, output: Path) -> HalfMade | None:
        """What an earlier run finished of another source's film that is to have this name; None where there is none.

        A file that was exchanged is no other source: its film takes the name, and what was finished steps aside.
        """
        there = half_made(working_folder(output)) if is_video(output) else None
        return None if there is None or there.is_of(source) or there.lay_at(source) else there

    def is_of_another_recipe(self, source: Path, output: Path) -> bool:
        """Whether this source's result exists, untouched, but made by another recipe; decided without reading it."""
        key = self.key(output)
        if not self._entries.is_done(key) or self._entries.recipe_of(key) == self.recipe:
            return False
        entry = self._entries.get(key)
        try:
            if entry is None:
                return False
            return bool(output.stat().st_size == entry["size"]) and _is_of(source, entry["source"])
        except OSError:  # it is gone
            return False

    def has_other_recipes(self) -> bool:
        """Whether any result in the folder may be of another recipe."""
        self._entries.read()
        return self._entries.knows_other_recipes(self.recipe)

    def origin(self, output: Path) -> str | None:
        """The path of the source of a result, finished or begun; None where the journal does not know it."""
        entry = self._entries.get(self.key(output))
        return None if entry is None else str(entry["source"].get("path"))

    def result_of(self, source: Path, output: Path) -> Path | None:
        """Where an earlier run put the result of a source that was to go to ``output``: there, or beside it under the
        name with a number; None where there is no such result."""
        numbered = re.compile(re.escape(output.stem) + r"(-\d+)?" + re.escape(output.suffix))
        for key in sorted(self._entries.results_of(os.path.abspath(source))):
            path = output.with_name(os.path.basename(key))
            named = self.key(path) == key and numbered.fullmatch(path.name) and path.exists()
            entry = self._entries.get(key) if named else None
            if entry is not None and _is_of(source, entry["source"]):
                return path
        return None

    def results_of(self, source: Path, output: Path) -> list[Path]:
        """Every finished result of a source that was to go to ``output``, there or under the name with a number."""
        numbered = re.compile(re.escape(output.stem) + r"(-\d+)?" + re.escape(output.suffix))
        own = []
        for key in self._entries.results_of(os.path.abspath(source)):
            path = output.with_name(os.path.basename(key))
            named = self.key(path) == key and numbered.fullmatch(path.name) and path.exists()
            entry = self._entries.get(key) if named else None
            if entry is not None and _is_of(source, entry["source"]):
                own.append(path)
        return sorted(own, key=lambda path: (len(path.name), path.name))

    def begin(self, source: Path, output: Path) -> None:
        """Call before the result appears in its place."""
        known = {"path": str(source), "place": os.path.abspath(source)}
        self._entries.append({"event": "begun", "output": self.key(output), "source": known})

    def entry(self, output: Path) -> dict[str, Any] | None:
        """The latest entry about a result, as it was written."""
        self._entries.read()
        found: dict[str, Any] | None = self._entries.get(self.key(output))
        return found

    def done(
        self,
        source: Path,
        output: Path,
        known: dict[str, Any] | None = None,
        digest: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Call after the result is in its place.

        Args:
            known: The source's ``identity`` when it was read, with its ``guides``, if any; None takes it now.
            digest: SHA-256 of the result; None reads it.
            facts: What a review needs to know of the result, ready for JSON.
        """
        status = output.stat()
        self._entries.append(
            {
                "event": "done",
                "output": self.key(output),
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": digest or sha256(output),
                "recipe": self.recipe,
                **({"engine": self._engine} if self._engine else {}),
                "source": identity(source) if known is None else known,
                **({"facts": dict(facts)} if facts else {}),
            }
        )

    def failed(self, source: Path, output: Path, error: str, error_type: str) -> None:
        """Record why an input has no result, where the folder has a journal already.

        The line has no ``output``, so that it decides nothing, and readers of earlier versions pass over it.
        """
        if (self.folder / NAME).exists():
            known = {"path": str(source), "place": os.path.abspath(source)}
            told = {"error": error[:1000], "error_type": error_type, "recipe": self.recipe, "source": known}
            self._entries.append({"event": "failed", "result": self.key(output), **told})

    def key(self, output: Path) -> str:
        """The name that the journal has for a result."""
        path, folder = os.fspath(output), os.path.join(self.folder, "")
        if path.startswith(folder) and ".." not in path:
            return path[len(folder) :]  # what ``relpath`` would say; a million times, that takes ten seconds
        return os.path.relpath(output, self.folder)


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
