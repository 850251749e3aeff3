"""Colour as one of a palette's 32: a small classifier of 64x64 pictures, dense as reported, or of convolutions only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from colorpipe import ChromaDistribution, Colorizer, InputSize, Model, WeightsError, hookimpl
from colorpipe_palette_cnn.options import TrainOptions

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Options
    from colorpipe.training import Task

colorpipe_contract = 1

WHITE = 100.0
"""L of the padding around a picture."""
_WEIGHTS = Path(__file__).with_name("weights") / "palette-cnn.safetensors"


class PaletteCNN(Colorizer):
    """L, the longer side at most 64 -> a distribution over the palette, at the same size."""

    name = "palette-cnn"
    summary = "chooses each place's colour from a palette of 32, learned at 64x64; coarse"
    licence = "Apache-2.0"
    input_size = InputSize(side=None, limit=64)
    yields_distribution = True
    default_decoder = "mode"
    default_weights = "palette-cnn"
    TrainOptions = TrainOptions

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import load_strictly, read_tensors
        from colorpipe_palette_cnn.network import ConvHead, DenseHead, PaletteNetwork

        if weights is None:
            raise WeightsError("palette-cnn needs weights", hint=f"--weights {self.default_weights}, or a file")
        tensors, metadata = read_tensors(weights)
        dense, palette = tensors.get("head.dense.bias"), tensors.get("palette")
        if palette is None:
            raise WeightsError(
                f"{weights} does not hold palette-cnn's weights", hint="`colorpipe train palette-cnn` makes them"
            )
        colours = len(palette)
        network = PaletteNetwork(ConvHead(colours) if dense is None else DenseHead(len(dense), colours), colours)
        load_strictly(network, tensors, f"{weights} as palette-cnn")
        side = metadata.get("side", "64")
        if not side.isdecimal() or int(side) < 1:
            raise WeightsError(f"{weights}: its metadata says side = {side}, which is no number of pixels")
        self.input_size = InputSize(side=None, limit=int(side))
        return network.eval()

    def untrained(self) -> torch.nn.Module:
        from colorpipe_palette_cnn.network import ConvHead, PaletteNetwork

        return PaletteNetwork(ConvHead(32), 32).eval()

    def predict(self, batch: Batch) -> ChromaDistribution:
        import torch.nn.functional as F

        network = self.network
        assert network is not None  # the runtime builds before it predicts
        side, (height, width) = self.input_size.limit, batch.L.shape[2:]
        assert side is not None
        top, left = (side - height) // 2, (side - width) // 2
        padded = F.pad(batch.L, (left, side - width - left, top, side - height - top), value=WHITE)
        logits = network(padded)[..., top : top + height, left : left + width]
        return ChromaDistribution(logits, cast("torch.Tensor", network.palette))

    def training_task(self, options: Options) -> Task:
        from colorpipe_palette_cnn.training import PaletteTask

        assert isinstance(options, TrainOptions)
        return PaletteTask(options)


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [PaletteCNN]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model.shipped(
            _WEIGHTS,
            name="palette-cnn",
            colorizer="palette-cnn",
            licence="Apache-2.0",
            summary="the convolutional head, comes with colorpipe",
            trained_on="8,418 colour photographs; see the plugin's README",
        )
    ]
