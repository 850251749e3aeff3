"""Jobs -> outcomes: many inputs through one session, reading, predicting and writing at the same time.

Readers decode and shrink, the calling thread runs the network, or a thread for each of several devices does, writers
merge and encode. Queues between them are short, so that memory does not grow with the number of inputs or the length of
a film. One input's failure is its own. A run that is stopped, or killed, is taken up by the next one: pictures that are
done are skipped, films go on after their last whole segment.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2

from colorpipe.batch.calibration import examples
from colorpipe.batch.channel import Stopped
from colorpipe.batch.context import RunContext
from colorpipe.batch.device_pool import DevicePool
from colorpipe.batch.memory import spare_memory
from colorpipe.batch.network import Dispatcher
from colorpipe.batch.output_check import check_reachable, check_writable
from colorpipe.batch.reader import Reader
from colorpipe.batch.request import Listener, NullListener, RunRequest
from colorpipe.batch.writer import Writer
from colorpipe.errors import InputError
from colorpipe.guidance.sidecars import strays
from colorpipe.inference.devices import COMPILE_FROM, describe
from colorpipe.media.inputs import DEFAULT_OUTPUT, Job, find_inputs, is_video, plan
from colorpipe.media.passed import Passed
from colorpipe.pipeline.session import Session
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome

log = logging.getLogger(__name__)


def run(request: RunRequest, host: PluginHost, listener: Listener | None = None) -> list[Outcome]:
    """Colorize every input and tell each one's fate, in the order of the inputs.

    Raises:
        ColorpipeError: nothing was started: an input that is not there, an output that cannot be written to, an unknown
            plugin, weights that are missing.
        KeyboardInterrupt: after everything that was half done has been cleaned away. Whole segments of films stay in a
            hidden folder, and the next call goes on after them.
    """
    jobs, passed = prepare(request)
    spare_memory(any(is_video(job.input) for job in jobs))
    session = session_for(request, host)
    if request.recipe.precision == "int8":
        session.calibrate(examples(jobs, session.media), request.int8_limit)
    if request.save_recipe is not None:
        request.save_recipe(session.pinned().to_json() + "\n")
    listener = listener or NullListener()
    listener.passed_over(passed)
    return _Run(RunContext(request, session, jobs, listener), jobs).go()


def prepare(request: RunRequest) -> tuple[list[Job], Passed]:
    """Inputs and where their results go, with the output looked at; and what folders hold besides.

    Raises:
        UsageError, OutputError: nothing could be started.
    """
    check_reachable(request.output)
    passed = Passed()
    found = find_inputs(request.inputs, exclude=request.output or DEFAULT_OUTPUT, passed=passed)
    codec = request.recipe.settings.get("codec", "libx264")

    def video_suffix(path: Path) -> str:
        from colorpipe.media.video.ways import output_suffix  # PyAV costs a tenth of a second; photos do not need it

        return output_suffix(path, codec)

    jobs = plan(found, request.output, video_suffix, request.preview, request.compare)
    check_writable(request.output, jobs, overwrite=request.overwrite)
    _tell_strays(request, jobs)
    return jobs, passed


def session_for(request: RunRequest, host: PluginHost) -> Session:
    """The session of a request."""
    return Session(
        request.recipe,
        batch=request.batch,
        require_gpu=request.require_gpu,
        host=host,
        reference=request.reference,
    )


def _tell_strays(request: RunRequest, jobs: Sequence[Job]) -> None:
    """Hint files in the folders that were named which belong to no input there."""
    named = [Path(argument).resolve() for argument in request.inputs if Path(argument).is_dir()]
    inputs: dict[Path, set[str]] = {}
    for job in jobs:
        folder = job.input.parent.resolve()
        if any(folder == one or one in folder.parents for one in named):
            inputs.setdefault(folder, set()).add(job.input.stem)
    for folder, stems in inputs.items():
        with contextlib.suppress(InputError):  # a folder that cannot be looked into fails with its inputs
            for stray in strays(folder, frozenset(stems)):
                log.warning("%s was not used: no picture or film there has its name", stray)


class _Run:
    """The threads of one call of ``run``."""

    def __init__(self, context: RunContext, jobs: Sequence[Job]) -> None:
        self._context, self._jobs = context, jobs
        self._devices = DevicePool(context.session)
        self._crash: BaseException | None = None

    def go(self) -> list[Outcome]:
        context = self._context
        self._announce()
        with _quiet_libraries(films=any(is_video(job.input) for job in self._jobs)):
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
        if self._crash is not None:
            raise self._crash
        self._tell_of_colour()
        return context.jobs.outcomes

    def _announce(self) -> None:
        """Tell the listener what is used, and the runtimes how much will come."""
        session, listener = self._context.session, self._context.listener
        listener.started(len(self._jobs))
        self._warn_of_replacing()
        # The network sees few frames of a film with steady colour, one by one.
        every = session.merge.key_distance is None
        long = [every and is_video(job.input) and job.preview is None for job in self._jobs]
        for one in session.runtimes:
            one.expect(sum(COMPILE_FROM if many else 1 for many in long))
        runtime = session.pipeline.runtime
        precision = runtime.precision + (f" ({runtime.reason})" if runtime.reason else "")
        devices = ", ".join(describe(one.device) for one in session.runtimes)
        listener.used(devices, precision, session.recipe.weights or "none")

    def _warn_of_replacing(self) -> None:
        """Say before the start how many results of other settings this run replaces, and how to keep both."""
        context = self._context
        if context.request.overwrite:
            return
        jobs = [job for job in self._jobs if not job.error]
        count = sum(context.journal(job).is_of_another_recipe(job.input, job.output) for job in jobs)
        if count:
            root = context.request.output or DEFAULT_OUTPUT
            results = "1 result" if count == 1 else f"{count} results"
            log.warning(
                "%s in %s made with other settings will be replaced; to keep both, give another folder to -o",
                results,
                root,
            )

    def _tell_of_colour(self) -> None:
        """Once for all of an album."""
        count, only_grey = self._context.in_colour, self._context.request.only_grey
        if count:
            pictures = "1 picture was" if count == 1 else f"{count} pictures were"
            done = "passed over" if only_grey else "given new colours; --only-grey passes over such"
            log.info("%s in colour already: %s", pictures, done)

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
