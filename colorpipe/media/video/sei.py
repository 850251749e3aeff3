"""Messages between the pictures of H.264 and H.265 (SEI): captions, and what a picture is.

PyAV's frames cannot be given side data, so that libx264 and libx265 are not told of it; the messages are put before the
encoded pictures instead, as the encoders would have done.
"""

from __future__ import annotations

from collections.abc import Sequence

_START = b"\0\0\0\1"
_HEADERS = {"libx264": b"\x06", "libx265": b"\x4e\x01"}
"""NAL unit headers of (prefix) SEI: H.264 7.3.1, H.265 7.3.1.2."""
CODECS = tuple(_HEADERS)
_T35, _UNREGISTERED = 4, 5
"""Payload types: user data registered by ITU-T T.35, and unregistered (H.264 D.1.6, D.1.7)."""
_ATSC = b"\xb5\x00\x31GA94\x03"
"""United States, ATSC, captions (ATSC A/53 part 4, 6.2.3)."""
_MOST_TRIPLETS = 31
_PICTURE_TIMING = b"\x00\x00\x01\x06\x01\x01"
"""Start code, SEI, payload type 1 (D.1.3) of one byte: libx264's where no buffer is modelled."""
_FIELDS, _PROGRESSIVE = (b"\x32\x80", b"\x42\x80"), b"\x04\x80"
"""The payload byte and the end of the unit: ``pic_struct`` 3 or 4 (top or bottom field first), with two clock flags; or
0 (a frame), with one. The bits after the flags fill the byte."""


def messages(codec: str, captions: bytes | None, unregistered: Sequence[bytes] = ()) -> bytes:
    """NAL units to put before an encoded picture, each with its start code.

    Args:
        captions: Triplets as FFmpeg's ``AV_FRAME_DATA_A53_CC`` has them; the 31 that a picture can have are taken.
        unregistered: UUID and text, each.
    """
    units = b""
    if captions:
        count = min(len(captions) // 3, _MOST_TRIPLETS)
        units += _unit(codec, _T35, _ATSC + bytes([0x40 | count, 0xFF]) + captions[: 3 * count] + b"\xff")
    for data in unregistered:
        units += _unit(codec, _UNREGISTERED, data)
    return units


def as_progressive(packet: bytes) -> bytes:
    """A picture of an interlaced H.264 stream, said to be a frame that was scanned at once."""
    for fields in _FIELDS:
        packet = packet.replace(_PICTURE_TIMING + fields, _PICTURE_TIMING + _PROGRESSIVE, 1)
    return packet


def _unit(codec: str, kind: int, payload: bytes) -> bytes:
    size = b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255])
    return _START + _HEADERS[codec] + _escaped(bytes([kind]) + size + payload + b"\x80")


def _escaped(data: bytes) -> bytes:
    """The data, escaped so that nothing in it looks like a start code (H.264 7.4.1)."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
