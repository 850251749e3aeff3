"""Choice of a result's place if it may not replace another source's result."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from colorpipe.batch.context import RunContext
from colorpipe.batch.output_lock import OutputLock
from colorpipe.batch.state import JobState
from colorpipe.files import working_folder
from colorpipe.media.inputs import Job, is_video
from colorpipe.media.video.half_made import half_made

MOST_NUMBERS = 10
"""Numbers in names that are looked at for a half-made film."""


def find_place(context: RunContext, state: JobState) -> None:
    """Where the planned output is the result of another source, the next name with a number takes its place, or the one
    that an earlier run chose. An output that was named itself is left as it is."""
    job = state.job
    if context.request.overwrite or job.exact:
        return
    journal = context.journal(job)
    planned = journal.state(job.input, job.output)
    if planned not in ("another", "new"):
        return
    for made in (journal.result_of(job.input, job.output), half_made_elsewhere(context, job)):
        if made is not None and made != job.output and not context.is_planned(made) and _move(state, made):
            return
    for number in itertools.count(2) if planned == "another" else ():
        output = job.numbered(number)
        free = not context.is_planned(output) and journal.state(job.input, output) == "new"
        if free and _move(state, output):
            there = journal.half_made_of_another(job.input, job.output)
            what = "is the result of" if there is None else "is half made, of"
            whose = journal.origin(job.output) if there is None else there.source
            state.notes.append(f"{job.output} {what} {whose}: this one is {output.name}")
            return


def half_made_elsewhere(context: RunContext, job: Job) -> Path | None:
    """The name with a number under which an earlier run began this film, because its own was taken then."""
    if not is_video(job.output):
        return None
    for output in (job.numbered(number) for number in range(2, MOST_NUMBERS)):
        there = half_made(working_folder(output))
        if there is not None and there.is_of(job.input) and context.journal(job).state(job.input, output) == "new":
            return output
    return None


def _move(state: JobState, output: Path) -> bool:
    """Take another output's lock in place of the planned one's; False where another run has it."""
    lock = OutputLock.take(output)
    if lock is None:
        return False
    if state.lock is not None:
        state.lock.release()
    state.lock, state.job = lock, dataclasses.replace(state.job, output=output)
    return True
