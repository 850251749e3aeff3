"""RGB profiles of three curves and a matrix, in double precision, for 16-bit pictures.

The colour engine behind libvips works through tables that are good for eight bits: at sixteen, a picture that goes
through an Adobe RGB or P3 profile and back comes out up to 276 codes of 65,535 away. Such profiles are plain
arithmetic (ICC.1:2022, annex F.3), which is done here to within a code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
Double = NDArray[np.float64]

CODES = np.arange(65536) / 65535
_TABLES = (b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"B2D0", b"B2D1")
"""Tags that go before the matrix where a profile has both."""
_STRIP = 1 << 20
"""Values converted at once: 8 MB an array of doubles."""
# Linear sRGB -> XYZ of D50: IEC 61966-2-1's primaries through the Bradford adaptation, as ICC profiles have it.
SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_STEPS = 1 << 20
"""Entries of the tables back to codes, uniform in the fourth root of light: one step is 0.11 of a code at most."""


@dataclass(frozen=True)
class Curve:
    """One channel's code <-> light."""

    light: Double
    """Linear light at each of 65,536 codes, from 0 to 1, never decreasing."""
    codes: NDArray[np.uint16]
    """The inverse, at each of ``_STEPS + 1`` fourth roots of light."""

    @classmethod
    def of(cls, light: Double) -> Curve:
        roots = np.linspace(0, 1, _STEPS + 1)
        return cls(light, np.rint(np.interp(roots**4, light, CODES) * 65535).astype(np.uint16))


Curves = tuple[Curve, Curve, Curve]


@dataclass(frozen=True)
class MatrixProfile:
    """Code -> light of each channel, and light -> XYZ of D50."""

    curves: Curves
    matrix: Double
    """(3, 3), columns are the primaries, scaled to the white of ``SRGB``."""


@lru_cache(maxsize=1)
def _srgb_curves() -> Curves:
    return (Curve.of(np.where(CODES <= 0.04045, CODES / 12.92, ((CODES + 0.055) / 1.055) ** 2.4)),) * 3


@lru_cache(maxsize=4)  # 7 MB each
def matrix_profile(profile: bytes) -> MatrixProfile | None:
    """The profile, or None where it is of another kind: with tables, not RGB, or damaged."""
    if len(profile) < 132 or profile[16:24] != b"RGB XYZ " or profile[36:40] != b"acsp":
        return None
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        places = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 100)))
        tags = {name: profile[start : start + size] for name, start, size in places}
        if not tags.keys().isdisjoint(_TABLES):
            return None
        primaries = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (struct.error, KeyError, ValueError, ZeroDivisionError, OverflowError):
        return None
    matrix = np.array(primaries, np.float64).T / 65536
    if red is None or green is None or blue is None or abs(np.linalg.det(matrix)) < 1e-6:
        return None
    # Numbers of 16.16 bits do not add up to white quite; without this, greys would be a code off neutral.
    matrix *= (SRGB.sum(axis=1) / matrix.sum(axis=1))[:, None]
    return MatrixProfile((Curve.of(red), Curve.of(green), Curve.of(blue)), matrix)


def to_srgb(pixels: Plane, profile: MatrixProfile) -> Plane:
    """(H, W, 3) uint16 codes of a profile -> sRGB codes; what sRGB cannot show is clipped."""
    through = np.linalg.inv(SRGB) @ profile.matrix
    return _converted(pixels, profile.curves, through, _srgb_curves())


def from_srgb(pixels: Plane, profile: MatrixProfile) -> Plane:
    """The inverse of ``to_srgb``; a fourth channel, alpha, stays."""
    through = np.linalg.inv(profile.matrix) @ SRGB
    colour = _converted(pixels[..., :3], _srgb_curves(), through, profile.curves)
    return np.concatenate([colour, pixels[..., 3:]], axis=-1)


def _converted(pixels: Plane, decode: Curves, through: Double, encode: Curves) -> Plane:
    flat = pixels.reshape(-1, 3)
    result = np.empty_like(flat)
    for start in range(0, len(flat), _STRIP // 3):
        strip = slice(start, start + _STRIP // 3)
        light = np.stack([curve.light[flat[strip, channel]] for channel, curve in enumerate(decode)])
        roots = np.sqrt(np.sqrt(np.clip(through @ light, 0, 1)))
        places = np.rint(roots * _STEPS).astype(np.int32)
        for channel, curve in enumerate(encode):
            result[strip, channel] = curve.codes[places[channel]]
    return result.reshape(pixels.shape)


def _curve(tag: bytes) -> Double | None:
    """A curveType or parametricCurveType (ICC.1:2022, 10.6 and 10.18) at every 16-bit code; None where it is odd."""
    kind, (count,) = tag[:4], struct.unpack_from(">I", tag, 8)
    if kind == b"curv" and count == 0:
        curve = CODES
    elif kind == b"curv" and count == 1:
        curve = CODES ** (struct.unpack_from(">H", tag, 12)[0] / 256)
    elif kind == b"curv":
        entries = np.array(struct.unpack_from(f">{count}H", tag, 12)) / 65535
        curve = np.interp(CODES, np.linspace(0, 1, count), entries)
    elif kind == b"para":
        curve = _parametric(tag)
    else:
        return None
    # A curve that leaves out black or white needs black point compensation, and the engine.
    usable = np.isfinite(curve).all() and (np.diff(curve) >= 0).all() and abs(curve[0]) + abs(curve[-1] - 1) < 1e-4
    return np.clip(curve, 0, 1) if usable else None


def _parametric(tag: bytes) -> Double:
    (function,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[function] if function < 5 else 0
    if not count:
        raise ValueError(f"parametric curve of type {function}")
    g, *rest = (value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12))
    a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if function == 1:
        a, b = rest
        d = -b / a
    elif function == 2:
        a, b, e = rest
        d, f = -b / a, e
    elif function == 3:
        a, b, c, d = rest
    elif function == 4:
        a, b, c, d, e, f = rest
    power = np.maximum(a * CODES + b, 0) ** g + e
    return np.asarray(np.where(d <= CODES, power, c * CODES + f))
