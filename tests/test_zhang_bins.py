"""The 313 bins, soft encoding and class rebalancing of Zhang et al. 2016."""

from __future__ import annotations

import numpy as np
import pytest

from colorpipe_zhang import bins


def test_the_published_number_of_bins() -> None:
    centres = bins.bin_centres()
    assert centres.shape == (313, 2)
    assert len({tuple(c) for c in centres.tolist()}) == 313
    assert not (centres % 10).any()


def test_order_and_extent_are_the_published_ones() -> None:
    centres = bins.bin_centres()
    assert centres.tolist() == sorted(centres.tolist())
    # First, last and extreme rows of pts_in_hull.npy, as released with the paper.
    assert centres[:5].tolist() == [[-90, 50], [-90, 60], [-90, 70], [-90, 80], [-90, 90]]
    assert centres[-5:].tolist() == [[100, -40], [100, -30], [100, -20], [100, -10], [100, 0]]
    assert centres.min(0).tolist() == [-90, -110]
    assert centres.max(0).tolist() == [100, 100]
    # How many bins each row of a has, from -90 to 100.
    rows = [5, 8, 10, 12, 14, 15, 16, 16, 17, 18, 18, 18, 19, 20, 19, 20, 20, 19, 19, 10]
    assert np.unique(centres[:, 0], return_counts=True)[1].tolist() == rows


def test_every_srgb_colour_lies_within_a_bin() -> None:
    from colorpipe.color import rgb_to_lab

    steps = np.linspace(0, 1, 18, dtype=np.float32)
    ab = rgb_to_lab(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)).ab
    assert ab is not None
    distance = np.abs(ab[0][:, None] - bins.bin_centres()).max(-1).min(1)
    assert distance.max() <= 5


def test_centres_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bins.bin_centres()[0, 0] = 1


def test_soft_encoding_sums_to_one_and_peaks_at_the_nearest_bin() -> None:
    ab = np.random.default_rng(0).uniform(-90, 90, (500, 2))
    nearest, shares = bins.soft_encode(ab)
    assert nearest.shape == shares.shape == (500, 5)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert (np.diff(shares, axis=1) <= 1e-6).all()
    distance = np.linalg.norm(np.rint(ab)[:, None] - bins.bin_centres(), axis=2)
    np.testing.assert_allclose(np.take_along_axis(distance, nearest[:, :1].astype(int), 1)[:, 0], distance.min(1))


def test_soft_encoding_is_gaussian_in_the_distance() -> None:
    nearest, shares = bins.soft_encode(np.array([20.0, 40.0]))  # a bin centre: neighbours at 10 units
    assert bins.bin_centres()[nearest[0]].tolist() == [20, 40]
    np.testing.assert_allclose(shares[1:] / shares[0], np.exp(-(10**2) / (2 * 5.0**2)), rtol=1e-5)


def test_soft_encoding_far_outside_the_gamut_is_finite() -> None:
    _, shares = bins.soft_encode(np.array([[-500.0, -500.0], [127.0, 127.0]]))
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)


def test_counting_keeps_the_number_of_colours() -> None:
    ab = np.random.default_rng(1).normal(0, 20, (40, 25, 2))
    assert bins.count(ab).sum() == pytest.approx(1000)


def test_the_shift_lifts_colour_and_restrains_far_bins() -> None:
    weights = np.linspace(0.5, 8, 313)
    chroma = np.linalg.norm(bins.bin_centres(), axis=1)
    np.testing.assert_allclose(bins.logit_shift(weights, 0.5), -0.5 * np.log(weights))
    lifted = bins.logit_shift(weights, 0, lift=2)
    assert lifted.argmin() == chroma.argmin()
    assert lifted.min() == pytest.approx(-2)
    assert (lifted[chroma > 60] > -1e-4).all()
    np.testing.assert_allclose(bins.logit_shift(weights, 0, restraint=10), -10 * (chroma / 100) ** 2)
