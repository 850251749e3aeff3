"""Measures of the RGB values."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import mean_squared_error, structural_similarity

from colorpipe import Frame
from colorpipe.color import GREY_WEIGHTS, rgb

FLOOR = 1e-10
"""Mean squared error, relative to a peak of 1, that counts as zero: 100 dB."""
WINDOW = 11
"""Side of the Gaussian window of Wang et al. (2004), section III-C."""


def squared_error(result: Frame, truth: Frame) -> float:
    """Mean over pixels and channels, of a peak of 1."""
    return float(mean_squared_error(rgb(result), rgb(truth)))


def psnr(result: Frame, truth: Frame) -> float:
    """dB, at most 100."""
    return -10 * math.log10(max(squared_error(result, truth), FLOOR))


def ssim(result: Frame, truth: Frame) -> float:
    """Structural similarity, mean over R, G and B."""
    side = min(result.height, result.width)
    return float(
        structural_similarity(
            rgb(result),
            rgb(truth),
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            win_size=min(WINDOW, side - 1 + side % 2),  # only the border that is left out: the window stays Gaussian
        )
    )


def same_largest_channel(result: Frame, truth: Frame) -> float:
    """Share of the pixels with the same largest channels."""
    found, true = (_largest(frame) for frame in (result, truth))
    return float((found == true).all(0).mean())


def _largest(frame: Frame) -> NDArray[np.bool_]:
    """(3, H, W) whether a channel is as large as any."""
    if frame.colour is None:
        return np.ones((3, frame.height, frame.width), bool)
    planes = np.stack(frame.colour)
    return np.asarray(planes == planes.max(0))


def same_grey(result: Frame, truth: Frame, formula: str, threshold: float) -> float:
    """Share of the pixels whose grey differs by at most ``threshold``, both rounded to whole codes of 0..255."""
    found, true = (np.rint(cv2.transform(rgb(frame), _weights(formula))) for frame in (result, truth))
    return float((np.abs(found - true) <= threshold).mean())


def _weights(formula: str) -> NDArray[np.float64]:
    return 255 * np.array([GREY_WEIGHTS[formula]])


def colourfulness(frame: Frame, absolute: bool) -> float:
    """Hasler and Suesstrunk (2003), section 3; ``absolute`` takes |rg| and |yb|."""
    red, green, blue = cv2.split(rgb(frame) * np.float32(255))
    opponents = cv2.merge([red - green, (red + green) / 2 - blue])
    mean, deviation = cv2.meanStdDev(np.abs(opponents) if absolute else opponents)
    return math.hypot(*deviation.flat) + 0.3 * math.hypot(*mean.flat)
