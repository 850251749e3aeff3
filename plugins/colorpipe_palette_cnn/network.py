"""One convolution and one of two heads: lightness in, odds of each palette colour out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DENSE_SIDE = 64
"""Side of the dense head's input, pixels; no other size fits its weights."""
FILTERS = 32
"""Channels of the first convolution."""
WIDTH = 64
"""Channels of the convolutional head at half size; twice that at a quarter."""
DILATIONS = (1, 2, 4, 1)


class PaletteNetwork(nn.Module):
    """L (N,1,h,w), 0..100 -> logits (N,K,h,w).

    State-dict names: ``conv``, ``head.*`` and ``palette``, (K,2) ab, CIE units.
    """

    palette: Tensor

    def __init__(self, head: nn.Module, colours: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, FILTERS, 3, padding=1)
        self.head = head
        self.register_buffer("palette", torch.zeros(colours, 2))

    def forward(self, lightness: Tensor) -> Tensor:
        logits: Tensor = self.head(F.relu(self.conv(lightness / 50 - 1)))
        return logits


class DenseHead(nn.Module):
    """(N,32,64,64) -> (N,K,64,64): every place is told by ``hidden`` numbers about the whole picture."""

    def __init__(self, hidden: int, colours: int, dropout: float = 0.0) -> None:
        super().__init__()
        places = DENSE_SIDE**2
        self.dense = nn.Linear(FILTERS * places, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(hidden, colours * places)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.dense(x.flatten(1))))
        logits: Tensor = self.classify(x)
        return logits.view(len(x), -1, DENSE_SIDE, DENSE_SIDE)


class ConvHead(nn.Module):
    """(N,32,h,w) -> (N,K,h,w), any size.

    What the dense layers do at once, a look at the whole picture and an answer for each place, is done in steps: down
    to a quarter of the size, dilated convolutions that see some 100 pixels far, and up again.
    """

    def __init__(self, colours: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.to_half = nn.Conv2d(FILTERS, WIDTH, 3, 2, padding=1)
        self.to_quarter = nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, padding=1)
        self.wide = nn.ModuleList(nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, padding=d, dilation=d) for d in DILATIONS)
        self.reduce = nn.Conv2d(2 * WIDTH, WIDTH, 1)
        self.fuse = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.narrow = nn.Conv2d(WIDTH, FILTERS, 1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv2d(FILTERS, colours, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        half = F.relu(self.to_half(x))  # (N,64,h/2,w/2)
        y = F.relu(self.to_quarter(half))  # (N,128,h/4,w/4)
        for layer in self.wide:
            y = y + F.relu(layer(y))
        y = F.relu(self.fuse(half + _resize(self.reduce(y), half)))  # (N,64,h/2,w/2)
        y = F.relu(x + _resize(self.narrow(y), x))  # (N,32,h,w)
        logits: Tensor = self.classify(self.dropout(y))
        return logits


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
