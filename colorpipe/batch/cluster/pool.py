"""Workers as Ray actors: as many as the cluster has room for, each with one task at a time, made anew when they die."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from colorpipe.batch.cluster.tasks import Answer, Facts, Setup, Task
from colorpipe.errors import ColorpipeError, UsageError, oneline

log = logging.getLogger(__name__)
CORES = 4
"""Cores of a worker, at most: networks gain little from more, and more workers hide reading and writing."""
_STORE = 100 << 20
"""Bytes of object store of a cluster that is started here: paths need next to none."""
_LOOK = 5.0
"""Seconds between looks at whether machines have come."""
_KNOCK = 10.0
"""Seconds that a cluster may take to take a connection."""
_STILLBORN = 10
"""Workers that may end before any has started."""
_PATIENCE = 60.0
"""Seconds without any worker after which it is said, once."""


def ray_module() -> Any:
    """Ray, where it is installed.

    Raises:
        UsageError: it is not.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of it
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("--cluster needs Ray, which is not installed", hint="pip install 'colorpipe[ray]'") from None
    return ray


def _knock(address: str) -> None:
    """Whether anything listens there: Ray itself would try for minutes.

    Raises:
        UsageError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
        except (OSError, OverflowError) as error:
            raise _silent(address, oneline(error)) from None


def _silent(address: str, reason: str) -> UsageError:
    return UsageError(f"--cluster {address}: no Ray cluster answers: {reason}", hint="`ray start --head` starts one")


class _Talk(io.TextIOBase):
    """Takes what Ray prints on standard output about workers that died: that is for results, and the driver sees to
    the workers."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.strip())
        return len(text)


class Pool:
    """The workers of a run. A context manager: leaving it ends them.

    Args:
        address: Of a running cluster; ``auto`` takes the one that this machine belongs to, or starts one here.

    Raises:
        UsageError: no cluster answers there.
    """

    def __init__(self, address: str) -> None:
        self._ray = ray_module()
        self._silence = contextlib.redirect_stdout(_Talk())
        self._ours = not self._ray.is_initialized()
        self.where = "the running Ray cluster"
        if self._ours:
            self.where = self._connect(address)
        self._starting: dict[Any, Any] = {}
        """Answers to come -> actors that load their networks."""
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._idle: list[Any] = []
        self._looked = self._heard = time.monotonic()
        self._told = False
        self._stillborn = 0
        self.facts: Facts | None = None
        """Of the first worker that was ready."""

    def _connect(self, address: str) -> str:
        _knock(address)
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            self._ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address != "auto":
                reason = str(error).strip().partition("\n")[0]
                raise _silent(address, reason) from None
            self._ray.init(address="local", include_dashboard=False, object_store_memory=_STORE, **quiet)
            return "a Ray cluster of this machine alone: none was running"
        return f"the Ray cluster at {self._ray.get_runtime_context().gcs_address}"

    def __enter__(self) -> Pool:
        self._silence.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for actor in (*self._starting.values(), *(actor for actor, _ in self._busy.values()), *self._idle):
            self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()
        self._silence.__exit__(None, None, None)

    def set_up(self, setup: Setup) -> None:
        """Start workers, one for each GPU, or for each few cores where there is none."""
        self._setup = setup
        self._grow()

    @property
    def size(self) -> int:
        """Workers that the cluster has room for, at least one."""
        return max(1, sum(self._slots()))

    def _slots(self) -> Iterator[int]:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = any(resources.get("GPU") for resources in nodes)
        for resources in nodes:
            yield int(resources.get("GPU", 0)) if gpus else -(-int(resources.get("CPU", 0)) // CORES)

    @property
    def cores(self) -> int:
        """Cores that each worker gets."""
        most = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        return max(1, min([CORES, *(count for count in most if count)]))

    def _grow(self) -> None:
        from colorpipe.batch.cluster.worker import Worker

        gpu = self._ray.cluster_resources().get("GPU", 0) > 0
        actor = self._ray.remote(Worker).options(
            num_cpus=self._setup.cores, num_gpus=1 if gpu else 0, max_restarts=0, max_task_retries=0
        )
        while len(self._starting) + len(self._busy) + len(self._idle) < self.size:
            worker = actor.remote(self._setup)
            self._starting[worker.start.remote()] = worker

    @property
    def idle(self) -> bool:
        """Whether a worker waits for a task."""
        return bool(self._idle)

    @property
    def busy(self) -> int:
        """Tasks in work."""
        return len(self._busy)

    def give(self, task: Task) -> None:
        """Let an idle worker do it."""
        worker = self._idle.pop()
        self._busy[worker.do.remote(task)] = worker, task

    def wait(self, seconds: float) -> list[tuple[Task, Answer | None]]:
        """The tasks that have ended; None for one whose worker died.

        Raises:
            ColorpipeError: a worker cannot do this run at all, as its session says.
        """
        ready, _ = self._ray.wait([*self._starting, *self._busy], num_returns=1, timeout=seconds)
        if ready:
            asked = [*self._starting, *self._busy]
            ready, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
        ended = []
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            else:
                ended.append(self._ended(reference))
        now = time.monotonic()
        if self._idle or self._busy:
            self._heard = now
        elif now - self._heard > _PATIENCE and not self._told:
            self._told = True
            log.warning("no worker has started within %d s: is there a machine with free cores?", _PATIENCE)
        if ready or now - self._looked > _LOOK:
            self._looked = now
            self._grow()
        return ended

    def _started(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            facts = self._result(reference)
        except self._ray.exceptions.RayActorError:
            self._stillborn += 1
            if self.facts is None and self._stillborn >= _STILLBORN:
                raise UsageError(
                    f"{_STILLBORN} workers ended before they had started",
                    hint="is colorpipe installed on all machines, and is there memory enough for the network?",
                ) from None
            return  # another is made
        if self.facts is None:
            self.facts = facts
        elif facts.digest != self.facts.digest:
            raise UsageError(
                f"the worker on {facts.node} has other versions or weights than the one on {self.facts.node}: results "
                "would differ",
                hint="install the same colorpipe, plugins and weights on all machines",
            )
        self._idle.append(worker)

    def _ended(self, reference: Any) -> tuple[Task, Answer | None]:
        worker, task = self._busy.pop(reference)
        try:
            answer: Answer = self._result(reference)
        except self._ray.exceptions.RayActorError:
            self._ray.kill(worker)
            return task, None
        self._idle.append(worker)
        return task, answer

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ColorpipeError):
                raise error.cause from None
            raise
