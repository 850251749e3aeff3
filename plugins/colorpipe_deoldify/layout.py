"""The published checkpoints of DeOldify: every key with its shape.

The names follow https://github.com/jantic/DeOldify (MIT) and the fastai 1.0 that it carries, so that its files load to
the key. Nothing here is computed with: ``fold`` turns the tensors into the network's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Config:
    """Sizes of one network of the family: a U-Net on a ResNet."""

    blocks: tuple[int, int, int, int]
    """Residual blocks at 1/4, 1/8, 1/16 and 1/32 of the input."""
    bottleneck: bool
    """Blocks of three convolutions, the middle one narrow (ResNet-101), or of two (ResNet-34)."""
    deep: bool
    """Two convolutions a step of the way up, their width following from what they join; or one of a fixed width."""
    base: int = 64
    """Channels of the first convolution."""
    wide: int = 1024
    """Twice the channels of the wide network's steps."""

    @property
    def dims(self) -> tuple[int, int, int, int, int]:
        """Channels at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        base, widest = self.base, 4 if self.bottleneck else 1
        return base, base * widest, 2 * base * widest, 4 * base * widest, 8 * base * widest

    @property
    def steps(self) -> list[Step]:
        """The four of the way up."""
        found, inputs = [], self.dims[4]
        for index, skip in enumerate(reversed(self.dims[:4])):
            last = index == 3
            if self.deep:
                up = inputs // 2
                joined = up + skip
                outputs = int((joined // 2 if last else joined) * DEEPENED)
            else:
                up = outputs = (self.wide // 2 if last else self.wide) // 2
            found.append(Step(inputs, up, skip, outputs, attends=index == ATTENDING))
            inputs = outputs
        return found


@dataclass(frozen=True)
class Step:
    """Channels of one step of the way up."""

    inputs: int
    up: int
    skip: int
    outputs: int
    attends: bool


DEEPENED = 1.5
"""Channels of a step of the deep network, divided by those that it joins."""
ATTENDING = 1
"""The step that ends in self-attention: at 1/8."""
ARTISTIC = Config((3, 4, 6, 3), bottleneck=False, deep=True)
"""ResNet-34, deep: 63.6 million parameters."""
VIDEO = Config((3, 4, 23, 3), bottleneck=True, deep=False)
"""ResNet-101, wide; of ``stable`` and ``video``: 218.2 million parameters."""
MINI = Config((1, 1, 1, 1), bottleneck=False, deep=True, base=8)
MINI_WIDE = Config((1, 1, 2, 1), bottleneck=True, deep=False, base=8, wide=512)
"""An unpublished size: the same layers, narrow, so that a test is fast."""
NAMES = {
    ARTISTIC: "DeOldify artistic (ResNet-34, deep)",
    VIDEO: "DeOldify stable or video (ResNet-101, wide)",
    MINI: "the small deep DeOldify of the tests",
    MINI_WIDE: "the small wide DeOldify of the tests",
}


def shapes(config: Config) -> Shapes:
    """Key -> shape of a checkpoint; the scalar counters ``num_batches_tracked`` are integers."""
    found: Shapes = {}
    _encoder(found, config)
    deepest = config.dims[4]
    _batch_norm(found, "layers.1", deepest)
    _convolution(found, "layers.3.0", (2 * deepest, deepest, 3, 3))
    _convolution(found, "layers.3.1", (deepest, 2 * deepest, 3, 3))
    outputs = 0
    for index, step in enumerate(config.steps):
        name, outputs = f"layers.{4 + index}", step.outputs
        _spectral(found, f"{name}.shuf.conv.0", (4 * step.up, step.inputs, 1, 1))
        _batch_norm(found, f"{name}.shuf.conv.1", 4 * step.up)
        _batch_norm(found, f"{name}.bn", step.skip)
        joined = step.up + step.skip
        if config.deep:
            _convolution(found, f"{name}.conv1", (outputs, joined, 3, 3))
            _convolution(found, f"{name}.conv2", (outputs, outputs, 3, 3))
        else:
            _convolution(found, f"{name}.conv", (outputs, joined, 3, 3))
        if step.attends:
            attention = f"{name}.{'conv2' if config.deep else 'conv'}.3"
            found[f"{attention}.gamma"] = (1,)
            for part, channels in (("query", outputs // 8), ("key", outputs // 8), ("value", outputs)):
                _spectral(found, f"{attention}.{part}", (channels, outputs, 1))
    found["layers.8.conv.0.bias"] = (4 * outputs,)
    found["layers.8.conv.0.weight_g"] = (4 * outputs, 1, 1, 1)
    found["layers.8.conv.0.weight_v"] = (4 * outputs, outputs, 1, 1)
    joined = outputs + 3
    for index in range(2):
        _spectral(found, f"layers.10.layers.{index}.0", (joined, joined, 3, 3), bias=True)
    _spectral(found, "layers.11.0", (3, joined, 1, 1), bias=True)
    return found


def config_of(tensors: Mapping[str, Tensor]) -> Config | None:
    """The network that a file holds, recognised by its first convolution and by keys of its own; None if none."""
    stem = tensors.get("layers.0.0.weight")
    deep, wide = (f"layers.4.{name}.0.weight_orig" in tensors for name in ("conv1", "conv"))
    if stem is None or stem.dim() != 4 or deep == wide:
        return None
    return next((config for config in NAMES if (config.base, config.deep) == (stem.shape[0], deep)), None)


def _encoder(found: Shapes, config: Config) -> None:
    """torchvision's ResNet (He et al. 2016, arXiv 1512.03385) without its head."""
    found["layers.0.0.weight"] = (config.base, 3, 7, 7)
    _batch_norm(found, "layers.0.1", config.base)
    before = config.base
    for stage, depth in enumerate(config.blocks):
        narrow, outputs = config.base << stage, config.dims[stage + 1]
        for index in range(depth):
            block = f"layers.0.{4 + stage}.{index}"
            kernels = [(narrow, before, 1), (narrow, narrow, 3), (outputs, narrow, 1)]
            if not config.bottleneck:
                kernels = [(narrow, before, 3), (outputs, narrow, 3)]
            for number, (out, given, side) in enumerate(kernels, 1):
                found[f"{block}.conv{number}.weight"] = (out, given, side, side)
                _batch_norm(found, f"{block}.bn{number}", out)
            if index == 0 and (stage > 0 or before != outputs):
                found[f"{block}.downsample.0.weight"] = (outputs, before, 1, 1)
                _batch_norm(found, f"{block}.downsample.1", outputs)
            before = outputs


def _batch_norm(found: Shapes, name: str, channels: int) -> None:
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        found[f"{name}.{leaf}"] = (channels,)
    found[f"{name}.num_batches_tracked"] = ()


def _convolution(found: Shapes, name: str, shape: tuple[int, ...]) -> None:
    """Under spectral normalization, then ReLU, then batch norm."""
    _spectral(found, f"{name}.0", shape)
    _batch_norm(found, f"{name}.2", shape[0])


def _spectral(found: Shapes, name: str, shape: tuple[int, ...], *, bias: bool = False) -> None:
    """A convolution under spectral normalization (Miyato et al. 2018, arXiv 1802.05957), as torch stores it."""
    if bias:
        found[f"{name}.bias"] = shape[:1]
    inputs = 1
    for length in shape[1:]:
        inputs *= length
    found[f"{name}.weight_orig"] = shape
    found[f"{name}.weight_u"] = shape[:1]
    found[f"{name}.weight_v"] = (inputs,)
