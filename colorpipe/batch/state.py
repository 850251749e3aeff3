"""The jobs in work, and the frames on their way through the threads of a run."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.batch.output_lock import OutputLock
from colorpipe.color import Float
from colorpipe.errors import ColorpipeError, PluginError
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.media.base import Sink
from colorpipe.media.inputs import Job
from colorpipe.pipeline.film import ColouredFrame, FilmMerger, FilmStep
from colorpipe.pipeline.frame import Prepared
from colorpipe.temporal.flicker import FlickerMeter
from colorpipe.types import Frame

if TYPE_CHECKING:
    from colorpipe.pipeline.runtimes import AnyRuntime

log = logging.getLogger(__name__)


@dataclass
class JobState:
    """One job in work. Its reader, the network's thread and its writer touch it in turn; the first error ends it."""

    index: int
    job: Job
    sink: Sink | None = None
    lock: OutputLock | None = None
    source: dict[str, Any] | None = None
    """The input's identity when it was opened."""
    sidecars: SidecarFiles = field(default_factory=SidecarFiles)
    predictor_for: Callable[[Path, AnyRuntime], Callable[..., list[Float]]] | None = None
    """``Session.predictor_for``, with a cache of its latest results: enough for two shots at once on each device."""
    skipped: bool = False
    passed_over: bool = False
    """Skipped, and without a result."""
    error: str | None = None
    error_type: str | None = None
    hint: str | None = None
    size: tuple[int | None, int | None] = (None, None)
    frames: int = 0
    shots: int = 0
    key_frames: int = 0
    placed: int = 0
    """Frames that have a place in a shot."""
    confidences: list[float] = field(default_factory=list)
    """Mean confidence, 0..1, of each frame that the network saw, where the method tells one."""
    flicker: FlickerMeter | None = None
    """Of a film; None for pictures."""
    merger: FilmMerger | None = None
    """The merger of a film with steady colour."""
    traced: set[str] = field(default_factory=set)
    """Kinds of errors whose traceback was logged; all jobs of a run share it."""
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "predict": 0.0, "write": 0.0})

    @contextlib.contextmanager
    def step(self, stage: str) -> Iterator[None]:
        """Times a stage; an error inside becomes this job's."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            self.fail(error)
        finally:
            self.took(stage, start)

    def took(self, stage: str, start: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def fail(self, error: Exception) -> None:
        """Note that this input fails; the others go on. An unexpected error is a bug: its traceback is logged."""
        reason, hint = str(error), error.hint if isinstance(error, ColorpipeError) else ""
        if isinstance(error, MemoryError):
            width, height = self.size
            hint = "close other programs, or set --jobs 1"
            reason = f"{self.job.input}: not enough memory for {width} x {height} pixels; {hint}"
        elif not isinstance(error, ColorpipeError):
            self._trace(error)
            reason = f"{self.job.input}: unexpected {type(error).__name__}: {error}"
        elif isinstance(error, PluginError) and error.__cause__ is not None:
            self._trace(error.__cause__)
        if self.error is None:
            self.error, self.error_type = reason, type(error).__name__
            self.hint = hint or None

    def _trace(self, error: BaseException) -> None:
        """Keep the traceback of an error, once for each kind: a plugin's fault repeats on every picture."""
        last = traceback.extract_tb(error.__traceback__)[-1:]
        kind = f"{type(error).__name__} in {[(frame.filename, frame.lineno) for frame in last]}"
        if kind not in self.traced:
            self.traced.add(kind)
            log.error("unexpected error on %s (others like it are told in one line)", self.job.input, exc_info=error)


@dataclass(frozen=True)
class Item:
    """A frame of a job; without one, the job's end."""

    state: JobState
    frame: Frame | None = None
    prepared: Prepared | None = None
    """The input for the network; None where the network is not needed."""
    ab: Float | None = None
    """The predicted chroma; None until it is predicted."""
    step: FilmStep | None = None
    """The frame's place in a film with steady colour; the frame comes once for each of its spans."""


@dataclass(frozen=True)
class PendingFrame:
    """A frame whose chroma is settled, on its way to the sink."""

    state: JobState
    coloured: ColouredFrame
    merged: Future[Frame] | None = None
    """The frame with its colour, where that was begun ahead of time."""
