"""A film's statements about its picture: time base, geometry, colour, fields, HDR.

Read from the first decoded frame where it tells, else from the stream; given to an encoder and its muxer unchanged.
The numbers are those of ITU-T H.273, which FFmpeg and all its containers use.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from colorpipe.media.video.fields import Order
    from colorpipe.types import Matrix

UNSPECIFIED = 2
"""H.273: primaries, transfer or matrix are not stated."""
FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG; 1 is limited, 0 not stated."""
MATRICES: dict[int, Matrix] = {
    1: "bt709",
    4: "bt601",  # FCC 73.682: BT.601's weights to two digits
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
"""H.273 MatrixCoefficients -> the matrix that colorpipe computes chroma with."""
MATRIX_CODES: dict[Matrix, int] = {"bt601": 6, "bt709": 1, "smpte240m": 7, "bt2020": 9}
HD_HEIGHT = 720
"""Players take an untagged film for BT.709 from this height on, for BT.601 below (as libplacebo, mpv and VLC do)."""
TOP_FIELD_SHOWN_FIRST = (2, 5)
"""AVFieldOrder TT and BT; TB and BB show the bottom field first."""
PROGRESSIVE = (0, 1)
_ABSURD = 3
"""An average rate this many times the timestamps' own rate is not used; twice that rate is fields counted as frames."""
_DROP_FRAME = Fraction(30_000, 1001)
_LOCATIONS = re.compile(r"[(,]\s*(left|center|topleft|top|bottomleft|bottom)[,)]")
_TELLING = {"mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vc1"}
"""Codecs whose frames say whether they are interlaced, so that one which does not is progressive. FFV1 says it too, but
many of its files were written by programs that told the container alone."""


@dataclass(frozen=True)
class VideoTags:
    """One video stream's tags; None, 0 or UNSPECIFIED where the file does not tell."""

    time_base: Fraction
    """Seconds per tick of a timestamp."""
    rate: Fraction
    """Average frames per second."""
    nominal_rate: Fraction
    """The rate given to the muxer: the average, unless the film's drop-frame time code counts at another."""
    sample_aspect_ratio: Fraction | None
    display_matrix: tuple[int, ...] | None
    """Nine integers, FFmpeg's AV_PKT_DATA_DISPLAYMATRIX: rotation and flips, which players apply."""
    range: int
    primaries: int
    transfer: int
    matrix: int
    field_order: int
    mastering_display: str | None
    """SMPTE ST 2086, in the notation that libx264 and libx265 share: ``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)``."""
    content_light: str | None
    """``MaxCLL,MaxFALL`` in cd/m2 (CTA-861.3)."""
    chroma_location: str | None
    """Where chroma samples of 4:2:0 lie, by FFmpeg's names: ``left``, ``topleft`` ..."""
    frames_tell: bool
    """Whether decoded frames of this codec say that they are interlaced."""
    timecode: str | None
    """Time code of the first frame, where its group of pictures tells one and the file does not."""

    @property
    def interlaced(self) -> bool:
        return self.field_order not in PROGRESSIVE

    @property
    def top_field_first(self) -> bool:
        return self.field_order in TOP_FIELD_SHOWN_FIRST

    @property
    def order(self) -> Order | None:
        """Order of the fields; None where the film is progressive."""
        return None if not self.interlaced else "top" if self.top_field_first else "bottom"

    def apply(self, stream: VideoStream, matrix: Matrix, full_range: bool) -> None:
        """Set them on an output stream whose header is not written yet.

        A film that does not tell its matrix gets the one its new colours were computed with, and one in full range
        says so: without the tag a player could take both for something else.
        """
        context = stream.codec_context
        if self.sample_aspect_ratio is not None:
            context.sample_aspect_ratio = self.sample_aspect_ratio
        context.color_range = FULL_RANGE if full_range else self.range
        context.color_primaries = self.primaries
        context.color_trc = self.transfer
        context.colorspace = self.matrix if self.matrix in MATRICES else MATRIX_CODES[matrix]
        context.field_order = self.field_order
        if self.timecode is not None:
            stream.metadata["timecode"] = self.timecode
        if self.display_matrix is not None:
            stream.set_display_matrix(self.display_matrix)


def read_tags(stream: VideoStream, frame: VideoFrame, order: Order | None, line: str) -> VideoTags:
    """Tags of ``stream``, whose first decoded frame is ``frame``.

    Args:
        order: The frame's fields.
        line: FFmpeg's description of the stream, told everything.
    """
    context = stream.codec_context
    items: Any = frame.side_data  # a sequence of items, which PyAV's stubs take for a mapping
    side = {item.type.name: bytes(item) for item in items}
    matrix = side.get("DISPLAYMATRIX")
    field_order = int(context.field_order)
    told = "top" if field_order in TOP_FIELD_SHOWN_FIRST else "bottom"
    if order is not None and (field_order in PROGRESSIVE or order != told):
        field_order = {"top": 2, "bottom": 3}[order]  # the order as shown counts, not the one in a header
    rate = _sane_rate(stream)
    location = _LOCATIONS.search(line)
    return VideoTags(
        time_base=stream.time_base or Fraction(1, 90_000),
        rate=rate,
        nominal_rate=_nominal_rate(stream, rate),
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        display_matrix=struct.unpack("=9i", matrix) if matrix else None,
        range=int(frame.color_range) or int(context.color_range),
        primaries=_told(frame.color_primaries, context.color_primaries),
        transfer=_told(frame.color_trc, context.color_trc),
        matrix=_told(frame.colorspace, context.colorspace),
        field_order=field_order,
        mastering_display=_mastering_display(side.get("MASTERING_DISPLAY_METADATA")),
        content_light=_content_light(side.get("CONTENT_LIGHT_LEVEL")),
        chroma_location=location[1] if location else None,
        frames_tell=context.name in _TELLING or order is not None,
        timecode=None if "timecode" in stream.metadata else _gop_timecode(side.get("GOP_TIMECODE")),
    )


def matrix_of(code: int, height: int) -> Matrix:
    """The matrix that players use for a film of this tag and height."""
    return MATRICES.get(code, "bt709" if height >= HD_HEIGHT else "bt601")


def _told(*codes: int) -> int:
    return next((int(code) for code in codes if int(code) != UNSPECIFIED), UNSPECIFIED)


def _sane_rate(stream: VideoStream) -> Fraction:
    rates = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    if not rates:
        return Fraction(25)
    if rates[0] > _ABSURD * min(rates):  # raw DV: one frame in one tick of the clock
        return min(rates)
    return rates[0]


def _nominal_rate(stream: VideoStream, rate: Fraction) -> Fraction:
    """Drop-frame time code counts at multiples of 30000/1001 a second, and muxers refuse it at any other rate."""
    held = {key.lower(): value for tags in (stream.container.metadata, stream.metadata) for key, value in tags.items()}
    timecode = held.get("timecode", "")
    guessed = Fraction(stream.guessed_rate or rate)
    drops = ";" in timecode or "." in timecode
    if drops and (rate / _DROP_FRAME).denominator != 1 and (guessed / _DROP_FRAME).denominator == 1:
        return guessed
    return rate


def _gop_timecode(blob: bytes | None) -> str | None:
    """Time code from the 25 bits of ISO/IEC 13818-2, 6.3.8; None where it only counts from zero."""
    if blob is None or len(blob) < 8:
        return None
    (code,) = struct.unpack("=q", blob[:8])
    hours, minutes, seconds, pictures = code >> 19 & 31, code >> 13 & 63, code >> 6 & 63, code & 63
    if not (hours or minutes or seconds or pictures):
        return None
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if code >> 24 & 1 else ':'}{pictures:02}"


def _mastering_display(blob: bytes | None) -> str | None:
    """Read FFmpeg's AVMasteringDisplayMetadata: ten rationals (R, G, B, white as x, y; min, max cd/m2), two flags."""
    if blob is None or len(blob) < 88:
        return None
    numbers = struct.unpack("=22i", blob[:88])
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, low, high = (
        Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)
    )
    # ST 2086 as coded in H.265 D.3.28: chromaticities in 1/50000, luminances in 1/10000 cd/m2.
    green, blue, red, white = (
        f"({round(x * 50_000)},{round(y * 50_000)})"
        for x, y in ((green_x, green_y), (blue_x, blue_y), (red_x, red_y), (white_x, white_y))
    )
    return f"G{green}B{blue}R{red}WP{white}L({round(high * 10_000)},{round(low * 10_000)})"


def _content_light(blob: bytes | None) -> str | None:
    """FFmpeg's AVContentLightMetadata: two unsigned integers."""
    if blob is None or len(blob) < 8:
        return None
    brightest, average = struct.unpack("=2I", blob[:8])
    return f"{brightest},{average}" if brightest or average else None
