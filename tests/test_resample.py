"""Down to the network's view and back up under the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from colorpipe import color
from colorpipe.color import resample
from colorpipe.types import InputSize

RNG = np.random.default_rng(1)


def test_shrinking_agrees_with_pillow() -> None:
    from PIL import Image

    picture = cv2.resize(RNG.integers(0, 256, (90, 60), dtype=np.uint8), (347, 531), interpolation=cv2.INTER_LINEAR)
    theirs = np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC), np.float32)
    ours = resample.shrink(picture.astype(np.float32) / 255, (256, 256)) * 255
    assert np.abs(ours - theirs).max() <= 1.1  # Pillow rounds after each direction


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (255, 257), (300, 20)])
@pytest.mark.parametrize("method", ["guided", "bilinear"])
def test_any_shape_comes_back_at_its_size(shape: tuple[int, int], method: resample.Upsampling) -> None:
    guide = RNG.random(shape, np.float32)
    ab = RNG.normal(0, 20, (64, 64, 2)).astype(np.float32)
    full = resample.upsample(ab, guide, shape, method, (256, 256))[:]
    assert full.shape == (*shape, 2)
    assert full.dtype == np.float32
    assert np.isfinite(full).all()


@pytest.mark.parametrize("method", ["guided", "bilinear"])
def test_constant_chroma_stays_constant(method: resample.Upsampling) -> None:
    ab = np.full((64, 64, 2), (12, -7), np.float32)
    full = resample.upsample(ab, RNG.random((300, 200), np.float32), (300, 200), method, (256, 256))[:]
    assert np.allclose(full, (12, -7), atol=0.05)


def test_guided_chroma_follows_the_pictures_edges_where_bilinear_bleeds() -> None:
    """A true photograph, its chroma averaged to cells and brought back."""
    from skimage import data

    rgb = (data.chelsea() / 255).astype(np.float32)
    lab = color.rgb_to_lab(rgb)
    guide = color.grey_of(lab.L)
    cells = cv2.resize(lab.ab, (64, 64), interpolation=cv2.INTER_AREA)
    errors = {
        method: np.abs(resample.upsample(cells, guide, guide.shape, method, (256, 256))[:] - lab.ab).mean()
        for method in ("guided", "bilinear")
    }
    assert errors["guided"] < 0.9 * errors["bilinear"]


def test_guided_chroma_averages_back_to_the_networks_cells() -> None:
    guide = cv2.resize(RNG.random((20, 20), np.float32), (512, 512), interpolation=cv2.INTER_CUBIC)
    ab = cv2.resize(RNG.normal(0, 20, (16, 16, 2)).astype(np.float32), (64, 64))
    full = resample.upsample(ab, guide, (512, 512), "guided", (256, 256))[:]
    assert np.abs(cv2.resize(full, (64, 64), interpolation=cv2.INTER_AREA) - ab).mean() < 0.05 * np.abs(ab).mean()


def test_guided_leaves_chroma_of_full_size_alone() -> None:
    ab = RNG.normal(0, 20, (30, 700, 2)).astype(np.float32)
    full = resample.upsample(ab, RNG.random((30, 700), np.float32), (30, 700), "guided", (30, 700))
    assert np.array_equal(full[:], ab)


@pytest.mark.parametrize("method", ["guided", "bilinear"])
def test_rows_are_those_of_the_whole(method: resample.Upsampling) -> None:
    codes = RNG.integers(0, 256, (301, 203), dtype=np.uint8)
    full = resample.upsample(
        RNG.normal(0, 20, (64, 64, 2)).astype(np.float32), codes, (301, 203), method, (256, 256), 255
    )
    parts = np.concatenate([full[top : top + 40] for top in range(0, 301, 40)])
    assert np.array_equal(parts, full[:])


def test_bilinear_equals_torchs_in_two_steps() -> None:
    import torch
    import torch.nn.functional as F

    ab = RNG.normal(0, 20, (64, 64, 2)).astype(np.float32)
    full = resample.upsample(ab, np.empty((0, 0), np.float32), (333, 517), "bilinear", (256, 256))[:]
    tensor = torch.from_numpy(ab).permute(2, 0, 1)[None]
    tensor = F.interpolate(F.interpolate(tensor, (256, 256), mode="bilinear"), (333, 517), mode="bilinear")
    assert np.abs(tensor[0].permute(1, 2, 0).numpy() - full).max() < 1e-3


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((1080, 1920), InputSize(256), (256, 256)),
        ((1080, 1920), InputSize(None, 32), (1088, 1920)),
        ((1080, 1920), InputSize(None, 32, limit=512), (288, 512)),
        ((1, 1), InputSize(None, 16), (16, 16)),
    ],
)
def test_view_size(size: tuple[int, int], wanted: InputSize, expected: tuple[int, int]) -> None:
    assert resample.view_size(*size, wanted) == expected


def test_eight_bit_codes_shrink_as_pillow_shrinks_them() -> None:
    from PIL import Image

    picture = cv2.resize(RNG.integers(0, 256, (90, 60), dtype=np.uint8), (531, 347), interpolation=cv2.INTER_LINEAR)
    theirs = np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC)).astype(int)
    apart = np.abs(resample.shrink(picture, (256, 256)).astype(int) - theirs)
    assert apart.max() <= 1
    assert apart.mean() < 0.02


@pytest.mark.parametrize("by", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(347, 531), (1080, 1920), (40, 2000), (255, 257), (3, 1), (1, 1)])
def test_without_torch_shrinking_is_pillows(shape: tuple[int, int], by: str) -> None:
    from PIL import Image

    method = Image.Resampling.BICUBIC if by == "bicubic" else Image.Resampling.BILINEAR
    size = (64, 96) if by == "bilinear" else (256, 256)
    codes = RNG.integers(0, 256, shape, dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(codes).resize(size[::-1], method)).astype(int)
    apart = np.abs(resample.shrink(codes, size, by, without_torch=True).astype(int) - theirs)  # type: ignore[arg-type]
    assert apart.max() <= 1
    assert apart.mean() < 0.001
    grey = RNG.random(shape, np.float32)
    theirs = np.clip(np.asarray(Image.fromarray(grey).resize(size[::-1], method)), 0, 1)
    ours = resample.shrink(grey, size, by, without_torch=True)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_a_picture_that_must_not_be_written_to_shrinks_all_the_same() -> None:
    picture = RNG.integers(0, 256, (300, 400), dtype=np.uint8)
    expected = resample.shrink(picture, (64, 64))
    picture.setflags(write=False)
    assert np.array_equal(resample.shrink(picture, (64, 64)), expected)


def test_shrinking_in_parts_equals_shrinking_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for picture in (RNG.integers(0, 256, (300, 401), dtype=np.uint8), RNG.random((300, 401), np.float32)):
        at_once = resample.shrink(picture, (64, 96))
        monkeypatch.setattr(resample, "SHRUNK_AT_ONCE", 40 * 401)
        assert np.array_equal(resample.shrink(picture, (64, 96)), at_once)


@pytest.mark.parametrize("size", [(33, 50), (200, 301), (64, 64), (1, 1)])
def test_nearest_is_torchs(size: tuple[int, int]) -> None:
    """As the published script's ``F.interpolate`` without a mode, rows asked for in pieces."""
    import torch

    ab = RNG.normal(0, 20, (64, 48, 2)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(ab).permute(2, 0, 1)[None], size)[0].permute(1, 2, 0)
    full = resample.upsample(ab, RNG.random(size, np.float32), size, "nearest", (512, 512))
    ours = np.concatenate([full[top : top + 7] for top in range(0, size[0], 7)])
    np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("shape", [(70, 90), (300, 20), (5, 7), (1, 1)])
def test_two_points_are_opencvs(shape: tuple[int, int]) -> None:
    codes = RNG.integers(0, 256, shape, dtype=np.uint8)
    theirs = cv2.resize(codes.astype(np.float32), (64, 32), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resample.shrink(codes, (32, 64), "two-point"), theirs, atol=2e-3)


def test_bilinear_shrinking_agrees_with_pillow() -> None:
    from PIL import Image

    picture = RNG.integers(0, 256, (531, 347), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(picture).resize((160, 160), Image.Resampling.BILINEAR), np.int16)
    ours = resample.shrink(picture, (160, 160), "bilinear").astype(np.int16)
    assert np.abs(ours - theirs).max() <= 1
