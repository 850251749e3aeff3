"""The differences of planes, gathered pair by pair in constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Place:
    """The first value that differs from the expected one."""

    frame: int
    time: Fraction | None
    x: int
    y: int
    source: float
    result: float

    def __str__(self) -> str:
        where = f"x {self.x}, y {self.y}: {_shown(self.source)} in the source, {_shown(self.result)} in the result"
        return where if self.time is None else f"frame {self.frame} ({seconds(self.time)}), {where}"

    def as_dict(self) -> dict[str, Any]:
        time = {} if self.time is None else {"frame": self.frame, "seconds": float(self.time)}
        return {**time, "x": self.x, "y": self.y, "source": self.source, "result": self.result}


class Difference:
    """Differences between code values.

    Args:
        peak: The largest code value, which PSNR is relative to.
        tolerance: Code values up to which two are the same.
    """

    def __init__(self, peak: int, tolerance: float = 0) -> None:
        self.peak, self.tolerance = peak, tolerance
        self.first: Place | None = None
        self.largest = 0.0
        self.values = self.planes = self.differing = 0
        self._sum = self._squares = 0.0

    def add(
        self,
        source: NDArray[Any],
        result: NDArray[Any],
        frame: int = 0,
        time: Fraction | None = None,
        top: int = 0,
    ) -> None:
        """One more pair of planes of one shape, (H, W); ``top`` is the row at which a strip of a plane begins."""
        self.values += source.size
        self.planes += 1
        if source.dtype == result.dtype and np.array_equal(source, result):
            return
        exact = source.dtype.kind in "ui" and result.dtype.kind in "ui"
        apart = np.abs(source.astype(np.int32) - result) if exact else np.abs(source - result)
        self.largest = max(self.largest, float(apart.max()))
        self._sum += float(apart.sum(dtype=np.float64))
        self._squares += float(np.square(apart, dtype=np.float64).sum())
        beyond = int(np.count_nonzero(apart > self.tolerance))
        self.differing += beyond
        if beyond and self.first is None:
            y, x = divmod(int(np.argmax(apart > self.tolerance)), apart.shape[1])
            self.first = Place(frame, time, x, y + top, float(source[y, x]), float(result[y, x]))

    @property
    def holds(self) -> bool:
        return self.first is None

    @property
    def mean(self) -> float:
        """Mean absolute difference, code values."""
        return self._sum / max(1, self.values)

    @property
    def psnr(self) -> float:
        """dB; infinite where nothing differs."""
        mean_square = self._squares / max(1, self.values)
        return math.inf if mean_square == 0 else 10 * math.log10(self.peak**2 / mean_square)

    def __str__(self) -> str:
        """``largest difference 3, mean 0.21, PSNR 52.3 dB``."""
        psnr = "" if math.isinf(self.psnr) else f", PSNR {self.psnr:.1f} dB"
        return f"largest difference {_shown(self.largest)}, mean {self.mean:.2g}{psnr}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "largest": self.largest,
            "mean": self.mean,
            "psnr": None if math.isinf(self.psnr) else self.psnr,
            "differing": self.differing,
            "values": self.values,
            "tolerance": self.tolerance,
            "first": None if self.first is None else self.first.as_dict(),
        }


def seconds(time: Fraction | int) -> str:
    """``2.28 s``; to the microsecond."""
    return f"{float(time):.6f}".rstrip("0").rstrip(".") + " s"


def _shown(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"
