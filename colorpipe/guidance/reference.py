"""Reference pictures: read as Lab; their code values, patches and palette; colour under other light.

Code values are 0..255, in the sRGB transfer curve; grey and RGB alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.color import Float, resample
from colorpipe.errors import UsageError
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, InputSize, Lab

Codes = NDArray[np.uint8]
Array = NDArray[np.float64]
_CODES = Encoding("rgb", 8)

STARTS = 4
"""Starts of k-means: on photographs one in three misses the best palette of five colours."""
TRIAL, PASSES = 10, 50
"""Passes of k-means, at most: for each start, and then for the best of them."""
STILL = 0.1
"""Code values: a palette that moves less than this in a pass is final."""


def grey_codes(L: Float) -> Codes:
    """L (H, W) 0..100 -> grey code values (H, W): those of the picture, for one of 8 bits."""
    return color.to_codes(color.grey_of(L), _CODES)


def code_values(reference: Lab, formula: str, size: InputSize) -> tuple[Codes, Codes]:
    """A colour picture -> its RGB (h, w, 3) and its grey (h, w), at the size at which a method sees pictures.

    Grey is made by one of the formulas of ``color.GREY_WEIGHTS``.
    """
    rgb = color.quantize(color.lab_to_rgb(reference) * np.float32(255), _CODES)
    small = resample.view_size(rgb.shape[0], rgb.shape[1], size)
    red, green, blue = (resample.shrink(plane, small) for plane in cv2.split(rgb))
    return np.dstack([red, green, blue]), color.grey((red, green, blue), formula)


def patches(grey: Codes, side: int) -> Codes:
    """(H, W) -> (H * W, side * side): the square around each pixel, row by row; ``side`` is odd.

    Beyond the border the picture goes on mirrored about its outermost pixels.
    """
    padded = np.pad(grey, side // 2, mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side)).reshape(-1, side * side)


def palette(rgb: Codes, k: int, seed: int) -> tuple[Array, NDArray[np.intp]]:
    """k-means over colours (N, 3): the palette (k, 3), code values, and for each colour its entry (N,).

    The best of ``STARTS`` by greedy k-means++ (Arthur and Vassilvitskii 2007) and Lloyd's passes over the distinct
    colours, weighted by how often each occurs. With no more than k distinct colours, these are the palette. Equal input
    and seed give an equal palette.
    """
    packed = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values, which, counts = np.unique(packed, return_inverse=True, return_counts=True)
    points = np.stack([values >> 16, values >> 8 & 255, values & 255]).astype(np.float64)
    rng = np.random.default_rng(seed)
    starts = (_lloyd(points, counts, _far_apart(points, counts, k, rng), TRIAL) for _ in range(STARTS))
    best = min(starts, key=lambda centres: float(_nearest(points, centres)[1] @ counts))
    centres = _lloyd(points, counts, best, PASSES)
    return centres, _nearest(points, centres)[0][which]


def _lloyd(points: Array, counts: NDArray[np.intp], centres: Array, passes: int) -> Array:
    """Each centre moved to the mean of the points that are nearest to it, until they stand still."""
    for _ in range(passes):
        before, (nearest, _) = centres, _nearest(points, centres)
        weight = np.bincount(nearest, counts, len(centres))[:, None]
        sums = np.stack([np.bincount(nearest, counts * channel, len(centres)) for channel in points], 1)
        # a centre that lost all its colours stays where it is
        centres = np.where(weight > 0, sums / np.maximum(weight, 1), before)
        if np.abs(centres - before).max() < STILL:
            break
    return centres


def _far_apart(points: Array, counts: NDArray[np.intp], k: int, rng: np.random.Generator) -> Array:
    """Up to k of the points (3, N): each the best of a few drawn with the odds of its weighted squared distance to
    those before it."""
    odds = counts.astype(np.float64)
    gap = np.full(points.shape[1], np.inf)
    chosen: list[Array] = []
    while len(chosen) < k and odds.any():
        drawn = rng.choice(len(gap), 2 + int(np.log(k)), p=odds / odds.sum())
        gaps = [np.minimum(gap, _squares(points, points[:, one])) for one in drawn]
        best = min(range(len(drawn)), key=lambda i: float(gaps[i] @ counts))
        chosen.append(points[:, drawn[best]])
        gap = gaps[best]
        odds = gap * counts
    return np.stack(chosen)


def _nearest(points: Array, centres: Array) -> tuple[NDArray[np.intp], Array]:
    """(3, N) and (k, 3) -> which centre is nearest, the first of several, and how far it is, squared; (N,) each."""
    gap = np.full(points.shape[1], np.inf)
    which = np.zeros(points.shape[1], np.intp)
    for entry, centre in enumerate(centres):
        squares = _squares(points, centre)
        which[squares < gap] = entry
        np.minimum(gap, squares, out=gap)
    return which, gap


def _squares(points: Array, centre: Array) -> Array:
    red, green, blue = ((channel - value) ** 2 for channel, value in zip(points, centre, strict=True))
    return np.asarray(red + green + blue)


def tint(rgb: NDArray[Any]) -> Float:
    """Code values (..., 3) -> (..., 2): what a colour keeps of itself under more or less light, ab / (L + 16).

    Light that is s times as strong makes L + 16, a and b each s^(1/3) times as large (CIE 15, above L = 8). So
    ``tint(rgb) * (L + 16)`` is the ab of that colour at another lightness.
    """
    lab = color.rgb_to_lab(np.asarray(rgb, np.float32).reshape(1, -1, 3) / np.float32(255))
    assert lab.ab is not None
    return np.asarray(lab.ab / (lab.L[..., None] + 16), np.float32).reshape(*rgb.shape[:-1], 2)


def read_lab(path: Path, media: MediaOptions) -> Lab:
    """A colour picture, or a film's first frame, in Lab.

    Raises:
        InputError: it cannot be read.
        UsageError: it has no colour.
    """
    from colorpipe.media import first_frame

    frame = first_frame(path, media)
    if frame.colour is None:
        raise UsageError(f"{path}: the reference is grey", hint="give a colour picture")
    return color.rgb_to_lab(color.rgb(frame))
