"""The frames around each frame of a shot, kept until they are all there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.optical_flow import Small
from colorpipe.temporal.spans import SpanStep
from colorpipe.types import Frame

Placed = tuple[Frame, SpanStep]


class Neighbourhood:
    """Decided steps, in order -> the same steps, ``count`` frames late, with the frames of the shot around each.

    Args:
        count: Frames before and after; 0 delays nothing and keeps nothing.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._before: deque[Frame] = deque(maxlen=count or 1)
        """Frames of the shot that were released."""
        self._resumed = False
        self._waiting: deque[tuple[Frame, list[SpanStep]]] = deque()
        """Frames of the shot that wait for those after them, each with its steps."""

    def resume(self, before: Sequence[Frame]) -> None:
        """Go on in a shot of which an earlier run has made these frames; called before the first ``push``."""
        self._before.extend(before)
        self._resumed = bool(self._before)

    def push(self, decided: Iterable[Placed]) -> list[tuple[Placed, list[Frame], list[Frame]]]:
        """The steps that are released with some more, each with the frames before and after it.

        All steps of a frame follow each other, as ``SpanPlanner`` gives them.
        """
        released: list[tuple[Placed, list[Frame], list[Frame]]] = []
        for frame, step in decided:
            if not self._count:
                released.append(((frame, step), [], []))
            elif not step.oldest:
                self._waiting[-1][1].append(step)
            else:
                if step.step.first and not self._resumed:
                    released += self.finish()
                self._resumed = False
                self._waiting.append((frame, [step]))
            # A frame's later steps may still come with the next call, so the newest one waits for the one after it.
            while len(self._waiting) > self._count + 1:
                released += self._release()
        return released

    def finish(self) -> list[tuple[Placed, list[Frame], list[Frame]]]:
        """The steps that are left: the shot ends here."""
        released: list[tuple[Placed, list[Frame], list[Frame]]] = []
        while self._waiting:
            released += self._release()
        self._before.clear()
        return released

    def _release(self) -> list[tuple[Placed, list[Frame], list[Frame]]]:
        frame, steps = self._waiting.popleft()
        before, after = list(self._before), [one for one, _ in self._waiting][: self._count]
        self._before.append(frame)
        return [((frame, step), before, after) for step in steps]


class Scout:
    """Finds out which of the frames that an earlier run made are of the shot in which this run begins.

    Args:
        before: Small lumas of the frames before the first of this run, in order.
    """

    def __init__(self, before: Sequence[Small]) -> None:
        self._planner, self._count = Planner(), len(before)
        self._steps: list[Step] = []
        for luma in before:
            self.push(luma)

    def push(self, luma: Small) -> None:
        """A frame of this run; asked for as many as it takes to decide the first."""
        if len(self._steps) <= self._count:
            self._steps += self._planner.push(luma)

    def of_the_shot(self) -> int:
        """How many of the frames before belong to it; to be asked once the first frame's own place is decided."""
        if len(self._steps) <= self._count:
            self._steps += self._planner.finish()
        starts = [number for number, step in enumerate(self._steps[: self._count + 1]) if step.first]
        return self._count - starts[-1]
