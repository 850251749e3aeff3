"""TIFF: the main picture, its channels and its tags (TIFF 6.0; TIFF/EP; DNG 1.7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from colorpipe.media.still.held.ifd import (
    EXIF,
    GPS,
    INTEROP,
    Block,
    Directory,
    Tag,
    chain,
    header,
    of_bytes,
    of_file,
    written,
)
from colorpipe.media.still.held.parts import Held, listed
from colorpipe.media.still.held.resolution import UNIT, Resolution, X, Y

XMP, IPTC, RESOURCES, ICC, ORIENTATION = 700, 33723, 34377, 34675, 274
_LAYERS = 37724
_SUBFILE, _OLD_SUBFILE, _SUBIFDS = 254, 255, 330
_REDUCED, _MASK = 1, 4
_CFA, _LINEAR_RAW = 32803, 34892
_PIXELS = frozenset(
    {
        254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 292, 293,
        317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 343,
        344, 345, 346, 347, 351, *range(400, 404), *range(433, 436), *range(512, 522), *range(529, 533), 559, 560, 561,
        32781, 32932, *range(32995, 32999), 33421, 33422, 34232, 50674, 65535,
    }
)  # fmt: skip
"""How pixels are stored."""
_CARRIED_APART = frozenset({X, Y, UNIT, XMP, IPTC, RESOURCES, ICC, EXIF, GPS, INTEROP, ORIENTATION})
_TONES = {290: "GrayResponseUnit", 291: "GrayResponseCurve", 301: "TransferFunction", 318: "WhitePoint",
          319: "PrimaryChromaticities"}  # fmt: skip
"""Tags that depend on the source's own codes."""
_RAW = range(50706, 52600)
"""DNG's tags: a result with them would claim to be a raw file."""
COMPRESSIONS = {
    1: "none", 2: "CCITT run length", 3: "CCITT group 3", 4: "CCITT group 4", 5: "LZW", 6: "old-style JPEG", 7: "JPEG",
    8: "Deflate", 32946: "Deflate", 32773: "PackBits", 32771: "CCITT run length", 32809: "ThunderScan", 34661: "JBIG",
    34676: "SGI LogLuv", 34677: "SGI LogLuv", 32909: "Pixar log", 34712: "JPEG 2000", 34713: "Nikon raw", 34887: "LERC",
    34925: "LZMA", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 32766: "NeXT", 34892: "lossy JPEG",
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF."""

    place: Directory
    index: int
    """Index of its directory in the chain."""
    sub: int | None = None
    """Its own index among that directory's SubIFDs."""

    @property
    def size(self) -> tuple[int, int]:
        return self.place.number(256, 0), self.place.number(257, 0)

    @property
    def is_full(self) -> bool:
        """Neither a smaller version of another picture nor a mask."""
        kind = self.place.number(_SUBFILE, 0)
        if self.place.number(_OLD_SUBFILE, 1) == 2:
            kind |= _REDUCED
        return not kind & (_REDUCED | _MASK) and self.place.number(262, 0) != 4

    @property
    def compression(self) -> int:
        return self.place.number(259, 1)

    @property
    def photometric(self) -> int:
        return self.place.number(262, 1)

    @property
    def samples(self) -> int:
        return self.place.number(277, 1)

    @property
    def bits(self) -> int:
        return self.place.number(258, 1)

    @property
    def alpha(self) -> tuple[int, bool] | None:
        """The channel that is transparency, and whether colours are multiplied by it; None where none is stated.

        Of the extra samples only those of kind 1 and 2 are; a film scanner's infrared is of kind 0, or not stated.
        """
        extra = self.place.numbers(338)
        for index, kind in enumerate(extra):
            if kind in (1, 2):
                return self.samples - len(extra) + index, kind == 1
        return None

    @property
    def extras(self) -> int:
        """Channels beyond the colours and the one that is transparency."""
        # PhotometricInterpretation -> channels of colour (TIFF 6.0, section 8; supplement 1)
        colours = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}.get(self.photometric, 1)
        stated = len(self.place.numbers(338))
        return max(self.samples - colours, stated) - (self.alpha is not None)


def page_of(path: Path) -> tuple[Page, list[Page]]:
    """The picture of a file, and all of its others.

    The first page that is whole; where the first is a thumbnail, the whole picture in its SubIFDs, or a later page.

    Raises:
        NoTiffError: it cannot be followed.
    """
    pages: list[Page] = []
    for index, place in enumerate(chain(of_file(path))):
        pages.append(Page(place, index))
        if index < 16:  # a stack of thousands has no thumbnails
            pages += [Page(inner, index, number) for number, inner in enumerate(place.inner(_SUBIFDS))]
    whole = [page for page in pages if page.is_full and all(page.size)]
    first = next((page for page in whole if page.sub is None and page.index == 0), None)
    chosen = first or max(whole, key=lambda page: (page.size[0] * page.size[1], -page.index), default=pages[0])
    return chosen, [page for page in pages if page is not chosen]


def is_raw(pages: list[Page]) -> bool:
    """Whether it is a camera's raw file: one of its pictures is a sensor's values."""
    return any(page.photometric in (_CFA, _LINEAR_RAW) or page.compression == 34713 for page in pages)


def held(path: Path, page: Page, others: list[Page]) -> Held:
    """The parts of a TIFF besides its picture: tags of the picture's own directory, and of the first."""
    first = chain(of_file(path))[0]
    block = Block.of_directory(page.place, _is_not_carried)
    if page.sub is not None or page.index:
        outer = Block.of_directory(first, _is_not_carried)
        own = {tag.number for tag in block.first}
        block = Block(
            block.order,
            tuple(
                sorted((*block.first, *(tag for tag in outer.first if tag.number not in own)), key=lambda t: t.number)
            ),
            block.exif or outer.exif,
            block.gps or outer.gps,
            block.interop or outer.interop,
        )
    places = (page.place, first)

    def tag(number: int) -> Tag | None:
        return next((found for place in places for found in [place.tag(number)] if found is not None), None)

    orientation = page.place.tag(ORIENTATION)
    if orientation is not None and block:
        block = block.with_first(orientation)
    iptc, xmp, blocks = tag(IPTC), tag(XMP), tag(RESOURCES)
    unit = page.place.number(UNIT, 2)
    stated = Block(
        block.order, tuple(found for number in (X, Y) for found in [page.place.tag(number)] if found is not None)
    )
    resolution = Resolution.of_block(stated.with_first(Tag(UNIT, 3, 1, struct.pack(stated.order + "H", unit))))
    return Held(
        exif=block.packed() if block else None,
        xmp=None if xmp is None else xmp.data.rstrip(b"\0"),
        iptc=None if iptc is None else iptc_bytes(iptc),
        iptc_kind=1 if iptc is None else iptc.kind,
        resources=None if blocks is None else blocks.data,
        resolution=resolution,
        notes=tuple(_notes(page, others)),
        frames=sum(other.is_full and other.sub is None for other in others) + 1,
    )


def _is_not_carried(number: int) -> bool:
    return number in _PIXELS or number in _CARRIED_APART or number in _TONES or number == _LAYERS or number in _RAW


def _notes(page: Page, others: list[Page]) -> list[str]:
    notes = []
    if page.sub is not None or page.index:
        where = "in a directory inside the first" if page.sub is not None else f"on page {page.index + 1}"
        notes.append(f"the whole picture is taken, {where}; a smaller one comes before it")
    smaller = [other for other in others if not other.is_full or other.sub is not None]
    if smaller:
        sizes = ", ".join(f"{other.size[0]} x {other.size[1]}" for other in smaller[:3])
        more = f" and {len(smaller) - 3} more" if len(smaller) > 3 else ""
        notes.append(f"its smaller versions and masks ({sizes}{more}) are left out")
    tones = [name for number, name in _TONES.items() if number in page.place]
    if tones:
        notes.append(f"its {listed(tones)} {'tag is' if len(tones) == 1 else 'tags are'} not honoured and left out")
    if _LAYERS in page.place:
        notes.append("its Photoshop layers are left out")
    return notes


def iptc_bytes(tag: Tag) -> bytes:
    """The block as IPTC has it: of type LONG its bytes may stand in the order of numbers."""
    if tag.kind == 4 and tag.data[:1] != b"\x1c" and tag.data[3:4] == b"\x1c":
        return tag.in_order(">", "<").data
    return tag.data


def woven(
    encoded: bytes,
    *,
    block: Block | None,
    xmp: bytes | None,
    iptc: Tag | None,
    blocks: bytes | None,
    resolution: Resolution | None,
) -> bytes:
    """A TIFF of one picture with these tags put in: a new directory at its end takes the first one's place.

    A resolution of its own, which nobody asked for, goes.
    """
    order, big, _ = header(of_bytes(encoded))
    first = chain(of_bytes(encoded))[0]
    kept = [
        tag for number in first.places if number not in (X, Y, UNIT) for tag in [first.tag(number)] if tag is not None
    ]
    out = bytearray(encoded) + b"\0" * (len(encoded) % 2)
    tags = {tag.number: tag for tag in kept}
    if block is not None:
        taken = {tag.number: tag for tag in block.first if not _is_not_carried(tag.number)}
        tags |= {number: tag.in_order(block.order, order) for number, tag in taken.items()}
        if any(tag.number == ORIENTATION for tag in block.first):
            tags[ORIENTATION] = Tag(ORIENTATION, 3, 1, struct.pack(order + "H", 1))
        exif = [tag.in_order(block.order, order) for tag in block.exif]
        if block.interop and exif:
            exif.append(
                _appended(out, INTEROP, [tag.in_order(block.order, order) for tag in block.interop], order, big)
            )
        if exif:
            tags[EXIF] = _appended(out, EXIF, exif, order, big)
        if block.gps:
            tags[GPS] = _appended(out, GPS, [tag.in_order(block.order, order) for tag in block.gps], order, big)
    # TIFF wants the three in any case: one by one without a unit says nothing.
    for tag in (resolution or Resolution(Fraction(1), Fraction(1), None)).tags(order):
        tags[tag.number] = tag
    if xmp is not None:
        tags[XMP] = Tag(XMP, 1, len(xmp), xmp)
    if iptc is not None:
        tags[IPTC] = iptc
    if blocks:
        tags[RESOURCES] = Tag(RESOURCES, 1, len(blocks), blocks)
    place = len(out)
    out += written(tags.values(), order, big, place)
    struct.pack_into(order + ("Q" if big else "I"), out, 8 if big else 4, place)
    return bytes(out)


def _appended(out: bytearray, number: int, tags: list[Tag], order: str, big: bool) -> Tag:
    """A directory at the end, and the entry that points there."""
    place = len(out)
    out += written(tags, order, big, place)
    return Tag(number, 4, 1, struct.pack(order + "I", place))
