"""Changing size: lightness down to the network's view, chroma back up under the full-size picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color.spaces import Float
from colorpipe.types import InputSize, Shrinking

Upsampling = Literal["guided", "bilinear", "nearest"]

SHRUNK_AT_ONCE = 1 << 19
"""Pixels: torch copies them four channels wide, and works out its weights anew for each call."""
BAND = 16
"""Results that one product gives: with more of them, more of its weights are 0."""
PRODUCT = 200_000
"""Multiplications of one product: OpenBLAS shares those above 262,144 among threads of its own, which then wait for one
another beside the run's."""
GUIDE_SIDE = 320
"""The guided filter's coefficients are fitted on a copy of at most this side: they are smooth, the guide is not."""
GUIDE_REGULARISATION = 2e-3
"""epsilon of the guided filter on a guide of 0..1: above the variance of film grain, below that of an edge of 0.1."""
BACK_PROJECTIONS = 2
"""Each returns to the cells what the filter's windows averaged away. On photographs whose true chroma was averaged to
64x64 cells and brought back, the mean error is 1.37 bilinear, 1.83 guided without and 1.15 guided with two of them."""


def smooth_pairs(values: Float, size: tuple[int, int]) -> Float:
    """(h, w, C) -> (H, W, C), bilinear, with antialiasing where it shrinks: as Pillow does."""
    if values.shape[:2] == size:
        return values
    import torch
    import torch.nn.functional as F

    planes = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    scaled = F.interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False)[0]
    return np.asarray(scaled.numpy().transpose(1, 2, 0), np.float32)


def view_size(height: int, width: int, wanted: InputSize) -> tuple[int, int]:
    """Height and width that a network is fed for a picture of the given size."""
    if wanted.side is not None:
        return wanted.side, wanted.side
    scale = min(1.0, wanted.limit / max(height, width)) if wanted.limit else 1.0
    sides = (max(wanted.multiple, round(side * scale / wanted.multiple) * wanted.multiple) for side in (height, width))
    return next(sides), next(sides)


def shrink(
    grey: NDArray[Any], size: tuple[int, int], by: Shrinking = "bicubic", *, without_torch: bool = False
) -> NDArray[Any]:
    """(H, W) -> (h, w), as the published networks were fed: see ``InputSize.by``.

    Grey 0..1 in float32, or uint8 codes: these are rounded after each direction, which is Pillow's arithmetic.
    ``two-point`` gives float32, of codes too.

    Args:
        without_torch: Do it by numpy, for engines that do without torch. It rounds as Pillow does; torch, asked to work
            in Pillow's manner, rounds a code in hundreds otherwise.
    """
    if grey.shape == size:
        return grey
    if by == "two-point":
        return _two_point(grey, size)
    if without_torch:
        return _by_products(grey, size, by)
    # some rows at a time, then the columns: as torch does it itself, but for its copy of the whole
    narrow = np.empty((grey.shape[0], size[1]), grey.dtype)
    rows = max(1, SHRUNK_AT_ONCE // grey.shape[1])
    for top in range(0, grey.shape[0], rows):
        strip = grey[top : top + rows]
        narrow[top : top + rows] = _smooth(strip, (len(strip), size[1]), by)
    small = _smooth(narrow, size, by)
    return small if grey.dtype == np.uint8 else np.clip(small, 0, 1)


def _by_products(grey: NDArray[Any], size: tuple[int, int], by: Shrinking) -> NDArray[Any]:
    """Pillow's arithmetic as products of matrices: rows first, rounded where codes are, then columns. Of a hundred
    thousand codes some ten are rounded the other way. 1080p to 256 x 256: 2 ms, Pillow 7."""
    codes = grey.dtype == np.uint8
    narrow = np.empty((grey.shape[0], size[1]), np.float32)
    rows = max(1, SHRUNK_AT_ONCE // 8 // grey.shape[1])
    room = np.empty((min(rows, grey.shape[0]), grey.shape[1]), np.float32)
    for top in range(0, grey.shape[0], rows):
        strip, into = grey[top : top + rows], narrow[top : top + rows]
        values = room[: len(strip)]
        values[...] = strip
        for results, places, weights in _bands(grey.shape[1], size[1], by):
            step = max(1, PRODUCT // weights.size)
            for first in range(0, len(values), step):
                np.matmul(values[first : first + step, places], weights, out=into[first : first + step, results])
    if codes:
        _round(narrow)
    small = np.empty(size, np.float32)
    for results, places, weights in _bands(grey.shape[0], size[0], by):
        step = max(1, PRODUCT // weights.size)
        for first in range(0, size[1], step):
            beside = slice(first, first + step)
            np.matmul(weights.T, narrow[places, beside], out=small[results, beside])
    if codes:
        return np.asarray(_round(small), np.uint8)
    return np.clip(small, 0, 1, out=small)


def _round(codes: Float) -> Float:
    """To whole codes, in place; halves up, as Pillow."""
    codes += np.float32(0.5)
    return np.clip(np.floor(codes, out=codes), 0, 255, out=codes)


@lru_cache(maxsize=8)
def _bands(full: int, wanted: int, by: Shrinking) -> tuple[tuple[slice, slice, Float], ...]:
    """``full`` values -> ``wanted``, some results at a time: which results, of which values, and the weights of each of
    these in each of those. They are Pillow's: a filter as wide as the shrinking, that sums to 1."""
    scale = full / wanted
    widened, reach = max(scale, 1.0), 2 if by == "bicubic" else 1
    middles = (np.arange(wanted) + 0.5) * scale
    first = np.maximum(np.trunc(middles - reach * widened + 0.5), 0).astype(int)
    last = np.minimum(np.trunc(middles + reach * widened + 0.5), full).astype(int)
    found = []
    for start in range(0, wanted, BAND):
        results = slice(start, min(start + BAND, wanted))
        places = np.arange(first[results].min(), last[results].max())[:, None]
        weights = _filter((places - middles[results] + 0.5) / widened, by)
        weights[(places < first[results]) | (places >= last[results])] = 0
        weights /= weights.sum(axis=0)
        found.append((results, slice(int(places[0, 0]), int(places[-1, 0]) + 1), weights.astype(np.float32)))
    return tuple(found)


def _filter(x: NDArray[np.float64], by: Shrinking) -> NDArray[np.float64]:
    """Pillow's bicubic filter, Keys' with a = -0.5, or the triangle."""
    x = np.abs(x)
    if by != "bicubic":
        return np.maximum(1 - x, 0)
    inner, outer = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


def _smooth(grey: NDArray[Any], size: tuple[int, int], by: Shrinking) -> NDArray[Any]:
    import torch
    import torch.nn.functional as F

    # a film's planes are read-only, which torch cannot say of a tensor: it gets a copy of those
    tensor = torch.from_numpy(np.require(grey, requirements=["C", "W"]))[None, None]
    small: NDArray[Any] = F.interpolate(tensor, size, mode=by, antialias=True, align_corners=False)[0, 0].numpy()
    return small


def _two_point(grey: NDArray[Any], size: tuple[int, int]) -> Float:
    """Equal to ``cv2.resize`` of the plane as float32, without that full copy: most of the plane is not read."""
    (upper, lower, down), (left, right, across) = (
        _neighbours(full, wanted) for full, wanted in zip(grey.shape, size, strict=True)
    )
    top, bottom = (grey[rows][:, left] * (1 - across) + grey[rows][:, right] * across for rows in (upper, lower))
    return np.asarray(top * (1 - down)[:, None] + bottom * down[:, None], np.float32)


def _neighbours(full: int, wanted: int) -> tuple[NDArray[Any], NDArray[Any], Float]:
    """For each of ``wanted`` places over ``full`` values: the values before and behind, and the share of the latter."""
    place = np.clip((np.arange(wanted) + 0.5) * (full / wanted) - 0.5, 0, full - 1)
    before = np.floor(place).astype(np.intp)
    return before, np.minimum(before + 1, full - 1), (place - before).astype(np.float32)


class Upsampled:
    """Chroma at a picture's size, made when rows of it are asked for: ``chroma[top:bottom]`` is (rows, W, 2).

    What is kept has the picture's height alone: the whole would be larger than all else of the picture together.

    Args:
        offsets: Two planes (h, w), enlarged bilinearly.
        gains: Likewise; times the guide they are added to that.
        guide: (H, W).
    """

    def __init__(
        self, size: tuple[int, int], offsets: Sequence[Float], gains: Sequence[Float] = (), guide: Float | None = None
    ) -> None:
        self.shape = (*size, 2)
        self._offsets, self._gains = (
            [_resize(plane, (size[0], plane.shape[1])) for plane in x] for x in (offsets, gains)
        )
        self._guide = guide

    def __getitem__(self, rows: slice) -> Float:
        height, width = len(range(self.shape[0])[rows]), self.shape[1]
        planes: Float = np.empty((2, height, width), np.float32)  # OpenCV is twice as fast on planes as on pairs
        for plane, offset in zip(planes, self._offsets, strict=True):
            _resize(offset[rows], (height, width), plane)
        if self._guide is not None:
            guide = np.asarray(self._guide[rows], np.float32)
            for plane, gain in zip(planes, self._gains, strict=True):
                cv2.accumulateProduct(_resize(gain[rows], (height, width)), guide, plane)
        result: Float = planes.transpose(1, 2, 0)
        return result


class Repeated:
    """Chroma at a picture's size, made when rows of it are asked for: each place takes the cell that it lies in."""

    def __init__(self, ab: Float, size: tuple[int, int]) -> None:
        self.shape = (*size, 2)
        self._ab = ab
        self._down, self._across = (_cells(cells, full) for cells, full in zip(ab.shape, size, strict=False))

    def __getitem__(self, rows: slice) -> Float:
        # the columns last: rows of cells are repeated whole
        result: Float = np.ascontiguousarray(self._ab[self._down[rows]].astype(np.float32)[:, self._across])
        return result


def _cells(cells: int, full: int) -> NDArray[Any]:
    """The index among ``cells`` for each of ``full`` places, as in torch's ``nearest``: in float32, rounded down."""
    scale = np.float32(cells) / np.float32(full)
    return np.asarray(np.minimum((np.arange(full, dtype=np.float32) * scale).astype(np.intp), cells - 1))


def upsample(
    ab: Float,
    guide: NDArray[Any],
    size: tuple[int, int],
    method: Upsampling,
    view_size: tuple[int, int],
    span: float = 1,
) -> Upsampled | Repeated:
    """Chroma (h, w, 2) -> (H, W, 2).

    Args:
        guide: The picture at its own size; its edges become the chroma's edges.
        size: H and W of the result; for ``guided`` that of the guide, or smaller.
        method: ``bilinear`` goes through ``view_size``, the network's input size, as the published scripts do.
            ``nearest`` takes the network's cells as they are.
            ``guided`` is the fast guided filter (He and Sun 2015, arXiv 1505.00996) with iterative back-projection
            (Irani and Peleg 1991): averaged over the network's cells, the result is the network's chroma again.
            Chroma that has full size already is laid as it is.
        span: From black to white in the guide's values: 255 for a still's codes.
    """
    if method == "bilinear":
        return Upsampled(size, _planes(_resize(ab, view_size)))
    if method == "nearest":
        return Repeated(ab, size)
    if ab.shape[:2] == size:
        return Upsampled(size, _planes(ab))
    scale = min(1.0, GUIDE_SIDE / max(guide.shape))
    fit = max(1, round(guide.shape[0] * scale)), max(1, round(guide.shape[1] * scale))
    small = _small(guide, fit) * np.float32(1 / span)
    radius = radius_of(fit, ab.shape[:2])
    mean_guide = _mean(small, radius)
    variance = np.maximum(_mean(small * small, radius) - mean_guide * mean_guide, 0) + np.float32(GUIDE_REGULARISATION)
    gains, offsets = [], []
    for cells in _planes(ab):
        values = _resize(cells, fit)
        # Per window the line gain * guide + offset that fits the values best, averaged over windows (eq. 5, 6, 8)
        mean_values = _mean(values, radius)
        slope = (_mean(small * values, radius) - mean_guide * mean_values) / variance
        gain, offset = _mean(slope, radius), _mean(mean_values - slope * mean_guide, radius)
        for _ in range(BACK_PROJECTIONS):
            offset += _resize(cells - _average(gain * small + offset, cells.shape), fit)
        gains.append(gain * np.float32(1 / span))
        offsets.append(offset)
    return Upsampled(size, offsets, gains, guide if guide.shape == size else _average(guide.astype(np.float32), size))


def _small(guide: NDArray[Any], size: tuple[int, int]) -> Float:
    """The guide averaged to ``size``; by halves while these average whole pixels: 12 megapixels, 22 ms at once."""
    while guide.shape[0] >= 4 * size[0]:
        half = (guide.shape[1] + 1) // 2, (guide.shape[0] + 1) // 2
        guide = cv2.resize(guide, half, interpolation=cv2.INTER_LINEAR)
    return np.asarray(_average(guide, size), np.float32)


def _planes(ab: Float) -> list[Float]:
    return [np.ascontiguousarray(ab[..., channel]) for channel in range(2)]


def _mean(plane: Float, radius: int) -> Float:
    """Over windows of ``2 * radius + 1``, (h, w)."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def radius_of(fit: tuple[int, int], cells: tuple[int, ...]) -> int:
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
