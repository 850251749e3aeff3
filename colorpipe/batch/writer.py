"""Writing: chroma is put under the luma, frames are encoded, and a job's end is settled."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from colorpipe import color, files
from colorpipe.batch.channel import Channel
from colorpipe.batch.comparison import compare_film, compare_still
from colorpipe.batch.context import RunContext
from colorpipe.batch.facts import facts_of
from colorpipe.batch.record import write_record
from colorpipe.batch.state import Item, JobState, PendingFrame
from colorpipe.media.inputs import is_video
from colorpipe.media.video.half_made import forget
from colorpipe.pipeline.film import ColouredFrame
from colorpipe.temporal.flicker import FlickerMeter
from colorpipe.types import Frame, Outcome

RESERVE = 12
"""Frames of a film with steady colour that a writer keeps for when the network holds those after them up: half a second
at 1080p, which is what a large network takes for a key frame on one core."""


def keep_dates(source: Path, result: Path) -> None:
    """The source's times of change and of last access for the result. Not every file system takes them."""
    with contextlib.suppress(OSError):
        status = os.stat(source)
        os.utime(result, ns=(status.st_atime_ns, status.st_mtime_ns))


class Writer:
    """Takes what its channel brings until the end. One for each thread that writes; a job stays with its writer."""

    def __init__(self, context: RunContext, channel: Channel[Item | None]) -> None:
        self._context, self._channel = context, channel
        self._pipeline = context.pipeline
        self._settled: deque[PendingFrame] = deque()
        """A key frame settles many frames at once. They are written one for each that comes, so that reading goes on,
        and the last of them when none comes."""

    def run(self) -> None:
        color.warm_up()
        with ThreadPoolExecutor(1) as merger:
            while True:
                while self._settled and self._channel.empty():
                    self._write_first(merger)
                item = self._channel.get()
                if item is None:
                    return
                if item.state.error is None:
                    with item.state.step("write"):
                        self._settled += self._settle(item)
                if item.frame is None:
                    while self._settled:
                        self._write_first(merger)
                    self._end(item.state)
                elif len(self._settled) > (RESERVE if item.state.merger else 0):
                    self._write_first(merger)

    def _settle(self, item: Item) -> list[PendingFrame]:
        """The frames whose chroma is known with this one, or with the end of its film."""
        state, merger = item.state, item.state.merger
        if merger is None:
            if item.prepared is None or item.ab is None:
                return []
            ab, view_size = self._pipeline.crop_chroma(item.prepared, item.ab)
            return [PendingFrame(state, ColouredFrame(item.prepared.frame, ab, view_size))]
        start = time.perf_counter()
        coloured = merger.finish() if item.step is None else merger.push(item.step, item.ab)
        state.took("carry", start)
        return [PendingFrame(state, one) for one in coloured]

    def _write_first(self, merger: ThreadPoolExecutor) -> None:
        """Write the first of them. The next one is merged while it is encoded."""
        pending = self._settled.popleft()
        if self._settled and self._settled[0].merged is None:
            following = self._settled[0]
            self._settled[0] = dataclasses.replace(following, merged=merger.submit(self._merge, following))
        self._write(pending)

    def _merge(self, pending: PendingFrame) -> Frame:
        coloured = pending.coloured
        return self._pipeline.merge_chroma(coloured.frame, coloured.ab, coloured.view_size)

    def _write(self, pending: PendingFrame) -> None:
        state, context = pending.state, self._context
        if state.error or state.sink is None:
            return
        with state.step("write"):
            result = self._merge(pending) if pending.merged is None else pending.merged.result()
            state.sink.write(result, pending.coloured.state)
            if result.encoding.family == "yuv":
                self._measure(state, pending.coloured)
            if context.request.compare and result.encoding.family == "rgb":
                compare_still(context, state, result)
            state.frames += 1
            with context.lock:
                if state.merger is not None:
                    context.listener.film_told(state.job, state.shots, state.key_frames / state.placed)
                context.listener.frame_done(state.job)

    def _measure(self, state: JobState, coloured: ColouredFrame) -> None:
        """Follow a film's colour from frame to frame."""
        state.flicker = state.flicker or FlickerMeter()
        state.flicker.add(coloured.ab, coloured.frame.luma, coloured.frame.encoding.bits, state.frames)

    def _end(self, state: JobState) -> None:
        """Put the result in its place, or leave nothing that counts, and tell."""
        context, job = self._context, state.job
        if state.sink is not None:
            self._close(state)
        elif state.skipped and not state.passed_over:
            forget(job.output, job.input)
        if context.request.compare and not (state.error or state.passed_over) and is_video(job.output):
            compare_film(context, state)
        if state.lock is not None:
            state.lock.release()
        state.seconds["total"] = time.perf_counter() - state.started
        outcome = self._outcome(state)
        with context.lock:
            context.jobs.ended(state, outcome)
            if state.error and job.part is None:
                context.failed.append((job, outcome))
            context.listener.job_done(job, outcome)
        if state.error and context.request.fail_fast:
            context.stop.set()

    def _close(self, state: JobState) -> None:
        sink, job = state.sink, state.job
        assert sink is not None
        with state.step("write"):
            if not state.error:
                if job.part is not None:  # the whole film is recorded, once it is there
                    sink.commit()
                    state.notes += sink.notes
                    return
                journal = self._context.journal(job)
                journal.begin(job.input, job.output)
                sink.commit()
                if self._context.request.keep_dates:
                    keep_dates(job.input, job.output)
                digest = files.sha256(job.output)
                if self._context.request.sidecar:
                    write_record(self._context, state, digest)
                journal.done(job.input, job.output, state.source, digest, facts_of(state, sink.notes))
                sink.tidy()
        if state.error:
            with state.step("write"):
                sink.abort()
                if sink.kept:
                    state.notes.append(f"{sink.kept} frames are kept: the same command goes on from there")
        state.notes += sink.notes

    def _outcome(self, state: JobState) -> Outcome:
        status: Literal["done", "skipped", "failed"] = "skipped" if state.skipped else "done"
        return Outcome(
            input=state.job.input,
            status="failed" if state.error else status,
            output=None if state.error or state.passed_over else state.job.output,
            width=state.size[0],
            height=state.size[1],
            frames=state.frames,
            shots=state.shots,
            key_frames=state.key_frames,
            seconds=state.seconds,
            device=self._context.session.recipe.device,
            notes=tuple(state.notes),
            error=state.error,
            error_type=state.error_type,
            hint=state.hint,
        )
