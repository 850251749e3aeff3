"""Where a mean is strengthened: what is seen of a distribution, what is asked for, what is learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.color import deltaE_ciede94

from colorpipe import Batch, ChromaDistribution, training
from colorpipe_decoders import AnnealedMean
from colorpipe_zhang import BUNDLED, Zhang
from colorpipe_zhang.bins import bin_centres
from colorpipe_zhang.compact import CompactZhang
from colorpipe_zhang.emphasis import Emphasis, facts
from colorpipe_zhang.loading import open_file
from colorpipe_zhang.objective import difference, objective
from colorpipe_zhang.options import TrainOptions
from colorpipe_zhang.training import ZhangTask

BINS = torch.tensor(bin_centres())


def of(side: int = 16, count: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """L and logits of noise."""
    generator = torch.Generator().manual_seed(seed)
    L = torch.rand(count, 1, 4 * side, 4 * side, generator=generator) * 100
    return L, torch.randn(count, len(BINS), side, side, generator=generator) * 2


@pytest.fixture(scope="module")
def emphasis() -> Emphasis:
    torch.manual_seed(0)
    made = Emphasis()
    torch.nn.init.normal_(made.out.weight)
    return made.requires_grad_(False)


def test_facts_are_those_of_the_distribution() -> None:
    L, logits = of(4)
    p, c = logits[1, :, 2, 3].double().softmax(0).numpy(), bin_centres().astype(float)
    reach = np.hypot(*c.T)
    mean = np.hypot(*(p @ c))
    cold, colder = (np.hypot(*((p ** (1 / T) / (p ** (1 / T)).sum()) @ c)) for T in (0.7, 0.35))
    told = facts(L, logits, BINS)[1, :, 2, 3]
    wanted = [
        mean / 20,
        cold / 20,
        colder / 20,
        colder / max(mean, 1) / 2,
        p[reach <= 11].sum(),
        -(p * np.log(p)).sum() / 4,
        p @ reach / 20,
        np.sqrt(p @ reach**2 - mean**2) / 20,
        float(L[1, 0, 8:12, 12:16].mean()) / 50 - 1,
    ]
    np.testing.assert_allclose(told, wanted, rtol=2e-3, atol=2e-3)


def test_one_vibrance_a_place_whatever_the_neighbours_and_the_precision(emphasis: Emphasis) -> None:
    L, logits = of()
    at = emphasis(L, logits, BINS)
    assert at.shape == (2, 1, 16, 16)
    assert float(at.min()) >= 0
    assert float(at.std()) > 0
    torch.testing.assert_close(emphasis(L[:1], logits[:1], BINS), at[:1], rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        again = emphasis(L, logits.bfloat16(), BINS)
    torch.testing.assert_close(again, at, rtol=0.05, atol=0.05)


def test_what_is_asked_for_acts_where_the_method_says(emphasis: Emphasis) -> None:
    L, logits = of()
    at = emphasis(L, logits, BINS)
    plain = ChromaDistribution(logits, BINS, 0.7, 1.6, 0.35)
    given = dataclasses.replace(plain, vibrance_at=at)

    def shown(distribution: ChromaDistribution, vibrance: float | None) -> torch.Tensor:
        return AnnealedMean(AnnealedMean.Options(vibrance=vibrance)).decode(distribution).ab

    bare = shown(plain, 1.0)
    torch.testing.assert_close(shown(given, 1.0), bare)
    torch.testing.assert_close(shown(given, None), ChromaDistribution.strengthen(bare, at))
    torch.testing.assert_close(shown(given, 1.6), shown(given, None))
    twice = ChromaDistribution.strengthen(bare, (1 + 2 * (at - 1)).clamp(min=0.01))
    torch.testing.assert_close(shown(given, 2.2), twice)
    with pytest.raises(ValueError, match="vibrance_at is"):
        ChromaDistribution(logits, BINS, vibrance_at=at[:1])


def test_below_one_weak_colours_are_weakened_and_strong_ones_stay() -> None:
    ab = torch.tensor([5.0, 40.0, 80.0, 120.0]).view(1, 1, 1, 4) * torch.tensor([0.6, -0.8]).view(1, 2, 1, 1)
    weaker = ChromaDistribution.strengthen(ab, torch.full((1, 1, 1, 4), 0.5)).norm(dim=1).flatten()
    assert float(weaker[0]) == pytest.approx(2.5 / (1 - 0.5 * 5 / 80))
    assert bool((weaker.diff() > 0).all())
    torch.testing.assert_close(weaker[2:], torch.tensor([80.0, 120.0]))


def test_the_colour_difference_is_cie_94() -> None:
    rng = np.random.default_rng(0)
    truth, ab = (rng.uniform(-60, 60, (1, 2, 8, 8)).astype(np.float32) for _ in range(2))
    L = np.full((8, 8, 1), 50.0)
    expected = deltaE_ciede94(*(np.concatenate([L, one[0].transpose(1, 2, 0)], 2) for one in (truth, ab)))
    found = difference(torch.from_numpy(ab), torch.from_numpy(truth))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.02)


def test_the_objective_prefers_the_truth_and_dislikes_paint_on_muted_pictures() -> None:
    L = torch.full((2, 1, 8, 8), 60.0)
    truth = torch.rand(2, 2, 8, 8) * 3
    right, pale, painted = (float(objective(L, ab, truth, 1.0)) for ab in (truth, truth / 2, truth * 5))
    assert right < pale < painted


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> training.TrainingResult:
    """A few steps of the bundled compact network's emphasis."""
    import cv2

    folder = tmp_path_factory.mktemp("emphasis")
    rng = np.random.default_rng(0)
    for index in range(20):
        small = rng.integers(0, 256, (5, 5, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC))
    settings = TrainOptions(
        learn="emphasis", start="bundled", steps=4, batch=2, side=64, final_side=64, validate_every=4, device="cpu",
        rate=0.05,
    )  # fmt: skip
    return training.fit(ZhangTask(settings), folder, tmp_path_factory.mktemp("weights") / "w.safetensors")


def test_learning_emphasis_leaves_the_network_as_it_was(learned: training.TrainingResult) -> None:
    before, after = load_file(BUNDLED), load_file(learned.output)
    for name, tensor in before.items():
        if not name.startswith(("emphasis.", "classify.bias")):
            assert torch.equal(after[name], tensor), name
    torch.testing.assert_close(after["classify.bias"], before["classify.bias"], atol=0.02, rtol=1e-2)
    assert any(
        not torch.equal(tensor, before.get(name, 0 * tensor)) for name, tensor in after.items() if "emph" in name
    )


def test_a_file_with_emphasis_is_shown_with_it_and_goes_on_being_trained(learned: training.TrainingResult) -> None:
    method = Zhang()
    method.network = method.build(Path(learned.output))
    with torch.no_grad():
        found = method.predict(Batch(torch.rand(1, 1, 64, 64) * 100))
    assert found.vibrance_at is not None
    assert found.vibrance_at.shape == (1, 1, 16, 16)
    network = ZhangTask(TrainOptions(start=str(learned.output))).network()
    assert isinstance(network, CompactZhang)
    assert network.emphasis is not None
    assert not any(p.requires_grad for p in network.emphasis.parameters())
    own = open_file(Path(learned.output))[0].state_dict()
    for name, value in network.emphasis.state_dict().items():
        assert torch.equal(value, own[f"emphasis.{name}"].float())
