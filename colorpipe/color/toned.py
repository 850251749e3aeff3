"""Test whether a picture is in colour, or grey or toned in one hue as old prints are."""

from __future__ import annotations

import cv2
import numpy as np

from colorpipe.color.spaces import rgb_to_lab
from colorpipe.types import Frame

SIDE = 64
"""Largest side at which the picture is examined, so that noise and JPEG's chroma do not count."""
STEPS = 12
"""Steps of lightness, each with its own tone: a print's shadows may be brown and its highlights yellow."""
COLOURED = 5.0
"""CIE units by which places of one lightness differ in hue, as a root mean square. Toned and stained prints among the
samples are below 2, photographs in colour above 8."""


def is_in_colour(frame: Frame) -> bool:
    """True for a still with several hues; False for a grey one, and for one in sepia or another tone."""
    if frame.colour is None or frame.encoding.family != "rgb":
        return False
    height, width = frame.luma.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in frame.colour]
    lab = rgb_to_lab((np.dstack(planes) / np.float32((1 << frame.encoding.bits) - 1)).astype(np.float32))
    assert lab.ab is not None  # only colour pictures come here
    step = np.minimum((lab.L.ravel() * (STEPS / 100)).astype(int), STEPS - 1)
    ab = lab.ab.reshape(-1, 2)
    count = np.maximum(np.bincount(step, minlength=STEPS), 1)
    tone = np.stack([np.bincount(step, ab[:, i], STEPS) / count for i in (0, 1)], 1)
    return float(np.sqrt(np.square(ab - tone[step]).sum(1).mean())) > COLOURED
