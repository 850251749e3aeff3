"""The meaning of a training's scores for a person, and whether they improved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from colorpipe.plugins.training_task import Task

Better = Literal["higher", "lower", "near 1"]
MEANINGS: Mapping[str, tuple[str, Better]] = {
    "loss": ("the error that training makes small", "lower"),
    "gain": ("decibels nearer to the true colours than the picture left grey; 0 is no better than grey", "higher"),
    "vivid": ("colourfulness beside the true pictures'; 1 is as colourful, 0 is grey", "near 1"),
}
"""Score -> its meaning, and the values that are better."""
SAME = 0.0005
"""A change that three decimals do not show."""


def told(scores: Mapping[str, float], task: Task, start: Mapping[str, float] | None = None) -> list[str]:
    """A line for each score: ``gain 0.812, better than at the start (-0.020): decibels nearer to ..``.

    Args:
        start: The scores before the first step, to set them beside.
    """
    known = {**MEANINGS, **task.meanings}
    lines = []
    for name, value in scores.items():
        unknown: tuple[str, Better | None] = ("", "lower" if name == task.monitor else None)
        what, better = known.get(name) or unknown
        line = f"  {name} {value:.3f}"
        if start and name in start:
            line += f", {_compared(start[name], value, better)} at the start ({start[name]:.3f})"
        line += f": {what}" if what else ""
        lines.append(line + (f"; {better} is better" if what and better != "near 1" else ""))
    return lines


def _compared(before: float, now: float, better: Better | None) -> str:
    if abs(now - before) < SAME:
        return "as"
    if better is None:
        return "other than"
    won = {"higher": now > before, "lower": now < before, "near 1": abs(now - 1) < abs(before - 1)}[better]
    return "better than" if won else "worse than"
