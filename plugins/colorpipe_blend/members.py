"""The methods of a blend, loaded, and the mean of what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from colorpipe import Batch, Chroma, ChromaDistribution, Colorizer, Decoder, Options, UsageError
from colorpipe.color.resample import view_size
from colorpipe.options import fields
from colorpipe.pipeline.session import parts_of, recipe_of
from colorpipe.plugins.host import PluginHost
from colorpipe.types import InputSize, Stage
from colorpipe_blend.specs import Spec


@dataclass(frozen=True)
class Member:
    """One method, ready."""

    label: str
    colorizer: Colorizer
    decoder: Decoder | None
    weight: float
    """Its share of 1."""
    sha256: str | None
    """Of its weights' file."""

    def predict(self, L: Tensor, *, film: bool) -> Chroma:
        """ab for the blend's view (N, 1, h, w), seen at this method's own size."""
        wanted = (self.colorizer.film_input_size if film else None) or self.colorizer.input_size
        size = view_size(L.shape[2], L.shape[3], wanted)
        if L.shape[2:] != size:
            L = F.interpolate(L, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 100)
        found = self.colorizer.predict(Batch(L))
        if isinstance(found, ChromaDistribution):
            assert self.decoder is not None  # whoever yields a distribution names its decoder
            return self.decoder.decode(found)
        return found


def make_members(specs: Sequence[Spec], weights: Sequence[float]) -> list[Member]:
    """The methods with their networks, in the order in which they were named.

    Raises:
        UsageError: an unknown name or option, or a method that learns from a reference.
        WeightsError: weights that are not here, or another network's.
    """
    host = PluginHost.load()
    return [_made(host, spec, weight) for spec, weight in zip(specs, weights, strict=True)]


def _made(host: PluginHost, spec: Spec, weight: float) -> Member:
    cls, values = host.colorizer(spec.name), dict(spec.values)
    asked, decoder = values.pop("weights", None), values.pop("decoder", None)
    if cls.learns_from_reference and cls.default_weights is None:
        raise UsageError(f"blend: {cls.name} learns from a colour picture", hint="blend methods that have weights")
    recipe = recipe_of(host, spec.name, values, decoder=decoder, core=())
    recipe = replace(
        recipe,
        colorizer=_typed(recipe.colorizer, cls.Options),
        decoder=_typed(recipe.decoder, host.decoder(recipe.decoder.name).Options) if recipe.decoder else None,
        weights=asked,
    )
    parts = parts_of(host, recipe)
    parts.colorizer.network = parts.colorizer.build(parts.weights.path if parts.weights else None)
    return Member(spec.label, parts.colorizer, parts.decoder, weight, parts.weights.sha256 if parts.weights else None)


def _typed(stage: Stage, cls: type[Options]) -> Stage:
    """Values as typed -> values of the options' own types."""
    known = {field.name: field for field in fields(cls)}
    return replace(stage, options={key: known[key].parse(text, stage.name) for key, text in stage.options.items()})


def view_of(sizes: Sequence[InputSize]) -> InputSize:
    """The largest of the members' squares; without a square, the picture's shape at the largest limit."""
    squares = [size for size in sizes if size.side is not None]
    if squares:
        return max(squares, key=lambda size: size.side or 0)
    limits = [size.limit for size in sizes]
    limit = None if None in limits else max(limit or 0 for limit in limits)
    return InputSize(side=None, multiple=max(size.multiple for size in sizes), limit=limit)


def mixed(found: Sequence[tuple[float, Chroma]], *, by_confidence: bool) -> Chroma:
    """The mean of several chromas, each with its weight, at the finest of their resolutions.

    A method that tells its confidence counts, at each place, by how that compares with its mean over the picture:
    scales differ from method to method, and so over the picture each keeps the weight that the user gave it.
    """
    height, width = (max(chroma.ab.shape[axis] for _, chroma in found) for axis in (2, 3))
    total = found[0][1].ab.new_zeros(1, dtype=torch.float32)
    colour = total
    for weight, chroma in found:
        share: Tensor | float = weight
        if by_confidence and chroma.confidence is not None:
            sure = _sized(chroma.confidence.float(), (height, width))
            share = weight * sure / sure.mean((2, 3), keepdim=True).clamp(min=1e-6)
        total = total + share
        colour = colour + share * _sized(chroma.ab.float(), (height, width))
    return Chroma(colour / total.clamp(min=1e-6))


def _sized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinear."""
    if values.shape[2:] == size:
        return values
    return F.interpolate(values, size, mode="bilinear", align_corners=False)
