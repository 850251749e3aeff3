"""DDColor's official way, written plainly: its layers in their order, its inference steps, one picture after the other.

https://github.com/piddnad/DDColor, ddcolor/pipeline.py: OpenCV, eager fp32, batch 1, spectral norms divided out in each
call, a hundred maps of full size. Nothing of what colorpipe does to make it fast is done here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

HEADS = 8


class PlainDDColor:
    """A published checkpoint, and its forward pass as plain calls."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.depths = [
            1 + max(int(key.split(".")[4]) for key in state if key.startswith(f"encoder.arch.stages.{stage}."))
            for stage in range(4)
        ]
        decoder = "decoder.color_decoder.transformer"
        self.layers = 1 + max(int(key.split(".")[3]) for key in state if key.startswith(f"{decoder}_ffn_layers."))
        self.attention = {
            (kind, layer): self._attention(f"{decoder}_{kind}_attention_layers.{layer}.{name}.")
            for kind, name in (("self", "self_attn"), ("cross", "multihead_attn"))
            for layer in range(self.layers)
        }

    def _attention(self, prefix: str) -> nn.MultiheadAttention:
        own = {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}
        made = nn.MultiheadAttention(own["out_proj.bias"].shape[0], HEADS)
        made.load_state_dict(own)
        return made.eval()

    def __call__(self, rgb: Tensor) -> Tensor:
        """(N, 3, h, w) grey three times, 0..1 -> ab (N, 2, h, w)."""
        x = (rgb - self.state["mean"]) / self.state["std"]
        skips = self._encode(x)
        out, maps = skips[3], []
        for index in range(3):
            block = f"decoder.layers.{index}"
            up = self._norm(self._conv(out, f"{block}.shuf.conv.0"), f"{block}.shuf.conv.1")
            up = self._blur(F.pixel_shuffle(F.relu(up), 2))
            joined = F.relu(torch.cat([up, self._norm(skips[2 - index], f"{block}.bn")], 1))
            out = self._norm(F.relu(self._conv(joined, f"{block}.conv.0", padding=1)), f"{block}.conv.2")
            maps.append(out)
        full = self._blur(F.pixel_shuffle(F.relu(self._conv(out, "decoder.last_shuf.conv.0")), 4))
        coloured = torch.einsum("bqc,bchw->bqhw", self._queries(maps), full)
        return self._conv(torch.cat([coloured, x], 1), "refine_net.0.0")

    def _encode(self, x: Tensor) -> list[Tensor]:
        arch, found = "encoder.arch", []
        for stage, depth in enumerate(self.depths):
            down = f"{arch}.downsample_layers.{stage}"
            if stage == 0:
                x = self._channel_norm(self._plain_conv(x, f"{down}.0", stride=4), f"{down}.1")
            else:
                x = self._plain_conv(self._channel_norm(x, f"{down}.0"), f"{down}.1", stride=2)
            for index in range(depth):
                block = f"{arch}.stages.{stage}.{index}"
                y = self._plain_conv(x, f"{block}.dwconv", padding=3, groups=x.shape[1]).permute(0, 2, 3, 1)
                y = F.layer_norm(y, y.shape[-1:], *self._affine(f"{block}.norm"), eps=1e-6)
                y = F.linear(F.gelu(F.linear(y, *self._affine(f"{block}.pwconv1"))), *self._affine(f"{block}.pwconv2"))
                x = x + (self.state[f"{block}.gamma"] * y).permute(0, 3, 1, 2)
            found.append(self._channel_norm(x, f"{arch}.norm{stage}"))
        return found

    def _queries(self, maps: list[Tensor]) -> Tensor:
        decoder = "decoder.color_decoder"
        level = self.state[f"{decoder}.level_embed.weight"]
        places, positions = [], []
        for index, found in enumerate(maps):
            positions.append(_positions(found, level.shape[1] // 2))
            src = self._plain_conv(found, f"{decoder}.input_proj.{index}").flatten(2) + level[index][None, :, None]
            places.append(src.permute(2, 0, 1))
        count = len(maps[0])
        embedded = self.state[f"{decoder}.query_embed.weight"].unsqueeze(1).repeat(1, count, 1)
        x = self.state[f"{decoder}.query_feat.weight"].unsqueeze(1).repeat(1, count, 1)
        for layer in range(self.layers):
            memory, position = places[layer % 3], positions[layer % 3]
            found = self.attention["cross", layer](x + embedded, memory + position, memory)[0]
            x = self._layer_norm(x + found, f"{decoder}.transformer_cross_attention_layers.{layer}.norm")
            found = self.attention["self", layer](x + embedded, x + embedded, x)[0]
            x = self._layer_norm(x + found, f"{decoder}.transformer_self_attention_layers.{layer}.norm")
            at = f"{decoder}.transformer_ffn_layers.{layer}"
            found = F.linear(F.relu(F.linear(x, *self._affine(f"{at}.linear1"))), *self._affine(f"{at}.linear2"))
            x = self._layer_norm(x + found, f"{at}.norm")
        x = self._layer_norm(x, f"{decoder}.decoder_norm").transpose(0, 1)
        for index in range(3):
            x = F.linear(x, *self._affine(f"{decoder}.color_embed.layers.{index}"))
            x = F.relu(x) if index < 2 else x
        return x

    def _affine(self, name: str) -> tuple[Tensor, Tensor]:
        return self.state[f"{name}.weight"], self.state[f"{name}.bias"]

    def _plain_conv(self, x: Tensor, name: str, **how: Any) -> Tensor:
        return F.conv2d(x, *self._affine(name), **how)

    def _conv(self, x: Tensor, name: str, padding: int = 0) -> Tensor:
        weight = self.state[f"{name}.weight_orig"]
        sigma = torch.dot(self.state[f"{name}.weight_u"], torch.mv(weight.flatten(1), self.state[f"{name}.weight_v"]))
        return F.conv2d(x, weight / sigma, self.state.get(f"{name}.bias"), padding=padding)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        values = (self.state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *values)

    def _layer_norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], *self._affine(name))

    def _channel_norm(self, x: Tensor, name: str) -> Tensor:
        mean = x.mean(1, keepdim=True)
        deviation = torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        weight, bias = self._affine(name)
        return weight[:, None, None] * ((x - mean) / deviation) + bias[:, None, None]

    @staticmethod
    def _blur(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


def _positions(found: Tensor, half: int) -> Tensor:
    """(h * w, N, 2 * half), as in DETR."""
    ones = torch.ones(len(found), *found.shape[2:])
    frequency = 10_000 ** (2 * (torch.arange(half) // 2) / half)
    parts = []
    for axis in (1, 2):
        along = ones.cumsum(axis)
        last = along[:, -1:, :] if axis == 1 else along[:, :, -1:]
        angle = (along / (last + 1e-6) * 2 * math.pi)[..., None] / frequency
        parts.append(torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], 4).flatten(3))
    return torch.cat(parts, 3).permute(0, 3, 1, 2).flatten(2).permute(2, 0, 1)


class DDColorScript:
    """The official pipeline with its network loaded."""

    def __init__(self, checkpoint: Path, side: int = 512) -> None:
        state = torch.load(checkpoint, weights_only=True)
        self.layers, self.side = PlainDDColor(state.get("params", state)), side

    @torch.inference_mode()
    def of(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """BGR codes (H, W, 3) -> RGB (H, W, 3), 0..1."""
        height, width = bgr.shape[:2]
        picture = (bgr / 255.0).astype(np.float32)
        L = cv2.cvtColor(picture, cv2.COLOR_BGR2Lab)[:, :, :1]
        small = cv2.cvtColor(cv2.resize(picture, (self.side, self.side)), cv2.COLOR_BGR2Lab)[:, :, :1]
        grey = cv2.cvtColor(np.concatenate([small, np.zeros_like(small), np.zeros_like(small)], -1), cv2.COLOR_LAB2RGB)
        ab = self.layers(torch.from_numpy(grey.transpose(2, 0, 1)).float()[None])
        ab = F.interpolate(ab, size=(height, width))[0].numpy().transpose(1, 2, 0)
        return np.asarray(cv2.cvtColor(np.concatenate([L, ab], -1), cv2.COLOR_LAB2RGB), np.float32)
