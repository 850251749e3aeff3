"""DINOv2 ViT-S/14 into the base network's encoder, from the file that its makers publish or from a copy of it.

Two layouts of the same tensors (Apache-2.0) are known: the published one (github.com/facebookresearch/dinov2, names
such as ``blocks.0.attn.qkv.weight``) and that of the transformers library (``encoder.layer.0.attention.attention.query.
weight``), as a state dict in torch's or the safetensors format or as arrays in ``.npz``.

What changes on the way, exactly but for rounding: the kernels of R, G and B become one, for grey is fed to all three,
each with its own normalisation; the positions of 37x37 patches are interpolated to 16x16; the class token carries its
position; the layer scales go into the projections before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from colorpipe import WeightsError
from colorpipe_zhang.base import GREY_DEVIATION, GREY_MEAN
from colorpipe_zhang.vit import DEPTH, GRID, VisionTransformer

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
"""Mean and deviation of R, G and B: the published network normalises sRGB codes 0..1 by them."""


def load_dinov2(encoder: VisionTransformer, path: Path) -> None:
    """Put the published tensors into ``encoder``.

    Raises:
        WeightsError: the file cannot be read, or is not DINOv2 ViT-S/14.
    """
    from colorpipe.weights import load_strictly, read_tensors

    tensors = _arrays(path) if path.suffix.lower() == ".npz" else read_tensors(path)[0]
    try:
        found = _published(tensors) if "pos_embed" in tensors else _transformers(tensors)
    except KeyError as error:
        raise WeightsError(f"{path} is not DINOv2 ViT-S/14: it has no {error.args[0]}") from None
    load_strictly(encoder, found, f"{path} as the base network's encoder")


def _arrays(path: Path) -> dict[str, Tensor]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name].copy()) for name in archive.files}
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the encoder {path}: {error}") from error


def _published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    positions = tensors["pos_embed"][0].float()
    state = _embedding(
        tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], tensors["cls_token"], positions
    )
    for index in range(DEPTH):
        old, new = f"blocks.{index}.", f"blocks.{index}."
        for kind in ("weight", "bias"):
            state[f"{new}qkv.{kind}"] = tensors[f"{old}attn.qkv.{kind}"]
            for name in ("norm1", "norm2"):
                state[f"{new}{name}.{kind}"] = tensors[f"{old}{name}.{kind}"]
            state[f"{new}fc1.{kind}"] = tensors[f"{old}mlp.fc1.{kind}"]
            state[f"{new}proj.{kind}"] = _scaled(tensors[f"{old}attn.proj.{kind}"], tensors[f"{old}ls1.gamma"])
            state[f"{new}fc2.{kind}"] = _scaled(tensors[f"{old}mlp.fc2.{kind}"], tensors[f"{old}ls2.gamma"])
    return state | {f"norm.{kind}": tensors[f"norm.{kind}"] for kind in ("weight", "bias")}


def _transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    patch = "embeddings.patch_embeddings.projection."
    positions = tensors["embeddings.position_embeddings"][0].float()
    state = _embedding(tensors[f"{patch}weight"], tensors[f"{patch}bias"], tensors["embeddings.cls_token"], positions)
    for index in range(DEPTH):
        old, new = f"encoder.layer.{index}.", f"blocks.{index}."
        for kind in ("weight", "bias"):
            parts = [tensors[f"{old}attention.attention.{name}.{kind}"] for name in ("query", "key", "value")]
            state[f"{new}qkv.{kind}"] = torch.cat(parts)
            for name in ("norm1", "norm2"):
                state[f"{new}{name}.{kind}"] = tensors[f"{old}{name}.{kind}"]
            state[f"{new}fc1.{kind}"] = tensors[f"{old}mlp.fc1.{kind}"]
            first, second = tensors[f"{old}layer_scale1.lambda1"], tensors[f"{old}layer_scale2.lambda1"]
            state[f"{new}proj.{kind}"] = _scaled(tensors[f"{old}attention.output.dense.{kind}"], first)
            state[f"{new}fc2.{kind}"] = _scaled(tensors[f"{old}mlp.fc2.{kind}"], second)
    return state | {f"norm.{kind}": tensors[f"layernorm.{kind}"] for kind in ("weight", "bias")}


def _embedding(weight: Tensor, bias: Tensor, cls: Tensor, positions: Tensor) -> dict[str, Tensor]:
    """The first layer for grey (y = (g - mean) / deviation of all channels), the class token, the positions."""
    grey = (weight.float() * (GREY_DEVIATION / DEVIATION).view(1, 3, 1, 1)).sum(1, keepdim=True)
    offset = (weight.float().sum((2, 3)) * ((GREY_MEAN - MEAN) / DEVIATION)).sum(1)
    side = int((len(positions) - 1) ** 0.5)
    patches = positions[1:].T.reshape(1, -1, side, side)
    return {
        "patch.weight": grey,
        "patch.bias": bias.float() + offset,
        "cls": cls.float().flatten() + positions[0],
        "position": F.interpolate(patches, (GRID, GRID), mode="bicubic", align_corners=False)[0],
    }


def _scaled(tensor: Tensor, scale: Tensor) -> Tensor:
    """A projection's weight or bias times the layer scale after it."""
    return tensor.float() * (scale.float()[:, None] if tensor.ndim == 2 else scale.float())
