"""Shots and key frames, found from the luma alone: before any colour is known, so that reading, network and writing
overlap, and so that a job that goes on after a kill finds the same ones.

Frames are decided ``FLASH + 1`` frames late: what looks like a cut is one only if the picture does not come back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import cv2

from colorpipe.settings import KEY_DISTANCE
from colorpipe.temporal.optical_flow import FlowChain, FlowFinder, Motion, Small, still

CUT = 27.0
"""Mean difference of the luma, 8-bit codes, from which PySceneDetect's content detector sees a cut: its own default."""
FOLLOWED = 0.2
"""Trust in the motion between two frames, on average, from which on they are of one shot whatever the detector says:
up to 0.09 over the seven cuts of the clips at hand, from 0.26 in a fast pan that the detector takes for several."""
FLASH = 3
"""Frames that a flash, or a dropout, lasts at most."""
SAME_SCENE = 0.5
"""Correlation with the frame before from which a flash lights the same scene; below it another picture was cut in."""
BLANK = 6.0
"""Standard deviation, 8-bit codes, up to which a frame shows nothing: a white-out or a black frame."""
LEAST_DISTANCE = 8
"""Frames between key frames that are set because trust is lost gradually."""
LOST = 0.35
"""Share of the picture's trust whose loss leads to a key frame, from ``LEAST_DISTANCE`` on."""
LOST_AT_ONCE = 0.7
"""Share lost between two frames that means that nothing was followed: a key frame is set at any distance."""
LOST_AT_END = 0.1
"""Share from which on a shot's last frame becomes a key frame: no later frame will show the new parts."""


@dataclass(frozen=True)
class Step:
    """A frame's place in the film, from its luma."""

    luma: Small
    first: bool
    """This is a shot's first frame: no colour comes from before."""
    key: bool
    """The network sees this frame."""
    motion: Motion
    """Motion from the frame before; meaningless for a shot's first frame."""
    path: FlowChain
    """Path to the last key frame before this one; a shot's first frame has a path to itself."""


class Planner:
    """Takes each frame's small luma and gives a ``Step`` for each, in order, a few frames late.

    Args:
        distance: Frames from one key frame to the next, at most.

    The first frame that is given is a shot's first: after a kill, that is the key frame at which a segment begins.
    """

    def __init__(self, distance: int = KEY_DISTANCE) -> None:
        self._distance = distance
        self._flow = FlowFinder()
        self._content = _Content()
        self._waiting: deque[Small] = deque()
        self._held: Step | None = None
        """A decided step, except for whether it is a shot's last."""
        self._steady: Small | None = None
        """The last frame that was not in a flash."""
        self._flash = 0
        """Frames of a flash that are still to come."""
        self._key_luma: Small | None = None
        self._path = FlowChain.start((1, 1))
        self._since_key = 0

    def push(self, luma: Small) -> list[Step]:
        self._waiting.append(luma)
        return self._decide() if len(self._waiting) > FLASH else []

    def finish(self) -> list[Step]:
        """The steps of the last frames. A frame that comes after it begins a shot."""
        steps = []
        while self._waiting:
            steps += self._decide()
        if self._held is not None:
            steps.append(_ended(self._held))
            self._held = None
        self._steady, self._flash = None, 0
        return steps

    def _decide(self) -> list[Step]:
        """Hold the step of the oldest waiting frame, and give the step that was held before."""
        luma = self._waiting.popleft()
        step = self._step(luma)
        done, self._held = self._held, step
        if done is None:
            return []
        return [_ended(done) if step.first else done]

    def _step(self, luma: Small) -> Step:
        if self._steady is None or self._key_luma is None:
            return self._first(luma)
        if self._flash:
            self._flash -= 1
            return self._bridge(luma)
        motion = self._flow.between(self._steady, luma)
        if self._content.differs(self._steady, luma):
            self._flash = self._flash_length(luma)
            if self._flash:
                self._flash -= 1
                return self._bridge(luma)
            step = FlowChain.start(luma.shape).longer(motion.back, motion.back_trust).checked(luma, self._steady)
            if float(step.trust.mean()) < FOLLOWED:
                return self._first(luma)
        self._steady = luma
        self._since_key += 1
        path = self._path = self._path.longer(motion.back, motion.back_trust).checked(luma, self._key_luma)
        lost = 1 - float(path.trust.mean())
        key = self._since_key >= self._distance or (self._since_key >= LEAST_DISTANCE and lost >= LOST)
        if key or 1 - float(motion.back_trust.mean()) >= LOST_AT_ONCE:
            self._begin(luma)
            return Step(luma, False, True, motion, path)
        return Step(luma, False, False, motion, path)

    def _first(self, luma: Small) -> Step:
        self._steady = luma
        self._begin(luma)
        return Step(luma, True, True, still(luma.shape), self._path)

    def _begin(self, luma: Small) -> None:
        self._key_luma, self._path, self._since_key = luma, FlowChain.start(luma.shape), 0

    def _bridge(self, luma: Small) -> Step:
        """A step through a flash, in which nothing can be followed: nothing is assumed to have moved."""
        self._since_key += 1
        return Step(luma, False, False, still(luma.shape), self._path)

    def _flash_length(self, luma: Small) -> int:
        """Frames until the scene before ``luma`` is back; 0 if it is not, or if ``luma`` shows another one."""
        assert self._steady is not None
        blank = float(cv2.meanStdDev(luma)[1][0, 0]) <= BLANK
        if not blank and _correlation(self._steady, luma) < SAME_SCENE:
            return 0
        for length, later in enumerate(self._waiting, 1):
            if not self._content.differs(self._steady, later):
                return length
        return 0


def _ended(step: Step) -> Step:
    """The step as a shot's last."""
    return replace(step, key=step.key or 1 - float(step.path.trust.mean()) >= LOST_AT_END)


class _Content:
    """PySceneDetect's content detector, between two planes."""

    def __init__(self) -> None:
        # imported where a film needs it: it brings every backend of its own along
        from scenedetect import ContentDetector, FrameTimecode

        self._detector, self._timecode = ContentDetector, FrameTimecode

    def differs(self, before: Small, after: Small) -> bool:
        if cv2.norm(before, after, cv2.NORM_L1) < CUT / 2 * before.size:
            return False  # not nearly: the detector, which converts colours first, need not be asked
        detector = self._detector(CUT, min_scene_len=0, luma_only=True)
        found = False
        for number, plane in enumerate((before, after)):
            found = bool(detector.process_frame(self._timecode(number, 1.0), cv2.merge([plane] * 3)))
        return found


def _correlation(a: Small, b: Small) -> float:
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0])
