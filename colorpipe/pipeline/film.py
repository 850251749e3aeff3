"""A film's frames in colour, one after the other: what ``colorpipe run`` does in several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.optical_flow import shrink
from colorpipe.temporal.propagate import Carrier

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.pipeline.frame import Pipeline
    from colorpipe.types import Frame


class Film:
    """Takes a film's frames and gives them in colour, in order, as the pipeline's ``--temporal`` says.

    Iterating works once. At most as many frames as lie between two key frames are held.
    """

    shots = 0
    """So far; none are looked for where every frame is coloured on its own."""
    key_frames = 0
    """Frames that the network has seen so far."""

    def __init__(self, pipeline: Pipeline, frames: Iterable[Frame]) -> None:
        self._pipeline, self._frames = pipeline, frames
        self._carrier = Carrier()
        self._held: deque[Frame] = deque()
        """Frames that wait for their chroma."""

    def __iter__(self) -> Iterator[Frame]:
        distance = self._pipeline.merge.key_distance
        return self._singly() if distance is None else self._steadily(Planner(distance))

    def _singly(self) -> Iterator[Frame]:
        for frame in self._frames:
            prepared = self._pipeline.prepare(frame)
            self.key_frames += 1
            yield self._pipeline.finish(prepared, self._pipeline.predict([prepared])[0])

    def _steadily(self, planner: Planner) -> Iterator[Frame]:
        waiting: deque[Frame] = deque()
        for frame in self._frames:
            waiting.append(self._pipeline.restore(frame))
            for step in planner.push(shrink(waiting[-1].luma, frame.encoding.bits)):
                yield from self._settled(waiting.popleft(), step)
        for step in planner.finish():
            yield from self._settled(waiting.popleft(), step)
        yield from self._laid(self._carrier.finish())

    def _settled(self, frame: Frame, step: Step) -> Iterator[Frame]:
        """The frames whose chroma is known with this one."""
        predicted = None
        if step.key:
            prepared = self._pipeline.look(frame)
            predicted, _ = self._pipeline.part(prepared, self._pipeline.predict([prepared], alone=True)[0])
            self.key_frames += 1
        self.shots += step.first
        chroma = self._carrier.push(step, predicted)
        self._held.append(frame)
        yield from self._laid(chroma)

    def _laid(self, chroma: Iterable[Float]) -> Iterator[Frame]:
        for ab in chroma:
            yield self._pipeline.lay(self._held.popleft(), ab, ab.shape[:2])
