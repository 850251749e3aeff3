"""Optical flow: where each place of a frame was in the frame before, and how far that can be trusted.

All on a small 8-bit copy of the luma, (h, w); displacements are (h, w, 2) float32, x and y in its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float, Plane
from colorpipe.temporal.fill import fill

SIDE = 256
"""Longer side of the small copy, at most: chroma from a network of 256 pixels has no more detail."""
LEAST_SIDE = 32
"""Smaller pictures are padded to this: the flow's coarsest level needs a few of its patches of 8."""
SLACK, SHARE = 0.5, 0.01
"""A flow and its way back may miss each other by the square root of ``SLACK + SHARE * (their squares)``, in pixels: of
Sundaram, Brox and Keutzer 2010, Dense Point Trajectories by GPU-accelerated Large Displacement Optical Flow, eq. 5."""
LUMA_MISS = 24.0
"""Mean difference of the luma, 8-bit codes, at which a place that was followed has half its trust: above grain (of the
old films at hand 4..9 in windows of 5), below the difference of two things side by side."""
HARMLESS = 8.0
"""8-bit codes: a flow that misses by so much of the light's slope is trusted half, though it does not lead back."""
REACH = 12
"""Most pixels by which it may miss then: the slope is the steepest within that distance."""
LEAST_PLAIN = 0.01
"""Share of the picture that this must save to be worth its time."""
FAR = 1e4
"""Pixels: further than anything moves."""
WINDOW = 5
"""Pixels over which that difference is averaged."""

_ROW = 256

Small = NDArray[np.uint8]


@dataclass(frozen=True)
class Motion:
    """Between two frames that follow each other."""

    back: Float
    """(h, w, 2): the offset from each place of the later frame to its place in the earlier one."""
    back_trust: Float
    """(h, w) 0..1; 0 where a thing was hidden."""
    ahead: Float
    """The same from the earlier frame to the later."""
    ahead_trust: Float


@dataclass(frozen=True)
class FlowChain:
    """A chain of flows: where each place of a frame is in a key frame that may be many frames away."""

    shift: Float
    """(h, w, 2)"""
    trust: Float
    """(h, w) 0..1"""

    @classmethod
    def start(cls, shape: tuple[int, ...]) -> FlowChain:
        """The chain of the key frame itself."""
        return cls(np.zeros((*shape, 2), np.float32), np.ones(shape, np.float32))

    def longer(self, shift: Float, trust: Float) -> FlowChain:
        """One frame further from the key: ``shift`` leads from that frame to this path's own.

        Displacements are added up, and values are looked up once at the end, so that nothing is blurred by being
        moved again and again.
        """
        return FlowChain(shift + warp(self.shift, shift), np.minimum(trust, warp(self.trust, shift, outside=0)))

    def checked(self, luma: Small, key_luma: Small) -> FlowChain:
        """Less trust where the key's luma, brought here, is not what is seen: errors of many small steps add up.

        A fade is no difference: the key's luma is first given this frame's mean and contrast.
        """
        brought = warp(key_luma, self.shift).astype(np.float32)
        mean, spread = cv2.meanStdDev(luma)
        key_mean, key_spread = cv2.meanStdDev(brought)
        gain = float(spread[0, 0]) / max(float(key_spread[0, 0]), 1.0)
        brought = brought * gain + (float(mean[0, 0]) - gain * float(key_mean[0, 0]))
        miss = cv2.blur(np.abs(luma - brought), (WINDOW, WINDOW))
        return FlowChain(self.shift, np.minimum(self.trust, _fading(np.asarray(miss, np.float32) / LUMA_MISS)))


def small_luma(luma: Plane, bits: int) -> Small:
    """The small copy of a frame's luma: 8 bits, the longer side at most ``SIDE``."""
    scale = min(1.0, SIDE / max(luma.shape))
    size = max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale))
    # by halves as far as whole pixels go, OpenCV's fastest step by far: 1080p, 0.3 ms in place of 3.2
    while luma.shape[0] >= 2 * size[1] and not (luma.shape[0] % 2 or luma.shape[1] % 2):
        half = luma.shape[1] // 2, luma.shape[0] // 2
        luma = np.asarray(cv2.resize(luma, half, interpolation=cv2.INTER_AREA))
    small: Plane = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))
    return np.asarray(small if bits == 8 else small >> (bits - 8), np.uint8)


class FlowFinder:
    """Dense inverse search (Kroeger et al. 2016, arXiv 1603.03590), both ways."""

    def __init__(self) -> None:
        # On photographs moved by known distances, 256 x 144, one core: 0.058 pixels off in 1.5 ms. The preset FAST as
        # it is stops at a quarter of the size, 0.125 in 0.7 ms; MEDIUM takes 3.5 ms for 0.050.
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._flow.setFinestScale(1)
        self._flow.setPatchStride(5)
        self._flow.setVariationalRefinementIterations(2)
        self._last: tuple[Small, Float] | None = None

    def between(self, earlier: Small, later: Small) -> Motion:
        back, ahead = self._find(later, earlier), self._find(earlier, later)
        slope, earlier_slope = _slope(later), self._slope_of(earlier)
        self._last = later, slope
        return Motion(
            *_settled(back, warp(ahead, back, FAR), slope), *_settled(ahead, warp(back, ahead, FAR), earlier_slope)
        )

    def _slope_of(self, luma: Small) -> Float:
        """``_slope``; the value for the later frame of the last call is cached."""
        return self._last[1] if self._last is not None and self._last[0] is luma else _slope(luma)

    def _find(self, here: Small, there: Small) -> Float:
        height, width = here.shape
        below, right = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
        if below or right:
            here, there = (np.pad(plane, ((0, below), (0, right)), "edge") for plane in (here, there))
        flow: Float = self._flow.calc(np.ascontiguousarray(here), np.ascontiguousarray(there), None)
        return flow[:height, :width]


def still(shape: tuple[int, ...]) -> Motion:
    """A motion in which nothing moves."""
    shift, trust = np.zeros((*shape, 2), np.float32), np.ones(shape, np.float32)
    return Motion(shift, trust, shift, trust)


def warp(values: NDArray[Any], shift: Float, outside: float | None = None) -> NDArray[Any]:
    """``values`` at each place plus ``shift``, bilinear; beyond the border its nearest value, or ``outside``."""
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    places = _places(shift.shape[:2]) + shift
    value = [0.0 if outside is None else outside] * 4
    return np.asarray(cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=border, borderValue=value))  # type: ignore[call-overload]


def sample(values: NDArray[Any], places: Float) -> NDArray[Any]:
    """``values`` (h, w, ...) at places (N, 2), x and y, bilinear -> (N, ...); beyond the border its nearest value."""
    # remap takes pictures of less than 32768 pixels a side: the places are laid out as rows of one
    rows = np.zeros((len(places) // _ROW + 1, _ROW, 2), np.float32)
    rows.reshape(-1, 2)[: len(places)] = places
    found = np.asarray(cv2.remap(values, rows, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]
    return found.reshape(-1, *values.shape[2:])[: len(places)]


def _settled(shift: Float, returned: Float, slope: Float) -> tuple[Float, Float]:
    """A flow and its trust, (h, w) 0..1: how nearly it leads back, and where it does not, how little that matters.

    In a clear sky or on a plain wall the flow is noise. There is nothing that could be missed there: a miss of m pixels
    across light that changes by s a pixel is one of m * s codes. Such a place moves as those around it do.

    Args:
        returned: The way back, found where ``shift`` leads; ``FAR`` outside of the picture, which is not trusted.
        slope: ``_slope``.
    """
    miss = _squares(shift + returned)
    trust = _fading(miss / (SLACK + SHARE * (_squares(shift) + np.minimum(_squares(returned), SIDE * SIDE))))
    plain = _fading(np.sqrt(np.minimum(miss, FAR)) * slope / np.float32(HARMLESS))
    plain[miss > REACH * REACH] = 0
    if float((plain > trust).mean()) < LEAST_PLAIN:
        return shift, trust
    return fill(shift, trust), np.maximum(trust, plain)


def _slope(luma: Small) -> Float:
    """(h, w): how much the light changes from pixel to pixel, in 8-bit codes, at most within ``REACH``."""
    soft = cv2.blur(luma, (WINDOW, WINDOW))
    across, down = (cv2.convertScaleAbs(cv2.Sobel(soft, cv2.CV_16S, *axis), alpha=4) for axis in ((1, 0), (0, 1)))
    steepest = cv2.dilate(cv2.max(across, down), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))
    return np.asarray(steepest * np.float32(1 / 32))


def _squares(shift: Float) -> Float:
    return np.asarray(shift[..., 0] ** 2 + shift[..., 1] ** 2, np.float32)


def _fading(excess: Float) -> Float:
    """1 up to half the limit, 0.5 at it, 0 from one and a half: no trust is lost to noise, and none ends abruptly."""
    return np.asarray(np.clip(np.float32(1.5) - excess, 0, 1), np.float32)


@lru_cache(maxsize=8)
def _places(shape: tuple[int, int]) -> Float:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    places = np.dstack([columns, rows])
    places.setflags(write=False)
    return places
