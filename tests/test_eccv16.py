"""The published Zhang network: keys, size, and the published script's result, from random weights of its shapes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from colorpipe import Batch, WeightsError
from colorpipe.weights.checkpoints import read_tensors
from colorpipe_decoders import AnnealedMean, Mean
from colorpipe_zhang import Zhang, colorpipe_models
from colorpipe_zhang.bins import bin_centres
from colorpipe_zhang.compact import CompactZhang
from colorpipe_zhang.eccv16 import Eccv16

# The paper's table 4: per block the channels of its convolutions, the stride of the last one, the dilation.
BLOCKS = {
    "model1": ((1, 64, 64), 2, 1),
    "model2": ((64, 128, 128), 2, 1),
    "model3": ((128, 256, 256, 256), 2, 1),
    "model4": ((256, 512, 512, 512), 1, 1),
    "model5": ((512, 512, 512, 512), 1, 2),
    "model6": ((512, 512, 512, 512), 1, 2),
    "model7": ((512, 512, 512, 512), 1, 1),
}
PARAMETERS = 32_236_011


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Every key of the published checkpoint, written down from the table above and not from the plugin's module."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        fan_in = shape[1] * shape[2] * shape[3] if len(shape) == 4 else 1
        return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5

    state: dict[str, Tensor] = {}
    for block, (channels, _, _) in BLOCKS.items():
        for index, (inputs, outputs) in enumerate(itertools.pairwise(channels)):
            state[f"{block}.{2 * index}.weight"] = normal(outputs, inputs, 3, 3)
            state[f"{block}.{2 * index}.bias"] = normal(outputs) * 0.1
        norm = f"{block}.{2 * (len(channels) - 1)}"
        state[f"{norm}.weight"] = torch.rand(channels[-1], generator=generator) + 0.5
        state[f"{norm}.bias"] = normal(channels[-1]) * 0.1
        state[f"{norm}.running_mean"] = torch.rand(channels[-1], generator=generator)
        state[f"{norm}.running_var"] = torch.rand(channels[-1], generator=generator) + 0.5
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    state |= {"model8.0.weight": normal(512, 256, 4, 4) * 2, "model8.0.bias": normal(256) * 0.1}
    state |= {f"model8.{i}.weight": normal(256, 256, 3, 3) for i in (2, 4)}
    state |= {f"model8.{i}.bias": normal(256) * 0.1 for i in (2, 4)}
    state |= {"model8.6.weight": normal(313, 256, 1, 1), "model8.6.bias": normal(313)}
    state["model_out.weight"] = torch.rand(2, 313, 1, 1, generator=generator) * 2 - 1
    return state


def published(state: dict[str, Tensor], L: Tensor) -> Tensor:
    """The published forward pass, L (N, 1, h, w) -> ab (N, 2, h, w), as plain calls."""
    x = (L - 50) / 100
    for block, (channels, stride, dilation) in BLOCKS.items():
        count = len(channels) - 1
        for index in range(count):
            weight, bias = state[f"{block}.{2 * index}.weight"], state[f"{block}.{2 * index}.bias"]
            step = stride if index == count - 1 else 1
            x = F.relu(F.conv2d(x, weight, bias, stride=step, padding=dilation, dilation=dilation))
        names = ("running_mean", "running_var", "weight", "bias")
        norm = {name: state[f"{block}.{2 * count}.{name}"] for name in names}
        x = F.batch_norm(x, **norm, training=False)
    x = F.relu(F.conv_transpose2d(x, state["model8.0.weight"], state["model8.0.bias"], stride=2, padding=1))
    for index in (2, 4):
        x = F.relu(F.conv2d(x, state[f"model8.{index}.weight"], state[f"model8.{index}.bias"], padding=1))
    x = F.conv2d(x, state["model8.6.weight"], state["model8.6.bias"])
    ab = F.conv2d(x.softmax(1), state["model_out.weight"])
    return F.interpolate(ab, scale_factor=4, mode="bilinear") * 110


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def checkpoint(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("eccv16") / "official.pth"
    torch.save(state, file)
    return file


def save(state: dict[str, Tensor], folder: Path) -> Path:
    file = folder / "other.pth"
    torch.save(state, file)
    return file


def test_keys_and_size_are_the_published(state: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        network = Eccv16()
    own = {name: value.shape for name, value in network.state_dict().items()}
    assert own == {name: value.shape for name, value in state.items()}
    assert len(own) == 82
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS


@torch.inference_mode()
def test_the_mean_equals_the_published_script(state: dict[str, Tensor], checkpoint: Path) -> None:
    zhang = Zhang()
    zhang.network = zhang.build(checkpoint)
    L = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(1)) * 100
    distribution = zhang.predict(Batch(L))
    assert distribution.logits.shape == (1, 313, 32, 32)
    assert distribution.natural_T == 1.0
    assert torch.equal(distribution.bins, state["model_out.weight"][:, :, 0, 0].T * 110)
    expected = published(state, L)
    assert expected.std() > 1, "random weights that give a flat picture would prove nothing"
    for decoder in (Mean(), AnnealedMean(), AnnealedMean(AnnealedMean.Options(T=1.0))):
        ab = F.interpolate(decoder.decode(distribution).ab, scale_factor=4, mode="bilinear")
        torch.testing.assert_close(ab, expected, atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_an_old_checkpoint_without_batch_counters_loads(state: dict[str, Tensor], tmp_path: Path) -> None:
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    zhang = Zhang()
    zhang.network = zhang.build(save(old, tmp_path))
    L = torch.full((1, 1, 64, 64), 40.0)
    ab = F.interpolate(Mean().decode(zhang.predict(Batch(L))).ab, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(ab, published(state, L), atol=1e-3, rtol=1e-4)


def test_a_missing_a_renamed_and_a_misshapen_key_are_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    wrong = dict(state)
    del wrong["model8.6.bias"]
    wrong["model4.9.bias"] = wrong.pop("model4.4.bias")
    wrong["model1.0.weight"] = torch.zeros(64, 3, 3, 3)
    with pytest.raises(WeightsError) as caught:
        Zhang().build(save(wrong, tmp_path))
    text = str(caught.value)
    assert "other.pth as eccv16" in text
    assert "2 missing (model4.4.bias, model8.6.bias)" in text
    assert "1 unknown (model4.9.bias)" in text
    assert "model1.0.weight is (64, 3, 3, 3), not (64, 1, 3, 3)" in text


def test_another_networks_file_is_told_by_its_keys(tmp_path: Path) -> None:
    siggraph = {"model1.0.weight": torch.zeros(64, 4, 3, 3), "model1short10.0.weight": torch.zeros(128, 64, 3, 3)}
    with pytest.raises(WeightsError, match=r"siggraph17's weights.*--colorizer siggraph17"):
        Zhang().build(save(siggraph, tmp_path))
    with pytest.raises(WeightsError, match=r"none of zhang's networks.*backbone\.0"):
        Zhang().build(save({"backbone.0": torch.zeros(1)}, tmp_path))


@torch.inference_mode()
def test_a_compact_file_brings_its_own_temperature_and_the_computed_bins(tmp_path: Path) -> None:
    file = tmp_path / "trained.safetensors"
    network = CompactZhang().half()
    save_file(network.state_dict(), file, {"natural_T": "0.38", "natural_vibrance": "1.5"})
    zhang = Zhang()
    zhang.network = zhang.build(file)
    L = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 100
    distribution = zhang.predict(Batch(L))
    assert (distribution.natural_T, distribution.natural_vibrance) == (0.38, 1.5)
    torch.testing.assert_close(distribution.logits, network.float()(L))
    assert torch.equal(distribution.bins, torch.tensor(bin_centres()))
    for text in ("hot", "0", "-1", "nan"):
        save_file(network.state_dict(), file, {"natural_T": text})
        with pytest.raises(WeightsError, match=rf"natural_T = {text}, which is no temperature"):
            Zhang().build(file)
    save_file(network.state_dict(), file, {"natural_vibrance": "0.9"})
    with pytest.raises(WeightsError, match=r"natural_vibrance = 0\.9, which is no number in 1\.\.4"):
        Zhang().build(file)


@torch.inference_mode()
def test_an_untrained_network_predicts_too() -> None:
    zhang = Zhang()
    zhang.network = zhang.untrained()
    distribution = zhang.predict(Batch(torch.full((1, 1, 64, 64), 50.0)))
    assert torch.isfinite(Mean().decode(distribution).ab).all()


@pytest.mark.parametrize(
    ("name", "megabytes", "parameters", "kinds"),
    [
        ("zhang-base", 30, 24_000_000, {torch.int8, torch.float16}),
        ("zhang-compact", 12, 6_000_000, {torch.float16}),
    ],
)
def test_the_bundled_weights_are_registered_by_their_hash_and_load(
    name: str, megabytes: int, parameters: int, kinds: set[torch.dtype]
) -> None:
    from colorpipe.weights.store import ModelStore

    store = ModelStore({model.name: model for model in colorpipe_models()}, cache=Path("unused"))
    weights = store.resolve(name, Zhang)
    assert weights is not None
    assert (store.resolve(None, Zhang) == weights) == (name == "zhang-base")
    assert weights.path.stat().st_size <= megabytes * 1_000_000
    zhang = Zhang()
    zhang.network = zhang.build(weights.path)
    assert sum(parameter.numel() for parameter in zhang.network.parameters()) <= parameters
    assert {tensor.dtype for tensor in read_tensors(weights.path)[0].values()} == kinds
    with torch.inference_mode():
        distribution = zhang.predict(Batch(torch.full((1, 1, 256, 256), 60.0)))
    assert distribution.logits.shape == (1, 313, 64, 64)
    assert torch.isfinite(distribution.logits).all()
