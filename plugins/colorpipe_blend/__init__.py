"""Several methods at once: the mean of their colours, weighed by what the user gives each and by how sure each is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, OptionError, WeightsError, hookimpl, option
from colorpipe_blend.specs import read_members, read_weights

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch

colorpipe_contract = 1


class Blend(Colorizer):
    """L at the largest of the members' input sizes -> the weighed mean of their ab."""

    name = "blend"
    summary = "the weighed mean of several methods' colours: --blend ddcolor,deoldify"
    licence = "Apache-2.0"
    input_size = InputSize(side=256)

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        blend: str = option(
            "zhang,gan",
            "the methods, two or more, with commas or + between; each with options and weights of its own: "
            "ddcolor:weights=FILE:input_size=256,zhang:T=0.2",
        )
        blend_weights: str | None = option(
            None, "how much each counts, with commas or + between: 0.6,0.4 [default: all the same]"
        )
        blend_confidence: bool = option(
            True, "a method that tells how sure it is counts for more where it is surer than elsewhere in the picture"
        )

        def __post_init__(self) -> None:
            super().__post_init__()
            read_weights(self.blend_weights, read_members(self.blend))

    def build(self, weights: Path | None) -> torch.nn.Module:
        from torch import nn

        from colorpipe_blend.members import make_members, view_of

        if weights is not None:
            raise WeightsError(
                f"blend has no weights of its own, so that {weights} is no use to it",
                hint="name them with each method: --blend ddcolor:weights=FILE,deoldify",
            )
        assert isinstance(self.options, self.Options)
        specs = read_members(self.options.blend)
        self._members = make_members(specs, read_weights(self.options.blend_weights, specs))
        self.own_weights = {member.label: member.sha256 for member in self._members if member.sha256}
        self.input_size = view_of([member.colorizer.input_size for member in self._members])
        self.film_input_size = view_of(
            [member.colorizer.film_input_size or member.colorizer.input_size for member in self._members]
        )
        networks = [member.colorizer.network for member in self._members]
        return nn.ModuleList(network for network in networks if network is not None).eval()

    def predict(self, batch: Batch) -> Chroma:
        from colorpipe_blend.members import mixed

        assert isinstance(self.options, self.Options)
        if not hasattr(self, "_members"):
            raise OptionError("blend was asked for colour before its methods were loaded", hint="call build() first")
        side = batch.L.shape[2]
        film = side == (self.film_input_size or self.input_size).side != self.input_size.side
        found = [(member.weight, member.predict(batch.L, film=film)) for member in self._members]
        return mixed(found, by_confidence=self.options.blend_confidence)


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Blend]
