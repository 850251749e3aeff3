"""The suite of colorizers."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.testing.suite import PluginSuite, require, require_close
from colorpipe.types import Batch, Chroma, ChromaDistribution, Lab

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
    """Predictions that several checks look at; large networks take seconds for each."""

    def colorizer(self) -> Colorizer:
        """The plugin with its network, made once; one that learns from a reference has learned from ours."""
        import torch

        if self.plugin not in self._made:
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
        return folder / "random.safetensors"

    def pictures(self, count: int) -> torch.Tensor:
        """(count, 1, h, w) L, 0..100, of a size that ``input_size`` allows: a noisy gradient, black, white."""
        import torch

        size = self.plugin.input_size
        side = size.side or size.multiple * -(-16 // size.multiple)
        noise = torch.rand(side, side, generator=torch.Generator().manual_seed(0))
        ramp = torch.linspace(0, 90, side) + noise * 10
        return torch.stack([ramp, torch.zeros(side, side), torch.full((side, side), 100.0)])[:count, None].clone()

    def predict(self, L: torch.Tensor, hints: torch.Tensor | None = None) -> Chroma | ChromaDistribution:
        """The colorizer's prediction for a batch, checked for its type."""
        import torch

        colorizer = self.colorizer()
        reference = _reference() if colorizer.learns_from_reference or colorizer.takes_reference else None
        with torch.inference_mode():
            found = colorizer.predict(Batch(L, hints, reference))
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


def _reference() -> Lab:
    """A 32x32 picture of many colours."""
    import numpy as np

    rows, columns = np.mgrid[-60:60:32j, -60:60:32j].astype(np.float32)
    return Lab(np.full((32, 32), 60, np.float32), np.dstack([rows, columns]))
