"""From a distribution over chroma bins to chroma, at the network's own resolution."""

from __future__ import annotations

import torch

from colorpipe import Chroma, ChromaDistribution

COLDEST = 1e-6
"""Below this, float32 cannot tell the softmax from its limit."""


def annealed_mean(distribution: ChromaDistribution, T: float, vibrance: float = 1.0) -> Chroma:
    """The mean of softmax(logits / T): (N, Q, h, w) -> ab (N, 2, h, w), confidence (N, 1, h, w), float32.

    f_T(z) = exp(log z / T) / sum exp(log z / T), equation 5 of Zhang, Isola and Efros (2016, arXiv 1603.08511), where z
    is the softmax of the logits; its divisor cancels. T = 0 is the limit, the mode. Confidence is the largest
    probability after annealing. One product does it all: the bins and a row of ones give the weighted sum and its
    divisor. The mean of several hues is paler than each: ``vibrance`` gives some of that back
    (``ChromaDistribution.strengthen``).
    """
    if T < COLDEST:
        found = mode(distribution)
        return Chroma(_strengthened(found.ab, distribution, vibrance), found.confidence)
    weights = _exponentials(distribution.logits, T)  # (N, Q, h, w), the largest is 1
    ones = torch.ones_like(distribution.bins[:, :1])
    moments = torch.cat([distribution.bins, ones], 1).float().T  # (3, Q): a, b, 1
    # flattening keeps either memory layout, so that nothing is copied
    sums = torch.matmul(moments, weights.flatten(2))  # (N, 3, h*w)
    sums = sums.reshape(-1, 3, *weights.shape[2:])
    total = sums[:, 2:]
    return Chroma(_strengthened(sums[:, :2] / total, distribution, vibrance), confidence=1 / total)


def mode(distribution: ChromaDistribution) -> Chroma:
    """The most probable bin: (N, Q, h, w) -> ab (N, 2, h, w); confidence (N, 1, h, w) is its probability, float32."""
    best = distribution.logits.argmax(1)  # (N, h, w)
    ab = distribution.bins.float()[best].permute(0, 3, 1, 2)
    return Chroma(ab, confidence=1 / _exponentials(distribution.logits, 1.0).sum(1, keepdim=True))


def _strengthened(ab: torch.Tensor, distribution: ChromaDistribution, vibrance: float) -> torch.Tensor:
    """``ab`` with more vibrance, but not beyond the outermost bins."""
    if vibrance == 1:
        return ab
    low, high = (bound.float().view(1, 2, 1, 1) for bound in distribution.bins.aminmax(dim=0))
    return distribution.strengthen(ab, vibrance).clamp(low, high)


def _exponentials(logits: torch.Tensor, T: float) -> torch.Tensor:
    """exp((logits - largest) / T) in float32, whatever the precision of the logits; one copy, changed in place."""
    peak = logits.amax(1, keepdim=True)
    return logits.to(torch.float32, copy=True).sub_(peak).mul_(1 / T).exp_()
