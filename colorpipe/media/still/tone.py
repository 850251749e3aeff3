"""The meaning of codes in files without an ICC profile: PNG's gAMA and cHRM, and the code points of H.273."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorpipe.media.still import icc

Plane = NDArray[Any]
_IN_PRACTICE = (0.44, 0.47)
"""gAMA of 0.45455 is written for sRGB, whose curve it is near."""
_POWERS = {4: 1 / 2.2, 5: 1 / 2.8, 8: 1.0}
"""H.273's transfer characteristics that are a power of light."""
_HDR = {16: "PQ", 18: "HLG"}
_SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Linear sRGB -> XYZ of D65 (IEC 61966-2-1)."""


@dataclass(frozen=True)
class Tone:
    """Codes that are another power of light than sRGB's, perhaps of other primaries."""

    gamma: float
    """Codes are light to this power."""
    primaries: tuple[float, ...] | None = None
    """x and y of white, red, green and blue, where they are not sRGB's."""

    @classmethod
    def of_png(cls, gamma: float | None, primaries: tuple[float, ...] | None) -> Tone | None:
        """None where the codes are sRGB's, or nothing is said."""
        if gamma is None or not 0.01 <= gamma <= 10:
            return None
        other = None
        if primaries is not None and all(primaries[1::2]):
            near = all(abs(a - b) < 0.01 for a, b in zip(primaries, _SRGB_PRIMARIES, strict=True))
            other = None if near else primaries
        plain = _IN_PRACTICE[0] <= gamma <= _IN_PRACTICE[1]
        return None if plain and other is None else cls(gamma, other)

    @classmethod
    def of_transfer(cls, transfer: int) -> Tone | None:
        """None where the codes are sRGB's, or near."""
        return cls(_POWERS[transfer]) if transfer in _POWERS and transfer != 4 else None

    @property
    def says(self) -> str:
        own = " and its primaries are" if self.primaries else " is"
        return f"its gamma of {1 / self.gamma:.3g}{own} honoured: converted to sRGB"

    def to_srgb(self, planes: list[Plane]) -> list[Plane]:
        """One or three planes of codes in sRGB's."""
        if self.primaries is None or len(planes) == 1:
            table = _table(self.gamma, 8 if planes[0].dtype == np.uint8 else 16)
            return [np.take(table, plane) for plane in planes]
        pixels = np.stack(planes, -1)
        wide = pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 else pixels
        result = icc.to_srgb(wide, _profile(self.gamma, self.primaries))
        if pixels.dtype == np.uint8:
            result = np.rint(result / 257).astype(np.uint8)
        return [np.ascontiguousarray(result[..., band]) for band in range(3)]


def hdr(transfer: int) -> str | None:
    """The name of a transfer of light beyond white, which sRGB codes cannot express."""
    return _HDR.get(transfer)


@lru_cache(maxsize=8)
def _table(gamma: float, bits: int) -> Plane:
    peak = (1 << bits) - 1
    light = (np.arange(1 << bits) / peak) ** (1 / gamma)
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(codes * peak).astype(np.uint8 if bits == 8 else np.uint16))


@lru_cache(maxsize=2)
def _profile(gamma: float, primaries: tuple[float, ...]) -> icc.MatrixProfile:
    points = [np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True)]
    columns = np.stack(points[1:], axis=1)
    matrix = columns * np.linalg.solve(columns, points[0])  # each primary as strong as white needs it
    matrix = icc.SRGB @ np.linalg.inv(_TO_XYZ) @ matrix
    matrix *= (icc.SRGB.sum(axis=1) / matrix.sum(axis=1))[:, None]
    curve = icc.Curve.of(icc.CODES ** (1 / gamma))
    return icc.MatrixProfile((curve, curve, curve), matrix)
