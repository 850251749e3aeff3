"""The suites of decoders, preprocessors and evaluators."""

from __future__ import annotations

import math
import unittest
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Decoder, Evaluator, Preprocessor
from colorpipe.testing.suite import PluginSuite, require, require_close
from colorpipe.types import Chroma, ChromaDistribution, Encoding, Frame, Lab

if TYPE_CHECKING:
    import numpy as np
    import torch


class DecoderSuite(PluginSuite[Decoder]):
    """A decoder gives chroma inside the hull of the bins, for any logits, at each place by itself."""

    def bins(self) -> torch.Tensor:
        """(25, 2): a grid whose hull is the square -40..40."""
        import torch

        axis = torch.arange(-40.0, 41.0, 20.0)
        return torch.cartesian_prod(axis, axis)

    def logits(self) -> torch.Tensor:
        """(2, 25, 3, 4)"""
        import torch

        return torch.randn(2, 25, 3, 4, generator=torch.Generator().manual_seed(0)) * 4

    def decode(self, decoder: Decoder, logits: torch.Tensor, natural_T: float = 1.0) -> torch.Tensor:
        """ab, checked for shape and for being finite and inside the hull."""
        import torch

        before = logits.clone()
        with torch.inference_mode():
            chroma = decoder.decode(ChromaDistribution(logits, self.bins(), natural_T))
        require(isinstance(chroma, Chroma), f"decode gave {type(chroma).__name__}, not Chroma")
        wanted = (logits.shape[0], 2, *logits.shape[2:])
        require(tuple(chroma.ab.shape) == wanted, f"ab is {tuple(chroma.ab.shape)}, not {wanted}")
        of = f"{decoder.options} on {logits.dtype}"
        require(bool(chroma.ab.isfinite().all()), f"ab is not finite, with {of}")
        require(
            float(chroma.ab.abs().max()) <= 40.1,
            f"ab reaches {float(chroma.ab.abs().max()):.1f}, outside the bins, with {of}",
        )
        require(torch.equal(before, logits), "decode wrote to the logits")
        if chroma.confidence is not None:
            inside = chroma.confidence.min() >= 0 and chroma.confidence.max() <= 1
            require(inside, "confidence is not in 0..1")
        return chroma.ab.float()

    def test_stays_inside_the_hull_at_every_option(self) -> None:
        for decoder in self.extremes():
            for natural_T in (1.0, 0.01):
                self.decode(decoder, self.logits(), natural_T)

    def test_huge_logits_stay_finite(self) -> None:
        import torch

        for decoder in self.extremes():
            self.decode(decoder, self.logits().sign() * 1e4)
            self.decode(decoder, (self.logits().sign() * 6e4).to(torch.float16))
            self.decode(decoder, self.logits().to(torch.bfloat16))

    def test_certainty_gives_its_bin(self) -> None:
        import torch

        for index in (0, 7, 24):
            logits = torch.zeros(1, 25, 2, 2)
            logits[:, index] = 60.0
            ab = self.decode(self.plugin(), logits)
            wanted = self.bins()[index].view(1, 2, 1, 1).expand_as(ab)
            require_close(
                ab,
                wanted,
                f"all probability on bin {wanted[0, :, 0, 0].tolist()} gives {ab[0, :, 0, 0].tolist()}",
                0.05,
            )

    def test_no_knowledge_gives_one_colour(self) -> None:
        import torch

        ab = self.decode(self.plugin(), torch.zeros(1, 25, 3, 4))
        require_close(ab, ab[:, :, :1, :1].expand_as(ab), "equal logits give unequal colours")

    def test_each_place_by_itself(self) -> None:
        logits, decoder = self.logits(), self.plugin()
        turned = self.decode(decoder, logits.flip(0, 2, 3))
        require_close(turned, self.decode(decoder, logits).flip(0, 2, 3), "a place's colour depends on other places")

    def test_only_differences_of_logits_matter(self) -> None:
        logits, decoder = self.logits(), self.plugin()
        require_close(
            self.decode(decoder, logits + 7), self.decode(decoder, logits), "a constant added to all logits matters"
        )


class PreprocessorSuite(PluginSuite[Preprocessor]):
    """A preprocessor keeps L in 0..100, says where the picture lies, and survives flat and tiny pictures."""

    def pictures(self) -> dict[str, np.ndarray]:
        """Name -> (H, W) L."""
        import numpy as np

        noise = np.random.default_rng(0).uniform(0, 100, (23, 37)).astype(np.float32)
        ramp = np.tile(np.linspace(0, 100, 40, dtype=np.float32), (30, 1))
        flat = {f"flat {value}": np.full((9, 14), value, np.float32) for value in (0, 50, 100)}
        tiny = {f"{h}x{w}": np.full((h, w), 40, np.float32) for h, w in ((1, 1), (1, 40), (40, 1), (2, 3))}
        return {"noise": noise, "ramp": ramp, **flat, **tiny}

    def test_keeps_lightness_in_range_at_every_option(self) -> None:
        import numpy as np

        for preprocessor in self.extremes():
            for name, L in self.pictures().items():
                L.flags.writeable = False
                found = preprocessor.apply(Lab(L)).L
                of = f"of {name}, with {preprocessor.options}"
                require(found.ndim == 2 and found.dtype == np.float32, f"L {of} is {found.dtype} {found.shape}")
                require(bool(np.isfinite(found).all()), f"L {of} is not finite")
                require(found.min() >= -1e-3 and found.max() <= 100.001, f"L {of} is {found.min()}..{found.max()}")
                if preprocessor.restores:
                    require(found.shape == L.shape, f"it restores, and makes {L.shape} {found.shape}")

    def test_says_where_the_picture_lies(self) -> None:
        for preprocessor in self.extremes():
            for name, L in self.pictures().items():
                where = preprocessor.locate(*L.shape)
                if where is not None:
                    top, left, bottom, right = where
                    inside = 0 <= top < bottom <= 1 and 0 <= left < right <= 1
                    require(inside, f"locate({L.shape}) of {name} is {where}: top, left, bottom, right as fractions")

    def test_repeats_itself(self) -> None:
        import numpy as np

        L = self.pictures()["noise"]
        first, second = (self.plugin().apply(Lab(L.copy())).L for _ in range(2))
        require(np.array_equal(first, second), "the same picture again gives another result")

    def test_convert_keeps_the_size(self) -> None:
        for bits in (8, 16):
            for colour in (False, True):
                frame = _frame(bits, colour=colour)
                found = self.plugin().convert(frame)
                same = found.luma.shape == frame.luma.shape and found.luma.dtype == frame.luma.dtype
                require(same, f"convert makes {frame!r} {found!r}")


class EvaluatorSuite(PluginSuite[Evaluator]):
    """An evaluator scores identical pictures best, names the direction of each score, and can be used again.

    One with ``default_weights`` is checked with them, or skipped where they are not on this machine.
    """

    def evaluator(self) -> Evaluator:
        """The plugin, ready for ``update``."""
        from colorpipe.weights.store import ModelStore

        made, name = self.plugin(), self.plugin.default_weights
        if name is not None:
            store = ModelStore((self.host or PluginHost.load()).models)
            if name not in store.models or store.status(name) == "absent":
                raise unittest.SkipTest(f"the weights {name} are not on this machine")
            made.build(store.path(name))
        return made

    def update(self, evaluator: Evaluator, result: Frame, truth: Frame) -> dict[str, float]:
        """Scores of one picture, checked; with a random distribution observed where one is needed."""
        import torch

        if evaluator.needs_distribution:
            logits = torch.randn(1, 25, 3, 4, generator=torch.Generator().manual_seed(truth.luma.size))
            evaluator.observe(ChromaDistribution(logits, torch.zeros(25, 2)))
        scores = self._named(evaluator.update(result, truth))
        for key, text in evaluator.remarks().items():
            require(isinstance(text, str), f"the remark {key!r} is {text!r}, not a text")
        return scores

    def scores(self, evaluator: Evaluator, noise: int) -> dict[str, float]:
        """Scores over four pictures, or frames of a still scene, with colour that is off by up to ``noise``."""
        for number in range(4):
            seed = 0 if evaluator.of_films else number
            result = _frame(8, colour=True, seed=seed, noise=noise, chance=number)
            self.update(evaluator, result, _frame(8, colour=True, seed=seed))
        return self._named(evaluator.finish())

    def _named(self, scores: Any) -> dict[str, float]:
        unknown = set(scores) - set(self.plugin.higher_is_better)
        require(not unknown, f"higher_is_better does not name {', '.join(sorted(unknown))}")
        require(not any(math.isnan(value) for value in scores.values()), f"a score is not a number: {dict(scores)}")
        return dict(scores)

    def test_what_describes_is_a_score(self) -> None:
        unknown = self.plugin.describes - set(self.plugin.higher_is_better)
        require(not unknown, f"describes has {', '.join(sorted(unknown))}, which higher_is_better does not name")

    def test_what_needs_no_truth_does_not_hang_on_its_colours(self) -> None:
        names = self.plugin.without_truth
        unknown = names - set(self.plugin.higher_is_better)
        require(not unknown, f"without_truth has {', '.join(sorted(unknown))}, which higher_is_better does not name")
        if not names:
            return
        evaluator = self.evaluator()
        told = []
        for truth in (_frame(8, colour=True), _frame(8, colour=False)):
            for chance in range(4):
                self.update(evaluator, _frame(8, colour=True, noise=40, chance=chance), truth)
            told.append(self._named(evaluator.finish()))
        for name in sorted(names):
            found = [scores.get(name) for scores in told]
            require(found[0] == found[1], f"{name} is {found[0]} beside a colour picture, {found[1]} beside a grey one")

    def test_identical_pictures_score_best(self) -> None:
        evaluator = self.evaluator()
        same, other = self.scores(evaluator, 0), self.scores(evaluator, 80)
        require(same, "finish() gives no score")
        for name, value in same.items():
            if name in self.plugin.describes:
                continue
            worse = other[name] <= value if self.plugin.higher_is_better[name] else other[name] >= value
            require(
                worse, f"{name} is {value:g} for identical pictures and better, {other[name]:g}, for different ones"
            )

    def test_awkward_pictures_have_scores(self) -> None:
        import numpy as np

        evaluator = self.evaluator()
        tiny = np.array([[[90]], [[60]], [[30]]], np.uint8)
        for planes in (tiny, tiny * 0, np.full((3, 1, 40), 255, np.uint8), np.full((3, 9, 14), 50000, np.uint16)):
            truth = Frame(planes[1], Encoding("rgb", 8 * planes.itemsize), colour=tuple(planes))
            for result in (truth, replace(truth, colour=None)):
                self.update(evaluator, result, truth)
        for bits in (8, 16):
            truth = _frame(bits, colour=True)
            self.update(evaluator, replace(truth, colour=None), truth)
        self._named(evaluator.finish())

    def test_can_be_used_again(self) -> None:
        evaluator = self.evaluator()
        first, second = self.scores(evaluator, 40), self.scores(evaluator, 40)
        for name, value in first.items():
            require(
                math.isclose(value, second[name], rel_tol=1e-6),
                f"{name} is {value:g}, then {second[name]:g} for the same pictures",
            )


def _frame(bits: int, *, colour: bool, seed: int = 0, noise: int = 0, chance: int = 0) -> Frame:
    """A 96x128 still of smooth colour, with ``noise``, drawn by ``chance``, added to its colour planes."""
    import numpy as np

    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:96, 0:128] / 4
    slopes = rng.uniform(0.5, 3.0, (3, 2))
    planes = np.stack([40 + seed * 10 + a * rows + b * columns for a, b in slopes])
    disturbed = planes + np.random.default_rng(chance).uniform(-noise, noise, planes.shape)
    planes = np.clip(disturbed, 0, 255) * (257 if bits == 16 else 1)
    planes = planes.astype(np.uint16 if bits == 16 else np.uint8)
    luma = planes[1]
    return Frame(luma, Encoding("rgb", bits), colour=tuple(planes) if colour else None)
