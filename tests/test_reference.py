"""What methods that learn from a reference share."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from colorpipe import color
from colorpipe.guidance import reference
from colorpipe.types import Encoding, Frame, InputSize, Lab

RNG = np.random.default_rng(5)
FULL = InputSize(side=None)


def lab_of(rgb: np.ndarray) -> Lab:
    return color.rgb_to_lab(rgb.astype(np.float32) / np.float32(255))


def test_grey_codes_are_the_pictures_own() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(reference.grey_codes(color.lightness(Frame(codes, Encoding("rgb", 8))).L), codes)


@pytest.mark.parametrize("formula", ["luminosity", "rec601", "rec709", "average"])
def test_code_values_are_the_pictures_own(formula: str) -> None:
    rgb = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    found, grey = reference.code_values(lab_of(rgb), formula, FULL)
    assert np.array_equal(found, rgb)
    red, green, blue = cv2.split(rgb)
    assert np.array_equal(grey, color.grey((red, green, blue), formula))


def test_a_large_reference_is_shrunk_as_pictures_are() -> None:
    rgb = np.full((30, 900, 3), (200, 100, 50), np.uint8)
    found, grey = reference.code_values(lab_of(rgb), "luminosity", InputSize(side=None, limit=300))
    assert found.shape == (10, 300, 3)
    assert grey.shape == (10, 300)
    assert (found == (200, 100, 50)).all()


def test_patches_are_mirrored_about_the_border() -> None:
    grey = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    found = reference.patches(grey, 3)
    assert found.shape == (6, 9)
    assert found[0].tolist() == [5, 4, 5, 2, 1, 2, 5, 4, 5]
    assert found[1].tolist() == [4, 5, 6, 1, 2, 3, 4, 5, 6]
    assert found[5].tolist() == [2, 3, 2, 5, 6, 5, 2, 3, 2]


@pytest.mark.parametrize("side", [3, 5, 15])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2), (40, 30)])
def test_a_patch_has_its_pixel_in_the_middle(side: int, shape: tuple[int, int]) -> None:
    grey = RNG.integers(0, 256, shape, dtype=np.uint8)
    found = reference.patches(grey, side)
    assert found.shape == (grey.size, side * side)
    assert np.array_equal(found[:, side * side // 2], grey.ravel())


@pytest.mark.parametrize("k", [2, 5, 16])
def test_the_palette_of_flat_colours_is_those_colours(k: int) -> None:
    flat = RNG.permutation(256)[: 3 * k].astype(np.uint8).reshape(k, 3)
    entries = np.repeat(np.arange(k), RNG.integers(1, 40_000, k))
    found, which = reference.palette(flat[entries], k, seed=0)
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, flat.tolist()))
    assert np.array_equal(found[which], flat[entries])
    found, which = reference.palette(flat[entries], 64, seed=0)
    assert len(found) == k, "there are no more distinct colours"
    assert np.array_equal(found[which], flat[entries])


def test_the_palette_is_as_good_as_opencvs_best_of_twenty() -> None:
    from skimage import data

    colours = cv2.resize(data.coffee(), (60, 60), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    for k in (5, 30):
        cv2.setRNGSeed(1)
        settings = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-3)
        theirs, _, _ = cv2.kmeans(colours.astype(np.float32), k, None, settings, 20, cv2.KMEANS_PP_CENTERS)
        found, which = reference.palette(colours, k, seed=0)
        squares = ((colours[:, None].astype(float) - found) ** 2).sum(2)
        assert np.array_equal(which, squares.argmin(1))
        assert squares.min(1).sum() < 1.03 * theirs


def test_a_palette_repeats_itself() -> None:
    colours = RNG.integers(0, 256, (3000, 3), dtype=np.uint8)
    first, again, other = (reference.palette(colours, 12, seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_tint_is_the_colour_under_any_light() -> None:
    rgb = RNG.uniform(60, 250, (100, 3))
    light = color.linear((rgb / 255).astype(np.float32))
    for share in (0.3, 0.6):
        dimmed = color.rgb_to_lab(color.encode(np.float32(share) * light)[None])
        assert dimmed.L.min() > 8
        assert dimmed.ab is not None
        ab = reference.tint(rgb) * (dimmed.L[0][:, None] + 16)
        assert np.abs(ab - dimmed.ab[0]).max() < 0.05


def test_grey_has_no_tint() -> None:
    assert np.abs(reference.tint(np.array([[0, 0, 0], [128, 128, 128], [255, 255, 255]]))).max() < 1e-4
