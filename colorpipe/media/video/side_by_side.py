"""A film's before and after, side by side: made of the result alone, whose luma is the source's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av.container
import numpy as np

from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import VideoSource, opened
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame


class SideBySide(VideoSource):
    """A result's frames beside themselves: without colour on the left, as players show them, with colour on the right.

    A side that is no whole number of chroma samples is lengthened, by repeating the outermost pixels.
    """

    def __init__(self, path: Path, container: av.container.InputContainer, options: MediaOptions) -> None:
        super().__init__(path, container, options)
        self._axis, self._grey_first = _across(self.tags.display_matrix)
        sides = [self.info.height, self.info.width]
        self._padding = -sides[self._axis] % (1 << self.encoding.subsampling[1 - self._axis])
        sides[self._axis] = 2 * (sides[self._axis] + self._padding)
        self.info = replace(self.info, height=sides[0], width=sides[1])

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            assert frame.colour is not None  # results have some
            neutral = 1 << (frame.encoding.bits - 1)
            yield replace(
                frame,
                luma=self._twice(frame.luma),
                alpha=None if frame.alpha is None else self._twice(frame.alpha),
                colour=tuple(self._beside(np.full_like(plane, neutral), plane) for plane in frame.colour),
            )

    def _twice(self, plane: np.ndarray) -> np.ndarray:
        if self._padding:
            widths = [(0, 0), (0, 0)]
            widths[self._axis] = (0, self._padding)
            plane = np.pad(plane, widths, mode="edge")
        return self._beside(plane, plane)

    def _beside(self, grey: np.ndarray, colour: np.ndarray) -> np.ndarray:
        return np.concatenate((grey, colour) if self._grey_first else (colour, grey), self._axis)


def write_comparison(
    result: Path, path: Path, options: MediaOptions, begin: Callable[[int | None], None], step: Callable[[], None]
) -> tuple[str, ...]:
    """Write a film that shows ``result`` beside its grey, with its sound, timestamps and tags, encoded as it is.

    It appears whole or not at all.

    Args:
        begin: Called with the number of frames, as far as it is known.
        step: Called after each frame; what it raises ends the work.

    Returns:
        What a person should know of it, one sentence each.

    Raises:
        ColorpipeError: the result cannot be read, or the comparison not written.
    """
    with opened(SideBySide, result, options) as film, VideoSink(path, film, options) as sink:
        begin(film.info.frames)
        for frame in film:
            sink.write(frame)
            step()
    return sink.notes


def _across(display_matrix: tuple[int, ...] | None) -> tuple[int, bool]:
    """The axis of the stored planes that is shown from left to right, and whether it begins at the left.

    ``x = a p + c q`` of the matrix (a, b, u, c, d, v, x, y, w): ISO/IEC 14496-12, 6.2.2.
    """
    a, c = (display_matrix[0], display_matrix[3]) if display_matrix else (1, 0)
    return (1, a > 0) if abs(a) >= abs(c) else (0, c > 0)
