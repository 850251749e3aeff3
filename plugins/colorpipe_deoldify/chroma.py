"""Conversion of DeOldify's RGB to chroma in CIE units.

The published script takes only U and V from the network and lays them over the picture's own Y. Chroma here is the ab
that does the same: over the lightness of that Y it has those U and V again. So a film, whose Y stays, gets the
network's U and V to the letter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from colorpipe.color import GREY_WEIGHTS, WHITE, XYZ_FROM_RGB

LOWEST_V, HIGHEST_V = -128 / 255, 127 / 255
"""V as the published script holds it, in 8 bits about 128: of a strong red and cyan the rest is cut off."""
V_OF_RED = 0.877
"""V of R - Y, as OpenCV's RGB2YUV has it."""
STEPS = 6
"""Steps of Newton's method; from the fourth on nothing changes by a thousandth of L."""


def grey_of(L: Tensor) -> Tensor:
    """L 0..100 -> the sRGB-coded grey 0..1 of that lightness (IEC 61966-2-1)."""
    Y = torch.where(L > 7.9996, ((L + 16) / 116) ** 3, L / 903.3)
    return torch.where(Y <= 0.0031308, 12.92 * Y, 1.055 * Y.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def chroma(rgb: Tensor, grey: Tensor) -> Tensor:
    """The network's RGB (N, 3, h, w) over grey (N, 1, h, w), 0..1 -> ab (N, 2, h, w), CIE units, not clamped.

    RGB is clipped to 0..1 and rounded down to 8 bits first, and V clipped to 8 bits, as the published script does.
    """
    with torch.autocast(rgb.device.type, enabled=False):
        rgb = (rgb.float().clamp(0, 1) * 255).floor() / 255
        luma = rgb.new_tensor(GREY_WEIGHTS["rec601"]).view(1, 3, 1, 1)
        differences = rgb - (rgb * luma).sum(1, keepdim=True)  # R - Y, G - Y, B - Y
        red = differences[:, :1].clamp(LOWEST_V / V_OF_RED, HIGHEST_V / V_OF_RED)
        blue = differences[:, 2:]
        green = -(luma[:, :1] * red + luma[:, 2:] * blue) / luma[:, 1:2]
        differences = torch.cat([red, green, blue], 1)
        return _ab(_linear(_of_lightness(differences, grey.float()) + differences))


def _of_lightness(differences: Tensor, grey: Tensor) -> Tensor:
    """The Y (N, 1, h, w) over which R - Y, G - Y and B - Y have the lightness of ``grey``.

    Luminance grows with Y and is convex in it, so that Newton's method goes there from anywhere.
    """
    weights = differences.new_tensor(XYZ_FROM_RGB[1]).view(1, 3, 1, 1)
    wanted, Y = _linear(grey), grey
    for _ in range(STEPS):
        coded = Y + differences
        luminance = (weights * _linear(coded)).sum(1, keepdim=True)
        slope = (weights * _slope(coded)).sum(1, keepdim=True)
        Y = Y - (luminance - wanted) / slope
    return Y


def _linear(coded: Tensor) -> Tensor:
    """sRGB-coded -> linear light; its straight beginning goes on below 0."""
    return torch.where(coded <= 0.04045, coded / 12.92, ((coded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _slope(coded: Tensor) -> Tensor:
    return torch.where(coded <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((coded.clamp(min=0.04045) + 0.055) / 1.055) ** 1.4)


def _ab(light: Tensor) -> Tensor:
    """Linear sRGB (N, 3, h, w), also beyond 0..1 -> ab (N, 2, h, w)."""
    matrix = light.new_tensor(XYZ_FROM_RGB / WHITE[:, None])
    xyz = torch.einsum("xc,nchw->nxhw", matrix, light)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
