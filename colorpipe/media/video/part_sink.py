"""The sink of a part of a film, and how parts become the film's own segments."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from colorpipe.errors import OutputError
from colorpipe.files import place, remove, working_folder, write_whole
from colorpipe.media.base import Provenance
from colorpipe.media.parts import FilmPart
from colorpipe.media.video.segments import MANIFEST, Segment
from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import VideoSource
from colorpipe.media.video.ways import FAILURES
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame


class PartSink(VideoSink):
    """Takes a film's frames from ``part.begin`` on, or where ``start`` tells that an earlier run of the part got to,
    and keeps those of the part, in segments that are the whole film's own to the bit.

    ``commit`` leaves the segments where they are, with ``part.record`` beside them, for ``assemble``.
    """

    def __init__(
        self,
        part: FilmPart,
        source: VideoSource,
        options: MediaOptions,
        provenance: Provenance | None,
        job: Mapping[str, Any],
    ) -> None:
        super().__init__(part.output, source, options, provenance, {**job, "part": part.key})
        self._part, self._job = part, dict(job)
        made = self._segments.frames
        self.start = part.start + made if made else part.begin
        self._next = self.start
        """Number of the frame that comes next."""

    def write(self, frame: Frame, state: bytes | None = b"") -> None:
        number, self._next = self._next, self._next + 1
        if number >= self._part.start and (self._part.stop is None or number < self._part.stop):
            super().write(frame, state)

    def commit(self) -> None:
        try:
            self._end_segment(b"")
            stop = self._part.stop
            if self._source.over and stop is not None and self._source.info.frames is not None:
                stop = min(stop, self._source.info.frames)  # the film ended before its time
            wanted = None if stop is None else max(0, stop - self._part.start)
            if wanted is not None and self._segments.frames != wanted:
                raise OutputError(
                    f"{self._part.film}: {wanted} frames from {self._part.start} on were {self._segments.frames}",
                    hint="has the source changed? the same command begins it anew",
                )
            with contextlib.suppress(*FAILURES):  # its trailer is nobody's
                self._closing.close()
            remove(self._segments.joined)
            told = {"part": self._part.key, "job": self._job, "frames": self._segments.frames}
            write_whole(self._part.record, json.dumps(told).encode())
        except FAILURES as error:
            self.abort()
            raise self._failure(error) from error
        except BaseException:
            self.abort()
            raise
        self._closed = True

    def tidy(self) -> None:
        """Nothing: the whole film needs it all."""


def frames_of(part: FilmPart, job: Mapping[str, Any]) -> int | None:
    """How many frames a part has that is whole already; None where it is still to be made."""
    try:
        told = json.loads(part.record.read_bytes())
        whole = told["part"] == part.key and told["job"] == json.loads(json.dumps(job))
        return int(told["frames"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def assemble(parts: Sequence[FilmPart], job: Mapping[str, Any]) -> None:
    """Make the segments of all parts the film's own, so that the film goes on where they end: at its end.

    A kill at any moment leaves what the next call goes on with.

    Args:
        job: As for ``VideoSink``.

    Raises:
        OutputError: the parts were encoded by different encoders, or one is gone.
    """
    folder = working_folder(parts[0].film)
    if (folder / MANIFEST).exists() or not folder.exists():
        return  # an earlier call did it, and the film may even be there
    whole: list[Segment] = []
    encoder: Any = None
    for part in parts:
        own = working_folder(part.output)
        lines = _lines(own / MANIFEST, part)
        if not lines:
            continue
        if encoder not in (None, lines[0]["encoder"]):
            raise OutputError(
                f"{part.film}: its parts were encoded by different encoders",
                hint="install the same FFmpeg (PyAV) on all machines; the same command begins it anew",
            )
        encoder, told = lines[0]["encoder"], lines[0]
        made = sum(one.frames for one in whole)
        if lines[1:] and made != part.start:
            raise OutputError(f"{part.film}: {made} frames are there before {part.start}")
        for line in lines[1:]:
            segment = Segment(**line)
            moved = replace(segment, first=sum(one.frames for one in whole))
            if (own / segment.name).exists():
                os.replace(own / segment.name, folder / moved.name)
            elif not (folder / moved.name).exists():
                raise OutputError(f"{part.film}: {own / segment.name} is gone", hint="the same command begins it anew")
            whole.append(moved)
    if whole:
        identity = {**told, "job": dict(job)}
        text = "".join(json.dumps(one) + "\n" for one in (identity, *map(asdict, whole)))
        trial = folder / f"{MANIFEST}.part"
        trial.write_text(text, "utf-8")
        place(trial, folder / MANIFEST)


def _lines(manifest: Path, part: FilmPart) -> list[dict[str, Any]]:
    """The manifest of a part; none of a part that the film ended before."""
    try:
        return [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        frames = json.loads(part.record.read_bytes()).get("frames") if part.record.exists() else None
        if frames == 0:
            return []
        raise OutputError(f"{part.film}: {manifest} is gone", hint="the same command begins it anew") from None
