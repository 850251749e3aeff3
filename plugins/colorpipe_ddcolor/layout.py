"""The published checkpoints of DDColor: every key with its shape.

The names follow https://github.com/piddnad/DDColor (Apache-2.0), so that its files load to the key. Nothing here is
computed with: ``fold`` turns the tensors into the network's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Config:
    """Sizes of one network of the family."""

    depths: tuple[int, int, int, int]
    """ConvNeXt blocks at 1/4, 1/8, 1/16 and 1/32 of the input."""
    dims: tuple[int, int, int, int]
    """Their channels."""
    width: int = 512
    """Channels of the pixel decoder at 1/16 and 1/8; half of it at 1/4 and above."""
    hidden: int = 256
    """Channels of the colour queries; those of the pixel decoder's last features too."""
    queries: int = 100
    layers: int = 9
    feedforward: int = 2048

    @property
    def half(self) -> int:
        return self.width // 2


TINY = Config((3, 3, 9, 3), (96, 192, 384, 768))
LARGE = Config((3, 3, 27, 3), (192, 384, 768, 1536))
SCALES = 3
"""Resolutions that the colour decoder looks at."""
MINI = Config((1, 1, 2, 1), (8, 16, 24, 32), width=32, hidden=16, queries=6, layers=4, feedforward=24)
"""Published by nobody: the same layers, narrow, so that a test takes no time."""
NAMES = {TINY: "DDColor-T", LARGE: "DDColor-L", MINI: "the small DDColor of the tests"}


def shapes(config: Config) -> Shapes:
    """Key -> shape of a checkpoint; the scalar counters ``num_batches_tracked`` are integers."""
    found: Shapes = {"mean": (1, 3, 1, 1), "std": (1, 3, 1, 1)}
    _encoder(found, config)
    _pixel_decoder(found, config)
    _colour_decoder(found, config)
    _spectral(found, "refine_net.0.0", (2, config.queries + 3, 1, 1), bias=True)
    return found


def config_of(tensors: Mapping[str, Tensor]) -> Config | None:
    """The network that a file holds, recognised by its first convolution; None if it holds none."""
    stem = tensors.get("encoder.arch.downsample_layers.0.0.weight")
    if stem is None or stem.dim() != 4:
        return None
    return next((config for config in NAMES if config.dims[0] == stem.shape[0]), None)


def _encoder(found: Shapes, config: Config) -> None:
    """ConvNeXt (Liu et al. 2022, arXiv 2201.03545), with a norm for each of its four outputs."""
    arch = "encoder.arch"
    before = 3
    for stage, (depth, dim) in enumerate(zip(config.depths, config.dims, strict=True)):
        down = f"{arch}.downsample_layers.{stage}"
        if stage == 0:
            _affine(found, f"{down}.0", (dim, 3, 4, 4))
            _affine(found, f"{down}.1", (dim,))
        else:
            _affine(found, f"{down}.0", (before,))
            _affine(found, f"{down}.1", (dim, before, 2, 2))
        for index in range(depth):
            block = f"{arch}.stages.{stage}.{index}"
            found[f"{block}.gamma"] = (dim,)
            _affine(found, f"{block}.dwconv", (dim, 1, 7, 7))
            _affine(found, f"{block}.norm", (dim,))
            _affine(found, f"{block}.pwconv1", (4 * dim, dim))
            _affine(found, f"{block}.pwconv2", (dim, 4 * dim))
        _affine(found, f"{arch}.norm{stage}", (dim,))
        before = dim
    _affine(found, f"{arch}.norm", (before,))  # the classifier trained with the encoder; not computed


def _pixel_decoder(found: Shapes, config: Config) -> None:
    """Three U-Net blocks (1/16, 1/8, 1/4) and a shuffle to full size."""
    inputs = config.dims[3]
    for index, skip in enumerate(reversed(config.dims[:3])):
        outputs = config.half if index == 2 else config.width
        block = f"decoder.layers.{index}"
        _spectral(found, f"{block}.shuf.conv.0", (4 * outputs, inputs, 1, 1))
        _batch_norm(found, f"{block}.shuf.conv.1", 4 * outputs)
        _batch_norm(found, f"{block}.bn", skip)
        _spectral(found, f"{block}.conv.0", (outputs, outputs + skip, 3, 3))
        _batch_norm(found, f"{block}.conv.2", outputs)
        inputs = outputs
    _spectral(found, "decoder.last_shuf.conv.0", (16 * config.half, config.half, 1, 1), bias=True)


def _colour_decoder(found: Shapes, config: Config) -> None:
    """Queries that look at the picture by cross-attention, then at each other."""
    decoder, hidden = "decoder.color_decoder", config.hidden
    found[f"{decoder}.query_feat.weight"] = (config.queries, hidden)
    found[f"{decoder}.query_embed.weight"] = (config.queries, hidden)
    found[f"{decoder}.level_embed.weight"] = (SCALES, hidden)
    for scale, channels in enumerate((config.width, config.width, config.half)):
        _affine(found, f"{decoder}.input_proj.{scale}", (hidden, channels, 1, 1))
    for layer in range(config.layers):
        for kind, attention in (("self", "self_attn"), ("cross", "multihead_attn")):
            at = f"{decoder}.transformer_{kind}_attention_layers.{layer}"
            found[f"{at}.{attention}.in_proj_weight"] = (3 * hidden, hidden)
            found[f"{at}.{attention}.in_proj_bias"] = (3 * hidden,)
            _affine(found, f"{at}.{attention}.out_proj", (hidden, hidden))
            _affine(found, f"{at}.norm", (hidden,))
        at = f"{decoder}.transformer_ffn_layers.{layer}"
        _affine(found, f"{at}.linear1", (config.feedforward, hidden))
        _affine(found, f"{at}.linear2", (hidden, config.feedforward))
        _affine(found, f"{at}.norm", (hidden,))
    _affine(found, f"{decoder}.decoder_norm", (hidden,))
    for index in range(3):
        outputs = config.half if index == 2 else hidden
        _affine(found, f"{decoder}.color_embed.layers.{index}", (outputs, hidden))


def _affine(found: Shapes, name: str, shape: tuple[int, ...]) -> None:
    found[f"{name}.weight"] = shape
    found[f"{name}.bias"] = shape[:1]


def _batch_norm(found: Shapes, name: str, channels: int) -> None:
    _affine(found, name, (channels,))
    found[f"{name}.running_mean"] = found[f"{name}.running_var"] = (channels,)
    found[f"{name}.num_batches_tracked"] = ()


def _spectral(found: Shapes, name: str, shape: tuple[int, int, int, int], *, bias: bool = False) -> None:
    """A convolution under spectral normalization (Miyato et al. 2018, arXiv 1802.05957), as torch stores it."""
    outputs, inputs, height, width = shape
    if bias:
        found[f"{name}.bias"] = (outputs,)
    found[f"{name}.weight_orig"] = shape
    found[f"{name}.weight_u"] = (outputs,)
    found[f"{name}.weight_v"] = (inputs * height * width,)
