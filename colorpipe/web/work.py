"""Work that takes longer than an answer: one piece at a time, with its progress, and a way to stop it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from colorpipe.errors import ColorpipeError, UsageError, oneline

log = logging.getLogger(__name__)


class WorkStoppedError(ColorpipeError):
    """Somebody stopped the work; what was finished stays."""


class BusyError(UsageError):
    """Other work is going on."""


@dataclass
class Work:
    """One piece of work. Its own thread changes it; others read it."""

    number: int
    kind: Literal["save", "scan", "preview"]
    items: tuple[int, ...]
    item: int | None = None
    """The one in work."""
    done: int = 0
    total: int = 0
    frames: int = 0
    of_frames: int | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    state: Literal["running", "done", "failed", "stopped"] = "running"
    error: str | None = None
    asked_to_stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises WorkStoppedError where somebody wants it to end."""
        if self.asked_to_stop.is_set():
            raise WorkStoppedError("stopped", hint="the same again goes on from there")

    def told(self) -> dict[str, Any]:
        """Ready for JSON."""
        seconds = time.monotonic() - self.started if self.state == "running" else self.seconds
        return {
            "id": self.number,
            "kind": self.kind,
            "items": list(self.items),
            "item": self.item,
            "done": self.done,
            "total": self.total,
            "frames": self.frames,
            "of_frames": self.of_frames,
            "seconds": round(seconds, 2),
            "state": self.state,
            "error": self.error,
        }


class WorkBench:
    """Takes one piece of work at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._count = 0
        self.last: Work | None = None
        """The piece in work, else the one that ended last."""

    def start(self, kind: Literal["save", "scan", "preview"], items: Sequence[int], do: Callable[[Work], None]) -> Work:
        """Begin, in a thread of its own.

        Raises:
            BusyError: another piece is in work.
        """
        with self._lock:
            if self.last is not None and self.last.state == "running":
                raise BusyError("other work is going on", hint="wait for its end, or stop it")
            self._count += 1
            work = self.last = Work(self._count, kind, tuple(items), total=len(items))
            self._thread = threading.Thread(target=self._run, args=(work, do), name=kind, daemon=True)
            self._thread.start()
        return work

    @staticmethod
    def _run(work: Work, do: Callable[[Work], None]) -> None:
        state: Literal["done", "failed", "stopped"] = "done"
        try:
            do(work)
        except WorkStoppedError:
            state = "stopped"
        except ColorpipeError as error:
            state, work.error = "failed", str(error)
        except Exception as error:  # a bug: the page is told in a line, the terminal in full
            log.exception("unexpected error while working on a %s", work.kind)
            state, work.error = "failed", f"unexpected {type(error).__name__}: {oneline(error)}"
        if work.asked_to_stop.is_set() and state == "failed":
            state = "stopped"
        work.seconds = time.monotonic() - work.started
        work.state = state

    def stop(self) -> None:
        """Ask the piece in work to end; it does so after its next frame."""
        if self.last is not None:
            self.last.asked_to_stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Until nothing is in work; False where that takes longer."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()
