"""Films, read through FFmpeg (PyAV): ``open_video`` gives each frame's luma exactly as it was decoded.

The other direction is ``VideoSink``; what a film says about itself besides pixels is in ``tags``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import av.container
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from colorpipe.errors import InputError, LimitError
from colorpipe.media.base import Source, SourceInfo
from colorpipe.media.video.container import cut_off, film_stream, is_cover, open_container
from colorpipe.media.video.tags import FULL_RANGE, MATRICES, UNSPECIFIED, VideoTags, matrix_of, read_tags
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Metadata

FilmT = TypeVar("FilmT", bound="VideoSource")
MAX_DECODER_THREADS = 8
"""Each thread of a frame-threaded decoder holds a frame; more cost memory and are not faster than the network."""
DEPTHS = (8, 9, 10, 12, 14, 16)
"""Bit depths for which FFmpeg has planar YUV formats."""
_NATIVE = re.compile(r"(?P<family>yuvj|yuva|yuv|gray)(?P<chroma>4\d\d)?p?(?P<bits>\d+)?(le)?")
_SUBSAMPLING = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_CHROMA = {subsampling: name for name, subsampling in _SUBSAMPLING.items()}


@dataclass(frozen=True)
class PixelLayout:
    """How a decoded frame becomes planes."""

    format: str
    """The planar format that planes are taken from; frames of another are converted to it by libswscale."""
    bits: int
    subsampling: tuple[int, int] | None
    """None for grey."""
    alpha: bool
    rgb: bool
    """Made from RGB: the luma is computed, in full range."""
    rearranged: bool
    """Converted without arithmetic: the same values in another order of bytes."""


def open_video(path: Path, options: MediaOptions) -> VideoSource:
    """Open a film: ``opened(VideoSource, path, options)``."""
    return opened(VideoSource, path, options)


def opened(
    kind: Callable[[Path, av.container.InputContainer, MediaOptions], FilmT], path: Path, options: MediaOptions
) -> FilmT:
    """Open a film; its first video stream that is not a cover picture is the one that is read.

    The first frame is decoded here, so that a film that cannot be decoded at all fails now.

    Args:
        kind: What its frames are given through.

    Raises:
        InputError: the file cannot be read, is not a film, or holds no video stream or no frame.
        LimitError: its frames have more pixels than ``options.max_pixels``, or it lasts longer than
            ``options.max_seconds``; where only the timestamps tell, while iterating.
    """
    container = open_container(path)
    try:
        return kind(path, container, options)
    except BaseException:
        container.close()
        raise


class VideoSource(Source):
    """A film's frames in presentation order.

    ``info.notes`` is complete once the last frame has been given: damage is known only then.
    """

    whole = True
    """False of what gives parts of a film: its sound, subtitles and chapters do not fit, and are left out."""

    def __init__(self, path: Path, container: av.container.InputContainer, options: MediaOptions) -> None:
        self.path = path
        self._container = container
        self._stream = film_stream(path, container)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = min(os.cpu_count() or 1, MAX_DECODER_THREADS)
        self._damaged = self._concealed = self._untimed = self._unordered = 0
        self._changed_range = self._cut_short = False
        self._images = self._decode()
        declared = self._stream.codec_context
        self._check_size(declared.width, declared.height, options.max_pixels)
        self._most_seconds = options.max_seconds
        if container.duration:
            self._check_duration(Fraction(container.duration, av.time_base))
        first = next(self._images, None)
        if first is None:
            raise InputError(f"{path}: not one frame could be decoded", hint="the file is damaged, or has no frames")
        self._check_size(first.width, first.height, options.max_pixels)
        self._size = first.width, first.height
        self._first: VideoFrame | None = first
        self.index = self._stream.index
        """The stream's place in its container."""
        self.tags: VideoTags = read_tags(self._stream, first)
        self.layout: PixelLayout = layout_of(first.format)
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
        )

    @property
    def has_alpha(self) -> bool:
        return self.layout.alpha

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
            yield self._frame(image, index, ticks)
            index, last = index + 1, ticks
            image = next(self._images, None)
        promised = self._stream.frames
        if promised and index >= promised:  # all are there: what is missing at the file's end is none of them
            self._notes = [note for note in self._notes if note not in self._cut_off]
        if index < promised:
            self._notes.append(
                f"the index lists {promised} frames and {index} are shown: "
                "an edit list hides the others, or they are damaged"
            )
        self.info = replace(self.info, frames=index, notes=(*self._notes, *self._damage()))

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
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self._cut_short = True
                break
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._damaged += 1
        try:
            yield from self._stream.decode(None)
        except av.FFmpegError:
            self._damaged += 1

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
        if self.tags.interlaced:
            notes.append("it is interlaced: frames are colorized with both fields in place")
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
        ticks = image.pts
        if ticks is None:
            self._untimed += 1
            ticks = 0 if last is None else last + self._step
        if last is not None and ticks <= last:
            self._unordered += 1
            ticks = last + 1
        return ticks

    def _frame(self, image: VideoFrame, index: int, ticks: int) -> Frame:
        if (image.width, image.height) != self._size:
            raise InputError(
                f"{self.path}: frame {index} is {image.width}x{image.height}, those before it "
                f"{self._size[0]}x{self._size[1]}",
                hint="cut the film where its size changes and colorize the parts",
            )
        if layout_of(image.format) != self.layout:
            raise InputError(
                f"{self.path}: the pixel format changes at frame {index}, to {image.format.name}",
                hint="cut the film there and colorize the parts",
            )
        if image.is_corrupt:
            self._concealed += 1
        if image.color_range and self.tags.range and int(image.color_range) != self.tags.range:
            self._changed_range = True
        planes = self._planes(image)
        duration = image.duration * self.tags.time_base if image.duration else None
        return Frame(
            luma=planes[0],
            encoding=self.encoding,
            colour=None if self.layout.subsampling is None else (planes[1], planes[2]),
            alpha=planes[3] if self.layout.alpha else None,
            index=index,
            pts=ticks * self.tags.time_base,
            origin=self.path,
            metadata=Metadata(extra={} if duration is None else {"duration": duration}),
        )

    def _planes(self, image: VideoFrame) -> list[np.ndarray]:
        if self.layout.rgb:
            image = image.reformat(
                format=self.layout.format,
                dst_colorspace=1 if self.encoding.matrix == "bt709" else 5,
                dst_color_range=FULL_RANGE,
            )
        elif image.format.name != self.layout.format and self.layout.rearranged:
            image = image.reformat(format=self.layout.format)
        dtype = np.dtype(np.uint8 if self.layout.bits == 8 else "<u2")
        planes = []
        for plane in image.planes:
            rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]
            values = np.ascontiguousarray(rows if plane.line_size > 0 else rows[::-1])
            values.setflags(write=False)
            planes.append(values)
        return planes

    def _damage(self) -> Iterator[str]:
        counted = {
            "damaged packets, left out since they cannot be decoded": self._damaged,
            "damaged frames, repaired by the decoder as far as it can": self._concealed,
            "frames without a timestamp, timed by the average rate": self._untimed,
            "timestamps that do not advance, each set one tick after the one before": self._unordered,
        }
        yield from (f"{what}: {count}" for what, count in counted.items() if count)
        if self._cut_short:
            yield "the file cannot be read to its end"
        if self._changed_range:
            yield "the range tag changes midway; the first is used throughout"


def layout_of(pixels: VideoFormat) -> PixelLayout:
    """The planar layout that holds a decoder's pixel format without loss, where there is one."""
    match = _NATIVE.fullmatch(pixels.name)
    if match:
        family, bits = match["family"], int(match["bits"] or 8)
        return PixelLayout(
            # The yuvj names are the yuv ones with a range that is told separately: the planes are alike.
            format=pixels.name.replace("yuvj", "yuv"),
            bits=bits,
            subsampling=_SUBSAMPLING[match["chroma"]] if match["chroma"] else None,
            alpha=family == "yuva",
            rgb=False,
            rearranged=False,
        )
    components = pixels.components
    alpha = any(component.is_alpha for component in components)
    widest = max(component.bits for component in components)
    bits = next((depth for depth in DEPTHS if depth >= widest), DEPTHS[-1])
    depth = "" if bits == 8 else f"{bits}le"
    if len(components) == 1 and not (pixels.has_palette or pixels.is_bayer):
        return PixelLayout(f"gray{depth}", bits, None, alpha=False, rgb=False, rearranged=True)
    other = pixels.is_rgb or pixels.is_bayer or pixels.has_palette or pixels.name.startswith("xyz")
    is_yuv = len(components) >= 3 and not other
    if is_yuv:
        wide = VideoFormat(pixels.name, 64, 64)
        subsampling = (64 // wide.chroma_width()).bit_length() - 1, (64 // wide.chroma_height()).bit_length() - 1
    else:
        subsampling = (0, 0)
    name = f"yuv{'a' if alpha else ''}{_CHROMA[subsampling]}p{depth}"
    return PixelLayout(name, bits, subsampling, alpha=alpha, rgb=not is_yuv, rearranged=is_yuv)
