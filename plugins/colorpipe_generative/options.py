"""Options of ``colorpipe train gan`` and ``colorpipe train vae``. Light: no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class EncoderOptions(TrainingOptions):
    """The options that both share."""

    batch: int = option(16, "pictures that each step learns from; more need more memory", min=1, max=4096)
    side: int = option(
        160, "side of the squares that are cut from the pictures, pixels, a multiple of 32", min=32, max=1024
    )
    final_side: int = option(224, "side of the squares in the last part of the run", min=32, max=1024)
    encoder: Path | None = option(
        None, "a file of SqueezeNet 1.1 (.npz), which knows how to look at pictures; none: it learns that, too"
    )
    encoder_rate: float = option(
        0.3, "how fast the layers from --encoder learn, as a share of --rate; 0 leaves them as they are", min=0, max=1
    )


@dataclass(frozen=True)
class GanOptions(EncoderOptions):
    """Options of the GAN's training."""

    rate: float = option(
        2e-4, "how much a step changes (the learning rate, of Adam), the same for both networks", min=0, max=1
    )
    adversarial: float = option(
        0.1,
        "how much it goes by what a second network takes for true colours, beside how near it comes to them; 0 not at "
        "all",
        min=0,
        max=100,
    )


@dataclass(frozen=True)
class VaeOptions(EncoderOptions):
    """Options of the VAE's training."""

    rate: float = option(
        1e-3, "how much a step changes at most (the learning rate, of AdamW; it falls along a cosine)", min=0, max=1
    )
    kl: float = option(
        2e-3,
        "how alike its several colourings of a picture become: more makes them more alike",
        min=0,
        max=10,
    )
    kl_steps: int = option(100, "steps in which --kl rises from 0 to its value", min=0)
