"""The grey that the published script shows its network, which is not quite the picture's.

It takes the lightness with OpenCV, whose float Lab comes from a coarse table and is up to 0.19 of 100 too dark for
greys, and turns it back into grey by the formula. The network is fed with that here too.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

LEVELS = 1 << 16
"""Greys that are told apart."""


def fed_grey(L: Tensor) -> Tensor:
    """L 0..100 -> grey 0..1 as the published script would feed it, of the same shape."""
    return _table(L.device)[(grey_of(L) * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)]


def grey_of(L: Tensor) -> Tensor:
    """L 0..100 -> the sRGB-coded grey 0..1 of that lightness (IEC 61966-2-1)."""
    Y = torch.where(L > 7.9996, ((L + 16) / 116) ** 3, L / 903.3)
    return torch.where(Y <= 0.0031308, 12.92 * Y, 1.055 * Y.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


@lru_cache(maxsize=8)
def _table(device: torch.device) -> Tensor:
    levels = np.linspace(0, 1, LEVELS, dtype=np.float32)
    lab = cv2.cvtColor(np.repeat(levels[None, :, None], 3, 2), cv2.COLOR_RGB2Lab)
    lab[..., 1:] = 0
    return torch.from_numpy(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)[0, :, 0].copy()).to(device)
