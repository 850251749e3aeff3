"""How far a result's grey has drifted from its source's, and whether a lossy format explains it.

A lossy encoder adds noise that is as strong as its quality says and whose mean over a small square is near zero. A
change of lightness moves such means: brightness and contrast everywhere, a retouched place there. Filters (sharpening,
denoising) leave the means and make more noise than the encoder does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR, WIDE = 8, 32
"""Sides of the squares over which differences are averaged: a JPEG's block, and a place that an eye takes in."""


@dataclass(frozen=True)
class Most:
    """The most that a lossy format does to a picture's grey, code values."""

    noise: float
    """Root of the mean squared difference."""
    shift: float
    """Mean difference over the whole picture, either way."""
    near: float
    """Mean difference over a square of 8 pixels."""
    wide: float
    """Mean difference over a square of 32 pixels."""

    def __mul__(self, factor: float) -> Most:
        return Most(*(factor * value for value in (self.noise, self.shift, self.near, self.wide)))


class Drift:
    """The differences of one picture, gathered strip by strip.

    Strips follow each other from the top; all but the last have a height that is a multiple of 32.
    """

    def __init__(self) -> None:
        self._values, self._top = 0, 0
        self._sum = self._absolute = self._squares = 0.0
        self._largest = {NEAR: (0.0, 0, 0), WIDE: (0.0, 0, 0)}

    def add(self, apart: NDArray[Any]) -> None:
        """Take in the next strip: result minus source, (H, W) code values."""
        apart = np.ascontiguousarray(apart, np.float32)
        self._values += apart.size
        self._sum += float(apart.sum(dtype=np.float64))
        self._absolute += float(np.abs(apart).sum(dtype=np.float64))
        self._squares += float(np.square(apart, dtype=np.float64).sum())
        for side in (NEAR, WIDE):
            height, width = (min(side, length) for length in apart.shape)
            rows, columns = apart.shape[0] // height, apart.shape[1] // width
            whole = apart[: rows * height, : columns * width]
            means = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
            at = int(np.argmax(np.abs(means)))
            mean = float(means.flat[at])
            if abs(mean) > abs(self._largest[side][0]):
                y, x = divmod(at, columns)
                self._largest[side] = mean, x * width, self._top + y * height
        self._top += apart.shape[0]

    @property
    def values(self) -> int:
        return self._values

    @property
    def mean(self) -> float:
        """Mean of the differences without their signs."""
        return self._absolute / max(1, self._values)

    @property
    def noise(self) -> float:
        """Root of the mean squared difference."""
        return math.sqrt(self._squares / max(1, self._values))

    @property
    def shift(self) -> float:
        """Mean difference; positive where the result is brighter."""
        return self._sum / max(1, self._values)

    def square(self, side: int) -> float:
        """The largest mean difference over a square of that side, without its sign."""
        return abs(self._largest[side][0])

    def beyond(self, most: Most) -> str | None:
        """What no lossy encoding of that quality explains, in words; None where all is explained."""
        if abs(self.shift) > most.shift:
            return f"all of it is {_shade(self.shift)} on average, where up to {most.shift:.2g} comes of it"
        for side, limit in ((WIDE, most.wide), (NEAR, most.near)):
            mean, x, y = self._largest[side]
            if abs(mean) > limit:
                return f"{side} pixels square at x {x}, y {y} are {_shade(mean)}, where up to {limit:.2g} comes of it"
        if self.noise > most.noise:
            most_of_it = f"where up to {most.noise:.2g} comes of it"
            return f"its grain has changed by {self.noise:.2g} codes (root mean square), {most_of_it}"
        return None

    def as_dict(self) -> dict[str, float]:
        return {
            "mean": self.mean,
            "noise": self.noise,
            "shift": self.shift,
            "near": self.square(NEAR),
            "wide": self.square(WIDE),
        }


def _shade(mean: float) -> str:
    return f"{abs(mean):.2g} codes {'brighter' if mean > 0 else 'darker'}"
