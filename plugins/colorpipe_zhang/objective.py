"""What an emphasis is trained for: colourfulness, for as little distance from the truth as it can be had for."""

from __future__ import annotations

import torch
from torch import Tensor

from colorpipe.training import colourfulness, lab_to_rgb, psnr

MUTED = 25.0
"""Colourfulness (Hasler and Suesstrunk 2003) below which a photograph is muted."""
EVERYWHERE, WHERE_MUTED = 2.0, 4.0
"""Weights of the colour difference in ``objective``, against one decibel."""


def objective(lightness: Tensor, ab: Tensor, truth: Tensor, colourful: float) -> Tensor:
    """What an emphasis is trained to lower: distance from the truth less ``colourful`` times the colourfulness.

    PSNR over grey, dB; the mean colourfulness as a share of the truth's; the colour difference as a share of grey's, of
    all pictures and, three times as heavy, of truly muted ones, for there painting too much is seen first.

    Args:
        lightness: L (N,1,h,w), 0..100.
        ab, truth: (N,2,h,w), CIE units.
    """
    result, true, grey = (lab_to_rgb(torch.cat([lightness, one], 1)) for one in (ab, truth, torch.zeros_like(truth)))
    gain = (psnr(result, true) - psnr(grey, true)).mean()
    vivid = colourfulness(true)
    share = colourfulness(result + 1e-4 * torch.rand_like(result)).mean() / vivid.mean().clamp(min=1)
    moved, before = difference(ab, truth).mean((1, 2)), difference(torch.zeros_like(truth), truth).mean((1, 2))
    loss = EVERYWHERE * moved.mean() / before.mean().clamp(min=0.1) - gain - colourful * share
    muted = vivid < MUTED
    if muted.any():
        loss = loss + WHERE_MUTED * moved[muted].sum() / before[muted].sum().clamp(min=0.1)
    return loss


def difference(ab: Tensor, truth: Tensor) -> Tensor:
    """CIE 94 colour difference (N,h,w) of chroma (N,2,h,w) at equal L, graphic arts' constants, the truth for standard.

    Smooth enough to be trained with; near CIEDE2000 but for blues.
    """
    strong, own = (one.square().sum(1).add(1e-4).sqrt() for one in (truth, ab))
    along = (own - strong).square()
    across = ((ab - truth).square().sum(1) - along).clamp(min=0)
    return (along / (1 + 0.045 * strong).square() + across / (1 + 0.015 * strong).square() + 1e-4).sqrt()
