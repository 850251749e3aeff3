"""Films, read through FFmpeg (PyAV): ``open_video`` gives each frame's luma exactly as it was decoded.

The other direction is ``VideoSink``; what a film says about itself besides pixels is in ``tags``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import av.container
from av.packet import Packet
from av.video.frame import VideoFrame

from colorpipe.errors import InputError, LimitError
from colorpipe.media.base import Source, SourceInfo
from colorpipe.media.video import timing
from colorpipe.media.video.colours import ColourWatch
from colorpipe.media.video.container import cut_off, film_stream, is_cover, open_container, packets, stream_lines
from colorpipe.media.video.decoding import decoder_of
from colorpipe.media.video.ending import Kind, foretold, told
from colorpipe.media.video.fields import FIELDS, FieldReader, Order, fields_ahead
from colorpipe.media.video.inventory import Inventory
from colorpipe.media.video.layout import PixelLayout, layout_of, planes_of
from colorpipe.media.video.survey import HEADERLESS, Survey, open_film, survey
from colorpipe.media.video.tags import FULL_RANGE, MATRICES, UNSPECIFIED, VideoTags, matrix_of, read_tags
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Metadata

FilmT = TypeVar("FilmT", bound="VideoSource")
RECORDED = ("mpeg", "mpegts", "dv", "rawvideo")
"""Containers of recordings, whose rate is even: where a time is missing, a frame is."""


def open_video(path: Path, options: MediaOptions) -> VideoSource:
    """Open a film: ``opened(VideoSource, path, options)``."""
    return opened(VideoSource, path, options)


def opened(
    kind: Callable[[Path, av.container.InputContainer, MediaOptions], FilmT],
    path: Path,
    options: MediaOptions,
    whole: bool = True,
) -> FilmT:
    """Open a film; its first video stream that is not a cover picture is the one that is read.

    The first frame is decoded here, so that a film that cannot be decoded at all fails now.

    Args:
        kind: What its frames are given through.
        whole: False where only parts are wanted: a recording is not looked through for streams that come late.

    Raises:
        InputError: the file cannot be read, is not a film, or holds no video stream or no frame.
        LimitError: its frames have more pixels than ``options.max_pixels``, or it lasts longer than
            ``options.max_seconds``; where only the timestamps tell, while iterating.
    """
    container = open_film(path) if whole else open_container(path)
    try:
        return kind(path, container, options)
    except BaseException:
        container.close()
        raise


class VideoSource(Source):
    """A film's frames in presentation order.

    ``info.notes`` is complete once the last frame has been given: damage is known only then.
    """

    end: Fraction | None = None
    """Seconds at which the film was ended before its time, once all frames were given: its pictures change there."""
    over = False
    """Whether all frames were given."""
    whole = True
    """False of what gives parts of a film: its sound, subtitles and chapters do not fit, and are left out."""

    def __init__(self, path: Path, container: av.container.InputContainer, options: MediaOptions) -> None:
        self.path = path
        self._container = container
        self._stream = film_stream(path, container)
        self._decoder = decoder_of(self._stream)
        self._damaged = self._concealed = self._untimed = self._unordered = self._disturbed = 0
        self._changed_range = self._cut_short = False
        self._survey = Survey()
        self._clock = timing.Clock(container.format.name)
        self._steps = timing.Steps()
        self._shape: Fraction | None = None
        """Shape of a pixel in the newest frame."""
        self._reshaped = self._ended = ""
        self._images = self._decode()
        declared = self._stream.codec_context
        self._check_size(declared.width, declared.height, options.max_pixels)
        self._most_seconds = options.max_seconds
        if container.duration:
            self._check_duration(Fraction(container.duration, av.time_base))
        self._survey = self._looked_through()
        first = next(self._images, None)
        if first is None:
            raise InputError(f"{path}: not one frame could be decoded", hint="the file is damaged, or has no frames")
        self._check_size(first.width, first.height, options.max_pixels)
        self._size = first.width, first.height
        self._first_kind = Kind(first.width, first.height, first.format.name)
        self._first: VideoFrame | None = first
        self._first_shape: Fraction | None = self._shape
        self._fields = FieldReader(first)
        lines = stream_lines(container, verbose=True).get(self._stream.index, [""])
        self._inventory = Inventory(lines)
        self.index = self._stream.index
        """The stream's place in its container."""
        self.tags: VideoTags = read_tags(self._stream, first, self._fields.order(first), lines[0])
        self.layout: PixelLayout = layout_of(first.format)
        self._colours = ColourWatch(self.layout)
        self.encoding: Encoding = self._encoding(first)
        """The encoding of every frame."""
        self._cut_off = list(cut_off(path))
        self._notes = self._first_notes()
        self.info = SourceInfo(
            medium="video",
            width=first.width,
            height=first.height,
            frames=self._estimate(),
            rate=self.tags.rate,
            notes=tuple(self._notes),
            warning=foretold(path, self._survey.sizes, self._size),
        )

    @property
    def has_alpha(self) -> bool:
        return self.layout.alpha

    @property
    def may_have_fields(self) -> bool:
        """Whether a frame may be interlaced: the first, or a later one as far as headers or samples tell."""
        if self.tags.interlaced or self._survey.interlaced:
            return True
        return self.whole and self._container.format.name not in HEADERLESS and fields_ahead(self.path, self.index)

    @property
    def has_colour(self) -> bool:
        """Whether a frame so far had places that are not grey."""
        return self._colours.found

    @property
    def sample_rates(self) -> tuple[int, ...]:
        """Sample rates of the audio streams, Hz."""
        streams = self._container.streams.audio
        return tuple(stream.codec_context.sample_rate for stream in streams if stream.codec_context is not None)

    @property
    def has_cover(self) -> bool:
        """Whether a cover picture is attached."""
        return any(is_cover(stream) for stream in self._container.streams.video)

    def __iter__(self) -> Iterator[Frame]:
        index, last, start = 0, None, None
        if self._first is None:
            return
        image: VideoFrame | None = self._first
        self._first = None
        while image is not None:
            ticks = self._ticks(image, last)
            start = ticks if start is None else start
            self._check_duration((ticks - start) * self.tags.time_base)
            if self._ends_with(image, index, ticks):
                break
            if last is not None:
                self._steps.add(ticks - last, index)
            yield self._frame(image, index, ticks)
            index, last = index + 1, ticks
            image = next(self._images, None)
        if self._stream.frames and index >= self._stream.frames:
            # All are there: what is missing at the file's end is none of them.
            self._notes = [note for note in self._notes if note not in self._cut_off]
        self._notes += [self._ended] if self._ended else self._missing(index)
        self.info = replace(self.info, frames=index, notes=(*self._notes, *self._damage()))
        self.over = True

    def _missing(self, given: int) -> Iterator[str]:
        """Notes on frames that the file promised but did not give."""
        promised = self._stream.frames
        if self._container.format.name == "avi":
            repeated = 0 if self._damaged else self._steps.repeated
            if repeated:
                yield f"frames that only repeat the one before, which is shown for as long: {repeated}"
                promised = given
        if given < promised:
            yield (
                f"the index lists {promised} frames and {given} are shown: "
                "an edit list hides the others, or they are damaged"
            )
        if self._container.format.name in RECORDED:
            lost, first = self._steps.lost
            if lost:
                yield f"frames that are missing, by the gaps in the others' times: {lost}, first before frame {first}"

    def close(self) -> None:
        self._images.close()
        self._container.close()

    def _check_size(self, width: int, height: int, limit: int) -> None:
        if width * height > limit:
            raise LimitError(
                f"{self.path} has frames of {width} x {height} pixels, more than the limit of {limit:,}",
                hint=f"if the file can be trusted, --max-pixels {width * height} lets it in",
            )

    def _check_duration(self, seconds: Fraction) -> None:
        if seconds > self._most_seconds:
            raise LimitError(
                f"{self.path} lasts {math.ceil(seconds):,} seconds, more than the limit of {self._most_seconds:,}",
                hint=f"if the file can be trusted, --max-seconds {math.ceil(seconds)} lets it in",
            )

    def _decode(self) -> Generator[VideoFrame, None, None]:
        read = self._survey.timed(packets(self._container, self._stream))
        decoder, number = self._decoder, -1
        while True:
            try:
                packet = next(read, None)
            except (av.FFmpegError, OSError):
                self._cut_short = True
                break
            if packet is None:
                break
            number += 1
            self._disturbed += packet.is_corrupt and number not in self._survey.joins
            try:
                for image in self._drained(number, packet):
                    self._shape = decoder.sample_aspect_ratio
                    yield image
            except av.FFmpegError:
                self._damaged += 1
        try:
            for image in decoder.decode(None):
                self._shape = decoder.sample_aspect_ratio
                yield image
        except av.FFmpegError:
            self._damaged += 1

    def _drained(self, number: int, packet: Packet[Any]) -> Iterator[VideoFrame]:
        """The pictures of a packet, after those that the decoder holds back: MPEG's drops them at another size."""
        if self._survey.sizes and number == self._survey.sizes[0][0]:
            yield from self._decoder.decode(None)
            self._decoder.flush_buffers()
        yield from self._decoder.decode(packet)

    def _looked_through(self) -> Survey:
        """The facts about all packets, known before the first is decoded."""
        return survey(self.path)

    def _ends_with(self, image: VideoFrame, index: int, ticks: int) -> bool:
        """Whether the film ends before this frame, since it is unlike those before it."""
        now = Kind(image.width, image.height, image.format.name)
        if (now.width, now.height, layout_of(image.format)) == (*self._size, self.layout):
            return False
        self.end = ticks * self.tags.time_base
        self._ended = told(index, self.end, self._first_kind, now)
        return True

    def _encoding(self, first: VideoFrame) -> Encoding:
        layout = self.layout
        full_range = layout.rgb or self.tags.range == FULL_RANGE or first.format.name.startswith("yuvj")
        if layout.subsampling is None and self.tags.range == 0:
            full_range = True  # FFmpeg and players take untagged grey formats for full range (libswscale, handle_jpeg)
        return Encoding(
            family="yuv",
            bits=layout.bits,
            full_range=full_range,
            matrix=matrix_of(self.tags.matrix, first.height),
            subsampling=layout.subsampling or (0, 0),
        )

    def _first_notes(self) -> list[str]:
        notes = [*self._cut_off]
        films = [stream for stream in self._container.streams.video if not is_cover(stream)]
        if len(films) > 1:
            notes.append(f"the first of {len(films)} video streams is colorized, the others are copied")
        name, matrix = self._stream.codec_context.pix_fmt, self.tags.matrix
        if self.layout.rgb:
            notes.append(f"{name} was converted to {self.layout.format}, full range, {self.encoding.matrix}")
        elif matrix not in MATRICES and matrix != UNSPECIFIED:
            notes.append(f"its matrix (H.273 code {matrix}) is not supported; new colours are {self.encoding.matrix}")
        notes += [str(jump) for jump in self._survey.jumps]
        notes += self._survey.late
        if self.tags.interlaced:
            notes.append(
                "it is interlaced (two half pictures in each frame, as on television): both are colorized together"
            )
        return notes

    def _estimate(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base:
            return max(1, round(self._stream.duration * self._stream.time_base * self.tags.rate))
        if self._container.duration:
            return max(1, round(Fraction(self._container.duration, av.time_base) * self.tags.rate))
        return None

    @property
    def _step(self) -> int:
        """Ticks from one frame to the next, on average."""
        return max(1, round(1 / (self.tags.rate * self.tags.time_base)))

    def _ticks(self, image: VideoFrame, last: int | None) -> int:
        """The timestamp in time-base units, later than ``last``."""
        ticks = self._clock.best(image)
        if ticks is None:
            self._untimed += self._clock.counts_times
            ticks = 0 if last is None else last + self._step
        if last is not None and ticks <= last:
            self._unordered += 1
            ticks = last + 1
        return ticks

    def _frame(self, image: VideoFrame, index: int, ticks: int) -> Frame:
        if image.is_corrupt:
            self._concealed += 1
        self._watch_shape(index, ticks)
        if image.color_range and self.tags.range and int(image.color_range) != self.tags.range:
            self._changed_range = True
        planes = planes_of(image, self.layout, self.encoding.matrix)
        extra: dict[str, Any] = self._inventory.take(image)
        if image.duration:
            extra["duration"] = image.duration * self.tags.time_base
        order = self._order(image)
        if order is not None:
            extra[FIELDS] = order
        self._colours.look(index, planes)
        return Frame(
            luma=planes[0],
            encoding=self.encoding,
            colour=None if self.layout.subsampling is None else (planes[1], planes[2]),
            alpha=planes[3] if self.layout.alpha else None,
            index=index,
            pts=ticks * self.tags.time_base,
            origin=self.path,
            metadata=Metadata(extra=extra),
        )

    def _watch_shape(self, index: int, ticks: int) -> None:
        """The first change of the pixels' shape: by the headers where they were looked through, else by the decoder,
        which tells it up to some frames early."""
        if self._reshaped or not self._first_shape:
            return
        known = self._survey.shapes
        shape = next((shape for time, shape in known if time <= ticks), self._first_shape) if known else self._shape
        if shape and shape != self._first_shape:
            self._reshaped = (
                f"the shape of the pixels changes at {'' if known else 'about '}frame {index}, from "
                f"{self._first_shape} to {shape}: the first is told for the whole result; cut the film there to keep "
                "both"
            )

    def _order(self, image: VideoFrame) -> Order | None:
        """The order of a frame's fields. If a decoder marks no frame, the header's order is used."""
        order = self._fields.order(image)
        if order is None and self.tags.interlaced and not self.tags.frames_tell:
            return "top" if self.tags.top_field_first else "bottom"
        return order

    def _damage(self) -> Iterator[str]:
        counted = {
            "damaged packets, left out since they cannot be decoded": self._damaged,
            "damaged frames, repaired by the decoder as far as it can": self._concealed,
            "packets that were damaged on their way, so that parts of pictures may be missing": self._disturbed,
            "frames without a timestamp, timed by the average rate": self._untimed,
            "timestamps that do not advance, each set one tick after the one before": self._unordered,
        }
        yield from (f"{what}: {count}" for what, count in counted.items() if count)
        if self._cut_short:
            yield "the file cannot be read to its end"
        if self._reshaped:
            yield self._reshaped
        yield from self._inventory.notes()
        if self._changed_range:
            yield "the range tag changes midway; the first is used throughout"
