"""``levin`` against the direct sparse solution of the full problem: seconds and chroma RMSE.

``python -m benchmarks.levin PICTURE [--side 1920] [--skip-direct]``: a colour picture, of whose true chroma 5% is
given as dots. The direct solution of 1080p takes a minute or more and some gigabytes.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from colorpipe.color import resample
from colorpipe_levin import optimization
from colorpipe_levin.multigrid import matrix_of

SHARE = 0.05
"""Of the picture, that is scribbled."""
DOT = 0.01
"""Radius of a scribble, as a share of the longer side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture")
    parser.add_argument("--side", type=int, default=1920, help="longer side in pixels")
    parser.add_argument("--quarter", type=int, default=4, help="the fast solution is worked out at 1/N of the size")
    parser.add_argument("--skip-direct", action="store_true", help="only time the fast solution")
    asked = parser.parse_args()
    Y, uv = photograph(asked.picture, asked.side)
    scribbled = dots(Y.shape)
    seconds = []
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        made = fast(Y, uv, scribbled, asked.quarter)
        seconds.append((time.perf_counter() - start, time.process_time() - cpu))
    wall, cpu = min(seconds)
    print(f"levin {Y.shape[1]}x{Y.shape[0]}: {wall:.2f} s, {cpu:.2f} of the processors'")
    if not asked.skip_direct:
        start = time.perf_counter()
        exact = direct(Y, uv, scribbled)
        print(f"direct: {time.perf_counter() - start:.1f} s")
        missed, signal = (255 * float(np.sqrt(np.mean(x**2))) for x in (made - exact, uv))
        print(f"chroma RMSE {missed:.2f} codes of {signal:.1f}")


def photograph(path: str, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Y (H, W) 0..1, and U and V (2, H, W)."""
    picture = cv2.imread(path)
    assert picture is not None, path
    scale = side / max(picture.shape[:2])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    rgb = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)[
        ..., ::-1
    ] / np.float32(255)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma, np.stack([0.492 * (rgb[..., 2] - luma), 0.877 * (rgb[..., 0] - luma)]).astype(np.float32)


def dots(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Discs at random places."""
    rng, mask = np.random.default_rng(0), np.zeros(shape, np.uint8)
    while mask.mean() < SHARE:
        middle = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
        cv2.circle(mask, middle, max(1, round(DOT * max(shape))), 1, -1)
    return mask > 0


def fast(
    Y: NDArray[np.float32], uv: NDArray[np.float32], scribbled: NDArray[np.bool_], quarter: int
) -> NDArray[np.float32]:
    """As ``colorpipe run`` does it: at a quarter of the size, then brought up along the grey's edges."""
    size = round(Y.shape[1] / quarter), round(Y.shape[0] / quarter)
    whole = np.dstack([Y, *np.where(scribbled, uv, 0), scribbled]).astype(np.float32)
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    share = np.maximum(small[..., 3], 1e-6)[..., None]
    known = np.ascontiguousarray((small[..., 1:3] / share).transpose(2, 0, 1))
    found = optimization.spread(np.ascontiguousarray(small[..., 0]), known, small[..., 3] > 0)
    grey = np.rint(Y * 255).astype(np.uint8)
    full = resample.upsample(found.transpose(1, 2, 0), grey, Y.shape, "guided", size[::-1], 255)[0 : len(Y)]
    return np.asarray(full.transpose(2, 0, 1), np.float32)


def direct(Y: NDArray[np.float32], uv: NDArray[np.float32], scribbled: NDArray[np.bool_]) -> NDArray[np.float64]:
    """By scipy's sparse LU."""
    links = optimization.affinities(Y)
    matrix = matrix_of(links, links.sum(0))
    held, known = scribbled.ravel(), uv.reshape(2, -1).T.astype(float)
    solution = known.copy()
    right_side = -(matrix[~held][:, held] @ known[held])
    solution[~held] = scipy.sparse.linalg.splu(matrix[~held][:, ~held].tocsc()).solve(right_side)
    return solution.T.reshape(uv.shape)


if __name__ == "__main__":
    main()
