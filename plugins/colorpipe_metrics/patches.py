"""The variation of chroma where lightness is constant: patches on plain walls, skies and water."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from colorpipe import Frame
from colorpipe.color import Float, rgb, rgb_to_lab

SIDE = 256
"""Longer side at which it is measured, pixels: patches are larger than grain, and large pictures cost no more."""
REGIONS = 100
"""Superpixels asked for: about a twentieth of the shorter side each way."""
COMPACTNESS = 3.0
"""Compactness of SLIC, against L in units of 0..100: so many units weigh as much as a superpixel's width."""
PLAIN = 2.5
"""Standard deviation of L, 0..100, up to which a region is plain: a photograph's grain, not the folds of a coat."""
FEWEST = 64
"""Pixels below which a region's spread says little."""


def plain_regions(picture: Frame) -> list[NDArray[np.intp]]:
    """Superpixels (SLIC, Achanta et al. 2012, doi 10.1109/TPAMI.2012.120) of L whose lightness hardly varies.

    Flat indices into the picture shrunk to ``SIDE``; none where nothing is plain.
    """
    L = _shrunk(picture)[..., 0]
    labels = slic(L, REGIONS, COMPACTNESS, channel_axis=None, start_label=0).ravel()
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    flat = L.ravel()
    return [group for group in groups if len(group) >= FEWEST and flat[group].std() <= PLAIN]


def patchiness(picture: Frame, regions: list[NDArray[np.intp]]) -> float:
    """Root of the variance of a plus that of b inside a region, CIE units, mean over the regions by their pixels."""
    ab = _shrunk(picture)[..., 1:].reshape(-1, 2)
    spreads = [float(np.sqrt(ab[region].var(0).sum())) for region in regions]
    return float(np.average(spreads, weights=[len(region) for region in regions]))


def _shrunk(frame: Frame) -> Float:
    """Lab (h, w, 3) float32, the longer side at most ``SIDE``, averaged over areas."""
    factor = min(1.0, SIDE / max(frame.height, frame.width))
    size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    lab = rgb_to_lab(np.ascontiguousarray(cv2.resize(rgb(frame), size, interpolation=cv2.INTER_AREA)))
    return np.dstack([lab.L, np.asarray(lab.ab)])
