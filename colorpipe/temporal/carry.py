"""Chroma of key frames carried to the frames between them.

Chroma is (h, w, 2) float32 in CIE units, at the size of the small luma.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from colorpipe.color import Float
from colorpipe.temporal.motion import Path, warp
from colorpipe.temporal.plan import Step

MEMORY = 32.0
"""Frames over which a shot's colour is the mean of what the network said, about. Less lets its changes of mind show,
more keeps what it got wrong: with 72, a scene that comes nearer, in which it saw more colour by and by, was a tenth
paler."""
FIRST = 16.0
"""Frames that a shot's first key frame counts for: about what a later one does."""
MOST_GAIN = np.float32(0.5)
"""By how much a mixture is made more colourful at most: where two hues are opposite, either would be a lie."""
_HEAD = struct.Struct("<IId")
"""Height, width and age of a stored colour."""
SURE = 0.05
"""Weight from which on a place's own chroma is taken; below it, the more of its neighbours' the less there is."""


@dataclass(frozen=True)
class Colour:
    """A key frame's chroma, as it was agreed on: with the frames from there on, all that decides what follows."""

    chroma: Float
    """(h, w, 2)"""
    age: float
    """Frames of its shot that it is the mean of; at most ``MEMORY``."""

    def to_bytes(self) -> bytes:
        height, width = self.chroma.shape[:2]
        return _HEAD.pack(height, width, self.age) + self.chroma.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Colour:
        """The inverse of ``to_bytes``, bit for bit."""
        height, width, age = _HEAD.unpack_from(stored)
        values = np.frombuffer(stored, "<f4", offset=_HEAD.size).reshape(height, width, 2)
        return cls(values.astype(np.float32), age)


class Carrier:
    """Takes steps, the key frames' with the network's chroma, and gives chroma for every frame, in order.

    A frame's chroma comes once the next key frame is there: those from one to the next are held.

    Args:
        colour: Of the key frame that comes first, where a film is taken up there; what follows is then what it would
            have been.
    """

    colour: Colour | None
    """Of the last key frame."""

    def __init__(self, colour: Colour | None = None) -> None:
        self.colour = colour
        self._resumed = colour is not None
        self._held: list[Step] = []
        """Since the last key frame."""

    def push(self, step: Step, predicted: Float | None = None) -> list[Float]:
        """Chroma of the frames before this one, if it is a key frame.

        Args:
            predicted: Of a key frame, what the network says, of any size.
        """
        if self._resumed:
            self._resumed = False
            return []
        if not step.key:
            self._held.append(step)
            return []
        if predicted is None:
            raise ValueError("a key frame comes with its chroma")
        fresh = _resize(predicted, step.luma.shape)
        if step.first or self.colour is None:
            settled, self.colour = self.finish(), Colour(fresh, FIRST)
        else:
            agreed = agree(fresh, self.colour, step.path, len(self._held) + 1)
            settled, self.colour = self._between(step, self.colour.chroma, agreed.chroma), agreed
        self._held = []
        return settled

    def finish(self) -> list[Float]:
        """Chroma of the last key frame and those after it, where no other follows."""
        if self.colour is None:
            return []
        chroma, held, self._held = self.colour.chroma, self._held, []
        return [chroma, *(fill(warp(chroma, step.path.shift), step.path.trust) for step in held)]

    def _between(self, key: Step, earlier: Float, later: Float) -> list[Float]:
        """Of the last key frame and the frames held, from the key frames on either side of those, nearer and surer ones
        counting for more."""
        steps, count = [*self._held, key], len(self._held) + 1
        path, paths = Path.start(key.luma.shape), []
        for step, following in zip(steps[-2::-1], steps[:0:-1], strict=True):
            motion = following.motion
            path = path.longer(motion.ahead, motion.ahead_trust).checked(step.luma, key.luma)
            paths.append(path)
        settled = [earlier]
        for number, (step, ahead) in enumerate(zip(self._held, reversed(paths), strict=True), 1):
            near, far = step.path.trust * (1 - number / count), ahead.trust * (number / count)
            weight = near + far
            share = far / np.maximum(weight, np.float32(1e-6))
            before, after = warp(earlier, step.path.shift), warp(later, ahead.shift)
            settled.append(fill(_mix(before, after, share[..., None]), weight))
        return settled


def agree(predicted: Float, colour: Colour, path: Path, frames: int) -> Colour:
    """A key frame's colour: the network's, made to agree with what the shot has been given so far.

    Where the carried colour is trusted the two are mixed as a running mean is, ``age / (age + frames)`` of the old;
    elsewhere the network's is first shifted by a smooth continuation of the difference. So a colour that has been seen
    stays, a new thing beside it gets the network's colour with the shot's cast, and the network has its way slowly.

    Args:
        path: To the key frame of ``colour``, ``frames`` away.
    """
    carried = warp(colour.chroma, path.shift)
    seen = predicted + fill(carried - predicted, path.trust)
    keep = colour.age / (colour.age + frames)
    return Colour(_mix(predicted, seen, np.float32(keep)), min(colour.age + frames, MEMORY))


def _mix(a: Float, b: Float, share: Float | np.float32) -> Float:
    """``a + (b - a) * share``, made as colourful as the two are: a mean of two hues is paler than either.

    ``a`` itself where both are equal.
    """
    mixed = a + (b - a) * share
    chroma, chroma_a, chroma_b = (np.sqrt(np.sum(ab * ab, -1, keepdims=True)) for ab in (mixed, a, b))
    lost = chroma_a + (chroma_b - chroma_a) * share - chroma
    return np.asarray(mixed * (1 + np.minimum(lost / np.maximum(chroma, 1e-3), MOST_GAIN)), np.float32)


def fill(values: Float, weight: Float) -> Float:
    """Values (h, w, 2) where their weight is above ``SURE``; below, the weighted mean of ever wider surroundings.

    Pull and push, after Gortler et al. 1996, The Lumigraph, section 3.4. Zero where there is no weight at all.
    """
    if float(weight.min()) >= SURE:
        return values
    sure = np.minimum(weight / np.float32(SURE), 1)[..., None]
    around = _surroundings(np.dstack([values * weight[..., None], weight]))
    return np.asarray(sure * values + (1 - sure) * around, np.float32)


def _surroundings(sums: Float) -> Float:
    """(h, w, 3), values times weight and weight -> (h, w, 2), from means over cells of 2, 4, 8 ... pixels."""
    height, width = sums.shape[:2]
    if max(height, width) == 1:
        return np.asarray(sums[..., :2] / np.maximum(sums[..., 2:], np.float32(1e-6)), np.float32)
    half = np.asarray(cv2.resize(sums, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA), np.float32)
    coarse = _surroundings(half)
    sure = np.minimum(half[..., 2:] / np.float32(SURE), 1)
    mean = half[..., :2] / np.maximum(half[..., 2:], np.float32(1e-6))
    return _resize(sure * mean + (1 - sure) * coarse, (height, width))


def _resize(values: Float, size: tuple[int, ...]) -> Float:
    if values.shape[:2] == size[:2]:
        return values
    return np.asarray(cv2.resize(values, size[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
