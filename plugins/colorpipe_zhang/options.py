"""Options of ``colorpipe train zhang``. Light: no torch here, for the flags are read on every start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Options of the training of both networks of our own, compact and base."""

    architecture: Literal["compact", "base"] = option("compact", "the network: compact (4 M) or base (24 M parameters)")
    start: str = option(
        "encoder",
        "where to begin: encoder (the bundled network's, under a new decoder), bundled (all of it), random, or a file: "
        "weights of this network (.safetensors), MobileNetV2 1.0 (.npz) for compact, DINOv2 ViT-S/14 (.pth, .npz) for "
        "base",
    )
    learn: Literal["colour", "emphasis"] = option(
        "colour",
        "what is learned: colour, or where the colours that the network at --start knows are to be strengthened",
    )
    colourful: float = option(
        6.5, "emphasis: how much colourfulness counts against nearness to the truth", min=0, max=20
    )
    teacher: str | None = option(None, "the network whose distribution is taught too: zhang-base, or a file of weights")
    taught: float = option(0.7, "share of the loss that is the teacher's, where there is one", min=0, max=1)
    joint: float = option(
        0.0,
        "weight of a second loss, the distance of the mean from the true colour in tens of CIE units",
        min=0,
        max=10,
    )
    frozen_blocks: int = option(
        3,
        "compact: the first encoder blocks (of 17) that keep their weights; all learn from a random start",
        min=0,
        max=17,
    )
    tuned_blocks: int = option(0, "base: the last encoder blocks (of 12) that learn too", min=0, max=12)
    block_falloff: float = option(
        1.0, "base: each block learns at this share of the rate of the block after it", min=0.1, max=1
    )
    encoder_rate: float = option(0.2, "learning rate of the encoder, as a share of --rate", min=0, max=1)
    rebalance: float = option(0.5, "lambda: 0 weighs colours by their rarity, 1 weighs all equally", min=0, max=1)
    rebalance_correction: float = option(
        1.0, "share of log w taken off the last layer's bias on export: 0 vivid, 1 the true odds", min=0, max=1
    )
    lift: float = option(0.0, "nats taken off the nearly grey bins on export: more is more colourful", min=0, max=10)
    restraint: float = option(
        0.0, "nats taken off on export at a chroma of 100, quadratic in chroma: more is less garish", min=0, max=100
    )
    natural_vibrance: float = option(
        1.8, "by how much weak colours are strengthened, stored as the file's default", min=1.0, max=4.0
    )
    natural_T: float = option(0.8, "softmax temperature stored as the file's default", min=0.01, max=2.0)
    natural_grey_T: float | None = option(
        0.38, "temperature where a place is probably grey, stored as the file's default", min=0.01, max=2.0
    )
