"""Queues between the threads of a run."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
POLL = 0.05
"""Seconds between looks at whether the run was stopped, while waiting on a queue."""


class Stopped(Exception):  # noqa: N818 - no error: it ends a wait
    """The run was stopped while a thread waited."""


class Channel(Generic[ItemT]):
    """A bounded queue whose waits end when the run stops.

    Raises:
        Stopped: from ``put`` and ``get``, when the run was stopped.
    """

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
        """The next item, or None if none comes for a moment."""
        with contextlib.suppress(queue.Empty):
            return self._queue.get(timeout=POLL)
        return None
