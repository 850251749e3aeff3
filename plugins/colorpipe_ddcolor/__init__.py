"""DDColor: colour queries look at the picture at three sizes and each becomes a map of colour (Kang et al. 2023).

The four published files are of two sizes of one network. Which a file of weights holds is told from its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, Model, OptionError, WeightsError, hookimpl, option

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch

colorpipe_contract = 1

STEP = 32
"""Sides that the network takes are multiples of this: it works down to a 32nd of its input."""
HOST = "https://huggingface.co/piddnad/DDColor-models/resolve/main"


class DDColor(Colorizer):
    """L at 512x512 -> ab at 512x512."""

    name = "ddcolor"
    summary = "vivid colour from learned colour queries; needs its published weights"
    paper = "Kang et al. 2023, DDColor: Towards Photo-Realistic Image Colorization via Dual Decoders, arXiv 2212.11613"
    licence = "Apache-2.0"
    input_size = InputSize(side=None, multiple=STEP)
    default_weights = "ddcolor-tiny"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        input_size: int = option(
            512,
            "side of the square that the network sees, a multiple of 32; larger sees more detail, published for 512",
            min=STEP,
            max=2048,
        )

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.input_size % STEP:
                raise OptionError(f"ddcolor: input_size takes a multiple of {STEP}, not {self.input_size}")

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        assert isinstance(self.options, self.Options)
        self.input_size = InputSize(side=self.options.input_size, by="two-point")

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import published_keys, read_tensors, take_strictly
        from colorpipe_ddcolor.fold import fold
        from colorpipe_ddcolor.layout import NAMES, config_of, shapes

        if weights is None:
            raise WeightsError("ddcolor needs weights", hint="--weights ddcolor-tiny, or a file")
        tensors, _ = read_tensors(weights)
        config = config_of(tensors)
        if config is None:
            few = ", ".join(sorted(tensors)[:3])
            raise WeightsError(f"{weights} holds no network of DDColor's (its keys: {few}, ..)")
        expected = published_keys(shapes(config))
        return fold(take_strictly(expected, tensors, f"{weights} as {NAMES[config]}"), config)

    def untrained(self) -> torch.nn.Module:
        from colorpipe_ddcolor.untrained import Untrained

        return Untrained().eval()

    def predict(self, batch: Batch) -> Chroma:
        from colorpipe_ddcolor.grey import fed_grey

        assert self.network is not None  # the runtime builds before it predicts
        return Chroma(self.network(fed_grey(batch.L)))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [DDColor]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model(
            name="ddcolor-tiny",
            colorizer="ddcolor",
            licence="Apache-2.0",
            summary="DDColor-T, published as ddcolor_paper_tiny: 55.0 M parameters",
            url=f"{HOST}/ddcolor_paper_tiny.pth",
            sha256="81dd643904f4664c3718513e3320ae3db0c567f0d3e18398606659adee7bfc17",
            size=220_393_145,
            paper=DDColor.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        ),
        Model(
            name="ddcolor-modelscope",
            colorizer="ddcolor",
            licence="Apache-2.0",
            summary="DDColor-L, its makers' choice for pictures from elsewhere: 227.9 M parameters",
            url=f"{HOST}/ddcolor_modelscope.pth",
            sha256="17c460d7e55b32a598370621d77173be59e03c24b0823f06821db23a50c263ce",
            size=912_000_000,  # rounded to a million by the page that tells it
            paper=DDColor.paper,
            trained_on="ImageNet (ILSVRC 2012), cleaned of grey and tinted pictures",
        ),
    ]
