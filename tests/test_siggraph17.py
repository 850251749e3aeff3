"""The published Zhang 2017 network: keys, size, and the published forward pass, from random weights of its shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from colorpipe import Batch, WeightsError
from colorpipe_siggraph17 import Siggraph17
from colorpipe_siggraph17.network import Siggraph17 as Network

# key -> shape of the weight; a bias of the outputs' number goes with each. Zhang et al. 2017, figure 2 and appendix.
CONVOLUTIONS = {
    "model1.0": (64, 4, 3, 3), "model1.2": (64, 64, 3, 3),
    "model2.0": (128, 64, 3, 3), "model2.2": (128, 128, 3, 3),
    "model3.0": (256, 128, 3, 3), "model3.2": (256, 256, 3, 3), "model3.4": (256, 256, 3, 3),
    "model4.0": (512, 256, 3, 3), "model4.2": (512, 512, 3, 3), "model4.4": (512, 512, 3, 3),
    "model5.0": (512, 512, 3, 3), "model5.2": (512, 512, 3, 3), "model5.4": (512, 512, 3, 3),
    "model6.0": (512, 512, 3, 3), "model6.2": (512, 512, 3, 3), "model6.4": (512, 512, 3, 3),
    "model7.0": (512, 512, 3, 3), "model7.2": (512, 512, 3, 3), "model7.4": (512, 512, 3, 3),
    "model3short8.0": (256, 256, 3, 3), "model8.1": (256, 256, 3, 3), "model8.3": (256, 256, 3, 3),
    "model2short9.0": (128, 128, 3, 3), "model9.1": (128, 128, 3, 3),
    "model1short10.0": (128, 64, 3, 3), "model10.1": (128, 128, 3, 3),
    "model_class.0": (529, 256, 1, 1), "model_out.0": (2, 128, 1, 1),
}  # fmt: skip
TRANSPOSED = {"model8up.0": (512, 256, 4, 4), "model9up.0": (256, 128, 4, 4), "model10up.0": (128, 128, 4, 4)}
NORMS = {"model1.4": 64, "model2.4": 128, "model3.6": 256, "model4.6": 512, "model5.6": 512, "model6.6": 512}
NORMS |= {"model7.6": 512, "model8.5": 256, "model9.3": 128}
PARAMETERS = 34_187_027


def random_state(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for key, shape in (CONVOLUTIONS | TRANSPOSED).items():
        fan_in = shape[1] * shape[2] * shape[3] if key in CONVOLUTIONS else shape[0] * 4
        state[f"{key}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        outputs = shape[0] if key in CONVOLUTIONS else shape[1]
        state[f"{key}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    state["model_out.0.weight"] *= 0.2  # keeps tanh away from its ends, where every network looks the same
    for key, channels in NORMS.items():
        state[f"{key}.weight"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{key}.bias"] = torch.randn(channels, generator=generator) * 0.1
        state[f"{key}.running_mean"] = torch.rand(channels, generator=generator)
        state[f"{key}.running_var"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{key}.num_batches_tracked"] = torch.tensor(3)
    return state


def published(state: dict[str, Tensor], L: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
    """The published forward pass, (N, *, h, w) -> ab (N, 2, h, w), as plain calls."""

    def conv(x: Tensor, key: str, dilation: int = 1) -> Tensor:
        weight = state[f"{key}.weight"]
        padding = dilation if weight.shape[-1] == 3 else 0
        return F.conv2d(x, weight, state[f"{key}.bias"], padding=padding, dilation=dilation)

    def up(x: Tensor, key: str) -> Tensor:
        return F.conv_transpose2d(x, state[f"{key}.weight"], state[f"{key}.bias"], stride=2, padding=1)

    def norm(x: Tensor, key: str) -> Tensor:
        values = {name: state[f"{key}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")}
        return F.batch_norm(x, **values, training=False)

    def block(x: Tensor, name: str, count: int, dilation: int = 1) -> Tensor:
        for index in range(count):
            x = F.relu(conv(x, f"{name}.{2 * index}", dilation))
        return norm(x, f"{name}.{2 * count}")

    conv1 = block(torch.cat([(L - 50) / 100, ab / 110, mask], 1), "model1", 2)
    conv2 = block(conv1[:, :, ::2, ::2], "model2", 2)
    conv3 = block(conv2[:, :, ::2, ::2], "model3", 3)
    x = block(conv3[:, :, ::2, ::2], "model4", 3)
    x = block(block(x, "model5", 3, 2), "model6", 3, 2)
    x = block(x, "model7", 3)
    x = F.relu(up(x, "model8up.0") + conv(conv3, "model3short8.0"))
    x = norm(F.relu(conv(F.relu(conv(x, "model8.1")), "model8.3")), "model8.5")
    x = F.relu(up(x, "model9up.0") + conv(conv2, "model2short9.0"))
    x = norm(F.relu(conv(x, "model9.1")), "model9.3")
    x = F.relu(up(x, "model10up.0") + conv(conv1, "model1short10.0"))
    x = F.leaky_relu(conv(x, "model10.1"), 0.2)
    return torch.tanh(conv(x, "model_out.0")) * 110


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def colorizer(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Siggraph17:
    file = tmp_path_factory.mktemp("siggraph17") / "official.pth"
    torch.save(state, file)
    colorizer = Siggraph17()
    colorizer.network = colorizer.build(file)
    return colorizer


def test_keys_and_size_are_the_published(state: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        network = Network()
    own = {name: value.shape for name, value in network.state_dict().items()}
    assert own == {name: value.shape for name, value in state.items()}
    assert len(own) == 107
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS


@torch.inference_mode()
def test_automatic_equals_the_published_forward(state: dict[str, Tensor], colorizer: Siggraph17) -> None:
    L = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 100
    expected = published(state, L, torch.zeros(2, 2, 64, 64), torch.zeros(2, 1, 64, 64))
    assert 5 < expected.std() < 100, "a flat or a saturated picture would prove nothing"
    torch.testing.assert_close(colorizer.predict(Batch(L)).ab, expected, atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_hints_flow_in_cie_units_with_an_uncentred_mask(state: dict[str, Tensor], colorizer: Siggraph17) -> None:
    L = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 100
    hints = torch.zeros(1, 3, 64, 64)
    hints[0, :, 20:26, 30:36] = torch.tensor([55.0, -33.0, 1.0]).view(3, 1, 1)
    ab = colorizer.predict(Batch(L, hints)).ab
    torch.testing.assert_close(ab, published(state, L, hints[:, :2], hints[:, 2:]), atol=1e-3, rtol=1e-4)
    assert not torch.allclose(ab, colorizer.predict(Batch(L)).ab, atol=1)


def test_an_eccv16_file_and_a_foreign_key_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    torch.save({"model1.0.weight": torch.zeros(64, 1, 3, 3), "model8.6.weight": torch.zeros(313, 256, 1, 1)}, file)
    with pytest.raises(WeightsError, match=r"eccv16's weights.*--colorizer zhang"):
        Siggraph17().build(file)
    torch.save(state | {"model11.0.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=r"1 unknown \(model11\.0\.weight\)"):
        Siggraph17().build(file)
    torch.save({name: value for name, value in state.items() if not name.startswith("model_class")}, file)
    with pytest.raises(WeightsError, match=r"2 missing \(model_class\.0\.weight, model_class\.0\.bias\)"):
        Siggraph17().build(file)
