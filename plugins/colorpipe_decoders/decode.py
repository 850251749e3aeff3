"""Decoding of a distribution over chroma bins to chroma, at the network's own resolution."""

from __future__ import annotations

import torch

from colorpipe import Chroma, ChromaDistribution

LEAST = 0.01
"""Vibrance is not made less than this: 0 has no meaning for strong colours, which stay."""
COLDEST = 1e-6
"""Below this, float32 cannot tell the softmax from its limit."""


def annealed_mean(
    distribution: ChromaDistribution, T: float, vibrance: float = 1.0, grey_T: float | None = None
) -> Chroma:
    """The mean of softmax(logits / T): (N, Q, h, w) -> ab (N, 2, h, w), confidence (N, 1, h, w), float32.

    f_T(z) = exp(log z / T) / sum exp(log z / T), equation 5 of Zhang, Isola and Efros (2016, arXiv 1603.08511), where z
    is the softmax of the logits; its divisor cancels. T = 0 is the limit, the mode. Confidence is the largest
    probability after annealing. The mean of several hues is paler than each: ``vibrance`` gives some of that back
    (``ChromaDistribution.strengthen``).

    A method may know where vibrance is in place (``ChromaDistribution.vibrance_at``): what is asked for then acts so.

    With ``grey_T`` both act by the probability p that a place is grey (``_grey_probability``): the mean is
    (1 - p) of that at T and p of that at ``grey_T``, and only 1 - p of the vibrance is applied, unless the method says
    where. A temperature below T leaves a wall that is probably grey nearly grey, where T alone would give it the mean
    of its unlikely hues.
    """
    if T < COLDEST:
        found = mode(distribution)
        return Chroma(_strengthened(found.ab, distribution, _placed(distribution, vibrance)), found.confidence)
    logits, bins = _below_peak(distribution.logits), distribution.bins.float()
    ab, confidence = _mean(logits, bins, T)
    if grey_T is None or grey_T == T:
        return Chroma(_strengthened(ab, distribution, _placed(distribution, vibrance)), confidence)
    grey = _grey_probability(logits, bins)
    ab = torch.lerp(ab, _mean(logits, bins, max(grey_T, COLDEST))[0], grey)
    return Chroma(_strengthened(ab, distribution, _placed(distribution, vibrance, grey)), confidence)


def _placed(
    distribution: ChromaDistribution, vibrance: float, grey: torch.Tensor | None = None
) -> float | torch.Tensor:
    """The vibrance asked for, where it is in place: as the method advises, or else less of it where grey is probable.

    The method's advice is for ``natural_vibrance``. More or less than that is more or less of it; 1 is none anywhere.
    """
    at, natural = distribution.vibrance_at, distribution.natural_vibrance
    if at is not None and natural > 1:
        return (1 + (at.float() - 1) * ((vibrance - 1) / (natural - 1))).clamp(min=LEAST)
    return vibrance if grey is None else 1 + (vibrance - 1) * (1 - grey)


def _grey_probability(logits: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """(N, 1, h, w) 0..1: the probability of the bins within ``NEAR_GREY`` of grey, at temperature 1."""
    weights = logits.exp()
    near = (bins.norm(dim=1) <= ChromaDistribution.NEAR_GREY).float()
    sums = _weighted(torch.stack([near, torch.ones_like(near)]), weights)  # (N, 2, h, w)
    return sums[:, :1] / sums[:, 1:]


def _mean(logits: torch.Tensor, bins: torch.Tensor, T: float) -> tuple[torch.Tensor, torch.Tensor]:
    """ab (N, 2, h, w) and the largest probability (N, 1, h, w). One product gives the weighted sum and its divisor."""
    weights = (logits * (1 / T)).exp_()  # (N, Q, h, w), the largest is 1
    moments = torch.cat([bins, torch.ones_like(bins[:, :1])], 1).T  # (3, Q): a, b, 1
    sums = _weighted(moments, weights)  # (N, 3, h, w)
    total = sums[:, 2:]
    return sums[:, :2] / total, 1 / total


def _weighted(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sums over the bins: values (K, Q), weights (N, Q, h, w) -> (N, K, h, w)."""
    # Other engines copy all weights before a product, and none before a convolution.
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return torch.nn.functional.conv2d(weights, values[:, :, None, None])
    # flattening keeps either memory layout, so that nothing is copied
    sums: torch.Tensor = torch.matmul(values, weights.flatten(2))
    return sums.reshape(-1, len(values), *weights.shape[2:])


def mode(distribution: ChromaDistribution) -> Chroma:
    """The most probable bin: (N, Q, h, w) -> ab (N, 2, h, w); confidence (N, 1, h, w) is its probability, float32."""
    best = distribution.logits.argmax(1)  # (N, h, w)
    ab = distribution.bins.float()[best].permute(0, 3, 1, 2)
    return Chroma(ab, confidence=1 / _below_peak(distribution.logits).exp_().sum(1, keepdim=True))


def _strengthened(ab: torch.Tensor, distribution: ChromaDistribution, vibrance: float | torch.Tensor) -> torch.Tensor:
    """``ab`` with more vibrance, but not beyond the outermost bins."""
    if isinstance(vibrance, (int, float)) and vibrance == 1:
        return ab
    low, high = (bound.float().view(1, 2, 1, 1) for bound in distribution.bins.aminmax(dim=0))
    return distribution.strengthen(ab, vibrance).clamp(low, high)


def _below_peak(logits: torch.Tensor) -> torch.Tensor:
    """A copy in float32, whatever the precision of the logits; the largest at each place is 0, so exp stays finite.

    Computed once for all temperatures at which a distribution is looked at.
    """
    return logits.to(torch.float32, copy=True).sub_(logits.amax(1, keepdim=True))
