"""A film as ``verify`` reads it: by a path of its own, from the file to the frames.

What ``run`` reads and how it writes is on trial here, so that nothing of it is used: streams are found, times judged,
fields, captions and side data counted anew. The two meet only in FFmpeg's own description of a file.
"""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.filter
import numpy as np
from av.stream import Disposition, Stream
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorpipe.errors import InputError, LimitError
from colorpipe.media.video.container import cut_off, described
from colorpipe.settings import MediaOptions

RECORDED = ("mpeg", "mpegts", "flv")
"""Containers that are written as the pictures come: streams appear anywhere, the clock is the sender's."""
ISO = ("mov", "mp4")
_PROBED = 256 << 20
_LOOKED_AT = 24
"""Frames whose times tell whether times of presentation can be believed: more than a codec reorders."""
_OTHER_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_FAILURES = (av.FFmpegError, OSError)


@dataclass(frozen=True)
class Picture:
    """One decoded frame."""

    index: int
    luma: np.ndarray
    alpha: np.ndarray | None
    time: Fraction | None
    """Seconds on the file's own clock."""
    lasts: Fraction | None
    first_field: str | None
    """``top``, ``bottom``; None for a progressive frame."""
    shape: Fraction | None
    """Shape of a pixel."""
    captions: bytes
    kinds: frozenset[str]
    """Side data, by FFmpeg's names."""


@dataclass
class Account:
    """Events met while a film's frames were read."""

    frames: int = 0
    damaged: int = 0
    fields: dict[str | None, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    timecode: str | None = None


def opened(path: Path) -> av.container.InputContainer:
    """The file, with all streams that can be found in it.

    Raises:
        InputError: it cannot be read, or is no film.
    """
    options = {"protocol_whitelist": "file", "scan_all_pmts": "1"}
    try:
        film = av.open(f"file:{path}", container_options=options, metadata_errors="replace")
        if film.format.name in RECORDED:
            film.close()
            more = {**options, "probesize": str(_PROBED), "analyzeduration": "100000000000"}
            film = av.open(f"file:{path}", container_options=more, metadata_errors="replace")
    except (*_FAILURES, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return film


def read(film: av.container.InputContainer, stream: Stream) -> Iterator[Any]:
    """A stream's packets, as far as the file can be read."""
    source = film.demux(stream)
    while True:
        try:
            packet = next(source)
        except (StopIteration, IndexError, *_FAILURES):
            return
        if packet.size:
            yield packet


class Film:
    """One film, opened for comparing; ``account`` is complete once ``pictures`` ended.

    Raises:
        InputError: it cannot be read or holds no video.
        LimitError: its frames are larger than ``options`` allow.
    """

    def __init__(self, path: Path, options: MediaOptions) -> None:
        self.path = path
        self.container = opened(path)
        found = [stream for stream in self.container.streams.video if not stream.disposition & _COVERS]
        if not found or found[0].codec_context is None:
            raise InputError(f"{path}: no video that can be decoded")
        self.stream: VideoStream = found[0]
        self.index = self.stream.index
        self.base: Fraction = self.stream.time_base or Fraction(1, 90_000)
        context = self.stream.codec_context
        if context.width * context.height > options.max_pixels:
            raise LimitError(
                f"{path} has frames of {context.width} x {context.height} pixels, more than the limit of "
                f"{options.max_pixels:,}",
                hint=f"if the file can be trusted, --max-pixels {context.width * context.height} lets it in",
            )
        self.demuxer = self.container.format.name.split(",")[0]
        self.recorded = self.demuxer in RECORDED
        self.account = Account()
        name = _OTHER_DECODERS.get(context.name)
        self._decoder: Any = context
        if name is not None and name in av.codecs_available:
            self._decoder = av.CodecContext.create(name, "r")
            self._decoder.width, self._decoder.height = context.width, context.height
        self._decoder.thread_type = "AUTO"
        self._by_decoding = not self._presents()
        source = self._images()
        first = next(source, None)
        if first is None:
            raise InputError(f"{path}: not one frame could be decoded", hint="the file is damaged, or has no frames")
        self.first, self._rest = first, source
        self.width, self.height = first.width, first.height
        self.pixels = _Pixels(first.format)
        self.lines = self._described()

    @property
    def bits(self) -> int:
        return self.pixels.bits

    @property
    def has_alpha(self) -> bool:
        return self.pixels.alpha

    @property
    def frames(self) -> int | None:
        """The number of frames, if the file states it."""
        if self.stream.frames:
            return int(self.stream.frames)
        return None

    @property
    def begins(self) -> Fraction:
        """Seconds at which the first of its streams begins."""
        start = self.container.start_time
        return Fraction(0) if start is None else Fraction(start, av.time_base)

    @property
    def timecode(self) -> str | None:
        """The time code that the file states, in any place."""
        for held in (self.stream, self.container, *self.container.streams):
            told = {key.lower(): value for key, value in held.metadata.items()}
            code = told.get("timecode") or told.get("original_timecode")
            if code:
                return str(code)
        return self.account.timecode

    def notes(self) -> Iterator[str]:
        """Notes for a person on the file."""
        yield from cut_off(self.path)
        if self.account.damaged:
            yield f"damaged packets, which cannot be decoded: {self.account.damaged}"
        sounds = [stream.codec_context.name for stream in self.container.streams.audio if stream.codec_context]
        brand = self.container.metadata.get("major_brand", "").strip()
        if brand not in ("", "qt") and any(name.startswith("pcm_") for name in sounds):
            yield "few players play PCM in .mp4"
        if self.pixels.computed:
            yield f"{self.first.format.name} was converted to Y'CbCr in full range"

    def close(self) -> None:
        self.container.close()

    def pictures(self) -> Iterator[Picture]:
        """Each frame in the order in which it is shown, once."""
        last: Fraction | None = None
        steps: list[Fraction] = []
        image: VideoFrame | None = self.first
        index = 0
        while image is not None:
            time = self._time(image, last)
            if time is None:
                usual = statistics.median_low(steps) if steps else 1 / Fraction(self.stream.guessed_rate or 25)
                time = Fraction(0) if last is None else last + usual
            elif last is not None:
                steps = [*steps[-8:], time - last]
            yield self._picture(image, index, time)
            index, last, image = index + 1, time, next(self._rest, None)
        self.account.frames = index

    def _presents(self) -> bool:
        """Whether the frames' times of presentation rise: tested on the first frames, in a separate pass."""
        with opened(self.path) as film:
            stream = film.streams[self.index]
            seen: list[tuple[int | None, int | None]] = []
            for packet in read(film, stream):
                try:
                    seen += [(image.pts, image.dts) for image in packet.decode()]
                except av.FFmpegError:
                    continue
                if len(seen) >= _LOOKED_AT:
                    break
        if self.demuxer == "avi" or any(shown is None for shown, _ in seen):
            return False
        backward = [0, 0]
        for before, after in itertools.pairwise(seen):
            for place in (0, 1):
                ticks = before[place], after[place]
                backward[place] += ticks[0] is not None and ticks[1] is not None and ticks[1] <= ticks[0]
        return backward[0] <= backward[1]

    def _time(self, image: VideoFrame, last: Fraction | None) -> Fraction | None:
        told = (image.dts, image.pts) if self._by_decoding else (image.pts, image.dts)
        ticks = next((ticks for ticks in told if ticks is not None), None)
        if self._by_decoding and image.dts is None and last is not None:
            return None  # the last frames come without a packet of their own
        return None if ticks is None else ticks * self.base

    def _images(self) -> Iterator[VideoFrame]:
        for packet in read(self.container, self.stream):
            try:
                yield from self._decoder.decode(packet)
            except av.FFmpegError:
                self.account.damaged += 1
        try:
            yield from self._decoder.decode(None)
        except av.FFmpegError:
            self.account.damaged += 1

    def _picture(self, image: VideoFrame, index: int, time: Fraction) -> Picture:
        kinds: set[str] = set()
        captions = b""
        items: Any = image.side_data
        for item in items:
            name = item.type.name
            kinds.add(name)
            if name == "A53_CC":
                captions = bytes(item)
            elif name == "GOP_TIMECODE" and index == 0:
                self.account.timecode = _time_code(bytes(item))
            self.account.kinds[name] = self.account.kinds.get(name, 0) + 1
        first_field = self._first_field(image)
        self.account.fields[first_field] = self.account.fields.get(first_field, 0) + 1
        luma, alpha = self.pixels.planes(image)
        return Picture(
            index=index,
            luma=luma,
            alpha=alpha,
            time=time,
            lasts=image.duration * self.base if image.duration else None,
            first_field=first_field,
            shape=self._decoder.sample_aspect_ratio or None,
            captions=captions,
            kinds=frozenset(kinds),
        )

    def _first_field(self, image: VideoFrame) -> str | None:
        if not image.interlaced_frame:
            return None
        graph = self._bottom_first
        graph.push(image)
        try:
            graph.vpull()
        except BlockingIOError:
            return "top"
        return "bottom"

    @functools.cached_property
    def _bottom_first(self) -> av.filter.Graph:
        """A filter that passes only frames whose bottom field comes first (FFmpeg's filter ``select``)."""
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(
                width=self.width,
                height=self.height,
                format=VideoFormat(self.first.format.name),
                time_base=self.base,
            ),
            graph.add("select", r"eq(interlace_type\,2)"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
        return graph

    def _described(self) -> list[str]:
        """FFmpeg's lines about the video."""
        lines: list[str] = []
        inside = False
        for line in described(self.container, verbose=True).splitlines():
            text = line.strip()
            if text.startswith("Stream #0:"):
                inside = text.split(":")[1].split("[")[0].split("(")[0] == str(self.index)
            if inside:
                lines.append(text)
        return lines


class _Pixels:
    """The way from a decoded frame to its Y plane and its transparency, at their own depth."""

    def __init__(self, pixels: VideoFormat) -> None:
        parts = pixels.components
        self.alpha = any(part.is_alpha for part in parts)
        deepest = max(part.bits for part in parts)
        self.bits = next(bits for bits in (8, 9, 10, 12, 14, 16) if bits >= min(deepest, 16))
        name = pixels.name
        planar = name.startswith(("yuv4", "yuvj4", "yuva4")) and "p" in name and not name.endswith("be")
        self.grey = name.startswith("gray") and not name.endswith("be")
        wide = VideoFormat(name, 64, 64)
        self.subsampling = (0, 0)
        if len(parts) >= 3:
            self.subsampling = (
                (64 // wide.chroma_width()).bit_length() - 1,
                (64 // wide.chroma_height()).bit_length() - 1,
            )
        self.computed = pixels.is_rgb or pixels.has_palette or pixels.is_bayer or name.startswith("xyz")
        self._format = None
        if not (planar or self.grey):
            depth = "" if self.bits == 8 else f"{self.bits}le"
            if len(parts) == 1 and not self.computed:
                self._format = f"gray{depth}"
            else:
                layout = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (2, 0): "411", (2, 2): "410", (0, 1): "440"}
                chroma = layout[(0, 0) if self.computed else self.subsampling]
                self._format = f"yuv{'a' if self.alpha else ''}{chroma}p{depth}"

    def planes(self, image: VideoFrame) -> tuple[np.ndarray, np.ndarray | None]:
        if self._format is not None:
            if self.computed:  # as a player does: BT.709 for high definition, else BT.601, in full range
                hd = image.height >= 720
                image = image.reformat(format=self._format, dst_colorspace=1 if hd else 5, dst_color_range=2)
            else:
                image = image.reformat(format=self._format)
        return self._values(image.planes[0]), self._values(image.planes[3]) if self.alpha else None

    def _values(self, plane: Any) -> np.ndarray:
        kind = np.dtype(np.uint8 if self.bits == 8 else "<u2")
        line = abs(plane.line_size) // kind.itemsize
        rows = np.frombuffer(plane, kind).reshape(-1, line)[: plane.height, : plane.width]
        return np.array(rows[::-1] if plane.line_size < 0 else rows)


def _time_code(data: bytes) -> str | None:
    """Time code of an MPEG-2 group of pictures; None where it counts from zero."""
    code = int.from_bytes(data[:4], "little")
    numbers = (code >> 19) & 31, (code >> 13) & 63, (code >> 6) & 63, code & 63
    if not any(numbers):
        return None
    hours, minutes, seconds, pictures = numbers
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if code >> 24 & 1 else ':'}{pictures:02}"
