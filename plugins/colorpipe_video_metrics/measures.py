"""Histograms, and frames brought onto each other along the flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import Frame
from colorpipe.color import Float, rgb, rgb_to_lab

BINS = 256
SIDE = 512
"""Frames are compared at this size at most: flow is found there in a tenth of the time of 1080p, and chroma has no
finer detail."""
SLACK, SHARE = 0.5, 0.01
"""A place is visible in both frames where the flow and its way back miss each other by less than the square root of
``SLACK + SHARE * (their squares)``, pixels: Sundaram, Brox and Keutzer 2010, eq. 5, as Ruder et al. 2016 and Lai et al.
2018 take it. Their second test, on the flow's gradient at motion borders, is left out."""
LEAST_VISIBLE = 0.2
"""Share of the picture below which two frames are of different shots and are not compared."""


def histograms(frame: Frame) -> Float:
    """(3, BINS) shares of the pixels, of R, G and B."""
    planes = frame.colour or (frame.luma,) * 3
    step = (frame.encoding.peak + 1) // BINS
    counts = [np.bincount((plane // step).reshape(-1), minlength=BINS) for plane in planes]
    return (np.stack(counts) / frame.luma.size).astype(np.float32)


def divergence(p: Float, q: Float) -> float:
    """Jensen-Shannon divergence of two histograms (3, BINS), nats, mean over the three."""
    middle = (p + q) / 2

    def relative(x: Float) -> Float:
        return np.asarray(np.sum(x * np.log(np.where(x > 0, x / np.maximum(middle, 1e-12), 1)), -1))

    return float(np.mean(relative(p) + relative(q)) / 2)


@dataclass(frozen=True)
class View:
    """A frame at the size at which it is compared."""

    luma: NDArray[np.uint8]
    """(h, w), the truth's."""
    rgb: Float
    """(h, w, 3) 0..1"""
    ab: Float
    """(h, w, 2) CIE units"""

    @classmethod
    def of(cls, result: Frame, truth: Frame) -> View:
        scale = min(1.0, SIDE / max(result.luma.shape))
        size = max(1, round(result.width * scale)), max(1, round(result.height * scale))
        light = (truth.luma >> (truth.encoding.bits - 8)).astype(np.uint8)
        luma = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.uint8)
        colour = np.asarray(cv2.resize(rgb(result), size, interpolation=cv2.INTER_AREA), np.float32)
        return cls(luma, colour, np.asarray(rgb_to_lab(colour).ab))


def moved(before: View, now: View) -> tuple[View, Float] | None:
    """``before`` brought onto ``now``, and where both show the same, (h, w) 0 or 1; None if that is nowhere much."""
    if before.luma.shape != now.luma.shape or min(now.luma.shape) < 16:
        return None
    finder: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back: Float = finder.calc(now.luma, before.luma, None)
    ahead: Float = finder.calc(before.luma, now.luma, None)
    rows, columns = np.mgrid[: back.shape[0], : back.shape[1]].astype(np.float32)
    places = np.dstack([columns, rows]) + back
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])

    def bring(values: Float) -> Float:
        brought = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(brought, np.float32)

    returned = bring(ahead)
    squares = np.sum(back**2, -1) + np.sum(returned**2, -1)
    inside = (places >= 0).all(-1) & (places[..., 0] <= back.shape[1] - 1) & (places[..., 1] <= back.shape[0] - 1)
    visible = inside & (np.sum((back + returned) ** 2, -1) < SLACK + SHARE * squares)
    if visible.mean() < LEAST_VISIBLE:
        return None
    return View(now.luma, bring(before.rgb), bring(before.ab)), visible.astype(np.float32)


def mean_where(visible: Float, values: Float) -> float:
    """Mean of values (h, w, C), summed over the channels, over the visible places."""
    return float(np.sum(values * visible[..., None]) / max(float(visible.sum()), 1.0))
