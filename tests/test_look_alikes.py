"""Places that look like a painted one, and the colours that a network thinks likely at a place."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from colorpipe.color import rgb_to_lab
from colorpipe.errors import PluginError
from colorpipe.guidance import hint_files
from colorpipe.guidance.look_alikes import likeness, look_alikes
from colorpipe.guidance.modes import modes
from colorpipe.guidance.strokes import Stroke
from colorpipe.pipeline.session import Session
from colorpipe.types import ChromaDistribution, Encoding, Frame

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module", params=["zhang-compact", "zhang-base"])
def session(request: pytest.FixtureRequest) -> Session:
    return Session("zhang", weights=request.param, device="cpu", precision="fp32")


def three_coats() -> np.ndarray:
    """L of three dark coats before a light wall, with grain; a fourth thing is as light as the wall."""
    L = np.full((120, 200), 75, np.float32)
    for left in (10, 75, 140):
        L[30:100, left : left + 45] = 30
    return L + np.random.default_rng(0).normal(0, 0.6, L.shape).astype(np.float32)


def painted(stroke: Stroke, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(hint_files.drawn([stroke], size, size).weight > 0)


COAT = Stroke(((0.16, 0.55),), 0.03, ab=(-40.0, 30.0), name="coat")


def test_the_other_coats_are_found_and_the_wall_is_not() -> None:
    L = three_coats()
    found = look_alikes(L, painted(COAT, L.shape))
    assert len(found) == 2
    assert sorted(int(one.points[0][0] * 200) // 65 for one in found) == [1, 2]
    for one in found:
        assert one.score > 0.7
        assert 0.5 < one.share * L.size / (70 * 45) <= 1.05
        strokes = one.strokes(COAT)
        assert all(stroke.ab == COAT.ab and stroke.name == "coat" for stroke in strokes)
        inside = hint_files.drawn(strokes, L.shape, L.shape).weight > 0
        assert inside.any()
        assert (L[inside] < 50).all()


def test_what_a_method_sees_decides_where_it_tells() -> None:
    L = np.full((64, 64), 50, np.float32)
    features = np.zeros((2, 16, 16), np.float32)
    features[0], features[1, :, 8:12] = 1, 5  # a thing of the same grey as all else
    features[1, :4, :4] = 5
    stroke = Stroke(((0.62, 0.5),), 0.03)
    (found,) = look_alikes(L, painted(stroke, L.shape), features)
    x, y = found.points[0]
    assert x < 0.25
    assert y < 0.25
    assert look_alikes(L, np.zeros((64, 64), bool), features) == ()


def test_another_part_of_the_sky_looks_like_the_sky(session: Session) -> None:
    bgr = cv2.imread(str(SAMPLES / "colour" / "rocket.jpg"))
    assert bgr is not None
    lab = rgb_to_lab((bgr[..., ::-1] / 255).astype(np.float32))
    frame = Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), Encoding("rgb", 8))
    features = session.pipeline.features(frame)
    assert features is not None
    L = np.asarray(cv2.resize(lab.L, (320, 213), interpolation=cv2.INTER_AREA))
    alike = likeness(L, painted(Stroke(((0.1, 0.12),), 0.02), L.shape), features)
    assert alike[10:40, 250:310].mean() > alike[180:, :].mean() + 0.2


def test_methods_without_features_say_so_and_wrong_ones_are_named() -> None:
    session = Session("fcn", device="cpu")
    frame = Frame(np.full((20, 30), 90, np.uint8), Encoding("rgb", 8))
    assert session.pipeline.features(frame) is None
    session.pipeline.runtime.colorizer.features = lambda batch: torch.zeros(3)  # type: ignore[method-assign]
    with pytest.raises(PluginError, match="fcn gave features of"):
        session.pipeline.features(frame)


# --- modes ------------------------------------------------------------------------------------------------------------


def distribution(shares: dict[tuple[int, int], float], left: dict[tuple[int, int], float]) -> ChromaDistribution:
    """Over a grid of 10; the left half of the picture has another one than the right half."""
    axis = np.arange(-60, 61, 10)
    bins = [(int(a), int(b)) for a in axis for b in axis]
    logits = np.full((1, len(bins), 8, 8), -12, np.float32)
    for part, given in ((np.s_[4:], shares), (np.s_[:4], left)):
        for ab, share in given.items():
            logits[0, bins.index(ab), :, part] = np.log(share)
    return ChromaDistribution(torch.from_numpy(logits), torch.tensor(bins, dtype=torch.float32))


def test_modes_are_the_peaks_with_their_hills() -> None:
    given = distribution({(40, 30): 0.4, (50, 30): 0.2, (0, -40): 0.3, (0, 0): 0.1}, {(-30, 30): 1.0})
    red, blue, grey = modes(given, 0.75, 0.5)
    assert red.ab == pytest.approx((43.3, 30), abs=0.5)
    assert red.probability == pytest.approx(0.6, abs=0.02)
    assert blue.ab == pytest.approx((0, -40), abs=0.5)
    assert blue.probability == pytest.approx(0.3, abs=0.02)
    assert grey.probability == pytest.approx(0.1, abs=0.02)
    assert [mode.ab for mode in modes(given, 0.1, 0.5, most=1)] == [pytest.approx((-30, 30), abs=0.5)]


def test_a_radius_looks_at_the_mean_and_a_border_between_two_at_both() -> None:
    given = distribution({(40, 30): 1.0}, {(-30, 30): 1.0})
    assert len(modes(given, 0.8, 0.5)) == 1
    assert len(modes(given, 0.8, 0.5, radius=0.5)) == 2
    first, second = modes(given, 0.5, 0.5)
    assert first.probability == pytest.approx(second.probability, abs=0.02)


def test_neighbouring_peaks_are_one_colour() -> None:
    given = distribution({(40, 30): 0.5, (40, 10): 0.4, (40, 20): 0.1}, {(0, 0): 1.0})
    assert len(modes(given, 0.9, 0.5)) == 1


def test_the_sides_of_a_wide_hill_are_colours_of_their_own() -> None:
    slope = {(20, 10 * step): 0.3 - 0.04 * abs(step) for step in range(-4, 5)}
    given = distribution(slope, {(0, 0): 1.0})
    found = modes(given, 0.9, 0.5)
    assert found[0].ab == pytest.approx((20, 0), abs=1)
    assert len(found) == 3, "one peak, and what lies to both sides of it"
    assert sum(mode.probability for mode in found) == pytest.approx(1, abs=1e-3)
    assert {round(mode.ab[1]) // 10 for mode in found[1:]} & {2, 3}


def test_a_network_s_modes_are_its_own_colours() -> None:
    session = Session("zhang", weights="zhang-compact", device="cpu", precision="fp32")
    told: list[ChromaDistribution] = []
    session.pipeline.runtime.watch = told.append
    bgr = cv2.imread(str(SAMPLES / "colour" / "rocket.jpg"))
    assert bgr is not None
    session.frame(Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), Encoding("rgb", 8)))
    found = modes(told[0], 0.1, 0.1)
    assert 1 <= len(found) <= 6
    assert sum(mode.probability for mode in found) <= 1 + 1e-5
    assert found[0].ab[1] < 5  # a sky is blue or grey
