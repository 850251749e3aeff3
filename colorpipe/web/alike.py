"""Places that look like what is under a stroke, in its own picture and in others of the album."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from colorpipe.color import Float
from colorpipe.guidance.hint_files import drawn
from colorpipe.guidance.look_alikes import look_alikes
from colorpipe.guidance.strokes import Stroke

SIDE = 256
"""Pictures are squeezed to a square of this side, as a network sees them."""
GAP = 16
"""Columns between two pictures that lie side by side."""
FAR = 300.0
"""Lightness of the gap: nothing looks like it, and no region leads over it."""
MOST = 24
"""Places in an answer."""


@dataclass(frozen=True)
class View:
    """A picture as it is compared."""

    item: int
    frame: int
    size: tuple[int, int]
    """Height and width of the picture."""
    L: Float
    """(SIDE, SIDE) 0..100."""
    features: Float | None
    """(C, h, w) of what a method sees; None for a method that does not tell."""


def places(own: View, stroke: Stroke, others: list[View]) -> list[dict[str, Any]]:
    """Places to paint, the likest first; those of one region have its number.

    Args:
        own: The picture that the stroke lies on.
        others: Further pictures to look through.
    """
    painted = drawn([stroke], own.size, (SIDE, SIDE))
    mask = (painted.weight > 0) | painted.keep
    found: list[dict[str, Any]] = []
    for region in look_alikes(own.L, mask, own.features, MOST):
        found += _told(own, len(found), region.score, region.points, region.radius * SIDE)
    for view in others:
        both = own.features is not None and view.features is not None and own.features.shape == view.features.shape
        L = np.hstack([own.L, np.full((SIDE, GAP), FAR, np.float32), view.L])
        beside = np.hstack([mask, np.zeros((SIDE, GAP + SIDE), np.bool_)])
        features = _side_by_side(own.features, view.features) if both else None
        for region in look_alikes(L, beside, features, MOST):
            if all(x * L.shape[1] > SIDE + GAP for x, _ in region.points):
                start = (SIDE + GAP) / L.shape[1]
                points = tuple(((x - start) * L.shape[1] / SIDE, y) for x, y in region.points)
                found += _told(view, len(found), region.score, points, region.radius * max(L.shape))
    found.sort(key=lambda one: -float(one["likeness"]))
    return found[:MOST]


def _side_by_side(own: Float | None, other: Float | None) -> Float:
    assert own is not None
    assert other is not None
    gap = max(1, round(GAP * own.shape[2] / SIDE))
    between = np.zeros((own.shape[0], own.shape[1], gap), np.float32)
    return np.concatenate([own, between, other], axis=2)


def _told(
    view: View, region: int, score: float, points: tuple[tuple[float, float], ...], radius: float
) -> list[dict[str, Any]]:
    """One region's places; a radius in the square's pixels becomes a share of the picture's longer side."""
    share = radius / SIDE * min(view.size) / max(view.size)
    return [
        {
            "item": view.item,
            "frame": view.frame,
            "region": region,
            "x": round(min(max(x, 0.0), 1.0), 5),
            "y": round(min(max(y, 0.0), 1.0), 5),
            "radius": round(max(share, 0.002), 5),
            "likeness": round(score, 3),
        }
        for x, y in points
    ]


def squeezed(L: Float) -> Float:
    """L (H, W) at the size that is compared."""
    return np.asarray(cv2.resize(L, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
