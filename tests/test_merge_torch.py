"""Merging on a device gives what merging on the CPU gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorpipe import color
from colorpipe.color import resample
from colorpipe.color.merge_torch import DeviceMerge, _average
from colorpipe.inference.runtime import Runtime
from colorpipe.pipeline.frame import Pipeline
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Encoding, Frame
from tests.helpers import Painter

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
    ),
]
STILLS = [Encoding("rgb", 8), Encoding("rgb", 16)]
FILMS = [
    Encoding("yuv", 8, full_range=False, matrix="bt601", subsampling=(1, 1)),
    Encoding("yuv", 10, full_range=False, matrix="bt2020", subsampling=(1, 0)),
    Encoding("yuv", 12, full_range=True, matrix="bt709", subsampling=(0, 0)),
]


def picture(encoding: Encoding, height: int, width: int) -> Frame:
    """Soft shapes with grain, from black to white."""
    rows, columns = np.mgrid[0:height, 0:width]
    grey = 0.5 + 0.45 * np.sin(rows / 9) * np.cos(columns / 13)
    grey += np.random.default_rng(0).normal(0, 0.02, grey.shape)
    codes = np.rint(np.clip(grey, 0, 1) * encoding.peak)
    return Frame(codes.astype(np.uint8 if encoding.bits == 8 else np.uint16), encoding)


def strong(height: int, width: int) -> np.ndarray:
    """Chroma, much of it outside of the gamut."""
    return np.random.default_rng(1).uniform(-90, 90, (height, width, 2)).astype(np.float32)


def both(device: str, frame: Frame, merge: MergeOptions, ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour planes by the CPU and by the device, as fractions of the peak."""
    runtime = Runtime(Painter(), device="cpu")
    pipeline = Pipeline([], runtime, merge, MediaOptions())
    prepared = pipeline.prepare(frame)
    results = [pipeline.finish(prepared, ab)]
    pipeline.on_device = DeviceMerge(torch.device(device))
    results.append(pipeline.finish(prepared, ab))
    assert all(result.luma is frame.luma for result in results)
    planes = [np.stack([plane.astype(np.float64) for plane in result.colour or ()]) for result in results]
    assert planes[0].shape == planes[1].shape
    for result in results:
        assert result.colour is not None
        assert {plane.dtype for plane in result.colour} == {frame.luma.dtype}
    return planes[0] / frame.encoding.peak, planes[1] / frame.encoding.peak


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["guided", "bilinear"])
@pytest.mark.parametrize("keep", ["lightness", "luma"])
@pytest.mark.parametrize("encoding", STILLS, ids=str)
def test_a_still(device: str, method: resample.Upsampling, keep: color.Keep, encoding: Encoding) -> None:
    merge = MergeOptions(upsample=method, keep=keep, saturation=1.2)
    cpu, found = both(device, picture(encoding, 97, 143), merge, strong(16, 16))
    assert np.abs(cpu - found).mean() < 1e-3
    assert (np.abs(cpu - found) > 3 / 255).mean() < 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_chroma_of_full_size_is_laid_as_it_is(device: str) -> None:
    frame, ab = picture(STILLS[0], 30, 700), strong(30, 700) / 6
    cpu, found = both(device, frame, MergeOptions(), ab)
    wanted = np.stack(color.merge(frame, ab).colour or ()) / 255
    assert np.array_equal(cpu, wanted)
    assert np.abs(found - wanted).max() < 1.5 / 255


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gamut", ["fit", "clip"])
@pytest.mark.parametrize("encoding", FILMS, ids=str)
def test_a_film(device: str, gamut: color.Gamut, encoding: Encoding) -> None:
    for method in ("bilinear", "guided"):
        merge = MergeOptions(upsample=method, gamut=gamut)  # type: ignore[arg-type]
        cpu, found = both(device, picture(encoding, 54, 101), merge, strong(8, 8))
        assert np.abs(cpu - found).mean() < 1e-3
        assert np.abs(cpu - found).max() < 4 / 255


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (700, 3)])
def test_awkward_sizes(size: tuple[int, int]) -> None:
    """Enlarged in one direction and shrunk in the other, OpenCV averages otherwise: the colours are only alike."""
    for encoding in (STILLS[0], FILMS[0]):
        cpu, found = both("cpu", picture(encoding, *size), MergeOptions(upsample="guided"), strong(4, 4) / 3)
        assert np.abs(cpu - found).mean() < 0.1


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = picture(STILLS[0], 60, 50)
    _, whole = both("cpu", frame, MergeOptions(), strong(8, 8))
    monkeypatch.setattr("colorpipe.color.merge_torch.STRIP", 350)
    assert np.array_equal(whole, both("cpu", frame, MergeOptions(), strong(8, 8))[1])


def test_an_area_is_averaged_by_its_parts() -> None:
    found = _average(torch.tensor([[[1.0, 2.0, 6.0]]]), (1, 2))
    assert torch.allclose(found, torch.tensor([[[(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 6) / 1.5]]]))


def test_a_run_on_a_gpu_merges_there(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Painter(), device="cpu")
    assert Pipeline([], runtime, MergeOptions(), MediaOptions()).on_device is None
    runtime.device = torch.device("meta")
    monkeypatch.setattr(DeviceMerge, "__init__", lambda self, device: setattr(self, "device", device))
    on_device = Pipeline([], runtime, MergeOptions(), MediaOptions()).on_device
    assert on_device is not None
    assert on_device.device.type == "meta"
