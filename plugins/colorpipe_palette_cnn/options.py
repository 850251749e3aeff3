"""Options of ``colorpipe train palette-cnn``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the palette classifier's training."""

    rate: float = option(1.0, "peak learning rate of Adadelta, cosine schedule", min=0, max=1)
    side: int = option(64, "side of the square that is learned, pixels; the dense head takes 64 only", min=32, max=256)
    final_side: int = option(64, "as --side: palette-cnn trains at one size", min=32, max=256)
    held_out_share: float | None = option(0.3, "share of the pictures kept for validation", min=0.01, max=0.9)
    head: Literal["dense", "conv"] = option("dense", "what follows the first convolution: as reported, or convolutions")
    hidden: int = option(
        64, "units of the first dense layer; 4096, as reported, makes 1.07 billion parameters", min=1, max=4096
    )
    colours: int = option(32, "colours of the palette, by k-means over the training pictures", min=2, max=256)
    dropout: float = option(0.25, "share of the features that a training step leaves out", min=0, max=0.9)
