"""Options of ``colorpipe train gan`` and ``colorpipe train vae``. Light: no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colorpipe import option
from colorpipe.training import TrainingOptions


@dataclass(frozen=True)
class EncoderOptions(TrainingOptions):
    """The options that both share."""

    batch: int = option(16, "pictures per step", min=1, max=4096)
    side: int = option(160, "side of the training crops, pixels, a multiple of 32", min=32, max=1024)
    final_side: int = option(224, "side of the crops in the last part of the run", min=32, max=1024)
    encoder: Path | None = option(None, "SqueezeNet 1.1 to start the encoder from (.npz); none: random weights")
    encoder_rate: float = option(0.3, "its learning rate, as a share of --rate; 0 keeps it as it is", min=0, max=1)


@dataclass(frozen=True)
class GanOptions(EncoderOptions):
    """Options of the GAN's training."""

    rate: float = option(2e-4, "learning rate of Adam, the same for both networks", min=0, max=1)
    adversarial: float = option(
        0.1, "weight of fooling the discriminator (BCE) beside the squared error of ab/20; 0: no GAN", min=0, max=100
    )


@dataclass(frozen=True)
class VaeOptions(EncoderOptions):
    """Options of the VAE's training."""

    rate: float = option(1e-3, "peak learning rate of AdamW, cosine schedule", min=0, max=1)
    kl: float = option(
        2e-3,
        "weight of the latent KL, a nat, beside the squared error of ab/20: more makes draws alike",
        min=0,
        max=10,
    )
    kl_steps: int = option(100, "steps over which that weight rises from 0", min=0)
