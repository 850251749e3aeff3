"""The segments of a JPEG (ITU-T T.81, annex B), their content, and the bytes behind the picture."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

from colorpipe.media.still.held import resources
from colorpipe.media.still.held.ifd import Block
from colorpipe.media.still.held.parts import Held, listed
from colorpipe.media.still.held.resolution import Resolution

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PICTURE = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, *range(0xC0, 0xC4), *range(0xC5, 0xC8)}) | frozenset(
    range(0xC9, 0xD0)
)
"""Markers of tables and frames."""
_NEXT = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""The end of coded data: a marker that is no restart and no stuffed byte. It begins with one plain byte, which ``re``
looks for twenty times as fast as for a repeated one."""
_SCANS = {0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical", 0xCB: "lossless"}
_DROPPED: tuple[tuple[int, bytes, str], ...] = (
    (0xE0, b"JFXX\0", "the thumbnail in its JFXX segment"),
    (0xE2, b"MPF\0", "its list of further pictures (MPF)"),
    (0xE2, b"FPXR\0", "its FlashPix data"),
    (0xE2, b"urn:iso:std:iso:ts:21496:-1", "its gain map's description (ISO 21496-1)"),
    (0xEB, b"JP", "its content credentials (JUMBF), which are for the very bytes of the source"),
    (0xEB, b"HDR_RI", "its HDR ratio image"),
    (0xEC, b"Ducky", ""),  # the quality that the source was saved with
    (0xEE, b"Adobe", ""),  # how the source's own inks are coded
)
"""Marker, beginning, and the note on leaving it out; no note where it belongs to the source's code alone."""
START, END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Layout:
    """Where the parts of a JPEG are."""

    segments: tuple[tuple[int, bytes], ...]
    """Marker and body of each up to the first scan."""
    cleaned: bytes | None
    """The file without bytes that stand between segments and belong to none; None where there are no such bytes."""
    frame: int | None
    """The marker of the frame header."""
    bits: int
    end: int | None
    """Where the end mark is; None where it is missing."""
    trailer: bytes
    """The bytes behind the picture."""

    @property
    def refused(self) -> str | None:
        """Reason why today's libraries cannot read it although it is sound; None where they can."""
        if self.frame in _SCANS:
            return f"{_SCANS[self.frame]} coding"
        return f"{self.bits} bits a channel" if self.bits not in (0, 8) else None


def layout(data: bytes) -> Layout:
    """The parts of a JPEG, as far as they can be followed."""
    segments: list[tuple[int, bytes]] = []
    pieces = [data[:2]]
    at, stray = 2, 0
    frame, bits, end = None, 0, None
    while True:
        found = data.find(b"\xff", at)
        if found < 0:
            break
        stray += found - at
        while found < len(data) and data[found] == 0xFF:
            found += 1
        marker = data[found] if found < len(data) else 0
        at = found + 1
        if marker == 0xD9:
            end = found - 1
            break
        if marker in (0, 1) or 0xD0 <= marker <= 0xD8:
            stray += 2 if marker == 0 else 0
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        if size < 2 or at + size > len(data):
            break
        body = data[at + 2 : at + size]
        if marker in _PICTURE and 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, bits = marker, body[0] if body else 0
        if marker == 0xDA:
            pieces.append(data[found - 1 :])
            end = _end(data, at + size)
            break
        segments.append((marker, body))
        pieces.append(data[found - 1 : at + size])
        at += size
    trailer = b"" if end is None else data[end + 2 :]
    return Layout(tuple(segments), b"".join(pieces) if stray else None, frame, bits, end, trailer)


def _end(data: bytes, at: int) -> int | None:
    """Where the end mark is, behind scans and the tables between them."""
    while True:
        match = _NEXT.search(data, at)
        if match is None:
            return None
        marker = data[match.end() - 1]
        if marker == 0xD9:
            return match.end() - 2
        if marker == 0xD8 or marker == 0x01:
            at = match.end()
            continue
        at = match.end() + max(2, int.from_bytes(data[match.end() : match.end() + 2], "big"))


def held(data: bytes, parts: Layout) -> Held:
    """The parts of a JPEG besides its picture."""
    found: dict[str, Any] = {}
    comments: list[bytes] = []
    kept: list[tuple[int, bytes]] = []
    blocks: list[bytes] = []
    notes: list[str] = []
    stale = set()
    for marker, body in parts.segments:
        if marker == 0xE1 and body.startswith(_EXIF) and "exif" not in found:
            found["exif"] = body[len(_EXIF) :]
        elif marker == 0xE1 and body.startswith(_XMP) and "xmp" not in found:
            found["xmp"] = body[len(_XMP) :]
        elif marker == 0xED and body.startswith(resources.PREFIX):
            blocks.append(body[len(resources.PREFIX) :])
        elif marker == 0xE0 and body.startswith(b"JFIF\0"):
            found["jfif"] = body[:12] + b"\0\0" if len(body) >= 12 else None
            if body[12:14] not in (b"", b"\0\0"):
                notes.append("the thumbnail in its JFIF segment is left out")
        elif marker == 0xFE:
            comments.append(body)
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            continue  # read and written with the pixels
        elif 0xE0 <= marker <= 0xEF:
            said = next((said for number, start, said in _DROPPED if number == marker and body.startswith(start)), None)
            if said is None:
                kept.append((marker, body))
            elif said:
                notes.append(f"{said} {'are' if 'credentials' in said else 'is'} left out")
    if any(body.startswith(b"MPF\0") for marker, body in parts.segments if marker == 0xE2) or _pictures(parts.trailer):
        stale.add("gain map")
    notes += _behind(parts.trailer, stale)
    if parts.end is None:
        notes.append("its end mark is missing; all of its lines are there")
    jfif = found.get("jfif")
    resolution = Resolution.of_jfif(jfif) if jfif else None
    if resolution is None or resolution.unit is None:
        resolution = Resolution.of_block(Block.of(found["exif"]) if "exif" in found else None) or resolution
    return Held(
        exif=found.get("exif"),
        xmp=found.get("xmp"),
        iptc=resources.PREFIX + b"".join(blocks) if blocks else None,
        resolution=resolution,
        jfif=jfif,
        comments=tuple(comments),
        segments=tuple(kept),
        notes=tuple(dict.fromkeys(notes)),
        stale=frozenset(stale),
    )


def _pictures(trailer: bytes) -> int:
    return trailer.count(b"\xff\xd8\xff")


def _behind(trailer: bytes, stale: set[str]) -> list[str]:
    """Notes on bytes behind the end mark."""
    if not trailer.strip(b"\0\xff \r\n"):
        return []
    said = []
    if b"ftyp" in trailer[:4096] or b"ftypmp4" in trailer or b"ftypisom" in trailer:
        stale.add("film")
        said.append("the film behind the picture (a motion photo)")
    if _pictures(trailer):
        said.append(f"{listed(['a further picture'] * 1)} behind the first (a preview, gain map or stereo view)")
    if not said:
        said.append(f"{len(trailer):,} bytes behind the picture")
    return [f"{what} {'are' if what[0].isdigit() else 'is'} left out" for what in said]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def woven(
    encoded: bytes,
    *,
    jfif: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    blocks: bytes | None,
    segments: tuple[tuple[int, bytes], ...],
    comments: tuple[bytes, ...],
) -> bytes:
    """A JPEG with these parts in front of its tables; they fit, one by one. A JFIF segment of its own goes."""
    parts = layout(encoded)
    own = next((body for marker, body in parts.segments if marker == 0xE0 and body.startswith(b"JFIF\0")), None)
    rest = encoded[2:] if own is None else encoded[2:].replace(segment(0xE0, own), b"", 1)
    head = [segment(0xE0, jfif)] if jfif else []
    head += [segment(0xE1, _EXIF + exif)] if exif else []
    head += [segment(0xE1, _XMP + xmp)] if xmp else []
    if blocks:
        room = 65533 - len(resources.PREFIX)
        pieces = range(0, len(blocks), room)
        head += [segment(0xED, resources.PREFIX + blocks[start : start + room]) for start in pieces]
    head += [segment(marker, body) for marker, body in segments]
    head += [segment(0xFE, comment) for comment in comments]
    return START + b"".join(head) + rest


def fits(body: bytes, prefix: bytes = b"") -> bool:
    """Whether it has room in one segment."""
    return len(prefix) + len(body) <= 65533
