"""Scores while training agree with independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from colorpipe import color
from colorpipe.color.spaces_torch import lab_to_rgb, rgb_to_lab
from colorpipe.training.validation import ValidationBatch, colourfulness, psnr, to_ab


def pictures(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 24, 24, 3), np.uint8))


def test_lab_is_the_core_s_and_comes_back() -> None:
    rgb = pictures().permute(0, 3, 1, 2) / 255
    lab = rgb_to_lab(rgb)
    wanted = color.rgb_to_lab(rgb[0].permute(1, 2, 0).numpy())
    assert wanted.ab is not None
    np.testing.assert_allclose(lab[0].permute(1, 2, 0), np.dstack([wanted.L, wanted.ab]), atol=2e-3)
    torch.testing.assert_close(lab_to_rgb(lab), rgb, atol=1e-4, rtol=0)


def test_psnr_is_scikit_image_s() -> None:
    first, second = pictures(2).permute(0, 3, 1, 2).double() / 255
    wanted = peak_signal_noise_ratio(first.numpy(), second.numpy(), data_range=1)
    assert float(psnr(second[None], first[None])) == pytest.approx(wanted)


def test_colourfulness_is_the_paper_s_formula() -> None:
    r, g, b = pictures(1)[0].numpy().astype(float).reshape(-1, 3).T
    rg, yb = r - g, (r + g) / 2 - b
    wanted = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert float(colourfulness(pictures(1).permute(0, 3, 1, 2) / 255)) == pytest.approx(wanted, rel=1e-5)


def test_grey_gains_nothing_and_the_truth_much() -> None:
    truth = ValidationBatch(pictures())
    grey, whole = truth.score(torch.zeros(3, 2, 6, 6)), truth.score(truth.ab)
    assert grey["gain"] == pytest.approx(0, abs=1e-4)
    assert grey["vivid"] == pytest.approx(0, abs=1e-3)
    assert whole["gain"] > 20
    assert whole["vivid"] == pytest.approx(1, abs=1e-3)


def test_a_view_is_changed_and_the_truth_is_not() -> None:
    truth = ValidationBatch(pictures(), lambda L: 100 - L)
    torch.testing.assert_close(truth.seen, 100 - truth.L)


def test_autocast_does_not_round_the_truth() -> None:
    exact = ValidationBatch(pictures())
    with torch.autocast("cpu", torch.bfloat16):
        again = ValidationBatch(pictures())
        score = again.score(exact.ab)
    assert torch.equal(again.L, exact.L)
    assert score == exact.score(exact.ab)


def test_a_temperature_of_zero_takes_the_likeliest() -> None:
    centres = torch.tensor([[10.0, 0.0], [0.0, 20.0]])
    logits = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    assert to_ab(logits, centres, 0).flatten().tolist() == [0, 20]
    odds = torch.tensor([1.0, 2.0]).softmax(0)
    torch.testing.assert_close(to_ab(logits, centres, 1.0).flatten(), odds @ centres)
