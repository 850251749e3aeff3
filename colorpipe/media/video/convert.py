"""Streams that a container takes only in another wrapping: discs' PCM, and text subtitles. Nothing is lost to the ear.

Each class turns a stream's packets into those of another codec, one by one.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import av
import av.container
import numpy as np
from av.packet import Packet
from av.stream import Stream

DISC_PCM = ("pcm_dvd", "pcm_bluray", "pcm_s16le_planar", "pcm_s24le_planar", "pcm_s32le_planar", "s302m")
"""PCM in the packing of DVDs, Blu-rays and broadcasts, which no other container takes."""
TEXTS = ("subrip", "mov_text", "webvtt", "ass", "text", "sami", "microdvd", "realtext", "stl", "subviewer", "jacosub")
"""Subtitles that are text, by FFmpeg's names."""
_DRIFT = Fraction(1, 50)
"""Seconds that a stream's own times may be off the count of its samples before they are believed again."""


class Repacked:
    """PCM as little-endian samples of 16 or 24 bits, the same values.

    Raises:
        ValueError: its samples are of another kind.
    """

    def __init__(self, stream: Any, output: av.container.OutputContainer) -> None:
        source = stream.codec_context
        kind = source.format.name.removesuffix("p")
        if kind not in ("s16", "s32"):
            raise ValueError(f"PCM of {kind}")
        self._decoder = source
        self._rate, self._wide = source.sample_rate, kind == "s32"
        self.codec = "pcm_s24le" if self._wide else "pcm_s16le"
        self.target: Any = output.add_stream(self.codec, rate=self._rate, layout=source.layout.name)
        self._samples: int | None = None

    def turned(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """A packet's samples; damaged ones give none."""
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            return []
        made = []
        for frame in frames:
            values = frame.to_ndarray()
            values = values.T if frame.format.is_planar else values
            data = np.ascontiguousarray(values)
            # 24 bits lie in the upper bytes of 32
            blob = data.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes() if self._wide else data.tobytes()
            told = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
            now = Fraction(self._samples or 0, self._rate)
            if self._samples is None or (told is not None and abs(told - now) > _DRIFT):
                self._samples = round((told or 0) * self._rate)
            turned: Packet[Any] = Packet(blob)
            turned.time_base = Fraction(1, self._rate)
            turned.pts = turned.dts = self._samples
            turned.duration = frame.samples
            turned.stream = self.target
            self._samples += frame.samples
            made.append(turned)
        return made


class Rewritten:
    """Text subtitles in the notation of another container: SubRip for Matroska, 3GPP timed text for MP4."""

    def __init__(self, stream: Any, output: av.container.OutputContainer, codec: str) -> None:
        self.codec = codec
        self._decoder: Any = stream.codec_context
        self._decoder.open(strict=False)
        self.target = cast(Any, output.add_stream({"subrip": "srt"}.get(codec, codec)))
        self.target.time_base = stream.time_base
        self.target.codec_context.time_base = Fraction(1, 1000)
        self.target.codec_context.subtitle_header = self._decoder.subtitle_header

    def turned(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """A packet's text; empty if it only ends the text before it, or is damaged."""
        try:
            text = self._decoder.decode2(packet)
            if text is None or not len(text.rects):
                return []
            turned = self.target.codec_context.encode_subtitle(text)
        except (av.FFmpegError, ValueError):
            return []
        turned.pts = turned.dts = packet.pts
        turned.duration, turned.time_base = packet.duration, packet.time_base
        turned.stream = self.target
        return [turned]


def rewritten_as(muxer: str, stream: Stream) -> str | None:
    """The codec that a text subtitle becomes in a container, None where it is no text."""
    name = stream.codec_context.codec.canonical_name if stream.codec_context else ""
    if stream.type != "subtitle" or name not in TEXTS:
        return None
    return "subrip" if muxer == "matroska" else "mov_text"
