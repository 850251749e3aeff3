"""Display times of the frames of a film and of its result."""

from __future__ import annotations

import statistics
from fractions import Fraction
from typing import Any

from colorpipe.verification.difference import seconds
from colorpipe.verification.reading import Film, Picture
from colorpipe.verification.report import Check

_JUMP = 10
"""Seconds by which a recording's time jumps ahead where another clock begins."""
_LATE = Fraction(1, 10)
"""Most seconds before a recording's first stream."""


class Times:
    """Timestamps of two clocks.

    A recording's clock begins anywhere, and again where recordings were joined. Its film begins at 0 and runs on: by as
    much as it was moved for that, its other streams must be moved as well (``shifts``).
    """

    def __init__(self, source: Film, result: Film) -> None:
        self.recorded = source.recorded
        self.coarse = not counts_exactly(source.base, result.base)
        self.tick = result.base
        self.tolerance = tolerance(source.base, result.base)
        self.begins = result.begins
        self.count = 0
        self.largest = Fraction(0)
        self.first: tuple[int, Fraction, Fraction] | None = None
        self.shifts: list[Fraction] = []
        """Seconds by which the times of the source were moved, from each new clock on."""
        self._steps: list[Fraction] = []
        self._before: tuple[Fraction, Fraction] | None = None
        self._lasts: tuple[Fraction | None, Fraction | None] = None, None
        """How long the last frame is shown; None where a file does not tell."""
        self._jolt: tuple[int, Fraction] | None = None

    def add(self, source: Picture, result: Picture) -> None:
        wanted, got = source.time, result.time
        assert wanted is not None  # a film's frames are timed
        assert got is not None
        self.count += 1
        if not self.shifts:
            self.shifts.append(got - wanted if self.recorded else Fraction(0))
        elif self._before is not None and self.recorded:
            step = wanted - self._before[0]
            if step <= 0 or step > _JUMP:
                self.shifts.append(got - wanted)
                self._watch(source.index, got - self._before[1])
            else:
                self._steps = [*self._steps[-32:], step]
        off = abs(wanted + self.shifts[-1] - got)
        self.largest = max(self.largest, off)
        allowed = self.tolerance * (2 if self.recorded else 1)  # the shift was taken from rounded times
        if off > allowed and self.first is None:
            self.first = source.index, wanted, got
        self._before = wanted, got
        self._lasts = source.lasts, result.lasts

    def _watch(self, index: int, step: Fraction) -> None:
        """Watch for a restarted clock: the frame before it is shown for about as long as others."""
        usual = statistics.median(self._steps) if self._steps else step
        if self._jolt is None and not usual / 2 <= step <= 3 * usual:
            self._jolt = index, step

    def check(self) -> Check:
        numbers: dict[str, Any] = {"largest": float(self.largest), "tolerance": float(self.tolerance)}
        if self._jolt is not None:
            index, step = self._jolt
            says = f"the source's clock begins again at frame {index}; in the result it comes after {seconds(step)}"
            return Check("timestamps", "differs", says, numbers)
        if self.first is not None:
            index, wanted, got = self.first
            says = f"frame {index} is at {seconds(wanted)} in the source, at {seconds(got)} in the result"
            first = {"frame": index, "source": float(wanted), "result": float(got)}
            return Check("timestamps", "differs", says, {**numbers, "first": first})
        if self.recorded and self.begins > _LATE:
            says = f"{seconds(self.begins)} of nothing come before the first stream of the result"
            return Check("timestamps", "differs", says, numbers)
        shown, now = self._lasts
        if shown is not None and now is not None and abs(shown - now) > 2 * self.tolerance:
            says = f"the last frame is shown for {seconds(shown)} in the source, for {seconds(now)} in the result"
            return Check("timestamps", "differs", says, numbers)
        moved = ""
        if self.shifts and self.shifts[0]:
            again = f", and again {len(self.shifts) - 1} times where its clock does" if len(self.shifts) > 1 else ""
            moved = f", counted from where the recording begins{again}"
        if not self.coarse:
            return Check("timestamps", "equal", f"all {self.count} exact{moved}", numbers)
        says = f"within half a tick of the result's clock, which counts {_shown(self.tick)} s: it holds no finer times"
        return Check("timestamps", "equal", f"{says} (largest difference {seconds(self.largest)}){moved}", numbers)


def counts_exactly(source: Fraction, result: Fraction) -> bool:
    """Whether the result's clock can express each time that the source states."""
    return (source / result).denominator == 1


def tolerance(source: Fraction, result: Fraction) -> Fraction:
    """Seconds that rounding to the result's clock may cost: half of its tick, or nothing."""
    return Fraction(0) if counts_exactly(source, result) else result / 2


def _shown(tick: Fraction) -> str:
    return f"{tick.numerator}/{tick.denominator}"
