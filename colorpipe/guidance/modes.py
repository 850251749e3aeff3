"""What a network itself thinks likely at a place: the colours that its distribution is made of."""

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
"""Least probability of a colour with what is around it, as a share of the whole."""


@dataclass(frozen=True)
class Mode:
    """One colour that is likely at a place."""

    ab: tuple[float, float]
    """CIE units: the mean of the bins that are beside its peak and nearer to it than to another."""
    probability: float
    """Of the bins that are nearer to it than to another, 0..1; over all modes of a place it sums up to at most 1."""


def modes(distribution: ChromaDistribution, x: float, y: float, radius: float = 0.0, most: int = 6) -> tuple[Mode, ...]:
    """The likely colours of a place, the likeliest first.

    These are the peaks of the distribution. A network that was trained on softened colours has one wide hill at most
    places, whose sides are other colours all the same: where peaks are few, what is left of the distribution beyond
    them is looked through for the most of it, again and again.

    Args:
        distribution: Of one picture.
        x, y: The place, as shares of the view's width and height, 0..1.
        radius: The mean over this distance is looked at, as a share of the view's longer side.
        most: Modes, at most.
    """
    share = _at(distribution, x, y, radius)
    bins = distribution.bins.float().cpu().numpy()
    apart = np.sqrt(((bins[:, None] - bins) ** 2).sum(-1))
    peaks = _beyond(_peaks(share, apart)[:most], share, bins, apart, most)
    nearest = apart[peaks].argmin(0)
    told = []
    for number, peak in enumerate(peaks):
        own = nearest == number
        top = own & (apart[peak] <= BESIDE)
        a, b = (bins[top] * share[top, None]).sum(0) / share[top].sum()
        told.append(Mode((float(a), float(b)), float(share[own].sum())))
    likely = [mode for mode in told if mode.probability >= LEAST]
    return tuple(sorted(likely, key=lambda mode: -mode.probability))


def _peaks(share: Float, apart: Float) -> list[int]:
    """Bins that no bin beside them surpasses, the likeliest first; of those that are one colour to the eye, one."""
    beside = np.where(apart <= BESIDE, share[None], -1)
    found: list[int] = []
    for peak in sorted(np.flatnonzero(beside.argmax(1) == np.arange(len(share))).tolist(), key=lambda bin: -share[bin]):
        if all(apart[peak, other] >= APART for other in found):
            found.append(peak)
    return found


def _beyond(peaks: list[int], share: Float, bins: Float, apart: Float, most: int) -> list[int]:
    """These, and the bins with the most around them that is beside none of those before, and another colour."""
    found = list(peaks)
    beside = (apart <= BESIDE).astype(np.float32)
    while len(found) < most:
        left = np.where(beside[found].any(0), 0, share)
        around = beside @ left
        centre = beside @ (left[:, None] * bins) / np.maximum(around, 1e-9)[:, None]
        off = np.sqrt(((centre[:, None] - bins[found]) ** 2).sum(-1)).min(1)
        around[off < APART] = 0
        best = int(around.argmax())
        if around[best] < LEAST:
            break
        found.append(best)
    return found


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
