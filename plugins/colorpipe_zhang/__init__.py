"""Colorful image colorization: each place gets a distribution over 313 colours (Zhang, Isola and Efros 2016).

Two networks read the same lightness and give the same kind of distribution: ``compact``, whose weights come with this
plugin, and the published ``eccv16``. Which of them a file of weights holds is told from its keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe import ChromaDistribution, Colorizer, InputSize, Model, WeightsError, hookimpl
from colorpipe_zhang.options import TrainOptions

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Options
    from colorpipe.training import Task

colorpipe_contract = 1

BUNDLED = Path(__file__).with_name("weights") / "compact.safetensors"
BASE = BUNDLED.with_name("base.safetensors")
# Beside each lies its .sha256, as `sha256sum` writes it, so that a new training changes no code.


class Zhang(Colorizer):
    """L at 256x256 -> a distribution over 313 ab bins at 64x64."""

    name = "zhang"
    summary = "weighs up 313 colours for each place; vivid, automatic"
    paper = "Zhang, Isola and Efros 2016, Colorful Image Colorization, arXiv 1603.08511"
    licence = "Apache-2.0"
    input_size = InputSize(side=256)
    yields_distribution = True
    default_decoder = "annealed-mean"
    default_weights = "zhang-base"
    TrainOptions = TrainOptions
    _natural: tuple[float, float, float | None]
    """Temperature, vibrance and the temperature of grey that the weights state."""

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import read_grey_temperature, read_temperature, read_vibrance
        from colorpipe_zhang.eccv16 import Eccv16
        from colorpipe_zhang.loading import open_file

        if weights is None:
            raise WeightsError("zhang needs weights", hint=f"--weights {self.default_weights}, or a file")
        network, metadata = open_file(weights)
        if isinstance(network, Eccv16):
            self._bins, self._natural = network.bins, (1.0, 1.0, None)
        else:
            T, vibrance = read_temperature(metadata, weights), read_vibrance(metadata, weights)
            self._natural = T, vibrance, read_grey_temperature(metadata, weights)
            self._bins = _computed_bins()
        return network

    def untrained(self) -> torch.nn.Module:
        from colorpipe_zhang.compact import CompactZhang

        self._bins, self._natural = _computed_bins(), (1.0, 1.0, None)
        return CompactZhang().eval()

    def predict(self, batch: Batch) -> ChromaDistribution:
        assert self.network is not None  # the runtime builds before it predicts
        logits = self.network(batch.L)  # (N, 313, 64, 64)
        if self._bins.device != logits.device:
            self._bins = self._bins.to(logits.device)
        emphasis = getattr(self.network, "emphasis", None)
        at = None if emphasis is None else emphasis(batch.L, logits, self._bins)  # (N, 1, 64, 64)
        return ChromaDistribution(logits, self._bins, *self._natural, vibrance_at=at)

    def features(self, batch: Batch) -> torch.Tensor | None:
        seen = getattr(self.network, "seen", None)
        found: torch.Tensor | None = None if seen is None else seen(batch.L)  # (N, C, h', w')
        return found

    def training_task(self, options: Options) -> Task:
        from colorpipe_zhang.training import ZhangTask

        assert isinstance(options, TrainOptions)
        return ZhangTask(options)


def _computed_bins() -> torch.Tensor:
    """(313, 2) ab centres, CIE units, of the compact network: its file holds none."""
    import torch

    from colorpipe_zhang.bins import bin_centres

    return torch.tensor(bin_centres())


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Zhang]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model.shipped(
            BASE,
            name="zhang-base",
            colorizer="zhang",
            licence="Apache-2.0",
            summary="23.6 M parameters, comes with colorpipe: knows most",
            paper=Zhang.paper,
            trained_on="some 34,500 colour photographs, on DINOv2's encoder; see the plugin's README",
        ),
        Model.shipped(
            BUNDLED,
            name="zhang-compact",
            colorizer="zhang",
            licence="Apache-2.0",
            summary="4.0 M parameters, comes with colorpipe: up to three times as fast",
            paper=Zhang.paper,
            trained_on="11,526 colour photographs; see the plugin's README",
        ),
        Model(
            name="eccv16",
            colorizer="zhang",
            licence="BSD-2-Clause",
            summary="the published network, 32.2 M parameters",
            # https://github.com/richzhang/colorization, release of the PyTorch port
            url="https://colorizers.s3.us-east-2.amazonaws.com/colorization_release_v2-9b330a0b.pth",
            sha256="9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
            size=128_974_848,
            paper=Zhang.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        ),
    ]
