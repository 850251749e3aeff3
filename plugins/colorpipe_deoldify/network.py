"""The network of DeOldify, written for inference: a U-Net with self-attention on a ResNet.

It computes what the published layers compute, with norms folded into the layers beside them (``fold`` does that when a
file is loaded). On a CPU its last layers, which work at full size with 300 channels, go over the picture in strips:
what lies between them never exists as a whole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe.inference import convolve3x3
from colorpipe_deoldify.layout import Config, Step

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's red, green and blue, 0..1; the checkpoints do not hold them."""
RANGE = 3.0
"""The network gives normalised colour between minus and plus this."""
QUERIES = 1024
"""Places that attend at once: their weights over all places of a 560x560 picture's map take 20 MB."""
STRIP = 1 << 15
"""Places of full size whose colour is made at once on a CPU: 40 MB for each of the layers between."""
HALO = 2
"""Rows that the last two convolutions look beyond a strip."""


class Residual(nn.Module):
    """One block of the ResNet, two or three convolutions."""

    def __init__(self, inputs: int, narrow: int, outputs: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            convolutions = [
                nn.Conv2d(inputs, narrow, 1),
                nn.Conv2d(narrow, narrow, 3, stride, padding=1),
                nn.Conv2d(narrow, outputs, 1),
            ]
        else:
            convolutions = [nn.Conv2d(inputs, narrow, 3, stride, padding=1), nn.Conv2d(narrow, outputs, 3, padding=1)]
        self.convolutions = nn.ModuleList(convolutions)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y, last = x, len(self.convolutions) - 1
        for index, convolution in enumerate(self.convolutions):
            y = convolution(y)
            if index < last:
                y = F.relu_(y)
        return F.relu_(y.add_(x if self.shortcut is None else self.shortcut(x)))


class Encoder(nn.Module):
    """Normalised colour (N, 3, h, w) -> features at 1/2, 1/4, 1/8, 1/16 and 1/32, odd sizes rounded up."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, config.base, 7, 2, padding=3)
        stages, inputs = [], config.base
        for stage, depth in enumerate(config.blocks):
            outputs, blocks = config.dims[stage + 1], []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                narrow = config.base << stage
                blocks.append(Residual(inputs, narrow, outputs, stride, bottleneck=config.bottleneck))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu_(self.stem(x))
        found = [x]
        x = F.max_pool2d(x, 3, 2, padding=1)
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Affine(nn.Module):
    """A scale and a shift for each channel: a batch norm that cannot be folded, since zeros border what comes next."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1, 1, 1)
        return torch.addcmul(self.bias.view(shape), x, self.weight.view(shape))


class SelfAttention(nn.Module):
    """Self-attention: each place adds features of the places that resemble it (Zhang et al. 2018, arXiv 1805.08318)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Linear(channels, channels // 8, bias=False) for _ in range(2))
        self.value = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        # The products are not divided by anything and reach far beyond what 8 bits of mantissa keep apart.
        with torch.autocast(x.device.type, enabled=False):
            places = x.float().permute(0, 2, 3, 1).flatten(1, 2)  # (N, M, C)
            asked = F.linear(places, self.key.weight.float())  # the published layers' names are the other way about
            offered = F.linear(places, self.query.weight.float()).transpose(1, 2)
        held = self.value(places)
        result = torch.empty_like(places)
        for start in range(0, height * width, QUERIES):
            rows = slice(start, start + QUERIES)
            with torch.autocast(x.device.type, enabled=False):
                weights = torch.matmul(asked[:, rows], offered).softmax(2)
            result[:, rows] = places[:, rows] + torch.matmul(weights, held)
        return result.view(count, height, width, channels).permute(0, 3, 1, 2)


class Up(nn.Module):
    """One step: twice the size, joined with the encoder's features of that size."""

    def __init__(self, step: Step, *, deep: bool) -> None:
        super().__init__()
        self.widen = nn.Conv2d(step.inputs, 4 * step.up, 1)
        self.skip = Affine(step.skip)
        joined = step.up + step.skip
        self.join = nn.Conv2d(joined, step.outputs, 3, padding=1, bias=False)
        self.norm = Affine(step.outputs) if deep else None
        self.again = nn.Conv2d(step.outputs, step.outputs, 3, padding=1, bias=False) if deep else None
        # The batch norm behind the last ReLU is in the weights of who reads the result, but for the attention's.
        self.last = Affine(step.outputs) if step.attends else None
        self.attention = SelfAttention(step.outputs) if step.attends else None

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = blur(F.pixel_shuffle(F.relu_(self.widen(x)), 2))
        if x.shape[2:] != skip.shape[2:]:  # an odd size was rounded up on the way down
            x = F.interpolate(x, skip.shape[2:], mode="nearest")
        x = F.relu_(convolve3x3(self.join, torch.cat([x, F.relu_(self.skip(skip)).to(x.dtype)], 1)))
        if self.norm is not None and self.again is not None:
            x = F.relu_(convolve3x3(self.again, self.norm(x)))
        if self.last is not None and self.attention is not None:
            x = self.attention(self.last(x))
        return x


def blur(x: Tensor) -> Tensor:
    """The mean of each place, the one above, the one to the left and the one between; borders repeat."""
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class DeOldify(nn.Module):
    """Grey 0..1, (N, 1, h, w) -> RGB (N, 3, h, w), sRGB-coded, 0..1 inside of the gamut and beyond it outside.

    ``h`` and ``w`` are multiples of 16.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        deepest, steps = config.dims[4], config.steps
        self.deepest = Affine(deepest)
        self.middle = nn.ModuleList(
            [
                nn.Conv2d(deepest, 2 * deepest, 3, padding=1, bias=False),
                nn.Conv2d(2 * deepest, deepest, 3, padding=1, bias=False),
            ]
        )
        self.middle_norm = Affine(2 * deepest)
        self.ups = nn.ModuleList(Up(step, deep=config.deep) for step in steps)
        outputs = steps[-1].outputs
        self.widen = nn.Conv2d(outputs, 4 * outputs, 1)
        self.refine = nn.ModuleList(nn.Conv2d(outputs + 3, outputs + 3, 3) for _ in range(2))
        """Without padding of their own: a strip's is its neighbours' rows, the picture's is zeros."""
        self.colour = nn.Conv2d(outputs + 3, 3, 1)

    def forward(self, grey: Tensor) -> Tensor:
        mean, deviation = (grey.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        picture = (grey - mean) / deviation  # (N, 3, h, w)
        skips = self.encoder(picture)
        x = F.relu_(self.deepest(skips[4]))
        x = F.relu_(self.middle[1](self.middle_norm(F.relu_(self.middle[0](x)))))
        for up, skip in zip(self.ups, reversed(skips[:4]), strict=True):
            x = up(x, skip)
        return self._full_size(x, picture) * deviation + mean

    def _full_size(self, half: Tensor, picture: Tensor) -> Tensor:
        """(N, C, h/2, w/2) and the picture -> normalised colour (N, 3, h, w), -3..3."""
        height, width = picture.shape[2:]
        result = torch.empty_like(picture, dtype=torch.float32)
        rows = height if picture.device.type != "cpu" else max(16, STRIP // width)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            result[:, :, top:bottom] = self._strip(half, picture, top, bottom)
        return result

    def _strip(self, half: Tensor, picture: Tensor, top: int, bottom: int) -> Tensor:
        height, (before, after) = picture.shape[2], self.refine
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.Conv2d)
        first, last = max(0, top - HALO), min(height, bottom + HALO)  # rows that are looked at
        above, below = first - (top - HALO), (bottom + HALO) - last  # rows beyond the picture
        x = torch.cat([self._doubled(half, first, last), picture[:, :, first:last].to(half.dtype)], 1)
        padded = F.pad(x, (1, 1, above, below))
        y = F.relu_(convolve3x3(before, padded))  # one row of the halo is used up
        y = F.pad(y, (1, 1))
        if above:
            y[:, :, : above - 1] = 0
        if below:
            y[:, :, y.shape[2] - below + 1 :] = 0
        y = F.relu_(convolve3x3(after, y))
        inside = x[:, :, top - first : bottom - first]
        return torch.sigmoid(self.colour(inside + y).float()) * (2 * RANGE) - RANGE

    def _doubled(self, half: Tensor, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` of the last map at full size, (N, C, rows, w)."""
        start = max(0, (first - 1) // 2)  # the blur looks one row up
        rows = F.pixel_shuffle(F.relu_(self.widen(half[:, :, start : -(-last // 2)])), 2)
        # a piece's first row repeats itself upwards, which only the picture's first may do: others are cut off
        return blur(rows)[:, :, first - 2 * start : last - 2 * start]
