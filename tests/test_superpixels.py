"""Superpixels: what is averaged over what, at any size, and that only the network sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from colorpipe import Lab, Session
from colorpipe.guidance.reference import read_lab
from colorpipe.settings import MediaOptions
from colorpipe_preprocessors import Superpixels
from tests.helpers import Painter, host_with

SAMPLE = Path(__file__).parents[1] / "samples" / "colour" / "astronaut.jpg"


@pytest.fixture(scope="module")
def astronaut() -> Lab:
    """512x512, in colour."""
    return read_lab(SAMPLE, MediaOptions())


def superpixels(lab: Lab, **options: Any) -> Lab:
    return Superpixels(Superpixels.Options(**options)).apply(lab)


def test_regions_of_like_lightness_become_their_mean() -> None:
    """Four squares with noise on them: four superpixels, each at its square's mean."""
    quarters = np.kron([[20.0, 70.0], [90.0, 45.0]], np.ones((30, 40)))
    noisy = (quarters + np.random.default_rng(0).uniform(-2, 2, quarters.shape)).astype(np.float32)
    found = superpixels(Lab(noisy), segments=4, sigma=0.0).L
    for rows in (slice(30), slice(30, 60)):
        for columns in (slice(40), slice(40, 80)):
            np.testing.assert_allclose(found[rows, columns], noisy[rows, columns].mean(), atol=1e-3)


@pytest.mark.parametrize("segments", [50, 400, 2000])
def test_there_are_about_as_many_as_were_asked_for(astronaut: Lab, segments: int) -> None:
    found = superpixels(astronaut, segments=segments).L
    count = len(np.unique(found))
    assert segments / 2 < count < segments * 1.5
    assert abs(found.mean() - astronaut.L.mean()) < 0.01, "averaging keeps the mean"
    assert found.std() < astronaut.L.std()


def test_more_compact_ones_follow_the_picture_less(astronaut: Lab) -> None:
    loose, square = (np.abs(superpixels(astronaut, compactness=m).L - astronaut.L).mean() for m in (5, 200))
    assert loose < 0.8 * square


def test_contrast_does_not_change_what_compactness_means(astronaut: Lab) -> None:
    """The paper's m is in units of L: half the contrast and half of m give the same superpixels."""
    faded = superpixels(Lab(astronaut.L / 2), compactness=5.0).L
    np.testing.assert_allclose(faded * 2, superpixels(astronaut, compactness=10.0).L, atol=1e-3)


def test_colour_is_averaged_over_the_same_regions(astronaut: Lab) -> None:
    found = superpixels(astronaut)
    assert found.ab is not None
    assert found.ab.shape == astronaut.ab.shape  # type: ignore[union-attr]
    colours = np.unique(np.dstack([found.L, found.ab]).reshape(-1, 3), axis=0)
    assert len(colours) == len(np.unique(found.L))


def test_large_pictures_are_shrunk_first() -> None:
    ramp = np.tile(np.linspace(0, 100, 1200, dtype=np.float32), (900, 1))
    assert superpixels(Lab(ramp)).L.shape == (384, 512)
    assert superpixels(Lab(ramp), side=200).L.shape == (150, 200)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 1), (2, 3), (33, 57)])
@pytest.mark.parametrize("segments", [1, 400, 100_000])
def test_any_size_and_number_go_through(shape: tuple[int, int], segments: int) -> None:
    L = np.random.default_rng(1).uniform(0, 100, shape).astype(np.float32)
    L.setflags(write=False)
    found = superpixels(Lab(L), segments=segments).L
    assert found.shape == shape
    assert found.dtype == np.float32
    assert found.min() >= L.min() - 1e-3
    assert found.max() <= L.max() + 1e-3
    flat = Lab(np.full(shape, 42, np.float32))
    assert superpixels(flat, segments=segments) is flat


def test_only_the_network_sees_them(tmp_path: Path) -> None:
    """Chroma comes in steps, the grey of the result is the source's."""
    rows = np.linspace(60, 190, 120)[:, None] + 10 * np.sin(np.arange(160) / 3)
    cv2.imwrite(str(tmp_path / "grey.png"), rows.astype(np.uint8))
    host = host_with(Painter)
    plain, stepped = (
        Session("painter", host=host, device="cpu", preprocessors=names, **options).colorize(tmp_path / "grey.png")
        for names, options in (((), {}), (("superpixels",), {"segments": 20}))
    )
    assert np.abs(plain.astype(int) - stepped).max() > 3
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[..., 0].astype(int) for picture in (plain, stepped)]
    assert np.abs(greys[0] - greys[1]).max() <= 2
