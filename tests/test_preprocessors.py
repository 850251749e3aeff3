"""Preprocessors: shapes, ranges and what each promises, on odd sizes too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from colorpipe import Encoding, Frame, InputError, Lab
from colorpipe_preprocessors import Autocontrast, Denoise, Greyscale, PadSquare, Resize, colorpipe_preprocessors

SHAPES = [(1, 1), (1, 40), (37, 1), (33, 57), (64, 64)]


def picture(shape: tuple[int, int], ab: bool = False) -> Lab:
    generator = np.random.default_rng(0)
    L = generator.uniform(10, 90, shape).astype(np.float32)
    return Lab(L, generator.uniform(-50, 50, (*shape, 2)).astype(np.float32) if ab else None)


def colour_frame(bits: int = 8) -> Frame:
    dtype = np.uint8 if bits == 8 else np.uint16
    planes = tuple(np.full((3, 5), value << (bits - 8), dtype) for value in (200, 100, 50))
    return Frame(np.zeros((3, 5), dtype), Encoding("rgb", bits), planes, origin=Path("photo.png"))


def film_frame(matrix: str) -> Frame:
    chroma = (np.full((2, 3), 90, np.uint8), np.full((2, 3), 160, np.uint8))
    encoding = Encoding("yuv", 8, full_range=False, matrix=matrix, subsampling=(1, 1))  # type: ignore[arg-type]
    return Frame(np.full((4, 5), 77, np.uint8), encoding, chroma, origin=Path("film.mp4"))


@pytest.mark.parametrize("cls", colorpipe_preprocessors())
@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_goes_through_and_the_input_is_left_alone(cls: type, shape: tuple[int, int]) -> None:
    lab = picture(shape)
    before = lab.L.copy()
    result = cls().apply(lab)
    assert result.L.dtype == np.float32
    assert result.L.min() >= 0
    assert result.L.max() <= 100
    assert np.array_equal(lab.L, before)
    if cls.restores:
        assert result.L.shape == shape


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("rec601", 124.2), ("rec709", 117.65), ("luminosity", 117.5), ("average", 116.667), (None, 124.2)],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_greyscale_formulas_on_code_values(formula: str | None, expected: float, bits: int) -> None:
    frame = colour_frame(bits)
    luma = Greyscale(Greyscale.Options(formula=formula)).convert(frame).luma
    assert luma.dtype == frame.luma.dtype
    assert np.abs(luma / (1 << (bits - 8)) - expected).max() <= (0.5 if bits == 8 else 0.003)


def test_greyscale_keeps_grey_pictures_and_a_films_own_luma() -> None:
    grey = Frame(np.arange(6, dtype=np.uint8).reshape(2, 3), Encoding("rgb", 8))
    assert Greyscale(Greyscale.Options(formula="average")).convert(grey) is grey
    for formula in (None, "rec709"):
        frame = film_frame("bt709")
        assert Greyscale(Greyscale.Options(formula=formula)).convert(frame) is frame


def test_greyscale_refuses_to_make_another_grey_of_a_film() -> None:
    with pytest.raises(InputError, match=r"film\.mp4: .*here rec601; it cannot be average"):
        Greyscale(Greyscale.Options(formula="average")).convert(film_frame("bt601"))


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((33, 57), 20, (12, 20)), ((57, 33), 20, (20, 12)), ((1, 400), 100, (1, 100)), ((33, 57), 57, (33, 57))],
)
def test_resize_bounds_the_longer_side_and_keeps_the_mean(
    shape: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    lab = picture(shape, ab=True)
    result = Resize(Resize.Options(max_side=side)).apply(lab)
    assert result.L.shape == expected
    assert result.ab is not None
    assert abs(result.L.mean() - lab.L.mean()) < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_pad_square_says_where_the_picture_lies(shape: tuple[int, int]) -> None:
    lab = picture(shape, ab=True)
    pad = PadSquare(PadSquare.Options(fill=30.0))
    result = pad.apply(lab)
    side = max(shape)
    assert result.L.shape == (side, side)
    top, left, bottom, right = (round(fraction * side) for fraction in pad.locate(*shape))
    assert np.array_equal(result.L[top:bottom, left:right], lab.L)
    assert np.array_equal(result.ab[top:bottom, left:right], lab.ab)
    outside = np.ones((side, side), bool)
    outside[top:bottom, left:right] = False
    assert np.all(result.L[outside] == 30)
    assert np.all(result.ab[outside] == 0)


def scene() -> np.ndarray:
    """Smooth shading with hard edges, 0..100."""
    y, x = np.mgrid[:120, :160]
    shading = 45 + 25 * np.sin(x / 30) * np.cos(y / 20)
    return np.clip(shading + 20 * ((x // 40 + y // 40) % 2), 0, 100).astype(np.float32)


def test_denoise_removes_most_of_noise_of_its_strength_and_keeps_edges() -> None:
    clean = scene()
    noise = np.random.default_rng(1).normal(0, 3, clean.shape).astype(np.float32)
    result = Denoise(Denoise.Options(strength=3)).apply(Lab(clean + noise)).L
    error = np.sqrt(np.mean((result - clean) ** 2))
    assert error < 3 / 2
    edge = np.abs(np.diff(result[10:30, 35:45], axis=1)).max(axis=1)
    assert np.median(edge) > 15


def test_denoise_keeps_sixteen_bits() -> None:
    ramp = np.linspace(20, 30, 200 * 64, dtype=np.float32).reshape(64, 200)
    result = Denoise(Denoise.Options(strength=0.5)).apply(Lab(ramp)).L
    assert len(np.unique(result)) > 1000, "eight bits have 26 steps here"


def test_denoise_of_strength_nothing_changes_nothing() -> None:
    lab = picture((9, 9))
    assert Denoise(Denoise.Options(strength=0)).apply(lab) is lab


def test_autocontrast_stretches_and_cuts_the_given_share() -> None:
    L = np.linspace(30, 60, 1000, dtype=np.float32).reshape(25, 40)
    result = Autocontrast(Autocontrast.Options(cut_dark=10, cut_light=5)).apply(Lab(L)).L
    assert abs((result == 0).mean() - 0.10) < 0.005
    assert abs((result == 100).mean() - 0.05) < 0.005
    assert np.all(np.diff(result.ravel()) >= 0)


def test_autocontrast_leaves_a_flat_picture_alone() -> None:
    lab = Lab(np.full((8, 8), 42, np.float32))
    assert Autocontrast().apply(lab) is lab
