"""The files of a training run, and its result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    output: Path
    steps: int
    minutes: float
    """Wall time of all parts."""
    scores: Mapping[str, float]
    """Scores of the exported weights on the held-out pictures."""


@dataclass(frozen=True)
class RunFiles:
    """The files of a run, all beside its output."""

    output: Path

    @property
    def folder(self) -> Path:
        """Checkpoint and decoded pictures; removed when the run is complete."""
        return self.output.with_name(self.output.stem + ".training")

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def log(self) -> Path:
        return self.output.with_suffix(".csv")

    @property
    def plot(self) -> Path:
        return self.output.with_suffix(".png")

    @property
    def best(self) -> Path:
        return self.output.with_suffix(".best.safetensors")


def warn(message: str) -> None:
    """One line to standard error."""
    print(message, file=sys.stderr, flush=True)
