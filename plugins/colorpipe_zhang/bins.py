"""The 313 in-gamut ab bins: their centres, soft encoding and class rebalancing.

Zhang, Isola and Efros 2016, "Colorful Image Colorization", arXiv 1603.08511, sections 2.1 and 2.2. Everything is
numpy, float64 unless said, CIE ab units (D65).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

GRID = 10
"""Distance between bin centres, CIE units (section 2.1)."""
NEIGHBOURS = 5
"""Bins a ground-truth colour is spread over (section 2.1)."""
SIGMA = 5.0
"""Standard deviation of the spreading and of the prior's smoothing, CIE units (sections 2.1 and 2.2)."""

# The published list holds these four corners too, one step further out than the rule below gives. How they got
# there is not published; they are kept because every released checkpoint has a class for them.
_PUBLISHED_BESIDES = ((40, 90), (100, -90), (100, -10), (100, 0))

# CIE XYZ -> linear sRGB (IEC 61966-2-1) and the D65 white of the 2-degree observer.
_XYZ_TO_RGB = np.array(
    [[3.2404813, -1.5371515, -0.4985363], [-0.9692550, 1.8759900, 0.0415559], [0.0556466, -0.2040413, 1.0573111]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


@functools.cache
def bin_centres() -> NDArray[np.float32]:
    """(313, 2) float32 ab of the bin centres, ordered by a, then b, as published.

    A centre belongs if a colour of the sRGB gamut, at any lightness, lies on it or on one of its eight neighbours
    on the grid; four more complete the published list. Read-only.
    """
    steps = np.arange(-120, 121, GRID)
    inside = _in_gamut(steps)
    reach = np.zeros_like(inside)
    for da in (-1, 0, 1):
        for db in (-1, 0, 1):  # the outermost rows are out of gamut, so nothing wraps around
            reach |= np.roll(inside, (da, db), (0, 1))
    for a, b in _PUBLISHED_BESIDES:
        reach[(a - steps[0]) // GRID, (b - steps[0]) // GRID] = True
    index = np.argwhere(reach)
    centres = steps[index].astype(np.float32)
    centres.flags.writeable = False
    return centres


def _in_gamut(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, n) whether the colour at a = steps[i], b = steps[j] is within sRGB at some lightness."""
    lightness = np.arange(0, 100.01, 0.1)
    a, b, L = np.meshgrid(steps, steps, lightness, indexing="ij", sparse=True)
    fy = (L + 16) / 116
    cubes = [np.where(t > 6 / 29, t**3, 3 * (6 / 29) ** 2 * (t - 4 / 29)) for t in (fy + a / 500, fy, fy - b / 200)]
    x, y, z = (cube * white for cube, white in zip(cubes, _WHITE, strict=True))
    inside = np.ones(np.broadcast_shapes(x.shape, z.shape), bool)
    for row in _XYZ_TO_RGB:
        channel = row[0] * x + row[1] * y + row[2] * z
        inside &= (channel >= -1e-6) & (channel <= 1 + 1e-6)
    return np.asarray(inside.any(2))


@functools.cache
def encoding_table() -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Soft encoding of every colour on a grid of one unit: bins (65536, 5) and their shares (65536, 5).

    Row ``(round(a) + 128) * 256 + round(b) + 128`` holds the five nearest bins, nearest first, and Gaussian shares
    that sum to 1. Rounding moves a colour by at most 0.71 units, a seventh of sigma. Read-only.
    """
    values = np.arange(-128, 128, dtype=np.float32)
    centres = bin_centres()
    bins = np.empty((256, 256, NEIGHBOURS), np.int16)
    distances = np.empty((256, 256, NEIGHBOURS), np.float32)
    for row, a in enumerate(values):  # row by row: all distances at once would take 80 MB
        square = (a - centres[:, 0]) ** 2 + (values[:, None] - centres[:, 1]) ** 2  # (256, 313)
        nearest = np.argsort(square, axis=1, kind="stable")[:, :NEIGHBOURS]
        bins[row] = nearest
        distances[row] = np.take_along_axis(square, nearest, 1)
    # Relative to the nearest, so that a colour far outside the gamut does not underflow to 0/0.
    shares = np.exp((distances[..., :1] - distances) / (2 * SIGMA**2))
    shares /= shares.sum(-1, keepdims=True)
    flat = bins.reshape(-1, NEIGHBOURS), shares.reshape(-1, NEIGHBOURS).astype(np.float32)
    for array in flat:
        array.flags.writeable = False
    return flat


def soft_encode(ab: NDArray[np.floating]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """ab (..., 2) -> the five nearest bins (..., 5) and their shares (..., 5), which sum to 1."""
    bins, shares = encoding_table()
    cell = np.clip(np.rint(ab).astype(np.int32) + 128, 0, 255)
    row = cell[..., 0] * 256 + cell[..., 1]
    return bins[row], shares[row]


def count(ab: NDArray[np.floating]) -> NDArray[np.float64]:
    """(313,) how many of the colours ``ab`` (..., 2) fall to each bin, softly encoded; sums to their number."""
    bins, shares = soft_encode(ab)
    return np.bincount(bins.ravel(), shares.ravel(), len(bin_centres())).astype(np.float64)


NEAR_GREY = 12.0
"""Chroma within which a bin counts as nearly grey for ``logit_shift``, a Gaussian's sigma in CIE units."""


def logit_shift(
    weights: NDArray[np.floating], correction: float, lift: float = 0.0, restraint: float = 0.0
) -> NDArray[np.float64]:
    """(313,) what to add to the logits of a network trained with ``weights``, in nats.

    Such a network estimates p(q|x) w(q), up to a factor. Three terms move it to the odds that decode well:

    - ``-correction * log w`` takes that share of the rebalancing back (Menon et al. 2021, arXiv 2007.07314);
    - ``-lift`` on the nearly grey bins: where colour is likely but its hue unsure, none of many hues is as likely as
      grey, and a low temperature would pick grey. The lift lets it pick a hue instead;
    - ``-restraint * (chroma / 100)^2`` holds back the far bins. Each is hardly likely, but they are many, and without
      it the mean over them is what a temperature of 1 shows.
    """
    chroma = np.linalg.norm(bin_centres(), axis=1)
    near_grey = np.exp(-(chroma**2) / (2 * NEAR_GREY**2))
    return np.asarray(-correction * np.log(weights) - lift * near_grey - restraint * (chroma / 100) ** 2)
