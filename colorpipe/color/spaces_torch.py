"""The conversions of ``spaces`` in torch, on any device. Channels come before height and width."""

from __future__ import annotations

import torch
from torch import Tensor

from colorpipe.color.spaces import RGB_FROM_XYZ, WHITE, XYZ_FROM_RGB


def linear(grey: Tensor) -> Tensor:
    """Values in the sRGB transfer curve, 0..1 -> linear light 0..1."""
    return torch.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)


def encode(light: Tensor) -> Tensor:
    """Linear light, at least 0 -> values in the sRGB transfer curve."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def lightness_of(grey: Tensor) -> Tensor:
    """Grey 0..1 -> L 0..100."""
    Y = linear(grey)
    return torch.where(Y > 0.008856, 116 * Y ** (1 / 3) - 16, 903.3 * Y)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """(..., 3, h, w) sRGB 0..1 -> Lab (..., 3, h, w), CIE units; the formulas of :func:`colorpipe.color.rgb_to_lab`."""
    matrix = torch.tensor(XYZ_FROM_RGB / WHITE[:, None], dtype=rgb.dtype, device=rgb.device)
    xyz = torch.einsum("...chw,dc->...dhw", linear(rgb), matrix)
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=0) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def lab_to_light(L: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """L 0..100, a and b in CIE units, each (..., h, w) -> linear sRGB light (..., 3, h, w), not clipped."""
    fy = (L + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], -3)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787)
    matrix = torch.tensor(RGB_FROM_XYZ * WHITE, dtype=L.dtype, device=L.device)
    return torch.einsum("...chw,dc->...dhw", xyz, matrix)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Lab (..., 3, h, w) -> sRGB (..., 3, h, w), clipped to 0..1."""
    return encode(lab_to_light(*lab.unbind(-3)).clamp(min=0)).clamp(0, 1)
