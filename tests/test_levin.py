"""``levin``: the paper's behaviour on a made picture, and its solver against a direct one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

from colorpipe.types import Batch
from colorpipe_levin import Levin, colours, optimization

SAMPLES = Path(__file__).parent.parent / "samples" / "colour"


def exact(Y: np.ndarray, uv: np.ndarray, scribbled: np.ndarray) -> np.ndarray:
    """The full problem, written out pixel by pixel and solved by scipy's sparse LU."""
    height, width = Y.shape
    rows, columns, values = [], [], []
    right = np.zeros((height * width, 2))
    for y in range(height):
        for x in range(width):
            here = y * width + x
            rows.append(here)
            columns.append(here)
            values.append(1.0)
            if scribbled[y, x]:
                right[here] = uv[:, y, x]
                continue
            around = [
                (v, u)
                for v in range(max(0, y - 1), min(height, y + 2))
                for u in range(max(0, x - 1), min(width, x + 2))
                if (v, u) != (y, x)
            ]
            greys = np.array([Y[place] for place in around], np.float64)
            squares = (greys - Y[y, x]) ** 2
            variance = np.var([*greys, Y[y, x]])
            c = max(0.6 * variance, -squares.min() / np.log(0.01), 2e-6)
            weights = np.exp(-squares / c)
            for (v, u), weight in zip(around, weights / weights.sum(), strict=True):
                rows.append(here)
                columns.append(v * width + u)
                values.append(-weight)
    matrix = scipy.sparse.csc_matrix((values, (rows, columns)))
    return scipy.sparse.linalg.splu(matrix).solve(right).T.reshape(2, height, width)


def photograph(name: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    picture = cv2.imread(str(SAMPLES / name))
    assert picture is not None
    scale = side / max(picture.shape)
    rgb = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[..., ::-1] / np.float32(255)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma, np.stack([0.492 * (rgb[..., 2] - luma), 0.877 * (rgb[..., 0] - luma)]).astype(np.float32)


@pytest.mark.parametrize("dots", [0, 3])
@pytest.mark.parametrize("name", [pytest.param("astronaut.jpg", marks=pytest.mark.slow), "coffee.jpg"])
def test_five_percent_of_the_true_chroma_give_what_the_direct_solution_gives(name: str, dots: int) -> None:
    Y, uv = photograph(name, 100)
    rng, scribbled = np.random.default_rng(0), np.zeros(Y.shape, bool)
    while scribbled.mean() < 0.05:
        y, x = rng.integers(Y.shape[0]), rng.integers(Y.shape[1])
        scribbled[max(0, y - dots) : y + dots + 1, max(0, x - dots) : x + dots + 1] = True
    wanted = exact(Y, uv, scribbled)
    made = optimization.spread(Y, uv, scribbled)
    assert 255 * np.sqrt(np.mean((made - wanted) ** 2)) < 1.5
    assert (made[:, scribbled] == uv[:, scribbled]).all()


def test_a_scribble_fills_its_surface_and_stops_at_the_edge() -> None:
    L = np.full((60, 90), 30, np.float32)
    L[:, 45:] = 80
    L += np.random.default_rng(0).normal(0, 0.3, L.shape).astype(np.float32)
    hints = np.zeros((3, 60, 90), np.float32)
    hints[:, 28:32, 10:30] = np.array([-20, 15, 1], np.float32)[:, None, None]
    hints[:, 28:32, 60:80] = np.array([15, 25, 1], np.float32)[:, None, None]
    ab = Levin().predict(Batch(torch.from_numpy(L)[None, None], torch.from_numpy(hints)[None])).ab[0].numpy()
    left, right = ab[:, :, 2:43], ab[:, :, 47:88]
    assert np.abs(left - np.array([-20, 15])[:, None, None]).max() < 3
    assert np.abs(right - np.array([15, 25])[:, None, None]).max() < 3


def test_nothing_painted_is_grey_and_everything_painted_is_what_was_painted() -> None:
    L = torch.rand(2, 1, 20, 30) * 60 + 20
    assert Levin().predict(Batch(L)).ab.abs().max() < 0.01
    hints = torch.cat([torch.full_like(L, 8), torch.full_like(L, -6), torch.ones_like(L)], 1)
    ab = Levin().predict(Batch(L, hints)).ab
    assert (ab - torch.tensor([8.0, -6.0]).view(1, 2, 1, 1)).abs().max() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (33, 34)])
def test_every_size_has_an_answer(size: tuple[int, int]) -> None:
    Y = np.random.default_rng(0).random(size).astype(np.float32)
    scribbled = np.zeros(size, bool)
    scribbled[0, 0] = True
    made = optimization.spread(Y, np.full((2, *size), 0.1, np.float32), scribbled)
    assert np.abs(made - 0.1).max() < 0.01


def test_yuv_and_back() -> None:
    rng = np.random.default_rng(1)
    L, ab = rng.uniform(30, 70, (9, 9)).astype(np.float32), rng.uniform(-15, 15, (9, 9, 2)).astype(np.float32)
    Y, uv = colours.to_yuv(L, ab)
    back = colours.to_ab(Y, uv)
    assert np.abs(back - ab).max() < 2
