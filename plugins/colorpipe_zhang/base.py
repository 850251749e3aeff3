"""The base network: a pretrained vision transformer reads the picture, a light decoder climbs to a quarter of its size.

The encoder is DINOv2 ViT-S/14 (Oquab et al. 2023, arXiv 2304.07193; see ``vit.py``), which knows far more pictures than
a colorizer is ever trained on. It sees 224x224 grey; each of its 16x16 tokens stands for a sixteenth of the picture's
side, whatever its size. Beside it a few convolutions on the lightness give the edges. Two of the encoder's blocks are
tapped: the last, for what a thing is, and one in the middle, for what it is made of. As in Zhang, Isola and Efros
(2016, arXiv 1603.08511) each place is classified into the 313 in-gamut ab bins.

State-dict names:

    encoder.*                       vit.py
    middle_norm, middle, top        the tapped tokens, 384 -> 256
    mix16, refine16                 3x3, 16x16 places
    edge2, edge4, keep4, edge8, keep8    3x3 on the lightness, strides 2, 4, 4, 8, 8
    reduce8, lateral8, fuse8, refine8    1x1 256 -> 160, 1x1 64 -> 160 and 3x3s, stride 8
    reduce4, lateral4, fuse4, refine4    1x1 160 -> 80, 1x1 32 -> 80 and 3x3s, stride 4
    classify                        1x1 80 -> 313
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe_zhang.compact import BINS
from colorpipe_zhang.emphasis import Emphasis
from colorpipe_zhang.vit import DEPTH, GRID, PATCH, WIDTH, VisionTransformer

VIEW = GRID * PATCH
"""Side of the encoder's view, pixels."""
MIDDLE = 8
"""The block whose output is used beside the last one's, counted from 1."""
TOKENS = 0.7
"""Length of the tokens beside the finer features, in ``seen``: with it, places of one colour are found best."""
GREY_MEAN, GREY_DEVIATION = (0.485 + 0.456 + 0.406) / 3, (0.229 + 0.224 + 0.225) / 3
"""Mean and deviation of sRGB codes 0..1 over ImageNet: the encoder's own normalisation. Differences between R, G and B
are part of the first layer's kernels and bias."""


class BaseZhang(nn.Module):
    """L (N,1,h,w), 0..100 -> logits (N,313,h/4,w/4) over the bins of :func:`bins.bin_centres`.

    ``h`` and ``w`` are multiples of 8; it is trained and meant to be run at 256x256. 23.6 M parameters.

    Args:
        empty: Leaves out the first random values, where weights take every place.
    """

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__()
        self.emphasis: Emphasis | None = None
        self.encoder = VisionTransformer((MIDDLE, DEPTH))
        self.middle_norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.middle = nn.Conv2d(WIDTH, 256, 1)
        self.top = nn.Conv2d(WIDTH, 256, 1)
        self.mix16 = nn.Conv2d(256, 256, 3, padding=1)
        self.refine16 = nn.Conv2d(256, 256, 3, padding=1)
        self.edge2 = nn.Conv2d(1, 16, 3, 2, 1)
        self.edge4 = nn.Conv2d(16, 32, 3, 2, 1)
        self.keep4 = nn.Conv2d(32, 32, 3, padding=1)
        self.edge8 = nn.Conv2d(32, 64, 3, 2, 1)
        self.keep8 = nn.Conv2d(64, 64, 3, padding=1)
        self.reduce8 = nn.Conv2d(256, 160, 1)
        self.lateral8 = nn.Conv2d(64, 160, 1)
        self.fuse8 = nn.Conv2d(160, 160, 3, padding=1)
        self.refine8 = nn.Conv2d(160, 160, 3, padding=1)
        self.reduce4 = nn.Conv2d(160, 80, 1)
        self.lateral4 = nn.Conv2d(32, 80, 1)
        self.fuse4 = nn.Conv2d(80, 80, 3, padding=1)
        self.refine4 = nn.Conv2d(80, 80, 3, padding=1)
        self.classify = nn.Conv2d(80, BINS, 1)
        if not empty:
            self._initialise()

    def _initialise(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("encoder."):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Starting from nearly equal classes keeps the first steps calm at a high learning rate.
        nn.init.normal_(self.classify.weight, std=0.01)

    def encode(self, lightness: Tensor) -> tuple[Tensor, Tensor]:
        """L (N,1,h,w), 0..100 -> tokens of the middle and of the last block, (N,384,16,16) each."""
        middle, last = self.encoder(view(lightness))
        return middle, last

    def decode(self, lightness: Tensor, middle: Tensor, last: Tensor) -> Tensor:
        """L and tokens -> the features to classify: (N,80,h/4,w/4)."""
        middle = self.middle_norm(middle.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = F.relu(self.middle(middle) + self.top(last))  # (N,256,16,16)
        x = F.relu(self.mix16(x)) + x
        x = F.relu(self.refine16(x)) + x
        edges4 = F.relu(self.edge4(F.relu(self.edge2(lightness / 50 - 1))))
        edges4 = F.relu(self.keep4(edges4)) + edges4  # (N,32,h/4,w/4)
        edges8 = F.relu(self.edge8(edges4))
        edges8 = F.relu(self.keep8(edges8)) + edges8  # (N,64,h/8,w/8)
        x = F.relu(_resize(self.reduce8(x), edges8) + self.lateral8(edges8))  # (N,160,h/8,w/8)
        x = F.relu(self.fuse8(x)) + x
        x = F.relu(self.refine8(x)) + x
        x = F.relu(_resize(self.reduce4(x), edges4) + self.lateral4(edges4))  # (N,80,h/4,w/4)
        x = F.relu(self.fuse4(x)) + x
        return F.relu(self.refine4(x)) + x

    def features(self, lightness: Tensor) -> Tensor:
        """L (N,1,h,w), 0..100 -> (N,80,h/4,w/4), the input of ``classify``."""
        return self.decode(lightness, *self.encode(lightness))

    def seen(self, lightness: Tensor) -> Tensor:
        """L (N,1,h,w), 0..100 -> (N,464,h/4,w/4): what a place is, by the last tokens, and what colours it may have.

        Both parts are of unit length and without the picture's mean; the tokens count half.
        """
        middle, last = self.encode(lightness)
        fine = self.decode(lightness, middle, last)
        parts = [x - x.mean((2, 3), keepdim=True) for x in (_resize(last, fine), fine)]
        tokens, fine = (F.normalize(x.float(), dim=1) for x in parts)
        return torch.cat([tokens * TOKENS, fine], 1)

    def forward(self, lightness: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(lightness))
        return logits


def view(lightness: Tensor) -> Tensor:
    """L (N,1,h,w), 0..100 -> what the encoder sees: normalised sRGB grey (N,1,224,224), averaged over areas."""
    height, width = lightness.shape[2:]
    with torch.autocast(lightness.device.type, enabled=False):  # bfloat16 has steps of 0.5 at L = 100
        Y = ((lightness.float() + 16) / 116).clamp(min=16 / 116) ** 3
        linear = torch.where(lightness.float() <= 8, lightness.float() * (27 / 24389), Y)
        grey = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
        rows, columns = (_areas(side, VIEW, grey.device) for side in (height, width))
        seen: Tensor = rows @ ((grey - GREY_MEAN) / GREY_DEVIATION) @ columns.T
    return seen


@functools.cache
def _areas(inputs: int, outputs: int, device: torch.device) -> Tensor:
    """(outputs, inputs): each row averages the inputs over an output's area; rows sum to 1."""
    edges = torch.arange(outputs + 1, dtype=torch.float64) * inputs / outputs
    low, high = edges[:-1, None], edges[1:, None]
    start = torch.arange(inputs, dtype=torch.float64)[None]
    covered = (torch.minimum(high, start + 1) - torch.maximum(low, start)).clamp(min=0)
    return (covered / (high - low)).float().to(device)  # once: a copy at each call would hold a GPU up


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
