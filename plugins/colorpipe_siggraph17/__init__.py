"""User-guided colorization with learned deep priors (Zhang et al. 2017): automatic, or led by colour hints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe import Chroma, Colorizer, InputSize, Model, WeightsError, hookimpl

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch

colorpipe_contract = 1


class Siggraph17(Colorizer):
    """L, and hints where there are some, at 256x256 -> ab at 256x256."""

    name = "siggraph17"
    summary = "predicts one colour for each place; automatic, or led by painted colours"
    paper = "Zhang et al. 2017, Real-Time User-Guided Image Colorization with Learned Deep Priors, arXiv 1705.02999"
    licence = "Apache-2.0"
    input_size = InputSize(side=256)
    takes_hints = True
    default_weights = "siggraph17"

    def build(self, weights: Path | None) -> torch.nn.Module:
        import torch

        from colorpipe.weights import load_strictly, read_tensors
        from colorpipe_siggraph17.network import Siggraph17 as Network

        if weights is None:
            raise WeightsError("siggraph17 needs weights", hint=f"--weights {self.default_weights}, or a file")
        tensors, _ = read_tensors(weights)
        if "model8.6.weight" in tensors:  # the 1x1 classifier that ends eccv16
            raise WeightsError(f"{weights} holds eccv16's weights", hint="use --colorizer zhang")
        with torch.device("meta"):  # the file's tensors take every place: random ones would cost time and memory
            network = Network()
        load_strictly(network, tensors, f"{weights} as siggraph17")
        return network.eval()

    def untrained(self) -> torch.nn.Module:
        from colorpipe_siggraph17.network import Siggraph17 as Network

        return Network().eval()

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None  # the runtime builds before it predicts
        L, hints = batch.L, batch.hints
        if hints is None:
            hints = L.new_zeros(len(batch), 3, *L.shape[2:])
        return Chroma(self.network(L, hints))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Siggraph17]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model(
            name="siggraph17",
            colorizer="siggraph17",
            licence="BSD-2-Clause",
            summary="the published network, 34.2 M parameters",
            # https://github.com/richzhang/colorization, release of the PyTorch port
            url="https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
            sha256="df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
            size=136_839_168,
            paper=Siggraph17.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        )
    ]
