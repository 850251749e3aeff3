"""Parts besides the picture in WebP, GIF, BMP and AVIF or HEIC files."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from colorpipe.media.still.held.ifd import Block
from colorpipe.media.still.held.parts import Held, listed
from colorpipe.media.still.held.resolution import Resolution

_WEBP_PICTURE = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))


def webp(data: bytes) -> Held:
    """RFC 9649, section 2."""
    exif = xmp = None
    left = []
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if name == b"EXIF":
            exif = exif or body
        elif name == b"XMP ":
            xmp = xmp or body
        elif name not in _WEBP_PICTURE:
            left.append(name.decode("latin-1").strip())
        at += 8 + size + size % 2
    notes = (f"its {listed(left)} chunk{'s' * (len(set(left)) > 1)} left out",) if left else ()
    block = None if exif is None else Block.of(exif)
    return Held(exif=exif, xmp=xmp, resolution=Resolution.of_block(block), notes=notes)


def gif(data: bytes) -> Held:
    """GIF89a: comment extensions, and XMP in an application extension."""
    comments = []
    xmp = None
    left = []
    at = 13 + (3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    while at < len(data):
        kind = data[at]
        if kind == 0x2C:
            flags = data[at + 9] if at + 9 < len(data) else 0
            at += 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1
            at += len(_blocks(data, at)[1])
        elif kind == 0x21 and at + 1 < len(data):
            label = data[at + 1]
            parts, raw = _blocks(data, at + 2)
            if label == 0xFE:
                comments.append(b"".join(parts))
            elif label == 0xFF and parts and parts[0] == b"XMP DataXMP":
                # The packet stands there as it is; 258 bytes behind it lead a reader out of it.
                xmp = raw[12:-258] if len(raw) > 270 else None
            elif label == 0xFF and parts and parts[0] not in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
                left.append(parts[0].decode("latin-1"))
            elif label == 0x01:
                left.append("plain text")
            at += 2 + len(raw)
        else:
            break
    notes = (f"its {listed(left)} extension{'s' * (len(set(left)) > 1)} left out",) if left else ()
    return Held(xmp=xmp, comments=tuple(comments), notes=notes)


def _blocks(data: bytes, at: int) -> tuple[list[bytes], bytes]:
    """Sub-blocks up to the empty one, and all their bytes."""
    start, parts = at, []
    while at < len(data) and data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return parts, data[start : at + 1]


def bmp(head: bytes) -> Held:
    """A bitmap's header: resolution, in pixels a metre."""
    if head[14:18] == b"\x0c\0\0\0" or len(head) < 46:
        return Held()
    x, y = struct.unpack_from("<ii", head, 38)
    return Held(resolution=Resolution.of(x, y, "m"))


def bmp_profile(data: bytes) -> tuple[bytes | None, str | None]:
    """The ICC profile in a bitmap of the fifth version, and notes on colour that is stated in another way."""
    size = int.from_bytes(data[14:18], "little")
    if size < 108 or len(data) < 14 + size:
        return None, None
    space = data[70:74][::-1]
    if size >= 124 and space == b"MBED":
        start, length = struct.unpack_from("<II", data, 14 + 112)
        profile = data[14 + start : 14 + start + length]
        return (
            (profile, None) if len(profile) == length and length else (None, "its ICC profile is damaged and left out")
        )
    if space == b"LINK":
        return None, "its colour profile is in another file and is left out"
    if space == b"\0\0\0\0" and any(data[74 : 14 + 108]):
        return None, "its own primaries and gamma are not honoured: read as sRGB"
    return None, None


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box (ISO/IEC 14496-12)."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = end - at if size == 0 else size
        if size < head or at + size > end:
            return
        yield name, at + head, at + size
        at += size


def colour_codes(data: bytes) -> tuple[int, int, int, bool] | None:
    """Primaries, transfer, matrix and whether codes have full range, as the first ``nclx`` of a HEIF file says."""
    for name, start, end in boxes(data):
        if name == b"meta":
            for inner, first, last in boxes(data, start + 4, end):
                if inner != b"iprp":
                    continue
                for part, begin, stop in boxes(data, first, last):
                    if part != b"ipco":
                        continue
                    for kind, a, _ in boxes(data, begin, stop):
                        if kind == b"colr" and data[a : a + 4] == b"nclx":
                            primaries, transfer, matrix = struct.unpack_from(">HHH", data, a + 4)
                            return primaries, transfer, matrix, bool(data[a + 10] & 0x80)
    return None


def av1_is_grey(data: bytes) -> bool:
    """Whether the first AV1 picture of an AVIF file has no chroma (``av1C``, third byte, "monochrome")."""
    at = data.find(b"av1C")
    return at >= 0 and len(data) > at + 7 and bool(data[at + 6] & 0x10)


def av1_has_limited_range(data: bytes) -> bool:
    codes = colour_codes(data)
    return codes is not None and not codes[3]


def is_avif(data: bytes) -> bool:
    """Whether a HEIF file's pictures are AV1's; HEVC's are HEIC."""
    brands = data[8 : int.from_bytes(data[:4], "big")]
    return b"avif" in brands or b"avis" in brands or (b"av01" in data[:4096] and b"hvc1" not in data[:4096])


def pictures(data: bytes) -> int:
    """Pictures of a sequence (AVIF's ``avis``): samples of its first track; 1 where there is none."""
    for name, start, end in boxes(data):
        if name == b"moov":
            at = data.find(b"stsz", start, end)
            return max(1, int.from_bytes(data[at + 12 : at + 16], "big")) if at > 0 else 1
    return 1
