"""Guidance of the network through a shot: painted colours, followed as their places move, and a reference."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
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
AGAIN = 20.0
"""Mean difference of the luma around a place, 8-bit codes, from where it was painted, at which a colour counts half; up
to half of it, it counts in full, and from one and a half on not at all. Of points of the true colour on seven real
clips, 40 frames on, 90% of the weight of those that are still on their colour stays, and 30% of those that are not;
trust in the flow does not tell the two apart (``python -m benchmarks.film_hints``)."""
_AROUND = np.stack(np.meshgrid(*[np.arange(WINDOW, dtype=np.float32) - WINDOW // 2] * 2), -1).reshape(-1, 1, 2)
_REFERENCE = struct.Struct("<i")
_NONE = -1
_WIDE = -3
"""Mark at the start of a state; older ones have six columns under another, or four and none."""
_SIX = -2
_OWN = 6
"""Columns of a point without what was around it where it was painted."""
_COLUMNS = _OWN + 2 + len(_AROUND)


class HintTracker:
    """Guidance at one frame, from the frame that a file names to the end of its shot.

    Each painted pixel of the network's view is followed as a point, so that nothing is blurred, or grows, by being
    moved again and again. A point that is hidden, or leaves the picture, is dropped, and stays so. One that is found on
    something that looks other than where it was painted fades (``AGAIN``).

    Args:
        state: What ``packed`` gave at this frame, in an earlier run.
    """

    def __init__(self, guides: SidecarFiles, options: MediaOptions, state: bytes = b"") -> None:
        self._guides, self._options = guides, options
        self._new: int | None = None
        """This frame, if something is painted on it that has not been used yet."""
        self._reference = _NONE
        self._points = np.zeros((0, _COLUMNS), np.float32)
        """(N, 33): x and y as shares of the picture's width and height, a and b, weight, 1 for a place to keep; mean
        and spread of the luma where it was painted, -1 where that is not known, and the luma around it there."""
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
        return _REFERENCE.pack(_WIDE) + _REFERENCE.pack(self._reference) + self._points.astype("<f4").tobytes()

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
        return self._at(self._points, luma)

    @staticmethod
    def _at(points: Float, luma: Small) -> Float:
        return np.asarray(points[:, :2] * np.array(luma.shape[::-1], np.float32) - np.float32(0.5))

    def hints(self, picture: tuple[int, int], size: tuple[int, int]) -> Hints | None:
        """The hints for this frame, (h, w); None where there are none.

        What is painted on it replaces what has led so far where it paints, and adds to it elsewhere.
        """
        if self._new is not None:
            # as fine as the motion is known, and as the one who asks first wants it
            fine = max(size[0], self._luma.shape[0]), max(size[1], self._luma.shape[1])
            painted = self._guides.load(self._new, picture, fine, self._options)
            if painted is not None:
                self._points = self._with(painted, fine)
            self._new = None
            self._key_places = self._places(self._luma)
        view = _view(self._seen(), size)
        return view if view.any else None

    def _with(self, painted: Hints, size: tuple[int, int]) -> Float:
        """The points with newly painted ones, which replace those that they cover; ``size`` is that of ``painted``."""
        new, height, width = _points(painted), *size
        new[:, _OWN:] = _looks(self._luma, self._at(new, self._luma))
        x = np.clip((self._points[:, 0] * width).astype(np.intp), 0, width - 1)
        y = np.clip((self._points[:, 1] * height).astype(np.intp), 0, height - 1)
        covered = ((painted.weight > 0) | painted.keep)[y, x]
        return np.asarray(np.vstack([self._points[~covered], new]))

    def _seen(self) -> Float:
        """The points with the weight that is left of them here, those with none left out."""
        if not len(self._points):
            return self._points
        left = _again(self._points[:, _OWN:], _looks(self._luma, self._places(self._luma)))
        seen = self._points.copy()
        seen[:, 4] *= left
        return np.asarray(seen[np.where(seen[:, 5] > 0, left >= SEEN, left > 0)])


def _found(trust: Float, luma: Small, places: Float, later: Small, found: Float) -> NDArray[np.bool_]:
    """Whether each place (N, 2) of one luma was found in a later one: it is trusted, or its surroundings are alike."""
    sure = trust >= SEEN
    doubted = [(one, where[~sure]) for one, where in ((luma, places), (later, found))]
    around, again = (sample(one, (where + _AROUND).reshape(-1, 2)).astype(np.float32) for one, where in doubted)
    sure[~sure] = np.abs(around - again).reshape(len(_AROUND), -1).mean(0) <= ALIKE
    return sure


def _looks(luma: Small, places: Float) -> Float:
    """(N, 27): the luma's mean and spread, and its values around each place."""
    mean, spread = cv2.meanStdDev(luma)
    around = sample(luma, (places + _AROUND).reshape(-1, 2)).astype(np.float32).reshape(len(_AROUND), -1).T
    whole = np.array([[mean[0, 0], spread[0, 0]]], np.float32)
    return np.asarray(np.hstack([np.repeat(whole, len(places), 0), around]))


def _again(painted: Float, now: Float) -> Float:
    """(N,) 0..1: how much each place looks as it did where it was painted, both as ``_looks`` gives them.

    A fade is no difference: a place may be as it was, or as it was for its frame's mean and contrast.
    """
    before, here = painted[:, 2:], now[:, 2:]
    gain = now[:, 1:2] / np.maximum(painted[:, 1:2], np.float32(1))
    faded = (before - painted[:, :1]) * gain + now[:, :1]
    miss = np.minimum(np.abs(before - here).mean(1), np.abs(faded - here).mean(1))
    left = np.clip(np.float32(1.5) - miss / np.float32(AGAIN), 0, 1)
    return np.asarray(np.where(painted[:, 1] < 0, 1, left), np.float32)


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
    own = [*places, hints.ab[y, x, 0], hints.ab[y, x, 1], hints.weight[y, x], hints.keep[y, x]]
    return _unanchored(np.stack(own, 1, dtype=np.float32))


def _unanchored(own: Float) -> Float:
    """Points of which nothing is known about where they were painted."""
    rest = np.zeros((len(own), _COLUMNS - _OWN), np.float32)
    rest[:, 1] = -1
    return np.hstack([own, rest])


def _unpacked(state: bytes) -> tuple[int, Float]:
    """The frame whose reference is in use, and the points."""
    (reference,) = _REFERENCE.unpack_from(state)
    if reference in (_SIX, _WIDE):
        columns = _OWN if reference == _SIX else _COLUMNS
        (reference,) = _REFERENCE.unpack_from(state, _REFERENCE.size)
        points = np.frombuffer(state, "<f4", offset=2 * _REFERENCE.size).reshape(-1, columns).astype(np.float32)
        return reference, points if columns == _COLUMNS else _unanchored(points)
    points = np.frombuffer(state, "<f4", offset=_REFERENCE.size).reshape(-1, 4)
    full = np.tile(np.array([[1, 0]], np.float32), (len(points), 1))
    return reference, _unanchored(np.hstack([points, full]).astype(np.float32))
