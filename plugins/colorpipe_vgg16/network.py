"""VGG-16, configuration D of Simonyan and Zisserman (2014, arXiv 1409.1556), without batch norm.

Layers and state-dict names follow https://github.com/pytorch/vision (BSD-3-Clause), so that its checkpoint loads to
the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe import Frame
from colorpipe.color import rgb

SHORT_SIDE, CROP = 256, 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's R, G and B, 0..1, with which the published weights were trained."""
LONGEST = 4
"""Sides to one: of a picture longer than this, the ends are cut off before it is resized. They are not looked at, and
enlarging them could fill the memory."""


class VGG16(nn.Module):
    """(N, 3, h, w) normalised RGB -> logits (N, 1000); published for 224x224. 138,357,544 parameters."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (N, 512, 7, 7)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def view(frame: Frame) -> Tensor:
    """The network's input: (3, 224, 224), ImageNet's mean 0 and deviation 1."""
    reach = LONGEST * min(frame.height, frame.width)
    top, left = max(0, frame.height - reach) // 2, max(0, frame.width - reach) // 2
    picture = torch.from_numpy(rgb(frame)[top : top + reach, left : left + reach]).permute(2, 0, 1)[None]
    short = min(picture.shape[2:])
    size = [SHORT_SIDE * side // short for side in picture.shape[2:]]
    x = F.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)[0]
    top, left = (round((side - CROP) / 2) for side in size)
    x = x[:, top : top + CROP, left : left + CROP]
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)


def probabilities(network: nn.Module, frames: Sequence[Frame]) -> list[list[float]]:
    """Probabilities of the 1000 classes, for each frame."""
    with torch.inference_mode():
        found: Tensor = network(torch.stack([view(frame) for frame in frames])).softmax(1)
    return cast("list[list[float]]", found.tolist())
