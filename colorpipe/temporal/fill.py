"""Unknown places of a picture filled from the known ones around them."""

from __future__ import annotations

import cv2
import numpy as np

from colorpipe.color import Float

SURE = 0.05
"""Weight from which on a place keeps its own value; below it, the neighbours' share grows as the weight falls."""


def fill(values: Float, weight: Float) -> Float:
    """Values (h, w, 2) where their weight is above ``SURE``; below, the weighted mean of ever wider surroundings.

    Pull and push, after Gortler et al. 1996, The Lumigraph, section 3.4. Zero where there is no weight at all.
    """
    if float(weight.min()) >= SURE:
        return values
    sure = np.minimum(weight / np.float32(SURE), 1)
    planes = cv2.split(values)
    sums = np.asarray(cv2.merge([*(plane * weight for plane in planes), weight]), np.float32)
    around = cv2.split(_surroundings(sums))
    return np.asarray(cv2.merge([far + sure * (near - far) for near, far in zip(planes, around, strict=True)]))


def _surroundings(sums: Float) -> Float:
    """(h, w, 3), values times weight and weight -> (h, w, 2), from means over cells of 2, 4, 8 ... pixels."""
    height, width = sums.shape[:2]
    if max(height, width) == 1:
        return np.asarray(sums[..., :2] / np.maximum(sums[..., 2:], np.float32(1e-6)), np.float32)
    half = np.asarray(cv2.resize(sums, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA), np.float32)
    coarse = cv2.split(_surroundings(half))
    *planes, weight = cv2.split(half)
    sure, weight = np.minimum(weight / np.float32(SURE), 1), np.maximum(weight, np.float32(1e-6))
    filled = [far + sure * (plane / weight - far) for plane, far in zip(planes, coarse, strict=True)]
    return resized(np.asarray(cv2.merge(filled)), (height, width))


def resized(values: Float, size: tuple[int, ...]) -> Float:
    """(h, w, ...) at another height and width, bilinear; the values themselves where they have it."""
    if values.shape[:2] == size[:2]:
        return values
    return np.asarray(cv2.resize(values, size[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
