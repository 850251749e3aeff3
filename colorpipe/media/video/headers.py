"""The headers inside a video stream, read before its pictures are decoded."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

_PICTURE_CODING = b"\0\0\1\xb5"
"""Start code of MPEG-2's extensions (ISO/IEC 13818-2, 6.2.1)."""
_SEQUENCE = re.compile(rb"\x00\x00\x01\xb3(.{4})", re.DOTALL)
"""MPEG-1 and MPEG-2: width, height, shape of the pixels and rate."""
_H264_SPS = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67](.*?)(?=\x00\x00\x01|\x00\x00\x00\x01|$)", re.DOTALL)
_HEVC_SPS = re.compile(rb"\x00\x00\x01\x42\x01(.*?)(?=\x00\x00\x01|\x00\x00\x00\x01|$)", re.DOTALL)
_SETS = {"mpeg1video": _SEQUENCE, "mpeg2video": _SEQUENCE, "h264": _H264_SPS, "hevc": _HEVC_SPS}
_MOST_PIXELS = "250000000"
"""Largest picture that is decoded to learn its size: a damaged or hostile header must not fill the memory."""
_HEAD = 4096
"""Bytes of a packet in which its headers stand."""


class Headers:
    """The headers of a stream whose parameters may change, packet by packet.

    Only the first key picture after a header that is another one is decoded.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self._name = context.name if context is not None else ""
        self._sets = _SETS.get(self._name)
        self._size: tuple[int, int] | None = None
        self._shape: Fraction | None = None
        self._last: bytes | None = None
        self.sizes: list[tuple[int, int, int]] = []
        """Number of the packet, width and height, where the size changes."""
        self.shapes: list[tuple[int, int, Fraction]] = []
        """Number of the packet, its time, and the new shape of a pixel, where that changes."""
        self.joins: set[int] = set()
        """Numbers of the packets whose headers differ from those before."""
        self.interlaced = False
        """A picture has two fields, as far as the headers and the decoded pictures tell."""

    def add(self, packet: Packet[Any], number: int) -> None:
        if self._sets is None or not packet.size:
            return
        head = memoryview(packet)[:_HEAD].tobytes()
        if self._name == "mpeg2video" and not self.interlaced:
            self.interlaced = _has_fields(head)
        if not packet.is_keyframe:
            return
        match = self._sets.search(head)
        if match is None or match[1] == self._last:
            return
        if self._last is not None:
            self.joins |= {number - 1, number}
        self._last = match[1]
        context: Any = av.CodecContext.create(self._name, "r")
        context.options = {"max_pixels": _MOST_PIXELS}
        try:
            images = [*context.decode(Packet(bytes(packet))), *context.decode(None)]
        except av.FFmpegError:
            return
        for image in images:
            size = image.width, image.height
            if self._size is not None and size != self._size:
                self.sizes.append((number, *size))
            self._size = size
            shape = context.sample_aspect_ratio
            if self._shape and shape and shape != self._shape and packet.pts is not None:
                self.shapes.append((number, packet.pts, shape))
            self._shape = shape or self._shape
            self.interlaced = self.interlaced or image.interlaced_frame


def _has_fields(head: bytes) -> bool:
    """Whether MPEG-2's picture coding extension says that a picture is not progressive (13818-2, 6.2.3.1)."""
    place = head.find(_PICTURE_CODING)
    while place >= 0:
        extension = head[place + 4 : place + 9]
        if len(extension) == 5 and extension[0] >> 4 == 8:
            return not extension[4] & 0x80
        place = head.find(_PICTURE_CODING, place + 4)
    return False
