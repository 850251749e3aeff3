"""Eight convolution blocks, laid out as Zhang, Isola and Efros (2016, arXiv 1603.08511, table 4), at any width."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

FIRST = 64
"""Channels of Zhang's first block; the others are multiples of it."""
STRIDE = 4
"""The logits are smaller than the input by this factor in each direction."""


class GridNetwork(nn.Module):
    """L (N,1,h,w), 0..100 -> logits (N,Q,h/4,w/4); ``h`` and ``w`` are multiples of 8.

    State-dict names: ``blocks.{0..7}.N`` and ``colours``, (Q,2) ab, CIE units: what each class is shown as.

    Args:
        first: Channels of the first block.
        classes: Q.
    """

    colours: Tensor

    def __init__(self, first: int, classes: int) -> None:
        super().__init__()
        c = first
        self.blocks = nn.Sequential(
            _block((1, c, c), stride=2),
            _block((c, 2 * c, 2 * c), stride=2),
            _block((2 * c, 4 * c, 4 * c, 4 * c), stride=2),
            _block((4 * c, 8 * c, 8 * c, 8 * c)),
            _block((8 * c, 8 * c, 8 * c, 8 * c), dilation=2),
            _block((8 * c, 8 * c, 8 * c, 8 * c), dilation=2),
            _block((8 * c, 8 * c, 8 * c, 8 * c)),
            nn.Sequential(
                nn.ConvTranspose2d(8 * c, 4 * c, 4, 2, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * c, 4 * c, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * c, 4 * c, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * c, classes, 1),
            ),
        )
        self.register_buffer("colours", torch.zeros(classes, 2))

    def forward(self, lightness: Tensor) -> Tensor:
        logits: Tensor = self.blocks(lightness / 50 - 1)
        return logits


def _block(channels: tuple[int, ...], *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions with ReLU, the last one with ``stride``, then batch norm."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(channels)):
        step = stride if index == len(channels) - 2 else 1
        layers += [nn.Conv2d(inputs, outputs, 3, step, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))
