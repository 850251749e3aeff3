"""How much of each hint's correction a place takes by being like it, connected or not: kriging.

A textured picture has edges everywhere, and a spreading that stops at them leaves most of a surface as it was. What a
place has in common with the painted ones says more: its lightness, and what the method sees there, or else the colour
that it predicts. The mean that misses least is kriging's (Cressie 1993, Statistics for spatial data, chapter 3): each
hint weighs by its likeness to the place, and hints that are like each other share what they say.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float

# The constants were chosen on photographs with three points of the true colours each; docs/hints.md has the figures.
LIGHT_SEEN, LIGHT = 35.0, 20.0
"""Difference of L at which a likeness is 1/e, where the method tells what it sees, and where it does not."""
SEEN = 1.0
"""Fall of the logarithm of a likeness from the same direction of what is seen to a direction at a right angle."""
CHROMA = 30.0
"""Difference of the predicted chroma, CIE units, at which a likeness is 1/e, where the method tells nothing."""
NUGGET = 0.07
"""Kriging's nugget: the share of a hint's correction that is its own alone. With one hint, a place that is exactly like
it takes 1 / (1 + NUGGET) of the correction."""
BOUND = 30.0
"""Difference of L at which a place takes nothing of a hint any more: 1/e here, 94% at half of it. Whatever is seen, a
dark coat's colour is no light face's."""
MOST = 48
"""Hints, at most, that are told apart: parts of large strokes and dots near each other are taken together."""
CELL = 1 / 24
"""Share of the longer side within which a stroke is one hint, where that gives few enough."""


@dataclass(frozen=True)
class _Places:
    """What is compared, at each place of a picture."""

    L: Float
    """(h, w)."""
    ab: Float
    """(h, w, 2): the prediction."""
    seen: Float | None
    """(C, h', w') of unit length, or None."""


def shared(L: Float, ab: Float, wanted: Float, groups: NDArray[np.int32], seen: Float | None) -> Float:
    """The correction that places take by their likeness to the painted ones.

    Args:
        L: (h, w) 0..100, softened.
        ab: (h, w, 2) CIE units, the prediction.
        wanted: (h, w, 2) CIE units: the correction of the painted pixels.
        groups: (h, w): as ``grouped`` gives them.
        seen: (C, h', w') as ``directions`` gives it, or None.

    Returns:
        (h, w, 2) CIE units.
    """
    there = np.flatnonzero(groups.ravel() >= 0)
    group = groups.ravel()[there]
    count = np.bincount(group).astype(np.float32)

    def mean(values: Float) -> Float:
        """(n, k) over painted pixels -> (N, k) over hints."""
        sums = [np.bincount(group, column, minlength=len(count)) for column in values.T]
        return np.asarray(np.stack(sums, 1) / count[:, None], np.float32)

    own_L, own_ab = mean(L.reshape(-1, 1)[there])[:, 0], mean(ab.reshape(-1, 2)[there])
    between = np.exp(-(((own_L[:, None] - own_L) / _light(seen)) ** 2))
    towards: Float | None = None
    if seen is None:
        between *= np.exp(-np.sqrt(((own_ab[:, None] - own_ab) ** 2).sum(-1)) / CHROMA)
    else:
        directions_ = _unit(mean(seen.reshape(len(seen), -1)[:, _cells(there, L.shape, seen.shape)].T))
        between *= np.exp(SEEN * (directions_ @ directions_.T - 1))
        towards = (directions_ @ seen.reshape(len(seen), -1)).reshape(-1, *seen.shape[1:])
    weights = np.linalg.solve(between + NUGGET * np.eye(len(count)), mean(wanted.reshape(-1, 2)[there]))
    total = np.zeros_like(ab)
    for number, weight in enumerate(weights.astype(np.float32)):
        apart = np.abs(L - own_L[number])
        fall = (apart / np.float32(_light(seen))) ** 2 + (apart / np.float32(BOUND)) ** 4
        if towards is None:
            fall += np.sqrt(((ab - own_ab[number]) ** 2).sum(-1)) / np.float32(CHROMA)
        else:
            near = cv2.resize(towards[number], L.shape[::-1], interpolation=cv2.INTER_LINEAR)
            fall += np.float32(SEEN) * (1 - near)
        total += np.exp(-fall)[..., None] * weight
    return total


def directions(features: Float) -> Float:
    """Features (C, h', w') less their mean over the picture, of unit length at each place."""
    centred = features - features.mean((1, 2), keepdims=True)
    return np.asarray(centred / np.maximum(np.sqrt((centred * centred).sum(0)), 1e-6), np.float32)


def grouped(weight: Float, keep: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The hint, 0 to ``MOST - 1``, that each painted pixel belongs to; -1 where nothing is painted.

    Args:
        weight, keep: (h, w), as of ``Hints``.
    """
    painted = (weight > 0) | keep
    labels = np.asarray(cv2.connectedComponents(painted.astype(np.uint8), connectivity=8)[1], np.int64)
    y, x = np.nonzero(painted)
    parts = labels[y, x]
    cell = max(1.0, CELL * max(painted.shape))
    while True:
        rows, columns = (y / cell).astype(np.int64), (x / cell).astype(np.int64)
        keys = np.stack([keep[y, x].astype(np.int64), parts, rows, columns])
        _, found = np.unique(keys, axis=1, return_inverse=True)
        if found.max(initial=0) < MOST:
            break
        parts, cell = np.zeros_like(parts), cell * 1.5
    groups = np.full(painted.shape, -1, np.int32)
    groups[y, x] = found.reshape(-1)
    return groups


def _light(seen: Float | None) -> float:
    return LIGHT if seen is None else LIGHT_SEEN


def _unit(vectors: Float) -> Float:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


def _cells(pixels: NDArray[np.intp], size: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Flat numbers of pixels of (h, w) -> of the cells of (C, h', w') that they lie in."""
    rows, columns = np.divmod(pixels, size[1])
    return np.asarray((rows * shape[1] // size[0]) * shape[2] + columns * shape[2] // size[1])
