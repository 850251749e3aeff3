"""The base network: its shapes, its encoder's start from published tensors, its file of 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from colorpipe import WeightsError
from colorpipe_zhang.base import GREY_DEVIATION, GREY_MEAN, VIEW, BaseZhang, view
from colorpipe_zhang.dinov2 import DEVIATION, MEAN, load_dinov2
from colorpipe_zhang.loading import open_file
from colorpipe_zhang.quantised import quantise, restore
from colorpipe_zhang.vit import DEPTH, WIDTH, VisionTransformer


@pytest.fixture(scope="module")
def network() -> BaseZhang:
    torch.manual_seed(0)
    return BaseZhang().eval()


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 96)])
def test_logits_have_a_quarter_of_the_size(network: BaseZhang, height: int, width: int) -> None:
    with torch.no_grad():
        assert network(torch.rand(2, 1, height, width) * 100).shape == (2, 313, height // 4, width // 4)


def test_a_picture_does_not_depend_on_its_neighbours(network: BaseZhang) -> None:
    L = torch.rand(2, 1, 64, 64) * 100
    with torch.no_grad():
        torch.testing.assert_close(network(L)[:1], network(L[:1]), rtol=1e-4, atol=1e-4)


def test_the_encoder_sees_srgb_grey_averaged_over_areas() -> None:
    import cv2

    from colorpipe.color import lightness_of

    codes = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.float32) / 255
    seen = view(torch.from_numpy(lightness_of(codes))[None, None])[0, 0].numpy()
    expected = (cv2.resize(codes, (VIEW, VIEW), interpolation=cv2.INTER_AREA) - GREY_MEAN) / GREY_DEVIATION
    np.testing.assert_allclose(seen, expected, atol=2e-3)


def published(seed: int = 0) -> dict[str, Tensor]:
    """Random tensors by the names and shapes of ``dinov2_vits14_pretrain.pth``."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.1

    tensors = {
        "cls_token": random(1, 1, WIDTH),
        "mask_token": random(1, WIDTH),
        "pos_embed": random(1, 1370, WIDTH),
        "patch_embed.proj.weight": random(WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": random(WIDTH),
        "norm.weight": random(WIDTH),
        "norm.bias": random(WIDTH),
    }
    for index in range(DEPTH):
        block = f"blocks.{index}."
        for name in ("norm1", "norm2"):
            tensors |= {f"{block}{name}.weight": random(WIDTH), f"{block}{name}.bias": random(WIDTH)}
        for name, rows, columns in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):
            tensors |= {f"{block}{name}.weight": random(rows, columns), f"{block}{name}.bias": random(rows)}
        tensors |= {f"{block}ls1.gamma": random(WIDTH), f"{block}ls2.gamma": random(WIDTH)}
    return tensors


def by_transformers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by the transformers library's names."""
    renamed = {
        "embeddings.cls_token": tensors["cls_token"],
        "embeddings.position_embeddings": tensors["pos_embed"],
        "embeddings.patch_embeddings.projection.weight": tensors["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": tensors["patch_embed.proj.bias"],
        "layernorm.weight": tensors["norm.weight"],
        "layernorm.bias": tensors["norm.bias"],
    }
    for index in range(DEPTH):
        old, new = f"blocks.{index}.", f"encoder.layer.{index}."
        for kind in ("weight", "bias"):
            parts = tensors[f"{old}attn.qkv.{kind}"].chunk(3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                renamed[f"{new}attention.attention.{name}.{kind}"] = part
            renamed[f"{new}attention.output.dense.{kind}"] = tensors[f"{old}attn.proj.{kind}"]
            for there, here in (("norm1", "norm1"), ("norm2", "norm2"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
                renamed[f"{new}{there}.{kind}"] = tensors[f"{old}{here}.{kind}"]
        renamed[f"{new}layer_scale1.lambda1"] = tensors[f"{old}ls1.gamma"]
        renamed[f"{new}layer_scale2.lambda1"] = tensors[f"{old}ls2.gamma"]
    return renamed


def test_both_layouts_of_the_published_encoder_give_the_same(tmp_path: Path) -> None:
    tensors = published()
    encoders = VisionTransformer(), VisionTransformer()
    torch.save(tensors, tmp_path / "a.pth")
    np.savez(tmp_path / "b.npz", **{name: tensor.numpy() for name, tensor in by_transformers(tensors).items()})
    load_dinov2(encoders[0], tmp_path / "a.pth")
    load_dinov2(encoders[1], tmp_path / "b.npz")
    states = [encoder.state_dict() for encoder in encoders]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_first_layer_for_grey_is_the_published_one_fed_with_grey(tmp_path: Path) -> None:
    tensors = published()
    torch.save(tensors, tmp_path / "a.pth")
    encoder = VisionTransformer()
    load_dinov2(encoder, tmp_path / "a.pth")
    grey = torch.rand(1, 1, 28, 28)
    three = (grey - MEAN.view(1, 3, 1, 1)) / DEVIATION.view(1, 3, 1, 1)
    expected = torch.nn.functional.conv2d(
        three, tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], stride=14
    )
    with torch.no_grad():
        torch.testing.assert_close(encoder.patch((grey - GREY_MEAN) / GREY_DEVIATION), expected, rtol=1e-3, atol=1e-3)


def test_another_network_is_named_as_such(tmp_path: Path) -> None:
    tensors = published()
    del tensors["blocks.3.ls1.gamma"]
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"is not DINOv2 ViT-S/14: it has no blocks\.3\.ls1\.gamma"):
        load_dinov2(VisionTransformer(), tmp_path / "a.pth")


def test_eight_bits_are_near_enough_and_small(network: BaseZhang, tmp_path: Path) -> None:
    stored = quantise(network.state_dict())
    bytes_each = {torch.int8: 1}
    assert sum(t.numel() * bytes_each.get(t.dtype, 2) for t in stored.values()) <= 30e6
    restored = restore(stored, "file")
    for name, tensor in network.state_dict().items():
        step = tensor.flatten(1).abs().amax(1) / 127 if tensor.ndim > 1 else torch.zeros(())
        assert restored[name].shape == tensor.shape
        assert ((restored[name] - tensor).flatten(1 if tensor.ndim > 1 else 0).abs().amax() <= 0.6 * step.max()).all()
    halves = {name: t.half() if t.is_floating_point() else t for name, t in stored.items()}
    save_file({name: t.contiguous() for name, t in halves.items()}, tmp_path / "base.safetensors")
    again, _ = open_file(tmp_path / "base.safetensors")
    L = torch.rand(1, 1, 64, 64) * 100
    with torch.no_grad():
        difference = (again(L) - network(L)).std() / network(L).std()
    assert difference < 0.05


def test_a_lost_scale_is_told(network: BaseZhang) -> None:
    stored = quantise(network.state_dict())
    del stored["top.weight.scale"]
    with pytest.raises(WeightsError, match=r"top\.weight is stored in 8 bits and its scale is missing"):
        restore(stored, "file")
