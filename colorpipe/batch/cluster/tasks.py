"""What goes between the driver and its workers: paths, never pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colorpipe.batch.journal_index import Line
from colorpipe.batch.request import RunRequest
from colorpipe.media.inputs import Job
from colorpipe.media.parts import FilmPart
from colorpipe.types import Outcome


@dataclass(frozen=True)
class Setup:
    """The same for all workers of a run."""

    request: RunRequest
    plugins: tuple[Path, ...]
    """Files and folders of plugins besides those that are installed."""
    folder: Path
    """The driver's current folder, which relative paths are relative to."""
    cores: int


@dataclass(frozen=True)
class Facts:
    """What a worker is."""

    digest: str
    """Of the recipe: the same on all workers, or results would differ."""
    name: str
    """The device, as outcomes tell it."""
    device: str
    """The device, described for a person."""
    precision: str
    weights: str
    recipe: str
    """As ``--save-recipe`` writes it."""
    node: str


@dataclass(frozen=True)
class Known:
    """What the driver has read of the journal that concerns a task, so that no worker reads a million lines."""

    folder: Path
    seen: int
    """Bytes of the journal that the driver has read."""
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Chunk:
    """Some jobs. It is what ``Jobs`` says."""

    jobs: tuple[Job, ...]
    known: Known
    planned: frozenset[Path] = frozenset()
    """Other inputs' places among those that these jobs' results may have to go to."""
    films: int = 0

    def is_planned(self, output: Path) -> bool:
        return output in self.planned or any(job.output == output for job in self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)


@dataclass(frozen=True)
class PlanFilm:
    """Find where a film can be parted, line by line into ``file``."""

    job: Job
    known: Known
    file: Path


@dataclass(frozen=True)
class MakePart:
    """Make one part of a film."""

    job: Job
    """With ``part``; its output is the part's."""
    key: Mapping[str, Any]
    """What decides the film's result: see ``VideoSink``."""


@dataclass(frozen=True)
class JoinFilm:
    """Put the parts together, and do what is left."""

    chunk: Chunk
    """Of the film's job alone."""
    parts: tuple[FilmPart, ...]
    key: Mapping[str, Any]


Task = Chunk | PlanFilm | MakePart | JoinFilm


@dataclass
class Answer:
    """What a task led to."""

    outcomes: list[Outcome] = field(default_factory=list)
    in_colour: int = 0
    """Stills that were in colour before."""
    logged: list[tuple[int, str]] = field(default_factory=list)
    """Levels and texts of what the worker logged."""
    parted: bool = True
    """Of ``PlanFilm``: False where the film is to be made in one piece."""
    error: str | None = None
    """Of ``MakePart``: why it could not be made."""
