"""Whose a half-made film is, so that no run throws away what another one finished.

A film's segments belong to its source, by that file's content. They stay until the source's film is finished, or a
person removes them: where another source is to have the result's name, or the same one is made with other settings,
they step aside (``make_room``), into a hidden folder beside the result, and the run that made them takes them up again,
whatever its result is called by then.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorpipe.files import hidden, remove, sha256, working_folder

MANIFEST = "manifest.jsonl"
"""Name of the list of whole segments, in a film's working folder."""


@dataclass(frozen=True)
class HalfMade:
    """The finished part of a film that is not finished."""

    folder: Path
    job: Mapping[str, Any]
    """What decides the film: see ``Segments``."""
    source: str
    """The path of the source, for a person."""
    frames: int

    def lay_at(self, source: Path) -> bool:
        """Whether its source lay where this file is."""
        return os.path.abspath(self.source) == os.path.abspath(source)

    def is_of(self, source: Path) -> bool:
        """Whether it was made from this file, by its content; not from one that cannot be read."""
        try:
            status = source.stat()
            if status.st_size != self.job.get("size"):
                return False
            return _digest(os.path.abspath(source), status.st_mtime_ns, status.st_size) == self.job.get("sha256")
        except OSError:
            return False


def half_made(folder: Path) -> HalfMade | None:
    """Whose segments a working folder holds, or whose parts from a cluster; None where nothing in it is finished."""
    own = _read([folder / MANIFEST], folder)
    return own or _read(sorted(folder.glob(f".part-*/{MANIFEST}")), folder)


def _read(manifests: list[Path], folder: Path) -> HalfMade | None:
    found: HalfMade | None = None
    for manifest in manifests:
        try:
            first, *lines = manifest.read_text("utf-8").splitlines()
            told = json.loads(first)
            job = {key: value for key, value in told["job"].items() if key != "part"}
            source = str(told.get("source") or "another film")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or what a power cut left of it
            continue
        frames = 0
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                frames += int(json.loads(line)["frames"])
        if frames and found is None:
            found = HalfMade(folder, job, source, frames)
        elif found is not None and found.job == job:
            found = HalfMade(folder, job, source, found.frames + frames)
    return found


def make_room(result: Path, job: Mapping[str, Any]) -> tuple[str, bool]:
    """Put another job's segments aside, and bring those of this job back that were put aside.

    Returns:
        A remark for a person, or nothing; and whether what it says ends once this film is finished.

    Raises:
        OSError: they cannot be moved.
    """
    wanted, folder, note, own = plain(job), working_folder(result), "", False
    there = half_made(folder)
    if there is not None and there.job != wanted:
        kept = _put_aside(result, there)
        own = _same_source(there.job, job)
        whose = "this film, made with other settings," if own else there.source
        note = (
            f"{there.frames} frames of {whose} are kept in {kept} until {'it' if own else 'that film'} is finished; "
            "remove the folder if it is not wanted"
        )
        there = None
    if there is None:
        for mine in [one.folder for one in _kept_beside(result) if one.job == wanted][:1]:
            remove(folder)
            with contextlib.suppress(FileNotFoundError):  # another run was quicker
                os.replace(mine, folder)
    return note, own


def _put_aside(result: Path, there: HalfMade) -> Path:
    name = hashlib.sha256(json.dumps(there.job, sort_keys=True).encode()).hexdigest()[:12]
    kept = hidden(result, f"{name}.kept")
    before = half_made(kept)
    if before is not None and before.frames >= there.frames:
        remove(there.folder)
    else:
        remove(kept)
        os.replace(there.folder, kept)
    return kept


def remove_kept(result: Path, job: Mapping[str, Any]) -> None:
    """Remove what was put aside of the source whose film is finished."""
    for kept in _kept_beside(result):
        if _same_source(kept.job, job):
            remove(kept.folder)


def forget(result: Path, source: Path) -> None:
    """Remove what a run that was killed at its last step left beside a finished result; never another source's."""
    folder = working_folder(result)
    if folder.exists():
        there = half_made(folder)
        if there is None or there.is_of(source):
            remove(folder)


def plain(job: Mapping[str, Any]) -> Any:
    """As a manifest gives it back."""
    return json.loads(json.dumps(job))


def _kept_beside(result: Path) -> list[HalfMade]:
    kept = (half_made(folder) for folder in sorted(result.parent.glob(".*.kept")))
    return [one for one in kept if one is not None]


def _same_source(job: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(job.get(key) == other.get(key) for key in ("size", "sha256"))


@functools.lru_cache(maxsize=64)
def _digest(path: str, _changed: int, _size: int) -> str:
    return sha256(Path(path))
