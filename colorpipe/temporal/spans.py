"""Colour guided by a sidecar file, starting at the frame its name gives.

Such a frame begins a span: it is a key frame, and its colour is independent of earlier frames. The span before goes on
beside it, without the file, to its next key frame. So the frames before the named one lie between the same key frames
as without the file, and keep their colour. A film without such files is one span. ::

    frames    0 ........... k ..... n ............ end      k is named
    span 0    key  .  key  .  .  .  key                     gives the frames before k
    span 1                  key  .  .  .  key  .  .         gives those from k on
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from colorpipe.color import Float
from colorpipe.temporal.hint_tracker import HintTracker
from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.optical_flow import Small
from colorpipe.temporal.propagate import ChromaPropagator

_SHAPE = struct.Struct("<II")
Settled = tuple[Float, "bytes | None"]
"""Chroma of a frame, and the state from which another run can go on after it; None where it cannot."""


@dataclass(frozen=True)
class SpanStep:
    """A frame's step in one span."""

    span: int
    frame: int
    """Counted from the first that this run has read."""
    step: Step
    begins: int | None
    """The frame's number in the film, if it begins the span."""
    asked: bool
    """The network sees this frame."""
    oldest: bool
    """The frame belongs to the first of the spans that hold it."""
    newest: bool
    """The frame belongs to the last of them."""


@dataclass
class _PlannedSpan:
    """A span on the reader's side."""

    planner: Planner
    index: int
    """Number in the film of its first frame."""
    start: int
    """Frames that this run has read before its first."""
    at: int
    """Frames that this run has read before the one whose step comes next."""


class SpanPlanner:
    """Frames -> their steps in every span that is alive.

    Args:
        distance: As for ``Planner``.
        named: Frames that begin a span, by their number in the film.
        tracker: Follows the hints at the first frame: none, or those of an earlier run that this one resumes.
        resumed: This run goes on at a key frame whose colour an earlier run has settled.
    """

    def __init__(self, distance: int, named: Collection[int], tracker: HintTracker, resumed: bool) -> None:
        self._distance, self._named, self._resumed = distance, named, resumed
        self._spans: dict[int, _PlannedSpan] = {}
        self._trackers = {-1: tracker}
        self._pushed = self._begun = 0

    def push(self, luma: Small, index: int) -> list[list[SpanStep]]:
        """The steps of the frames that are decided, one list for each frame.

        Args:
            index: The frame's number in the film.
        """
        if not self._pushed or index in self._named:
            self._spans[self._begun] = _PlannedSpan(Planner(self._distance), index, self._pushed, self._pushed)
            self._begun += 1
        self._pushed += 1
        return self._span_steps({number: span.planner.push(luma) for number, span in self._spans.items()})

    def finish(self) -> list[list[SpanStep]]:
        """The steps of the last frames."""
        return self._span_steps({number: span.planner.finish() for number, span in self._spans.items()})

    def tracker(self, span_step: SpanStep) -> HintTracker:
        """The tracker that gives the network its hints at a step. Call it for every step, in order."""
        before = span_step.span - 1
        if span_step.oldest:
            self._trackers = {number: tracker for number, tracker in self._trackers.items() if number >= before}
        if span_step.begins is None:
            self._trackers[span_step.span].follow(span_step.step)
        else:
            tracker = self._trackers[before].named(span_step.begins) if span_step.asked else self._trackers[before]
            tracker.begin(span_step.step)
            self._trackers[span_step.span] = tracker
        return self._trackers[span_step.span]

    def _span_steps(self, decided: dict[int, list[Step]]) -> list[list[SpanStep]]:
        frames: dict[int, list[SpanStep]] = {}
        for number, steps in decided.items():
            span, following = self._spans[number], self._spans.get(number + 1)
            for step in steps:
                begins = span.index if span.at == span.start else None
                asked = step.key and not (self._resumed and span.at == 0)
                span_steps = frames.setdefault(span.at, [])
                span_steps.append(SpanStep(number, span.at, step, begins, asked, oldest=not span_steps, newest=False))
                span.at += 1
                if step.key and following is not None and following.start < span.at:
                    del self._spans[number]  # all before the frame that begins the following one is settled
                    break
        return [[*span_steps[:-1], replace(span_steps[-1], newest=True)] for _, span_steps in sorted(frames.items())]


@dataclass
class _MergedSpan:
    """A span on the writer's side."""

    propagator: ChromaPropagator
    start: int
    """Its first frame."""
    given: int = 0
    """Frames from there on that were given."""
    state: bytes = b""
    """The state from which another run begins with its first frame."""
    settled: list[Settled] = field(default_factory=list)
    """Frames after those."""


class SpanMerger:
    """Steps with the network's chroma -> chroma of every frame, in order, each from the last span that holds it.

    Args:
        state: What an earlier run gave with its last frame, for a run that goes on after it.
    """

    def __init__(self, state: bytes = b"") -> None:
        self._spans: list[tuple[int, _MergedSpan]] = []
        self._chroma = unpacked(state)[0] if state else None

    def push(self, span_step: SpanStep, predicted: Float | None, tracker: bytes) -> list[Settled]:
        """The frames that are settled with a step.

        Args:
            predicted: The network's chroma of a key frame, of any size.
            tracker: ``HintTracker.packed`` at a key frame.
        """
        if span_step.begins is not None:
            self._spans.append((span_step.span, _MergedSpan(ChromaPropagator(self._chroma), span_step.frame)))
            self._chroma = None
        span = dict(self._spans)[span_step.span]
        self._settle(span, span.propagator.push(span_step.step, predicted))
        if span_step.step.key and span.propagator.chroma is not None:
            state = _packed(span.propagator.chroma, tracker)
            if span.settled:
                # All before the key frame is settled; another run may begin with it, and needs to know its colour.
                span.settled[-1] = span.settled[-1][0], state
            else:
                span.state = state
        return self._given() if span_step.newest else []

    def finish(self) -> list[Settled]:
        """The frames that are left."""
        for _, span in self._spans:
            self._settle(span, span.propagator.finish())
        return self._given()

    def _settle(self, span: _MergedSpan, chroma: list[Float]) -> None:
        span.settled += [(ab, None) for ab in chroma]

    def _given(self) -> list[Settled]:
        given: list[Settled] = []
        while self._spans:
            span = self._spans[0][1]
            following = self._spans[1][1] if len(self._spans) > 1 else None
            count = len(span.settled)
            if following is not None:
                count = min(count, following.start - span.start - span.given)
            given += span.settled[:count]
            span.settled = span.settled[count:]
            span.given += count
            if following is None or span.start + span.given < following.start:
                break
            given[-1] = given[-1][0], following.state
            self._spans.pop(0)
        return given


def _packed(chroma: Float, tracker: bytes) -> bytes:
    """A key frame's chroma, (h, w, 2), to the bit, and the hints there."""
    return _SHAPE.pack(*chroma.shape[:2]) + chroma.astype("<f4").tobytes() + tracker


def unpacked(state: bytes) -> tuple[Float, bytes]:
    """The state that ``SpanMerger`` gave with a frame: chroma of the next frame, and ``HintTracker.packed`` there."""
    height, width = _SHAPE.unpack_from(state)
    chroma = np.frombuffer(state, "<f4", height * width * 2, _SHAPE.size)
    return chroma.reshape(height, width, 2).astype(np.float32), state[_SHAPE.size + chroma.nbytes :]
