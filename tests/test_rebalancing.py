"""How often each class of colour occurs, and what weight that gives it."""

from __future__ import annotations

import numpy as np
import pytest

from colorpipe.training.rebalancing import rebalancing_weights, smooth_prior

GRID = np.stack(np.meshgrid(np.arange(-60, 61, 10), np.arange(-60, 61, 10), indexing="ij"), -1).reshape(-1, 2)


def test_the_smoothed_prior_spreads_to_neighbours_only() -> None:
    counts = np.zeros(len(GRID))
    centre = GRID.tolist().index([0, 0])
    counts[centre] = 7
    prior = smooth_prior(counts, GRID)
    assert prior.sum() == pytest.approx(1)
    assert prior.argmax() == centre
    beside = GRID.tolist().index([0, 10])
    assert prior[beside] / prior[centre] == pytest.approx(np.exp(-(10**2) / (2 * 5.0**2)))
    assert prior[np.abs(GRID).max(1) >= 40].max() < 1e-12


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_expectation_of_the_weights_is_one(lam: float) -> None:
    prior = smooth_prior(np.random.default_rng(2).exponential(1, len(GRID)) ** 3, GRID)
    weights = rebalancing_weights(prior, lam)
    assert (prior * weights).sum() == pytest.approx(1)
    if lam == 1:
        np.testing.assert_allclose(weights, 1)
    else:  # the rarer, the heavier
        assert (np.diff(weights[prior.argsort()]) <= 1e-12).all()
