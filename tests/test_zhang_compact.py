"""The compact network: its size, its shapes, its start from an encoder, its arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from colorpipe import WeightsError
from colorpipe_zhang.compact import CompactZhang, InvertedResidual, load_encoder


@pytest.fixture(scope="module")
def network() -> CompactZhang:
    torch.manual_seed(0)
    return CompactZhang().eval()


def test_it_is_compact(network: CompactZhang) -> None:
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters <= 6e6
    assert parameters * 2 <= 12e6  # bytes as fp16

    macs = 0

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d)
        macs += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        assert network(torch.full((1, 1, 256, 256), 50.0)).shape == (1, 313, 64, 64)
    for hook in hooks:
        hook.remove()
    assert macs <= 2.5e9


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 32)])
def test_any_multiple_of_32(network: CompactZhang, height: int, width: int) -> None:
    with torch.no_grad():
        assert network(torch.rand(2, 1, height, width) * 100).shape == (2, 313, height // 4, width // 4)


def test_a_picture_does_not_depend_on_its_neighbours(network: CompactZhang) -> None:
    L = torch.rand(2, 1, 64, 64) * 100
    with torch.no_grad():
        torch.testing.assert_close(network(L)[:1], network(L[:1]), rtol=1e-4, atol=1e-4)


def test_bfloat16_stays_close(network: CompactZhang) -> None:
    L = torch.rand(1, 1, 64, 64) * 100
    with torch.no_grad():
        exact = network(L)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(L).float()
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max() + 0.05


def test_a_gradient_reaches_every_parameter() -> None:
    network = CompactZhang()
    network(torch.rand(1, 1, 64, 64) * 100).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def encoder_arrays(network: CompactZhang) -> dict[str, Any]:
    """A file as published: three input channels in the first layer, numbered in order of execution."""
    rng = np.random.default_rng(0)
    layers = [network.stem]
    for block in network.blocks:
        assert isinstance(block, InvertedResidual)
        layers += [layer for layer in (block.expand, block.depthwise, block.project) if layer is not None]
    arrays = {}
    for index, layer in enumerate(layers):
        kind = "DEPTHWISE_CONV_2D" if layer.groups > 1 else "CONV_2D"
        shape = list(layer.weight.shape)
        if index == 0:
            shape[1] = 3
        arrays[f"{index:02d}_{kind}/w"] = rng.normal(0, 0.1, shape).astype(np.float32)
        arrays[f"{index:02d}_{kind}/b"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    return arrays


def test_the_encoder_is_taken_over_and_sums_its_colours(tmp_path: Path) -> None:
    network = CompactZhang()
    arrays = encoder_arrays(network)
    np.savez(tmp_path / "encoder.npz", **arrays)
    load_encoder(network, tmp_path / "encoder.npz")
    last = network.blocks[16]
    assert isinstance(last, InvertedResidual)
    np.testing.assert_array_equal(last.project.weight.detach().numpy(), arrays["50_CONV_2D/w"])
    # A grey picture gives the first layer the same answer as the colour kernel gave on equal channels.
    grey = torch.rand(1, 1, 9, 9)
    colour = torch.nn.functional.conv2d(
        grey.expand(1, 3, 9, 9),
        torch.from_numpy(arrays["00_CONV_2D/w"]),
        torch.from_numpy(arrays["00_CONV_2D/b"]),
        stride=2,
    )
    with torch.no_grad():
        torch.testing.assert_close(network.stem(grey), colour)


def test_another_networks_encoder_is_refused(tmp_path: Path) -> None:
    network = CompactZhang()
    arrays = encoder_arrays(network)
    arrays["04_DEPTHWISE_CONV_2D/w"] = np.zeros((96, 1, 5, 5), np.float32)
    key = next(name for name in arrays if name.startswith("04_"))
    arrays[key] = np.zeros((96, 1, 5, 5), np.float32)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(WeightsError, match="not MobileNetV2"):
        load_encoder(network, tmp_path / "other.npz")
    np.savez(tmp_path / "short.npz", **dict(list(encoder_arrays(network).items())[:8]))
    with pytest.raises(WeightsError, match="4 layers"):
        load_encoder(network, tmp_path / "short.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(WeightsError, match=r"text\.npz"):
        load_encoder(network, tmp_path / "text.npz")
