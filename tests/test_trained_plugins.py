"""What the methods that are trained from a folder have in common: train, resume, run, and tell what went wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from colorpipe import TrainingError, WeightsError
from colorpipe.cli.app import main
from colorpipe.plugins.host import PluginHost
from colorpipe.training import RunFiles, Task, fit
from colorpipe.weights.store import ModelStore
from tests.conftest import Cli
from tests.helpers import write_grey

pytest.importorskip("lightning")

HOST = PluginHost.load()
NAMES = ("fcn", "lab-grid", "palette-cnn")
SMALL = {"steps": 4, "batch": 2, "side": 64, "final_side": 64, "validate_every": 2, "device": "cpu"}
EXTRA: dict[str, dict[str, Any]] = {
    "fcn": {"width": 4},
    "lab-grid": {"width": 0.0625},
    "palette-cnn": {"head": "conv", "colours": 8},
}
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures of coloured patches, wider than high."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(20):
        coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index:02d}.png"), cv2.resize(coarse, (60, 40), interpolation=cv2.INTER_NEAREST))
    return folder


def task(name: str, **changes: Any) -> Task:
    cls = HOST.colorizer(name)
    assert cls.TrainOptions is not None
    return cls().training_task(cls.TrainOptions(**{**SMALL, "precision": "fp32", **EXTRA[name], **changes}))


def curve(output: Path) -> list[tuple[str, ...]]:
    """The log without its times."""
    with RunFiles(output).log.open() as handle:
        return [tuple(value for key, value in row.items() if key != "seconds") for row in csv.DictReader(handle)]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file that ``colorpipe train`` makes of a method, made once."""
    folder = tmp_path_factory.mktemp("whole")

    def made(name: str) -> Path:
        output = folder / f"{name}.safetensors"
        if not output.exists():
            given = {**SMALL, **EXTRA[name], "precision": "fp32"}
            settings = [str(word) for key, value in given.items() for word in (f"--{key.replace('_', '-')}", value)]
            assert main(["train", name, str(data), "-o", str(output), *settings]) == 0
        return output

    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_goes_on_along_the_same_curve(
    name: str, data: Path, tmp_path: Path, whole: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut.safetensors"
    dying = task(name)
    real = dying.loss

    def loss(network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
        if step == 3:
            raise KeyboardInterrupt
        return real(network, L, ab, step)

    monkeypatch.setattr(dying, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        fit(dying, data, cut)
    result = fit(task(name, resume=True), data, cut)
    assert set(result.scores) == {"loss", "gain", "vivid"}
    assert curve(cut) == curve(whole(name))
    assert cut.read_bytes() == whole(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_train_then_run(name: str, tmp_path: Path, whole: Callable[[str], Path], cli: Cli) -> None:
    trained = whole(name)
    assert trained.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    write_grey(tmp_path / "grey.png")
    status, _, err = cli(
        "run", tmp_path / "grey.png", "-o", tmp_path / "colour.png", "--colorizer", name, "--weights", trained,
    )  # fmt: skip
    assert status == 0, err
    assert cv2.imread(str(tmp_path / "colour.png")).std(2).max() > 1


@pytest.mark.parametrize("name", NAMES)
def test_other_weights_are_refused(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    colorizer, store = HOST.colorizer(name)(), ModelStore(HOST.models)
    other = NAMES[NAMES.index(name) - 1]
    with pytest.raises(WeightsError, match=f"does not hold {name}'s weights"):
        colorizer.build(store.path(other))
    tensors = load_file(store.path(name))
    tensors["beside"] = torch.zeros(1)
    save_file(tensors, tmp_path / "more.safetensors")
    with pytest.raises(WeightsError, match=r"1 unknown \(beside\)"):
        colorizer.build(tmp_path / "more.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_the_bundled_weights_are_small_and_whole(name: str) -> None:
    model = HOST.models[name]
    assert model.size <= MOST_BYTES
    path = ModelStore(HOST.models).path(name)  # checks the SHA-256
    assert path.with_suffix(".sha256").read_text().split()[1] == path.name


def test_too_few_pictures(tmp_path: Path) -> None:
    write_grey(tmp_path / "one.png")
    with pytest.raises(TrainingError, match="1 readable pictures are too few"):
        fit(task("fcn"), tmp_path, tmp_path / "w.safetensors")
