"""A forecast of a run, without doing it: what would happen to each input, and the time and disk space it would take."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colorpipe import media
from colorpipe.batch.context import RunContext
from colorpipe.batch.places import half_made_elsewhere
from colorpipe.batch.preparation import prepare, session_for
from colorpipe.batch.remote_store import is_remote
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import ColorpipeError, UsageError
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.media.inputs import Job
from colorpipe.media.several import several
from colorpipe.plugins.host import PluginHost

Fate = Literal["make", "replace", "skip", "refuse"]
TRIAL_SECONDS = 1.0
"""Seconds of a film that are colorized to estimate the time for the rest."""


@dataclass(frozen=True)
class Expected:
    """The forecast for one input."""

    input: Path
    output: Path
    fate: Fate
    reason: str = ""
    """Reason why it is refused or replaced; notes if it is skipped."""
    film: bool = False
    pixels: int = 0
    """Pixels of a picture, or of all frames of a film; 0 where nothing would be made."""


@dataclass(frozen=True)
class Forecast:
    """The forecast for a whole run."""

    inputs: tuple[Expected, ...]
    seconds: float | None
    """Seconds that it would take at most, by a trial on this machine; None where nothing would or can be made."""
    bytes: int | None
    """Bytes that the results would take, likewise at most; None in the same cases."""
    free: int
    """Bytes on the disk of the results."""

    def of(self, fate: Fate) -> list[Expected]:
        return [one for one in self.inputs if one.fate == fate]


def forecast(request: RunRequest, host: PluginHost) -> Forecast:
    """Look at every input, and make one picture and a second of one film in a folder that is removed again.

    Raises:
        ColorpipeError: as ``run``: nothing could be started.
    """
    if is_remote(request):
        raise UsageError("--dry-run does not go with inputs or results behind a URL", hint="try a few, into a folder")
    plan, _ = prepare(request)
    session = session_for(request, host)
    jobs = several(plan, session.results)
    context = RunContext(request, session, jobs, NullListener())
    inputs = tuple(_expected(context, job) for job in jobs)
    seconds, size = _tried(request, host, [one for one in inputs if one.fate in ("make", "replace")])
    root = request.results
    there = next(place for place in (root.absolute(), *root.absolute().parents) if place.is_dir())
    return Forecast(inputs, seconds, size, shutil.disk_usage(there).free)


def _expected(context: RunContext, job: Job) -> Expected:
    notes: list[str] = []
    replaced = False
    try:
        if job.error:
            return Expected(job.input, job.output, "refuse", job.error)
        colorizer = type(context.pipeline.runtime.colorizer)
        job = _placed(context, job)
        replaced = os.path.lexists(job.output)
        sidecars = SidecarFiles.of(job.input, colorizer, context.request.hints).identity
        journal = context.journal(job)
        if context.is_done(journal, job.input, job.output, sidecars, notes, heal=False):
            return Expected(job.input, job.output, "skip", "; ".join(notes))
        other = journal.is_of_another_recipe(job.input, job.output)
        with media.open_source(job.input, context.session.media, job.preview) as source:
            info = source.info
    except ColorpipeError as error:
        return Expected(job.input, job.output, "refuse", str(error))
    film = info.medium == "video"
    frames = 1 if not film else info.frames or 0
    reason = ("made with other settings" if other else "its source has changed, or --overwrite") if replaced else ""
    pixels = info.width * info.height * frames
    return Expected(job.input, job.output, "replace" if replaced else "make", reason, film, pixels)


def _placed(context: RunContext, job: Job) -> Job:
    """The job with the output that ``find_place`` would choose, unless another run takes that output."""
    if context.request.overwrite or job.exact:
        return job
    journal = context.journal(job)
    planned = journal.state(job.input, job.output)
    if planned not in ("another", "new"):
        return job
    made = journal.result_of(job.input, job.output) or half_made_elsewhere(context, job)
    if made is not None and not context.is_planned(made):
        return dataclasses.replace(job, output=made)
    if planned == "new":
        return job
    names = (job.numbered(number) for number in itertools.count(2))
    free = (name for name in names if not context.is_planned(name) and journal.state(job.input, name) == "new")
    return dataclasses.replace(job, output=next(free))


def _tried(request: RunRequest, host: PluginHost, wanted: Sequence[Expected]) -> tuple[float | None, int | None]:
    """Seconds and bytes for all, from the first picture and the first film that can be made."""
    seconds, size, known = 0.0, 0, False
    for film in (False, True):
        those = [one for one in wanted if one.film == film]
        for one in those[:3]:  # one that is damaged tells nothing
            rate = _trial(request, host, one)
            if rate is not None:
                pixels = sum(other.pixels for other in those)
                seconds, size, known = seconds + rate[0] * pixels, size + round(rate[1] * pixels), True
                break
    return (seconds, size) if known else (None, None)


def _trial(request: RunRequest, host: PluginHost, one: Expected) -> tuple[float, float] | None:
    """Seconds and bytes for a pixel; None where it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="colorpipe-") as folder:
        asked = dataclasses.replace(
            request,
            inputs=[one.input],
            output=Path(folder),
            overwrite=True,
            compare=False,
            shard=None,
            cluster=None,
            sidecar=False,
            bag=False,
            forget=False,
            save_recipe=None,
            only=None,
            preview=TRIAL_SECONDS if one.film else None,
        )
        outcome, *_ = run(asked, host)
        if outcome.error or not outcome.output or not one.pixels:
            return None
        width, height = outcome.width or 0, outcome.height or 0
        made = width * height * max(outcome.frames, 1)
        return outcome.seconds["total"] / made, outcome.output.stat().st_size / made
