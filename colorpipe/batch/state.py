"""What lies between the threads of a run: the queues, the jobs in work, and the frames on their way."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from colorpipe.batch.output_lock import Claim
from colorpipe.color import Float
from colorpipe.errors import ColorpipeError, InputError
from colorpipe.guidance.sidecars import Guides
from colorpipe.inference.runtime import Runtime
from colorpipe.media.base import Sink
from colorpipe.media.inputs import Job
from colorpipe.pipeline.frame import Prepared
from colorpipe.temporal import Turn, Weaver
from colorpipe.types import Frame

log = logging.getLogger(__name__)
ItemT = TypeVar("ItemT")
POLL = 0.05
"""Seconds between looks at whether the run was stopped, while waiting on a queue."""


class Stopped(Exception):  # noqa: N818 - no error: it ends a wait
    """The run was stopped while a thread waited."""


class Channel(Generic[ItemT]):
    """A bounded queue whose waits end when the run stops."""

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[ItemT] = queue.Queue(size)
        self._stop = stop

    def put(self, item: ItemT) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=POLL)
        raise Stopped

    def empty(self) -> bool:
        return self._queue.empty()

    def get(self) -> ItemT:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=POLL)
        raise Stopped

    def get_soon(self) -> ItemT | None:
        """The next item, or None when none comes for a moment."""
        with contextlib.suppress(queue.Empty):
            return self._queue.get(timeout=POLL)
        return None


@dataclass
class Task:
    """One job in work. Its reader, the network's thread and its writer touch it in turn; the first error ends it."""

    index: int
    job: Job
    sink: Sink | None = None
    claim: Claim | None = None
    source: dict[str, Any] | None = None
    """The input's identity when it was opened."""
    guides: Guides = field(default_factory=Guides)
    led: Callable[[Path, Runtime], Callable[..., list[Float]]] | None = None
    """``Session.led_by``, which keeps what was learned last: two shots' at once, for each device."""
    skipped: bool = False
    error: str | None = None
    hopeless: bool = False
    """The input itself is at fault: there is nothing to go on with next time."""
    size: tuple[int | None, int | None] = (None, None)
    frames: int = 0
    shots: int = 0
    key_frames: int = 0
    placed: int = 0
    """Frames that have a place in a shot."""
    weaver: Weaver | None = None
    """Of a film with steady colour."""
    held: deque[Frame] = field(default_factory=deque)
    """Frames that wait for their colour."""
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "predict": 0.0, "write": 0.0})

    @contextlib.contextmanager
    def step(self, stage: str) -> Iterator[None]:
        """Times a stage; an error inside becomes this task's."""
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
        """This input fails, the others go on. What is not ours is a bug, here or in a plugin: its traceback is kept."""
        reason = str(error)
        self.hopeless = self.hopeless or isinstance(error, InputError)
        if isinstance(error, MemoryError):
            width, height = self.size
            reason = f"{self.job.input}: not enough memory for {width} x {height} pixels; close other programs, or set "
            reason += "--jobs 1"
        elif not isinstance(error, ColorpipeError):
            log.error("unexpected error on %s", self.job.input, exc_info=error)
            reason = f"{self.job.input}: unexpected {type(error).__name__}: {error}"
        self.error = self.error or reason


@dataclass(frozen=True)
class Item:
    """A frame of a task; without one, the task's end."""

    task: Task
    frame: Frame | None = None
    prepared: Prepared | None = None
    """For the network; None where it is not asked."""
    ab: Float | None = None
    """There once it was predicted."""
    turn: Turn | None = None
    """The frame's place in a film with steady colour; it comes once for each of its turns."""
    lead: bytes = b""
    """What leads the network there."""


@dataclass(frozen=True)
class Coloured:
    """A frame whose chroma is settled."""

    task: Task
    frame: Frame
    ab: Float
    via: tuple[int, int]
    """The size of the view that the chroma comes from."""
    state: bytes | None = b""
    """For ``Sink.write``."""
    merged: Future[Frame] | None = None
    """With its colour, where that was begun ahead of its turn."""
