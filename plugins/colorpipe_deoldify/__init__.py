"""DeOldify: a U-Net with self-attention that was trained against a critic, by Jason Antic.

The published files are of two networks: ``artistic``, and ``stable`` and ``video``, which share their layers. Which of
them a file of weights holds is told from its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, Model, WeightsError, hookimpl, option

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch

colorpipe_contract = 1

BASE = 16
"""Pixels for each unit of the render factor."""
STILLS, FILMS = 35, 21
"""Render factors that the published notebooks begin with."""
HOST = "https://data.deepai.org/deoldify"


class DeOldify(Colorizer):
    """L at 560x560, of films at 336x336 -> ab of that size."""

    name = "deoldify"
    summary = "restrained colour from a U-Net trained against a critic; needs its published weights"
    paper = "Antic 2018, DeOldify, https://github.com/jantic/DeOldify; no paper"
    licence = "Apache-2.0"
    input_size = InputSize(side=None, multiple=BASE)
    published = "yuv"
    default_weights = "deoldify-artistic"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        render_factor: int | None = option(
            None,
            "the network sees a square of 16 times this many pixels a side; smaller is faster, and more colourful "
            f"where it is sure [default: {STILLS}, for films {FILMS}]",
            min=2,
            max=100,
        )

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        assert isinstance(self.options, self.Options)
        given = self.options.render_factor
        self.input_size = InputSize(side=BASE * (given or STILLS), by="bilinear")
        self.film_input_size = InputSize(side=BASE * (given or FILMS), by="bilinear")

    def build(self, weights: Path | None) -> torch.nn.Module:
        from colorpipe.weights import published_keys, read_tensors, take_strictly
        from colorpipe_deoldify.fold import fold
        from colorpipe_deoldify.layout import NAMES, config_of, shapes

        if weights is None:
            raise WeightsError("deoldify needs weights", hint="--weights deoldify-artistic, or a file")
        tensors, _ = read_tensors(weights)
        config = config_of(tensors)
        if config is None:
            few = ", ".join(sorted(tensors)[:3])
            raise WeightsError(f"{weights} holds no network of DeOldify's (its keys: {few}, ..)")
        expected = published_keys(shapes(config))
        return fold(take_strictly(expected, tensors, f"{weights} as {NAMES[config]}"), config)

    def untrained(self) -> torch.nn.Module:
        from colorpipe_deoldify.untrained import Untrained

        return Untrained().eval()

    def predict(self, batch: Batch) -> Chroma:
        from colorpipe_deoldify.chroma import chroma, grey_of

        assert self.network is not None  # the runtime builds before it predicts
        grey = grey_of(batch.L)
        return Chroma(chroma(self.network(grey), grey))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [DeOldify]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model(
            name="deoldify-artistic",
            colorizer="deoldify",
            licence="MIT",
            summary="ResNet-34, deep: 63.6 M parameters; livelier colour, of stills",
            url=f"{HOST}/ColorizeArtistic_gen.pth",
            sha256="3f750246fa220529323b85a8905f9b49c0e5d427099185334d048fb5b5e22477",
            size=255_144_681,
            paper=DeOldify.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        ),
        Model(
            name="deoldify-video",
            colorizer="deoldify",
            licence="MIT",
            summary="ResNet-101, wide: 218.2 M parameters; calm colour, for films",
            url=f"{HOST}/ColorizeVideo_gen.pth",
            sha256="e3d98bb6a222354c79f95485c2f078a89dc724e9183662506d9e0f5aafac83ad",
            size=874_066_230,
            paper=DeOldify.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        ),
    ]
