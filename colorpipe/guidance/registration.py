"""Where each place of a picture lies in a copy that is scaled, cropped, turned, slightly warped, in other greys.

Places are x and y in pixels; pixel middles are whole numbers, as OpenCV has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float

SIDE = 640
"""Longer side, in pixels, at which pictures are compared."""
FEATURES = 3000
"""Places that are looked for in each."""
RATIO = 0.8
"""A match counts if its distance is below this share of the second best's (Lowe 2004, Distinctive Image Features,
section 7.1)."""
LEAST_MATCHES = 12
"""With fewer matches, the search starts from the copy as the whole picture at another size."""
MISS = 3.0
"""Pixels by which a match may miss the common transformation."""
STEPS = 60
"""Iterations of the refinement, which correlates all pixels."""
FINE = 1 / 40
"""Standard deviation, as a share of the longer side, of the blur whose loss leaves what is compared: details, not the
light of the whole."""
LEAST_DETAIL = 0.5
"""Standard deviation of the details, 8-bit codes, below which there is nothing to compare."""
MOST_WARP = 0.015
"""Share of the longer side by which the flow moves a place at most."""
WORTH = 0.003
"""Least decrease of doubt for which the flow is used."""


@dataclass(frozen=True)
class Registration:
    """How a copy lies over an original."""

    places: Float
    """(h, w, 2): the place in the copy of each pixel of the original at working size, as shares of the copy's sides."""
    covered: NDArray[np.bool_]
    """(h, w): the copy has that place."""
    doubt: float
    """1 less the correlation of the two pictures' details: 0 for the same picture, about 1 for two that have nothing to
    do with each other."""
    affine: NDArray[np.float64]
    """(2, 3), between the working sizes."""


def register(original: NDArray[np.uint8], copy: NDArray[np.uint8], before: Registration | None = None) -> Registration:
    """Finds a copy's place over an original.

    Args:
        original, copy: Greys, (H, W) 8-bit codes, of any two sizes.
        before: Of the frame before in a film: where that still fits, it is only refined.
    """
    ours, theirs = _small(original), _small(copy)
    tried = [] if before is None else [before.affine]
    if not tried or _judged(ours, theirs, tried[0]).doubt > 0.2:
        tried += _starts(ours, theirs)
    best = min((_judged(ours, theirs, affine) for affine in tried), key=lambda one: one.doubt)
    refined = _refined(ours, theirs, best.affine)
    if refined is not None:
        best = min(best, _judged(ours, theirs, refined), key=lambda one: one.doubt)
    return _flowed(ours, theirs, best)


def _small(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(1.0, SIDE / max(grey.shape))
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _starts(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Transformations from places of the original to places of the copy, to begin with."""
    sides = np.array(theirs.shape) / np.array(ours.shape)
    whole = np.array([[sides[1], 0, sides[1] / 2 - 0.5], [0, sides[0], sides[0] / 2 - 0.5]])
    finder: Any = cv2.SIFT_create(FEATURES)  # type: ignore[attr-defined]
    (points, values), (their_points, their_values) = (finder.detectAndCompute(one, None) for one in (ours, theirs))
    if values is None or their_values is None or min(len(points), len(their_points)) < LEAST_MATCHES:
        return [whole]
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(values, their_values, 2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance]
    if len(good) < LEAST_MATCHES:
        return [whole]
    here = np.array([points[match.queryIdx].pt for match in good], np.float32)
    there = np.array([their_points[match.trainIdx].pt for match in good], np.float32)
    cv2.setRNGSeed(0)
    found, _ = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=MISS, maxIters=5000)
    return [whole] if found is None else [whole, np.asarray(found, np.float64)]


def _refined(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8], affine: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Refine by the enhanced correlation coefficient (Evangelidis and Psarakis 2008); None if it does not converge."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, STEPS, 1e-5)
    try:
        _, found = cv2.findTransformECC(  # type: ignore[call-overload]
            ours, theirs, affine.astype(np.float32), cv2.MOTION_AFFINE, criteria, None, 5
        )
    except cv2.error:  # it diverges where there is nothing to hold on to
        return None
    return np.asarray(found, np.float64)


def _judged(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], affine: NDArray[np.float64]) -> Registration:
    rows, columns = np.mgrid[: ours.shape[0], : ours.shape[1]].astype(np.float32)
    x = affine[0, 0] * columns + affine[0, 1] * rows + affine[0, 2]
    y = affine[1, 0] * columns + affine[1, 1] * rows + affine[1, 2]
    return _told(ours, theirs, np.dstack([x, y]).astype(np.float32), affine)


def _told(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8], places: Float, affine: NDArray[np.float64]
) -> Registration:
    height, width = theirs.shape
    covered = (places >= -0.5).all(-1) & (places[..., 0] <= width - 0.5) & (places[..., 1] <= height - 0.5)
    brought = cv2.remap(theirs, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    doubt = 1.0 if covered.mean() < 0.1 else 1 - _likeness(ours, np.asarray(brought, np.uint8), covered)
    shares = (places + np.float32(0.5)) / np.array([width, height], np.float32)
    return Registration(np.asarray(shares, np.float32), covered, doubt, affine)


def _likeness(ours: NDArray[np.uint8], brought: NDArray[np.uint8], covered: NDArray[np.bool_]) -> float:
    """Correlation of details, -1..1; 1 where neither has any."""
    sigma = max(2.0, FINE * max(ours.shape))
    inside = cv2.erode(covered.astype(np.uint8), np.ones((2 * round(sigma) + 1,) * 2, np.uint8)) > 0
    if not inside.any():
        inside = covered
    details = []
    for grey in (ours, brought):
        soft = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
        fine = (soft - cv2.GaussianBlur(soft, (0, 0), sigma))[inside]
        details.append(fine - fine.mean())
    first, second = (float(fine.std()) for fine in details)
    if first < LEAST_DETAIL and second < LEAST_DETAIL:
        return 1.0
    return float((details[0] * details[1]).mean()) / max(first * second, 1e-9)


def _flowed(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], found: Registration) -> Registration:
    """Bent a little where that makes the two more alike."""
    if min(ours.shape) < 32 or found.doubt > 0.8:
        return found
    size = np.array(theirs.shape[::-1], np.float32)
    places = found.places * size - np.float32(0.5)
    brought = cv2.remap(theirs, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    finder: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.asarray(finder.calc(ours, np.asarray(brought, np.uint8), None), np.float32)
    most = MOST_WARP * max(ours.shape)
    flow = np.asarray(
        cv2.GaussianBlur(np.clip(flow, -most, most), (0, 0), max(2.0, FINE * max(ours.shape))), np.float32
    )
    bent = places + np.asarray(flow @ found.affine[:, :2].T, np.float32)
    better = _told(ours, theirs, bent, found.affine)
    return replace(better, affine=found.affine) if better.doubt < found.doubt - WORTH else found
