"""The fully convolutional network: what it learns of a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from colorpipe import Batch, Lab, PluginError, Session
from colorpipe.color import rgb_to_lab
from colorpipe.training.data import load_square
from colorpipe_fcn import Fcn
from colorpipe_fcn.network import FCN

CPU = torch.device("cpu")
COFFEE = Path(__file__).parents[1] / "samples" / "colour" / "coffee.jpg"


def fcn(epochs: int = 400, **changes: int | float) -> Fcn:
    return Fcn(Fcn.Options(epochs=epochs, **changes))


@pytest.fixture(scope="module")
def reference() -> Lab:
    """A photograph's left half, 64x32."""
    return rgb_to_lab(np.ascontiguousarray(load_square(COFFEE, 64)[:, :32]) / np.float32(255))


def error(colorizer: Fcn, truth: Lab) -> float:
    """Mean squared error of ab at the network's own resolution, as a share of grey's."""
    assert truth.ab is not None
    with torch.no_grad():
        found = colorizer.predict(Batch(torch.from_numpy(truth.L)[None, None])).ab[0]
    wanted = torch.from_numpy(truth.ab).permute(2, 0, 1)
    wanted = torch.nn.functional.interpolate(wanted[None], found.shape[1:], mode="area")[0]
    return float((found - wanted).square().mean() / wanted.square().mean())


def test_it_learns_the_colours_of_its_reference(reference: Lab) -> None:
    colorizer = fcn()
    colorizer.learn(reference, CPU)
    assert error(colorizer, reference) < 0.1
    assert colorizer.network is not None
    assert not any(parameter.requires_grad for parameter in colorizer.network.parameters())


def test_the_same_seed_learns_the_same_and_torch_s_generator_is_left_alone(reference: Lab) -> None:
    learned = []
    for seed in (1, 1, 2):
        colorizer = fcn(20, seed=seed)
        before = torch.get_rng_state()
        colorizer.learn(reference, CPU)
        assert torch.equal(torch.get_rng_state(), before)
        assert colorizer.network is not None
        learned.append(torch.cat([p.flatten() for p in colorizer.network.parameters()]))
    assert torch.equal(learned[0], learned[1])
    assert not torch.equal(learned[1], learned[2])


def test_the_last_reference_counts(reference: Lab) -> None:
    assert reference.ab is not None
    opposite = Lab(reference.L, -reference.ab)
    colorizer = fcn()
    colorizer.learn(opposite, CPU)
    assert error(colorizer, reference) > 1
    colorizer.learn(reference, CPU)
    assert error(colorizer, reference) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (300, 40)])
def test_a_reference_of_any_size_is_learned(shape: tuple[int, int]) -> None:
    colorizer = fcn(60)
    flat = Lab(np.full(shape, 60, np.float32), np.broadcast_to(np.float32([20, -30]), (*shape, 2)).copy())
    colorizer.learn(flat, CPU)
    assert error(colorizer, flat) < 0.1


def test_learning_that_diverges_is_said(reference: Lab) -> None:
    with pytest.raises(PluginError, match="did not learn the reference") as caught:
        fcn(9).learn(Lab(reference.L, np.full((64, 32, 2), 1e30, np.float32)), CPU)
    assert "--rate" in str(caught.value.hint)


def test_the_answer_is_half_as_large() -> None:
    with torch.no_grad():
        for height, width in ((1, 1), (5, 8), (33, 64)):
            ab = FCN(4)(torch.rand(1, 1, height, width) * 100)
            assert ab.shape == (1, 2, -(-height // 2), -(-width // 2))


def test_a_place_sees_33_pixels_across() -> None:
    """Gradient of the middle's colour: where the lightness matters."""
    torch.manual_seed(0)
    L = torch.rand(1, 1, 65, 65) * 100
    L.requires_grad_()
    FCN(8)(L)[0, :, 16, 16].sum().backward()
    assert L.grad is not None
    rows = L.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert (int(rows.min()), int(rows.max())) == (16, 48)


def test_a_session_learns_only_from_a_reference(reference: Lab) -> None:
    grey = np.rint(np.linspace(0, 255, 40 * 30)).astype(np.uint8).reshape(30, 40)
    bundled = Session("fcn", device="cpu", precision="fp32")
    learned = Session("fcn", device="cpu", precision="fp32", reference=reference, epochs=30, width=8)
    assert bundled.recipe.weights == "fcn"
    assert learned.recipe.reference_sha256
    assert learned.recipe.weights is None, "the bundled weights play no part in it"
    assert learned.recipe.colorizer.options["epochs"] == 30
    assert not np.array_equal(bundled.colorize(grey), learned.colorize(grey))
