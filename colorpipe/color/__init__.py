"""Colour: units and their conversions, resampling, and chroma put under an untouched luma.

Everything in ``spaces`` is a name of this package.

May import: ground.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from colorpipe.color.kept import with_own_colour
from colorpipe.color.spaces import (
    FILM_STRIP,
    GREY_WEIGHTS,
    IN_GAMUT,
    LIGHT_STEPS,
    MATRICES,
    RGB_FROM_XYZ,
    STRIP,
    WHITE,
    XYZ_FROM_RGB,
    Float,
    Gamut,
    Keep,
    Plane,
    Rows,
    chroma_matrix,
    encode,
    fit_to_gamut,
    grey,
    grey_of,
    grey_plane,
    grey_table,
    interleaved,
    lab_to_rgb,
    light_of,
    light_tables,
    lightness,
    lightness_of,
    linear,
    look_up,
    luma_range,
    merge,
    quantize,
    rgb,
    rgb_to_lab,
    to_codes,
    warm_up,
    yuv_to_rgb,
)

if TYPE_CHECKING:
    from colorpipe.color.resample import shrink, view_size

__all__ = [
    "FILM_STRIP",
    "GREY_WEIGHTS",
    "IN_GAMUT",
    "LIGHT_STEPS",
    "MATRICES",
    "RGB_FROM_XYZ",
    "STRIP",
    "WHITE",
    "XYZ_FROM_RGB",
    "Float",
    "Gamut",
    "Keep",
    "Plane",
    "Rows",
    "chroma_matrix",
    "encode",
    "fit_to_gamut",
    "grey",
    "grey_of",
    "grey_plane",
    "grey_table",
    "interleaved",
    "lab_to_rgb",
    "light_of",
    "light_tables",
    "lightness",
    "lightness_of",
    "linear",
    "look_up",
    "luma_range",
    "merge",
    "quantize",
    "rgb",
    "rgb_to_lab",
    "shrink",
    "to_codes",
    "view_size",
    "warm_up",
    "with_own_colour",
    "yuv_to_rgb",
]
_HOME = dict.fromkeys(("shrink", "view_size"), "colorpipe.color.resample")


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
