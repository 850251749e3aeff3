"""Options of ``colorpipe train zhang``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the training of both networks of our own, compact and base."""

    architecture: Literal["compact", "base"] = option(
        "compact", "the network: compact, which is fast, or base, six times as large, which is better"
    )
    start: str = option(
        "encoder",
        "what it knows at the beginning: encoder, how the bundled network looks at pictures but not how it colours "
        "them; bundled, all of that; random, nothing; or a file of what a network has learned, its weights: of this "
        "network (.safetensors), of MobileNetV2 1.0 (.npz) for compact, of DINOv2 ViT-S/14 (.pth, .npz) for base",
    )
    learn: Literal["colour", "emphasis"] = option(
        "colour",
        "what it learns: colour, or, where the network at --start knows colour already, which colours to make stronger",
    )
    colourful: float = option(
        6.5,
        "learning which colours to make stronger: 0 keeps close to the truth, more is more colourful",
        min=0,
        max=20,
    )
    teacher: str | None = option(
        None, "a network that it learns from, too: zhang-base, or a file of what another one has learned"
    )
    taught: float = option(
        0.7,
        "how much it goes by the --teacher, where there is one, and not by the pictures: 0 not at all, 1 alone",
        min=0,
        max=1,
    )
    joint: float = option(
        0.0,
        "how much it also goes by how far the mean of the colours that it finds likely is from the true one; 0 not at "
        "all",
        min=0,
        max=10,
    )
    frozen_blocks: int = option(
        3,
        "compact: layers that look at the picture first (of 17) and stay as they are; from --start random all learn",
        min=0,
        max=17,
    )
    tuned_blocks: int = option(0, "base: layers that look at the picture last (of 12) and learn, too", min=0, max=12)
    block_falloff: float = option(
        1.0, "base: how fast each of these layers learns, as a share of the one after it", min=0.1, max=1
    )
    encoder_rate: float = option(
        0.2, "how fast the layers that look at the picture learn, as a share of --rate", min=0, max=1
    )
    rebalance: float = option(
        0.5, "0 makes most of rare colours, for vivid results; 1 treats each place alike", min=0, max=1
    )
    rebalance_correction: float = option(
        1.0,
        "how far rare colours are set back in the file that is written: 0 not at all, vivid; 1 to their true share",
        min=0,
        max=1,
    )
    lift: float = option(
        0.0, "how much less likely grey is made in the file that is written: more is more colourful", min=0, max=10
    )
    restraint: float = option(
        0.0,
        "how much less likely very strong colours are made in the file that is written: more is less garish",
        min=0,
        max=100,
    )
    natural_vibrance: float = option(
        1.8,
        "by how much weak colours are strengthened where the file is used and --vibrance is not given",
        min=1.0,
        max=4.0,
    )
    natural_T: float = option(
        0.8,
        "how boldly one colour is chosen where the file is used and --T is not given; less is bolder",
        min=0.01,
        max=2.0,
    )
    natural_grey_T: float | None = option(
        0.38, "the same where a place is probably grey and --grey-T is not given", min=0.01, max=2.0
    )
