"""The paper's colour space: Y, U and V of sRGB codes (ITU-R BT.601), from CIE Lab and back."""

from __future__ import annotations

import numpy as np

from colorpipe import Lab
from colorpipe.color import GREY_WEIGHTS, Float, grey_of, lab_to_rgb, rgb_to_lab

_WEIGHTS = np.array(GREY_WEIGHTS["rec601"], np.float32)
_U, _V = np.float32(0.492), np.float32(0.877)
"""U = 0.492 (B - Y), V = 0.877 (R - Y)."""


def to_yuv(L: Float, ab: Float) -> tuple[Float, Float]:
    """L (h, w) 0..100 and ab (h, w, 2) -> the grey Y, (h, w) 0..1, and U and V of the colours, (2, h, w)."""
    rgb = lab_to_rgb(Lab(L, np.ascontiguousarray(ab, np.float32)))
    luma = rgb @ _WEIGHTS
    return grey_of(L), np.stack([_U * (rgb[..., 2] - luma), _V * (rgb[..., 0] - luma)]).astype(np.float32)


def to_ab(Y: Float, uv: Float) -> Float:
    """Y (h, w), U and V (2, h, w) -> ab (h, w, 2); what sRGB cannot show is clipped."""
    blue, red = Y + uv[0] / _U, Y + uv[1] / _V
    green = (Y - _WEIGHTS[0] * red - _WEIGHTS[2] * blue) / _WEIGHTS[1]
    ab = rgb_to_lab(np.clip(np.dstack([red, green, blue]), 0, 1).astype(np.float32)).ab
    return np.asarray(ab, np.float32)
