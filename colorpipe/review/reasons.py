"""What stands out in a batch of results, and how much it deserves a look.

Two kinds: what is wrong whatever the others are (failed, damaged, no colour, a face too strong, a jump of a film's
colour), and what is far from the usual of the same settings, by robust z-scores: the distance from the median in units
of 1.4826 times the median absolute deviation, which is a standard deviation where values are normal (Rousseeuw and
Croux 1993, doi 10.1080/01621459.1993.10476408).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FEWEST = 8
"""Results of the same settings below which nothing is said to be usual."""
FROM, TO = 3.0, 7.0
"""z-scores at which something begins to deserve a look, and does so as much as it can."""
FLOORS = {"a": 1.0, "b": 1.0, "chroma": 1.0, "confidence": 0.02}
"""The least spread that is taken for real: in a batch of near copies nothing stands out by a hair. Others: 0.2."""
GREY = 2.0
"""Mean chroma, CIE units, below which a result is nearly without colour."""
SKIN = 34.0
"""Chroma of a face from which it is too strong: that of skin is 15 to 30 whatever its tone (Xiao et al. 2017, Skin
Research and Technology 23, doi 10.1111/srt.12295)."""
SKIN_HUES = (-15.0, 100.0)
"""Hues of a face, degrees, from rose to yellow; skin is at 30 to 75."""
JUMP = 3.0
"""Change of colour from one frame to the next, CIE units beyond the film's usual, that a person sees."""
LABELS = {
    "failed": "failed",
    "missing": "result missing",
    "damaged": "source damaged",
    "grey": "nearly without colour",
    "face": "face too strong or odd",
    "flicker": "film flickers",
    "unsure": "little confidence",
    "colour": "unusual colour",
    "changed": "changed by hand",
}
"""Kinds of reasons; those of evaluators are named by their scores."""


@dataclass(frozen=True)
class Reason:
    """Why a result deserves a look."""

    kind: str
    weight: float
    """0..1"""
    text: str


@dataclass(frozen=True)
class Seen:
    """What is known of one result."""

    group: str
    """Results of the same settings are compared with each other."""
    status: str
    measures: Mapping[str, float]
    error: str = ""
    damage: str = ""
    changed: bool = False


@dataclass(frozen=True)
class _Usual:
    middle: float
    spread: float

    def z(self, value: float) -> float:
        return (value - self.middle) / self.spread


def find(batch: Sequence[Seen], worse: Mapping[str, int]) -> list[tuple[Reason, ...]]:
    """The reasons of each, the weightiest first.

    Args:
        worse: ``Measurer.worse``.
    """
    usual = _usual(batch)
    return [
        tuple(sorted((*_of_itself(one), *_of_batch(one, usual[one.group], worse)), key=lambda reason: -reason.weight))
        for one in batch
    ]


def weight(reasons: Iterable[Reason]) -> float:
    """How much a result deserves a look, 0..1: more reasons make it more."""
    return 1 - math.prod(1 - reason.weight for reason in reasons)


def _usual(batch: Sequence[Seen]) -> dict[str, dict[str, _Usual]]:
    """Group -> measure -> what is usual; of small groups, what is usual for all."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in batch:
        for name, value in one.measures.items():
            values[one.group][name].append(value)
            values[""][name].append(value)
    found: dict[str, dict[str, _Usual]] = {}
    for group in {one.group for one in batch}:
        found[group] = {}
        for name, all_values in values[""].items():
            own = values[group].get(name, [])
            of = own if len(own) >= FEWEST else all_values
            if len(of) >= FEWEST:
                middle = statistics.median(of)
                spread = 1.4826 * statistics.median([abs(value - middle) for value in of])
                found[group][name] = _Usual(middle, max(spread, FLOORS.get(name, 0.2)))
    return found


def _of_itself(one: Seen) -> Iterable[Reason]:
    measures = one.measures
    if one.status == "failed":
        yield Reason("failed", 1.0, one.error or "failed")
    if one.status in ("missing", "unfinished"):
        told = "the result is gone" if one.status == "missing" else "a run was stopped before it was done"
        yield Reason("missing", 0.95, told)
    if one.damage:
        yield Reason("damaged", 0.8, one.damage.removeprefix("damaged "))
    chroma = measures.get("chroma")
    if chroma is not None and chroma < GREY:
        yield Reason("grey", 0.5 + 0.4 * (1 - chroma / GREY), f"mean chroma {chroma:.1f}")
    face, hue = measures.get("face_chroma"), measures.get("face_hue", 45.0)
    if face is not None and face > SKIN:
        yield Reason("face", _ramp(face, SKIN, SKIN + 22), f"a face with chroma {face:.0f}; skin has 15 to 30")
    elif face is not None and face > 10 and not SKIN_HUES[0] <= hue <= SKIN_HUES[1]:
        yield Reason("face", 0.6, f"a face that is {_hue_word(hue)}")
    spike = measures.get("spike", 0.0)
    if spike > JUMP:
        at = f" at frame {measures['spike_frame']:.0f}" if "spike_frame" in measures else ""
        yield Reason("flicker", _ramp(spike, JUMP, 4 * JUMP), f"the colour jumps by {spike:.1f}{at}")
    if one.changed:
        yield Reason("changed", 0.05, "the file is no longer as colorpipe wrote it")


def _of_batch(one: Seen, usual: Mapping[str, _Usual], worse: Mapping[str, int]) -> Iterable[Reason]:
    measures = one.measures

    def z(name: str) -> float:
        return usual[name].z(measures[name]) if name in usual and name in measures else 0.0

    sure = -z("confidence")
    if sure > FROM:
        told = f"confidence {measures['confidence']:.2f}, usually {usual['confidence'].middle:.2f}"
        yield Reason("unsure", 0.9 * _ramp(sure, FROM, TO), told)
    for name, direction in worse.items():
        far = abs(z(name)) if direction == 0 else direction * z(name)
        if far > FROM:
            told = f"{name} {measures[name]:.3g}, usually {usual[name].middle:.3g}"
            yield Reason(name, 0.9 * _ramp(far, FROM, TO), told)
    name = max(("a", "b", "chroma"), key=lambda name: abs(z(name)))
    grey = measures.get("chroma", GREY) < GREY  # told already
    if abs(z(name)) > FROM and not (grey and measures[name] < usual[name].middle):
        now, middle = _signed(measures[name]), _signed(usual[name].middle)
        told = f"{_ways(name, z(name))} than usual: {name} {now}, usually {middle}"
        yield Reason("colour", 0.9 * _ramp(abs(z(name)), FROM, TO), told)
    flicker = z("flicker")
    if flicker > FROM and measures.get("spike", 0.0) <= JUMP:
        told = f"the colour changes by {measures['flicker']:.2f} a frame, usually {usual['flicker'].middle:.2f}"
        yield Reason("flicker", 0.9 * _ramp(flicker, FROM, TO), told)


def _signed(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def _ramp(value: float, low: float, high: float) -> float:
    """0.15 at ``low``, 1 at ``high``: what is worth a reason is worth a place above those without."""
    return 0.15 + 0.85 * min(1.0, max(0.0, (value - low) / (high - low)))


def _ways(name: str, z: float) -> str:
    words = {"a": ("redder", "greener"), "b": ("yellower", "bluer"), "chroma": ("more colourful", "paler")}
    return words[name][0 if z > 0 else 1]


def _hue_word(hue: float) -> str:
    """Of CIE hue angles, degrees."""
    names = ((-150, "blue-green"), (-60, "blue"), (-15, "purple"), (100, "skin-coloured"), (170, "green"))
    return next((name for limit, name in names if hue <= limit), "blue-green")
