"""The records of an evaluation, and the statistics over its pictures."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from colorpipe.evaluation.protocol import Protocol
from colorpipe.types import Recipe

GREY = "(grey)"
"""The row of pictures left grey."""
TRUTH = "(truth)"
"""Among images, the picture's own colours."""
FRAMES = ("frames", "shots", "key_frames")
"""Fields of ``Scored`` that clips have."""


@dataclass(frozen=True)
class Column:
    """One score of one measure."""

    label: str
    """The score's name; where several measures give a score of that name, the measure's text and the name."""
    measure: str
    """The text that named it."""
    higher_is_better: bool
    describes: bool = False
    """The score describes a result; no value is best."""
    needs_truth: bool = True
    """The score compares with true colours."""

    @property
    def arrow(self) -> str:
        """The direction of better values."""
        return "" if self.describes else "↑" if self.higher_is_better else "↓"

    @property
    def better(self) -> str:
        """The same in words."""
        return "" if self.describes else "higher is better" if self.higher_is_better else "lower is better"


@dataclass(frozen=True)
class Scored:
    """One picture by one method."""

    scores: Mapping[str, float]
    """Column -> value; without those that could not be told."""
    remarks: Mapping[str, str]
    learning: float
    """Seconds, on the picture's own reference."""
    colorizing: float
    """Seconds."""
    frames: int = 1
    shots: int = 0
    """Shots of a clip with steady colour."""
    key_frames: int = 0
    """Frames of a clip that the network saw."""

    @property
    def seconds(self) -> float:
        return self.learning + self.colorizing


@dataclass(frozen=True)
class Row:
    """One method, or the grey that is there to compare with."""

    label: str
    """The text that named it."""
    recipe: Recipe | None = None
    """Complete; None for the grey, and for a method that could not be started."""
    start_up: float = 0.0
    learning: float = 0.0
    """Seconds, once, from a reference that was named."""
    results: Mapping[int, Scored] = field(default_factory=dict)
    """Picture's index -> its scores."""
    over_all: Mapping[str, float] = field(default_factory=dict)
    """Column -> the measure's own score over all of ``results``."""


@dataclass(frozen=True)
class Summary:
    """One column of one row."""

    mean: float | None
    spread: float | None
    pictures: int
    over_all: float | None

    @property
    def value(self) -> float | None:
        """The value that the table shows."""
        return self.over_all if self.mean is None else self.mean


@dataclass(frozen=True)
class Failure:
    """An input, method or measure that failed, and why."""

    picture: Path | None
    """None: a method or measure as a whole."""
    by: str | None
    """The method or measure at fault; None: the picture."""
    error: str

    def __str__(self) -> str:
        parts = [self.by, None if self.picture is None else shown(self.picture)]
        return ": ".join([*(part for part in parts if part and part not in self.error), self.error])


@dataclass(frozen=True)
class Scores:
    """Methods, pictures and their scores under one protocol, with the statistics over the pictures."""

    protocol: Protocol
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    pictures: tuple[Path, ...]
    """The pictures that at least one method could colorize."""
    failures: tuple[Failure, ...] = ()
    training: tuple[Path, ...] = ()
    """Inputs that the protocol leaves for training."""
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Measure as asked for -> its name, version and options."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of colorpipe, Python and the libraries that compute."""
    images: Mapping[tuple[int, str], bytes] = field(default_factory=dict)
    """Picture's index and row's label -> JPEG, where they were to be kept; the truth's label is ``TRUTH``."""
    colourless: tuple[Path, ...] = ()
    """Clips that have no true colours to compare with."""
    passed_over: tuple[Path, ...] = ()
    """Pictures and films of other kinds in the folders, which were not looked at."""

    def summary(self, row: Row, column: Column) -> Summary:
        """Mean and spread over the pictures for which every row that has this score at all has it."""
        label = column.label
        having = _having(row, label)
        values = [row.results[index].scores[label] for index in self._shared[label] if index in having]
        return Summary(mean(values), _spread(values), len(values), row.over_all.get(label))

    @cached_property
    def _shared(self) -> dict[str, list[int]]:
        """Column -> the pictures that its means are over."""
        return {column.label: _in_all([_having(row, column.label) for row in self.rows]) for column in self.columns}

    def best(self, column: Column) -> set[str]:
        """Labels of the rows with the best value; none where all are equal, or the score only describes. Of a score
        that compares with no truth methods alone can be best: grey is the steadiest."""
        rows = [row for row in self.rows if column.needs_truth or row.label not in (GREY, TRUTH)]
        values = {row.label: self.summary(row, column).value for row in rows}
        known = [value for value in values.values() if value is not None]
        if len(set(known)) < 2 or column.describes:
            return set()
        best = max(known) if column.higher_is_better else min(known)
        return {label for label, value in values.items() if value == best}

    def seconds(self, row: Row) -> list[float]:
        """Seconds of each picture of ``timed``."""
        return [scored.seconds for scored in self.timed(row)]

    def timed(self, row: Row) -> list[Scored]:
        """Each picture that every row that could colorize any could colorize."""
        shared = _in_all([set(other.results) for other in self.rows])
        return [row.results[index] for index in shared if index in row.results]

    @cached_property
    def shown_columns(self) -> tuple[Column, ...]:
        """The columns that any row has a value for."""
        return tuple(
            column for column in self.columns if any(self.summary(row, column).value is not None for row in self.rows)
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The pictures' paths without the folder that all share."""
        folders = [path.parent.as_posix() for path in self.pictures]
        if len({path.is_absolute() for path in self.pictures}) > 1:
            return tuple(map(shown, self.pictures))
        shared = os.path.commonpath(folders) if folders else ""
        return tuple(shown(path.relative_to(shared)) for path in self.pictures)

    @property
    def of_films(self) -> bool:
        return self.protocol.medium == "video"


def frame_rate(scored: Sequence[Scored]) -> float | None:
    """Frames a second; None where nothing took any time."""
    seconds = sum(clip.seconds for clip in scored)
    return sum(clip.frames for clip in scored) / seconds if seconds else None


def network_share(scored: Sequence[Scored]) -> float | None:
    """Part of the frames that the network saw; None where there are none."""
    frames = sum(clip.frames for clip in scored)
    return sum(clip.key_frames for clip in scored) / frames if frames else None


def _having(row: Row, label: str) -> set[int]:
    return {index for index, scored in row.results.items() if label in scored.scores}


def _in_all(sets: list[set[int]]) -> list[int]:
    """The indices that all non-empty sets share, in order."""
    full = [indices for indices in sets if indices]
    return sorted(set.intersection(*full)) if full else []


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(values: list[float]) -> float | None:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def number(value: float | None) -> float | str | None:
    """A score as JSON can hold it."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def shown(path: Path) -> str:
    """A path as text that any file can hold: what is not UTF-8 in it is replaced."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
