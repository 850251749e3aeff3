"""The threads of one run.

Readers decode and shrink, the calling thread runs the network, or a thread for each of several devices does, writers
merge and encode. Queues between them are short, so that memory does not grow with the number of inputs or the length of
a film. One input's failure is its own.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import Callable, Iterator

import cv2

from colorpipe.batch.channel import Stopped
from colorpipe.batch.context import RunContext
from colorpipe.batch.device_pool import DevicePool
from colorpipe.batch.jobs import Jobs
from colorpipe.batch.journal import Journal
from colorpipe.batch.network import Dispatcher
from colorpipe.batch.reader import Reader
from colorpipe.batch.request import RunRequest
from colorpipe.batch.writer import Writer
from colorpipe.inference.devices import COMPILE_FROM, describe
from colorpipe.media.inputs import Job
from colorpipe.types import Outcome

log = logging.getLogger(__name__)


class Threads:
    """The threads of one call of ``run``."""

    def __init__(self, context: RunContext, jobs: Jobs) -> None:
        self._context, self._jobs = context, jobs
        self._devices = DevicePool(context.session)
        self._crash: BaseException | None = None

    def go(self) -> list[Outcome]:
        context = self._context
        self._announce()
        with _quiet_libraries(films=self._jobs.films > 0):
            threads = [self._thread(Reader(context).run) for _ in range(context.lanes)]
            threads += [self._thread(Writer(context, channel).run) for channel in context.results]
            try:
                Dispatcher(context, self._devices).run()
                for ended in threads:
                    ended.wait()
            except Stopped:
                pass  # a thread crashed, or the first failure ends the run
            finally:
                context.stop.set()
                for ended in threads:
                    ended.wait()
                context.jobs.abort()
                self._devices.close()
                context.record_failures()
        if self._crash is not None:
            raise self._crash
        if not context.request.worker:
            tell_of_colour(context.in_colour, context.request.only_grey)
        return context.jobs.outcomes

    def _announce(self) -> None:
        """Tell the listener what is used, and the runtimes how much will come."""
        session, listener = self._context.session, self._context.listener
        listener.started(len(self._jobs))
        if not self._context.request.worker:
            warn_of_replacing(self._context.journal, self._context.request, self._jobs)
        # The network sees few frames of a film with steady colour, one by one.
        every = session.merge.key_distance is None
        long = self._jobs.films if every and self._context.request.preview is None else 0
        for one in session.runtimes:
            one.expect(long * COMPILE_FROM + len(self._jobs) - long)
        runtime = session.pipeline.runtime
        precision = runtime.precision + (f" ({runtime.reason})" if runtime.reason else "")
        devices = ", ".join(describe(one.device) for one in session.runtimes)
        listener.used(devices, precision, session.recipe.weights or "none")

    def _thread(self, work: Callable[[], None]) -> threading.Event:
        """Start a thread; return an event set on exit.

        Before Python 3.13, Ctrl-C during ``join`` marks a live thread as finished.
        """
        ended = threading.Event()

        def guarded() -> None:
            try:
                work()
            except Stopped:
                pass
            except BaseException as error:  # a bug in the runner itself surfaces in the caller, with its traceback
                self._crash = error
                self._context.stop.set()
            finally:
                ended.set()

        threading.Thread(target=guarded, daemon=True).start()
        return ended


def warn_of_replacing(journal: Callable[[Job], Journal], request: RunRequest, jobs: Jobs) -> None:
    """Say before the start how many results of other settings this run replaces, and how to keep both."""
    if request.overwrite:
        return
    first = next(iter(jobs))
    if not (first.exact or request.preview or journal(first).has_other_recipes()):
        return
    wanted = (job for job in jobs if not job.error)
    count = sum(journal(job).is_of_another_recipe(job.input, job.output) for job in wanted)
    if count:
        results = "1 result" if count == 1 else f"{count} results"
        log.warning(
            "%s in %s made with other settings will be replaced; to keep both, give another folder to -o",
            results,
            request.results,
        )


def tell_of_colour(count: int, only_grey: bool) -> None:
    """Once for all of an album.

    Args:
        count: Pictures that were in colour before.
    """
    if count:
        pictures = "1 picture was" if count == 1 else f"{count} pictures were"
        done = "passed over" if only_grey else "given new colours; --only-grey passes over such"
        log.info("%s in colour already: %s", pictures, done)


@contextlib.contextmanager
def _quiet_libraries(*, films: bool) -> Iterator[None]:
    """Settings of OpenCV and of Python's memory for the time of a run."""
    cv2_threads = cv2.getNumThreads()
    if films:
        # Motion is many short calls; handing each to a second thread, on cores that encode, takes longer than it.
        cv2.setNumThreads(1)
    gc.freeze()  # the libraries' many objects stay; looking through them now and then takes 1% of a film's time
    try:
        yield
    finally:
        cv2.setNumThreads(cv2_threads)
        gc.unfreeze()
