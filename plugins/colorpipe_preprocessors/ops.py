"""The operations of the preprocessors. Input is never written to."""

from __future__ import annotations

import cv2
import numpy as np

from colorpipe import Lab
from colorpipe.color import Float

PATCH, WINDOW = 5, 15
"""Non-local means compares patches of this side within windows of that side: half the work of OpenCV's 7 and 21, and
enough for grain, which is nearly white."""
LEAST_RANGE = 1.0
"""Units of L. A picture flatter than this has no contrast to stretch, only noise."""


def shrink(lab: Lab, max_side: int) -> Lab:
    """The longer side at most ``max_side``, area-averaged, the other in proportion and at least 1."""
    height, width = lab.L.shape
    scale = max_side / max(height, width)
    if scale >= 1:
        return lab
    size = max(1, round(width * scale)), max(1, round(height * scale))
    L = cv2.resize(lab.L, size, interpolation=cv2.INTER_AREA)
    ab = None if lab.ab is None else cv2.resize(lab.ab, size, interpolation=cv2.INTER_AREA)
    return Lab(np.asarray(L, np.float32), None if ab is None else np.asarray(ab, np.float32))


def pad_square(lab: Lab, fill: float) -> Lab:
    """(H, W) -> (S, S), S the longer side, the picture in the middle; an odd pixel goes below or to the right."""
    height, width = lab.L.shape
    side = max(height, width)
    if height == width:
        return lab
    top, left = (side - height) // 2, (side - width) // 2
    border = ((top, side - height - top), (left, side - width - left))
    L = np.pad(lab.L, border, constant_values=np.float32(fill))
    return Lab(L, None if lab.ab is None else np.pad(lab.ab, (*border, (0, 0))))


def superpixels(lab: Lab, segments: int, compactness: float, sigma: float) -> Lab:
    """L and ab averaged over the superpixels that SLIC finds in L (Achanta et al. 2012, doi 10.1109/TPAMI.2012.120).

    ``compactness`` is the paper's m, in units of L; ``sigma`` is in pixels.
    """
    from skimage.segmentation import slic  # half a second to import

    contrast = float(np.ptp(lab.L))
    if contrast == 0:
        return lab
    # scikit-image stretches L to 0..1 first: what m means would hang on the picture's contrast
    labels = slic(lab.L, segments, compactness / contrast, sigma=sigma, start_label=0, channel_axis=None).ravel()
    sizes = np.bincount(labels)

    def averaged(plane: Float) -> Float:
        means = (np.bincount(labels, plane.ravel()) / np.maximum(sizes, 1)).astype(np.float32)
        return np.asarray(means[labels].reshape(plane.shape))

    return Lab(averaged(lab.L), None if lab.ab is None else np.dstack([averaged(p) for p in np.moveaxis(lab.ab, 2, 0)]))


def denoise(lab: Lab, strength: float) -> Lab:
    """Non-local means on L in steps of 1/655, fine enough for 16-bit pictures; ``strength`` in units of L."""
    if strength == 0:
        return lab
    scale = np.float32(65535 / 100)
    codes = np.rint(np.clip(lab.L, 0, 100) * scale).astype(np.uint16)
    h = [float(strength * scale)]
    smooth = cv2.fastNlMeansDenoising(codes, h, None, PATCH, WINDOW, cv2.NORM_L1)  # 16 bits need the L1 norm
    return Lab(np.asarray(smooth, np.float32) / scale, lab.ab)


def stretch(lab: Lab, cut_dark: float, cut_light: float) -> Lab:
    """L mapped linearly, the percentiles ``cut_dark`` and ``100 - cut_light`` to 0 and 100; beyond is cut."""
    dark, light = np.percentile(lab.L, [cut_dark, 100 - cut_light])
    if light - dark < LEAST_RANGE:
        return lab
    gain = np.float32(100 / (light - dark))
    return Lab(np.clip((lab.L - np.float32(dark)) * gain, 0, 100), lab.ab)
