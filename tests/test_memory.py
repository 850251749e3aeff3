"""Memory of a run is bounded by the size of its frames, not by their number; nothing of it stays when it is over."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch

from colorpipe import Session, evaluate, training
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.plugins.host import PluginHost
from colorpipe.testing import SUITES
from colorpipe.types import Batch, Chroma, Recipe, Stage
from tests.helpers import Painter, host_with
from tests.test_temporal import panning_film

RATE = 10
"""Frames a second."""
PEAK = """
import resource, sys
from colorpipe.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_of(film: Path, output: Path) -> int:
    """Of ``colorpipe run`` with its defaults, in a process of its own; kB."""
    command = [sys.executable, "-c", PEAK, "run", str(film), "-o", str(output), "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert list(output.iterdir()), done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_minutes_take_the_memory_of_one(tmp_path: Path) -> None:
    one, twenty = (
        peak_of(
            panning_film(tmp_path / f"{minutes}.mkv", minutes * 60 * RATE, lambda number: 1000 // RATE * number),
            tmp_path / f"out{minutes}",
        )
        for minutes in (1, 20)
    )
    assert twenty < 1.1 * one


class Netted(Painter):
    """Has a network, and knows who of them is still there."""

    name = "netted"
    made: ClassVar[list[weakref.ref[torch.nn.Module]]] = []

    def build(self, weights: Path | None) -> torch.nn.Module:
        network = torch.nn.Conv2d(1, 2, 1).eval().requires_grad_(False)
        self.made.append(weakref.ref(network))
        return network

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None
        return Chroma(self.network(batch.L) / 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs and a film."""
    folder = tmp_path_factory.mktemp("in")
    colours = np.random.default_rng(0).integers(0, 256, (18, 48, 64, 3), np.uint8)
    for number, picture in enumerate(colours):
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    panning_film(folder / "pan.mkv", 8)
    return folder


def runs(folder: Path, host: PluginHost, output: Path) -> None:
    recipe = Recipe(Stage("netted"), settings={"codec": "ffv1"})
    outcomes = run(RunRequest([folder], recipe, output, overwrite=True), host)
    assert {outcome.status for outcome in outcomes} == {"done"}


def compares(folder: Path, host: PluginHost, output: Path) -> None:
    evaluate([folder / "0.png", folder / "1.png"], ["netted"], ["psnr"], host=host)


def colours(folder: Path, host: PluginHost, output: Path) -> None:
    session = Session("netted", host=host)
    session.colorize(folder / "0.png")


@pytest.mark.parametrize("use", [runs, compares, colours])
def test_a_network_is_freed_with_what_used_it(
    use: Callable[[Path, PluginHost, Path], None], folder: Path, tmp_path: Path
) -> None:
    """At once: large networks call for no garbage collection, and would lie about in a long process."""
    host = host_with(Netted)
    use(folder, host, tmp_path)  # the first use imports modules, whose frames may stay for a while
    gc.collect()
    Netted.made.clear()
    gc.disable()
    try:
        use(folder, host, tmp_path)
        assert Netted.made
        assert [network() for network in Netted.made] == [None] * len(Netted.made)
    finally:
        gc.enable()


def test_a_suite_keeps_the_network_of_one_plugin() -> None:
    Netted.made.clear()
    first, second = (
        type(f"Suite{name}", (SUITES["colorizer"],), {"plugin": type(name, (Netted,), {"__module__": __name__})})
        for name in ("One", "Two")
    )
    first().colorizer()
    second().colorizer()
    gc.collect()
    assert [network() is None for network in Netted.made] == [True, False]


def test_a_training_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    made: list[weakref.ref[torch.nn.Module]] = []

    class Tiny(training.Task):
        picture_side = 32

        def network(self) -> torch.nn.Module:
            network = torch.nn.Conv2d(1, 2, 4, 4)
            made.append(weakref.ref(network))
            return network

        def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
            error: torch.Tensor = network(L / 100) - ab / 100
            return error.square().mean()

        def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
            return {"loss": 1.0}

        def export(self, network: torch.nn.Module) -> tuple[Mapping[str, torch.Tensor], Mapping[str, str]]:
            return network.state_dict(), {}

    options = training.TrainingOptions(
        steps=2, batch=2, side=32, final_side=32, held_out=2, validate_every=1, device="cpu", precision="fp32"
    )
    training.fit(Tiny(options), folder, tmp_path / "w.safetensors")
    assert made
    assert [network() for network in made] == [None] * len(made)
