"""The pictures of a job that a network is quantised on: the first ones."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator

from colorpipe.errors import ColorpipeError
from colorpipe.media import open_source
from colorpipe.media.inputs import Job
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame

OF_A_FILM, APART = 4, 48
"""Frames of a film, and how far apart: two seconds, so that they are of several shots."""


def examples(jobs: Iterable[Job], options: MediaOptions) -> Iterator[Frame]:
    """Frames of the first inputs, in their order. What cannot be read is passed over: its own job says so."""
    for job in jobs:
        if job.error:
            continue
        with contextlib.suppress(ColorpipeError, OSError), open_source(job.input, options) as source:
            film = source.info.medium == "video"
            step, count = (APART, OF_A_FILM) if film else (1, 1)
            yield from itertools.islice(source, 0, step * count, step)
