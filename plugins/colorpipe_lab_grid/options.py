"""Options of ``colorpipe train lab-grid``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the grid classifier's training."""

    side: int = option(
        256, "side of the squares that are cut from the pictures, pixels, a multiple of 32", min=32, max=1024
    )
    keep_best: bool = option(True, "also keep what was learned when it did best, as NAME.best.safetensors")
    width: float = option(
        0.1875,
        "size of each layer, as a share of those of Zhang's network; more learns more, and is slower",
        min=0.015625,
        max=1,
    )
    sigma: float = option(
        5.0,
        "how far a colour that is common makes its neighbours common, in steps that the eye sees (CIE units)",
        min=0.1,
        max=50,
    )
    rebalance: float = option(
        0.5, "0 makes most of rare colours, for vivid results; 1 treats each place alike", min=0, max=1
    )
    natural_T: float = option(
        0.09,
        "how boldly one colour is chosen where the file is used and --T is not given; less is bolder",
        min=0.01,
        max=2.0,
    )
