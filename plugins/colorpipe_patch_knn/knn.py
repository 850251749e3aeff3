"""Exact nearest neighbours among grey patches, and how they vote.

float32 holds all that is reckoned here exactly: a squared distance of 15x15 code values is a whole number below 2^24,
and so is every sum on the way to it, but for twice a product of two patches, which is even and below 2^25.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from colorpipe.color import Float

Patches = NDArray[np.uint8]
"""(N, D) code values."""
Indices = NDArray[np.integer[Any]]
Search = Callable[[Float, int], tuple[Indices, Float]]
"""Rows (m, D) and how many to find -> which rows are nearest, the nearest first, and their squared distances (m, n)."""

FEW = 25
"""Dimensions up to which a k-d tree is faster than comparing all with all: 5x5 pixels."""
MORE = 4
"""Distinct patches are asked for again, this many times as many, where ties at the last place may lie unseen."""
KEYS = 1 << 20
"""Candidates ranked at a time by a thread."""
PAIRS = 1 << 25
"""Distances reckoned at a time by a thread, where all are compared with all."""


def distinct(patches: Patches) -> tuple[Patches, NDArray[np.intp]]:
    """The distinct rows, sorted, so that similar ones follow each other, and for each row which of them it is."""
    rows = np.ascontiguousarray(patches).view(np.dtype((np.void, patches.shape[1]))).ravel()
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    return patches[first], which


class PatchIndex:
    """Learned patches, searched for the ``neighbours`` nearest by squared difference.

    Of patches that are equally near, those that were learned first count as nearer.
    """

    def __init__(self, patches: Patches, neighbours: int) -> None:
        self.neighbours = min(neighbours, len(patches))
        groups, which = distinct(patches)
        order = np.argsort(which, kind="stable")
        counts = np.bincount(which)
        starts = np.cumsum(counts) - counts
        self._members = np.full((len(groups), self.neighbours), -1, np.int32)
        """The first places where each distinct patch was learned; -1 where there are no more."""
        for rank in range(self.neighbours):
            has = counts > rank
            self._members[has, rank] = order[starts[has] + rank]
        self._rows = groups.astype(np.float32)
        few = patches.shape[1] <= FEW
        self._search = tree_search(self._rows) if few else product_search(self._rows)
        self._at_once = KEYS if few else max(1, PAIRS // len(groups))

    def nearest(self, patches: Patches) -> Indices:
        """(M, D) -> (M, neighbours): which learned patches are nearest, the nearest first."""
        found = np.empty((len(patches), self.neighbours), np.int64)
        left = np.arange(len(patches))
        # half as many again as are wanted: in photographs that shows the end of most ties
        asked = min(self.neighbours + (self.neighbours + 1) // 2, len(self._rows))
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            while len(left):
                rows = max(1, min(self._at_once, KEYS // (asked * self.neighbours)))
                parts = [left[start : start + rows] for start in range(0, len(left), rows)]
                tied = list(pool.map(lambda part, asked=asked: self._fill(found, patches, part, asked), parts))
                left, asked = np.concatenate(tied), min(MORE * asked, len(self._rows))
        return found

    def _fill(self, found: Indices, patches: Patches, part: Indices, asked: int) -> Indices:
        """``found`` for a part of the patches; returns those whose last neighbour may have a tie unseen."""
        groups, squares = self._search(patches[part].astype(np.float32), asked)
        members = self._members[groups]  # (m, asked, neighbours)
        # one number to rank by: the distance, then the place
        keys = np.where(members < 0, np.iinfo(np.int64).max, members + (squares.astype(np.int64)[..., None] << 32))
        keys = np.partition(keys.reshape(len(part), -1), self.neighbours - 1)[:, : self.neighbours]
        keys.sort()
        found[part] = keys & 0xFFFFFFFF
        if asked == len(self._rows):
            return part[:0]
        tied: Indices = part[squares[:, -1] <= keys[:, -1] >> 32]
        return tied


def tree_search(learned: Float) -> Search:
    """Search with FLANN's exact k-d tree, which may go on reading ``learned``."""
    tree: Any = cv2.flann_Index(learned, {"algorithm": 4, "leaf_max_size": 16})  # type: ignore[attr-defined]

    def search(rows: Float, count: int) -> tuple[Indices, Float]:
        found, squares = tree.knnSearch(rows, count, params={})
        return found, squares

    return search


def product_search(learned: Float) -> Search:
    """Search by comparing all with all: for large patches, a tree has to look almost everywhere."""
    known = torch.from_numpy(learned)
    norms = (known * known).sum(1)

    def search(rows: Float, count: int) -> tuple[Indices, Float]:
        asked = torch.from_numpy(rows)
        squares = torch.addmm(norms, asked, known.T, alpha=-2) + (asked * asked).sum(1, keepdim=True)
        nearest = squares.topk(count, largest=False)
        return nearest.indices.numpy(), nearest.values.numpy()

    return search


def majority(colours: Indices) -> Indices:
    """(M, n), the nearest first -> (M,): what occurs most often, and of several such the one that is nearest."""
    votes = np.zeros(colours.shape, np.uint8)
    for column in colours.T:
        votes += colours == column[:, None]
    return np.asarray(np.take_along_axis(colours, votes.argmax(1)[:, None], 1)[:, 0])


def mean(tints: Float, colours: Indices) -> Float:
    """(k, 2) and (M, n) -> (M, 2)."""
    total = np.zeros((len(colours), 2), np.float32)
    for column in colours.T:
        total += tints[column]
    return np.asarray(total / np.float32(colours.shape[1]))
