"""A small fully convolutional network from lightness to colour, learned from one picture or from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe import Chroma, Colorizer, InputSize, Model, WeightsError, hookimpl
from colorpipe_fcn.options import LearnOptions, TrainOptions

if TYPE_CHECKING:
    import torch

    import colorpipe
    from colorpipe import Batch, Lab
    from colorpipe.training import Task

colorpipe_contract = 1

REACH = 110.0
"""CIE units: sRGB's ab lies within 108. A network that learned one picture goes beyond on what it has never seen."""
_WEIGHTS = Path(__file__).with_name("weights") / "fcn.safetensors"


class Fcn(Colorizer):
    """L, the longer side at most 256 -> ab at half that size."""

    name = "fcn"
    summary = "four convolutions that learn the colours of a reference; without one, of photographs at large"
    licence = "Apache-2.0"
    input_size = InputSize(side=None, limit=256)
    learns_from_reference = True
    default_weights = "fcn"
    Options = LearnOptions
    TrainOptions = TrainOptions

    options: LearnOptions

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import load_strictly, read_tensors
        from colorpipe_fcn.network import FCN

        if weights is None:  # `learn` gives it its own
            return self.untrained()
        tensors, _ = read_tensors(weights)
        first = tensors.get("conv1.bias")
        if first is None:
            raise WeightsError(f"{weights} does not hold fcn's weights", hint="`colorpipe train fcn` makes them")
        network = FCN(len(first))
        load_strictly(network, tensors, f"{weights} as fcn")
        return network.eval()

    def untrained(self) -> torch.nn.Module:
        from colorpipe_fcn.network import FCN

        return FCN(self.options.width).eval()

    def learn(self, reference: Lab, device: torch.device) -> None:
        """Start anew, from random weights: the bundled ones play no part in what is learned."""
        from colorpipe_fcn.training import learn

        self.network = learn(reference, self.input_size, self.options, device)

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None  # the runtime builds before it predicts
        return Chroma(self.network(batch.L).clamp(-REACH, REACH))

    def training_task(self, options: colorpipe.Options) -> Task:
        from colorpipe_fcn.training import FCNTask

        assert isinstance(options, TrainOptions)
        return FCNTask(options)


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Fcn]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model.shipped(
            _WEIGHTS,
            name="fcn",
            colorizer="fcn",
            licence="Apache-2.0",
            summary="comes with colorpipe",
            trained_on="11,526 colour photographs; see the plugin's README",
        )
    ]
