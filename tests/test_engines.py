"""OpenVINO beside torch: converted once, tried, told, remembered; what it cannot do torch does, and that is said."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import colorpipe
from colorpipe import Batch, Chroma, ChromaDistribution, Colorizer, InputSize, Recipe, Session, UsageError, option
from colorpipe.inference import engines, kept_graphs, openvino_library, trial
from colorpipe.inference.graph_runtime import GraphRuntime
from colorpipe.inference.runtime import Runtime
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Stage
from tests.conftest import Cli

SAMPLES = Path(__file__).parents[1] / "samples"
PICTURE = SAMPLES / "einstein-1947.jpg"
pytestmark = pytest.mark.extra
needs_openvino = pytest.mark.skipif(not openvino_library.version(), reason="needs the extra openvino")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLORPIPE_ENGINE", "auto")
    return tmp_path / "cache"


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(1, 48, 3, padding=1)
        self.middle = nn.Conv2d(48, 48, 3, padding=1)
        self.last = nn.Conv2d(48, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.middle(self.first(x / 50 - 1).relu()).relu())
        return 30 * found


class Plain(Colorizer):
    """A method as anybody writes one: nothing in it knows of engines."""

    name = "plain"
    summary = "a network without weights"
    licence = "MIT"
    input_size = InputSize(side=128)
    seen: list[str]

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(1.0, "chroma is multiplied by this", min=0, max=4)

    options: Options

    def build(self, weights: Path | None) -> nn.Module:
        return Network()

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None
        return Chroma(self.options.strength * self.network(batch.L))


class Stubborn(Plain):
    """Goes through numpy, which no graph knows: its network alone can be converted."""

    name = "stubborn"

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None
        ab = self.network(batch.L)
        assert self.network.last.out_channels == 2  # type: ignore[union-attr]  # plugins look at their network
        scale = float(np.tanh(batch.L.numpy() / 50).mean())  # another for each picture
        return Chroma(ab * scale)


class Branching(Plain):
    """Decides by the picture: a graph of one branch would be wrong for the other."""

    name = "branching"

    def build(self, weights: Path | None) -> nn.Module:
        class Deciding(Network):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                found = super().forward(x)
                return -found if float(x.mean()) > 49 else found

        return Deciding()


def session(cls: type[Colorizer], **settings: object) -> Session:
    host = PluginHost()
    module = type("Module", (), {"colorpipe_colorizers": staticmethod(colorpipe.hookimpl(lambda: [cls]))})
    host.register(module, name=cls.name, source="test")
    return Session(cls.name, host=host, **settings)  # type: ignore[arg-type]


def views(count: int = 3, side: int = 128) -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.random((count, 1, side // 8, side // 8)) * 100
    return coarse.repeat(8, 2).repeat(8, 3).astype(np.float32)


# --- names ------------------------------------------------------------------------------------------------------------


def test_without_the_extra_auto_is_torch_and_asking_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_library, "version", lambda: "")
    made = session(Plain)
    assert (made.runtimes[0].engine, made.recipe.engine) == ("torch", "auto")
    for settings in ({"engine": "openvino"}, {"precision": "int8"}):
        with pytest.raises(UsageError, match="OpenVINO is not installed") as told:
            session(Plain, **settings)
        assert told.value.hint == "pip install 'colorpipe[openvino]' installs it"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"engine": "onnx"}, "there is no engine 'onnx'"),
        ({"engine": "torch", "precision": "int8"}, "int8 is for the engine openvino"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        session(Plain, **settings)


def test_the_environment_says_what_auto_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORPIPE_ENGINE", "torch")
    assert engines.wanted_engine("auto", "auto") == "torch"
    monkeypatch.setenv("COLORPIPE_ENGINE", "abacus")
    with pytest.raises(UsageError, match="COLORPIPE_ENGINE is 'abacus'"):
        engines.wanted_engine("auto", "auto")


def test_the_digest_knows_an_engine_that_was_asked_for() -> None:
    recipe = Recipe(Stage("zhang"))
    digests = {recipe.digest(), replace(recipe, engine="torch").digest(), replace(recipe, engine="openvino").digest()}
    assert len(digests) == 3
    assert Recipe.from_json(replace(recipe, engine="openvino").to_json()).engine == "openvino"


# --- the trial --------------------------------------------------------------------------------------------------------


@needs_openvino
def test_a_method_is_converted_whole_tried_once_and_gives_the_same_colours(
    caplog: pytest.LogCaptureFixture, cache: Path
) -> None:
    caplog.set_level(logging.INFO)
    exact = session(Plain, engine="torch", precision="fp32").runtimes[0].predict(views())
    made = session(Plain, engine="openvino", precision="fp32")
    runtime = made.runtimes[0]
    assert isinstance(runtime, GraphRuntime)
    assert "trying once whether OpenVINO is faster" in caplog.text
    assert runtime.reason.startswith("OpenVINO: exact arithmetic, ")
    for found, right in zip(runtime.predict(views()), exact, strict=True):
        np.testing.assert_allclose(found, right, atol=2e-3)
    assert (made.recipe.engine, made.recipe.precision) == ("openvino", "fp32")
    assert made.pinned().in_effect["engine"] == f"openvino {openvino_library.version()}"
    caplog.clear()
    again = session(Plain, engine="openvino", precision="fp32")
    assert "trying" not in caplog.text
    assert all(
        np.array_equal(a, b) for a, b in zip(again.runtimes[0].predict(views()), runtime.predict(views()), strict=True)
    )
    assert len(list((cache / "engines").glob("*.xml"))) == 1


@needs_openvino
def test_a_picture_is_the_same_alone_among_others_and_from_many_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    runtime = session(Plain, engine="openvino", precision="fp32").runtimes[0]
    together = runtime.predict(views(9))
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda i: runtime.predict(views(9)[i : i + 1])[0], range(9)))
    assert np.array_equal(together, alone)


@needs_openvino
def test_other_options_and_other_weights_are_another_graph() -> None:
    first = session(Plain, engine="openvino", precision="fp32").runtimes[0]
    second = session(Plain, engine="openvino", precision="fp32", strength=2.0).runtimes[0]
    ratio = second.predict(views(1))[0] / first.predict(views(1))[0]
    np.testing.assert_allclose(np.median(ratio), 2, rtol=1e-3)


@needs_openvino
def test_where_numpy_is_in_between_the_network_alone_is_converted() -> None:
    exact = session(Stubborn, engine="torch", precision="fp32").runtimes[0].predict(views())
    for _ in range(2):  # tried, and remembered
        runtime = session(Stubborn, engine="openvino", precision="fp32").runtimes[0]
        assert isinstance(runtime, Runtime)
        assert runtime.engine == "openvino"
        for found, right in zip(runtime.predict(views()), exact, strict=True):
            np.testing.assert_allclose(found, right, atol=2e-3)


@needs_openvino
def test_arithmetic_that_cannot_be_compiled_leaves_the_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor may say that it has bfloat16 where a limit that was set for it forbids that."""
    compiled = trial._compiled

    def without_bf16(model: object, precision: openvino_library.Arithmetic) -> openvino_library.Graph:
        if precision == "bf16":
            raise trial.CannotConvertError("object is not initialized")
        return compiled(model, precision)

    monkeypatch.setattr(openvino_library, "has_bf16", lambda: True)
    monkeypatch.setattr(trial, "_compiled", without_bf16)
    runtime = session(Plain, engine="openvino").runtimes[0]
    assert isinstance(runtime, GraphRuntime)  # whole, not its network alone, which needs torch
    assert runtime.precision == "fp32"


@needs_openvino
def test_a_graph_with_wrong_colours_is_not_taken_and_torch_is_told(caplog: pytest.LogCaptureFixture) -> None:
    exact = session(Branching, engine="torch", precision="fp32")
    caplog.clear()
    made = session(Branching, engine="openvino", precision="fp32")
    assert made.runtimes[0].engine == "torch"
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert told[0].startswith("torch computes branching: its colours would be off by ")
    assert made.recipe.engine == "torch"
    assert np.array_equal(made.runtimes[0].predict(views()), exact.runtimes[0].predict(views()))


@needs_openvino
def test_a_library_that_ended_the_program_is_not_tried_again(caplog: pytest.LogCaptureFixture, cache: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    first = session(Plain, engine="openvino", precision="fp32")
    assert first.runtimes[0].engine == "openvino"
    (verdict,) = (cache / "engines").glob("*.json")
    verdict.write_text(json.dumps({"trying": gone.pid, "since": verdict.stat().st_mtime}))
    made = session(Plain, engine="openvino", precision="fp32")
    assert made.runtimes[0].engine == "torch"
    assert "ended the program when it was tried here" in caplog.text


@needs_openvino
def test_a_small_network_is_left_alone_and_a_cache_that_cannot_be_written_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tiny(Plain):
        name = "tiny"
        input_size = InputSize(side=16)

    made = session(Tiny, precision="fp32")
    assert made.runtimes[0].engine == "torch"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "file"))
    runtime = session(Plain, engine="openvino", precision="fp32").runtimes[0]
    assert runtime.engine == "openvino"
    assert runtime.predict(views(1))[0].shape == (128, 128, 2)


@needs_openvino
def test_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 0.5, 1.0, 0.95])
    monkeypatch.setattr(trial, "_seconds", lambda call: next(times))
    assert session(Plain, precision="fp32").runtimes[0].engine == "openvino"
    slower = session(Plain, precision="fp32", strength=3.0)
    assert slower.runtimes[0].engine == "torch"
    assert slower.digest == session(Plain, precision="fp32", strength=3.0, engine="auto").digest


@needs_openvino
def test_sizes_that_vary_are_one_graph() -> None:
    class Free(Plain):
        name = "free"
        input_size = InputSize(side=None, limit=160, multiple=8)

    exact = session(Free, engine="torch", precision="fp32").runtimes[0]
    runtime = session(Free, engine="openvino", precision="fp32").runtimes[0]
    assert isinstance(runtime, GraphRuntime)
    for shape in ((64, 160), (160, 40), (88, 96)):
        L = np.linspace(0, 100, shape[0] * shape[1], dtype=np.float32).reshape(1, 1, *shape)
        np.testing.assert_allclose(runtime.predict(L)[0], exact.predict(L)[0], atol=2e-3)


@needs_openvino
def test_what_the_graph_does_not_take_goes_to_torch(caplog: pytest.LogCaptureFixture) -> None:
    class Hinted(Plain):
        name = "hinted"
        takes_hints = True

        def predict(self, batch: Batch) -> Chroma:
            found = super().predict(batch)
            return found if batch.hints is None else Chroma(found.ab + batch.hints[:, :2])

    caplog.set_level(logging.INFO)
    exact = session(Hinted, engine="torch", precision="fp32").runtimes[0]
    runtime = session(Hinted, engine="openvino", precision="fp32").runtimes[0]
    hints = np.full((3, 3, 128, 128), 7, np.float32)
    assert np.array_equal(runtime.predict(views(), hints), exact.predict(views(), hints))
    assert caplog.text.count("torch computes hints, references, features and distributions") == 1


# --- a run ------------------------------------------------------------------------------------------------------------


@needs_openvino
def test_a_run_by_the_engine_imports_no_torch_and_its_results_are_known(tmp_path: Path) -> None:
    """The first process converts; the second one needs torch, and OpenVINO's converter, for nothing."""
    probe = (
        "import sys; from colorpipe.cli.app import main; status = main(sys.argv[1:]);"
        "print(status, *(name in sys.modules for name in ('torch', 'openvino.tools.ovc', 'openvino_telemetry')))"
    )
    words = ["run", str(PICTURE), "--weights", "zhang-compact", "--precision", "fp32", "--engine", "openvino"]
    told = []
    for name in ("first.png", "second.png"):
        done = subprocess.run(
            [sys.executable, "-c", probe, *words, "-o", name],
            cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ},
        )  # fmt: skip
        told.append(done.stdout.splitlines()[-1])
        assert "precision fp32 (OpenVINO: exact arithmetic, " in done.stderr
    assert told == ["0 True True False", "0 False False False"]
    first, second = ((tmp_path / name).read_bytes() for name in ("first.png", "second.png"))
    assert first == second
    lines = [json.loads(line) for line in (tmp_path / ".colorpipe.jsonl").read_text().splitlines()]
    assert {line["engine"] for line in lines if line["event"] == "done"} == {f"openvino {openvino_library.version()}"}


@needs_openvino
def test_results_of_another_engine_are_made_anew_and_recipes_repeat_theirs(cli: Cli, workplace: Path) -> None:
    words = ("run", PICTURE, "--weights", "zhang-compact", "--precision", "fp32", "-o", "out")
    assert cli(*words, "--engine", "torch")[0] == 0
    status, _, told = cli(*words, "--engine", "openvino", "--save-recipe", "recipe.json")
    assert status == 0
    assert "1 result in out made with other settings will be replaced" in told
    recipe = json.loads(Path("recipe.json").read_text())
    assert (recipe["engine"], recipe["in_effect"]["engine"]) == ("openvino", f"openvino {openvino_library.version()}")
    assert recipe["in_effect"]["T"] == pytest.approx(0.38, abs=1)
    first = Path("out/einstein-1947.jpg").read_bytes()
    assert cli("run", PICTURE, "--recipe", "recipe.json", "-o", "again")[0] == 0
    assert Path("again/einstein-1947.jpg").read_bytes() == first
    assert "skipped" in cli(*words, "--engine", "openvino")[2]


# --- int8 -------------------------------------------------------------------------------------------------------------


@needs_openvino
def test_int8_is_calibrated_told_kept_and_refused_over_the_limit(cli: Cli, workplace: Path) -> None:
    pytest.importorskip("nncf")
    colour = SAMPLES / "colour"
    words = ("run", *sorted(SAMPLES.glob("*.jpg"))[:3], colour, "--weights", "zhang-compact", "--precision", "int8")
    status, said, told = cli(*words, "-o", "refused", "--int8-limit", "0.01")
    assert status == 2
    assert not said  # stdout belongs to --json -
    assert "int8 changes the colours of zhang too much: mean dE2000 " in told
    assert "--int8-limit" in told
    assert not Path("refused").exists()
    status, _, told = cli(*words, "-o", "taken", "--int8-limit", "5")
    assert status == 0
    assert "quantising" not in told  # kept from before
    assert "int8 against exact arithmetic: mean dE2000 " in told
    assert "precision int8 (OpenVINO: 8-bit arithmetic" in told
    assert len(list(Path("taken").rglob("*.*g"))) >= 7


@needs_openvino
def test_int8_without_calibration_says_what_to_do() -> None:
    pytest.importorskip("nncf")
    made = session(Plain, precision="int8")
    with pytest.raises(UsageError, match="not calibrated"):
        made.runtimes[0].predict(views(1))
    with pytest.raises(UsageError, match="needs a picture"):
        made.calibrate([])


@needs_openvino
def test_a_distribution_is_decoded_in_the_graph() -> None:
    from colorpipe_decoders import AnnealedMean

    class Undecided(Plain):
        name = "undecided"
        yields_distribution = True
        default_decoder = "annealed-mean"

        def predict(self, batch: Batch) -> ChromaDistribution:  # type: ignore[override]
            assert self.network is not None
            bins = torch.tensor([[-20.0, 10.0], [50.0, -30.0]])
            return ChromaDistribution(self.network(batch.L), bins, 0.4, 1.3, 0.2)

    plain = Runtime(Undecided(), AnnealedMean(), device="cpu", precision="fp32")
    wanted = engines.Wanted("openvino", "fp32", None, None, "", {})
    made = trial.consider(
        plain, wanted, lambda name: Runtime(Undecided(), AnnealedMean(), device="cpu", precision="fp32")
    )
    assert isinstance(made, GraphRuntime)
    assert made.effect == {"T": 0.4, "vibrance": 1.3, "grey_T": 0.2}
    for found, right in zip(made.predict(views()), plain.predict(views()), strict=True):
        np.testing.assert_allclose(found, right, atol=5e-3)
    assert kept_graphs.folder().is_dir()
