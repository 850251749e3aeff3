"""How much a film's colour changes from frame to frame where the picture itself does not."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float

CELLS = 12
"""Cells each way in which colour is compared: larger than what moves between two frames, smaller than a dress."""
MOST = 96
"""Rows and columns that are looked at, at most."""
SAME = 6.0
"""Mean change of a cell's luma, 8-bit codes, up to which two frames show the same."""


@dataclass(frozen=True)
class Flicker:
    """What ``FlickerMeter`` found."""

    mean: float
    """Mean change of ab between neighbouring frames, CIE units."""
    spike: float
    """The largest change above the median one, CIE units: a jump that a person sees from about 3 on."""
    frame: int
    """The frame at which it is."""


class FlickerMeter:
    """Takes the frames of a film in order.

    A cell's colour is its mean ab; a frame's change is the mean over the cells of the distance to the frame before.
    Where the luma changes too, at a cut or in a fast pan, nothing is compared.
    """

    def __init__(self) -> None:
        self._before: tuple[Float, Float] | None = None
        self._changes, self._frames = array("f"), array("q")

    def add(self, ab: Float, luma: NDArray[np.integer], bits: int, frame: int) -> None:
        """Take the next frame.

        Args:
            ab: (h, w, 2), CIE units.
            luma: (H, W) codes of ``bits`` bits, over the same picture.
            frame: Its number.
        """
        now = _cells(ab), _cells(luma) / np.float32(1 << (bits - 8))
        before, self._before = self._before, now
        if before is None or float(np.abs(now[1] - before[1]).mean()) > SAME:
            return
        self._changes.append(float(np.sqrt(np.square(now[0] - before[0]).sum(-1)).mean()))
        self._frames.append(frame)

    def cut(self) -> None:
        """The next frame does not follow the last one."""
        self._before = None

    def found(self) -> Flicker | None:
        """None where no two frames could be compared."""
        if not self._changes:
            return None
        changes = np.asarray(self._changes)
        most = int(changes.argmax())
        return Flicker(float(changes.mean()), float(changes[most] - np.median(changes)), self._frames[most])


def _cells(plane: NDArray[np.generic]) -> Float:
    """(H, W) or (H, W, C) -> the means of ``CELLS`` x ``CELLS`` cells."""
    rows, columns = (-(-length // MOST) for length in plane.shape[:2])
    small = np.ascontiguousarray(plane[::rows, ::columns]).astype(np.float32)
    return np.asarray(cv2.resize(small, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)
