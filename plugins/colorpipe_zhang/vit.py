"""A vision transformer: DINOv2 ViT-S/14 (Oquab et al. 2023, arXiv 2304.07193), the encoder of the base network.

Written from the papers (Dosovitskiy et al. 2020, arXiv 2010.11929; layer scale: Touvron et al. 2021, arXiv 2103.17239).
State-dict names:

    patch                      14x14, stride 14, 1 -> 384: grey in, so the kernels of R, G and B are one
    cls, position              (384,) the class token with its position added; (384, 16, 16) positions of the patches
    blocks.{0..11}.norm1, .qkv, .proj, .norm2, .fc1, .fc2    the layer scales are part of ``proj`` and ``fc2``
    norm                       the last normalisation
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, DEPTH, PATCH = 384, 6, 12, 14
GRID = 16
"""Patches each way of the size that it is trained and run at, 224x224."""


class Block(nn.Module):
    """Pre-norm attention and a two-layer perceptron. x (N, tokens, 384) -> the same."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        count, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(count, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, tokens, width / heads)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, tokens, width)
        x = x + self.proj(seen)
        inner: Tensor = self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x + inner


class VisionTransformer(nn.Module):
    """Grey (N,1,224,224) -> token maps (N,384,16,16), one for each of ``taps``.

    Grey is normalised to zero mean and unit deviation over photographs. ``taps`` are numbers of blocks, counted from
    1; what the last block gives is normalised, as its makers use it.
    """

    def __init__(self, taps: Sequence[int] = (DEPTH,)) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.patch = nn.Conv2d(1, WIDTH, PATCH, PATCH)
        self.cls = nn.Parameter(torch.zeros(WIDTH))
        self.position = nn.Parameter(torch.zeros(WIDTH, GRID, GRID))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, grey: Tensor) -> list[Tensor]:
        x = self.patch(grey) + self.position  # (N, 384, 16, 16)
        count = x.shape[0]
        x = torch.cat([self.cls.expand(count, 1, -1).to(x.dtype), x.flatten(2).transpose(1, 2)], 1)
        maps = []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in self.taps:
                y = self.norm(x) if number == DEPTH else x
                maps.append(y[:, 1:].transpose(1, 2).unflatten(2, (GRID, GRID)))
        return maps
