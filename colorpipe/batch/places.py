"""Choice of a result's place if it may not replace another source's result."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from colorpipe.batch.context import RunContext
from colorpipe.batch.output_lock import OutputLock
from colorpipe.batch.state import JobState


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
    made = journal.result_of(job.input, job.output)
    if made is not None and made != job.output and not context.is_planned(made) and _move(state, made):
        return
    for number in itertools.count(2) if planned == "another" else ():
        output = job.numbered(number)
        free = not context.is_planned(output) and journal.state(job.input, output) == "new"
        if free and _move(state, output):
            state.notes.append(f"{job.output} is the result of {journal.origin(job.output)}: this one is {output.name}")
            return


def _move(state: JobState, output: Path) -> bool:
    """Take another output's lock in place of the planned one's; False where another run has it."""
    lock = OutputLock.take(output)
    if lock is None:
        return False
    if state.lock is not None:
        state.lock.release()
    state.lock, state.job = lock, dataclasses.replace(state.job, output=output)
    return True
