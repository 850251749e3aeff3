"""The request of a run, and the listener that follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from colorpipe.batch.bag import PAYLOAD
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.settings import INT8_LIMIT

if TYPE_CHECKING:
    from colorpipe.batch.shard import Shard
    from colorpipe.media.inputs import Job
    from colorpipe.media.passed import Passed
    from colorpipe.types import Outcome, Recipe


@dataclass(frozen=True)
class RunRequest:
    """The inputs of a run and what to do with them."""

    inputs: Sequence[str | Path]
    recipe: Recipe
    output: Path | None = None
    """A folder, or one file for one input; None is ``colorized/``."""
    hints: Path | None = None
    """Hint file of a single input; for a film, of its first frame. If None, hint files beside each input are used."""
    reference: Path | None = None
    require_gpu: bool = False
    batch: int | None = None
    """Pictures a network call; None chooses by device."""
    jobs: int | None = None
    """Inputs in work at once; None is the number of processors, at most 8."""
    overwrite: bool = False
    fail_fast: bool = False
    compare: bool = False
    """Write also ``NAME.compare.jpg``, or for a film ``NAME.compare.EXT``, beside each result: before and after."""
    only_grey: bool = False
    """Pass over stills that are in colour already."""
    only: Path | None = None
    """A list of names: of all inputs, only those are worked on (``batch.selection``)."""
    keep_dates: bool = False
    """Give each result its source's time of change."""
    save_recipe: Callable[[str], None] | None = None
    """Receives the recipe as JSON, with all settings in effect, before the first picture."""
    worker: bool = False
    """This is a piece of a larger run: say nothing of the whole."""
    cluster: str | None = None
    """Work on a Ray cluster: its address, or ``auto``."""
    sidecar: bool = False
    """Write also ``NAME.EXT.colorpipe.json`` beside each result: digests, recipe, weights, label."""
    bag: bool = False
    """Make the output folder a BagIt bag: results go into ``data`` in it."""
    shard: Shard | None = None
    """Only this part of the inputs."""
    forget: bool = False
    """Give outcomes to the listener alone, and an empty list at the end: a million of them are a gigabyte."""
    int8_limit: float = INT8_LIMIT
    """Mean dE2000 to exact colours above which ``precision="int8"`` is refused."""
    preview: float | None = None
    """Make only so many seconds of each film, spread over its length, as ``NAME.preview.EXT``; None makes the whole."""

    @property
    def root(self) -> Path:
        """The folder of the journal, or one result's file."""
        return DEFAULT_OUTPUT if self.output is None else self.output

    @property
    def results(self) -> Path:
        """The folder that mirrors the inputs, or one result's file."""
        return self.root / PAYLOAD if self.bag else self.root


class Listener(Protocol):
    """Receives the events of a run, from several threads, one call at a time."""

    def passed_over(self, passed: Passed) -> None:
        """Receives the other files found in the folders, before anything is started."""

    def started(self, jobs: int) -> None: ...
    def used(self, device: str, precision: str, weights: str) -> None: ...
    def job_started(self, job: Job, frames: int | None) -> None: ...
    def frame_skipped(self, job: Job) -> None:
        """A frame of a film that an earlier run made; all of them come before the first ``frame_done``."""

    def frame_done(self, job: Job) -> None: ...
    def film_told(self, job: Job, shots: int, share: float) -> None:
        """Shots so far, and the share of the frames that the network saw, among those that this run made."""

    def comparison_started(self, job: Job, frames: int | None) -> None:
        """The film is done; ``frame_done`` goes on with its frames beside their grey."""

    def job_done(self, job: Job, outcome: Outcome) -> None: ...


class NullListener:
    """A listener that does nothing."""

    def passed_over(self, passed: Passed) -> None: ...
    def started(self, jobs: int) -> None: ...
    def used(self, device: str, precision: str, weights: str) -> None: ...
    def job_started(self, job: Job, frames: int | None) -> None: ...
    def frame_skipped(self, job: Job) -> None: ...
    def frame_done(self, job: Job) -> None: ...
    def film_told(self, job: Job, shots: int, share: float) -> None: ...
    def comparison_started(self, job: Job, frames: int | None) -> None: ...
    def job_done(self, job: Job, outcome: Outcome) -> None: ...
