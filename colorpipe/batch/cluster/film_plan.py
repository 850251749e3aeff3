"""Where a film can be parted, so that several workers make it as one would.

The colour of a frame depends on its shot so far, and a segment begins at a key frame. So a part begins with a segment,
and whoever makes it follows the colour from the first frame of that segment's shot. Both are found from the luma alone,
ahead of all colour, in one pass over the film. Its lines come as they are found, and parts are begun meanwhile::

    {"source": {...}, "key": {...}, "frames": 1500}     first
    {"start": 262, "begin": 251}                        a segment begins at frame 262, its shot at 251
    {"end": 1498, "shots": 6, "key_frames": 80}         last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colorpipe import media
from colorpipe.batch.journal import identity
from colorpipe.batch.journals import Journals
from colorpipe.errors import ColorpipeError
from colorpipe.files import working_folder
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.media.base import Source
from colorpipe.media.inputs import Job
from colorpipe.media.parts import FilmPart
from colorpipe.media.video import segments
from colorpipe.media.video.half_made import half_made
from colorpipe.pipeline.film import FilmPlanner
from colorpipe.pipeline.session import Session
from colorpipe.temporal.keyframes import Step


def write_plan(session: Session, journals: Journals, job: Job, overwrite: bool, file: Path) -> bool:
    """Write the lines of a film's plan.

    Returns:
        False where the film is to be made in one piece: it is short, led by sidecar files, begun in one piece, has a
        result already or cannot be read. Whoever makes it will say what there is to say.
    """
    try:
        colorizer = type(session.pipeline.runtime.colorizer)
        folder = working_folder(job.output)
        if SidecarFiles.of(job.input, colorizer).identity or (folder / segments.MANIFEST).exists():
            return False
        there = half_made(folder)
        if there is not None and not there.is_of(job.input):
            return False
        journal = journals.of(job)
        if not overwrite and (
            journal.state(job.input, job.output) != "new" or journal.result_of(job.input, job.output)
        ):
            return False
        with media.open_source(job.input, session.media) as source:
            frames = source.info.frames
            if source.info.medium != "video" or frames is None or frames < 2 * _least():
                return False
            known = identity(job.input)
            key = {"recipe": session.digest, **{name: known[name] for name in ("size", "sha256")}}
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w") as lines:
                for line in ({"source": known, "key": key, "frames": frames}, *_lines(session, source, frames)):
                    lines.write(json.dumps(line) + "\n")
                    lines.flush()
    except (ColorpipeError, OSError):
        return False
    return True


def _least() -> int:
    return max(segments.FRAMES, segments.LEAST_FRAMES)


def _lines(session: Session, source: Source, frames: int) -> Iterator[dict[str, int]]:
    distance = session.merge.key_distance
    if distance is None:  # each frame for itself; a part beyond the film's end has none
        yield from ({"start": start, "begin": start} for start in range(0, frames, _least()))
        yield {"end": frames, "shots": 0, "key_frames": 0}
        return
    planner = FilmPlanner(session.pipeline, SidecarFiles(), distance)
    number = shots = keys = begin = start = 0
    yield {"start": 0, "begin": 0}
    for step in _steps(planner, source):
        if step.first:
            begin, shots = number, shots + 1
        keys += step.key
        if step.key and number - start >= _least():
            start = number
            yield {"start": start, "begin": begin}
        number += 1
    yield {"end": number, "shots": shots, "key_frames": keys}


def _steps(planner: FilmPlanner, source: Source) -> Iterator[Step]:
    """Of the film's only span: there are no sidecar files."""
    for frame in source:
        yield from (decided.span_step.step for decided in planner.push(frame))
    yield from (decided.span_step.step for decided in planner.finish())


@dataclass
class FilmPlan:
    """The driver's side: reads the lines that have come, and makes parts of them.

    Args:
        workers: Parts are made so long that each worker gets some.
    """

    job: Job
    file: Path
    workers: int
    parts: list[FilmPart] = field(default_factory=list)
    key: Mapping[str, Any] = field(default_factory=dict)
    frames: int | None = None
    """Estimated at first, then counted."""
    shots: int = 0
    key_frames: int = 0
    complete: bool = False
    _read: int = 0
    _source: Mapping[str, Any] = field(default_factory=dict)
    _open: tuple[int, int] | None = None
    """Start and begin of the part that has no end yet."""

    @property
    def begun(self) -> bool:
        """Whether any of the plan is known."""
        return self._read > 0

    def look(self) -> list[FilmPart]:
        """The parts that are known since the last look."""
        new: list[FilmPart] = []
        try:
            text = self.file.read_text()
        except OSError:
            return new
        lines = text.split("\n")[:-1]  # what follows the last line break is still being written
        for line in lines[self._read :]:
            self._read += 1
            told = json.loads(line)
            if "source" in told:
                self._source, self.key, self.frames = told["source"], told["key"], told["frames"]
            elif "start" in told:
                self._begin(told["start"], told["begin"], new)
            else:
                self.shots, self.key_frames, self.complete = told["shots"], told["key_frames"], True
                self._end(None, new)
        return new

    def _begin(self, start: int, begin: int, new: list[FilmPart]) -> None:
        """A segment begins: a new part too, if the one before is long enough, and little has to be followed again."""
        if self._open is None:
            self._open = start, begin
            return
        length, wanted = start - self._open[0], max(_least(), (self.frames or 0) // (3 * self.workers))
        again = start - begin
        if length >= 2 * wanted or (length >= wanted and again <= wanted // 4):
            self._end(start, new)
            self._open = start, begin

    def _end(self, stop: int | None, new: list[FilmPart]) -> None:
        if self._open is not None:
            start, begin = self._open
            new.append(FilmPart(self.job.output, begin, start, stop, self._source))
            self.parts.append(new[-1])
