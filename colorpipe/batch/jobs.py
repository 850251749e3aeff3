"""The order of the jobs, the jobs in progress, and the outcome of each."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from colorpipe.batch.output_lock import OutputLock, holder
from colorpipe.batch.state import JobState
from colorpipe.media.inputs import Job
from colorpipe.types import Outcome

log = logging.getLogger(__name__)
WAIT = 0.25
"""Seconds between looks at whether another run has finished a result that it is making."""


class Jobs(Protocol):
    """The jobs of a run, a ``Plan`` for one."""

    @property
    def films(self) -> int:
        """Inputs that are films by their names."""

    def is_planned(self, output: Path) -> bool:
        """Whether this is the place of an input's result, here or in another part of the same job."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Job]: ...


class JobQueue:
    """The jobs of a run, given to readers one by one, each with the lock on its result.

    Args:
        lock: Guards what the threads share.
        stop: Set when the run stops.
        forget: Keep no outcomes.
    """

    def __init__(self, jobs: Jobs, lock: threading.Lock, stop: threading.Event, *, forget: bool = False) -> None:
        self._lock, self._stop, self._forget = lock, stop, forget
        traced: set[str] = set()
        self._pending = (JobState(index, job, traced=traced) for index, job in enumerate(jobs))
        self._made_elsewhere: deque[JobState] = deque()
        """Jobs whose results another run is making: checked again when all other jobs have begun."""
        self._in_work: dict[int, JobState] = {}
        self._outcomes: dict[int, Outcome] = {}

    def next(self) -> JobState | None:
        """The next job whose result no other run is making; None when there are no more."""
        while not self._stop.is_set():
            with self._lock:
                pending = next(self._pending, None)
                fresh = pending is not None
                if pending is None and not self._made_elsewhere:
                    return None
                state = pending or self._made_elsewhere.popleft()
            output = state.job.output
            if not fresh:
                self._stop.wait(WAIT)
            lock = None if state.job.error else OutputLock.take(output)
            with self._lock:
                if lock is not None or state.job.error:
                    state.lock, state.started = lock, time.perf_counter()
                    self._in_work[state.index] = state
                    return state
                self._made_elsewhere.append(state)
            if fresh:
                log.warning("%s is being made by %s; waiting for it to end", output, holder(output))
        return None

    def ended(self, state: JobState, outcome: Outcome) -> None:
        """Must be called under the lock."""
        self._in_work.pop(state.index, None)
        if not self._forget:
            self._outcomes[state.index] = outcome

    def abort(self) -> None:
        """Discard the unfinished results of the jobs in progress, and release their locks."""
        for state in self._in_work.values():
            if state.sink is not None:
                state.sink.abort()
            if state.lock is not None:
                state.lock.release()

    @property
    def outcomes(self) -> list[Outcome]:
        """All outcomes, in the order of the inputs; none where they are not kept."""
        return [self._outcomes[index] for index in sorted(self._outcomes)]
