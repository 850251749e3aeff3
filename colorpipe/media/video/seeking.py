"""One frame of a film by its number, and those after it, found by seeking."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.frame import VideoFrame

from colorpipe.errors import InputError
from colorpipe.media.video.source import VideoSource, open_video, opened
from colorpipe.media.video.survey import Survey
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame

TRIES = (0, 1, 4, 16)
"""Seconds by which a seek aims before its goal, one after the other, until it lands at a key frame before it."""


def frame_at(path: Path, number: int, time: Fraction | None, options: MediaOptions) -> Frame:
    """A film's frame.

    Args:
        number: Counted from 0.
        time: Its ``Frame.pts`` when the film was read from its beginning.

    Raises:
        InputError: it cannot be read, or ends before.
    """
    with frames_from(path, number, time, options) as found:
        frame = next(found.frames, None)
    if frame is None:
        raise InputError(f"{path} has no frame {number}")
    return frame


def frames_from(path: Path, number: int, time: Fraction | None, options: MediaOptions) -> Sought:
    """A film's frames from one on, numbered as in the whole film; arguments as of ``frame_at``. A context manager."""
    return Sought(path, number, time, options)


class Sought:
    """Frames from one on: by seeking where that leads to the very frame, else read from the beginning."""

    def __init__(self, path: Path, number: int, time: Fraction | None, options: MediaOptions) -> None:
        self._source: VideoSource | None = None
        self.frames: Iterator[Frame] = iter(())
        if time is not None and number:
            film = opened(_Seeking, path, options, whole=False)
            self._source = film
            if film.goes_to(time):
                self.frames = film.onward(number)
                return
            film.close()
        self._source = open_video(path, options)
        self.frames = islice(self._source, number, None)

    def __enter__(self) -> Sought:
        return self

    def __exit__(self, *error: object) -> None:
        if self._source is not None:
            self._source.close()


class _Seeking(VideoSource):
    """A film that is entered in its middle."""

    whole = False
    _at: tuple[VideoFrame, int] | None = None

    def _looked_through(self) -> Survey:
        return Survey()

    def goes_to(self, time: Fraction) -> bool:
        """Whether the frame that is shown at a time was found; ``onward`` begins there."""
        goal = round(time / self.tags.time_base)
        for seconds in TRIES:
            aim = goal - round(seconds / self.tags.time_base)
            try:
                self._container.seek(aim, stream=self._stream)
            except av.FFmpegError:
                return False
            self._images = self._decode()
            # frames shown before the first key frame may lack those that they refer to
            image = next((image for image in self._images if image.key_frame and image.pts is not None), None)
            if image is None or image.pts is None or image.pts > goal:
                continue
            while image is not None and image.pts is not None and image.pts < goal:
                image = next(self._images, None)
            if image is not None and image.pts == goal:
                self._at = image, goal
                return True
        return False

    def onward(self, number: int) -> Iterator[Frame]:
        """The frame that was found, and those after it."""
        assert self._at is not None
        image: VideoFrame | None
        image, ticks = self._at
        while image is not None and not self._ends_with(image, number, ticks):
            yield self._frame(image, number, ticks)
            image = next(self._images, None)
            if image is not None:
                number, ticks = number + 1, self._ticks(image, ticks)
