"""Values known in some places of a picture, spread over the rest along a graph of neighbours.

The graph joins each pixel with the four beside it; a weight says how freely a value passes. Spreading solves
``(Lap + screen) x = 0`` with ``x`` given on a set of fixed pixels: each free pixel is the weighted mean of its
neighbours, drawn towards zero by the screen. The matrix is symmetric and positive definite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float

OVERCORRECTION = np.float32(1.8)
"""Coarse weights are divided by this: constant interpolation makes a coarse graph too stiff by about two (Stueben 2001,
An introduction to algebraic multigrid, section 9.4; Braess 1995)."""
DAMPING = np.float32(0.8)
"""Damping of a Jacobi step: with 4 neighbours, this value damps short waves most evenly."""
SMOOTHING = 2
"""Jacobi steps before, and after, the coarse correction: equal numbers keep the cycle symmetric."""
COARSEST = 64
"""Pixels of the coarsest graph, at most."""
COARSEST_STEPS = 30
"""Jacobi steps there."""
ITERATIONS = 14
"""Steps of the conjugate gradients. After eight, a tenth of a colour is still seen behind a closed outline."""


@dataclass(frozen=True)
class Graph:
    """Weights between neighbours."""

    right: Float
    """(h, w - 1): of each pixel and the one to the right of it."""
    down: Float
    """(h - 1, w): of each pixel and the one below it."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.right.shape[0], self.down.shape[1]


class Spreader:
    """Solver for one graph and one set of fixed pixels: conjugate gradients, preconditioned by a multigrid V-cycle.

    The hierarchy of coarser graphs is made once and serves any number of solves: of other values, or from a solution
    that is nearly right already.

    Args:
        graph: Weights above 0, of size (h, w).
        screen: How strongly a value is drawn towards zero, at least 0: one number, or (h, w).
        fixed: (h, w) bool: where values are given.
    """

    def __init__(self, graph: Graph, screen: float | Float, fixed: NDArray[np.bool_]) -> None:
        free = ~fixed
        self._fixed, self._free = fixed, free.astype(np.float32)
        self._graph = graph
        right = graph.right * (free[:, 1:] & free[:, :-1])
        down = graph.down * (free[1:] & free[:-1])
        # Fixed pixels leave the system: a link to one draws its neighbour towards the value that is known there.
        held = _degree(graph.right, graph.down) - _degree(right, down) + np.asarray(screen, np.float32)
        self._levels = _hierarchy(right, down, np.where(fixed, np.float32(0), held))

    def solve(self, values: Float, start: Float | None = None, iterations: int = ITERATIONS) -> Float:
        """Values of every pixel.

        Args:
            values: (k, h, w) float32: k independent fields; looked at where pixels are fixed.
            start: (k, h, w): a solution of something near, or None.
            iterations: Steps; the default leaves less than a hundredth of the values' spread as an error.

        Returns:
            (k, h, w) float32, equal to ``values`` where pixels are fixed.
        """
        given = np.where(self._fixed, values, np.float32(0))
        if self._fixed.all():
            return np.asarray(given, np.float32)
        right_side = self._free * _passed(self._graph.right, self._graph.down, given)
        finest = self._levels[0]
        x = np.zeros_like(right_side) if start is None else start * self._free
        residual = right_side if start is None else right_side - finest.apply(x)
        direction: Float | None = None
        last = np.zeros((len(values), 1, 1), np.float64)
        enough = 1e-12 * _dot(right_side, right_side)
        for _ in range(iterations):
            improved = self._cycle(0, residual)
            product = _dot(residual, improved)
            direction = improved if direction is None else improved + _ratio(product, last) * direction
            last = product
            applied = finest.apply(direction)
            step = _ratio(product, _dot(direction, applied))
            x += step * direction
            residual = residual - step * applied
            if (_dot(residual, residual) <= enough).all():
                break
        return np.asarray(np.where(self._fixed, given, x), np.float32)

    def precondition(self, residual: Float) -> Float:
        """An approximate solution of ``(Lap + screen) x = residual``, (k, h, w), with x = 0 where pixels are fixed.

        One V-cycle; linear in the residual. For solvers of systems that are near this one.
        """
        return self._free * self._cycle(0, self._free * residual)

    def _cycle(self, depth: int, residual: Float) -> Float:
        """An approximate solution for a residual (k, h, w): smooth, correct on the coarser graph, smooth."""
        level = self._levels[depth]
        x = np.asarray(level.inverse * residual, np.float32)
        if depth == len(self._levels) - 1:
            for _ in range(COARSEST_STEPS):
                level.smooth(x, residual)
            return x
        for _ in range(SMOOTHING - 1):
            level.smooth(x, residual)
        x += _repeated(self._cycle(depth + 1, _gathered(residual - level.apply(x))), x.shape[1:])
        for _ in range(SMOOTHING):
            level.smooth(x, residual)
        return x


class _Level:
    """One graph of the hierarchy, free pixels only."""

    def __init__(self, right: Float, down: Float, held: Float) -> None:
        self.right, self.down, self.held = right, down, held
        self.diagonal = _degree(right, down) + held
        self.diagonal[self.diagonal <= 0] = 1  # cells of fixed pixels only
        self.inverse = DAMPING / self.diagonal

    def apply(self, x: Float) -> Float:
        """The matrix times (k, h, w)."""
        result = np.empty_like(x)
        # field by field and in place: what is worked on then stays in a core's cache
        for field, out in zip(x, result, strict=True):
            np.multiply(self.diagonal, field, out=out)
            _pass(self.right, self.down, field, out, np.subtract)
        return result

    def smooth(self, x: Float, right_side: Float) -> None:
        """One damped Jacobi step, in place."""
        step = self.apply(x)
        np.subtract(right_side, step, out=step)
        step *= self.inverse
        x += step


def _hierarchy(right: Float, down: Float, held: Float) -> Sequence[_Level]:
    """Graphs of a half, a quarter ... of the sides: 2x2 pixels become one, and weights between them are added up."""
    levels = [_Level(right, down, held)]
    while held.size > COARSEST and min(held.shape) > 1:
        height, width = held.shape
        # Links that leave a cell of 2x2 start in its odd column or row.
        right = _pairs(right[:, 1::2], 0) / OVERCORRECTION
        down = _pairs(down[1::2], 1) / OVERCORRECTION
        held = _pairs(_pairs(held, 0), 1)
        right, down = right[:, : -(-width // 2) - 1], down[: -(-height // 2) - 1]
        levels.append(_Level(right, down, held))
    return levels


def _pairs(values: Float, axis: int) -> Float:
    """Sums of two neighbours along an axis; a last one without a neighbour stays."""
    first, second = (values[::2], values[1::2]) if axis == 0 else (values[:, ::2], values[:, 1::2])
    total = first.copy()
    if axis == 0:
        total[: len(second)] += second
    else:
        total[:, : second.shape[1]] += second
    return np.asarray(total, np.float32)


def _gathered(fine: Float) -> Float:
    """(k, h, w) -> sums over cells of 2x2."""
    height, width = fine.shape[1:]
    if height % 2 or width % 2:
        fine = np.pad(fine, ((0, 0), (0, height % 2), (0, width % 2)))
    rows = fine[:, ::2] + fine[:, 1::2]
    return np.asarray(rows[..., ::2] + rows[..., 1::2], np.float32)


def _repeated(coarse: Float, shape: tuple[int, ...]) -> Float:
    """The inverse direction: each cell's value in its 2x2 pixels, cut to (h, w)."""
    return np.asarray(np.repeat(np.repeat(coarse, 2, 1), 2, 2)[:, : shape[0], : shape[1]], np.float32)


def _degree(right: Float, down: Float) -> Float:
    """Sum of each pixel's weights."""
    total = np.zeros((right.shape[0], down.shape[1]), np.float32)
    total[:, :-1] += right
    total[:, 1:] += right
    total[:-1] += down
    total[1:] += down
    return total


def _passed(right: Float, down: Float, x: Float) -> Float:
    """Sum of each pixel's neighbours, weighted: (k, h, w)."""
    total = np.zeros_like(x)
    for field, out in zip(x, total, strict=True):
        _pass(right, down, field, out, np.add)
    return total


def _pass(right: Float, down: Float, field: Float, out: Float, put: np.ufunc) -> None:
    """Each pixel's neighbours (h, w), weighted, added to ``out`` or taken away."""
    across, below = np.empty_like(right), np.empty_like(down)
    put(out[:, :-1], np.multiply(right, field[:, 1:], out=across), out=out[:, :-1])
    put(out[:, 1:], np.multiply(right, field[:, :-1], out=across), out=out[:, 1:])
    put(out[:-1], np.multiply(down, field[1:], out=below), out=out[:-1])
    put(out[1:], np.multiply(down, field[:-1], out=below), out=out[1:])


def _dot(x: Float, y: Float) -> NDArray[np.float64]:
    """The dot product of each field separately: (k, 1, 1)."""
    flat = (values.reshape(len(values), -1) for values in (x, y))
    return np.asarray(np.einsum("ki,ki->k", *flat, dtype=np.float64)).reshape(-1, 1, 1)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> Float:
    """``above / below``, 0 where there is nothing left to do."""
    return np.where(below > 0, above / np.maximum(below, 1e-300), 0).astype(np.float32)
