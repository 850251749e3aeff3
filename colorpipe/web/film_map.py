"""What is known of a film once it was looked through: its shots, its key frames, and when each frame is shown."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from colorpipe import media
from colorpipe.settings import KEY_DISTANCE, MediaOptions, MergeOptions
from colorpipe.temporal import Planner, small_luma
from colorpipe.web.canvas import encoded, pixels, shrunk

THUMBNAIL_SIDE = 160


@dataclass
class FilmMap:
    """Grows while a film is looked through; ``complete`` in the end."""

    times: list[Fraction | None] = field(default_factory=list)
    """Of each frame, seconds."""
    firsts: list[int] = field(default_factory=list)
    """First frame of each shot."""
    keys: list[int] = field(default_factory=list)
    """Frames that the network sees, without regard to hints."""
    thumbnails: dict[int, bytes] = field(default_factory=dict)
    """JPEG of each shot's first frame."""
    complete: bool = False

    @property
    def frames(self) -> int:
        """Frames so far."""
        return len(self.times)

    def shot(self, number: int) -> tuple[int, int]:
        """First and last frame of a shot.

        Raises:
            IndexError: there is no such shot.
        """
        if number < 0:
            raise IndexError(number)
        first = self.firsts[number]
        return first, (self.firsts[number + 1] if number + 1 < len(self.firsts) else self.frames) - 1

    def told(self, rate: Fraction | None, painted: list[int], expected: int | None) -> dict[str, Any]:
        """Ready for JSON."""
        shots = []
        for number, first in enumerate(list(self.firsts)):
            last = self.shot(number)[1]
            times = {"start": self._seconds(first), "end": self._seconds(last + 1) or self._seconds(last)}
            shots.append({"number": number, "first": first, "last": last, **times})
        return {
            "scanned": self.complete,
            "frames": self.frames if self.complete else (expected or self.frames),
            "rate": None if rate is None else float(rate),
            "shots": shots,
            "keys": list(self.keys),
            "painted": painted,
        }

    def _seconds(self, frame: int) -> float | None:
        if not 0 <= frame < self.frames:
            return None
        start, time = self.times[0], self.times[frame]
        return None if start is None or time is None else round(float(time - start), 3)


def look_through(
    path: Path, into: FilmMap, media_options: MediaOptions, merge: MergeOptions, step: Callable[[int, int | None], None]
) -> None:
    """Read a film once, for its shots, key frames and times; the network is not asked.

    Args:
        step: Told frames so far, and of how many, if that is known; may raise to stop.

    Raises:
        InputError: it cannot be read.
    """
    planner = Planner(merge.key_distance or KEY_DISTANCE)
    waiting: deque[np.ndarray] = deque()
    """Small greys of frames whose place is not decided."""
    decided = 0

    def take(steps: list[Any]) -> None:
        nonlocal decided
        for one in steps:
            small = waiting.popleft()
            if one.first:
                into.firsts.append(decided)
                into.thumbnails[decided] = encoded(small)
            if one.key or one.first:
                into.keys.append(decided)
            decided += 1

    with media.open_source(path, media_options) as source:
        for frame in source:
            grey = shrunk(dataclasses.replace(frame, colour=None), THUMBNAIL_SIDE)
            waiting.append(pixels(grey))
            into.times.append(frame.pts)
            take(planner.push(small_luma(frame.luma, frame.encoding.bits)))
            step(into.frames, source.info.frames)
    take(planner.finish())
    into.complete = True
