"""Colours to choose from at a place: all that exist at its lightness."""

from __future__ import annotations

from typing import Any

import numpy as np

from colorpipe import color
from colorpipe.color import Float
from colorpipe.errors import UsageError
from colorpipe.types import Lab

HUES, RINGS = 16, 4
MOST_CHROMA = 130.0
"""CIE units: no colour of sRGB has more, blue but for."""


def hex_of(L: float, ab: tuple[float, float]) -> str:
    """``#rrggbb`` of a colour at a lightness, brought inside sRGB with its lightness kept."""
    light = color.fit_to_gamut(color.light_of(np.array([[L]], np.float32), np.array([[ab]], np.float32)))
    return _hex(color.encode(np.clip(light, 0, 1))[0, 0])


def _hex(rgb: Float) -> str:
    return "#" + "".join(f"{round(float(channel) * 255):02x}" for channel in rgb)


def swatch(L: float, ab: tuple[float, float]) -> dict[str, Any]:
    """A colour as a page draws it."""
    return {"ab": [round(ab[0], 2), round(ab[1], 2)], "hex": hex_of(L, ab)}


def palette(L: float) -> list[dict[str, Any]]:
    """Colours of sRGB that exist at a lightness: hue by hue in rings outward, and grey last."""
    hues = np.arange(HUES) * (2 * np.pi / HUES)
    way = np.stack([np.cos(hues), np.sin(hues)], -1)
    low, high = np.zeros(HUES), np.full(HUES, MOST_CHROMA)
    for _ in range(12):  # to 0.03 CIE units
        middle = (low + high) / 2
        fits = _fits(L, way * middle[:, None])
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    found = []
    for number in range(HUES):
        for ring in range(1, RINGS + 1):
            chroma = float(low[number]) * ring / RINGS
            ab = float(way[number, 0]) * chroma, float(way[number, 1]) * chroma
            found.append({**swatch(L, ab), "hue": round(360 * number / HUES, 1), "chroma": round(chroma, 2)})
    return [*found, {**swatch(L, (0.0, 0.0)), "hue": 0.0, "chroma": 0.0}]


def _fits(L: float, ab: Float) -> np.ndarray:
    light = color.light_of(np.full(len(ab), L, np.float32), ab.astype(np.float32))
    return np.asarray(((light >= -1e-4) & (light <= 1 + 1e-4)).all(-1))


def lab_of(code: str) -> tuple[float, float, float]:
    """L, a and b of ``#rrggbb``.

    Raises:
        UsageError: it is something else.
    """
    text = code.removeprefix("#")
    try:
        if len(text) != 6:
            raise ValueError(text)
        rgb = np.array([[[byte / 255 for byte in bytes.fromhex(text)]]], np.float32)
    except ValueError:
        raise UsageError(f"a colour is #rrggbb, not {code[:20]!r}") from None
    return lab_of_rgb(rgb)


def lab_of_rgb(rgb: Float) -> tuple[float, float, float]:
    """L, a and b of a colour (1, 1, 3), 0..1."""
    lab: Lab = color.rgb_to_lab(rgb)
    ab = np.asarray(lab.ab)
    return float(lab.L[0, 0]), float(ab[0, 0, 0]), float(ab[0, 0, 1])
