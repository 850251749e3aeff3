"""Two generative methods of one small network: ``gan``, trained against a discriminator, and ``vae``, which can give
several colourings of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, Model, WeightsError, hookimpl, option
from colorpipe_generative.options import GanOptions, VaeOptions

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Options
    from colorpipe.training import Task
    from colorpipe_generative.network import UNet

colorpipe_contract = 1

_WEIGHTS = Path(__file__).with_name("weights")


class _Generative(Colorizer):
    """L at 224x224 -> ab at 56x56, by a U-Net."""

    input_size = InputSize(side=224)
    licence = "Apache-2.0"
    has_latent: ClassVar[bool]

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import load_strictly, read_tensors

        if weights is None:
            raise WeightsError(f"{self.name} needs weights", hint=f"--weights {self.default_weights}, or a file")
        tensors, _ = read_tensors(weights)
        if "fires.0.squeeze.weight" in tensors and self.has_latent != any(key.startswith("film") for key in tensors):
            other = "gan" if self.has_latent else "vae"
            raise WeightsError(f"{weights} holds the weights of {other}", hint=f"use --colorizer {other}")
        network = self.untrained()
        load_strictly(network, tensors, f"{weights} as {self.name}")
        return network

    def untrained(self) -> UNet:
        from colorpipe_generative.network import LATENT, UNet

        return UNet(LATENT if self.has_latent else 0).eval()


class Gan(_Generative):
    """A generator that was trained against a discriminator, which is not needed any more."""

    name = "gan"
    summary = "predicts one colour for each place; trained against a second network, so more vivid"
    paper = "Goodfellow et al. 2014, Generative Adversarial Networks, arXiv 1406.2661"
    default_weights = "gan"
    has_latent = False
    TrainOptions = GanOptions

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None  # the runtime builds before it predicts
        return Chroma(self.network(batch.L))

    def training_task(self, options: Options) -> Task:
        from colorpipe_generative.training import GanTask

        assert isinstance(options, GanOptions)
        return GanTask(options)


class Vae(_Generative):
    """A conditional VAE: what the grey leaves open is in a latent; a draw has the same noise for every picture."""

    name = "vae"
    summary = "predicts one colour for each place; --sample N gives other colourings"
    paper = "Kingma and Welling 2014, Auto-Encoding Variational Bayes, arXiv 1312.6114"
    default_weights = "vae"
    has_latent = True
    TrainOptions = VaeOptions

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        sample: int = option(0, "0 is the mean; N is the Nth draw, another colouring", min=0, max=2**31)

    options: Options

    def predict(self, batch: Batch) -> Chroma:
        from colorpipe_generative.network import noise

        assert self.network is not None
        return Chroma(self.network(batch.L, noise(self.options.sample).to(batch.L.device)))

    def training_task(self, options: colorpipe.Options) -> Task:
        from colorpipe_generative.training import VaeTask

        assert isinstance(options, VaeOptions)
        return VaeTask(options)


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Gan, Vae]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model.shipped(
            _WEIGHTS / f"{cls.name}.safetensors",
            name=cls.name,
            colorizer=cls.name,
            licence="Apache-2.0",
            summary="a U-Net of 1.5 M parameters, comes with colorpipe",
            paper=cls.paper,
            trained_on="11,526 colour photographs; see the plugin's README",
        )
        for cls in (Gan, Vae)
    ]
