"""The chunks of a PNG (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from colorpipe.media.still.held.parts import Held, Text, listed
from colorpipe.media.still.held.resolution import Resolution

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_XMP = b"XML:com.adobe.xmp\0"
_PIXELS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sBIT", b"bKGD", b"hIST", b"sPLT", b"iDOT"))
"""The picture, and chunks about its own codes: sBIT, bKGD, hIST and sPLT count in the source's depth and palette."""
_COLOUR = frozenset((b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"))
_MOVES = frozenset((b"acTL", b"fcTL", b"fdAT"))
_TURNED = frozenset((b"oFFs", b"sTER", b"sCAL"))
"""Chunks that depend on width and height."""
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Colour:
    """How a PNG says that its codes stand for light."""

    gamma: float | None = None
    """gAMA: codes are light to this power; None where another chunk, which takes precedence, defines the codes."""
    white_and_primaries: tuple[float, ...] | None = None
    """cHRM: x and y of white, red, green, blue."""
    code_points: tuple[int, int, int, int] | None = None
    """cICP: primaries, transfer, matrix, range (ITU-T H.273)."""


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each chunk, up to damage or the end."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            return
        name = data[at + 4 : at + 8]
        yield name, data[at + 8 : at + 8 + size]
        at += 12 + size
        if name == b"IEND":
            return


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def colour(data: bytes) -> Colour:
    """The chunks that describe colour; those after the pixels do not count."""
    found: dict[bytes, bytes] = {}
    for name, body in chunks(data):
        if name == b"IDAT":
            break
        found.setdefault(name, body)
    cicp = found.get(b"cICP", b"")
    if len(cicp) == 4:
        return Colour(code_points=(cicp[0], cicp[1], cicp[2], cicp[3]))
    if b"iCCP" in found or b"sRGB" in found:
        return Colour()
    gamma, primaries = found.get(b"gAMA", b""), found.get(b"cHRM", b"")
    value = int.from_bytes(gamma, "big") / 100000 if len(gamma) == 4 else 0
    numbers = tuple(part / 100000 for part in struct.unpack(">8I", primaries)) if len(primaries) == 32 else None
    return Colour(value or None, numbers)


def held(data: bytes) -> Held:
    """The parts of a PNG besides its picture."""
    texts: list[Text] = []
    kept: list[tuple[bytes, bytes]] = []
    left: list[str] = []
    notes: list[str] = []
    parts: dict[str, bytes] = {}
    frames = 1
    resolution = None
    for name, body in chunks(data):
        if name == b"pHYs":
            resolution = Resolution.of_phys(body)
        elif name == b"eXIf":
            parts.setdefault("exif", body)
        elif name in TEXTS and body.startswith(_XMP):
            text = read_text(name, body)
            if text is not None:  # libvips packs it into zTXt, as the UTF-8 that it is
                parts.setdefault("xmp", text.text.encode("utf-8" if name == b"iTXt" else "latin-1"))
        elif name in TEXTS:
            text = read_text(name, body)
            if text is None:
                notes.append("a text chunk that cannot be unpacked is left out")
            else:
                texts.append(text)
                kept.append((name, body))
        elif name == b"acTL" and len(body) == 8:
            frames = max(1, int.from_bytes(body[:4], "big"))
        elif name == b"caBX":
            notes.append("its content credentials (JUMBF), which are for the very bytes of the source, are left out")
        elif name in _PIXELS | _COLOUR | _MOVES:
            left += [name.decode()] if name in (b"bKGD", b"hIST", b"sPLT", b"mDCV", b"cLLI", b"mDCv", b"cLLi") else []
        elif name in _TURNED or name == b"tIME" or name == b"pCAL" or name[3:4].islower():
            kept.append((name, body))  # a small fourth letter: safe to copy, whatever was done to the picture
        else:
            left.append(name.decode("latin-1"))
    if left:
        notes.append(f"its {listed(left)} chunk{'s' * (len(set(left)) > 1)} left out: made for the source's own codes")
    return Held(
        exif=parts.get("exif"),
        xmp=parts.get("xmp"),
        resolution=resolution,
        texts=tuple(texts),
        chunks=tuple(kept),
        notes=tuple(dict.fromkeys(notes)),
        frames=frames,
    )


def read_text(name: bytes, body: bytes) -> Text | None:
    """A text chunk; None where it is damaged or unpacks to more than 64 MiB."""
    key, zero, rest = body.partition(b"\0")
    try:
        if name == b"tEXt":
            return Text(key.decode("latin-1"), rest.decode("latin-1")) if zero else None
        if name == b"zTXt":
            return Text(key.decode("latin-1"), _unpacked(rest[1:]).decode("latin-1"))
        packed, (language, _, rest) = rest[0], rest[2:].partition(b"\0")
        translated, _, text = rest.partition(b"\0")
        plain = _unpacked(text) if packed else text
        return Text(key.decode("latin-1"), plain.decode(), language.decode("latin-1"), translated.decode())
    except (zlib.error, UnicodeDecodeError, IndexError, ValueError):
        return None


def _unpacked(data: bytes) -> bytes:
    opened = zlib.decompressobj()
    text = opened.decompress(data, _LARGEST)
    if opened.unconsumed_tail:
        raise ValueError("too long")
    return text


def text_chunk(text: Text) -> tuple[bytes, bytes]:
    """tEXt where Latin-1 can express it, else iTXt."""
    key = text.key.encode("latin-1", "replace")[:79] or b"Comment"
    try:
        if not (text.language or text.translated):
            return b"tEXt", key + b"\0" + text.text.encode("latin-1")
    except UnicodeEncodeError:
        pass
    head = key + b"\0\0\0" + text.language.encode("latin-1", "replace") + b"\0" + text.translated.encode() + b"\0"
    return b"iTXt", head + text.text.encode()


def woven(
    encoded: bytes, *, phys: bytes | None, exif: bytes | None, xmp: bytes | None, more: list[tuple[bytes, bytes]]
) -> bytes:
    """A PNG with these parts in front of its pixels; a resolution that the encoder added is removed."""
    out = [SIGNATURE]
    head = [(b"pHYs", phys)] if phys else []
    head += [(b"eXIf", exif)] if exif else []
    head += [(b"iTXt", _XMP + b"\0\0\0\0" + xmp)] if xmp else []
    head += more
    placed = False
    for name, body in chunks(encoded):
        if name == b"pHYs":
            continue
        if name == b"IDAT" and not placed:
            placed = True
            out += [chunk(*part) for part in head]
        out.append(chunk(name, body))
    return b"".join(out)
