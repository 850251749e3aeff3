"""The paper's optimization: each pixel without a scribble has the weighted mean of its neighbours' colour.

The energy is ``sum over r of (U(r) - sum over s of w(r, s) U(s))^2``. With the scribbles held, and summed over the
pixels without one, it is least, and zero, there. The weights are those of the authors' published program: of the eight
neighbours, ``exp(-(Y(r) - Y(s))^2 / c(r))``, normalised, with c from the variance of Y in the window of 3x3.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float
from colorpipe_levin.multigrid import OFFSETS, Multigrid, matrix_of

VARIANCE_SHARE = 0.6
LEAST_WEIGHT = 0.01
"""Least weight of the most similar neighbour, before weights are normalised."""
LEAST_VARIANCE = 2e-6
"""These three values follow getColorExact.m of the authors' program."""
ITERATIONS = 12
ENOUGH = 4e-3
"""Norm of the residual, relative to the first, at which the solver stops: 0.4 to 1.5 codes from the exact solution, by
how large the scribbles are. That the size is a quarter costs more."""


def spread(Y: Float, uv: Float, scribbled: NDArray[np.bool_], iterations: int = ITERATIONS) -> Float:
    """U and V everywhere.

    Args:
        Y: (h, w) 0..1.
        uv: (2, h, w), looked at where something is scribbled.
        scribbled: (h, w).

    Returns:
        (2, h, w) float32: the scribbles themselves where they are, 0 everywhere where there are none.
    """
    if scribbled.all() or not scribbled.any():
        return np.asarray(np.where(scribbled, uv, 0), np.float32)
    links = affinities(Y)
    total = links.sum(0)
    free = ~scribbled
    known = np.where(scribbled, uv, 0).reshape(2, -1).T.astype(np.float64)
    # Scribbles leave the system: a link to one becomes part of the right side.
    outside = np.stack([_shifted(scribbled, offset) for offset in OFFSETS])
    right_side = (matrix_of(links, np.zeros_like(total)) @ -known) * free.reshape(-1, 1)
    solver = Multigrid(np.where(outside | scribbled, 0, links), np.where(scribbled, 1, total))
    x = _stabilized(solver, right_side, iterations)
    return np.asarray(np.where(scribbled, uv, x.T.reshape(2, *Y.shape)), np.float32)


def _shifted(mask: NDArray[np.bool_], offset: tuple[int, int]) -> NDArray[np.bool_]:
    """Each pixel's neighbour at an offset; False outside."""
    padded = np.pad(mask, 1)
    dy, dx = offset
    return padded[1 + dy : 1 + dy + mask.shape[0], 1 + dx : 1 + dx + mask.shape[1]]


def affinities(Y: Float) -> NDArray[np.float64]:
    """(8, h, w): of each neighbour before weights are normalised, 0 outside of the picture."""
    height, width = Y.shape
    grey = np.asarray(Y, np.float64)
    window = {"ddepth": -1, "ksize": (3, 3), "normalize": False, "borderType": cv2.BORDER_CONSTANT}
    count = cv2.boxFilter(np.ones_like(grey), **window)  # type: ignore[call-overload]
    mean = cv2.boxFilter(grey, **window) / count  # type: ignore[call-overload]
    square = cv2.boxFilter(grey * grey, **window) / count  # type: ignore[call-overload]
    padded = np.pad(grey, 1, constant_values=np.inf)
    squares = np.stack([(padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] - grey) ** 2 for dy, dx in OFFSETS])
    spread_of = VARIANCE_SHARE * np.maximum(square - mean * mean, 0)
    nearest = squares.min(0)
    nearest[~np.isfinite(nearest)] = 0  # a picture of one pixel
    spread_of = np.maximum(np.maximum(spread_of, -nearest / np.log(LEAST_WEIGHT)), LEAST_VARIANCE)
    return np.asarray(np.exp(-squares / spread_of))


def _stabilized(solver: Multigrid, right_side: NDArray[np.float64], iterations: int) -> NDArray[np.float64]:
    """BiCGSTAB (van der Vorst 1992), preconditioned from the right by a V-cycle, for each column by itself."""
    x = np.zeros_like(right_side)
    residual = right_side.copy()
    shadow = residual.copy()
    direction, applied = np.zeros_like(x), np.zeros_like(x)
    rho = alpha = omega = np.ones(x.shape[1])
    enough = ENOUGH * np.linalg.norm(right_side, axis=0)
    for _ in range(iterations):
        following = (shadow * residual).sum(0)
        direction = residual + _ratio(following * alpha, rho * omega) * (direction - omega * applied)
        rho = following
        better = solver.cycle(direction)
        applied = solver.matrix @ better
        alpha = _ratio(rho, (shadow * applied).sum(0))
        half = residual - alpha * applied
        improved = solver.cycle(half)
        turned = solver.matrix @ improved
        omega = _ratio((turned * half).sum(0), (turned * turned).sum(0))
        x += alpha * better + omega * improved
        residual = half - omega * turned
        if (np.linalg.norm(residual, axis=0) <= enough).all():
            break
    return x


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """``above / below``, 0 where nothing is left to do."""
    return np.asarray(np.where(below != 0, above / np.where(below != 0, below, 1), 0))
