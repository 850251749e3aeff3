"""Measures of a predicted distribution."""

from __future__ import annotations

import math

import torch

from colorpipe import ChromaDistribution


def entropy(distribution: ChromaDistribution) -> float:
    """Mean over the places, bits."""
    p = distribution.logits.float().softmax(1)
    return float(torch.special.entr(p).sum(1).mean()) / math.log(2)
