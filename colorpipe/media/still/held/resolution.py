"""The size of a picture on paper, as its file states it; never invented."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from colorpipe.media.still.held.ifd import Block, Tag

_INCH = Fraction(254, 10000)
"""Metres."""
_METRES = {"inch": _INCH, "cm": Fraction(1, 100), "m": Fraction(1)}
X, Y, UNIT = 0x011A, 0x011B, 0x0128
_UNITS = {1: None, 2: "inch", 3: "cm"}


@dataclass(frozen=True)
class Resolution:
    """Pixels a unit of length; without a unit only the shape of a pixel."""

    x: Fraction
    y: Fraction
    unit: str | None
    """``inch``, ``cm``, ``m``; None where the file gives no unit."""

    def turned(self) -> Resolution:
        return Resolution(self.y, self.x, self.unit)

    def per(self, unit: str) -> tuple[Fraction, Fraction]:
        """The densities in another unit of length; unchanged if the file states no unit."""
        factor = Fraction(1) if self.unit is None else _METRES[unit] / _METRES[self.unit]
        return self.x * factor, self.y * factor

    def __str__(self) -> str:
        if self.unit is None:
            return f"{float(self.x):g} x {float(self.y):g} without a unit"
        x, y = self.per("inch")
        return f"{float(x):.4g} dpi" if x == y else f"{float(x):.4g} x {float(y):.4g} dpi"

    @classmethod
    def of(cls, x: object, y: object, unit: str | None) -> Resolution | None:
        """None where the numbers mean nothing: not above 0, or 1 x 1 without a unit."""
        try:
            wide, high = Fraction(str(x)), Fraction(str(y))
        except (ValueError, ZeroDivisionError):
            return None
        if wide <= 0 or high <= 0 or (unit is None and wide == high):
            return None
        return cls(wide, high, unit)

    @classmethod
    def of_jfif(cls, segment: bytes) -> Resolution | None:
        """Read the body of a JFIF segment (JFIF 1.02): units, then two densities."""
        if len(segment) < 12:
            return None
        unit, x, y = struct.unpack_from(">BHH", segment, 7)
        return cls.of(x, y, {1: "inch", 2: "cm"}.get(unit))

    @classmethod
    def of_phys(cls, chunk: bytes) -> Resolution | None:
        """Read a PNG's pHYs chunk."""
        if len(chunk) != 9:
            return None
        x, y, unit = struct.unpack(">IIB", chunk)
        return cls.of(x, y, "m" if unit == 1 else None)

    @classmethod
    def of_block(cls, block: Block | None) -> Resolution | None:
        """Read the tags of TIFF and EXIF; the unit is inches where none is stated, as both standards say."""
        named = {} if block is None else {tag.number: tag for tag in block.first}
        if block is None or X not in named or Y not in named:
            return None
        unit = int(named[UNIT].values(block.order)[0]) if UNIT in named else 2
        return cls.of(_ratio(named[X], block.order), _ratio(named[Y], block.order), _UNITS.get(unit))

    def jfif(self) -> bytes:
        """The body of a JFIF segment; densities are whole numbers there, so that the nearer unit is taken."""
        best: tuple[Fraction, int, int, int] | None = None
        for code, unit in ((1, "inch"), (2, "cm")) if self.unit else ((0, ""),):
            x, y = self.per(unit)
            whole = [min(max(round(value), 1), 65535) for value in (x, y)]
            error = abs(whole[0] / x - 1) + abs(whole[1] / y - 1)
            if best is None or error < best[0]:
                best = error, code, whole[0], whole[1]
        assert best is not None
        return b"JFIF\0\1\2" + struct.pack(">BHH", *best[1:]) + b"\0\0"

    def phys(self) -> bytes:
        """The body of a pHYs chunk."""
        x, y = self.per("m")
        if self.unit is None:  # a shape: whole numbers of the same ratio
            ratio = (x / y).limit_denominator(65535)
            x, y = Fraction(ratio.numerator), Fraction(ratio.denominator)
        whole = [min(max(round(value), 1), 0x7FFFFFFF) for value in (x, y)]
        return struct.pack(">IIB", *whole, self.unit is not None)

    def tags(self, order: str) -> tuple[Tag, Tag, Tag]:
        """The resolution as tags of TIFF and EXIF."""
        unit = "cm" if self.unit == "cm" else "inch"
        x, y = (value.limit_denominator(10**6) for value in self.per(unit))
        code = {"inch": 2, "cm": 3}[unit] if self.unit else 1
        packed = (struct.pack(order + "II", min(v.numerator, 2**32 - 1), v.denominator) for v in (x, y))
        wide, high = packed
        return Tag(X, 5, 1, wide), Tag(Y, 5, 1, high), Tag(UNIT, 3, 1, struct.pack(order + "H", code))


def _ratio(tag: Tag, order: str) -> object:
    if tag.kind == 5 and tag.count == 1:
        top, bottom = struct.unpack(order + "II", tag.data)
        return Fraction(top, bottom) if bottom else 0
    return tag.values(order)[0]
