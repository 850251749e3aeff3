"""Jobs -> outcomes: many inputs through one session, reading, predicting and writing at the same time.

Readers decode and shrink, the calling thread runs the network, or a thread for each of several devices does, writers
merge and encode. Queues between them are short, so that memory does not grow with the number of inputs or the length of
a film. One input's failure is its own. A run that is stopped, or killed, is taken up by the next one: pictures that are
done are skipped, films go on after their last whole segment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from colorpipe import color, files, media
from colorpipe.batch.device_pool import Answers, Devices
from colorpipe.batch.journal import Journal, identity
from colorpipe.batch.output_lock import Claim, holder
from colorpipe.batch.state import POLL, Channel, Coloured, Item, Stopped, Task
from colorpipe.color import Float
from colorpipe.errors import ColorpipeError, InputError, OutputError
from colorpipe.guidance.sidecars import Guides, strays
from colorpipe.inference import runtime
from colorpipe.media.base import Provenance, Sink
from colorpipe.media.inputs import DEFAULT_OUTPUT, Job, find_inputs, is_video, plan
from colorpipe.pipeline.session import Session
from colorpipe.plugins.host import PluginHost
from colorpipe.temporal import Lead, Strands, Turn, Weaver, shrink, unpacked
from colorpipe.types import Frame, Outcome, Recipe

log = logging.getLogger(__name__)
AHEAD = 4
"""Frames that wait for a writer."""
RESERVE = 12
"""Frames of a film with steady colour that a writer keeps for when the network holds those after them up: half a second
at 1080p, which is what a large network takes for a key frame on one core."""
WAIT = 0.25
"""Seconds between looks at whether another run has finished a result that it is making."""


@dataclass(frozen=True)
class RunRequest:
    """What ``colorpipe run`` was asked for."""

    inputs: Sequence[str | Path]
    recipe: Recipe
    output: Path | None = None
    """A folder, or one file for one input; None is ``colorized/``."""
    hints: Path | None = None
    """For a single input, of a film for its first frame; otherwise hint files are looked for beside each input."""
    reference: Path | None = None
    require_gpu: bool = False
    batch: int | None = None
    """Pictures a network call; None chooses by device."""
    jobs: int | None = None
    """Inputs in work at once; None is the number of processors, at most 8."""
    overwrite: bool = False
    fail_fast: bool = False
    compare: bool = False
    """Beside each result, also ``NAME.compare.jpg``, or for a film ``NAME.compare.EXT``: before and after."""
    preview: float | None = None
    """Of each film only so many seconds, spread over its length, as ``NAME.preview.EXT``; None makes the whole."""


class Listener(Protocol):
    """Is told what happens, from several threads, one call at a time."""

    def started(self, jobs: int) -> None: ...
    def used(self, device: str, precision: str, weights: str) -> None: ...
    def job_started(self, job: Job, frames: int | None) -> None: ...
    def frame_skipped(self, job: Job) -> None:
        """A frame of a film that an earlier run made; all of them come before the first ``frame_done``."""

    def frame_done(self, job: Job) -> None: ...
    def film_told(self, job: Job, shots: int, share: float) -> None:
        """Shots so far, and the share of the frames that the network saw: those that this run made."""

    def comparison_started(self, job: Job, frames: int | None) -> None:
        """The film is done; ``frame_done`` goes on with its frames beside their grey."""

    def job_done(self, job: Job, outcome: Outcome) -> None: ...


class Silent:
    """A listener that keeps quiet."""

    def started(self, jobs: int) -> None: ...
    def used(self, device: str, precision: str, weights: str) -> None: ...
    def job_started(self, job: Job, frames: int | None) -> None: ...
    def frame_skipped(self, job: Job) -> None: ...
    def frame_done(self, job: Job) -> None: ...
    def film_told(self, job: Job, shots: int, share: float) -> None: ...
    def comparison_started(self, job: Job, frames: int | None) -> None: ...
    def job_done(self, job: Job, outcome: Outcome) -> None: ...


def run(request: RunRequest, host: PluginHost, listener: Listener | None = None) -> list[Outcome]:
    """Colorize every input and tell each one's fate, in the order of the inputs.

    Raises:
        ColorpipeError: nothing was started: an input that is not there, an unknown plugin, weights that are missing.
        KeyboardInterrupt: after everything that was half done has been cleaned away; of films, whole segments stay in a
            hidden folder, and the next call goes on after them.
    """
    found = find_inputs(request.inputs, exclude=request.output or DEFAULT_OUTPUT)
    codec = request.recipe.settings.get("codec", "libx264")

    def video_suffix(path: Path) -> str:
        from colorpipe.media.video.remux import output_suffix  # PyAV costs a tenth of a second; photos do not need it

        return output_suffix(path, codec)

    jobs = plan(found, request.output, video_suffix, request.preview, request.compare)
    _tell_strays(request, jobs)
    runtime.spare_memory(any(is_video(job.input) for job in jobs))
    session = Session(
        request.recipe,
        batch=request.batch,
        require_gpu=request.require_gpu,
        host=host,
        reference=request.reference,
    )
    return _Run(request, session, jobs, listener or Silent()).go()


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
    """One call of ``run``: its threads and what lies between them."""

    def __init__(self, request: RunRequest, session: Session, jobs: Sequence[Job], listener: Listener) -> None:
        self.request, self.session, self.jobs = request, session, jobs
        self.pipeline, self.runtime = session.pipeline, session.pipeline.runtime
        self.devices = Devices(session)
        self.digest = session.digest
        self.lanes = max(1, min(request.jobs or min(8, os.cpu_count() or 1), len(jobs)))
        self.stop = threading.Event()
        self.ready: Channel[Item] = Channel(2 * self.runtime.at_once + 2, self.stop)
        self.results: list[Channel[Item | None]] = [Channel(AHEAD, self.stop) for _ in range(self.lanes)]
        self.lock = threading.Lock()
        self.pending = deque(Task(index, job) for index, job in enumerate(jobs))
        self.claimed_elsewhere: deque[Task] = deque()
        """Results that another run is making: looked at again when all else has been begun."""
        self.in_work: dict[int, Task] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.journals: dict[tuple[Path, str], Journal] = {}
        self.listener = listener
        self.crash: BaseException | None = None

    def go(self) -> list[Outcome]:
        recipe = self.session.recipe
        self.listener.started(len(self.jobs))
        # of a film with steady colour the network sees few frames, one by one
        every = self.session.merge.key_distance is None
        long = [every and is_video(job.input) and job.preview is None for job in self.jobs]
        for one in self.session.runtimes:
            one.expect(sum(runtime.COMPILE_FROM if many else 1 for many in long))
        precision = self.runtime.precision + (f" ({self.runtime.reason})" if self.runtime.reason else "")
        devices = ", ".join(runtime.describe(one.device) for one in self.session.runtimes)
        self.listener.used(devices, precision, recipe.weights or "none")
        cv2_threads = cv2.getNumThreads()
        if any(is_video(job.input) for job in self.jobs):
            # Motion is many short calls; handing each to a second thread, on cores that encode, takes longer than it.
            cv2.setNumThreads(1)
        gc.freeze()  # the libraries' many objects stay; looking through them now and then takes 1% of a film's time
        threads = [self._thread(self._read) for _ in range(self.lanes)]
        threads += [self._thread(self._write, channel) for channel in self.results]
        try:
            self._predict()
            for ended in threads:
                ended.wait()
        except Stopped:
            pass  # a thread crashed, or the first failure ends the run
        finally:
            self.stop.set()
            for ended in threads:
                ended.wait()
            cv2.setNumThreads(cv2_threads)
            gc.unfreeze()
            for task in self.in_work.values():
                if task.sink is not None:
                    task.sink.abort()
                if task.claim is not None:
                    task.claim.release()
            self.devices.close()
        if self.crash is not None:
            raise self.crash
        return [self.outcomes[index] for index in sorted(self.outcomes)]

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Event:
        """Starts a thread and gives what is set when it has ended: before Python 3.13, ``join`` takes a thread for one
        that has ended once Ctrl-C interrupts it."""
        ended = threading.Event()

        def guarded() -> None:
            try:
                work(*arguments)
            except Stopped:
                pass
            except BaseException as error:  # a bug in the runner itself surfaces in the caller, with its traceback
                self.crash = error
                self.stop.set()
            finally:
                ended.set()

        threading.Thread(target=guarded, daemon=True).start()
        return ended

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self.stop.is_set():
            task = self._next_task()
            if task is None:
                return
            with task.step("read"):
                if task.job.error:
                    raise InputError(task.job.error)
                task.guides = Guides.of(task.job.input, type(self.runtime.colorizer), self.request.hints)
                told = task.guides.identity
                task.notes += task.guides.remarks(task.job.input, self.session.merge.saturation)
                if self.request.recipe.guides not in ({}, told):
                    raise InputError(
                        f"{task.job.input}: its hint files are not the recipe's", hint="use those that it was made with"
                    )
                task.skipped = self._is_done(self._journal(task.job), task.job.input, task.job.output, told)
            if not (task.skipped or task.error):
                self._read_frames(task)
            self.ready.put(Item(task))

    def _next_task(self) -> Task | None:
        """The next job whose result nobody else makes at the moment; None when there are no more."""
        while not self.stop.is_set():
            with self.lock:
                fresh = bool(self.pending)
                if not (fresh or self.claimed_elsewhere):
                    return None
                task = (self.pending if fresh else self.claimed_elsewhere).popleft()
            output = task.job.output
            if not fresh:
                self.stop.wait(WAIT)
            claim = None if task.job.error else Claim.take(output)
            with self.lock:
                if claim is not None or task.job.error:
                    task.claim, task.started = claim, time.perf_counter()
                    self.in_work[task.index] = task
                    return task
                self.claimed_elsewhere.append(task)
            if fresh:
                log.warning("%s is being made by %s; waiting for it to end", output, holder(output))
        return None

    def _is_done(self, journal: Journal, source: Path, output: Path, guides: Mapping[str, str] | None = None) -> bool:
        if self.request.overwrite:
            return False
        state = journal.state(source, output, guides)
        if state == "foreign":
            raise OutputError(f"{output} exists and was not made by colorpipe", hint="--overwrite replaces it")
        return state == "done"

    def _read_frames(self, task: Task) -> None:
        job, options = task.job, self.session.media
        with contextlib.ExitStack() as stack:
            with task.step("read"):
                source = stack.enter_context(media.open_source(job.input, options, job.preview))
                task.size = (source.info.width, source.info.height)
                provenance = Provenance(self.session.digest_for(task.guides.identity)) if options.provenance else None
                film = source.info.medium == "video"
                if film:
                    task.notes += task.guides.check((source.info.height, source.info.width), options)
                    task.led = functools.lru_cache(2 * len(self.devices))(self.session.led_by)
                guided = {"guides": task.guides.identity} if task.guides.frames else {}
                task.source = identity(job.input, digest=job.preview is None) | guided
                key = None
                if job.preview is None:
                    known = {name: task.source[name] for name in ("size", "sha256")}
                    key = {"recipe": self.digest, **known, **guided}
                sink = media.open_sink(job.output, source, options, provenance, key)
                task.sink = sink
                frames = iter(source)
            if task.error:
                return
            with self.lock:
                self.listener.job_started(job, source.info.frames)
            self._skip(task, frames, sink.start)
            distance = self.session.merge.key_distance if film else None
            if distance is None:
                self._read_singly(task, frames, sink)
            else:
                self._read_steadily(task, frames, sink, distance)
            task.notes += source.info.notes
            if film and task.guides.frames and job.preview is not None:
                task.notes.append("hint and reference files count here only where the preview has the frame they name")
            elif film and not task.error:
                task.notes += task.guides.notes(source.info.frames, distance is not None)

    def _read_singly(self, task: Task, frames: Iterator[Frame], sink: Sink) -> None:
        while not task.error:
            prepared = None
            with task.step("read"):
                frame = next(frames, None)
                if frame is not None:
                    hinted = task.guides.hint_source(frame.index, self.session.media)
                    reference = task.guides.references.get(frame.index)
                    prepared = self.pipeline.prepare(frame, sink.encoding, hinted, reference)
                    if hinted is not None and prepared.painted is None and frame.pts is None:
                        task.notes.append(task.guides.blank(frame.index))
            if prepared is None:
                break
            self.ready.put(Item(task, prepared.frame, prepared))

    def _read_steadily(self, task: Task, frames: Iterator[Frame], sink: Sink, distance: int) -> None:
        """Frames with their place in the film; only key frames are looked at by the network."""
        waiting: deque[Frame] = deque()
        task.weaver = Weaver(sink.state)
        lead = Lead(task.guides, self.session.media, unpacked(sink.state)[1] if sink.state else b"")
        strands = Strands(distance, task.guides.frames, lead, bool(sink.state))
        ended = False
        while not ended:
            decided: list[list[Turn]] = []
            with task.step("read"):
                frame = next(frames, None)
                ended = frame is None
                start = time.perf_counter()
                if frame is None:
                    decided = strands.finish()
                else:
                    if frame.metadata.extra.get("cut"):
                        decided = strands.finish()
                    waiting.append(self.pipeline.restore(frame, sink.encoding))
                    decided += strands.push(shrink(waiting[-1].luma, frame.encoding.bits), frame.index)
                task.took("motion", start)
            for turns in decided:
                frame = waiting.popleft()
                task.placed += 1
                for turn in turns:
                    prepared, lead = None, strands.lead(turn)
                    if turn.asked:
                        with task.step("read"):
                            prepared = self.pipeline.look(frame, lead.hints, lead.reference)
                    task.shots += turn.oldest and turn.step.first
                    task.key_frames += prepared is not None
                    packed = lead.packed() if turn.step.key else b""
                    self.ready.put(Item(task, frame, prepared, turn=turn, lead=packed))
            if task.error:
                return

    def _skip(self, task: Task, frames: Iterator[Frame], count: int) -> None:
        """Pass over frames that an earlier run has written. They are decoded: seeking is exact in few containers."""
        if count:
            task.notes.append(f"an earlier run had made {count} frames: this one went on from there")
        for _ in range(count):
            with task.step("read"):
                if next(frames, None) is None:
                    raise InputError(f"{task.job.input}: fewer than the {count} frames that an earlier run has read")
            if task.error or self.stop.is_set():
                return
            with self.lock:
                task.frames += 1
                self.listener.frame_skipped(task.job)

    # --- the network -------------------------------------------------------------------------------------------------

    def _predict(self) -> None:
        """What comes goes to the network, and on to the writers in the order in which it came."""
        asked: deque[tuple[list[Item], Future[Answers]]] = deque()
        ended = 0
        while ended < len(self.jobs):
            items = self._gather(len(self.jobs) - ended, wait=not asked)
            ended += sum(item.frame is None for item in items)
            if any(item.prepared is not None for item in items):
                asked.append((items, self.devices.ask(items)))
            elif asked:
                asked[-1][0].extend(items)  # they wait for those before them
            else:
                self._hand_on(items, {})
            # One call more than there are devices: what their frames take is all that grows with the devices.
            while asked and (asked[0][1].done() or len(asked) > len(self.devices) or ended == len(self.jobs)):
                items, call = asked.popleft()
                self._hand_on(items, self._answers(call))
        for channel in self.results:
            channel.put(None)

    def _gather(self, ends: int, *, wait: bool) -> list[Item]:
        """What one call of the network is for; nothing where nothing comes for a moment and there is no ``wait``.

        Args:
            ends: Of tasks, that are still to come.
        """
        item = self.ready.get() if wait else self.ready.get_soon()
        items = [] if item is None else [item]
        while item is not None:
            ends -= item.frame is None
            asked = sum(item.prepared is not None for item in items)
            # Frames of a film with steady colour are passed on at once: its key frames come far apart.
            if not asked or asked >= self.runtime.at_once or not ends or item.turn is not None:
                break
            item = self.ready.get_soon()
            if item is not None:
                items.append(item)
        return items

    def _answers(self, call: Future[Answers]) -> Answers:
        while not call.done():
            if self.stop.is_set():
                raise Stopped
            wait([call], POLL)
        return call.result()

    def _hand_on(self, items: Sequence[Item], answers: Answers) -> None:
        chroma: dict[int, Float] = {}
        for index, (answer, seconds) in answers.items():
            items[index].task.seconds["predict"] += seconds
            if isinstance(answer, Exception):
                items[index].task.fail(answer)
            else:
                chroma[index] = answer
        for index, item in enumerate(items):
            self.results[item.task.index % self.lanes].put(dataclasses.replace(item, ab=chroma.get(index)))

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self, channel: Channel[Item | None]) -> None:
        color.warm_up()
        # A key frame settles many frames at once. They are written one for each that comes, so that reading goes on,
        # and the last of them when none comes.
        settled: deque[Coloured] = deque()
        with ThreadPoolExecutor(1) as merger:
            while True:
                while settled and channel.empty():
                    self._put_first(settled, merger)
                item = channel.get()
                if item is None:
                    return
                if item.task.error is None:
                    with item.task.step("write"):
                        settled += self._settle(item)
                if item.frame is None:
                    while settled:
                        self._put_first(settled, merger)
                    self._end(item.task)
                elif len(settled) > (RESERVE if item.task.weaver else 0):
                    self._put_first(settled, merger)

    def _put_first(self, settled: deque[Coloured], merger: ThreadPoolExecutor) -> None:
        """Write the first of them. While it is encoded, the next one is merged."""
        coloured = settled.popleft()
        if settled and settled[0].merged is None:
            settled[0] = dataclasses.replace(settled[0], merged=merger.submit(self._merge, settled[0]))
        self._put(coloured)

    def _merge(self, coloured: Coloured) -> Frame:
        return self.pipeline.lay(coloured.frame, coloured.ab, coloured.via)

    def _settle(self, item: Item) -> list[Coloured]:
        """The frames whose chroma is known with this one, or with the end of its film."""
        task, frame = item.task, item.frame
        ab, via = (
            (None, (0, 0)) if item.ab is None or item.prepared is None else self.pipeline.part(item.prepared, item.ab)
        )
        if task.weaver is None:
            return [] if frame is None or ab is None else [Coloured(task, frame, ab, via)]
        start = time.perf_counter()
        if item.turn is None or frame is None:
            settled = task.weaver.finish()
        else:
            settled = task.weaver.push(item.turn, ab, item.lead)
            if item.turn.newest:
                task.held.append(frame)
        coloured = [Coloured(task, task.held.popleft(), ab, ab.shape[:2], state) for ab, state in settled]
        task.took("carry", start)
        return coloured

    def _put(self, coloured: Coloured) -> None:
        task = coloured.task
        if task.error or task.sink is None:
            return
        with task.step("write"):
            result = self._merge(coloured) if coloured.merged is None else coloured.merged.result()
            task.sink.write(result, coloured.state)
            if self.request.compare and result.encoding.family == "rgb":
                self._compare(task.job, result)
            task.frames += 1
            with self.lock:
                if task.weaver is not None:
                    self.listener.film_told(task.job, task.shots, task.key_frames / task.placed)
                self.listener.frame_done(task.job)

    def _compare(self, job: Job, result: Frame) -> None:
        if result.colour is None:
            return
        luma = np.hstack([result.luma, result.luma])
        planes = tuple(np.hstack([result.luma, plane]) for plane in result.colour)
        frame = dataclasses.replace(result, luma=luma, colour=planes, alpha=None)
        with media.open_still_sink(job.comparison, self.session.media) as sink:
            sink.write(frame)

    def _compare_film(self, task: Task) -> None:
        """A film that is done, beside its grey. That it cannot be made is a note: the film is there."""
        from colorpipe.media.video.side_by_side import write_comparison

        job, start = task.job, time.perf_counter()
        film, path = job.output, job.comparison

        def begin(frames: int | None) -> None:
            with self.lock:
                self.listener.comparison_started(job, frames)

        def step() -> None:
            if self.stop.is_set():
                raise Stopped
            with self.lock:
                self.listener.frame_done(job)

        try:
            files.sweep(path, everything=True)  # whoever has the claim to the film writes its comparison
            journal = self._journal(job, "comparison")
            if self._is_done(journal, film, path):
                return
            journal.begin(film, path)
            notes = write_comparison(film, path, self.session.media, begin, step)
            journal.done(film, path, identity(film, digest=False))
            task.notes += [f"the comparison: {note}" for note in notes if note not in task.notes]
        except Stopped:
            raise
        except Exception as error:
            if not isinstance(error, ColorpipeError):
                log.error("unexpected error on the comparison of %s", film, exc_info=error)
            task.notes.append(f"no comparison was made: {error}")
        finally:
            task.took("compare", start)

    def _end(self, task: Task) -> None:
        """Put the result in its place, or leave nothing that counts, and tell."""
        job = task.job
        if task.sink is not None:
            with task.step("write"):
                if not task.error:
                    journal = self._journal(job)
                    journal.begin(job.input, job.output)
                    task.sink.commit()
                    journal.done(job.input, job.output, task.source)
                    task.sink.tidy()
            if task.error:
                with task.step("write"):
                    task.sink.abort()
                    if task.hopeless:
                        task.sink.tidy()
                    elif task.sink.kept:
                        task.notes.append(f"{task.sink.kept} frames are kept: the same command goes on from there")
            task.notes += task.sink.notes
        elif task.skipped:
            files.remove(files.working_folder(job.output))  # of a run that was killed at its last step
        if self.request.compare and not task.error and is_video(job.output):
            self._compare_film(task)
        if task.claim is not None:
            task.claim.release()
        status = "failed" if task.error else "skipped" if task.skipped else "done"
        task.seconds["total"] = time.perf_counter() - task.started
        outcome = Outcome(
            input=task.job.input,
            status=status,  # type: ignore[arg-type]
            output=None if task.error else task.job.output,
            width=task.size[0],
            height=task.size[1],
            frames=task.frames,
            shots=task.shots,
            key_frames=task.key_frames,
            seconds=task.seconds,
            device=self.session.recipe.device,
            notes=tuple(task.notes),
            error=task.error,
        )
        with self.lock:
            self.in_work.pop(task.index, None)
            self.outcomes[task.index] = outcome
            self.listener.job_done(task.job, outcome)
        if task.error and self.request.fail_fast:
            self.stop.set()

    def _journal(self, job: Job, what: str = "") -> Journal:
        """Of the folder that a result goes to.

        Args:
            what: The recipe makes it besides the result itself.
        """
        root = self.request.output or DEFAULT_OUTPUT
        folder = root if root in job.output.parents else job.output.parent
        preview = "" if job.preview is None else f"preview {job.preview:g}"
        key = folder, " ".join(filter(None, (self.digest, preview, what)))
        with self.lock:
            if key not in self.journals:
                self.journals[key] = Journal(*key)
            return self.journals[key]
