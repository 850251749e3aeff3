"""Where to strengthen a mean: learned from what a distribution looks like and how near the truth each choice came.

The mean of a distribution is nearest to the truth and too pale. Strengthening all of it alike paints what was never
colourful: of two places of equal mean, one may be nearly surely grey and one surely coloured, in one of several hues.
This little network (1,800 values) sees what the distribution is like, there and over the picture, and says how strong
the vibrance shall be at each place. It is trained for what is wanted of the whole: colourfulness, for as little
distance from the truth as it can be had for (``objective.py``).

State-dict names: ``emphasis.place.weight|bias``, ``.picture.weight|bias``, ``.mixed.weight``, ``.out.weight|bias``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe import ChromaDistribution

LATTICE = 2
"""The distribution is looked at in every second place, each way: vibrance is smoother than colour."""
COLD, COLDER = 0.7, 0.35
"""Temperatures of two more means: how much colour is left at them tells many unlikely hues from one that is likely."""
SEEN = 9
"""Facts of a place: ``facts``."""
HIDDEN = 24


class Emphasis(nn.Module):
    """L (N,1,h,w), 0..100, and logits (N,Q,h/4,w/4) over ``bins`` (Q,2) -> vibrance (N,1,h/4,w/4), 0 or more.

    Computed in float32, whatever the precision of the logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.place = _Affine(SEEN, HIDDEN)
        self.picture = _Affine(2 * SEEN, HIDDEN)
        self.mixed = _Affine(HIDDEN, HIDDEN)
        self.out = _Affine(HIDDEN, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, 0.5)

    def forward(self, lightness: Tensor, logits: Tensor, bins: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            seen = facts(lightness.float(), logits[..., ::LATTICE, ::LATTICE].float(), bins.float())
            return F.interpolate(self.of(seen), logits.shape[2:], mode="bilinear", align_corners=False)

    def of(self, seen: Tensor) -> Tensor:
        """Facts (N,SEEN,h',w') -> vibrance (N,1,h',w')."""
        count, _, height, width = seen.shape
        places = seen.flatten(2)  # (N, SEEN, places)
        spread = places.var(2, unbiased=False).add(1e-6).sqrt()
        whole = self.mixed(F.gelu(self.picture(torch.cat([places.mean(2), spread], 1)[..., None])))  # (N, HIDDEN, 1)
        vibrance = F.softplus(2 * self.out(torch.tanh(self.place(places) + whole)))
        return vibrance.reshape(count, 1, height, width)


class _Affine(nn.Module):
    """x (N,inputs,places) -> (N,outputs,places). No ``nn.Linear``: those are run in the precision of the network."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-1, 1) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(self.weight, x) + self.bias


def holds_emphasis(tensors: Mapping[str, Tensor]) -> bool:
    """Whether weights hold an ``Emphasis``."""
    return any(name.startswith("emphasis.") for name in tensors)


def facts(lightness: Tensor, logits: Tensor, bins: Tensor) -> Tensor:
    """What a distribution is like at each place: (N,SEEN,h',w'), of the order of 1.

    The mean's chroma at three temperatures and the share of it that the lowest leaves; the probability of grey; the
    entropy; the mean and the spread of the chroma; L.
    """
    side = lightness.shape[3] // logits.shape[3]
    reach = bins.norm(dim=1)
    near = (reach <= ChromaDistribution.NEAR_GREY).float()
    below = logits - logits.amax(1, keepdim=True)
    first = torch.stack([bins[:, 0], bins[:, 1], torch.ones_like(near), near, reach, reach**2])  # (6, Q)
    warm, cold, colder = (
        _moments(below / T, rows) for T, rows in ((1.0, first), (COLD, first[:3]), (COLDER, first[:3]))
    )
    chroma = [(x[:, :2] ** 2).sum(1, keepdim=True).add(1e-6).sqrt() for x in (warm, cold, colder)]
    weights = below.exp()
    total = weights.sum(1, keepdim=True)
    entropy = total.log() - (weights * below).sum(1, keepdim=True) / total
    spread = (warm[:, 5:6] - chroma[0] ** 2).clamp(min=1e-3).sqrt()
    return torch.cat(
        [
            *(one / 20 for one in chroma),
            chroma[2] / chroma[0].clamp(min=1) / 2,
            warm[:, 3:4],
            entropy / 4,
            warm[:, 4:5] / 20,
            spread / 20,
            F.avg_pool2d(lightness, side) / 50 - 1,
        ],
        1,
    )


def _moments(logits: Tensor, rows: Tensor) -> Tensor:
    """Means of each of ``rows`` (R,Q) over softmax(logits) (N,Q,h',w'): (N,R,h',w'). The third row is of ones."""
    sums = torch.matmul(rows, logits.exp().flatten(2))
    return (sums / sums[:, 2:3]).reshape(len(logits), len(rows), *logits.shape[2:])
