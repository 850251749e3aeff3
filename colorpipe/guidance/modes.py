"""What a network itself thinks likely at a place: the peaks of its distribution over colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from colorpipe.color import Float

if TYPE_CHECKING:
    from colorpipe.types import ChromaDistribution

BESIDE = 15.0
"""CIE units within which bins are neighbours: in a grid of 10, the eight around one."""
APART = 22.0
"""CIE units between two peaks, at least: nearer ones are one colour to the eye."""
LEAST = 0.02
"""Least probability of a peak with its hill, as a share of the whole."""


@dataclass(frozen=True)
class Mode:
    """One colour that is likely at a place."""

    ab: tuple[float, float]
    """CIE units: the mean of the bins of this hill that are beside its peak."""
    probability: float
    """Of the bins of this hill, 0..1; over all hills of a place it sums up to 1."""


def modes(distribution: ChromaDistribution, x: float, y: float, radius: float = 0.0, most: int = 6) -> tuple[Mode, ...]:
    """The likely colours of a place, the likeliest first.

    Bins climb to the likeliest one beside them, until there is none: those that arrive at one peak are its hill. Hills
    whose peaks are near each other are one.

    Args:
        distribution: Of one picture.
        x, y: The place, as shares of the view's width and height, 0..1.
        radius: The mean over this distance is looked at, as a share of the view's longer side.
        most: Modes, at most.
    """
    share = _at(distribution, x, y, radius)
    bins = distribution.bins.float().cpu().numpy()
    apart = np.sqrt(((bins[:, None] - bins) ** 2).sum(-1))
    beside = np.where(apart <= BESIDE, share[None], -1)
    up = beside.argmax(1)
    while (up[up] != up).any():
        up = up[up]
    found: list[tuple[int, np.ndarray]] = []
    for peak in sorted(set(up.tolist()), key=lambda number: -share[number]):
        near = next((index for index, (other, _) in enumerate(found) if apart[peak, other] < APART), None)
        hill = up == peak
        if near is None:
            found.append((peak, hill))
        else:
            found[near] = (found[near][0], found[near][1] | hill)
    told = []
    for peak, hill in found:
        top = hill & (apart[peak] <= BESIDE)
        a, b = (bins[top] * share[top, None]).sum(0) / share[top].sum()
        told.append(Mode((float(a), float(b)), float(share[hill].sum())))
    likely = [mode for mode in told if mode.probability >= LEAST]
    return tuple(sorted(likely, key=lambda mode: -mode.probability)[:most])


def _at(distribution: ChromaDistribution, x: float, y: float, radius: float) -> Float:
    """(Q,): the probabilities at a place, which sum up to 1."""
    height, width = distribution.logits.shape[2:]
    across = np.arange(width) + 0.5 - x * width
    down = np.arange(height) + 0.5 - y * height
    reach = max(1.0, radius * max(height, width))
    # Within one cell the four around a place weigh as in bilinear interpolation.
    weight = np.clip(1 - np.abs(down)[:, None], 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    if reach > 1:
        weight = weight + (np.hypot(down[:, None], across) <= reach)
    rows, columns = np.flatnonzero(weight.any(1)), np.flatnonzero(weight.any(0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    logits = distribution.logits[0][:, part[0], part[1]].float()
    shares = logits.softmax(0).cpu().numpy()
    found = (shares * weight[part]).sum((1, 2))
    return np.asarray(found / found.sum(), np.float32)
