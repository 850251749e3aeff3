"""Decoders against equation 5 of Zhang, Isola and Efros (2016) in float64, and at their extremes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from colorpipe import ChromaDistribution, OptionError
from colorpipe_decoders import AnnealedMean, Mean, Mode

Q = 313


def distribution(spread: float = 3.0, natural_T: float = 1.0, dtype: torch.dtype = torch.float32) -> ChromaDistribution:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(2, Q, 5, 7, generator=generator) * spread).to(dtype)
    bins = torch.rand(Q, 2, generator=generator) * 220 - 110
    return ChromaDistribution(logits, bins, natural_T)


def equation_5(given: ChromaDistribution, T: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """exp(log z / T) / sum, z being the softmax; ab and largest probability, by the letter and in float64."""
    logits = given.logits.double().numpy()
    z = np.exp(logits - logits.max(1, keepdims=True))
    z /= z.sum(1, keepdims=True)
    annealed = np.exp(np.log(z) / T)
    annealed /= annealed.sum(1, keepdims=True)
    return np.einsum("nqhw,qc->nchw", annealed, given.bins.double().numpy()), annealed.max(1, keepdims=True)


def at(T: float | None) -> AnnealedMean:
    return AnnealedMean(AnnealedMean.Options(T=T))


@pytest.mark.parametrize("T", [0.05, 0.09, 0.38, 1.0, 2.0])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_annealed_mean_is_equation_5(T: float, layout: torch.memory_format) -> None:
    given = distribution()
    given = ChromaDistribution(given.logits.contiguous(memory_format=layout), given.bins)
    ab, confidence = equation_5(given, T)
    chroma = at(T).decode(given)
    np.testing.assert_allclose(chroma.ab.numpy(), ab, atol=2e-3)
    np.testing.assert_allclose(chroma.confidence.numpy(), confidence, atol=1e-5)


def test_the_weights_own_temperature_counts_unless_one_is_given() -> None:
    given = distribution(natural_T=0.38)
    np.testing.assert_allclose(at(None).decode(given).ab.numpy(), equation_5(given, 0.38)[0], atol=2e-3)
    np.testing.assert_allclose(at(1.0).decode(given).ab.numpy(), equation_5(given, 1.0)[0], atol=2e-3)


def test_vibrance_makes_weak_colours_stronger_and_leaves_hue_and_strong_ones() -> None:
    given = distribution()
    plain = at(None).decode(given).ab
    vivid = AnnealedMean(AnnealedMean.Options(vibrance=2.0)).decode(given).ab
    before, after = (ab.norm(dim=1) for ab in (plain, vivid))
    torch.testing.assert_close(after, torch.where(before < 80, 2 * before / (1 + before / 80), before))
    torch.testing.assert_close(vivid * before[:, None], plain * after[:, None])
    order = before.flatten().argsort()
    assert bool((after.flatten()[order].diff() >= -1e-4).all())  # no colour overtakes another


def test_the_weights_own_vibrance_counts_unless_one_is_given() -> None:
    plain = distribution()
    made = ChromaDistribution(plain.logits, plain.bins, natural_vibrance=2.0)
    wanted = AnnealedMean(AnnealedMean.Options(vibrance=2.0)).decode(plain).ab
    assert torch.equal(at(None).decode(made).ab, wanted)
    assert torch.equal(AnnealedMean(AnnealedMean.Options(vibrance=1.0)).decode(made).ab, at(None).decode(plain).ab)
    torch.testing.assert_close(
        AnnealedMean(AnnealedMean.Options(T=0.0, vibrance=2.0)).decode(plain).ab,
        ChromaDistribution.strengthen(Mode().decode(plain).ab, 2.0),
    )
    with pytest.raises(ValueError, match="natural_vibrance is at least 1"):
        ChromaDistribution(plain.logits, plain.bins, natural_vibrance=0.5)


def test_where_grey_is_sure_its_temperature_counts_and_no_vibrance() -> None:
    given = distribution()
    near = given.bins.norm(dim=1) <= 11
    assert 0 < int(near.sum()) < len(near)
    for favoured, T, vibrance in ((near, 0.3, 1.0), (~near, 0.9, 2.0)):
        logits = given.logits + 60 * favoured.view(1, -1, 1, 1)
        one = ChromaDistribution(logits, given.bins, 0.9, natural_vibrance=2.0, natural_grey_T=0.3)
        wanted = AnnealedMean(AnnealedMean.Options(T=T, vibrance=vibrance, grey_T=T))
        torch.testing.assert_close(at(None).decode(one).ab, wanted.decode(one).ab, rtol=1e-3, atol=1e-2)


def test_greys_temperature_is_never_above_that_of_the_rest() -> None:
    given = distribution()
    made = ChromaDistribution(given.logits, given.bins, 1.0, natural_grey_T=0.4)
    assert torch.equal(at(0.2).decode(made).ab, at(0.2).decode(given).ab)
    assert not torch.equal(at(0.8).decode(made).ab, at(0.8).decode(given).ab)
    with pytest.raises(ValueError, match="natural_grey_T is above 0"):
        ChromaDistribution(given.logits, given.bins, natural_grey_T=0.0)


def test_training_scores_what_the_decoder_shows() -> None:
    from colorpipe.training.validation import to_ab

    given = distribution()
    options = AnnealedMean.Options(T=0.8, vibrance=1.6, grey_T=0.4)
    shown = AnnealedMean(options).decode(given).ab
    torch.testing.assert_close(to_ab(given.logits, given.bins, 0.8, 1.6, 0.4), shown, rtol=1e-3, atol=1e-2)


def test_mean_is_at_temperature_1_whatever_the_weights_say() -> None:
    given = distribution(natural_T=0.38)
    given = ChromaDistribution(given.logits, given.bins, 0.38, natural_vibrance=2.0)
    plain = AnnealedMean(AnnealedMean.Options(T=1.0, vibrance=1.0))
    assert torch.equal(Mean().decode(given).ab, plain.decode(given).ab)


def test_mode_is_the_limit_of_low_temperatures() -> None:
    given = distribution()
    modes = given.bins.numpy()[given.logits.numpy().argmax(1)].transpose(0, 3, 1, 2)
    for decoder in (Mode(), at(0.0), at(1e-30), at(1e-5)):
        np.testing.assert_allclose(decoder.decode(given).ab.numpy(), modes, atol=1e-3)
    np.testing.assert_allclose(Mode().decode(given).confidence.numpy(), equation_5(given, 1.0)[1], atol=1e-6)


@pytest.mark.parametrize("T", [0.0, 1e-6, 0.09, 2.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_logits_of_any_precision_stay_finite_and_inside_the_bins(T: float, dtype: torch.dtype) -> None:
    given = distribution(spread=5000.0, dtype=dtype)
    chroma = at(T).decode(given)
    assert chroma.ab.dtype == torch.float32
    low, high = given.bins.amin(0).view(1, 2, 1, 1), given.bins.amax(0).view(1, 2, 1, 1)
    assert bool(((chroma.ab >= low - 1e-3) & (chroma.ab <= high + 1e-3)).all())
    assert bool(((chroma.confidence > 0) & (chroma.confidence <= 1 + 1e-6)).all())


def test_half_precision_logits_decode_as_their_float_values() -> None:
    half = distribution(dtype=torch.float16)
    full = ChromaDistribution(half.logits.float(), half.bins)
    torch.testing.assert_close(at(0.38).decode(half).ab, at(0.38).decode(full).ab)


def test_lower_temperature_is_more_vivid() -> None:
    given = distribution()
    chroma = [at(T).decode(given).ab.norm(dim=1).mean().item() for T in (0.09, 0.38, 1.0)]
    assert chroma[0] > chroma[1] * 1.2 > chroma[2] * 1.44


def test_logits_are_not_changed() -> None:
    given = distribution()
    before = given.logits.clone()
    for decoder in (at(0.38), Mean(), Mode()):
        decoder.decode(given)
    assert torch.equal(given.logits, before)


@pytest.mark.parametrize("T", [-0.1, 2.1, float("nan")])
def test_a_temperature_out_of_range_is_refused(T: float) -> None:
    with pytest.raises(OptionError, match=r"T takes a number in 0\.\.2"):
        at(T)
