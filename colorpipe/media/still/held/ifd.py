"""Directories of tags: TIFF, BigTIFF, and EXIF, which is a small TIFF (TIFF 6.0, section 2; EXIF 2.32, section 4.5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by type."""
_WIDTH = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes that a byte order turns at once, by type."""
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_LARGEST = 64 << 20
"""Bytes of one value that are read; more is damage."""
_MOST_PAGES = 4096
EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
Read = Callable[[int, int], bytes]
"""Offset and size -> bytes, fewer where the file ends."""


class NoTiffError(ValueError):
    """These bytes are no directory of tags, or a damaged one."""


@dataclass(frozen=True)
class Tag:
    """One entry of a directory."""

    number: int
    kind: int
    count: int
    data: bytes
    """The value, in the byte order of its file."""

    def values(self, order: str) -> tuple[float, ...]:
        """Numbers; of rationals their quotients, of text its bytes."""
        if self.kind in (5, 10):
            parts = struct.unpack(f"{order}{2 * self.count}{'I' if self.kind == 5 else 'i'}", self.data)
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return tuple(top / bottom if bottom else 0.0 for top, bottom in pairs)
        return struct.unpack(f"{order}{self.count}{_CODES.get(self.kind, 'B')}", self.data)

    def in_order(self, order: str, wanted: str) -> Tag:
        """The same with its bytes in another order."""
        width = _WIDTH.get(self.kind, 1)
        if order == wanted or width == 1:
            return self
        turned = b"".join(self.data[at : at + width][::-1] for at in range(0, len(self.data), width))
        return Tag(self.number, self.kind, self.count, turned)

    def classic(self, order: str) -> Tag:
        """Numbers of 64 bits, which only BigTIFF has, in 32."""
        if self.kind not in (16, 17, 18):
            return self
        kind = 9 if self.kind == 17 else 4
        data = struct.pack(f"{order}{self.count}{_CODES[kind]}", *(int(value) for value in self.values(order)))
        return Tag(self.number, kind, self.count, data)


@dataclass(frozen=True)
class Directory:
    """One IFD."""

    order: str
    big: bool
    places: Mapping[int, tuple[int, int, int, int]]
    """Tag -> type, count, where its value is, and where the entry itself is."""
    following: int
    """Where the next directory is; 0 for none."""
    read: Read = field(repr=False)

    def __contains__(self, number: int) -> bool:
        return number in self.places

    def tag(self, number: int) -> Tag | None:
        """An entry with its value; None where it is missing or its value lies outside of the file."""
        if number not in self.places:
            return None
        kind, count, where, _ = self.places[number]
        size = SIZES.get(kind, 1) * count
        data = self.read(where, size) if size <= _LARGEST else b""
        return Tag(number, kind, count, data) if len(data) == size and size else None

    def numbers(self, number: int) -> tuple[float, ...]:
        """The values of an entry; none where it is missing."""
        tag = self.tag(number)
        return () if tag is None else tag.values(self.order)

    def number(self, number: int, default: int) -> int:
        """The first value of an entry."""
        values = self.numbers(number)
        return int(values[0]) if values else default

    def inner(self, number: int) -> list[Directory]:
        """The directories that an entry points to, those that can be read."""
        found = []
        for place in self.numbers(number):
            try:
                found.append(directory(self.read, self.order, self.big, int(place)))
            except NoTiffError:
                continue
        return found


def of_bytes(data: bytes) -> Read:
    return lambda at, size: data[at : at + size]


def of_file(path: Path) -> Read:
    def read(at: int, size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(min(at, os.fstat(file.fileno()).st_size))
            return file.read(size)

    return read


def header(read: Read) -> tuple[str, bool, int]:
    """Byte order, whether it is a BigTIFF, and where its first directory is.

    Raises:
        NoTiffError: it is none.
    """
    head = read(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    try:
        if order is None:
            raise NoTiffError("no byte order")
        (magic,) = struct.unpack_from(order + "H", head, 2)
        if magic == 43:
            return order, True, int(struct.unpack_from(order + "Q", head, 8)[0])
        return order, False, int(struct.unpack_from(order + "I", head, 4)[0])
    except struct.error as error:
        raise NoTiffError(str(error)) from None


def directory(read: Read, order: str, big: bool, at: int) -> Directory:
    """The directory at an offset.

    Raises:
        NoTiffError: there is none.
    """
    try:
        width, counted = (20, 8) if big else (12, 2)
        (count,) = struct.unpack(order + ("Q" if big else "H"), read(at, counted))
        if count > 65535:
            raise NoTiffError(f"a directory of {count} entries")
        body = read(at + counted, count * width + (8 if big else 4))
        places: dict[int, tuple[int, int, int, int]] = {}
        for index in range(count):
            start = index * width
            number, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), body, start)
            inline = start + (12 if big else 8)
            room = 8 if big else 4
            where = at + counted + inline
            if SIZES.get(kind, 1) * values > room:
                (where,) = struct.unpack_from(order + ("Q" if big else "I"), body, inline)
            places.setdefault(number, (kind, values, where, at + counted + start))
        end = count * width
        following = struct.unpack_from(order + ("Q" if big else "I"), body, end)[0] if len(body) >= end + 4 else 0
    except struct.error as error:
        raise NoTiffError(str(error)) from None
    return Directory(order, big, places, following, read)


def chain(read: Read) -> list[Directory]:
    """The directories of a file, one after the other, up to damage.

    Raises:
        NoTiffError: not even the first can be read.
    """
    order, big, at = header(read)
    found = [directory(read, order, big, at)]
    seen = {at}
    while found[-1].following and found[-1].following not in seen and len(found) < _MOST_PAGES:
        seen.add(found[-1].following)
        try:
            found.append(directory(read, order, big, found[-1].following))
        except NoTiffError:
            break
    return found


@dataclass(frozen=True)
class Block:
    """The parsed content of an EXIF block."""

    order: str
    first: tuple[Tag, ...] = ()
    """Tags of the first directory, without the links to the others."""
    exif: tuple[Tag, ...] = ()
    gps: tuple[Tag, ...] = ()
    interop: tuple[Tag, ...] = ()

    @classmethod
    def of(cls, data: bytes) -> Block | None:
        """An EXIF block, taken apart; None where it cannot be followed."""
        data = data.removeprefix(b"Exif\0\0")
        try:
            return cls.of_directory(chain(of_bytes(data))[0])
        except (NoTiffError, struct.error, ValueError, OverflowError):
            return None

    @classmethod
    def of_directory(cls, first: Directory, leave_out: Callable[[int], bool] = lambda number: False) -> Block:
        """The tags of a first directory that are not left out, and all of its EXIF, GPS and interoperability."""
        inner = next(iter(first.inner(EXIF)), None)
        gps = next(iter(first.inner(GPS)), None)
        interop = None if inner is None else next(iter(inner.inner(INTEROP)), None)
        return cls(
            first.order,
            _tags(first, lambda number: number in (EXIF, GPS, INTEROP) or leave_out(number)),
            () if inner is None else _tags(inner, lambda number: number == INTEROP),
            () if gps is None else _tags(gps),
            () if interop is None else _tags(interop),
        )

    def with_first(self, *tags: Tag) -> Block:
        """A copy with tags added to, or replaced in, the first directory."""
        named = {tag.number: tag for tag in (*self.first, *tags)}
        return Block(self.order, tuple(named[number] for number in sorted(named)), self.exif, self.gps, self.interop)

    def __bool__(self) -> bool:
        return bool(self.first or self.exif or self.gps)

    def packed(self) -> bytes:
        """The bytes of an EXIF block, without its ``Exif`` prefix."""
        mark = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(self.order + "I", 8)
        first, exif = list(self.first), list(self.exif)
        # Where the inner directories are depends on the sizes of those before them, not on what these hold.
        sizes = [_size([*first, *_links(self)]), 0, 0, 0]
        sizes[1] = _size([*exif, *([_link(INTEROP, 0, self.order)] if self.interop else [])]) if self.exif else 0
        sizes[2] = _size(self.gps) if self.gps else 0
        places = [8, 8 + sizes[0], 8 + sizes[0] + sizes[1], 8 + sum(sizes)]
        if self.exif:
            first.append(_link(EXIF, places[1], self.order))
            exif += [_link(INTEROP, places[3], self.order)] if self.interop else []
        if self.gps:
            first.append(_link(GPS, places[2], self.order))
        parts = [written(first, self.order, False, places[0])]
        parts += [written(exif, self.order, False, places[1])] if self.exif else []
        parts += [written(self.gps, self.order, False, places[2])] if self.gps else []
        parts += [written(self.interop, self.order, False, places[3])] if self.interop and self.exif else []
        return mark + b"".join(parts)


def _tags(source: Directory, leave_out: Callable[[int], bool] = lambda number: False) -> tuple[Tag, ...]:
    found = (source.tag(number) for number in sorted(source.places) if not leave_out(number))
    return tuple(tag.classic(source.order) for tag in found if tag is not None)


def _link(number: int, place: int, order: str) -> Tag:
    return Tag(number, 4, 1, struct.pack(order + "I", place))


def _links(block: Block) -> list[Tag]:
    return [_link(number, 0, block.order) for number, there in ((EXIF, block.exif), (GPS, block.gps)) if there]


def _size(tags: Iterable[Tag], big: bool = False) -> int:
    return len(written(tags, "<", big, 0))


def written(tags: Iterable[Tag], order: str, big: bool, at: int, following: int = 0) -> bytes:
    """A directory that will stand at ``at``, its values behind it; an even number of bytes."""
    entries = sorted(tags, key=lambda tag: tag.number)
    room, offset = (8, "Q") if big else (4, "I")
    head = struct.pack(order + ("Q" if big else "H"), len(entries))
    values = at + len(head) + len(entries) * (20 if big else 12) + room
    values += values % 2
    body, stored = b"", b""
    for tag in entries:
        body += struct.pack(order + ("HHQ" if big else "HHI"), tag.number, tag.kind, tag.count)
        if len(tag.data) <= room:
            body += tag.data.ljust(room, b"\0")
        else:
            body += struct.pack(order + offset, values + len(stored))
            stored += tag.data + b"\0" * (len(tag.data) % 2)
    table = head + body + struct.pack(order + offset, following)
    return table + b"\0" * (len(table) % 2) + stored
