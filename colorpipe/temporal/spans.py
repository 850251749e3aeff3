"""Films with hint or reference files: colour that is led from the frame that a file names on.

Such a frame begins a strand: it is a key frame, and its colour agrees with nothing before it. The strand before goes
on beside it, unled, to its next key frame, so that the frames before the named one are settled between the key frames
that they would have without the file, and stay what they were. A film without such files is one strand. ::

    frames    0 ........... k ..... n ............ end      k is named
    strand 0  key  .  key  .  .  .  key                     gives the frames before k
    strand 1                key  .  .  .  key  .  .         gives those from k on
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from colorpipe.color import Float
from colorpipe.temporal.hint_tracker import Lead
from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.optical_flow import Small
from colorpipe.temporal.propagate import Carrier

_SHAPE = struct.Struct("<II")
Settled = tuple[Float, "bytes | None"]
"""Chroma of a frame, and what another run needs to know to go on after it; None where it cannot."""


@dataclass(frozen=True)
class Turn:
    """A frame's step in one strand."""

    strand: int
    frame: int
    """Counted from the first that this run has read."""
    step: Step
    begins: int | None
    """Of the frame that begins the strand: its number in the film."""
    asked: bool
    """The network sees this frame."""
    oldest: bool
    """Of the strands that have a turn at this frame, which come in order."""
    newest: bool


@dataclass
class _Planned:
    """A strand on the reader's side."""

    planner: Planner
    index: int
    """Of its first frame, in the film."""
    start: int
    at: int
    """Frames that this run has read: before its first; before the one whose step comes next."""


class Strands:
    """Frames -> their steps in every strand that is alive.

    Args:
        distance: As of ``Planner``.
        named: Frames that begin a strand, by their number in the film.
        lead: Nothing, or what leads at the first frame where a film is taken up there.
        resumed: It is taken up there, with the colour that the frame was given.
    """

    def __init__(self, distance: int, named: Collection[int], lead: Lead, resumed: bool) -> None:
        self._distance, self._named, self._resumed = distance, named, resumed
        self._strands: dict[int, _Planned] = {}
        self._leads = {-1: lead}
        self._pushed = self._begun = 0

    def push(self, luma: Small, index: int) -> list[list[Turn]]:
        """The turns of the frames that are decided, a frame's together.

        Args:
            index: The frame's number in the film.
        """
        if not self._pushed or index in self._named:
            self._strands[self._begun] = _Planned(Planner(self._distance), index, self._pushed, self._pushed)
            self._begun += 1
        self._pushed += 1
        return self._turns({number: strand.planner.push(luma) for number, strand in self._strands.items()})

    def finish(self) -> list[list[Turn]]:
        """Those of the last frames."""
        return self._turns({number: strand.planner.finish() for number, strand in self._strands.items()})

    def lead(self, turn: Turn) -> Lead:
        """What leads the network at a turn; to be asked for every turn, in order."""
        before = turn.strand - 1
        if turn.oldest:
            self._leads = {number: lead for number, lead in self._leads.items() if number >= before}
        if turn.begins is None:
            self._leads[turn.strand].follow(turn.step)
        else:
            lead = self._leads[before].named(turn.begins) if turn.asked else self._leads[before]
            lead.begin(turn.step)
            self._leads[turn.strand] = lead
        return self._leads[turn.strand]

    def _turns(self, decided: dict[int, list[Step]]) -> list[list[Turn]]:
        frames: dict[int, list[Turn]] = {}
        for number, steps in decided.items():
            strand, following = self._strands[number], self._strands.get(number + 1)
            for step in steps:
                begins = strand.index if strand.at == strand.start else None
                asked = step.key and not (self._resumed and strand.at == 0)
                turns = frames.setdefault(strand.at, [])
                turns.append(Turn(number, strand.at, step, begins, asked, oldest=not turns, newest=False))
                strand.at += 1
                if step.key and following is not None and following.start < strand.at:
                    del self._strands[number]  # all before the frame that begins the following one is settled
                    break
        return [[*turns[:-1], replace(turns[-1], newest=True)] for _, turns in sorted(frames.items())]


@dataclass
class _Woven:
    """A strand on the writer's side."""

    carrier: Carrier
    start: int
    """Its first frame."""
    given: int = 0
    """Frames from there on that were given."""
    state: bytes = b""
    """What another run needs to know to begin with its first frame."""
    settled: list[Settled] = field(default_factory=list)
    """Frames after those."""


class Weaver:
    """Turns, with the network's chroma, -> chroma of every frame, in order, each from the last strand that holds it.

    Args:
        state: What was told with the last frame, where a film is taken up.
    """

    def __init__(self, state: bytes = b"") -> None:
        self._strands: list[tuple[int, _Woven]] = []
        self._chroma = unpacked(state)[0] if state else None

    def push(self, turn: Turn, predicted: Float | None, lead: bytes) -> list[Settled]:
        """The frames that are settled with a turn.

        Args:
            predicted: Of a key frame, what the network says, of any size.
            lead: Of a key frame, ``Lead.packed``.
        """
        if turn.begins is not None:
            self._strands.append((turn.strand, _Woven(Carrier(self._chroma), turn.frame)))
            self._chroma = None
        strand = dict(self._strands)[turn.strand]
        self._settle(strand, strand.carrier.push(turn.step, predicted))
        if turn.step.key and strand.carrier.chroma is not None:
            state = _packed(strand.carrier.chroma, lead)
            if strand.settled:
                # All before the key frame is settled; another run may begin with it, and needs to know its colour.
                strand.settled[-1] = strand.settled[-1][0], state
            else:
                strand.state = state
        return self._given() if turn.newest else []

    def finish(self) -> list[Settled]:
        """Those that are left."""
        for _, strand in self._strands:
            self._settle(strand, strand.carrier.finish())
        return self._given()

    def _settle(self, strand: _Woven, chroma: list[Float]) -> None:
        strand.settled += [(ab, None) for ab in chroma]

    def _given(self) -> list[Settled]:
        given: list[Settled] = []
        while self._strands:
            strand = self._strands[0][1]
            following = self._strands[1][1] if len(self._strands) > 1 else None
            count = len(strand.settled)
            if following is not None:
                count = min(count, following.start - strand.start - strand.given)
            given += strand.settled[:count]
            strand.settled = strand.settled[count:]
            strand.given += count
            if following is None or strand.start + strand.given < following.start:
                break
            given[-1] = given[-1][0], following.state
            self._strands.pop(0)
        return given


def _packed(chroma: Float, lead: bytes) -> bytes:
    """A key frame's chroma, (h, w, 2), to the bit, and what leads there."""
    return _SHAPE.pack(*chroma.shape[:2]) + chroma.astype("<f4").tobytes() + lead


def unpacked(state: bytes) -> tuple[Float, bytes]:
    """What ``Weaver`` has told with a frame: the chroma of the one after it, and ``Lead.packed`` there."""
    height, width = _SHAPE.unpack_from(state)
    chroma = np.frombuffer(state, "<f4", height * width * 2, _SHAPE.size)
    return chroma.reshape(height, width, 2).astype(np.float32), state[_SHAPE.size + chroma.nbytes :]
