"""Units, round trips, and the promise that the luma is never touched."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from colorpipe.color import spaces
from colorpipe.errors import OptionError
from colorpipe.types import Encoding, Frame, Lab

RNG = np.random.default_rng(0)
STILL8, STILL16 = Encoding("rgb", 8), Encoding("rgb", 16)


def ramp(encoding: Encoding, height: int = 64) -> np.ndarray:
    dtype = np.uint8 if encoding.bits == 8 else np.uint16
    return np.tile(np.linspace(0, encoding.peak, 256).round().astype(dtype), (height, 1))


def smooth_ab(height: int, width: int, strength: float) -> np.ndarray:
    angle = np.linspace(0, 6, height * width).reshape(height, width)
    return (strength * np.stack([np.cos(angle), np.sin(angle)], -1)).astype(np.float32)


def test_every_grey_code_has_the_lightness_that_scikit_image_gives_it() -> None:
    codes = np.arange(256, dtype=np.uint8)[None]
    ours = spaces.lightness(Frame(codes, STILL8)).L
    theirs = rgb2lab(np.repeat(codes[..., None], 3, -1))[..., 0]
    assert np.abs(ours - theirs).max() < 2e-3


def test_lab_agrees_with_scikit_image_both_ways() -> None:
    rgb = RNG.random((40, 50, 3), np.float32)
    lab = spaces.rgb_to_lab(rgb)
    theirs = rgb2lab(rgb)
    assert np.abs(lab.L - theirs[..., 0]).max() < 0.05
    assert deltaE_ciede2000(np.dstack([lab.L, lab.ab]), theirs).mean() < 0.02
    assert np.abs(spaces.lab_to_rgb(Lab(lab.L, lab.ab)) - lab2rgb(theirs)).mean() < 1e-3


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_and_lightness_are_inverse_for_every_code(bits: int) -> None:
    encoding = Encoding("rgb", bits)
    codes = np.arange(encoding.peak + 1).astype(np.uint8 if bits == 8 else np.uint16)[None]
    back = spaces.to_codes(spaces.grey_of(spaces.lightness(Frame(codes, encoding)).L), encoding)
    assert np.array_equal(back, codes)


@pytest.mark.parametrize("encoding", [STILL8, STILL16], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("strength", [0, 12, 45, 110])
def test_lightness_of_a_still_is_kept_within_rounding(encoding: Encoding, strength: float) -> None:
    frame = Frame(ramp(encoding), encoding)
    result = spaces.merge(frame, smooth_ab(64, 256, strength))
    rgb = np.stack(result.colour, -1) / encoding.peak
    kept = spaces.to_codes(spaces.grey_of(rgb2lab(rgb)[..., 0].astype(np.float32)), encoding).astype(int)
    tolerance = 1 if encoding.bits == 8 else 40  # 16-bit codes of dark, saturated colour are coarser than the luma's
    assert np.abs(kept - frame.luma.astype(int)).max() <= tolerance
    assert result.luma is frame.luma


@pytest.mark.parametrize("strength", [0, 12, 45, 110])
def test_keep_luma_survives_opencvs_own_conversion_to_grey(strength: float) -> None:
    import cv2

    frame = Frame(ramp(STILL8), STILL8)
    result = spaces.merge(frame, smooth_ab(64, 256, strength), keep="luma")
    back = cv2.cvtColor(np.dstack(result.colour), cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(back - frame.luma.astype(int)).max() <= 1


@pytest.mark.parametrize("encoding", [STILL8, STILL16], ids=["8-bit", "16-bit"])
def test_no_chroma_leaves_every_grey_code_as_it_was(encoding: Encoding) -> None:
    frame = Frame(ramp(encoding), encoding)
    result = spaces.merge(frame, np.zeros((64, 256, 2), np.float32))
    for plane in result.colour:
        assert np.abs(plane.astype(int) - frame.luma.astype(int)).max() <= (0 if encoding.bits == 8 else 1)


def test_colour_that_fits_the_gamut_is_reproduced() -> None:
    ab = smooth_ab(64, 256, 15)
    luma = np.full((64, 256), 128, np.uint8)
    result = spaces.merge(Frame(luma, STILL8), ab)
    lab = rgb2lab(np.stack(result.colour, -1))
    assert np.abs(lab[..., 1:] - ab).mean() < 0.5


@pytest.mark.parametrize("L", [2.0, 30.0, 60.0, 97.0])
def test_colour_outside_the_gamut_is_brought_inside_with_its_lightness(L: float) -> None:
    hues = np.linspace(0, 2 * np.pi, 36)
    ab = (100 * np.stack([np.cos(hues), np.sin(hues)], -1))[None].astype(np.float32)
    light = spaces.fit_to_gamut(spaces.light_of(np.full((1, 36), L, np.float32), ab))
    assert light.min() >= 0
    assert light.max() <= 1
    lab = rgb2lab(spaces.encode(light))
    assert np.abs(lab[..., 0] - L).max() < 0.1
    assert (np.hypot(lab[..., 1], lab[..., 2]) > 1).all()  # drawn in, not wiped out


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (12, False)])
def test_a_films_y_plane_is_untouched_and_its_chroma_right(matrix: str, bits: int, full: bool) -> None:
    encoding = Encoding("yuv", bits, full, matrix, (1, 1))
    black, white = spaces.luma_range(encoding)
    luma = np.full((33, 47), (black + white) // 2, np.uint8 if bits == 8 else np.uint16)
    frame = Frame(luma, encoding)
    ab = np.full((17, 24, 2), (20, 10), np.float32)
    result = spaces.merge(frame, ab)
    assert result.luma is luma
    assert result.colour[0].shape == (17, 24)
    lab = spaces.rgb_to_lab(spaces.yuv_to_rgb(result))
    assert np.abs(lab.ab - ab[0, 0]).max() < 4  # chroma codes are coarse, and luma is kept rather than lightness


def test_limited_range_black_and_white_are_0_and_100() -> None:
    encoding = Encoding("yuv", 8, full_range=False)
    lab = spaces.lightness(Frame(np.array([[0, 16, 235, 255]], np.uint8), encoding))
    assert np.allclose(lab.L, [[0, 0, 100, 100]], atol=1e-3)


@pytest.mark.parametrize("formula", list(spaces.GREY_WEIGHTS))
def test_grey_formulas(formula: str) -> None:
    planes = tuple(RNG.integers(0, 65536, (9, 7), dtype=np.uint16) for _ in range(3))
    expected = sum(w * p.astype(np.float64) for w, p in zip(spaces.GREY_WEIGHTS[formula], planes, strict=True))
    assert np.abs(spaces.grey(planes, formula) - expected).max() <= 0.51
    same = (planes[0],) * 3
    assert np.array_equal(spaces.grey(same, formula), planes[0])


def test_an_unknown_grey_formula_is_named() -> None:
    with pytest.raises(OptionError, match="hsv"):
        spaces.grey((np.zeros((1, 1), np.uint8),) * 3, "hsv")


@pytest.mark.parametrize("gamut", ["fit", "clip"])
@pytest.mark.parametrize("strength", [12, 110])
def test_the_fast_way_for_eight_bits_equals_the_formulas(gamut: spaces.Gamut, strength: float) -> None:
    luma, ab = ramp(STILL8), smooth_ab(64, 256, strength)
    result = spaces.merge(Frame(luma, STILL8), ab, gamut=gamut)
    exact = spaces._exact_rgb(spaces.lightness(Frame(luma, STILL8)).L, ab, gamut) * 255
    assert np.abs(np.dstack(result.colour) - exact).max() < 0.6  # half a code of rounding, and the table's steps


@pytest.mark.parametrize("encoding", [STILL8, STILL16], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("keep", ["lightness", "luma"])
def test_a_picture_merged_in_strips_has_no_seams(
    monkeypatch: pytest.MonkeyPatch, encoding: Encoding, keep: spaces.Keep
) -> None:
    frame, ab = Frame(ramp(encoding), encoding), smooth_ab(64, 256, 60)
    whole = spaces.merge(frame, ab, keep)
    for pixels in (1, 1000, 256 * 63):
        monkeypatch.setattr(spaces, "STRIP", pixels)
        strips = spaces.merge(frame, ab, keep)
        assert all(np.array_equal(a, b) for a, b in zip(whole.colour, strips.colour, strict=True))


def test_rounding_is_to_nearest_and_saturates() -> None:
    values = np.array([[-3, 0.49, 0.51, 254.6, 300, 70000]], np.float32)
    assert spaces.quantize(values, STILL8).tolist() == [[0, 0, 1, 255, 255, 255]]
    assert spaces.quantize(values, Encoding("yuv", 10)).tolist() == [[0, 0, 1, 255, 300, 1023]]
    assert spaces.quantize(values, STILL16).tolist() == [[0, 0, 1, 255, 300, 65535]]


def test_interleaving_copies_nothing_that_merging_has_interleaved() -> None:
    merged = spaces.merge(Frame(np.full((5, 7), 90, np.uint8), STILL8), smooth_ab(5, 7, 30)).colour
    assert merged is not None
    whole = spaces.interleaved(merged)
    assert whole is merged[0].base
    assert np.array_equal(whole, np.dstack(merged))
    shuffled = merged[::-1]  # channels of the same array, in another order
    assert np.array_equal(spaces.interleaved(shuffled), np.dstack(shuffled))
