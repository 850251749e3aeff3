"""Options of ``colorpipe train lab-grid``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the grid classifier's training."""

    side: int = option(256, "side of the training crops, pixels, a multiple of 32", min=32, max=1024)
    keep_best: bool = option(True, "keep the weights of the best validation too, as NAME.best.safetensors")
    width: float = option(0.1875, "channels of each block, as a share of Zhang's (64 to 512)", min=0.015625, max=1)
    sigma: float = option(5.0, "smoothing of the class prior, CIE units", min=0.1, max=50)
    rebalance: float = option(0.5, "lambda: 0 weighs colours by their rarity, 1 weighs all equally", min=0, max=1)
    natural_T: float = option(0.09, "softmax temperature stored as the file's default", min=0.01, max=2.0)
