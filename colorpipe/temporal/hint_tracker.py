"""The hints of a shot, followed from frame to frame, and its reference."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float
from colorpipe.guidance import hints
from colorpipe.temporal.fill import fill
from colorpipe.temporal.keyframes import Step
from colorpipe.temporal.optical_flow import WINDOW, Small, sample

if TYPE_CHECKING:
    from colorpipe.guidance.sidecars import SidecarFiles
    from colorpipe.settings import MediaOptions

SEEN = 0.5
"""Trust in the motion from which on a painted place counts as found again: a flow and the way back, or the luma of the
last key frame, miss each other by less than the limit."""
ALIKE = 12.0
"""Mean difference of the luma around a place, 8-bit codes, up to which it counts as found again in any case: half of
what costs a place that was followed half its trust. In a plain sky or wall no flow is sure, and any will do."""
_AROUND = np.stack(np.meshgrid(*[np.arange(WINDOW, dtype=np.float32) - WINDOW // 2] * 2), -1).reshape(-1, 1, 2)
_REFERENCE = struct.Struct("<i")
_NONE = -1


class HintTracker:
    """The hints and the reference at one frame, from the frame that a file names to the end of its shot.

    Each painted pixel of the network's view is followed as a point, so that nothing is blurred, or grows, by being
    moved again and again. A point that is hidden, or leaves the picture, is dropped, and stays so.

    Args:
        state: What ``packed`` gave at this frame, in an earlier run.
    """

    def __init__(self, guides: SidecarFiles, options: MediaOptions, state: bytes = b"") -> None:
        self._guides, self._options = guides, options
        self._new: Path | None = None
        self._reference = _NONE
        self._points = np.zeros((0, 4), np.float32)
        """(N, 4): x and y as shares of the picture's width and height, a and b."""
        if state:
            (self._reference,) = _REFERENCE.unpack_from(state)
            self._points = np.frombuffer(state, "<f4", offset=_REFERENCE.size).reshape(-1, 4).astype(np.float32)

    @property
    def reference(self) -> Path | None:
        """The reference that replaces the run's."""
        return self._guides.references.get(self._reference)

    def packed(self) -> bytes:
        """The state for another run that goes on at this frame; empty where there are no hints."""
        if self._reference == _NONE and not len(self._points):
            return b""
        return _REFERENCE.pack(self._reference) + self._points.astype("<f4").tobytes()

    def named(self, frame: int) -> HintTracker:
        """A tracker with this frame's own files over the hints so far; this one stays as it is."""
        lead = HintTracker(self._guides, self._options)
        lead._points, lead._new = self._points, self._guides.hints.get(frame)
        lead._reference = frame if frame in self._guides.references else self._reference
        return lead

    def begin(self, step: Step) -> None:
        """Stand at this step's frame, a key frame."""
        self._luma = self._key_luma = step.luma
        self._key_places = self._places(step.luma)

    def follow(self, step: Step) -> None:
        """Go on from the frame before to this step's; no hint crosses a cut."""
        if step.first:
            self._reference, self._points = _NONE, self._points[:0]
        if len(self._points):
            self._move(step)
        if step.key:
            self.begin(step)
        elif step.motion.ahead.any():  # in a flash, nothing moves: what comes after it is like what was before
            self._luma = step.luma

    def _move(self, step: Step) -> None:
        before, motion = self._places(step.luma), step.motion
        size = np.array(step.luma.shape[::-1], np.float32)
        places = before + sample(fill(motion.ahead, motion.ahead_trust), before)
        found = _found(sample(motion.ahead_trust, before), self._luma, before, step.luma, places)
        if step.key:
            found &= _found(sample(step.path.trust, places), self._key_luma, self._key_places, step.luma, places)
        found &= ((places >= -0.5) & (places < size - np.float32(0.5))).all(1)
        self._points = np.hstack([(places + np.float32(0.5)) / size, self._points[:, 2:]])[found]
        self._key_places = self._key_places[found]

    def _places(self, luma: Small) -> Float:
        """x and y of the points, (N, 2), in pixels of a small luma."""
        return np.asarray(self._points[:, :2] * np.array(luma.shape[::-1], np.float32) - np.float32(0.5))

    def hints(self, picture: tuple[int, int], size: tuple[int, int]) -> Float | None:
        """The hints for this frame, (3, h, w) as ``hints.load`` gives them; None where there are none.

        A hint file that names it replaces the hints so far where it paints, and adds to them elsewhere.
        """
        view = _view(self._points, size)
        if self._new is not None:
            painted = hints.load(self._new, picture, size, self._options)
            view = np.where(painted[2] > 0, painted, view)
            self._points, self._new = _points(view), None
            self._key_places = self._places(self._luma)
        return view if view[2].any() else None


def _found(trust: Float, luma: Small, places: Float, later: Small, found: Float) -> NDArray[np.bool_]:
    """Which places (N, 2) of one luma are those that were found in a later one: trusted, or alike around."""
    sure = trust >= SEEN
    doubted = [(one, where[~sure]) for one, where in ((luma, places), (later, found))]
    around, again = (sample(one, (where + _AROUND).reshape(-1, 2)).astype(np.float32) for one, where in doubted)
    sure[~sure] = np.abs(around - again).reshape(len(_AROUND), -1).mean(0) <= ALIKE
    return sure


def _view(points: Float, size: tuple[int, int]) -> Float:
    """(3, h, w): a, b and mask; colours that fall into one pixel are averaged."""
    height, width = size
    x = np.clip((points[:, 0] * width).astype(np.intp), 0, width - 1)
    y = np.clip((points[:, 1] * height).astype(np.intp), 0, height - 1)
    place = y * width + x
    count, a, b = (
        np.bincount(place, weights, height * width).reshape(size) for weights in (None, points[:, 2], points[:, 3])
    )
    return np.stack([a / np.maximum(count, 1), b / np.maximum(count, 1), count > 0]).astype(np.float32)


def _points(view: Float) -> Float:
    """The inverse of ``_view``: each painted pixel's middle, with its colour."""
    _, height, width = view.shape
    y, x = np.nonzero(view[2])
    middle = np.float32(0.5)
    return np.stack([(x + middle) / width, (y + middle) / height, view[0, y, x], view[1, y, x]], 1).astype(np.float32)
