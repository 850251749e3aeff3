"""A film's colour, frame by frame: one state machine for ``colorpipe run`` and ``Session.film``.

It has two halves, which a run gives to different threads::

    frames -> FilmPlanner: shots, key frames, hints -> FilmStep, with a view for the network where it is asked
    FilmStep, with the network's chroma -> FilmMerger: chroma of every frame -> ColouredFrame, in order

``Film`` does all of it in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.temporal import (
    HintTracker,
    Neighbourhood,
    Scout,
    SpanMerger,
    SpanPlanner,
    SpanStep,
    small_luma,
    unpacked,
)
from colorpipe.types import Frame

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.pipeline.frame import Pipeline, Prepared
    from colorpipe.types import Companion, Encoding


@dataclass(frozen=True)
class FilmStep:
    """A frame at its place in the film, as ``FilmPlanner`` hands it on. A frame comes once for each of its spans."""

    frame: Frame
    """Restored; it lacks only colour."""
    span_step: SpanStep
    prepared: Prepared | None = None
    """The input for the network; None where the network is not needed."""
    tracker: bytes = b""
    """``HintTracker.packed`` at a key frame."""


@dataclass(frozen=True)
class ColouredFrame:
    """A frame whose chroma is settled."""

    frame: Frame
    ab: Float
    """(h, w, 2), CIE units, over the whole frame."""
    view_size: tuple[int, int]
    """Height and width of the view that the chroma comes from."""
    state: bytes | None = b""
    """The state from which another run goes on after this frame; None where it cannot."""


class Decided(NamedTuple):
    """A frame whose place in the film is decided, and the frames of its shot around it, for a method with
    ``neighbours``."""

    frame: Frame
    span_step: SpanStep
    before: list[Frame]
    after: list[Frame]


class FilmPlanner:
    """Frames -> their place in the film; only key frames get a view for the network.

    Args:
        distance: Frames from one key frame to the next, at most.
        state: What ``FilmMerger`` gave with the last frame of an earlier run, for a run that goes on after it.
        target: The encoding that the sink wants, where it differs from the source's.
        companion: What belongs to the film, for a method that asks for that.
        before: The last frames that an earlier run made, where its shot goes on.
    """

    shots = 0
    key_frames = 0
    """Frames that the network was given, so far."""

    def __init__(
        self,
        pipeline: Pipeline,
        sidecars: SidecarFiles,
        distance: int,
        *,
        state: bytes = b"",
        target: Encoding | None = None,
        companion: Companion | None = None,
        before: Sequence[Frame] = (),
    ) -> None:
        self._pipeline, self._target, self._companion = pipeline, target, companion
        self._neighbourhood = Neighbourhood(pipeline.runtime.colorizer.neighbours)
        self._before = [pipeline.restore(frame, target) for frame in before]
        lumas = [small_luma(frame.luma, frame.encoding.bits) for frame in self._before]
        self._scout = Scout(lumas) if lumas else None
        tracker = HintTracker(sidecars, pipeline.media, unpacked(state)[1] if state else b"")
        self._spans = SpanPlanner(distance, sidecars.frames, tracker, bool(state))
        self._waiting: deque[Frame] = deque()
        """Frames whose place is not decided yet."""

    def push(self, frame: Frame) -> list[Decided]:
        """The steps that are decided with this frame, a few frames late. Give each to ``view``, in order."""
        decided = self._decided(self._spans.finish()) if frame.metadata.extra.get("cut") else []
        self._waiting.append(self._pipeline.restore(frame, self._target))
        luma = small_luma(self._waiting[-1].luma, frame.encoding.bits)
        if self._scout is not None:
            self._scout.push(luma)
        return self._around(decided + self._decided(self._spans.push(luma, frame.index)))

    def finish(self) -> list[Decided]:
        """The steps of the last frames."""
        last = self._around(self._decided(self._spans.finish()))
        return last + [Decided(*placed, before, after) for placed, before, after in self._neighbourhood.finish()]

    def view(self, decided: Decided) -> FilmStep:
        """A step with the network's view of its frame if the network sees it, under the hints that reach the frame."""
        frame, span_step = decided.frame, decided.span_step
        tracker, prepared = self._spans.tracker(span_step), None
        if span_step.asked:
            seen = self._pipeline.network_view(frame, tracker.hints, tracker.reference)
            around = self._pipeline.neighbours_of(frame, decided.before, decided.after)
            prepared = replace(seen, companion=self._companion, neighbours=around)
        self.shots += span_step.oldest and span_step.step.first
        self.key_frames += prepared is not None
        return FilmStep(frame, span_step, prepared, tracker.packed() if span_step.step.key else b"")

    def _around(self, decided: list[tuple[Frame, SpanStep]]) -> list[Decided]:
        if decided and self._scout is not None:
            kept = self._scout.of_the_shot()
            self._neighbourhood.resume(self._before[len(self._before) - kept :])
            self._scout, self._before = None, []
        return [Decided(*placed, before, after) for placed, before, after in self._neighbourhood.push(decided)]

    def _decided(self, frames: list[list[SpanStep]]) -> list[tuple[Frame, SpanStep]]:
        steps = []
        for span_steps in frames:
            frame = self._waiting.popleft()
            steps += [(frame, span_step) for span_step in span_steps]
        return steps


class FilmMerger:
    """Steps with the network's chroma -> frames whose chroma is settled, in order.

    Args:
        state: As for ``FilmPlanner``.
    """

    def __init__(self, pipeline: Pipeline, state: bytes = b"") -> None:
        self._pipeline = pipeline
        self._spans = SpanMerger(state)
        self._held: deque[Frame] = deque()
        """Frames that wait for their chroma."""

    def push(self, step: FilmStep, ab: Float | None) -> list[ColouredFrame]:
        """The frames that are settled with a step.

        Args:
            ab: The network's chroma, where it was asked.
        """
        predicted = None
        if ab is not None and step.prepared is not None:
            predicted, _ = self._pipeline.crop_chroma(step.prepared, ab)
        settled = self._spans.push(step.span_step, predicted, step.tracker)
        if step.span_step.newest:
            self._held.append(step.frame)
        return self._coloured(settled)

    def finish(self) -> list[ColouredFrame]:
        """The frames that are left."""
        return self._coloured(self._spans.finish())

    def _coloured(self, settled: Iterable[tuple[Float, bytes | None]]) -> list[ColouredFrame]:
        return [ColouredFrame(self._held.popleft(), ab, (ab.shape[0], ab.shape[1]), state) for ab, state in settled]


class Film:
    """Takes a film's frames and gives them in colour, in order, as the recipe's ``temporal`` says.

    Iterating works once. At most as many frames as lie between two key frames are held.

    Args:
        sidecars: Hint and reference files; None looks for those beside the file that the first frame came from.
        predictor_for: A reference file -> a ``predict`` with that reference, for methods that take one.

    Raises:
        InputError, UsageError: on iterating, where a hint or reference file cannot be used.
    """

    shots = 0
    """The number of shots so far; none are looked for where every frame is coloured on its own."""
    key_frames = 0
    """Frames that the network has seen so far."""
    notes: tuple[str, ...] = ()
    """Remarks for a person, when the film has ended: a hint file that was not used."""

    def __init__(
        self,
        pipeline: Pipeline,
        frames: Iterable[Frame],
        sidecars: SidecarFiles | None = None,
        predictor_for: Callable[[Path], Callable[..., list[Float]]] | None = None,
    ) -> None:
        self._pipeline, self._frames = pipeline, iter(frames)
        self._sidecars, self._predictor_for = sidecars, predictor_for

    def __iter__(self) -> Iterator[Frame]:
        first = next(self._frames, None)
        if first is None:
            return
        sidecars = self._sidecars
        if sidecars is None:
            colorizer = type(self._pipeline.runtime.colorizer)
            sidecars = SidecarFiles.of(first.origin, colorizer) if first.origin.is_file() else SidecarFiles()
        notes = sidecars.check((first.height, first.width), self._pipeline.media)
        if first.origin.is_file():
            notes += sidecars.remarks(first.origin, self._pipeline.merge.saturation)
        distance = self._pipeline.merge.key_distance
        read = 0
        for frame in self._singly(first, sidecars) if distance is None else self._steadily(first, sidecars, distance):
            read += 1
            yield frame
        self.notes = (*notes, *sidecars.notes(first.index + read, distance is not None))

    def _all(self, first: Frame) -> Iterator[Frame]:
        yield first
        yield from self._frames

    def _singly(self, first: Frame, sidecars: SidecarFiles) -> Iterator[Frame]:
        for frame in self._all(first):
            hinted = sidecars.hint_source(frame.index, self._pipeline.media)
            reference = sidecars.references.get(frame.index)
            prepared = self._pipeline.prepare(frame, None, hinted, reference, self._companion(first, sidecars))
            self.key_frames += 1
            yield self._pipeline.finish(prepared, self._predict(prepared, alone=False))

    def _steadily(self, first: Frame, sidecars: SidecarFiles, distance: int) -> Iterator[Frame]:
        companion = self._companion(first, sidecars)
        planner = FilmPlanner(self._pipeline, sidecars, distance, companion=companion)
        merger = FilmMerger(self._pipeline)
        for frame in self._all(first):
            yield from self._merged(planner, merger, planner.push(frame))
        yield from self._merged(planner, merger, planner.finish())
        yield from self._laid(merger.finish())

    def _companion(self, first: Frame, sidecars: SidecarFiles) -> Companion | None:
        return self._pipeline.companion_of(first, sidecars)

    def _merged(self, planner: FilmPlanner, merger: FilmMerger, decided: Iterable[Decided]) -> Iterator[Frame]:
        for one in decided:
            step = planner.view(one)
            self.shots, self.key_frames = planner.shots, planner.key_frames
            ab = None if step.prepared is None else self._predict(step.prepared, alone=True)
            yield from self._laid(merger.push(step, ab))

    def _predict(self, prepared: Prepared, *, alone: bool) -> Float:
        through = None
        if prepared.reference is not None and self._predictor_for is not None:
            through = self._predictor_for(prepared.reference)
        return self._pipeline.predict([prepared], through, alone)[0]

    def _laid(self, coloured: Iterable[ColouredFrame]) -> Iterator[Frame]:
        for one in coloured:
            yield self._pipeline.merge_chroma(one.frame, one.ab, one.view_size)
