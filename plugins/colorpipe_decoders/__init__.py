"""Decoders: how a distribution over colours becomes one colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Decoder, hookimpl, option

if TYPE_CHECKING:
    from colorpipe import Chroma, ChromaDistribution

colorpipe_contract = 1

_PAPER = "Zhang, Isola and Efros 2016, Colorful Image Colorization, arXiv 1603.08511, section 2.3"


class AnnealedMean(Decoder):
    """The mean of the distribution after its temperature is lowered: between the mode and the mean."""

    name = "annealed-mean"
    summary = "between the likeliest colour and the mean of all possible ones, as its temperature says"
    paper = _PAPER
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        T: float | None = option(
            None,
            "how boldly one colour is chosen among the possible ones (the softmax temperature): 0 takes the likeliest "
            "at each place, 1 mixes all, which is smoother and paler [default: the weights' own]",
            min=0.0,
            max=2.0,
        )
        vibrance: float | None = option(
            None,
            "weak colours are made up to so many times as strong, strong ones stay; 1 changes nothing "
            "[default: the weights' own]",
            min=1.0,
            max=4.0,
        )
        grey_T: float | None = option(
            None,
            "as T, for places that are probably grey, which also get less vibrance; never above T "
            "[default: the weights' own]",
            min=0.0,
            max=2.0,
        )

    options: Options

    def decode(self, distribution: ChromaDistribution) -> Chroma:
        from colorpipe_decoders.decode import annealed_mean

        asked = self.options
        T = distribution.natural_T if asked.T is None else asked.T
        grey_T = distribution.natural_grey_T if asked.grey_T is None else asked.grey_T
        vibrance = distribution.natural_vibrance if asked.vibrance is None else asked.vibrance
        return annealed_mean(distribution, T, vibrance, None if grey_T is None else min(grey_T, T))


class Mode(Decoder):
    """The most probable colour."""

    name = "mode"
    summary = "most probable colour: the most vivid, with hard borders"
    paper = _PAPER
    licence = "Apache-2.0"

    def decode(self, distribution: ChromaDistribution) -> Chroma:
        from colorpipe_decoders.decode import mode

        return mode(distribution)


class Mean(Decoder):
    """The mean of the distribution as it stands: annealed mean with T = 1."""

    name = "mean"
    summary = "the mean of all possible colours, each by its probability: smooth and muted"
    paper = _PAPER
    licence = "Apache-2.0"

    def decode(self, distribution: ChromaDistribution) -> Chroma:
        from colorpipe_decoders.decode import annealed_mean

        return annealed_mean(distribution, 1.0)


@hookimpl
def colorpipe_decoders() -> list[type[Decoder]]:
    return [AnnealedMean, Mean, Mode]
