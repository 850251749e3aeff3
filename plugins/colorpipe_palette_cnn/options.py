"""Options of ``colorpipe train palette-cnn``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the palette classifier's training."""

    rate: float = option(
        1.0, "how much a step changes at most (the learning rate, of Adadelta; it falls along a cosine)", min=0, max=1
    )
    side: int = option(64, "side of the square that is learned, pixels; --head dense takes 64 only", min=32, max=256)
    final_side: int = option(64, "as --side: palette-cnn trains at one size", min=32, max=256)
    held_out_share: float | None = option(
        0.3, "share of the pictures kept apart, to tell how well it does on others", min=0.01, max=0.9
    )
    head: Literal["dense", "conv"] = option(
        "dense", "the network after its first layer: dense, as in the report, or conv, much smaller"
    )
    hidden: int = option(
        64, "size of the first layer of --head dense; 4096, as in the report, needs 4 GB and more", min=1, max=4096
    )
    colours: int = option(32, "colours of the palette, found in the pictures", min=2, max=256)
    dropout: float = option(
        0.25, "share of what it sees that a step leaves out, so that it does not learn by heart", min=0, max=0.9
    )
