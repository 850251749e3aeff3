"""The precision of a network on a CPU: measured once, remembered, told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from colorpipe.inference import precision
from colorpipe.inference.precision import Measured
from colorpipe.inference.runtime import Runtime
from colorpipe.types import Batch, Chroma
from tests.helpers import Painter

L = np.random.default_rng(0).uniform(0, 100, (5, 1, 32, 32)).astype(np.float32)


class Convolving(Painter):
    """Chroma from two convolutions, the second's weights of a size that bfloat16 rounds."""

    name = "convolving"
    threads: list[int]

    def build(self, weights: Path | None) -> torch.nn.Module:
        self.threads = []
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 2, 3, padding=1)
        return torch.nn.Sequential(*layers)

    def predict(self, batch: Batch) -> Chroma:
        self.threads.append(torch.get_num_threads())
        return Chroma(self.network(batch.L / 100) * 20)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; gives the file that remembers."""
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "precision.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """``clock(fp32=3, bf16=1)`` makes predictions take so many seconds; gives which were made."""

    def set_to(**seconds: float) -> list[str]:
        now, made = [0.0], []

        def sample(self: Runtime, name: str) -> np.ndarray:
            made.append(name)
            now[0] += seconds[name]
            return np.zeros((4, 4, 2), np.float32)

        monkeypatch.setattr(Runtime, "_sample", sample)
        monkeypatch.setattr(precision.time, "thread_time", lambda: now[0])
        return made

    return set_to


@pytest.mark.parametrize(("seconds", "chosen"), [((3, 1), "bf16"), ((1, 3), "fp32"), ((1, 0.95), "fp32")])
def test_the_faster_is_chosen_once_and_remembered(
    cache: Path, clock: Callable[..., list[str]], seconds: tuple[float, float], chosen: str
) -> None:
    made = clock(fp32=seconds[0], bf16=seconds[1])
    first = Runtime(Convolving(), device="cpu")
    assert first.precision == chosen
    assert ("exact arithmetic: faster here" if chosen == "fp32" else "3.0 times as fast") in first.reason
    assert set(made) == {"fp32", "bf16"}
    made.clear()
    again = Runtime(Convolving(), device="cpu")
    assert (again.precision, again.reason) == (first.precision, first.reason)
    assert made == []
    assert Runtime(Convolving(), device="cpu", precision="fp32").precision == "fp32"


def test_another_network_is_measured_for_itself(cache: Path, clock: Callable[..., list[str]]) -> None:
    class Wider(Convolving):
        def build(self, weights: Path | None) -> torch.nn.Module:
            return torch.nn.Conv2d(1, 2, 5, padding=2)

    clock(fp32=3, bf16=1)
    assert Runtime(Convolving(), device="cpu").precision == "bf16"
    clock(fp32=1, bf16=3)
    assert Runtime(Wider(), device="cpu").precision == "fp32"
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 3}', "\0\xff"])
def test_a_damaged_cache_is_measured_anew(cache: Path, clock: Callable[..., list[str]], content: str) -> None:
    clock(fp32=3, bf16=1)
    cache.parent.mkdir()
    cache.write_text(content)
    assert Runtime(Convolving(), device="cpu").precision == "bf16"
    assert Runtime(Convolving(), device="cpu").precision == "bf16"
    json.loads(cache.read_text())


def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[..., list[str]]) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "file"))
    clock(fp32=3, bf16=1)
    assert Runtime(Convolving(), device="cpu").precision == "bf16"


def _faster_in_bf16(results: list[np.ndarray]) -> Callable[[precision.CpuPrecision], np.ndarray]:
    """Gives these results one after the other, bfloat16's in a twentieth of the time."""

    def predict(name: precision.CpuPrecision) -> np.ndarray:
        end = time.thread_time() + (0.002 if name == "bf16" else 0.04)
        while time.thread_time() < end:
            pass
        return results.pop(0)

    return predict


def test_a_network_that_bfloat16_harms_keeps_fp32() -> None:
    grey = np.zeros((4, 4, 2), np.float32)
    for harmed in (grey + 3, grey + np.nan):
        made = [grey if exact else harmed for exact in (True, True, False, False)]
        found = precision._measure(torch.nn.Identity(), _faster_in_bf16(made))
        assert found.precision == "fp32"
        assert "would change the colours" in found.reason


def test_the_real_measurement_ends_in_one_of_both(cache: Path) -> None:
    run = Runtime(Convolving(), device="cpu")
    assert run.precision in ("fp32", "bf16")
    assert Measured(run.precision, run.reason) == precision.fastest(run.colorizer.network, lambda _: L[0])
    assert "arithmetic: " in run.reason


class Slow(torch.nn.Module):
    """A layer that takes its time, in bfloat16 another."""

    def __init__(self, fp32: float, bf16: float, error: float = 0.0) -> None:
        super().__init__()
        self.seconds, self.error = {False: fp32, True: bf16}, error
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        narrow = torch.is_autocast_enabled("cpu")
        end = time.thread_time() + self.seconds[narrow]
        while time.thread_time() < end:
            pass
        return x * (1 + self.error * narrow)


class Deep(Painter):
    """Thirty layers of a second or so each: a picture takes half a minute."""

    layer: tuple[float, ...] = (0.1, 2.0)

    def build(self, weights: Path | None) -> torch.nn.Module:
        return torch.nn.Sequential(*(Slow(*self.layer) for _ in range(30)))

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(self.network(batch.L * 0.3 - 15).expand(-1, 2, -1, -1))


@pytest.mark.parametrize(
    ("layer", "chosen", "told"),
    [
        ((0.1, 2.0), "fp32", "exact arithmetic: faster here"),
        ((0.1, 0.02), "bf16", "rounded arithmetic: "),
        pytest.param((0.1, 0.02, 0.1), "fp32", "would change the colours", marks=pytest.mark.slow),
    ],
)
def test_the_trial_of_a_large_network_ends_after_a_few_layers(
    cache: Path, layer: tuple[float, ...], chosen: str, told: str
) -> None:
    class Method(Deep):
        name = "deep"

    Method.layer = layer
    begun = time.thread_time()
    run = Runtime(Method(), device="cpu")
    assert time.thread_time() - begun < 4.5  # a whole picture: 3 s exact, 60 s rounded, and two of each
    assert run.precision == chosen
    assert told in run.reason
    assert not any(module._forward_hooks for module in run.colorizer.network.modules())


def test_what_an_earlier_trial_remembered_is_tried_again(cache: Path, clock: Callable[..., list[str]]) -> None:
    made = clock(fp32=3, bf16=1)
    Runtime(Convolving(), device="cpu")
    entries = json.loads(cache.read_text())
    for entry in entries.values():
        del entry["format"]
        entry.update(precision="fp32", reason="measured: 3 ms a picture on one core, bf16 104000 ms")
    cache.write_text(json.dumps(entries))
    made.clear()
    assert Runtime(Convolving(), device="cpu").precision == "bf16"
    assert made


def test_a_method_without_a_network_is_not_measured(cache: Path) -> None:
    assert (Runtime(Painter(), device="cpu").precision, cache.exists()) == ("fp32", False)


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_results_do_not_depend_on_the_callers_threads_nor_on_company(name: precision.CpuPrecision) -> None:
    threads = torch.get_num_threads()
    run = Runtime(Convolving(), device="cpu", precision=name)
    whole = run.predict(L)
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            single = [Runtime(Convolving(), device="cpu", precision=name).predict(L[i : i + 1])[0] for i in range(5)]
            assert all(np.array_equal(a, b) for a, b in zip(whole, single, strict=True))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert set(run.colorizer.threads) == {max(1, threads // run.lanes)}


def test_half_precision_is_close_and_leaves_batch_norm_alone() -> None:
    exact = Runtime(Convolving(), device="cpu", precision="fp32").predict(L)
    run = Runtime(Convolving(), device="cpu", precision="bf16")
    assert [value.dtype for value in run.colorizer.network.parameters()] == [
        torch.bfloat16, torch.bfloat16, torch.float32, torch.float32, torch.bfloat16, torch.bfloat16,
    ]  # fmt: skip
    close = run.predict(L)
    assert 0 < np.abs(np.array(exact) - np.array(close)).max() < 0.1 * np.abs(exact).max()


def test_out_of_memory_in_lanes_leaves_a_complete_result() -> None:
    class Tight(Convolving):
        """Fails when two calls are made at once."""

        failures = 1

        def predict(self, batch: Batch) -> Chroma:
            if self.failures:
                self.failures -= 1
                raise MemoryError
            return super().predict(batch)

    run = Runtime(Tight(), device="cpu", precision="fp32")
    run.lanes = 2
    expected = Runtime(Convolving(), device="cpu", precision="fp32").predict(L)
    assert all(np.array_equal(a, b) for a, b in zip(run.predict(L), expected, strict=True))
    assert run.lanes == 1


def test_the_command_line_says_what_was_measured(cli: Callable[..., tuple[int, str, str]], workplace: Path) -> None:
    from tests.helpers import write_grey

    write_grey(workplace / "a.png")
    status, _, told = cli("run", "a.png", "--device", "cpu")
    assert status == 0
    assert "arithmetic: " in " ".join(told.split())
    assert "a second or two" in " ".join(told.split())
    status, _, told = cli("run", "a.png", "--device", "cpu", "--overwrite")
    assert "a second or two" not in " ".join(told.split())
    status, _, told = cli("run", "a.png", "--device", "cpu", "--overwrite", "--quiet")
    assert (status, told) == (0, "")
    assert (workplace.parent / "cache" / "precision.json").exists()
