"""Before and after, side by side, for ``--compare``."""

from __future__ import annotations

import dataclasses
import logging
import time

import numpy as np

from colorpipe import files, media
from colorpipe.batch.channel import Stopped
from colorpipe.batch.context import RunContext
from colorpipe.batch.journal import identity
from colorpipe.batch.state import JobState
from colorpipe.errors import ColorpipeError, OutputError
from colorpipe.types import Frame

log = logging.getLogger(__name__)


def compare_still(context: RunContext, state: JobState, result: Frame) -> None:
    """Write a picture beside its grey. A failure is only a note, since the picture itself is done."""
    if result.colour is None:
        return
    job, path = state.job, state.job.comparison
    luma = np.hstack([result.luma, result.luma])
    planes = tuple(np.hstack([result.luma, plane]) for plane in result.colour)
    frame = dataclasses.replace(result, luma=luma, colour=planes, alpha=None)
    try:
        journal = context.journal(job, "comparison")
        context.is_done(journal, job.input, path)
        journal.begin(job.input, path)
        with media.open_still_sink(path, context.session.media) as sink:
            sink.write(frame)
        journal.done(job.input, path, identity(job.input, digest=False))
    except OutputError as error:
        state.notes.append(f"no comparison was made: {error}")


def compare_film(context: RunContext, state: JobState) -> None:
    """Write a film that is done beside its grey. That it cannot be made is a note: the film is there.

    Raises:
        Stopped: the run was stopped.
    """
    from colorpipe.media.video.side_by_side import write_comparison

    job, start = state.job, time.perf_counter()
    film, path = job.output, job.comparison

    def begin(frames: int | None) -> None:
        with context.lock:
            context.listener.comparison_started(job, frames)

    def step() -> None:
        if context.stop.is_set():
            raise Stopped
        with context.lock:
            context.listener.frame_done(job)

    try:
        files.sweep(path, everything=True)  # whoever holds the lock on the film writes its comparison
        journal = context.journal(job, "comparison")
        # The owner was settled with the film's own place: in a moved folder, the film's path differs.
        if journal.state(film, path) != "another" and context.is_done(journal, film, path, notes=state.notes):
            return
        journal.begin(film, path)
        notes = write_comparison(film, path, context.session.media, begin, step)
        journal.done(film, path, identity(film, digest=False))
        state.notes += [f"the comparison: {note}" for note in notes if note not in state.notes]
    except Stopped:
        raise
    except Exception as error:
        if not isinstance(error, ColorpipeError):
            log.error("unexpected error on the comparison of %s", film, exc_info=error)
        state.notes.append(f"no comparison was made: {error}")
    finally:
        state.took("compare", start)
