"""Changing size: lightness down to the network's view, chroma back up under the full-size picture."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from colorpipe.color import Float
from colorpipe.interfaces import InputSize

Upsampling = Literal["guided", "bilinear"]

GUIDE_SIDE = 512
"""The guided filter's coefficients are fitted on a copy of at most this side: they are smooth, the guide is not."""
GUIDE_REGULARISATION = 2e-3
"""epsilon of the guided filter on a guide of 0..1: above the variance of film grain, below that of an edge of 0.1."""
BACK_PROJECTIONS = 2
"""Each returns to the cells what the filter's windows averaged away. On photographs whose true chroma was averaged to
64x64 cells and brought back, the mean error is 1.37 bilinear, 1.83 guided without and 1.15 guided with two of them."""


def view_size(height: int, width: int, wanted: InputSize) -> tuple[int, int]:
    """Height and width that a network is fed for a picture of the given size."""
    if wanted.side is not None:
        return wanted.side, wanted.side
    scale = min(1.0, wanted.limit / max(height, width)) if wanted.limit else 1.0
    sides = (max(wanted.multiple, round(side * scale / wanted.multiple) * wanted.multiple) for side in (height, width))
    return next(sides), next(sides)


def shrink(grey: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(H, W) -> (h, w), bicubic with antialiasing, as Pillow does and the published networks were fed.

    Grey 0..1 in float32, or uint8 codes: these are rounded after each direction, which is Pillow's arithmetic.
    """
    if grey.shape == size:
        return grey
    # a film's planes are read-only, which torch cannot say of a tensor: it gets a copy of those
    tensor = torch.from_numpy(np.require(grey, requirements=["C", "W"]))[None, None]
    small = F.interpolate(tensor, size, mode="bicubic", antialias=True, align_corners=False)[0, 0]
    return (small if grey.dtype == np.uint8 else small.clamp_(0, 1)).numpy()


def upsample(ab: Float, guide: Float, size: tuple[int, int], method: Upsampling, via: tuple[int, int]) -> Float:
    """Chroma (h, w, 2) -> (H, W, 2).

    Args:
        guide: The picture's grey 0..1 at its own size; its edges become the chroma's edges.
        size: H and W of the result; for ``guided`` that of the guide, or smaller.
        method: ``bilinear`` goes through ``via``, the network's input size, as the published scripts do.
            ``guided`` is the fast guided filter (He and Sun 2015, arXiv 1505.00996) with iterative back-projection
            (Irani and Peleg 1991): averaged over the network's cells, the result is the network's chroma again.
            Chroma that has full size already is given back as it is.
    """
    if method == "guided" and ab.shape[:2] == size:
        return ab
    # OpenCV is twice as fast on planes as on pairs
    planes: Float = np.empty((2, *size), np.float32)
    result: Float = planes.transpose(1, 2, 0)
    if method == "bilinear":
        middle = _resize(ab, via)
        for channel in range(2):
            _resize(np.ascontiguousarray(middle[..., channel]), size, planes[channel])
        return result
    scale = min(1.0, GUIDE_SIDE / max(guide.shape))
    fit = max(1, round(guide.shape[0] * scale)), max(1, round(guide.shape[1] * scale))
    small = _average(guide, fit)
    radius = _radius(fit, ab.shape[:2])
    mean_guide = _mean(small, radius)
    variance = np.maximum(_mean(small * small, radius) - mean_guide * mean_guide, 0) + np.float32(GUIDE_REGULARISATION)
    if guide.shape != size:
        guide = _average(guide, size)
    for channel, plane in enumerate(planes):
        cells = np.ascontiguousarray(ab[..., channel])
        values = _resize(cells, fit)
        # Per window the line gain * guide + offset that fits the values best, averaged over windows (eq. 5, 6, 8)
        mean_values = _mean(values, radius)
        slope = (_mean(small * values, radius) - mean_guide * mean_values) / variance
        gain, offset = _mean(slope, radius), _mean(mean_values - slope * mean_guide, radius)
        for _ in range(BACK_PROJECTIONS):
            offset += _resize(cells - _average(gain * small + offset, cells.shape), fit)
        _resize(gain, size, plane)
        cv2.multiply(plane, guide, plane)
        cv2.add(plane, _resize(offset, size), plane)
    return result


def _mean(plane: Float, radius: int) -> Float:
    """Over windows of ``2 * radius + 1``, (h, w)."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _radius(fit: tuple[int, int], cells: tuple[int, ...]) -> int:
    """Windows of two of the network's cells, so that each sees chroma from both sides of an edge."""
    return max(1, round(max(fit[0] / cells[0], fit[1] / cells[1])))


def _average(plane: Float, size: tuple[int, ...]) -> Float:
    return np.asarray(cv2.resize(plane, size[1::-1], interpolation=cv2.INTER_AREA), np.float32)


def _resize(values: Float, size: tuple[int, int], into: Float | None = None) -> Float:
    """(h, w) or (h, w, 2), bilinear; into ``into`` where it is given. Never the values themselves."""
    if values.shape[:2] == size:
        result = np.empty_like(values) if into is None else into
        result[...] = values
        return result
    return np.asarray(cv2.resize(values, size[::-1], into, interpolation=cv2.INTER_LINEAR), np.float32)
