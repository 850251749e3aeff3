"""The frequency of each colour in photographs: the weights of ``auc-rebalanced``, and the program that counts them.

    python -m colorpipe_metrics.prior PICTURES

counts the colours of all pictures under a folder anew, each squashed to 256x256, and writes ``prior.safetensors``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from colorpipe.color import Float, rgb_to_lab
from colorpipe.training import find_pictures, load_square

FILE = Path(__file__).with_name("prior.safetensors")
CELL = 10
"""Side of a colour's cell, CIE units: a pixel falls to the nearest of the bins that the paper quantizes to."""
REACH = 12
"""Cells to either side of grey: sRGB's ab lies within 108."""
SIGMA = 5
"""Standard deviation of the Gaussian that smooths the prior, CIE units (Zhang, Isola and Efros 2016, section 2.2)."""
RAREST = 1 / 40_000
"""Shares below this count as this: the rarest of the published prior's 313 colours has 2.5e-5, and from so few pictures
a smaller share cannot be told."""
SIDE = 256


def cells(ab: Float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """ab (..., 2) -> row and column of each colour's cell."""
    index = np.clip(np.rint(ab / CELL) + REACH, 0, 2 * REACH).astype(np.intp)
    return index[..., 0], index[..., 1]


@lru_cache(maxsize=1)
def weights() -> Float:
    """(25, 25) the inverse of each cell's share; read-only."""
    counts = load_file(FILE)["counts"].astype(np.float64)
    smooth = cv2.GaussianBlur(counts, (7, 7), SIGMA / CELL, borderType=cv2.BORDER_CONSTANT)
    found = np.asarray(1 / np.maximum(smooth / smooth.sum(), RAREST), np.float32)
    found.setflags(write=False)
    return found


def count(pictures: Iterable[NDArray[Any]]) -> NDArray[np.int64]:
    """(25, 25) how many pixels of the pictures, (H, W, 3) uint8 sRGB, fall to each cell."""
    total = np.zeros((2 * REACH + 1,) * 2, np.int64)
    for picture in pictures:
        ab = rgb_to_lab(picture.astype(np.float32) / np.float32(255)).ab
        assert ab is not None
        total += np.bincount(np.ravel_multi_index(cells(ab), total.shape).ravel(), minlength=total.size).reshape(
            total.shape
        )
    return total


if __name__ == "__main__":
    files = find_pictures(Path(sys.argv[1]))
    counted = count(load_square(file, SIDE) for file in files)
    save_file({"counts": counted}, FILE, {"pictures": str(len(files)), "side": str(SIDE)})
