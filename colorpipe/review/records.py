"""What the journals of a folder of results know of each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from colorpipe.batch.journal import NAME
from colorpipe.errors import InputError, UsageError
from colorpipe.media.inputs import STILL_SUFFIXES, VIDEO_SUFFIXES
from colorpipe.media.provenance import recipe_of

Status = Literal["done", "unfinished", "missing", "failed"]


@dataclass(frozen=True)
class Record:
    """A result, or an input that has none."""

    output: Path
    """Where the result is, or would be."""
    source: Path | None
    """From the root; None where nobody knows it."""
    status: Status
    """``unfinished``: a run ended while it put the result in its place. ``missing``: it was made, and is gone."""
    recipe: str = ""
    error: str = ""
    """Why an input has no result, or no new one."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """``batch.facts``."""
    source_sha256: str = ""
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    """The result's when it was made; 0 where that is not known."""


def read(results: Path) -> list[Record]:
    """The records of a folder and of all folders below, in the order of their names; comparisons are left out.

    A folder without a journal, below one with a journal, has that one's. Where there is none at all, results are known
    by the mark that they carry.

    Raises:
        UsageError: it is no folder, or has no result.
        InputError: a journal cannot be read.
    """
    if not results.is_dir():
        reason = "is a file" if results.exists() else "does not exist"
        raise UsageError(f"{results} {reason}", hint="name the folder that `run` wrote its results to")
    top = Path(os.path.abspath(results))
    journals = list(_journals(top)) or list(_above(top))
    found: dict[Path, Record] = {}
    for journal in journals:
        found |= {record.output: record for record in _of_journal(journal) if record.output.is_relative_to(top)}
    if not found:
        found = {record.output: record for record in _by_mark(top)}
    if not found:
        raise UsageError(
            f"{results} has no results of colorpipe", hint="name the folder that `run` wrote its results to"
        )
    return [found[path] for path in sorted(found)]


def _journals(top: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(top):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if NAME in names:
            yield Path(folder, NAME)


def _above(top: Path) -> Iterator[Path]:
    journal = next((folder / NAME for folder in top.parents if (folder / NAME).is_file()), None)
    if journal is not None:
        yield journal


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    try:
        with journal.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:  # a power cut left it unfinished
                    continue
                if isinstance(entry, dict) and isinstance(entry.get("source"), dict):
                    yield entry
    except OSError as error:
        raise InputError(f"{journal}: {(error.strerror or str(error)).lower()}") from None


def _of_journal(journal: Path) -> Iterator[Record]:
    last: dict[str, dict[str, Any]] = {}
    failed: dict[str, dict[str, Any]] = {}
    """Source -> why its last try failed."""
    for entry in _lines(journal):
        source = _place(entry["source"])
        if entry.get("event") == "failed":
            failed[source] = entry
        elif isinstance(entry.get("output"), str) and entry.get("event") in ("begun", "done"):
            last[entry["output"]] = entry
            failed.pop(source, None)
    known = set()
    for output, entry in last.items():
        source = _place(entry["source"])
        if str(entry.get("recipe", "")).endswith("comparison") or ".compare." in os.path.basename(output):
            continue
        known.add(source)
        yield _record(journal.parent, output, entry, failed.get(source))
    for source, entry in failed.items():
        if source not in known and isinstance(entry.get("result"), str):
            place = Path(os.path.normpath(journal.parent / entry["result"]))
            yield Record(place, Path(source), "failed", _recipe(entry), str(entry.get("error", "")))


def _record(folder: Path, output: str, entry: Mapping[str, Any], failure: Mapping[str, Any] | None) -> Record:
    path, source = Path(os.path.normpath(folder / output)), entry["source"]
    status: Status = "done" if entry["event"] == "done" else "unfinished"
    if not path.exists():
        status = "missing" if status == "done" else "unfinished"
    facts = entry.get("facts")
    return Record(
        path,
        Path(_place(source)),
        "failed" if failure else status,
        _recipe(entry),
        str(failure.get("error", "")) if failure else "",
        facts if isinstance(facts, dict) else {},
        str(source.get("sha256", "")),
        str(entry.get("sha256", "")),
        _number(entry.get("size")),
        _number(entry.get("mtime_ns")),
    )


def _place(source: Mapping[str, Any]) -> str:
    return str(source.get("place") or os.path.abspath(str(source.get("path", ""))))


def _recipe(entry: Mapping[str, Any]) -> str:
    """The digest alone: a preview is made by the same settings as the film."""
    return str(entry.get("recipe", "")).partition(" ")[0]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _by_mark(top: Path) -> Iterator[Record]:
    for folder, below, names in os.walk(top):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in STILL_SUFFIXES | VIDEO_SUFFIXES:
                recipe = recipe_of(path)
                if recipe is not None:
                    yield Record(path, None, "done", recipe)
