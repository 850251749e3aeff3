"""Guidance of the network through a shot: painted colours, followed as their places move, and a reference."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float
from colorpipe.guidance.hint_files import Hints
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
_SIX = -2
"""Mark at the start of a state whose points have six columns; older states have four, all of full weight."""
_COLUMNS = 6


class HintTracker:
    """Guidance at one frame, from the frame that a file names to the end of its shot.

    Each painted pixel of the network's view is followed as a point, so that nothing is blurred, or grows, by being
    moved again and again. A point that is hidden, or leaves the picture, is dropped, and stays so.

    Args:
        state: What ``packed`` gave at this frame, in an earlier run.
    """

    def __init__(self, guides: SidecarFiles, options: MediaOptions, state: bytes = b"") -> None:
        self._guides, self._options = guides, options
        self._new: int | None = None
        """This frame, if something is painted on it that has not been used yet."""
        self._reference = _NONE
        self._points = np.zeros((0, _COLUMNS), np.float32)
        """(N, 6): x and y as shares of the picture's width and height, a and b, weight, and 1 for a place to keep."""
        if state:
            self._reference, self._points = _unpacked(state)

    @property
    def reference(self) -> Path | None:
        """Replaces the run's reference."""
        return self._guides.references.get(self._reference)

    def packed(self) -> bytes:
        """The state for another run that continues at this frame; empty if there is no guidance."""
        if self._reference == _NONE and not len(self._points):
            return b""
        return _REFERENCE.pack(_SIX) + _REFERENCE.pack(self._reference) + self._points.astype("<f4").tobytes()

    def named(self, frame: int) -> HintTracker:
        """A new tracker with the guidance in this frame's own files over the guidance so far; this one is unchanged."""
        lead = HintTracker(self._guides, self._options)
        lead._points, lead._new = self._points, frame if frame in self._guides.hinted else None
        lead._reference = frame if frame in self._guides.references else self._reference
        return lead

    def begin(self, step: Step) -> None:
        """Stand at this step's frame, a key frame."""
        self._luma = self._key_luma = step.luma
        self._key_places = self._places(step.luma)

    def follow(self, step: Step) -> None:
        """Move on from the frame before to this step's frame; no guidance survives a cut."""
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

    def hints(self, picture: tuple[int, int], size: tuple[int, int]) -> Hints | None:
        """The hints for this frame, (h, w); None where there are none.

        What is painted on it replaces what has led so far where it paints, and adds to it elsewhere.
        """
        if self._new is not None:
            # as fine as the motion is known, and as the one who asks first wants it
            fine = max(size[0], self._luma.shape[0]), max(size[1], self._luma.shape[1])
            painted = self._guides.load(self._new, picture, fine, self._options)
            if painted is not None:
                self._points = _points(painted.over(_view(self._points, fine)))
            self._new = None
            self._key_places = self._places(self._luma)
        view = _view(self._points, size)
        return view if view.any else None


def _found(trust: Float, luma: Small, places: Float, later: Small, found: Float) -> NDArray[np.bool_]:
    """Whether each place (N, 2) of one luma was found in a later one: it is trusted, or its surroundings are alike."""
    sure = trust >= SEEN
    doubted = [(one, where[~sure]) for one, where in ((luma, places), (later, found))]
    around, again = (sample(one, (where + _AROUND).reshape(-1, 2)).astype(np.float32) for one, where in doubted)
    sure[~sure] = np.abs(around - again).reshape(len(_AROUND), -1).mean(0) <= ALIKE
    return sure


def _view(points: Float, size: tuple[int, int]) -> Hints:
    """Points in pixels of (h, w); colours that fall into one pixel are averaged."""
    height, width = size
    x = np.clip((points[:, 0] * width).astype(np.intp), 0, width - 1)
    y = np.clip((points[:, 1] * height).astype(np.intp), 0, height - 1)
    place, kept = y * width + x, points[:, 5] > 0
    coloured = ~kept
    count, a, b, weight = (
        np.bincount(place[coloured], values, height * width).reshape(size)
        for values in (None, *(points[coloured, column] for column in (2, 3, 4)))
    )
    keep = (np.bincount(place[kept], None, height * width).reshape(size) > 0) & (count == 0)
    mean = np.stack([a, b, weight], -1) / np.maximum(count, 1)[..., None]
    return Hints(mean[..., :2].astype(np.float32), mean[..., 2].astype(np.float32), keep)


def _points(hints: Hints) -> Float:
    """The inverse of ``_view``: each painted pixel's middle, with its colour."""
    height, width = hints.weight.shape
    y, x = np.nonzero((hints.weight > 0) | hints.keep)
    middle = np.float32(0.5)
    places = [(x + middle) / width, (y + middle) / height]
    return np.stack(
        [*places, hints.ab[y, x, 0], hints.ab[y, x, 1], hints.weight[y, x], hints.keep[y, x]], 1, dtype=np.float32
    )


def _unpacked(state: bytes) -> tuple[int, Float]:
    """The frame whose reference is in use, and the points."""
    (reference,) = _REFERENCE.unpack_from(state)
    if reference == _SIX:
        (reference,) = _REFERENCE.unpack_from(state, _REFERENCE.size)
        return reference, np.frombuffer(state, "<f4", offset=2 * _REFERENCE.size).reshape(-1, _COLUMNS).astype(
            np.float32
        )
    points = np.frombuffer(state, "<f4", offset=_REFERENCE.size).reshape(-1, 4)
    full = np.tile(np.array([[1, 0]], np.float32), (len(points), 1))
    return reference, np.hstack([points, full]).astype(np.float32)
