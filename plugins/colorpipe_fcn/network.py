"""Four convolutions from lightness to chroma."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 2
"""The output is smaller than the input by this factor in each direction."""
AB_SCALE = 100.0
"""CIE units for each unit of the network's own."""


class FCN(nn.Module):
    """L (N,1,h,w), 0..100 -> ab (N,2,ceil(h/2),ceil(w/2)), CIE units; any size.

    The first layer halves the picture, which makes learning four times as fast; chroma is smooth enough for that. The
    dilated ones widen what a place looks at to 33 pixels across.

    Args:
        width: Channels of the three inner layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 5, STRIDE, padding=2)
        self.conv2 = nn.Conv2d(width, width, 3, padding=2, dilation=2)
        self.conv3 = nn.Conv2d(width, width, 3, padding=4, dilation=4)
        self.conv4 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, lightness: Tensor) -> Tensor:
        x = F.relu(self.conv1(lightness / 50 - 1))
        x = F.relu(self.conv3(F.relu(self.conv2(x))))
        ab: Tensor = self.conv4(x)
        return ab * AB_SCALE
