"""The result that belongs to each source, by the rule that ``run`` names results with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colorpipe.batch.journal import Journal
from colorpipe.errors import UsageError
from colorpipe.media.inputs import find_inputs, is_video, plan
from colorpipe.options import fields
from colorpipe.settings import MediaOptions


@dataclass(frozen=True)
class Pair:
    """A source, and the actual or expected place of its result."""

    source: Path
    result: Path
    error: str | None = None
    """Reason why a source cannot be looked into: a folder without permission."""


def find_pairs(source: Path, result: Path) -> list[Pair]:
    """The files to compare: the two that are named, or every picture and film of a folder and its result.

    Raises:
        UsageError: source or result does not exist, a folder has no picture or film, or the result of a folder is
            named as one file.
    """
    if not result.exists():
        raise UsageError(f"{result} does not exist", hint="name the result, or the folder that holds it")
    if not result.is_dir():
        if source.is_dir():
            raise UsageError(f"{source} is a folder and {result} is a file", hint="name the folder of the results")
        if not source.exists():
            raise UsageError(f"{source} does not exist", hint="name the source first, then the result")
        return [Pair(source, result)]
    found = find_inputs([source], exclude=result)
    # A film's container depends on the codec, which the result's folder does not tell.
    if any(is_video(item.path) for item in found):
        codecs = next(field.choices for field in fields(MediaOptions) if field.name == "codec")
        plans = [plan(found, result, video_suffix=_suffix(codec)) for codec in codecs]
    else:
        plans = [plan(found, result)]
    journal = Journal(result, "")
    pairs = []
    for jobs in zip(*plans, strict=True):
        job = next((job for job in jobs if job.output.exists()), jobs[0])
        # If two runs had sources of one name, the later result has a number; so have a method's several results.
        outputs = journal.results_of(job.input, job.output) or [job.output]
        pairs += [Pair(job.input, output, job.error) for output in outputs]
    return pairs


def _suffix(codec: str) -> Callable[[Path], str]:
    from colorpipe.media.video.ways import output_suffix

    return lambda path: output_suffix(path, codec)
