"""Measures against independent computations, and at their edges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

import colorpipe_metrics as measures
from colorpipe import ChromaDistribution, Encoding, Evaluator, Frame, Lab, OptionError, PluginError
from colorpipe.color import lab_to_rgb
from colorpipe.media import first_frame
from colorpipe.settings import MediaOptions
from colorpipe_metrics import prior

SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
OF_PICTURES = [cls for cls in measures.colorpipe_evaluators() if not cls.needs_distribution]


def frame(rgb: NDArray[Any] | list[Any]) -> Frame:
    """(H, W, 3) uint8 or uint16 -> a still whose luma is its BT.601 grey."""
    rgb = np.asarray(rgb, None if isinstance(rgb, np.ndarray) else np.uint8)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return Frame(luma, Encoding("rgb", 8 * rgb.itemsize), colour=tuple(cv2.split(rgb)))


def array(picture: Frame) -> NDArray[np.float64]:
    """(H, W, 3) 0..255."""
    assert picture.colour is not None
    return np.dstack(picture.colour) * (255 / picture.encoding.peak)


def pair(height: int = 40, width: int = 56, seed: int = 0) -> tuple[Frame, Frame]:
    """A smooth picture of many colours, and the same with noise."""
    rng = np.random.default_rng(seed)
    truth = cv2.resize(rng.uniform(0, 255, (5, 7, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
    result = np.clip(truth + rng.normal(0, 20, truth.shape), 0, 255)
    return frame(result.astype(np.uint8)), frame(truth.astype(np.uint8))


def score(cls: type[Evaluator], result: Frame, truth: Frame, **options: Any) -> Mapping[str, float]:
    return cls(cls.Options(**options)).update(result, truth)


def flat(red: int, green: int, blue: int, side: int = 4) -> Frame:
    return frame(np.full((side, side, 3), (red, green, blue), np.uint8))


# --- each against another computation ---------------------------------------------------------------------------------


def test_mse_by_hand() -> None:
    result, truth = frame([[[10, 20, 30], [0, 0, 0]]]), frame([[[13, 16, 30], [0, 0, 255]]])
    assert score(measures.MSE, result, truth) == pytest.approx({"mse": ((9 + 16) + 255**2) / 2})
    assert score(measures.MSE, flat(0, 0, 0), flat(255, 255, 255)) == {"mse": 3 * 255**2}


def test_psnr_is_scikit_images() -> None:
    result, truth = pair()
    theirs = peak_signal_noise_ratio(array(truth), array(result), data_range=255)
    assert score(measures.PSNR, result, truth)["psnr"] == pytest.approx(theirs, abs=1e-4)


def test_psnr_of_a_set_is_the_mean_over_pictures_and_identical_ones_have_a_hundred() -> None:
    evaluator = measures.PSNR()
    black, white = flat(0, 0, 0), flat(255, 255, 255)
    assert [evaluator.update(white, other)["psnr"] for other in (white, black)] == [100, 0]
    assert evaluator.finish() == {"psnr": 50}
    deep = np.zeros((50, 50, 3), np.uint16)
    other = deep.copy()
    other[0, 0, 0] = 1  # 135 dB
    assert score(measures.PSNR, frame(other), frame(deep)) == {"psnr": 100}


def wang(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """SSIM of one channel by the letter of Wang et al. (2004), equation 13, on 0..255."""

    def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(z, (11, 11), 1.5)[5:-5, 5:-5])

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    map_ = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(map_.mean())


def test_ssim_is_the_papers() -> None:
    result, truth = pair()
    channels = zip(cv2.split(array(result)), cv2.split(array(truth)), strict=True)
    theirs = np.mean([wang(np.asarray(x), np.asarray(y)) for x, y in channels])
    assert score(measures.SSIM, result, truth)["ssim"] == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (10, 10), (11, 2)])
def test_ssim_of_pictures_smaller_than_its_window(shape: tuple[int, int]) -> None:
    picture = frame(np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8))
    assert score(measures.SSIM, picture, picture)["ssim"] == pytest.approx(1, abs=1e-5)
    x, y, c1 = 200.0, 50.0, (0.01 * 255) ** 2  # flat pictures have their luminance term alone
    luminance = (2 * x * y + c1) / (x * x + y * y + c1)
    small = [frame(np.full((*shape, 3), value, np.uint8)) for value in (200, 50)]
    assert score(measures.SSIM, *small)["ssim"] == pytest.approx(luminance, abs=1e-3)


def test_de00_is_scikit_images() -> None:
    result, truth = pair(300, 400)  # several strips
    theirs = deltaE_ciede2000(rgb2lab(array(result) / 255), rgb2lab(array(truth) / 255)).mean()
    assert score(measures.DE00, result, truth)["de00"] == pytest.approx(theirs, abs=1e-3)
    assert score(measures.DE00, flat(0, 0, 0), flat(255, 255, 255))["de00"] == pytest.approx(100, abs=1e-3)


def test_max_channel_by_hand_with_ties() -> None:
    truth = frame([[[9, 5, 1], [9, 5, 1], [7, 7, 7], [7, 7, 7], [8, 8, 2], [8, 8, 2]]])
    result = frame([[[6, 5, 5], [5, 6, 5], [4, 4, 4], [5, 4, 4], [3, 3, 1], [4, 3, 1]]])
    #                right      wrong      right      wrong      right      wrong: the truth has two
    assert score(measures.MaxChannel, result, truth) == {"max-channel": 0.5}
    assert score(measures.MaxChannel, replace(truth, colour=None), truth) == {"max-channel": 2 / 6}


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_backtrack_by_hand_at_its_threshold(bits: int) -> None:
    codes = np.array([[[30, 60, 90]] * 3], np.uint8), np.array([[[33, 63, 93], [30, 72, 90], [60, 30, 90]]], np.uint8)
    truth, result = (frame(c if bits == 8 else c.astype(np.uint16) * 257) for c in codes)  # greys 60; 63, 64, 60
    for threshold, share in ((2.9, 1), (3, 2), (4, 3)):
        found = score(measures.GreyBacktrack, result, truth, threshold=threshold)
        assert found == pytest.approx({"grey-backtrack": share / 3})


def test_grey_backtrack_opencv_is_opencvs_grey() -> None:
    result, truth = pair(200, 300)
    theirs = np.abs(result.luma.astype(int) - truth.luma) <= 7  # `frame` makes its luma by OpenCV
    found = score(measures.GreyBacktrackOpenCV, result, truth, threshold=7)
    assert found == pytest.approx({"grey-backtrack-opencv": theirs.mean()}, abs=2e-3)  # OpenCV's is in fixed point
    with pytest.raises(OptionError, match="threshold"):
        measures.GreyBacktrack.Options(threshold=256)


def hasler(rgb: NDArray[np.float64], absolute: bool) -> float:
    """Section 3 of the paper in float64."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    if absolute:
        rg, yb = abs(rg), abs(yb)
    return float(np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2))


@pytest.mark.parametrize("cls", [measures.Colourfulness, measures.ColourfulnessAbsolute])
def test_colourfulness_is_the_papers_and_the_two_differences_differ(cls: type[measures.Colourfulness]) -> None:
    evaluator, name = cls(), cls.name
    (result, truth), (other, _) = pair(), pair(seed=1)
    pictures = [(result, truth), (replace(other, colour=None), other), (other, replace(other, colour=None))]
    values = []
    for found, true in pictures:
        scores = evaluator.update(found, true)
        grey = [picture.colour is None for picture in (found, true)]
        expected = [0 if g else hasler(array(p), cls.absolute) for p, g in zip((found, true), grey, strict=True)]
        assert [scores[name], scores[f"{name}-truth"]] == pytest.approx(expected, abs=1e-3)
        assert scores[f"{name}-mean-of-differences"] == pytest.approx(abs(expected[0] - expected[1]), abs=1e-3)
        assert (f"{name}-share" in scores) == (not grey[1])  # nothing is a share of grey's colourfulness
        values.append(expected)
    found, true = np.array(values).T
    total = evaluator.finish()
    assert set(total) == set(cls.higher_is_better)
    assert total[f"{name}-share"] == pytest.approx(found.mean() / true.mean(), abs=1e-4)
    assert total[f"{name}-difference-of-means"] == pytest.approx(abs(found.mean() - true.mean()), abs=1e-3)
    assert total[f"{name}-mean-of-differences"] == pytest.approx(abs(found - true).mean(), abs=1e-3)


def test_colourfulness_of_a_set_of_grey_truths_has_no_share() -> None:
    evaluator = measures.Colourfulness()
    evaluator.update(flat(200, 100, 50), flat(9, 9, 9))
    assert set(measures.Colourfulness.higher_is_better) - set(evaluator.finish()) == {"colourfulness-share"}


def swept(result: Frame, truth: Frame, weights: NDArray[np.float64]) -> float:
    """The area by sweeping thresholds, with scikit-image's Lab."""
    found, true = (rgb2lab(array(picture) / 255)[..., 1:] for picture in (result, truth))
    distance = np.linalg.norm(found - true, axis=-1)
    thresholds = np.linspace(0, 150, 3001)
    shares = [(weights * (distance <= t)).sum() / weights.sum() for t in thresholds]
    return float(np.trapezoid(shares, thresholds) / 150) if hasattr(np, "trapezoid") else float(np.mean(shares))


def rarity(truth: Frame) -> NDArray[np.float64]:
    """Each pixel's weight: 1 / the smoothed share of its colour's cell, by sums over all cells."""
    counts = prior.load_file(prior.FILE)["counts"].astype(np.float64)
    steps = np.arange(-120, 121, 10)
    row, column = (np.rint(rgb2lab(array(truth) / 255)[..., k] / 10).astype(int) + 12 for k in (1, 2))
    near = np.exp(-((steps[:, None] - steps) ** 2) / (2 * 5.0**2))
    smooth = near @ counts @ near
    return np.asarray(1 / np.maximum(smooth / smooth.sum(), 2.5e-5))[row, column]


def test_auc_is_the_area_under_the_swept_share() -> None:
    result, truth = pair()
    assert score(measures.AuC, result, truth)["auc"] == pytest.approx(swept(result, truth, np.ones((40, 56))), abs=5e-4)
    grey = replace(truth, colour=None)
    chroma = np.linalg.norm(rgb2lab(array(truth) / 255)[..., 1:], axis=-1)
    assert score(measures.AuC, grey, truth)["auc"] == pytest.approx(1 - chroma.mean() / 150, abs=1e-3)
    assert score(measures.AuC, flat(0, 255, 0), flat(255, 0, 255)) == {"auc": 0}  # 235 apart


def test_rebalanced_auc_weighs_by_the_inverse_of_a_colours_share() -> None:
    result, truth = pair()
    found = score(measures.AuCRebalanced, result, truth)["auc-rebalanced"]
    assert found == pytest.approx(swept(result, truth, rarity(truth)), abs=2e-3)  # cells' borders: rounding decides


def test_rebalanced_auc_of_a_set_is_over_all_pixels_whatever_a_pictures_size() -> None:
    pictures = [pair(seed=seed) for seed in range(3)]
    evaluator, whole = measures.AuCRebalanced(), measures.AuCRebalanced()
    for result, truth in pictures:
        evaluator.update(result, truth)
    together = whole.update(*(frame(np.vstack([array(p[k]) for p in pictures]).astype(np.uint8)) for k in (0, 1)))
    assert evaluator.finish() == pytest.approx(together, abs=1e-6)
    for result, truth in pictures:
        evaluator.update(result, truth)
    twice = [frame(np.repeat(array(picture), 2, axis=0).astype(np.uint8)) for picture in pictures[0]]
    whole.finish()
    for result, truth in [(twice[0], twice[1]), *pictures[1:]]:
        whole.update(result, truth)
    assert evaluator.finish() == pytest.approx(whole.finish(), abs=1e-6)


def test_the_prior_counts_colours_by_their_cell() -> None:
    grey, green = np.full((3, 4, 3), 77, np.uint8), np.full((2, 2, 3), (0, 255, 0), np.uint8)  # ab of (-86, 83)
    counts = prior.count([grey, green])
    assert counts.sum() == 16
    assert counts[12, 12] == 12
    assert counts[12 - 9, 12 + 8] == 4
    shipped = prior.load_file(prior.FILE)["counts"]
    assert shipped.shape == counts.shape
    assert prior.weights()[12, 12] == prior.weights().min()
    assert prior.weights().max() == pytest.approx(40_000)


def distribution(logits: torch.Tensor) -> ChromaDistribution:
    return ChromaDistribution(logits, torch.zeros(logits.shape[1], 2))


def test_entropy_is_scipys_mean_over_the_places() -> None:
    evaluator, picture = measures.Entropy(), flat(1, 2, 3)
    random = torch.randn(1, 313, 5, 6, generator=torch.Generator().manual_seed(0)) * 3
    certain = torch.full((1, 4, 2, 2), -math.inf)
    certain[:, 1] = 0
    theirs = scipy_entropy(random.softmax(1).numpy(), base=2, axis=1).mean()
    for logits, bits in ((random, theirs), (torch.zeros(1, 8, 3, 3), 3), (certain, 0)):
        evaluator.observe(distribution(logits))
        assert evaluator.update(picture, picture)["entropy"] == pytest.approx(bits, abs=1e-4)
    assert evaluator.finish()["entropy"] == pytest.approx((theirs + 3) / 3, abs=1e-4)
    with pytest.raises(PluginError, match=r"no distribution.*observe"):
        evaluator.update(picture, picture)


# --- what holds for all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", OF_PICTURES, ids=lambda cls: cls.name)
def test_depth_does_not_matter(cls: type[Evaluator]) -> None:
    result, truth = pair()
    deep = [frame(array(picture).astype(np.uint16) * 257) for picture in (result, truth)]
    assert score(cls, *deep) == pytest.approx(score(cls, result, truth), rel=1e-5)
    assert score(cls, result, deep[1]) == pytest.approx(score(cls, result, truth), rel=1e-5)


@pytest.mark.parametrize("cls", OF_PICTURES, ids=lambda cls: cls.name)
def test_a_result_left_grey_is_its_luma_three_times(cls: type[Evaluator]) -> None:
    _, truth = pair()
    grey = replace(truth, colour=(truth.luma,) * 3)
    assert score(cls, replace(truth, colour=None), truth) == pytest.approx(score(cls, grey, truth), rel=1e-6)


PERFECT = {"mse": 0, "psnr": 100, "ssim": 1, "de00": 0, "max-channel": 1, "grey-backtrack": 1, "auc": 1} | {
    "grey-backtrack-opencv": 1, "auc-rebalanced": 1, "colourfulness-mean-of-differences": 0,
    "colourfulness-absolute-mean-of-differences": 0, "patchiness-mean-of-differences": 0,
}  # fmt: skip


@pytest.mark.parametrize("cls", OF_PICTURES, ids=lambda cls: cls.name)
@pytest.mark.parametrize("truth", [pair()[1], flat(0, 0, 0), flat(255, 255, 255), flat(9, 80, 200, 1), flat(7, 7, 7)])
def test_identical_pictures_are_perfect(cls: type[Evaluator], truth: Frame) -> None:
    scores = score(cls, truth, truth)
    found = {name: value for name, value in scores.items() if name not in cls.describes}
    assert found == pytest.approx({name: PERFECT[name] for name in found}, abs=1e-5)
    assert found or (cls is measures.Patchiness and not scores)  # nothing in noise is plain


@pytest.mark.parametrize("cls", measures.colorpipe_evaluators(), ids=lambda cls: cls.name)
def test_no_pictures_have_no_scores(cls: type[Evaluator]) -> None:
    assert cls().finish() == {}


def test_patches_count_on_plain_surfaces_only() -> None:
    """A wall with a blotch of colour and a textured half whose colours change as its lightness does."""
    rng = np.random.default_rng(0)
    lightness = np.full((128, 256), 60.0, np.float32)
    lightness[:, 128:] += rng.normal(0, 15, (128, 128)).astype(np.float32)
    ab = np.zeros((128, 256, 2), np.float32)
    ab[:, 128:] = rng.normal(0, 20, (128, 128, 2))

    def made(blotch: float) -> Frame:
        colours = ab.copy()
        colours[40:90, 30:80, 1] = blotch
        picture = lab_to_rgb(Lab(lightness.clip(5, 95), colours))
        return frame(np.rint(picture * 255).clip(0, 255).astype(np.uint8))

    plain, patchy, worse = (score(measures.Patchiness, made(blotch), made(0)) for blotch in (0, 10, 20))
    assert plain["patchiness"] < 0.5
    assert plain["patchiness"] + 0.2 < patchy["patchiness"] < worse["patchiness"]
    assert worse["patchiness-truth"] == plain["patchiness"]
    assert worse["patchiness-mean-of-differences"] == worse["patchiness"] - worse["patchiness-truth"]
    assert (
        score(measures.Patchiness, made(20), made(10))["patchiness-share"] == worse["patchiness"] / patchy["patchiness"]
    )


def test_a_photograph_left_grey() -> None:
    """What a user reads off: no colour, all of the lightness, few largest channels."""
    truth = first_frame(SAMPLES / "astronaut.jpg", MediaOptions())
    grey = replace(truth, colour=None)
    found = {name: v for cls in OF_PICTURES for name, v in score(cls, grey, truth).items()}
    assert found["colourfulness"] == found["colourfulness-share"] == 0
    assert found["grey-backtrack-opencv"] == 1
    assert found["max-channel"] < 0.2
    assert 15 < found["psnr"] < 25
    assert found["ssim"] > 0.8
    assert found["auc-rebalanced"] < found["auc"]
