"""DeOldify's official way, written plainly: its layers in their order, its inference steps, picture after picture.

https://github.com/jantic/DeOldify, deoldify/filters.py and unet.py: Pillow, eager fp32, batch 1, spectral norms divided
out in every call. Nothing of what colorpipe does to make it fast is done here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

MEAN, DEVIATION = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


class PlainDeOldify:
    """A published checkpoint, and its forward pass as plain calls."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.deep = "layers.4.conv1.0.weight_orig" in state
        self.blocks = [
            1 + max(int(key.split(".")[3]) for key in state if key.startswith(f"layers.0.{4 + stage}."))
            for stage in range(4)
        ]

    def __call__(self, picture: Tensor) -> Tensor:
        """Normalised RGB (N, 3, h, w) -> the same."""
        skips = self._encode(picture)
        x = F.relu(self._norm(skips[4], "layers.1"))
        x = self._step(self._step(x, "layers.3.0"), "layers.3.1")
        for index in range(4):
            x = self._up(x, skips[3 - index], f"layers.{4 + index}")
        direction = self.state["layers.8.conv.0.weight_v"]
        weight = torch._weight_norm(direction, self.state["layers.8.conv.0.weight_g"], 0)
        x = F.relu(F.conv2d(x, weight, self.state["layers.8.conv.0.bias"]))
        x = torch.cat([self._blur(F.pixel_shuffle(x, 2)), picture], 1)
        y = x
        for index in range(2):
            y = F.relu(self._conv(y, f"layers.10.layers.{index}.0", padding=1))
        return torch.sigmoid(self._conv(x + y, "layers.11.0")) * 6 - 3

    def _encode(self, x: Tensor) -> list[Tensor]:
        x = F.conv2d(x, self.state["layers.0.0.weight"], stride=2, padding=3)
        x = F.relu(self._norm(x, "layers.0.1"))
        found = [x]
        x = F.max_pool2d(x, 3, 2, padding=1)
        for stage, depth in enumerate(self.blocks):
            for index in range(depth):
                x = self._residual(x, f"layers.0.{4 + stage}.{index}", 2 if stage and not index else 1)
            found.append(x)
        return found

    def _residual(self, x: Tensor, name: str, stride: int) -> Tensor:
        count = 3 if f"{name}.conv3.weight" in self.state else 2
        y = x
        for number in range(1, count + 1):
            weight = self.state[f"{name}.conv{number}.weight"]
            here = stride if number == count - 1 else 1
            y = self._norm(F.conv2d(y, weight, stride=here, padding=weight.shape[-1] // 2), f"{name}.bn{number}")
            y = F.relu(y) if number < count else y
        if f"{name}.downsample.0.weight" in self.state:
            x = self._norm(
                F.conv2d(x, self.state[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1"
            )
        return F.relu(x + y)

    def _up(self, x: Tensor, skip: Tensor, name: str) -> Tensor:
        up = F.relu(self._norm(self._conv(x, f"{name}.shuf.conv.0"), f"{name}.shuf.conv.1"))
        up = self._blur(F.pixel_shuffle(up, 2))
        if up.shape[2:] != skip.shape[2:]:
            up = F.interpolate(up, skip.shape[2:], mode="nearest")
        x = F.relu(torch.cat([up, self._norm(skip, f"{name}.bn")], 1))
        for part in ("conv1", "conv2") if self.deep else ("conv",):
            x = self._step(x, f"{name}.{part}")
        return x

    def _step(self, x: Tensor, name: str) -> Tensor:
        x = self._norm(F.relu(self._conv(x, f"{name}.0", padding=1)), f"{name}.2")
        if f"{name}.3.gamma" not in self.state:
            return x
        places = x.flatten(2)
        f, g, h = (F.conv1d(places, self._weight(f"{name}.3.{part}")) for part in ("query", "key", "value"))
        weights = F.softmax(torch.bmm(f.permute(0, 2, 1).contiguous(), g), dim=1)
        return (self.state[f"{name}.3.gamma"] * torch.bmm(h, weights) + places).view(x.shape)

    def _weight(self, name: str) -> Tensor:
        weight = self.state[f"{name}.weight_orig"]
        sigma = torch.dot(self.state[f"{name}.weight_u"], torch.mv(weight.flatten(1), self.state[f"{name}.weight_v"]))
        return weight / sigma

    def _conv(self, x: Tensor, name: str, **how: Any) -> Tensor:
        return F.conv2d(x, self._weight(name), self.state.get(f"{name}.bias"), **how)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        values = (self.state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *values)

    @staticmethod
    def _blur(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class DeOldifyScript:
    """The official filter with its network loaded."""

    def __init__(self, checkpoint: Path, side: int = 35 * 16) -> None:
        state = torch.load(checkpoint, weights_only=True)
        self.layers, self.side = PlainDeOldify(state.get("model", state)), side

    @torch.inference_mode()
    def of(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB codes (H, W, 3) -> RGB (H, W, 3), 0..1."""
        picture = Image.fromarray(rgb)
        small = picture.resize((self.side, self.side), resample=Image.Resampling.BILINEAR).convert("LA").convert("RGB")
        x = torch.from_numpy(np.asarray(small, np.float32).transpose(2, 0, 1).copy())[None] / 255
        coloured = (self.layers((x - MEAN) / DEVIATION) * DEVIATION + MEAN).clamp(0, 1)[0]
        codes = (coloured.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        full = np.asarray(Image.fromarray(codes).resize(picture.size, resample=Image.Resampling.BILINEAR))
        yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)
        yuv[:, :, 1:] = cv2.cvtColor(full, cv2.COLOR_RGB2YUV)[:, :, 1:]
        return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB) / np.float32(255), np.float32)
