"""A worker: one session in a process of its own, on any machine that sees the same folders. Knows nothing of Ray."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from colorpipe.batch.cluster.film_plan import write_plan
from colorpipe.batch.cluster.tasks import Answer, Chunk, Facts, JoinFilm, Known, MakePart, PlanFilm, Setup, Task
from colorpipe.batch.context import RunContext
from colorpipe.batch.journal import NAME
from colorpipe.batch.journal_index import Index
from colorpipe.batch.journals import Journals
from colorpipe.batch.memory import spare_memory
from colorpipe.batch.preparation import session_for
from colorpipe.batch.request import NullListener
from colorpipe.batch.threads import Threads
from colorpipe.errors import OutputError, UsageError
from colorpipe.inference.devices import describe
from colorpipe.media.video.part_sink import assemble, frames_of
from colorpipe.plugins.host import PluginHost


class Worker:
    """Does one task after the other. Whatever it is killed in, another worker does again, and results are the same."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._read: dict[Path, Index] = {}

    def start(self) -> Facts:
        """Load the network.

        Raises:
            ColorpipeError: it cannot be done here: no such folder, plugin, weights or device.
        """
        try:
            os.chdir(self._setup.folder)
        except OSError as error:
            raise UsageError(
                f"worker on {socket.gethostname()}: cannot enter {self._setup.folder}: {error.strerror}",
                hint="all machines of a cluster need the same folders at the same paths",
            ) from None
        torch.set_num_threads(self._setup.cores)
        spare_memory()
        request = self._setup.request
        self._session = session_for(request, PluginHost.load(self._setup.plugins))
        runtime = self._session.pipeline.runtime
        return Facts(
            digest=self._session.digest,
            name=self._session.recipe.device,
            device=", ".join(describe(one.device) for one in self._session.runtimes),
            precision=runtime.precision + (f" ({runtime.reason})" if runtime.reason else ""),
            weights=self._session.recipe.weights or "none",
            recipe=self._session.pinned().to_json() if request.save_recipe is not None else "",
            node=socket.gethostname(),
        )

    def do(self, task: Task) -> Answer:
        """Any task; a fault of an input is in the answer, never raised."""
        answer = Answer()
        with _logged(answer.logged):
            if isinstance(task, Chunk):
                self._make(task, answer)
            elif isinstance(task, PlanFilm):
                journals = self._journals(task.known)
                overwrite = self._setup.request.overwrite
                answer.parted = write_plan(self._session, journals, task.job, overwrite, task.file)
            elif isinstance(task, MakePart):
                self._make_part(task, answer)
            else:
                self._join(task, answer)
        return answer

    def _make(self, chunk: Chunk, answer: Answer, *, compare: bool = True) -> None:
        request = self._setup.request
        if not compare:
            request = dataclasses.replace(request, compare=False)
        self._journals(chunk.known)
        context = RunContext(request, self._session, chunk, NullListener(), self._read)
        answer.outcomes = Threads(context, chunk).go()
        answer.in_colour = context.in_colour

    def _make_part(self, task: MakePart, answer: Answer) -> None:
        part = task.job.part
        assert part is not None
        if frames_of(part, task.key) is None:
            nothing = Known(task.job.output.parent, 0, ())
            self._make(Chunk((task.job,), nothing, films=1), answer, compare=False)
            (outcome,) = answer.outcomes
            answer.outcomes, answer.error = [], outcome.error

    def _join(self, task: JoinFilm, answer: Answer) -> None:
        try:
            assemble(task.parts, task.key)
        except (OutputError, OSError, ValueError, KeyError) as error:
            answer.error = str(error)
            return
        self._make(task.chunk, answer)

    def _journals(self, known: Known) -> Journals:
        """The journals, with what the driver knows."""
        if known.folder not in self._read:
            self._read[known.folder] = Index(known.folder / NAME, known.seen)
        self._read[known.folder].take(list(known.lines))
        return Journals(self._setup.request, self._session.digest, self._read, self._session.engine)


@contextmanager
def _logged(told: list[tuple[int, str]]) -> Iterator[None]:
    """Collects what is logged, for the driver to say."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append((record.levelno, self.format(record)))

    logger, handler = logging.getLogger("colorpipe"), Collector(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
