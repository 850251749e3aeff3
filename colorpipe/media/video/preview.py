"""A film's preview: pieces of about a second, evenly spread over its length, found by seeking.

What a job of hours will look like is seen in a minute: only what lies between a piece and the key frame before it is
decoded besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import av.container
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorpipe.errors import InputError
from colorpipe.media.video.source import VideoSource
from colorpipe.media.video.survey import Survey, open_film, survey
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame, Metadata

STILL = Fraction(1, 4)
"""Seconds from which on a frame is a still picture: at the borders of a piece it lasts no longer than that."""
MOST_LOOKED_THROUGH = 256 << 20
"""Bytes of a recording that are looked through for clocks that begin again; more take as long as the preview itself."""
FARTHER = 4
"""If a seek overshoots its goal, the next one aims this many times as far before it, beginning with a second."""


class Preview(VideoSource):
    """Pieces of a film, joined: timestamps begin at zero and run on from piece to piece without gaps.

    The first frame of a piece has ``cut`` in its ``metadata.extra``. ``Frame.index`` is its number in the whole film as
    far as the average rate tells. All of the film is given where it is shorter than the preview, and its beginning
    where it has no times to seek by.

    Args:
        seconds: How long the preview lasts, to a frame for each piece.
    """

    whole = False

    def __init__(
        self, path: Path, container: av.container.InputContainer, options: MediaOptions, seconds: float
    ) -> None:
        super().__init__(path, container, options)
        first = self._first
        self._start = 0 if first is None or first.pts is None else first.pts
        self._timed = first is not None and first.pts is not None
        base, wanted = self.tags.time_base, Fraction(seconds)
        length = self._length()
        count, each, frames = 1, wanted, self.info.frames
        if length is None:
            frames, told = None, f"the first {seconds:g} s, since the file has no times to seek by"
        elif wanted >= length * base:
            # Twice: the length that a container tells may be a little short.
            each, told = 2 * length * base, "the whole film"
        else:
            count = max(1, round(wanted))
            each = wanted / count
            pieces = f"{count} pieces of {float(each):.3g} s" if count > 1 else f"{seconds:g} s from the middle"
            told = f"{pieces} of {timedelta(seconds=round(length * base))}"
            frames = frames and max(1, round(wanted * self.tags.rate))
        self._piece = max(1, round(each / base))
        """Ticks of a piece."""
        self._pieces = [self._start]
        """The start of each piece, seconds."""
        if length is not None and length > self._piece:
            begin = [round((2 * number + 1) * Fraction(length, 2 * count)) for number in range(count)]
            self._pieces = [self._start + middle - self._piece // 2 for middle in begin]
        notes = (*self.info.notes, f"a preview: {told}, without sound, subtitles and chapters")
        self.info = replace(self.info, frames=frames, notes=notes)

    def __iter__(self) -> Iterator[Frame]:
        if self._first is None:
            return
        base, passed, given, taken = self.tags.time_base, 0, 0, self._start - 1
        still = round(STILL / base)
        for begin in self._pieces:
            origin, end = begin, passed
            for ticks, image, until in self._shown_from(begin):
                cut = end == passed
                if ticks <= taken:  # it was the last piece's too
                    continue
                if ticks >= origin + self._piece:
                    break
                number = round((ticks - self._start) * base * self.tags.rate)
                if self._ends_with(image, number, ticks):
                    break
                if cut:
                    origin = max(begin - still, ticks)
                shown = max(ticks, origin)
                lasts = min(until - shown, max(origin + self._piece - shown, still))
                extra = {"duration": lasts * base, "cut": cut}
                time = passed + shown - origin
                yield replace(self._frame(image, number, time), metadata=Metadata(extra=extra))
                taken, end, given = ticks, time + lasts, given + 1
            passed = end
            if self._ended:
                break
        if self._ended and not given:
            raise InputError(f"{self.path}: {self._ended}")
        self.info = replace(self.info, frames=given, notes=(*self.info.notes, *filter(None, [self._ended])))

    def _looked_through(self) -> Survey:
        """A survey, only if a clock restarts, which makes seeking by times useless, and if this is found soon."""
        if self.path.stat().st_size > MOST_LOOKED_THROUGH:
            return Survey()
        found = survey(self.path)
        return found if found.jumps else Survey()

    def _length(self) -> int | None:
        """Ticks from the first frame to the end of the last; None where there are no times to go by."""
        if self._survey.jumps or not self._timed or Flags(self._container.format.flags) & Flags.no_timestamps:
            return None
        if self._stream.duration:
            return self._stream.duration
        if self._container.duration:
            return round(Fraction(self._container.duration, av.time_base) / self.tags.time_base)
        with open_film(self.path) as film:  # a recording that broke off: read through, not decoded
            times = [packet.pts for packet in film.demux(film.streams[self.index]) if packet.pts is not None]
        return max(times) + 1 - self._start if times else None  # how long the last is shown, nothing tells

    def _shown_from(self, begin: int) -> Iterator[tuple[int, VideoFrame, int]]:
        """Times of a frame and of the next, with the frame between; the first is the one on screen at ``begin``."""
        last, before = self._start, None
        for image in self._decoded_from(begin):
            ticks = self._ticks(image, None if before is None else last)
            if before is not None and ticks > begin:
                yield last, before, ticks
            last, before = ticks, image
        if before is not None:
            yield last, before, last + (before.duration or self._step)

    def _decoded_from(self, begin: int) -> Iterator[VideoFrame]:
        """Frames in order, from the key frame before ``begin``; where none is found, from the film's first."""
        if begin <= self._start and self._first is not None:
            first, self._first = self._first, None
            yield first
        else:
            found = self._sought(begin)
            if found is None:
                self._seek(0, None)
            else:
                yield found
        yield from self._images

    def _sought(self, begin: int) -> VideoFrame | None:
        """A key frame at ``begin`` or before, after which decoding goes on. Not every container leads there at once."""
        back = 0
        while begin - back > self._start:
            self._seek(begin - back, self._stream)
            # Frames shown before the first key frame may lack the frames that they refer to.
            key = next((image for image in self._images if image.key_frame and image.pts is not None), None)
            if key is not None and key.pts is not None and key.pts <= begin:
                return key
            back = FARTHER * back or round(1 / self.tags.time_base)
        return None

    def _seek(self, ticks: int, stream: VideoStream | None) -> None:
        try:
            self._container.seek(ticks, stream=stream)
        except av.FFmpegError as error:
            reason = f"cannot seek in it ({error.strerror})"
            raise InputError(f"{self.path}: {reason}", hint="colorize it without --preview") from None
        self._images = self._decode()
