"""Chroma of key frames propagated to the frames between them.

Chroma is (h, w, 2) float32 in CIE units, at the size of the small luma.
"""

from __future__ import annotations

import cv2
import numpy as np

from colorpipe.color import Float
from colorpipe.temporal.fill import fill, resized
from colorpipe.temporal.keyframes import Step
from colorpipe.temporal.optical_flow import FlowChain, warp

MEMORY = 24.0
"""Frames after which the network's cast for a shot counts as much as the shot's cast so far: one second."""
KNOWN = 0.5
"""Mean trust in carried colour from which on it counts in full; below, it counts less as more of a key frame is new."""
LOCAL = 0.5
"""Share of the propagated colour in a key frame's, place by place, where it is trusted. The rest is the network's, with
the shot's cast. On six clips, flicker relative to colouring every frame alone is 0.31 with 0, 0.27 with 0.5 and 0.26
with 0.9, but with 0.9 errors in saturation persist."""
FOLLOW = 0.75
"""Exponent of how far a key frame's saturation follows the network's: the network predicts stronger colour as objects
approach. With 0, colourfulness falls up to 9% below that of colouring every frame alone; with 0.75, up to 5%; with 1,
hardly less. Flicker grows by a twentieth, and PSNR falls where the network's colours are stronger than the true ones.
"""
MOST_FOLLOWED = 1.15
"""A key frame's saturation is changed by at most this factor, up or down."""
WIDE = 8
"""A shot's colour is compared over Gaussian windows with a standard deviation of 1/8 of the longer side: hue and
saturation of things, not their borders. The network's own borders are sharper than propagated ones."""
MOST_GAIN = np.float32(0.5)
"""The most that a mixture's chroma is raised, as a share: between opposite hues, either would be wrong."""


class ChromaPropagator:
    """Takes steps, the key frames' with the network's chroma, and gives chroma for every frame, in order.

    A frame's chroma comes once the next key frame is there: those from one to the next are held.

    Args:
        chroma: Of the key frame that comes first, as it was agreed on, where a film is taken up there; what follows is
            then what it would have been.
    """

    chroma: Float | None
    """Chroma of the last key frame, after ``agree``. With the frames from there on, it decides all that follows."""

    def __init__(self, chroma: Float | None = None) -> None:
        self.chroma = chroma
        self._resumed = chroma is not None
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
        fresh = resized(predicted, step.luma.shape)
        if step.first or self.chroma is None:
            settled, self.chroma = self.finish(), fresh
        else:
            agreed = agree(fresh, warp(self.chroma, step.path.shift), step.path.trust, len(self._held) + 1)
            settled, self.chroma = self._between(step, self.chroma, agreed), agreed
        self._held = []
        return settled

    def finish(self) -> list[Float]:
        """Chroma of the last key frame and those after it, if no other follows."""
        if self.chroma is None:
            return []
        held, self._held = self._held, []
        return [self.chroma, *(fill(warp(self.chroma, step.path.shift), step.path.trust) for step in held)]

    def _between(self, key: Step, earlier: Float, later: Float) -> list[Float]:
        """Chroma of the last key frame and of the frames held.

        It comes from the key frames on either side; nearer and surer ones count for more.
        """
        steps, count = [*self._held, key], len(self._held) + 1
        path, paths = FlowChain.start(key.luma.shape), []
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
            settled.append(fill(_mix(before, after, share), weight))
        return settled


def agree(predicted: Float, carried: Float, trust: Float, frames: int) -> Float:
    """A key frame's chroma: the network's, made to agree with the colour of its shot so far.

    First over wide windows: the difference to the colour that was carried from the last key frame, ``frames`` away,
    where that is trusted, continued elsewhere, is added by ``MEMORY / (MEMORY + frames)``. So a new thing gets the
    network's colour with the shot's cast, and the shot gradually converges to the network's prediction. Then place by
    place: trusted propagated colour is half of the result. It is a mean of the network's predictions so far, of which
    the latest counts most. The saturation that this costs, over the whole frame, is given back in part.
    """
    difference = fill(carried - predicted, trust)
    difference = np.asarray(cv2.GaussianBlur(difference, (0, 0), max(difference.shape) / WIDE), np.float32)
    cast = MEMORY / (MEMORY + frames) * min(1.0, float(trust.mean()) / KNOWN)
    agreed = _mix(predicted, predicted + difference, np.float32(cast))
    agreed = _mix(agreed, carried, np.float32(LOCAL) * trust)
    stronger = float(np.linalg.norm(predicted)) / max(float(np.linalg.norm(agreed)), 1e-6)
    return np.asarray(agreed * np.float32(np.clip(stronger**FOLLOW, 1 / MOST_FOLLOWED, MOST_FOLLOWED)), np.float32)


def _mix(a: Float, b: Float, share: Float | np.float32) -> Float:
    """``a + (b - a) * share``, made as colourful as the two are: a mean of two hues is paler than either.

    ``a`` itself where both are equal.

    Args:
        share: (h, w), or one for all.
    """
    # plane by plane: numpy is ten times slower on rows of two that share a factor
    planes_a, planes_b = cv2.split(a), cv2.split(b)
    mixed = [plane_a + (plane_b - plane_a) * share for plane_a, plane_b in zip(planes_a, planes_b, strict=True)]
    # not cv2.magnitude: its last bit depends on where an array lies in memory
    chroma, chroma_a, chroma_b = (np.sqrt(x * x + y * y) for x, y in (mixed, planes_a, planes_b))
    lost = chroma_a + (chroma_b - chroma_a) * share - chroma
    gain = 1 + np.minimum(lost / np.maximum(chroma, np.float32(1e-3)), np.float32(MOST_GAIN))
    return np.asarray(cv2.merge([plane * gain for plane in mixed]), np.float32)
