"""The methods of a blend, loaded, and the mean of what they predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from colorpipe import Batch, Chroma, ChromaDistribution, Colorizer, Decoder, InputSize, OptionError, Session
from colorpipe.color import view_size
from colorpipe_blend.specs import Spec

WORDS: dict[str, bool | None] = {
    "yes": True, "true": True, "on": True, "no": False, "false": False, "off": False, "none": None,
}  # fmt: skip
"""Words for the states of a switch, and for a value that is decided when used."""
FILES = ("weights", "decoder")
"""Keys of a method that are not options."""
WHOLE = {"device", "precision", "batch", "require_gpu", "host", "reference", "preprocessors"}
"""Options of the run, not of a method."""


@dataclass(frozen=True)
class Member:
    """One method, ready."""

    label: str
    colorizer: Colorizer
    decoder: Decoder | None
    weight: float
    """Its share of 1."""
    sha256: str | None
    """SHA-256 of its weights' file."""

    def predict(self, L: Tensor, *, film: bool) -> Chroma:
        """Chroma for the blend's view, seen at this method's own size.

        Args:
            L: (N, 1, h, w), 0..100.
            film: The view is of a film's frame.
        """
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
    """The methods with their networks on the CPU, in the order in which they were named.

    Raises:
        UsageError: an unknown name or option, or a method that learns from a reference.
        WeightsError: weights that are not here, or another network's.
    """
    return [_made(spec, weight) for spec, weight in zip(specs, weights, strict=True)]


def _made(spec: Spec, weight: float) -> Member:
    values = {key: WORDS.get(text.strip().lower(), text) for key, text in spec.values.items() if key not in FILES}
    for key in WHOLE.intersection(values):
        raise OptionError(f"blend: {key} is not {spec.name}'s but the whole's", hint="give it once, beside --blend")
    given: dict[str, Any] = {**values, **{key: text for key, text in spec.values.items() if key in FILES}}
    # The blend's own runtime moves the networks to the device, in the precision that is asked for.
    session = Session(spec.name, device="cpu", precision="fp32", **given)
    runtime = session.runtimes[0]
    known = [
        name
        for plugin in (runtime.colorizer, runtime.decoder)
        if plugin is not None
        for field in dataclasses.fields(plugin.options)
        for name in (field.name, f"{plugin.name.replace('-', '_')}_{field.name}")
    ]
    for key in values:
        if key not in known:  # an option of how chroma is laid, which is the blend's
            raise OptionError(f"blend: {key} is not {spec.name}'s but the whole's", hint="give it once, beside --blend")
    return Member(spec.label, runtime.colorizer, runtime.decoder, weight, session.recipe.weights_sha256)


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
