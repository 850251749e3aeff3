"""``run --only LIST``: of all inputs, those that a list names."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from colorpipe.errors import UsageError
from colorpipe.media.listing import Listing

log = logging.getLogger(__name__)
COLUMNS = ("input", "source", "path", "file", "name")
"""Columns of a table, or keys of an object, that hold a name; the first that is there counts."""
_MOST_TOLD = 10


def selected(found: Listing, file: Path) -> set[int]:
    """The inputs that a list names, by their places. Names that none has, or several have, are told in the log.

    A name is an input's path, as it was given or from the root; or the end of one, as ``1931/river.jpg``.

    Raises:
        UsageError: the list cannot be read, is empty, or names none of the inputs.
    """
    names = read_names(file)
    if not names:
        raise UsageError(f"--only {file}: it names nothing", hint="one path a line, or a list that `review` exported")
    known = _Known(found)
    chosen: set[int] = set()
    missing: list[str] = []
    unclear: list[str] = []
    for name in names:
        those = known.find(name)
        if len(those) == 1:
            chosen |= those
        else:
            (unclear if those else missing).append(name)
    if not chosen:
        told = f"{len(missing + unclear)} names" if len(names) > 1 else (missing + unclear)[0]
        reason = "fits several inputs" if unclear and not missing else "is not among the inputs"
        raise UsageError(
            f"--only {file}: {told} {reason if len(names) == 1 else 'and not one is an input of its own'}",
            hint="name the folder or the files that the list was made for, and paths as they are there",
        )
    _tell(file, missing, "not among the inputs")
    _tell(file, unclear, "the end of several inputs' paths, and passed over: give more of the path")
    return chosen


def _tell(file: Path, names: Sequence[str], what: str) -> None:
    if names:
        more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
        log.warning("--only %s: %s: %s%s", file, what, ", ".join(names[:_MOST_TOLD]), more)


class _Known:
    """The inputs by their paths."""

    def __init__(self, found: Listing) -> None:
        self._found = found
        self._paths: dict[str, int] = {}
        self._named: dict[str, list[int]] = defaultdict(list)
        for place in range(len(found)):
            path = os.path.abspath(found.path(place))
            self._paths[path] = place
            self._named[os.path.basename(path)].append(place)

    def find(self, name: str) -> set[int]:
        """The input of a path; or all whose paths end so."""
        exact = self._paths.get(os.path.abspath(name))
        if exact is not None:
            return {exact}
        wanted = PurePath(os.path.normpath(name)).parts
        if os.path.isabs(name):
            wanted = wanted[-2:]  # the tree was moved since: its folder and its name are the same
            if len(wanted) < 2 or PurePath(wanted[0]).is_absolute():
                return set()
        ends = self._named.get(wanted[-1], [])
        return {place for place in ends if self._parts(place)[-len(wanted) :] == wanted}

    def _parts(self, place: int) -> tuple[str, ...]:
        return PurePath(os.path.abspath(self._found.path(place))).parts


def read_names(file: Path) -> list[str]:
    """The names in a list: lines of text, a CSV table with a column ``input``, or JSON: names, or objects with a key
    ``input``, in an array or one a line. Each once.

    Raises:
        UsageError: it cannot be read, or is none of these.
    """
    try:
        text = file.read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise UsageError(f"--only {file}: {(error.strerror or str(error)).lower()}") from None
    if "\0" in text:
        raise UsageError(f"--only {file}: this is no list", hint="give text, CSV or JSON")
    found: Iterable[str] = text.split("\n")
    if _is_json(file, text):
        found = _of_json(file, text)
    elif _is_table(file, text):
        found = _of_table(file, text)
    return list(dict.fromkeys(name for name in found if name.strip()))


def _is_json(file: Path, text: str) -> bool:
    """By its name; or by its first character, where what follows it is not a name such as ``[1931] river.jpg``."""
    if file.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return True
    first = text.strip().partition("\n")[0].rstrip()
    return bool(first) and first[0] in "[{" and (len(first) == 1 or first[-1] in "]},[{")


def _is_table(file: Path, text: str) -> bool:
    head = text.partition("\n")[0].strip().lower().split(",")
    return file.suffix.lower() == ".csv" or (len(head) > 1 and head[0].strip('"') in COLUMNS)


def _of_table(file: Path, text: str) -> Iterator[str]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    heads = {(head or "").strip().lower(): head for head in rows.fieldnames or ()}
    column = next((heads[name] for name in COLUMNS if name in heads), None)
    if column is None:
        raise UsageError(
            f"--only {file}: its first line names no column of paths",
            hint=f"call the column {COLUMNS[0]}; plain paths, one a line, go into a .txt file",
        )
    return (row[column] for row in rows if row[column])


def _of_json(file: Path, text: str) -> Iterator[str]:
    try:
        values = [json.loads(text)]
    except ValueError:
        try:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise UsageError(f"--only {file}: this is no JSON ({error})") from None
    return (name for value in values for name in _names_in(file, value))


def _names_in(file: Path, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _names_in(file, one)
    elif isinstance(value, dict):
        key = next((key for key in (*COLUMNS, "entries", "inputs") if key in value), None)
        if key is None:
            raise UsageError(f"--only {file}: an object in it has no key {COLUMNS[0]!r}")
        yield from _names_in(file, value[key])
    else:
        raise UsageError(f"--only {file}: {value!r} is no path")
