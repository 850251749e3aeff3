"""Comparing methods, from Python: what each protocol measures, and that every mean is what it says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

import colorpipe
from colorpipe import (
    Batch,
    Chroma,
    ChromaDistribution,
    Colorizer,
    Evaluation,
    Evaluator,
    Frame,
    InputError,
    Lab,
    OptionError,
    UsageError,
    WeightsError,
    evaluate,
    option,
)  # fmt: skip
from colorpipe.color import rgb_to_lab
from colorpipe.evaluation import cases, export, protocols
from colorpipe.evaluation.scoring import left_for_training
from colorpipe.evaluation.table import notes
from colorpipe.plugins.host import PluginHost
from colorpipe.settings import MediaOptions
from tests.helpers import Painter, plugin, write_grey

RNG = np.random.default_rng(4)


class Distance(Evaluator):
    """Mean absolute difference of RGB codes."""

    name = "distance"
    summary = "mean absolute difference"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"distance": False, "largest": False}

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        scale: float = option(1.0, "factor", min=0)

    options: Options

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.values: list[float] = []

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        assert truth.colour is not None
        found = np.dstack(result.colour or (result.luma,) * 3).astype(float)
        value = float(np.abs(found - np.dstack(truth.colour)).mean()) * self.options.scale
        self.values.append(value)
        return {"distance": value}

    def finish(self) -> Mapping[str, float]:
        found, self.values = max(self.values), []
        return {"largest": found}


class Spy(Distance):
    """Keeps what it is shown."""

    name = "spy"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"spied": True}
    describes = frozenset({"spied"})
    seen: ClassVar[list[tuple[Frame, Frame]]] = []

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        self.seen.append((result, truth))
        return {"spied": float(len(self.seen))}

    def remarks(self) -> Mapping[str, str]:
        return {"sees": "<b>something</b>"}

    def finish(self) -> Mapping[str, float]:
        return {}


class Learner(Colorizer):
    """Every place gets the reference's mean chroma."""

    name = "learner"
    summary = "the mean colour of a reference"
    licence = "Apache-2.0"
    learns_from_reference = True
    builds: ClassVar[int] = 0
    learned: ClassVar[list[Lab]] = []

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(1.0, "factor of the chroma", min=0, max=2)
        flip: bool = option(False, "the opposite hue")
        limit: int | None = option(None, "most chroma")

    options: Options

    def build(self, weights: Path | None) -> None:
        type(self).builds += 1

    def learn(self, reference: Lab, device: torch.device) -> None:
        assert reference.ab is not None
        self.learned.append(reference)
        self.mean = torch.from_numpy(reference.ab.mean((0, 1))) * self.options.strength

    def predict(self, batch: Batch) -> Chroma:
        mean = -self.mean if self.options.flip else self.mean
        return Chroma(mean.view(1, 2, 1, 1).expand(len(batch), 2, 4, 4))


class Guesser(Painter):
    """Equal chances for four colours."""

    name = "guesser"
    yields_distribution = True
    default_decoder = "mean"

    def predict(self, batch: Batch) -> ChromaDistribution:  # type: ignore[override]
        bins = torch.tensor([[20.0, 0], [-20, 0], [0, 20], [0, -20]])
        return ChromaDistribution(torch.zeros(len(batch), 4, 2, 2), bins)


class Doubt(Distance):
    """Mean entropy of what was predicted, in bits."""

    name = "doubt"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"doubt": False}
    needs_distribution = True

    def observe(self, distribution: ChromaDistribution) -> None:
        assert distribution.logits.shape[0] == 1
        chances = distribution.logits.softmax(1)
        self.bits = float(-(chances * chances.log2()).sum(1).mean())

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        return {"doubt": self.bits}

    def finish(self) -> Mapping[str, float]:
        return {}


class Moody(Painter):
    """Fails on dark pictures, and on all when told to."""

    name = "moody"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        broken: bool = option(False, "fails always")

    options: Options

    def predict(self, batch: Batch) -> Chroma:
        if self.options.broken or float(batch.L.mean()) < 30:
            raise colorpipe.PluginError("too dark for me")
        return super().predict(batch)


@pytest.fixture
def host() -> PluginHost:
    Spy.seen.clear()
    Learner.learned.clear()
    Learner.builds = 0
    host = PluginHost.load()
    classes = [Painter, Learner, Guesser, Moody]
    host.register(plugin(classes, colorpipe_evaluators=[Distance, Spy, Doubt]), name="throwaway", source="the test")
    return host


def flat(path: Path, rgb: tuple[int, int, int], height: int = 40, width: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), rgb[::-1], np.uint8))
    return path


def noise(path: Path, height: int, width: int, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    """A picture of random codes; returns them, RGB(A)."""
    codes = RNG.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)
    order = [2, 1, 0, 3][:channels]
    assert cv2.imwrite(str(path), codes[..., order])
    return codes


def value(evaluation: Evaluation, row: str, column: str) -> Any:
    rows = {made.label: made for made in evaluation.rows}
    columns = {made.label: made for made in evaluation.columns}
    return evaluation.summary(rows[row], columns[column])


# --- protocols --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "side", "grey", "learns"),
    [
        ("whole-256.v1", 256, "lightness", False),
        ("native.v1", None, "lightness", False),
        ("left-right-120.v1", 120, "luminosity", True),
        ("left-right-256.v1", 256, "luminosity", True),
        ("split-70-30.v1", 256, "lightness", False),
    ],
)
def test_what_a_name_stands_for_never_changes(name: str, side: int | None, grey: str, learns: bool) -> None:
    protocol = protocols.get(name)
    assert (protocol.side, protocol.grey, protocol.resampling, protocol.seed) == (side, grey, "bicubic", 0)
    left, right = (0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0)
    assert (protocol.learn, protocol.score) == ((left, right) if learns else (None, (0.0, 0.0, 1.0, 1.0)))
    assert protocol.share == (0.3 if name.startswith("split") else 1.0)


def test_left_right_gives_the_left_halfs_colours_and_the_right_halfs_grey(tmp_path: Path, host: PluginHost) -> None:
    rgb = noise(tmp_path / "a.png", 120, 120)
    evaluate(tmp_path, ["learner"], ["spy"], "left-right-120.v1", host=host, baseline=False)
    [(result, truth)] = Spy.seen
    assert truth.colour is not None
    assert np.array_equal(np.dstack(truth.colour), rgb[:, 60:])
    assert np.abs(result.luma - rgb[:, 60:] @ np.array([0.21, 0.72, 0.07])).max() < 0.5001
    assert np.array_equal(truth.luma, result.luma)
    [reference] = Learner.learned
    wanted = rgb_to_lab(rgb[:, :60].astype(np.float32) / 255)
    assert np.array_equal(reference.L, wanted.L)
    assert np.array_equal(reference.ab, wanted.ab)


@pytest.mark.parametrize(
    ("name", "size"),
    [("whole-256.v1", (256, 256)), ("native.v1", (90, 37)), ("left-right-120.v1", (120, 60)),
     ("left-right-256.v1", (256, 128))],
)  # fmt: skip
def test_sizes_and_resampling(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    from PIL import Image

    rgb = noise(tmp_path / "a.png", 90, 37)
    case = cases.read(tmp_path / "a.png", protocols.get(name), MediaOptions())
    assert case.truth.luma.shape == case.grey.luma.shape == size
    assert case.grey.colour is None
    if name != "native.v1":
        side = size[0]
        rgb = np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC))[:, side - size[1] :]
    assert case.truth.colour is not None
    difference = np.abs(np.dstack(case.truth.colour).astype(int) - rgb)
    assert difference.max() <= 2  # each direction is rounded
    assert difference.mean() < 0.01


def test_lightness_is_the_grey_of_the_same_cie_lightness(tmp_path: Path) -> None:
    from skimage.color import lab2rgb, rgb2lab

    rgb = noise(tmp_path / "a.png", 64, 64)
    case = cases.read(tmp_path / "a.png", protocols.get("native.v1"), MediaOptions())
    neutral = rgb2lab(rgb / 255)
    neutral[..., 1:] = 0
    wanted = lab2rgb(neutral)[..., 1] * 255
    assert np.abs(case.grey.luma - wanted).max() < 0.51  # rounded, and skimage's white point has fewer digits


def test_sixteen_bits_and_transparency_become_eight_bits_over_white(tmp_path: Path) -> None:
    rgba = noise(tmp_path / "a.png", 9, 11, np.uint16, 4).astype(float) / 65535
    case = cases.read(tmp_path / "a.png", protocols.get("native.v1"), MediaOptions())
    wanted = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    assert case.truth.colour is not None
    assert np.abs(np.dstack(case.truth.colour) - wanted * 255).max() <= 0.502
    assert case.truth.alpha is None


def test_the_split_depends_on_names_alone(tmp_path: Path, host: PluginHost) -> None:
    protocol = protocols.get("split-70-30.v1")
    names = [Path(f"{number:05}.jpg") for number in range(4000)]
    scored = [name for name in names if protocol.is_scored(name)]
    assert 0.28 < len(scored) / len(names) < 0.32
    assert all(protocol.is_scored(Path("elsewhere") / name) for name in scored)
    assert protocol.is_scored(Path("coffee.jpg"))  # by the SHA-256 of "0:coffee.jpg": a name never changes its side
    for name in ("astronaut.jpg", "chelsea.png", "rocket.jpg"):
        assert not protocol.is_scored(Path(name))
        flat(tmp_path / name, (90, 20, 20))
    with pytest.raises(UsageError, match="none of the 3 inputs is among those"):
        evaluate(tmp_path, ["painter"], ["distance"], protocol.name, host=host)
    flat(tmp_path / "coffee.jpg", (90, 20, 20))
    evaluation = evaluate(tmp_path, ["painter"], ["distance"], protocol.name, host=host)
    assert [path.name for path in evaluation.pictures] == ["coffee.jpg"]
    training = [tmp_path / name for name in ("astronaut.jpg", "chelsea.png", "rocket.jpg")]
    assert list(evaluation.training) == left_for_training([tmp_path], protocol.name) == training
    assert evaluation.as_dict()["training"] == [str(path) for path in training]
    with pytest.raises(UsageError, match="scores every input"):
        left_for_training([tmp_path], "native.v1")


def test_an_unknown_protocol_names_the_known_ones(host: PluginHost) -> None:
    with pytest.raises(UsageError, match=r"no protocol 'whole-128'.*whole-256\.v1.*split-70-30\.v1"):
        evaluate("x.png", protocol="whole-128", host=host)


# --- scores -----------------------------------------------------------------------------------------------------------


def test_means_spreads_and_set_scores_are_exact(tmp_path: Path, host: PluginHost) -> None:
    # luminosity: 42 + 72 + 3.5 = 117.5 -> 118 (to even), distance (82 + 18 + 68) / 3 = 56; 21 + 144 + 7 = 172,
    # (72 + 28 + 72) / 3; and 63 + 72 + 7 = 142 for (300 does not exist) 255, 90, 100: 53.55 + 64.8 + 7 = 125.35 -> 125
    for name, rgb in (("a", (200, 100, 50)), ("b", (100, 200, 100)), ("c", (255, 90, 100))):
        flat(tmp_path / f"{name}.png", rgb)
    wanted = [56.0, 172 / 3, (130 + 35 + 25) / 3]
    evaluation = evaluate(tmp_path, [], ["distance", "distance:scale=2"], "left-right-120.v1", host=host)
    assert [row.label for row in evaluation.rows] == ["(grey)"]
    found = value(evaluation, "(grey)", "distance")
    assert found.mean == pytest.approx(statistics.mean(wanted), abs=1e-12)
    assert found.spread == pytest.approx(statistics.stdev(wanted), abs=1e-12)
    assert found.pictures == 3
    assert value(evaluation, "(grey)", "distance:scale=2").mean == pytest.approx(2 * found.mean)
    largest = value(evaluation, "(grey)", "distance largest")
    assert (largest.mean, largest.spread, largest.over_all, largest.value) == (None, None, max(wanted), max(wanted))
    scores = evaluation.as_dict()["methods"][0]["scores"]
    assert scores["distance"] == {"mean": found.mean, "spread": found.spread, "pictures": 3}
    assert scores["distance largest"] == {"mean": None, "spread": None, "pictures": 0, "set": max(wanted)}
    per_picture = evaluation.as_dict()["pictures"]
    assert [row["methods"]["(grey)"]["scores"]["distance"] for row in per_picture] == wanted


def test_a_method_learns_from_each_picture_and_is_loaded_once(tmp_path: Path, host: PluginHost) -> None:
    for number, rgb in enumerate([(200, 100, 50), (50, 100, 200), (60, 160, 60)]):
        flat(tmp_path / f"{number}.png", rgb)
    evaluation = evaluate(tmp_path, ["learner"], ["distance"], "left-right-120.v1", host=host)
    assert (Learner.builds, len(Learner.learned)) == (1, 3)
    # A flat picture's mean chroma is its chroma, and the grey's lightness its own but for the formula and rounding.
    assert value(evaluation, "learner", "distance").mean < 12
    assert value(evaluation, "(grey)", "distance").mean > 40
    row = evaluation.as_dict()["methods"][1]
    assert row["recipe"]["reference_sha256"] is None
    assert evaluation.best(evaluation.columns[0]) == {"learner"}


def test_a_reference_can_be_named_and_is_learned_once(tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "in" / "a.png", (200, 100, 50))
    flat(tmp_path / "in" / "b.png", (200, 100, 50))
    red = flat(tmp_path / "red.png", (200, 100, 50))
    spec = f"learner:reference={red}"
    evaluation = evaluate(tmp_path / "in", [spec, f"{spec},flip=yes"], ["distance"], host=host)
    assert len(Learner.learned) == 2  # one for each row
    assert value(evaluation, spec, "distance").mean < 3 < 40 < value(evaluation, f"{spec},flip=yes", "distance").mean
    recipe = evaluation.as_dict()["methods"][1]["recipe"]
    assert len(recipe["reference_sha256"]) == 64


def test_a_distribution_is_seen_by_who_needs_one_and_others_are_left_out(tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    evaluation = evaluate(tmp_path, ["guesser", "painter"], ["doubt", "distance"], host=host)
    assert value(evaluation, "guesser", "doubt").mean == pytest.approx(2)
    assert value(evaluation, "painter", "doubt").value is None
    assert evaluation.failures == ()
    lines = drawn(evaluation).splitlines()
    assert next(line for line in lines if line.startswith("painter")).split()[1] == "-"


def test_seconds_are_the_methods_alone(tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def passes(seconds: float, method: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any, **named: Any) -> Any:
            now[0] += seconds
            return method(*arguments, **named)

        return slow

    for number in range(3):
        flat(tmp_path / f"{number}.png", (200, 100, 50))
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Learner, "build", passes(2, Learner.build))
    monkeypatch.setattr(Learner, "learn", passes(3, Learner.learn))
    monkeypatch.setattr(Learner, "predict", passes(5, Learner.predict))
    monkeypatch.setattr(Distance, "update", passes(70, Distance.update))
    monkeypatch.setattr(cases, "open_source", passes(300, cases.open_source))
    evaluation = evaluate(tmp_path, ["learner"], ["distance"], "left-right-120.v1", host=host)
    row = evaluation.rows[1]
    assert [(scored.learning, scored.colorizing) for scored in row.results.values()] == [(3, 5)] * 3
    assert (row.start_up, row.learning) == (2, 0)
    seconds = evaluation.as_dict()["methods"][1]["seconds"]
    assert seconds == {"median": 8, "mean": 8, "start_up": 2, "learning": 0}


def test_a_score_without_bound_is_a_text_in_json(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    monkeypatch.setattr(Distance, "update", lambda *_: {"distance": math.inf})
    monkeypatch.setattr(Distance, "finish", lambda _: {"largest": -math.inf})
    evaluation = evaluate(tmp_path, [], ["distance"], host=host)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(export.json_text(evaluation), parse_constant=refuse)
    scores = found["methods"][0]["scores"]
    assert scores["distance"]["mean"] == "Infinity"
    assert scores["largest"]["set"] == "-Infinity"
    assert "∞" in drawn(evaluation)


# --- failures ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_scored_is_named_and_left_out_of_the_means(tmp_path: Path, host: PluginHost) -> None:
    folder = tmp_path / "in"
    flat(folder / "a.png", (200, 100, 50))
    flat(folder / "b.png", (20, 10, 10))
    flat(folder / "c.png", (100, 200, 100))
    write_grey(folder / "grey.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    (folder / "words.jpg").write_text("no picture")
    film = Path(__file__).parents[1] / "samples" / "chaplin.mp4"
    evaluation = evaluate([folder, film], ["moody", "painter"], ["distance"], host=host)
    told = [str(failure) for failure in evaluation.failures]
    assert len(told) == 5
    for name, reason in (
        ("broken.png", "broken.png is a damaged"), ("grey.png", "grey.png is grey"), ("words.jpg", "words.jpg is a"),
        ("chaplin.mp4", "is a film"), ("b.png", f"moody: {folder / 'b.png'}: too dark for me"),
    ):  # fmt: skip
        assert any(name in line and reason in line for line in told), (name, told)
    assert [path.name for path in evaluation.pictures] == ["a.png", "b.png", "c.png"]
    painter = evaluation.rows[2]
    assert len(painter.results) == 3
    # All means are over the two pictures that both methods could do.
    for row in ("(grey)", "moody", "painter"):
        assert value(evaluation, row, "distance").pictures == 2
    wanted = [painter.results[0].scores["distance"], painter.results[2].scores["distance"]]
    assert value(evaluation, "painter", "distance").mean == statistics.mean(wanted)
    assert value(evaluation, "moody", "distance") == value(evaluation, "painter", "distance")
    # A measure's own score over all is over what the method could do.
    assert value(evaluation, "moody", "largest").over_all == max(wanted)
    assert "distance: means over 2 of 3 pictures" in notes(evaluation)


def test_a_method_that_always_fails_leaves_the_others_their_means(tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    flat(tmp_path / "b.png", (100, 100, 50))
    evaluation = evaluate(tmp_path, ["moody:broken=yes", "painter"], ["distance"], host=host)
    assert len(evaluation.failures) == 2
    assert value(evaluation, "painter", "distance").pictures == 2
    assert value(evaluation, "moody:broken=yes", "distance").value is None


def test_a_method_that_cannot_start_is_named_once(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    flat(tmp_path / "b.png", (100, 100, 50))

    def build(self: Any, weights: Any) -> None:
        raise colorpipe.PluginError("nothing to build from")

    monkeypatch.setattr(Moody, "build", build)
    evaluation = evaluate(tmp_path, ["moody", "painter"], ["distance"], host=host)
    assert [str(failure) for failure in evaluation.failures] == ["moody: nothing to build from"]
    assert value(evaluation, "painter", "distance").pictures == 2


@pytest.mark.parametrize("given", ["nan", "unknown", "error"])
def test_a_measure_that_fails_leaves_the_others_theirs(
    given: str, tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))

    def update(self: Any, result: Frame, truth: Frame) -> Mapping[str, float]:
        if given == "error":
            raise ZeroDivisionError("by zero")
        return {"spied": math.nan} if given == "nan" else {"more": 1.0}

    monkeypatch.setattr(Spy, "update", update)
    evaluation = evaluate(tmp_path, ["painter"], ["spy", "distance"], host=host)
    [failure] = evaluation.failures  # one for both rows
    says = {"nan": "not a number", "unknown": "higher_is_better", "error": "unexpected ZeroDivisionError: by zero"}
    assert says[given] in failure.error
    assert failure.by == "spy"
    assert value(evaluation, "painter", "distance").pictures == 1
    assert bool(caplog.records) == (given == "error")  # a bug keeps its traceback


def test_nothing_to_score_is_no_crash(tmp_path: Path, host: PluginHost) -> None:
    write_grey(tmp_path / "grey.png")
    evaluation = evaluate(tmp_path, ["painter"], ["distance"], host=host)
    assert evaluation.pictures == ()
    assert len(evaluation.failures) == 1
    assert json.loads(export.json_text(evaluation))["pictures"] == []
    assert export.csv_text(evaluation).count("\n") == 1


# --- specs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("zang", r"no colorizer 'zang'; colorizers: .*painter"),
        ("greyscale", "is a preprocessor, not a colorizer"),
        ("painter:", r"painter:: '' is no KEY=VALUE"),
        ("painter:saturation", "'saturation' is no KEY=VALUE; write NAME:KEY=VALUE"),
        ("painter:saturation=", "no KEY=VALUE"),
        ("painter:saturation=1,saturation=2", "saturation is given twice"),
        ("painter:saturation=9", r"painter:saturation=9: painter: saturation takes a number in 0\.\.4, not '9'"),
        (
            "painter:vividness=3",
            r"has an option 'vividness'; there are gamut, hint_reach, keep, keep_colour, saturation, temperature, "
            r"temporal, upsample$",
        ),
        ("painter:codec=ffv1", "has an option 'codec'"),
        ("painter:keep=luna", r"keep takes a text in lightness\|luma, not 'luna'"),
        ("painter:decoder=mode", "takes no decoder"),
        ("painter:weights=eccv16", "works without weights"),
        ("painter:preprocessor=denoise+blur", "no preprocessor 'blur'"),
        ("painter:reference=a.png", "does not use a reference"),
        ("guesser:decoder=median", "no decoder 'median'"),
        ("learner", r"learns from a colour picture, and whole-256\.v1 gives it none; write learner:reference=FILE"),
        ("learner:reference=none", "learns from a colour picture"),
        ("zhang:T=warm", r"annealed-mean: T takes a number in 0\.\.2, not 'warm'"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(spec: str, words: str, tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    with pytest.raises(UsageError, match=words):
        evaluate(tmp_path, [spec], ["distance"], host=host)


def test_other_wrong_calls(tmp_path: Path, host: PluginHost) -> None:
    picture = flat(tmp_path / "a.png", (200, 100, 50))
    grey = tmp_path / "grey.png"
    write_grey(grey)
    calls: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"colorizers": ["painter", "painter"]}, UsageError, "painter is named twice"),
        ({"evaluators": ["distance:scale=-1"]}, OptionError, "scale takes a number in >= 0"),
        ({"evaluators": ["distance:size=1"]}, OptionError, "has no option 'size'; its options: scale"),
        ({"evaluators": ["painter"]}, UsageError, "is a colorizer, not a evaluator"),
        ({"evaluators": ["distance:weights=x"]}, UsageError, "works without weights"),
        ({"colorizers": [f"learner:reference={grey}"]}, UsageError, "reference is grey"),
        ({"colorizers": ["learner:reference=nowhere.png"]}, InputError, "nowhere.png"),
        ({"colorizers": [], "baseline": False}, UsageError, "no method"),
        ({"device": "tpu"}, UsageError, "no device 'tpu'"),
        ({"colorizers": ["siggraph17"]}, WeightsError, "siggraph17 are not on this machine"),
        ({"inputs": tmp_path / "nothing"}, UsageError, "does not exist"),
    ]
    for arguments, kind, words in calls:
        with pytest.raises(kind, match=words):
            evaluate(**{"inputs": picture, "colorizers": ["painter"], "evaluators": ["spy"], **arguments}, host=host)


def test_a_spec_reaches_every_stage(tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    spec = "guesser:decoder=annealed-mean,T=0.2,saturation=1.5,preprocessor=denoise+resize,resize-max-side=100"
    evaluation = evaluate(tmp_path, [f"{spec},upsample=none", "learner:strength=0.5,flip=on,limit=none"], ["distance"],
                          "left-right-120.v1", host=host)  # fmt: skip
    recipe, learner = (row.recipe for row in evaluation.rows[1:])
    assert recipe is not None
    assert recipe.decoder is not None
    assert (recipe.decoder.name, recipe.decoder.options["T"]) == ("annealed-mean", 0.2)
    assert [stage.name for stage in recipe.preprocessors] == ["denoise", "resize"]
    assert recipe.preprocessors[1].options["max_side"] == 100
    assert (recipe.settings["saturation"], recipe.settings["upsample"]) == (1.5, None)
    assert learner is not None
    assert learner.colorizer.options == {"strength": 0.5, "flip": True, "limit": None}


def test_the_usual_measures_are_those_that_are_installed() -> None:
    bare = PluginHost()
    with pytest.raises(UsageError, match="none of the usual measures is installed"):
        evaluate(Path(__file__).parents[1] / "samples" / "colour", [], host=bare)
    psnr = type("Psnr", (Distance,), {"name": "psnr", "__module__": __name__})
    bare.register(plugin(colorpipe_evaluators=[psnr, Spy]), name="throwaway", source="the test")
    evaluation = evaluate(Path(__file__).parents[1] / "samples" / "colour", [], host=bare)
    assert list(evaluation.measures) == ["psnr"]


class Looker(Spy):
    """Looks with a network."""

    name = "looker"
    default_weights = "looks"
    built: ClassVar[list[Path]] = []

    def build(self, weights: Path) -> None:
        self.built.append(weights)


def test_a_measure_that_looks_with_a_network_is_given_its_file(tmp_path: Path) -> None:
    Looker.built.clear()
    picture = flat(tmp_path / "a.png", (200, 100, 50))
    (tmp_path / "looks.bin").write_bytes(b"looks")
    digest = hashlib.sha256(b"looks").hexdigest()
    registered = colorpipe.Model("looks", "looker", "CC0-1.0", "a test", digest, 5, bundled=tmp_path / "looks.bin")
    bare = PluginHost()
    bare.register(
        plugin([Painter], colorpipe_evaluators=[Looker], colorpipe_models=[registered]), name="throwaway", source="test"
    )
    other = tmp_path / "other.bin"
    other.write_bytes(b"other")
    evaluation = evaluate(picture, ["painter"], ["looker", f"looker:weights={other}"], host=bare)
    assert evaluation.as_dict()["measures"]["looker"]["weights_sha256"] == digest
    assert Looker.built == [tmp_path / "looks.bin", other]
    with pytest.raises(UsageError, match="nowhere: no such file, and no such name"):
        evaluate(picture, ["painter"], ["looker:weights=nowhere"], host=bare)
    bare.models["looks"] = dataclasses.replace(registered, bundled=None)
    with pytest.raises(WeightsError, match="the weights looks are not on this machine"):
        evaluate(picture, ["painter"], ["looker"], host=bare)


# --- showing ----------------------------------------------------------------------------------------------------------


def drawn(evaluation: Evaluation, width: int | None = None) -> str:
    from colorpipe.evaluation.table import table

    console = Console(width=width or 200)
    with console.capture() as captured:
        console.print(table(evaluation, width))
    return captured.get()


def test_the_table_fits_eighty_columns_the_one_way_or_the_other(tmp_path: Path, host: PluginHost) -> None:
    for number in range(3):
        flat(tmp_path / f"{number}.png", (200 - 30 * number, 100, 50))
    few = evaluate(tmp_path, ["painter"], ["distance"], host=host)
    assert "native" not in drawn(few, 80)
    lines = drawn(few, 80).splitlines()
    assert lines[0].startswith("whole-256.v1, 3 pictures")
    assert lines[1].split() == ["distance", "↓", "largest", "↓", "s/picture"]
    assert [line.split()[0] for line in lines[2:]] == ["(grey)", "painter"]
    slim = drawn(few, 36)
    assert "±" in drawn(few, 80)
    assert "±" not in slim
    assert max(map(len, slim.splitlines())) <= 36
    many = evaluate(tmp_path, ["painter"], [f"distance:scale={n}" for n in range(1, 6)], host=host)
    narrow = drawn(many, 80).splitlines()
    assert narrow[1].split() == ["(grey)", "painter"]
    assert max(map(len, narrow)) <= 80
    assert drawn(many, 400).splitlines()[1].split()[-1] == "s/picture"


def test_what_describes_has_no_best_and_no_arrow(tmp_path: Path, host: PluginHost) -> None:
    flat(tmp_path / "a.png", (200, 100, 50))
    evaluation = evaluate(tmp_path, ["learner"], ["spy", "distance"], "left-right-120.v1", host=host)
    spied, distance = evaluation.columns[:2]
    assert (spied.arrow, evaluation.best(spied)) == ("", set())
    assert (distance.arrow, evaluation.best(distance)) == ("↓", {"learner"})
    assert evaluation.as_dict()["scores"]["spied"]["higher_is_better"] is None
    assert evaluation.rows[1].results[0].remarks == {"sees": "<b>something</b>"}


def test_csv_has_a_line_for_each_picture_and_method(tmp_path: Path, host: PluginHost) -> None:
    import csv
    import io

    flat(tmp_path / 'with "quotes", commas.png', (200, 100, 50))
    flat(tmp_path / "b.png", (200, 100, 50))
    evaluation = evaluate(tmp_path, ["painter", "painter:saturation=2,keep=luma"], ["distance"], host=host)
    rows = list(csv.DictReader(io.StringIO(export.csv_text(evaluation))))
    assert [row["method"] for row in rows] == ["(grey)", "painter", "painter:saturation=2,keep=luma"] * 2
    assert rows[3]["input"] == str(tmp_path / 'with "quotes", commas.png')
    assert float(rows[3]["distance"]) == evaluation.rows[0].results[1].scores["distance"]
    assert rows[0]["largest"] == ""
