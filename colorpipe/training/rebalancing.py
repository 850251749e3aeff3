"""Class rebalancing: rare colours weigh more in the loss than common ones.

Zhang, Isola and Efros 2016, "Colorful Image Colorization", arXiv 1603.08511, section 2.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smooth_prior(
    counts: NDArray[np.floating], centres: NDArray[np.floating], sigma: float = 5.0
) -> NDArray[np.float64]:
    """How often each class occurs, smoothed in ab space by a Gaussian: (Q,), sums to 1.

    Args:
        counts: (Q,) of each class.
        centres: (Q, 2) ab, CIE units.
        sigma: Of the Gaussian, CIE units.
    """
    centres = np.asarray(centres, np.float64)
    square = ((centres[:, None] - centres[None]) ** 2).sum(-1)
    kernel = np.exp(-square / (2 * sigma**2))
    smoothed = (counts / counts.sum()) @ (kernel / kernel.sum(1, keepdims=True))
    return np.asarray(smoothed / smoothed.sum())


def rebalancing_weights(prior: NDArray[np.floating], lam: float = 0.5) -> NDArray[np.float64]:
    """(Q,) weights w = ((1 - lam) prior + lam / Q)^-1, scaled so that their expectation under ``prior`` is 1.

    ``lam`` 1 weighs all classes equally (no rebalancing), 0 by the inverse of their frequency (equation 4).
    """
    weights = 1 / ((1 - lam) * prior + lam / len(prior))
    return np.asarray(weights / (prior * weights).sum())
