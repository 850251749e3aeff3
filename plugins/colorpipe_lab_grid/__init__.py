"""Colour as one of the cells of a grid in Lab's ab plane, after Zhang, Isola and Efros (2016)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from colorpipe import ChromaDistribution, Colorizer, InputSize, Model, WeightsError, hookimpl
from colorpipe_lab_grid.options import TrainOptions

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Options
    from colorpipe.training import Task

colorpipe_contract = 1

REPORTED_T = 0.09
_WEIGHTS = Path(__file__).with_name("weights") / "lab-grid.safetensors"


class LabGrid(Colorizer):
    """L at 256x256 -> a distribution over the seen cells of a 16-unit grid in ab, at 64x64."""

    name = "lab-grid"
    summary = "classifies each place into the cells of a 16-unit grid in ab; vivid, seldom true"
    paper = "after Zhang, Isola and Efros 2016, Colorful Image Colorization, arXiv 1603.08511"
    licence = "Apache-2.0"
    input_size = InputSize(side=256)
    yields_distribution = True
    default_decoder = "annealed-mean"
    default_weights = "lab-grid"
    TrainOptions = TrainOptions

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import load_strictly, read_temperature, read_tensors
        from colorpipe_lab_grid.network import GridNetwork

        if weights is None:
            raise WeightsError("lab-grid needs weights", hint=f"--weights {self.default_weights}, or a file")
        tensors, metadata = read_tensors(weights)
        first, colours = tensors.get("blocks.0.0.bias"), tensors.get("colours")
        if first is None or colours is None:
            raise WeightsError(
                f"{weights} does not hold lab-grid's weights", hint="`colorpipe train lab-grid` makes them"
            )
        network = GridNetwork(len(first), len(colours))
        load_strictly(network, tensors, f"{weights} as lab-grid")
        self._natural_T = read_temperature(metadata, weights, REPORTED_T)
        return network.eval()

    def untrained(self) -> torch.nn.Module:
        from colorpipe_lab_grid.network import GridNetwork

        return GridNetwork(12, 114).eval()

    def predict(self, batch: Batch) -> ChromaDistribution:
        network = self.network
        assert network is not None  # the runtime builds before it predicts
        return ChromaDistribution(network(batch.L), cast("torch.Tensor", network.colours), self._natural_T)

    def training_task(self, options: Options) -> Task:
        from colorpipe_lab_grid.training import GridTask

        assert isinstance(options, TrainOptions)
        return GridTask(options)


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [LabGrid]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model.shipped(
            _WEIGHTS,
            name="lab-grid",
            colorizer="lab-grid",
            licence="Apache-2.0",
            summary="1.1 M parameters, comes with colorpipe",
            paper=LabGrid.paper,
            trained_on="11,526 colour photographs; see the plugin's README",
        )
    ]
