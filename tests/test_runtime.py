"""Devices, precision, batches, and what happens when memory runs out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from colorpipe.errors import DeviceError, PluginError, UsageError
from colorpipe.inference import runtime
from colorpipe.inference.runtime import Runtime
from colorpipe.types import Batch, Chroma, ChromaDistribution, InputSize
from colorpipe_decoders import AnnealedMean
from tests.helpers import Painter

L = np.random.default_rng(0).uniform(0, 100, (5, 1, 32, 32)).astype(np.float32)
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is present")


@no_cuda
def test_an_absent_gpu_is_an_error_and_never_a_fallback() -> None:
    with pytest.raises(DeviceError, match="no CUDA device"):
        runtime.choose_device("cuda")
    with pytest.raises(DeviceError, match="GPU is required"):
        runtime.choose_device("auto", require_gpu=True)
    assert runtime.choose_device("auto").type in ("cpu", "mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", ""])
def test_an_unknown_device_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        runtime.choose_device(name)


def test_batching_changes_nothing() -> None:
    whole = Runtime(Painter(), device="cpu", batch=5).predict(L)
    single = Runtime(Painter(), device="cpu", batch=1).predict(L)
    uneven = Runtime(Painter(), device="cpu", batch=3).predict(L)
    for a, b, c in zip(whole, single, uneven, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


class Undecided(Painter):
    """One of two colours, by the lightness."""

    def predict(self, batch: Batch) -> ChromaDistribution:  # type: ignore[override]
        return ChromaDistribution(torch.cat([batch.L, -batch.L], 1), torch.tensor([[10.0, 0], [0, 10.0]]), 0.5)


def test_distributions_can_be_watched_each_picture_once() -> None:
    seen: list[ChromaDistribution] = []
    made = Runtime(Undecided(), AnnealedMean(), device="cpu", batch=3)
    made.watch = seen.append
    made.predict(L)
    assert [len(distribution.logits) for distribution in seen] == [3, 2]  # not what a batch is filled up with
    assert np.array_equal(torch.cat([distribution.logits for distribution in seen])[:, :1].numpy(), L)
    assert seen[0].natural_T == 0.5


class Greedy(Painter):
    """Holds only so many pictures."""

    capacity = 2
    calls: list[int]

    def predict(self, batch: Batch) -> Chroma:
        self.calls.append(len(batch))
        if len(batch) > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().predict(batch)


def test_out_of_memory_halves_the_batch_and_the_result_is_complete() -> None:
    greedy = Greedy()
    greedy.calls = []
    run = Runtime(greedy, device="cpu", batch=8)
    results = run.predict(L)
    assert len(results) == 5
    assert greedy.calls == [8, 4, 2, 2, 2]
    assert all(np.array_equal(a, b) for a, b in zip(results, Runtime(Painter(), device="cpu").predict(L), strict=True))


def test_a_picture_alone_does_not_take_the_time_of_a_whole_batch() -> None:
    counting = Greedy()
    counting.calls, counting.capacity = [], 8
    run = Runtime(counting, device="cpu", batch=8)
    results = run.predict(L, alone=True)
    assert counting.calls == [1] * 5
    assert all(np.array_equal(a, b) for a, b in zip(results, run.predict(L), strict=True))


def test_a_picture_that_does_not_fit_is_a_clear_error_never_a_grey_picture() -> None:
    greedy = Greedy()
    greedy.calls, greedy.capacity = [], 0
    with pytest.raises(DeviceError, match="not enough memory for one 32x32"):
        Runtime(greedy, device="cpu", batch=2).predict(L)


def test_other_errors_of_a_network_are_not_taken_for_memory() -> None:
    class Broken(Painter):
        def predict(self, batch: Batch) -> Chroma:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(PluginError, match=r"painter failed in predict: RuntimeError: mat1 .*test_runtime\.py, line"):
        Runtime(Broken(), device="cpu", batch=4).predict(L)


def test_chroma_that_is_not_a_number_is_refused() -> None:
    class Undefined(Painter):
        def predict(self, batch: Batch) -> Chroma:
            return Chroma(torch.full((len(batch), 2, 4, 4), float("nan")))

    with pytest.raises(PluginError, match="not a number"):
        Runtime(Undefined(), device="cpu").predict(L)


class Convolved(Painter):
    """A network that can be compiled."""

    input_size = InputSize(side=32)

    def build(self, weights: Path | None) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 1))

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None
        return Chroma(self.network(batch.L / 100))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_gives_the_same_colours() -> None:
    compiled = Runtime(Convolved(), device="cpu", precision="fp32")
    compiled.compile()
    assert type(compiled.colorizer.network).__name__ == "OptimizedModule"
    plain = Runtime(Convolved(), device="cpu", precision="fp32").predict(L)
    for a, b in zip(compiled.predict(L), plain, strict=True):
        assert np.abs(a - b).max() < 1e-4


def test_a_network_that_cannot_be_compiled_runs_as_it_is_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compile(network: torch.nn.Module, dynamic: bool) -> torch.nn.Module:
        class Refuses(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                raise RuntimeError("no Triton here\nand more")

        return Refuses()

    monkeypatch.setattr(torch, "compile", compile)
    run = Runtime(Convolved(), device="cpu", precision="fp32")
    before = run.predict(L)
    run.compile()
    assert caplog.messages == ["the network of painter runs uncompiled: no Triton here"]
    assert all(np.array_equal(a, b) for a, b in zip(run.predict(L), before, strict=True))


def test_a_network_is_compiled_for_a_long_job_on_cuda_only(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    run = Runtime(Convolved(), device="cpu", precision="fp32")
    monkeypatch.setattr(run, "compile", lambda: compiled.append(1))
    run.expect(10**6)
    run.device = torch.device("cuda")
    run.expect(runtime.COMPILE_FROM - 1)
    assert not compiled
    run.expect(runtime.COMPILE_FROM)
    assert compiled


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_on_cuda_agrees_with_the_cpu() -> None:
    cuda = Runtime(Convolved(), device="cuda", batch=4)
    cuda.compile()
    assert type(cuda.colorizer.network).__name__ == "OptimizedModule"
    for a, b in zip(cuda.predict(L), Runtime(Convolved(), device="cpu", precision="fp32").predict(L), strict=True):
        assert np.abs(a - b).max() < 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cuda_agrees_with_the_cpu(precision: runtime.Precision) -> None:
    cpu = Runtime(Painter(), device="cpu").predict(L)
    cuda = Runtime(Painter(), device="cuda", precision=precision, batch=4).predict(L)
    for a, b in zip(cpu, cuda, strict=True):
        assert np.abs(a - b).max() < 0.5
