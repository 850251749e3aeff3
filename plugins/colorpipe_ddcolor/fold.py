"""The published tensors -> the network's: norms folded into the layers beside them, three equal channels into one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from colorpipe_ddcolor.layout import Config
from colorpipe_ddcolor.network import DDColor

BATCH_EPSILON = 1e-5
"""torch's default, which the published batch norms have."""


class Published:
    """A checkpoint's tensors, read in float64 so that folding adds nothing of its own."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key].double()

    def affine(self, name: str) -> tuple[Tensor, Tensor]:
        return self[f"{name}.weight"], self[f"{name}.bias"]

    def batch_norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Scale and shift of each channel."""
        weight, bias = self.affine(name)
        scale = weight / (self[f"{name}.running_var"] + BATCH_EPSILON).sqrt()
        return scale, bias - self[f"{name}.running_mean"] * scale

    def spectral(self, name: str) -> Tensor:
        """The weight over its spectral norm as the checkpoint has it: u' W v."""
        weight = self[f"{name}.weight_orig"]
        return weight / (self[f"{name}.weight_u"] @ weight.flatten(1) @ self[f"{name}.weight_v"])


def fold(tensors: Mapping[str, Tensor], config: Config) -> DDColor:
    """The network of a checkpoint whose keys and shapes are ``layout.shapes(config)``."""
    with torch.device("meta"):
        network = DDColor(config)
    state: dict[str, Tensor] = {}
    published = Published(tensors)
    _encoder(state, published, config)
    norms = _pixel_decoder(state, published, config)
    _colour_decoder(state, published, config, norms)
    _ends(state, published, norms[2])
    return _filled(network, state)


def _filled(network: DDColor, state: Mapping[str, Tensor]) -> DDColor:
    network.load_state_dict({name: value.float().contiguous() for name, value in state.items()}, assign=True)
    return network.requires_grad_(False).eval()


def _put(state: dict[str, Tensor], name: str, weight: Tensor, bias: Tensor) -> None:
    # at once in float32: the large network twice in float64 would not fit where it fits
    state[f"{name}.weight"], state[f"{name}.bias"] = weight.float(), bias.float()


def _after(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """A layer whose outputs are scaled and shifted."""
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return weight * scale.view(shape), shift if bias is None else bias * scale + shift


def _before(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """A layer, without padding, whose inputs are scaled and shifted."""
    shape = (1, -1) + (1,) * (weight.dim() - 2)
    added = (weight * shift.view(shape)).flatten(1).sum(1)
    return weight * scale.view(shape), added if bias is None else bias + added


def _encoder(state: dict[str, Tensor], published: Published, config: Config) -> None:
    arch = "encoder.arch"
    for stage, depth in enumerate(config.depths):
        down = f"{arch}.downsample_layers.{stage}"
        if stage == 0:  # red, green and blue are one grey, each with its mean and deviation
            weight, bias = published.affine(f"{down}.0")
            deviation, mean = published["std"].flatten(), published["mean"].flatten()
            weight, bias = _before(weight, bias, 1 / deviation, -mean / deviation)
            _put(state, "encoder.downs.0", weight.sum(1, keepdim=True), bias)
            _put(state, "encoder.stem_norm", *published.affine(f"{down}.1"))
        else:
            layer = _before(*published.affine(f"{down}.1"), *published.affine(f"{down}.0"))
            _put(state, f"encoder.downs.{stage}", *layer)
        for index in range(depth):
            source, target = f"{arch}.stages.{stage}.{index}", f"encoder.stages.{stage}.{index}"
            _put(state, f"{target}.depthwise", *published.affine(f"{source}.dwconv"))
            widen = _before(*published.affine(f"{source}.pwconv1"), *published.affine(f"{source}.norm"))
            _put(state, f"{target}.widen", *widen)
            gamma = published[f"{source}.gamma"]
            narrow = _after(*published.affine(f"{source}.pwconv2"), gamma, torch.zeros_like(gamma))
            _put(state, f"{target}.narrow", *narrow)


def _pixel_decoder(state: dict[str, Tensor], published: Published, config: Config) -> list[tuple[Tensor, Tensor]]:
    """Gives for each block the batch norm that whoever reads it has to fold."""
    given = published.affine("encoder.arch.norm3")
    norms = []
    for index in range(3):
        block = f"decoder.layers.{index}"
        widened = _before(published.spectral(f"{block}.shuf.conv.0"), None, *given)
        _put(state, f"ups.{index}.widen", *_after(*widened, *published.batch_norm(f"{block}.shuf.conv.1")))
        state[f"ups.{index}.join.weight"] = published.spectral(f"{block}.conv.0").float()
        weight, bias = published.affine(f"encoder.arch.norm{2 - index}")
        scale, shift = published.batch_norm(f"{block}.bn")
        _put(state, f"encoder.norms.{2 - index}", weight * scale, bias * scale + shift)
        given = published.batch_norm(f"{block}.conv.2")
        norms.append(given)
    return norms


def _colour_decoder(
    state: dict[str, Tensor], published: Published, config: Config, norms: list[tuple[Tensor, Tensor]]
) -> None:
    decoder = "decoder.color_decoder"
    state["queries"] = published[f"{decoder}.query_feat.weight"]
    state["embedded"] = published[f"{decoder}.query_embed.weight"]
    levels = published[f"{decoder}.level_embed.weight"]
    for scale, (level, norm) in enumerate(zip(levels, norms, strict=True)):
        weight, bias = _before(*published.affine(f"{decoder}.input_proj.{scale}"), *norm)
        _put(state, f"projections.{scale}", weight.flatten(1), bias + level)
    for layer in range(config.layers):
        for kind, name, own in (("self", "self_attn", "own"), ("cross", "multihead_attn", "cross")):
            source, target = f"{decoder}.transformer_{kind}_attention_layers.{layer}", f"layers.{layer}.{own}"
            weights = published[f"{source}.{name}.in_proj_weight"].chunk(3)
            biases = published[f"{source}.{name}.in_proj_bias"].chunk(3)
            for part, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
                _put(state, f"{target}.{part}", weight, bias)
            _put(state, f"{target}.out", *published.affine(f"{source}.{name}.out_proj"))
            _put(state, f"{target}.norm", *published.affine(f"{source}.norm"))
        source = f"{decoder}.transformer_ffn_layers.{layer}"
        for part, name in (("widen", "linear1"), ("narrow", "linear2"), ("norm", "norm")):
            _put(state, f"layers.{layer}.{part}", *published.affine(f"{source}.{name}"))
    _put(state, "norm", *published.affine(f"{decoder}.decoder_norm"))
    for index in range(3):
        _put(state, f"embed.{index}", *published.affine(f"{decoder}.color_embed.layers.{index}"))


def _ends(state: dict[str, Tensor], published: Published, norm: tuple[Tensor, Tensor]) -> None:
    weight = published.spectral("decoder.last_shuf.conv.0")
    weight, bias = _before(weight, published["decoder.last_shuf.conv.0.bias"], *norm)
    weight = weight.flatten(1)
    places = 16  # pixel shuffle by four has the feature first, then the place; here the place is first
    state["full.weight"] = weight.view(-1, places, weight.shape[1]).transpose(0, 1).flatten(0, 1)
    state["full.bias"] = bias.view(-1, places).transpose(0, 1).flatten()
    refine = published.spectral("refine_net.0.0").flatten(1)  # (2, queries + 3): the queries' maps, then the picture
    mix, picture = refine[:, :-3], refine[:, -3:]
    deviation, mean = published["std"].flatten(), published["mean"].flatten()
    state["mix"] = mix
    state["grey"] = (picture / deviation).sum(1)
    state["bias"] = published["refine_net.0.0.bias"] - (picture * mean / deviation).sum(1)
