"""Options of ``fcn`` and of its training. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass

from colorpipe import Options, option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class LearnOptions(Options):
    """Options of learning from a reference; without one, they have no effect."""

    epochs: int = option(4000, "steps of learning, each over the whole reference", min=1, max=100_000)
    rate: float = option(0.01, "learning rate", min=1e-6, max=1.0)
    width: int = option(16, "channels of the three inner layers", min=1, max=256)
    seed: int = option(0, "of the first weights", min=0)


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the training from a folder."""

    rate: float = option(
        0.01, "how much a step changes at most (the learning rate, of SGD; it falls along a cosine)", min=0, max=1
    )
    width: int = option(32, "size of the three inner layers; more learns more, and is slower", min=1, max=1024)
