"""Photoshop's image resources: blocks of ``8BIM`` in a JPEG's APP13 and a TIFF's tag 34377.

IPTC's captions are one of them (Adobe Photoshop File Formats Specification, "Image Resources Section").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

IPTC, DIGEST = 0x0404, 0x0425
THUMBNAILS = (0x0409, 0x040C)
_RESOLUTION = 0x03ED
PREFIX = b"Photoshop 3.0\0"
"""How a JPEG's segment starts."""


@dataclass(frozen=True)
class Resource:
    """One block."""

    mark: bytes
    """``8BIM``, or another maker's four letters."""
    number: int
    name: bytes
    """The name as stored: a length and letters, padded to an even number of bytes."""
    data: bytes

    def packed(self) -> bytes:
        size = struct.pack(">I", len(self.data))
        return self.mark + struct.pack(">H", self.number) + self.name + size + self.data + b"\0" * (len(self.data) % 2)


def parsed(data: bytes) -> tuple[list[Resource], bytes]:
    """The blocks, and the bytes behind them that form none: damage, or padding."""
    found = []
    at = 0
    while at + 12 <= len(data):
        mark, number, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6]
        name = 1 + length + (length + 1) % 2
        start = at + 6 + name + 4
        size = int.from_bytes(data[start - 4 : start], "big")
        if not mark.isalnum() or start > len(data) or start + size > len(data):
            break
        found.append(Resource(mark, number, data[at + 6 : at + 6 + name], data[start : start + size]))
        at = start + size + size % 2
    return found, data[at:]


def without_thumbnails(data: bytes, on_its_side: bool = False) -> bytes:
    """The blocks without pictures of the source's own look; everything else byte for byte.

    Args:
        on_its_side: The picture was turned by a quarter: horizontal and vertical resolution change places.
    """
    found, rest = parsed(data)
    kept = [block for block in found if block.number not in THUMBNAILS]
    if on_its_side:
        kept = [_turned(block) if block.number == _RESOLUTION else block for block in kept]
    if kept == found:
        return data
    return b"".join(block.packed() for block in kept) + rest


def iptc(data: bytes) -> bytes | None:
    """The IPTC block among the resources."""
    return next((block.data for block in parsed(data)[0] if block.number == IPTC), None)


def with_iptc(data: bytes, caption: bytes) -> bytes:
    """The resources with this IPTC block in place of their own; first, as programs write it."""
    found, rest = parsed(data)
    others = [block for block in found if block.number not in (IPTC, DIGEST)]
    packed = [Resource(b"8BIM", IPTC, b"\0\0", caption), *others]
    return b"".join(block.packed() for block in packed) + rest


def _turned(block: Resource) -> Resource:
    """ResolutionInfo: horizontal value and two units, vertical value and two units, eight bytes each."""
    return Resource(block.mark, block.number, block.name, block.data[8:16] + block.data[:8] + block.data[16:])
