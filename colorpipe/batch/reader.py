"""Reading: jobs are opened, their frames decoded, placed and shrunk for the network."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from colorpipe import media
from colorpipe.batch.context import RunContext
from colorpipe.batch.journal import identity
from colorpipe.batch.places import find_place
from colorpipe.batch.record import complete_record
from colorpipe.batch.state import Item, JobState
from colorpipe.color.toned import is_in_colour
from colorpipe.errors import InputError
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.inference.extra import asks
from colorpipe.media.base import Provenance, Sink, Source
from colorpipe.media.parts import FilmPart
from colorpipe.pipeline.film import Decided, FilmMerger, FilmPlanner
from colorpipe.settings import MediaOptions
from colorpipe.types import Companion, Frame

if TYPE_CHECKING:
    from colorpipe.media.video.source import VideoSource

log = logging.getLogger(__name__)


class Reader:
    """Takes jobs until there are no more. One for each thread that reads."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._pipeline = context.pipeline

    def run(self) -> None:
        context = self._context
        while not context.stop.is_set():
            state = context.jobs.next()
            if state is None:
                return
            job = state.job
            with state.step("read"):
                if job.error:
                    raise InputError(job.error)
                if job.part is None:  # a part's place was settled with the whole film's
                    self._decide(state)
            if state.skipped and context.request.sidecar and not state.error:
                with state.step("read"):
                    complete_record(context, state)
            if not (state.skipped or state.error):
                self._read(state)
            context.ready.put(Item(state))

    def _decide(self, state: JobState) -> None:
        """Find a job's sidecar files and its place, and whether it is done."""
        context, job = self._context, state.job
        colorizer = type(self._pipeline.runtime.colorizer)
        state.sidecars = SidecarFiles.of(job.input, colorizer, context.request.hints)
        find_place(context, state)
        job = state.job
        sidecars = state.sidecars.identity
        state.notes += state.sidecars.remarks(job.input, self._pipeline.merge.saturation)
        if context.request.recipe.guides not in ({}, sidecars):
            raise InputError(
                f"{job.input}: its hint files are not the recipe's", hint="use those that it was made with"
            )
        state.skipped = context.is_done(context.journal(job), job.input, job.output, sidecars, state.notes)

    def _read(self, state: JobState) -> None:
        """All frames of a job, from where an earlier run stopped."""
        with contextlib.ExitStack() as stack:
            sink = None
            with state.step("read"):
                source = stack.enter_context(
                    media.open_source(state.job.input, self._context.session.media, state.job.preview)
                )
                frames = iter(source)
                if source.info.medium == "still":
                    frames = self._look_for_colour(state, frames)
                if not state.skipped:
                    sink = state.sink = self._open_sink(state, source)
            if state.error or sink is None:
                return
            if source.info.warning and state.job.part is None:
                log.warning("%s", source.info.warning)
            with self._context.lock:
                self._context.listener.job_started(state.job, source.info.frames)
            frames, companion = self._companion(state, frames)
            before = self._skip(state, frames, sink.start)
            film = source.info.medium == "video"
            distance = self._pipeline.merge.key_distance if film else None
            if distance is None:
                self._read_singly(state, frames, sink, companion)
            else:
                self._read_steadily(state, frames, sink, distance, companion, before)
            if source.has_colour:
                kept = "they stay where they are, the rest is colorized"
                lost = "they are replaced; --keep-colour leaves what is not grey as it is"
                state.notes.append(f"it has colours already: {kept if self._pipeline.merge.keep_colour else lost}")
            state.notes += source.info.notes
            if film and state.sidecars.frames and state.job.preview is not None:
                state.notes.append(
                    "hint and reference files are used here only where the preview has the frame that they name"
                )
            elif film and not state.error:
                state.notes += state.sidecars.notes(source.info.frames, distance is not None)

    def _companion(self, state: JobState, frames: Iterator[Frame]) -> tuple[Iterator[Frame], Companion | None]:
        """What belongs to the input, by its first frame, for a method that asks for it; and all frames again."""
        if not asks(self._pipeline.runtime.colorizer):
            return frames, None
        companion = None
        with state.step("read"):
            first = next(frames, None)
            if first is not None:
                companion = self._pipeline.companion_of(first, state.sidecars, state.job.result)
                frames = itertools.chain([first], frames)
        return frames, companion

    def _look_for_colour(self, state: JobState, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Count a still that is already in colour; skip it where only grey ones are wanted."""
        still = next(frames)
        if is_in_colour(still):
            with self._context.lock:
                self._context.in_colour += 1
            if self._context.request.only_grey:
                state.skipped = state.passed_over = True
        return itertools.chain([still], frames)

    def _open_sink(self, state: JobState, source: Source) -> Sink:
        job, session, sidecars = state.job, self._context.session, state.sidecars
        state.size = (source.info.width, source.info.height)
        if source.info.medium == "video":
            state.notes += sidecars.check((source.info.height, source.info.width), session.media)
            state.predictor_for = functools.lru_cache(2 * len(session.runtimes))(session.predictor_for)
        # The journal's word for them; it stays, or each film with hints would be made anew.
        guided = {"guides": sidecars.identity} if sidecars.identity else {}
        if job.part is None:
            state.source = identity(job.input, digest=job.preview is None) | guided
        else:
            state.source = {**job.part.source, **identity(job.input, digest=False)}
        key = None
        if job.preview is None:
            known = {name: state.source[name] for name in ("size", "sha256")}
            key = {"recipe": session.digest, **known, **guided}
        provenance = Provenance(session.digest_for(sidecars.identity)) if session.media.provenance else None
        if job.part is not None:
            return _part_sink(job.part, source, session.media, provenance, state.source, key)
        return media.open_sink(job.output, source, session.media, provenance, key)

    def _read_singly(self, state: JobState, frames: Iterator[Frame], sink: Sink, companion: Companion | None) -> None:
        last = _last(state, -1)
        while not state.error:
            prepared = None
            with state.step("read"):
                frame = next(frames, None)
                if frame is not None:
                    hinted = state.sidecars.hint_source(frame.index, self._pipeline.media)
                    reference = state.sidecars.references.get(frame.index)
                    if frame.pts is None:
                        reference = None  # a photo's own is with its companion
                    prepared = self._pipeline.prepare(frame, sink.encoding, hinted, reference, companion)
                    if hinted is not None and prepared.painted is None and frame.pts is None:
                        state.notes.append(state.sidecars.blank(frame.index))
            if prepared is None:
                break
            self._context.ready.put(Item(state, prepared.frame, prepared))
            if prepared.frame.index == last:
                break

    # large: what one film is read with
    def _read_steadily(
        self,
        state: JobState,
        frames: Iterator[Frame],
        sink: Sink,
        distance: int,
        companion: Companion | None,
        before: Sequence[Frame],
    ) -> None:
        """Frames with their place in the film; the network sees only key frames."""
        resumed = sink.state
        state.merger = FilmMerger(self._pipeline, resumed)
        planner = FilmPlanner(
            self._pipeline,
            state.sidecars,
            distance,
            state=resumed,
            target=sink.encoding,
            companion=companion,
            before=before,
        )
        ended, last = False, _last(state, 0)
        while not ended:
            decided: list[Decided] = []
            with state.step("read"):
                frame = next(frames, None)
                ended = frame is None
                start = time.perf_counter()
                decided = planner.finish() if frame is None else planner.push(frame)
                state.took("motion", start)
            for one in decided:
                with state.step("read"):
                    step = planner.view(one)
                if state.error:
                    return
                state.placed += one.span_step.oldest
                state.shots, state.key_frames = planner.shots, planner.key_frames
                self._context.ready.put(Item(state, one.frame, step.prepared, step=step))
                if one.frame.index == last:
                    return
            if state.error:
                return

    def _skip(self, state: JobState, frames: Iterator[Frame], count: int) -> Sequence[Frame]:
        """Pass over frames that an earlier run has written. They are decoded: seeking is exact in few containers.

        Returns the last of them, for a method with ``neighbours``.
        """
        last: deque[Frame] = deque(maxlen=self._pipeline.runtime.colorizer.neighbours)
        if count:
            state.notes.append(f"an earlier run had made {count} frames: this one went on from there")
        for _ in range(count):
            with state.step("read"):
                frame = next(frames, None)
                if frame is None and state.job.part is not None:
                    return ()  # the film ends before this part
                if frame is None:
                    raise InputError(f"{state.job.input}: fewer than the {count} frames that an earlier run has read")
                last.append(frame)
            if state.error or self._context.stop.is_set():
                return ()
            with self._context.lock:
                state.frames += 1
                self._context.listener.frame_skipped(state.job)
        return list(last)


def _last(state: JobState, beyond: int) -> int | None:
    """The number of the last frame that a part of a film needs; None where all are wanted.

    Args:
        beyond: Frames after the part's own, and one: steady colour needs the key frame that follows.
    """
    part = state.job.part
    return None if part is None or part.stop is None else part.stop + beyond


def _part_sink(
    part: FilmPart,
    source: Source,
    options: MediaOptions,
    provenance: Provenance | None,
    known: Mapping[str, Any],
    key: Mapping[str, Any] | None,
) -> Sink:
    from colorpipe.media.video.part_sink import PartSink

    if any(known[name] != part.source[name] for name in ("size", "mtime_ns")):
        raise InputError(f"{source.path} has changed since its parts were planned", hint="give the same command again")
    return PartSink(part, cast("VideoSource", source), options, provenance, key or {})
