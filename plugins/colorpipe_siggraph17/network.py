"""The network of Zhang et al. (2017, arXiv 1705.02999) as published in PyTorch.

Layers and state-dict names follow https://github.com/richzhang/colorization (BSD-2-Clause), so that its checkpoint
loads to the key.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

AB_NORM = 110.0
"""The published network works on ab divided by this."""
L_CENTRE, L_NORM = 50.0, 100.0
"""The published network works on (L - 50) / 100."""
CLASSES = 529
"""Bins of the classification branch: a 23 x 23 grid over ab."""


def _convolutions(channels: tuple[int, ...], *, dilation: int = 1) -> list[nn.Module]:
    """3x3 convolutions with ReLU, then batch norm."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation))
        layers.append(nn.ReLU(inplace=True))
    return [*layers, nn.BatchNorm2d(channels[-1])]


def _half(x: Tensor) -> Tensor:
    """Every second row and column."""
    return x[:, :, ::2, ::2]


class Siggraph17(nn.Module):
    """L (N, 1, h, w) 0..100 and hints (N, 3, h, w): a, b in CIE units, mask 0..1 -> ab (N, 2, h, w), CIE units.

    ``h`` and ``w`` are multiples of 8; published for 256x256. The mask is not centred, as in the released checkpoint.
    ``model_class``, the branch that the paper trains beside the main one, is there for its keys and is not computed.
    34,187,027 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model1 = nn.Sequential(*_convolutions((4, 64, 64)))
        self.model2 = nn.Sequential(*_convolutions((64, 128, 128)))
        self.model3 = nn.Sequential(*_convolutions((128, 256, 256, 256)))
        self.model4 = nn.Sequential(*_convolutions((256, 512, 512, 512)))
        self.model5 = nn.Sequential(*_convolutions((512, 512, 512, 512), dilation=2))
        self.model6 = nn.Sequential(*_convolutions((512, 512, 512, 512), dilation=2))
        self.model7 = nn.Sequential(*_convolutions((512, 512, 512, 512)))
        self.model8up = nn.Sequential(nn.ConvTranspose2d(512, 256, 4, 2, padding=1))
        self.model3short8 = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1))
        self.model8 = nn.Sequential(nn.ReLU(inplace=True), *_convolutions((256, 256, 256)))
        self.model9up = nn.Sequential(nn.ConvTranspose2d(256, 128, 4, 2, padding=1))
        self.model2short9 = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1))
        self.model9 = nn.Sequential(nn.ReLU(inplace=True), *_convolutions((128, 128)))
        self.model10up = nn.Sequential(nn.ConvTranspose2d(128, 128, 4, 2, padding=1))
        self.model1short10 = nn.Sequential(nn.Conv2d(64, 128, 3, padding=1))
        self.model10 = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)
        )
        self.model_class = nn.Sequential(nn.Conv2d(256, CLASSES, 1))
        self.model_out = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor, hints: Tensor) -> Tensor:
        ab, mask = hints[:, :2], hints[:, 2:]
        x = torch.cat([(lightness - L_CENTRE) / L_NORM, ab / AB_NORM, mask], 1)  # (N, 4, h, w)
        full = self.model1(x)  # (N, 64, h, w)
        half = self.model2(_half(full))  # (N, 128, h/2, w/2)
        quarter = self.model3(_half(half))  # (N, 256, h/4, w/4)
        x = self.model7(self.model6(self.model5(self.model4(_half(quarter)))))  # (N, 512, h/8, w/8)
        # sums in place: at full size each tensor is 32 MB, and the network's memory peaks here
        x = self.model8(self.model8up(x).add_(self.model3short8(quarter)))  # (N, 256, h/4, w/4)
        x = self.model9(self.model9up(x).add_(self.model2short9(half)))  # (N, 128, h/2, w/2)
        x = self.model10(self.model10up(x).add_(self.model1short10(full)))  # (N, 128, h, w)
        scaled: Tensor = self.model_out(x)  # (N, 2, h, w), -1..1
        return scaled * AB_NORM
