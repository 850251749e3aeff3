"""Multigrid for stencils of nine points whose coefficients jump, as they do at a picture's edges.

Interpolation follows the matrix (Alcouffe et al. 1981; Dendy 1982, Black box multigrid): across an edge that lets
nothing through, nothing is interpolated. Coarse matrices are Galerkin's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

Stencil = NDArray[np.float64]
"""(8, h, w): links to the neighbours at ``OFFSETS``, at least 0; the matrix has their negatives beside its diagonal."""
OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Rows and columns to the neighbours."""
COARSEST = 600
"""Unknowns that are solved for directly."""
DAMPING = 0.8
"""Damping of a Jacobi step."""
_LEFT, _RIGHT, _ABOVE, _BELOW = (0, 3, 5), (2, 4, 7), (0, 1, 2), (5, 6, 7)
"""Links to the columns and rows beside a pixel."""


class Multigrid:
    """Approximate inverse of one matrix: ``cycle`` is a V-cycle.

    Args:
        links: Of the finest grid.
        diagonal: (h, w), at least the sum of each pixel's links.
    """

    def __init__(self, links: Stencil, diagonal: NDArray[np.float64]) -> None:
        self.matrix = matrix_of(links, diagonal)
        self._levels: list[tuple[Any, NDArray[np.float64], Any, Any]] = []
        """Matrix, damped inverse of the diagonal, interpolation from the next coarser grid, restriction to it."""
        matrix = self.matrix
        while diagonal.size > COARSEST and min(diagonal.shape) > 2:
            prolongation = _interpolation(links, diagonal)
            restriction = _interpolation(_transposed(links), diagonal).T.tocsr()
            self._levels.append((matrix, (DAMPING / diagonal).reshape(-1, 1), prolongation, restriction))
            height, width = (-(-side // 2) for side in diagonal.shape)
            matrix = (restriction @ matrix @ prolongation).tocsr()
            diagonal = matrix.diagonal().reshape(height, width)
            links = np.maximum(_links(matrix, (height, width)), 0)
        self._coarsest = scipy.sparse.linalg.splu(matrix.tocsc())

    def cycle(self, residual: NDArray[np.float64], depth: int = 0) -> NDArray[np.float64]:
        """(N, k) -> an approximate solution, (N, k)."""
        if depth == len(self._levels):
            return np.asarray(self._coarsest.solve(residual))
        matrix, inverse, prolongation, restriction = self._levels[depth]
        x = inverse * residual
        x += inverse * (residual - matrix @ x)
        x += prolongation @ self.cycle(restriction @ (residual - matrix @ x), depth + 1)
        for _ in range(2):
            x += inverse * (residual - matrix @ x)
        return np.asarray(x)


def matrix_of(links: Stencil, diagonal: NDArray[np.float64]) -> Any:
    """Rows of the diagonal and the negative links, CSR."""
    height, width = diagonal.shape
    number = np.arange(height * width).reshape(height, width)
    rows, columns, values = [number.ravel()], [number.ravel()], [diagonal.ravel()]
    for link, (dy, dx) in zip(links, OFFSETS, strict=True):
        here = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        there = np.s_[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
        rows.append(number[here].ravel())
        columns.append(number[there].ravel())
        values.append(-link[here].ravel())
    whole = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csr_matrix(whole, shape=(number.size, number.size))


def _links(matrix: Any, shape: tuple[int, int]) -> Stencil:
    """The inverse of ``matrix_of``."""
    height, width = shape
    flat = np.zeros((8, height * width))
    for link, (dy, dx) in zip(flat, OFFSETS, strict=True):
        step = dy * width + dx
        values = -matrix.diagonal(step)
        first = max(0, -step)
        link[first : first + len(values)] = values
    links = flat.reshape(8, height, width)
    for link, (_, dx) in zip(links, OFFSETS, strict=True):
        if dx:  # a row's end is not beside the next one's beginning
            link[:, 0 if dx < 0 else -1] = 0
    return links


def _transposed(links: Stencil) -> Stencil:
    """Links of the transposed matrix: each neighbour's link to the pixel."""
    height, width = links.shape[1:]
    turned = np.pad(
        links[::-1], ((0, 0), (1, 1), (1, 1))
    )  # offsets are listed so that the last is the first's opposite
    return np.stack(
        [one[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for one, (dy, dx) in zip(turned, OFFSETS, strict=True)]
    )


def _interpolation(links: Stencil, diagonal: NDArray[np.float64]) -> Any:
    """(fine, coarse) CSR; the coarse pixels are those of even rows and columns."""
    height, width = diagonal.shape
    coarse_width = -(-width // 2)
    # shares of the coarse pixels above left, above right, below left and below right
    share = np.zeros((4, height, width))
    share[0, ::2, ::2] = 1
    left, right, above, below = (links[list(side)].sum(0) for side in (_LEFT, _RIGHT, _ABOVE, _BELOW))
    row, column = np.s_[::2, 1::2], np.s_[1::2, ::2]
    # The pixels beside a line count as part of it. A coarse grid's rounding must not make shares of more than 1.
    across = np.maximum(np.maximum(diagonal - links[1] - links[6], left + right)[row], 1e-30)
    share[0][row], share[1][row] = left[row] / across, right[row] / across
    along = np.maximum(np.maximum(diagonal - links[3] - links[4], above + below)[column], 1e-30)
    share[0][column], share[2][column] = above[column] / along, below[column] / along
    # the middle of four: its eight neighbours, four of which are interpolated themselves
    middle = np.s_[1::2, 1::2]
    padded = np.pad(share, ((0, 0), (0, 1), (0, 1)))
    rows, columns = diagonal[middle].shape
    up, down = padded[:, 0:-1:2, 1::2][:, :rows, :columns], padded[:, 2::2, 1::2][:, :rows, :columns]
    west, east = padded[:, 1::2, 0:-1:2][:, :rows, :columns], padded[:, 1::2, 2::2][:, :rows, :columns]
    link, whole = [one[middle] for one in links], np.maximum(diagonal, links.sum(0))[middle]
    for part, corner, beside, over in ((0, 0, 0, 0), (1, 2, 1, 0), (2, 5, 0, 2), (3, 7, 1, 2)):
        vertical = (up if part < 2 else down)[beside]
        level = (west if part in (0, 2) else east)[over]
        total = link[corner] + link[1 if part < 2 else 6] * vertical + link[3 if part in (0, 2) else 4] * level
        share[part][middle] = total / whole
    number = np.arange(height * width).reshape(height, width)
    y, x = np.mgrid[:height, :width]
    found = []
    for given, (dy, dx) in zip(share, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        cy, cx = y // 2 + dy, x // 2 + dx
        there = (given > 0) & (cy < -(-height // 2)) & (cx < coarse_width)
        found.append((given[there], number[there], (cy * coarse_width + cx)[there]))
    values, fine_ones, coarse_ones = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return scipy.sparse.csr_matrix(
        (values, (fine_ones, coarse_ones)), shape=(height * width, -(-height // 2) * coarse_width)
    )
