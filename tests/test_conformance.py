"""The suites find what they are there to find."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

import colorpipe
from colorpipe import Batch, Chroma, ChromaDistribution, Decoder, Evaluator, Frame, Lab, Preprocessor, option
from colorpipe.plugins.interfaces import Colorizer, Plugin
from colorpipe.testing import check
from colorpipe.types import InputSize
from tests.helpers import Painter


def failures(plugin: type[Plugin]) -> dict[str, str]:
    return {result.name: result.reason for result in check(plugin) if result.status == "failed"}


class Small(Painter):
    """A well-behaved colorizer that is quick to check."""

    name = "small"
    input_size = InputSize(side=None)


def small(predict: Callable[[Any, Batch], Any], **attributes: Any) -> type[Colorizer]:
    return type("Changed", (Small,), {"predict": predict, "__module__": __name__, **attributes})


RUN_PARAMETERS = {"context"}
"""Of ``run``, that are no flags."""
# This file imports numpy by way of its helpers, which a plugin's module must not.
HEAVY_FILE = {"importing it is light"}


def test_a_good_colorizer_passes() -> None:
    assert set(failures(Small)) == HEAVY_FILE


@pytest.mark.parametrize(
    ("predict", "check_name", "reason"),
    [
        (lambda self, batch: Chroma(batch.L.repeat(1, 2, 1, 1) / 0 * 0), "predicts finite chroma", "not finite"),
        (lambda self, batch: Chroma(batch.L.repeat(1, 2, 1, 1) * 2.55), "predicts finite chroma", "CIE units"),
        (lambda self, batch: Chroma(batch.L.repeat(1, 2, 1, 1).long()), "predicts finite chroma", "int64"),
        (lambda self, batch: Chroma(batch.L[:1].repeat(1, 2, 1, 1)), "predicts finite chroma", "3 pictures in, 1 out"),
        (lambda self, batch: batch.L, "predicts finite chroma", "gave Tensor, not Chroma"),
        (
            lambda self, batch: Chroma((batch.L - batch.L.mean()).repeat(1, 2, 1, 1)),
            "neighbours do not matter",
            "differs from the same picture alone",
        ),
        (
            lambda self, batch: Chroma(batch.L.add_(1).repeat(1, 2, 1, 1) * 0),
            "repeats itself and leaves its input alone",
            "wrote to batch.L",
        ),
    ],
)
def test_a_bad_prediction_is_found(predict: Callable[..., Any], check_name: str, reason: str) -> None:
    assert reason in failures(small(predict))[check_name]


def test_an_option_with_a_name_of_the_core_is_found() -> None:
    @dataclass(frozen=True)
    class Own(colorpipe.Options):
        saturation: float = option(1.0, "how strong", min=0)

    @dataclass(frozen=True)
    class Known(colorpipe.Options):
        saturation: float = option(1.0, "how strong", min=0, qualified=True)

    named = "options have names of their own"
    assert "only --small-saturation does" in failures(small(Painter.predict, Options=Own))[named]
    assert named not in failures(small(Painter.predict, Options=Known))


def test_the_suite_knows_every_flag_of_the_command_line() -> None:
    from colorpipe.cli import dynamic, run
    from colorpipe.plugins.reserved import RUN_FLAGS

    own = inspect.signature(dynamic.extend(run.run, [], choice=None)).parameters.values()
    flags = {name for name in dynamic.reserved_names(own) if len(name) > 1} - RUN_PARAMETERS
    assert flags <= RUN_FLAGS, "add them to colorpipe/plugins/reserved.py"


def test_randomness_is_found() -> None:
    def predict(self: Any, batch: Batch) -> Chroma:
        import torch

        return Chroma(torch.rand(len(batch), 2, 2, 2) * 50)

    assert "gives another result" in failures(small(predict))["repeats itself and leaves its input alone"]


def test_a_claim_to_take_hints_is_checked() -> None:
    assert "do not change" in failures(small(Painter.predict, takes_hints=True))["hints matter if taken"]


def test_a_distribution_needs_a_decoder() -> None:
    found = failures(small(Painter.predict, yields_distribution=True))
    assert "default_decoder is None" in found["a distribution names its decoder"]


def test_a_heavy_import_is_found() -> None:
    assert "numpy" in failures(Small)["importing it is light"]


class Halfway(Decoder):
    """Twice the mean of the bins of positive logits: leaves the hull."""

    name = "halfway"
    summary = "wrong in several ways"
    licence = "Apache-2.0"

    def decode(self, distribution: ChromaDistribution) -> Chroma:
        weights = distribution.logits.exp()
        weights = weights / weights.sum(1, keepdim=True)
        return Chroma(2 * (weights.unsqueeze(2) * distribution.bins[None, :, :, None, None]).sum(1))


def test_a_decoder_that_leaves_the_hull_or_overflows_is_found() -> None:
    found = failures(Halfway)
    assert "outside the bins" in found["certainty gives its bin"]
    assert "not finite" in found["huge logits stay finite"]


class Stretch(Preprocessor):
    """Contrast stretching that forgets flat pictures."""

    name = "stretch"
    summary = "divides by zero on a flat picture"
    licence = "Apache-2.0"
    restores = True

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        gain: float = option(1.0, "gain", min=0.5, max=2.0)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        import numpy as np

        low, high = lab.L.min(), lab.L.max()
        with np.errstate(all="ignore"):
            return Lab((self.options.gain * 100 * (lab.L - low) / (high - low)).astype(np.float32)[1:])

    def locate(self, height: int, width: int) -> tuple[float, float, float, float]:
        return (0, 0, height, width)


def test_a_preprocessor_that_breaks_flat_pictures_is_found() -> None:
    found = failures(Stretch)
    assert "restores" in found["keeps lightness in range at every option"]
    assert "fractions" in found["says where the picture lies"]


class Upside(Evaluator):
    """Says that lower is better of a score that is highest for identical pictures."""

    name = "upside"
    summary = "wrong direction, never forgets"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"likeness": False}

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.total = 0.0

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        import numpy as np

        assert result.colour is not None
        assert truth.colour is not None
        score = -float(np.abs(np.stack(result.colour).astype(float) - np.stack(truth.colour)).mean())
        self.total += score
        return {"likeness": score}

    def finish(self) -> Mapping[str, float]:
        return {"likeness": self.total}


def test_an_evaluator_of_the_wrong_direction_is_found() -> None:
    found = failures(Upside)
    assert "likeness is 0 for identical pictures and better" in found["identical pictures score best"]
    assert "for the same pictures" in found["can be used again"]
    assert "awkward pictures have scores" in found  # it trips over a result left grey


class Vivid(Upside):
    """Upside, admitting that it only describes; of a distribution, and with a name too many."""

    name = "vivid"
    describes = frozenset({"likeness", "beauty"})
    without_truth = frozenset({"grace"})
    needs_distribution = True
    bins = 0

    def observe(self, distribution: ChromaDistribution) -> None:
        self.bins = len(distribution.bins)

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        if not self.bins:
            raise AssertionError("observe() was not called")
        return {"likeness": float("nan") if truth.luma.size == 1 else 1.0}


def test_an_evaluator_that_describes_is_observed_and_checked_for_numbers() -> None:
    found = failures(Vivid)
    assert "beauty" in found["what describes is a score"]
    assert "grace" in found["what needs no truth does not hang on its colours"]
    assert "not a number" in found["awkward pictures have scores"]
    assert "identical pictures score best" not in found


class Unaware(Upside):
    """Upside, claiming not to look at the truth."""

    name = "unaware"
    without_truth = frozenset({"likeness"})


def test_an_evaluator_that_looks_at_the_truth_in_secret_is_found() -> None:
    assert "what needs no truth does not hang on its colours" in failures(Unaware)


def test_an_evaluator_whose_weights_are_absent_is_skipped() -> None:
    lacking = type("Lacking", (Vivid,), {"default_weights": "nowhere", "__module__": __name__})
    skipped = {result.name: result.reason for result in check(lacking) if result.status == "skipped"}
    assert "the weights nowhere are not on this machine" in skipped["identical pictures score best"]


def test_weights_that_are_absent_are_said_to_be() -> None:
    class Weighted(Small):
        name = "weighted"
        default_weights = "nowhere"

        def build(self, weights: Any) -> None:
            raise AssertionError("there is nothing to build from")

    skipped = {result.name: result.reason for result in check(Weighted) if result.status == "skipped"}
    assert "the weights nowhere are not on this machine" in skipped["predicts finite chroma"]
