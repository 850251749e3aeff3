"""The suite of colorizers."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from colorpipe.errors import WeightsError
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.testing.suite import PluginSuite, require, require_close
from colorpipe.types import Batch, Chroma, ChromaDistribution, Companion, Lab

if TYPE_CHECKING:
    import torch

AB_LIMIT = 130.0
"""sRGB reaches from -108 to 99 in a and b (D65); beyond this, units are mixed up. Networks overshoot a little."""


class ColorizerSuite(PluginSuite[Colorizer]):
    """A colorizer gives finite chroma, the same for the same picture whatever stands beside it.

    The network has the default weights where they are on this machine, else the random ones of ``untrained``.
    """

    _made: ClassVar[dict[type[Colorizer], Colorizer]] = {}
    _seen: ClassVar[dict[tuple[type[Colorizer], int], Chroma | ChromaDistribution]] = {}
    """Predictions that several checks look at; large networks take seconds for each. Both are of one plugin: when the
    next one comes, they are dropped."""

    def colorizer(self) -> Colorizer:
        """The plugin with its network, made once; one that learns from a reference has learned from ours."""
        import torch

        if self.plugin not in self._made:
            self._made.clear()
            self._seen.clear()
            made = self.plugin()
            if self._has_network():
                with tempfile.TemporaryDirectory(prefix="colorpipe-") as folder:
                    made.network = made.build(self._weights(made, Path(folder)))
            if made.learns_from_reference:
                made.learn(_reference(), torch.device("cpu"))
            self._made[self.plugin] = made
        return self._made[self.plugin]

    def _has_network(self) -> bool:
        return self.plugin.build is not Colorizer.build

    def _weights(self, made: Colorizer, folder: Path) -> Path | None:
        from colorpipe.weights.store import ModelStore

        name = self.plugin.default_weights
        if name is None:
            return None
        store = ModelStore((self.host or PluginHost.load()).models)
        if name in store.models and store.status(name) != "absent":
            return store.path(name)
        random = made.untrained()
        if random is None:
            raise unittest.SkipTest(f"the weights {name} are not on this machine, and untrained() gives no random ones")
        from safetensors.torch import save_file

        save_file(
            {key: value.contiguous() for key, value in random.state_dict().items()}, folder / "random.safetensors"
        )
        in_parts = name in store.models and store.models[name].parts
        return folder if in_parts else folder / "random.safetensors"

    def pictures(self, count: int) -> torch.Tensor:
        """(count, 1, h, w) L, 0..100, of a size that ``input_size`` allows: a noisy gradient, black, white."""
        import torch

        size = self.plugin.input_size
        side = size.side or size.multiple * -(-16 // size.multiple)
        noise = torch.rand(side, side, generator=torch.Generator().manual_seed(0))
        ramp = torch.linspace(0, 90, side) + noise * 10
        return torch.stack([ramp, torch.zeros(side, side), torch.full((side, side), 100.0)])[:count, None].clone()

    def predict(
        self,
        L: torch.Tensor,
        hints: torch.Tensor | None = None,
        companions: tuple[Companion, ...] = (),
        clip: torch.Tensor | None = None,
        in_shot: torch.Tensor | None = None,
    ) -> Chroma | ChromaDistribution:
        """The colorizer's prediction for a batch, checked for its type; companions are made where it asks for them."""
        import torch

        colorizer = self.colorizer()
        reference = _reference() if colorizer.learns_from_reference or colorizer.takes_reference else None
        if colorizer.looks_at or colorizer.results > 1:
            companions = companions or tuple(_companion(number) for number in range(len(L)))
        with torch.inference_mode():
            found = colorizer.predict(Batch(L, hints, reference, companions, clip, in_shot))
        wanted = ChromaDistribution if self.plugin.yields_distribution else Chroma
        require(isinstance(found, wanted), f"predict gave {type(found).__name__}, not {wanted.__name__}")
        return found

    def seen(self, count: int) -> Chroma | ChromaDistribution:
        """``predict(pictures(count))``, made once."""
        key = (self.plugin, count)
        if key not in self._seen:
            self._seen[key] = self.predict(self.pictures(count))
        return self._seen[key]

    def test_a_distribution_names_its_decoder(self) -> None:
        has, yields = self.plugin.default_decoder, self.plugin.yields_distribution
        require(bool(has) == yields, f"yields_distribution is {yields}, default_decoder is {has!r}")

    def test_network_is_ready(self) -> None:
        import torch

        network = self.colorizer().network
        if network is None:
            return
        require(not any(module.training for module in network.modules()), "build() leaves the network in training mode")
        for name, tensor in network.state_dict().items():
            require(tensor.device.type == "cpu", f"build() leaves {name} on {tensor.device}")
            require(
                not tensor.is_floating_point() or tensor.dtype == torch.float32,
                f"{name} is {tensor.dtype}, not float32",
            )

    def test_predicts_finite_chroma(self) -> None:
        found = self.seen(3)
        values = _values(found)
        require(len(values) == 3, f"3 pictures in, {len(values)} out")
        require(values.is_floating_point(), f"the result is {values.dtype}")
        require(bool(values.isfinite().all()), "the result for a gradient, black and white is not finite")
        chroma = found.bins if isinstance(found, ChromaDistribution) else found.ab
        reach = float(chroma.abs().max())
        require(reach <= AB_LIMIT, f"ab reaches {reach:.0f}; are these CIE units?")

    def test_repeats_itself_and_leaves_its_input_alone(self) -> None:
        L = self.pictures(1)
        again = self.predict(L)
        require(bool((self.pictures(1) == L).all()), "predict wrote to batch.L")
        require_close(_values(again), _values(self.seen(1)), "the same picture again gives another result")

    def test_neighbours_do_not_matter(self) -> None:
        together, alone = _values(self.seen(3))[:1], _values(self.seen(1))
        require_close(together, alone, "a picture in a batch differs from the same picture alone")

    def test_features_are_vectors_for_each_place(self) -> None:
        import torch

        reference = _reference() if self.plugin.learns_from_reference or self.plugin.takes_reference else None
        with torch.inference_mode():
            found = self.colorizer().features(Batch(self.pictures(1), None, reference))
        if found is None:
            return
        shape = tuple(found.shape)
        require(len(shape) == 4 and shape[0] == 1, f"features are (N, C, h', w'), not {shape} for one picture")
        require(
            found.is_floating_point() and bool(found.isfinite().all()), "features are finite floating-point numbers"
        )

    def test_hints_matter_if_taken(self) -> None:
        import torch

        L = self.pictures(1)
        hints = torch.zeros(1, 3, *L.shape[2:])
        hints[:, 0, :8, :8], hints[:, 1, :8, :8], hints[:, 2, :8, :8] = 60.0, 40.0, 1.0
        changed = not torch.allclose(_values(self.predict(L, hints)), _values(self.seen(1)), rtol=0, atol=1e-6)
        does = "change" if changed else "do not change"
        require(
            changed == self.plugin.takes_hints, f"takes_hints is {self.plugin.takes_hints}, hints {does} the result"
        )

    def test_what_it_asks_for_is_known(self) -> None:
        unknown = self.plugin.looks_at - {"reference", "prompt", "seed"}
        require(not unknown, f"looks_at has {', '.join(sorted(unknown))}, and may have reference, prompt, seed")
        strange = self.plugin.devices - {"cpu", "cuda", "mps"}
        require(self.plugin.devices and not strange, f"devices are some of cpu, cuda, mps, not {self.plugin.devices}")
        batch = self.plugin.preferred_batch
        require(batch is None or batch >= 1, f"preferred_batch is {batch}")
        require(self.plugin.neighbours >= 0, f"neighbours is {self.plugin.neighbours}")
        require(self.colorizer().results >= 1, f"results is {self.colorizer().results}")

    def test_each_picture_has_its_own_companion(self) -> None:
        import torch

        if not self.plugin.looks_at:
            return
        L = self.pictures(1)
        given = tuple(_companion(number) for number in range(3))
        together = _values(self.predict(torch.cat([L] * 3), companions=given))
        for number, companion in enumerate(given):
            alone = _values(self.predict(L, companions=(companion,)))
            require_close(
                together[number : number + 1], alone, "a picture's result depends on its neighbours' companions"
            )
        for name in sorted(self.plugin.looks_at):
            other = replace(given[0], **{name: getattr(given[2], name)})
            same = torch.allclose(together[:1], _values(self.predict(L, companions=(other,))), rtol=0, atol=1e-6)
            require(not same, f"looks_at has {name}, and another one changes nothing")

    def test_several_results_differ_and_repeat(self) -> None:
        import torch

        colorizer = next((made for made in self.extremes() if made.results > 1), None)
        if colorizer is None:
            return
        if self._has_network():
            colorizer.network = self.colorizer().network
        L = self.pictures(1)
        count = min(colorizer.results, 3)

        def made(number: int) -> torch.Tensor:
            with torch.inference_mode():
                return _values(colorizer.predict(Batch(L, None, None, (Companion(_reference(), "", 7, number),))))

        found = [made(number) for number in range(count)]
        require_close(made(count - 1), found[-1], "the same result asked for again is another one")
        for number in range(1, count):
            same = torch.allclose(found[number], found[0], rtol=0, atol=1e-6)
            require(not same, f"of {colorizer.results} results number {number} is the first one again")

    def test_a_clip_needs_no_neighbours(self) -> None:
        import torch

        count = 2 * self.plugin.neighbours
        if not count:
            return
        L = self.pictures(2)
        clip = torch.rand(2, count, *L.shape[2:], generator=torch.Generator().manual_seed(1)) * 100
        everywhere, nowhere = torch.ones(2, count, dtype=torch.bool), torch.zeros(2, count, dtype=torch.bool)
        for found in (
            self.predict(L, clip=clip, in_shot=everywhere),
            self.predict(L, clip=L.expand(-1, count, -1, -1), in_shot=nowhere),
            self.predict(L),
        ):
            require(bool(_values(found).isfinite().all()), "the result with, or without, frames around is not finite")
        hidden = self.predict(L, clip=clip, in_shot=nowhere)
        alone = self.predict(L, clip=clip.flip(1), in_shot=nowhere)
        require_close(_values(hidden), _values(alone), "frames beyond a cut (in_shot is False) change the result")

    def test_a_missing_part_of_the_weights_is_refused(self) -> None:
        from colorpipe.weights.store import ModelStore

        name, store = self.plugin.default_weights, ModelStore((self.host or PluginHost.load()).models)
        if name not in store.models or not store.models[name].parts:
            return
        if store.status(name) == "absent":
            raise unittest.SkipTest(f"the weights {name} are not on this machine")
        parts = store.models[name].parts
        with tempfile.TemporaryDirectory(prefix="colorpipe-") as folder:
            for part in parts[1:]:
                shutil.copyfile(store.path(name) / part.name, Path(folder) / part.name)
            try:
                self.plugin().build(Path(folder))
            except WeightsError:
                return
        raise AssertionError(f"build() takes a folder without {parts[0].name} and raises no WeightsError")

    def test_any_allowed_size_works(self) -> None:
        import torch

        size = self.plugin.input_size
        if size.side is not None:
            return  # it is only ever given the one size, which the other checks use
        for height, width in ((1, 1), (1, 3), (5, 2)):
            L = torch.full((1, 1, height * size.multiple, width * size.multiple), 40.0)
            values = _values(self.predict(L))
            require(bool(values.isfinite().all()), f"{values.shape} for {height}x{width} multiples is not finite")

    def test_training_is_offered_if_declared(self) -> None:
        offers = self.plugin.training_task is not Colorizer.training_task
        declared = self.plugin.TrainOptions is not None
        require(
            offers == declared,
            f"TrainOptions {'is' if declared else 'is not'} declared, training_task {'is' if offers else 'is not'}",
        )


def _values(found: Chroma | ChromaDistribution) -> torch.Tensor:
    """The tensor by which two results are compared."""
    return found.logits if isinstance(found, ChromaDistribution) else found.ab


def _companion(number: int) -> Companion:
    """What belongs to one of several pictures."""
    return Companion(_reference(30.0 * number), ("a red coat", "green fields", "the blue sea")[number % 3], 7 + number)


def _reference(shift: float = 0.0) -> Lab:
    """A 32x32 picture of many colours, all of them moved."""
    import numpy as np

    rows, columns = np.mgrid[-60:60:32j, -60:60:32j].astype(np.float32)
    return Lab(np.full((32, 32), 60, np.float32), np.dstack([rows + np.float32(shift), columns]))
