"""Places of a picture that look like what is under a stroke, to be offered for the same colour.

What a method sees at each place, where it tells (``Colorizer.features``), says what is alike; lightness bounds it. For
a method that tells nothing, lightness and texture stand alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float
from colorpipe.guidance.strokes import Stroke

# The constants below were chosen on 60 photographs: of strokes on a place of the true colours, the share of what is
# offered that has that colour.
LEAST = 0.5
"""Likeness from which on a place is offered; 1 is what is under the stroke."""
LIGHT = 40.0
"""Difference of L that takes as much likeness away as features that have nothing in common."""
TEXTURE = 0.5
"""Difference of the logarithm of the deviation of L that counts as much as a likeness of 0, without features."""
SOFT = 0.006
"""Standard deviation, as a share of the longer side, of the blur under which lightness is compared."""
LEAST_SHARE = 0.002
"""Least region, as a share of the picture: smaller ones are specks."""
POINTS = 3
"""Most places that are named in a region."""
INSIDE = 0.6
"""A brush's radius, as a share of the distance from the region's edge."""
MOST_RADIUS = 0.03
"""Largest radius of a brush, as a share of the longer side."""


@dataclass(frozen=True)
class LookAlike:
    """One connected region that looks like what is under a stroke."""

    score: float
    """How much it does, 0..1, on average."""
    share: float
    """Share of the picture's area, 0..1."""
    points: tuple[tuple[float, float], ...]
    """One to three places inside it, x and y as shares of the picture's width and height; the deepest is the first."""
    radius: float
    """Of a brush that stays inside the region at these places, as a share of the longer side."""

    def strokes(self, like: Stroke) -> tuple[Stroke, ...]:
        """A dab at each place, with the kind, colour, name, frame and strength of another stroke."""
        return tuple(dataclasses.replace(like, points=(point,), radius=self.radius) for point in self.points)


def look_alikes(
    L: Float, painted: NDArray[np.bool_], features: Float | None = None, most: int = 12
) -> tuple[LookAlike, ...]:
    """Regions that look like what is painted and are apart from it, the largest first.

    Args:
        L: (h, w) 0..100, at the size at which hints are worked out.
        painted: (h, w): what is under the stroke.
        features: (C, h', w') over the same picture, as ``Pipeline.features`` gives them; None compares lightness and
            texture.
        most: Regions, at most.
    """
    if not painted.any() or painted.all():
        return ()
    alike = likeness(L, painted, features)
    there = cv2.morphologyEx((alike >= LEAST).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    there[painted] = 1  # what is beside the stroke, and as alike, is its own surface
    count, labels, stats, _ = cv2.connectedComponentsWithStats(there, connectivity=4)
    own = np.unique(labels[painted])
    areas = stats[:, cv2.CC_STAT_AREA]
    others = [number for number in range(1, count) if number not in own and areas[number] >= LEAST_SHARE * painted.size]
    others.sort(key=lambda number: -int(areas[number]))
    return tuple(_told(labels == number, alike) for number in others[:most])


def likeness(L: Float, painted: NDArray[np.bool_], features: Float | None = None) -> Float:
    """(h, w) 0..1: how much each place looks like what is painted; arguments as of ``look_alikes``."""
    soft = np.asarray(cv2.GaussianBlur(L, (0, 0), max(0.5, SOFT * max(L.shape))), np.float32)
    # A stroke over light and shade is alike to both.
    low, high = np.quantile(soft[painted], [0.1, 0.9])
    apart = np.maximum(np.maximum(low - soft, soft - high), 0) / np.float32(LIGHT)
    if features is None:
        texture = _texture(L, soft)
        there = texture[painted].mean()
        return np.asarray(np.clip(1 - apart * 2 - np.abs(texture - there) * TEXTURE, 0, 1), np.float32)
    return np.asarray(np.clip(_cosine(features, painted) - apart, 0, 1), np.float32)


def _cosine(features: Float, painted: NDArray[np.bool_]) -> Float:
    """(h, w) -1..1: between what is seen at each place and under the stroke, both less the picture's mean."""
    given = np.asarray(features, np.float32)
    given = given - given.mean((1, 2), keepdims=True)
    given /= np.maximum(np.sqrt((given * given).sum(0)), 1e-6)
    height, width = given.shape[1:]
    weight = np.asarray(cv2.resize(painted.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA))
    mean = (given * weight).sum((1, 2))
    mean /= max(float(np.linalg.norm(mean)), 1e-6)
    found = np.asarray(np.einsum("c,chw->hw", mean, given), np.float32)
    return np.asarray(cv2.resize(found, painted.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _texture(L: Float, soft: Float) -> Float:
    """(h, w): the logarithm of the local deviation of L."""
    square = cv2.GaussianBlur((L - soft) ** 2, (0, 0), max(1.0, 2 * SOFT * max(L.shape)))
    return np.asarray(0.5 * np.log(np.maximum(square, 0) + 0.25), np.float32)


def _told(region: NDArray[np.bool_], alike: Float) -> LookAlike:
    height, width = region.shape
    depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    y, x = np.mgrid[:height, :width]
    points: list[tuple[float, float]] = []
    deepest = float(depth.max())
    left = depth.copy()
    while len(points) < POINTS and left.max() >= deepest / 2:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        points.append(((int(column) + 0.5) / width, (int(row) + 0.5) / height))
        left[(y - row) ** 2 + (x - column) ** 2 < (4 * deepest) ** 2] = 0  # the next one is not beside it
        shallowest = float(depth[row, column])
    radius = min(MOST_RADIUS, INSIDE * shallowest / max(region.shape))
    return LookAlike(float(alike[region].mean()), float(region.mean()), tuple(points), radius)
