"""The network of DDColor (Kang et al. 2023, arXiv 2212.11613), written for inference.

It computes what the published layers compute, with whatever is linear already put together (``fold`` does that when a
file is loaded), and its last steps in another order: the published network makes 100 maps of 512x512 and mixes them
into two; here the 100 queries are mixed first, so that two maps are made. Both are the same sum.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe.inference import convolve3x3
from colorpipe_ddcolor.layout import SCALES, Config

EPSILON = 1e-6
"""Epsilon of ConvNeXt's layer norms."""
HEADS = 8
"""Heads of each attention."""
TEMPERATURE = 10_000
"""Temperature of the sine positions, as in Vaswani et al. 2017, arXiv 1706.03762."""
ROWS = 256
"""Places of the quarter-size map whose full-size features are made at a time on a CPU: 4 MB, which its cache holds."""
KEPT_POSITIONS = 8
"""Sizes whose positions are kept: three for each input size."""


class Exact(nn.Linear):
    """A linear layer that stays in fp32 in every precision: the runtime narrows plain ones only.

    The colour decoder is made of these. In bfloat16 it alone moves ab by 0.7 CIE units on average, with random
    weights and a mean chroma of 40, and it is a tenth of the work.
    """


class Block(nn.Module):
    """ConvNeXt's: x (N, C, h, w) -> the same shape."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)  # (N, h, w, C)
        y = F.layer_norm(y, y.shape[-1:], eps=EPSILON)
        y = self.narrow(F.gelu(self.widen(y)))
        return x + y.permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place, (N, C, h, w)."""

    def __init__(self, dim: int, *, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim)) if affine else None
        self.bias = nn.Parameter(torch.zeros(dim)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        places = x.permute(0, 2, 3, 1)
        return F.layer_norm(places, places.shape[-1:], self.weight, self.bias, EPSILON).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Grey 0..1 (N, 1, h, w) -> features at 1/4, 1/8, 1/16 and 1/32, normalised for who takes them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        dims = config.dims
        self.downs = nn.ModuleList([nn.Conv2d(1, dims[0], 4, 4)])
        self.downs.extend(nn.Conv2d(dims[i], dims[i + 1], 2, 2) for i in range(3))
        self.stem_norm = ChannelNorm(dims[0], affine=True)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(dim) for _ in range(depth))) for depth, dim in zip(config.depths, dims, strict=True)
        )
        self.norms = nn.ModuleList(ChannelNorm(dim, affine=index < 3) for index, dim in enumerate(dims))
        self.plain = ChannelNorm(0, affine=False)

    def forward(self, grey: Tensor) -> list[Tensor]:
        found, x = [], grey
        for index, (down, stage, norm) in enumerate(zip(self.downs, self.stages, self.norms, strict=True)):
            x = self.stem_norm(down(x)) if index == 0 else down(self.plain(x))
            x = stage(x.float())  # the blocks' sum stays in fp32
            found.append(norm(x))
        return found


class Up(nn.Module):
    """One U-Net block: twice the size, joined with the encoder's features of that size.

    The batch norm after its last ReLU is not here but in the weights of all that read the result.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(inputs, 4 * outputs, 1)
        self.join = nn.Conv2d(outputs + skip, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = blur(F.pixel_shuffle(F.relu(self.widen(x)), 2))
        return F.relu_(convolve3x3(self.join, torch.cat([x, F.relu(skip).to(x.dtype)], 1)))


def blur(x: Tensor) -> Tensor:
    """The mean of each place, the one above, the one to the left and the one between; borders repeat."""
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class Attention(nn.Module):
    """Queries (N, Q, C) look at places (N, M, C) and take on what they find."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (Exact(dim, dim) for _ in range(4))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, asked: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = self._heads(self.query(asked)), self._heads(self.key(keys)), self._heads(self.value(values))
        taken = F.scaled_dot_product_attention(q, k, v)  # (N, heads, Q, C / heads)
        result: Tensor = self.norm(x + self.out(taken.transpose(1, 2).flatten(2)))
        return result

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)


class Layer(nn.Module):
    """One of the colour decoder's: look at the picture, look at each other, think."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.cross, self.own = Attention(config.hidden), Attention(config.hidden)
        self.widen = Exact(config.hidden, config.feedforward)
        self.narrow = Exact(config.feedforward, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)

    def forward(self, x: Tensor, embedded: Tensor, places: Tensor, positions: Tensor) -> Tensor:
        x = self.cross(x, x + embedded, places + positions, places)
        x = self.own(x, x + embedded, x + embedded, x)
        result: Tensor = self.norm(x + self.narrow(F.relu(self.widen(x))))
        return result


class Positions:
    """Sine positions of the places of a map, (h * w, C), kept for the sizes that were asked for last."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._kept: OrderedDict[tuple[int, int, torch.device], Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, height: int, width: int, device: torch.device) -> Tensor:
        key = (height, width, device)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._made(height, width).to(device)
                if len(self._kept) > KEPT_POSITIONS:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _made(self, height: int, width: int) -> Tensor:
        half = self.dim // 2
        pairs = torch.arange(half).div(2, rounding_mode="floor")
        frequency = TEMPERATURE ** (2 * pairs / half)

        def along(length: int) -> Tensor:
            """(length, half)"""
            place = torch.arange(1, length + 1, dtype=torch.float32) / (length + EPSILON) * (2 * math.pi)
            angle = place[:, None] / frequency
            return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)

        down = along(height)[:, None].expand(height, width, half)
        across = along(width)[None].expand(height, width, half)
        return torch.cat([down, across], 2).flatten(0, 1)


class DDColor(nn.Module):
    """Grey 0..1, (N, 1, h, w) -> ab (N, 2, h, w), CIE units, not clamped. ``h`` and ``w`` are multiples of 32."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        dims, width, half = config.dims, config.width, config.half
        self.ups = nn.ModuleList([Up(dims[3], dims[2], width), Up(width, dims[1], width), Up(width, dims[0], half)])
        self.projections = nn.ModuleList(Exact(channels, config.hidden) for channels in (width, width, half))
        self.queries = nn.Parameter(torch.zeros(config.queries, config.hidden))
        self.embedded = nn.Parameter(torch.zeros(config.queries, config.hidden))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.embed = nn.ModuleList(Exact(config.hidden, half if index == 2 else config.hidden) for index in range(3))
        self.full = nn.Linear(half, 16 * half)
        """Quarter size to full: place by place 16 places of ``half`` features, the places first."""
        self.mix = nn.Parameter(torch.zeros(2, config.queries))
        """How much of each query's map goes into a and b."""
        self.grey = nn.Parameter(torch.zeros(2))
        self.bias = nn.Parameter(torch.zeros(2))
        self._positions = Positions(config.hidden)

    def forward(self, grey: Tensor) -> Tensor:
        skips = self.encoder(grey)
        x, maps = skips[3], []
        for up, skip in zip(self.ups, reversed(skips[:3]), strict=True):
            x = up(x, skip)
            maps.append(x)
        with torch.autocast(grey.device.type, enabled=False):
            colours = self._colours([found.float() for found in maps])  # (N, 2, half)
        ab = blur(self._full_size(maps[2], colours))  # (N, 2, h, w)
        return ab + (self.grey.view(1, 2, 1, 1) * grey + self.bias.view(1, 2, 1, 1))

    def _colours(self, maps: list[Tensor]) -> Tensor:
        """The weights that make up a and b: for each picture two weights of every feature, (N, 2, half)."""
        places, positions = [], []
        for found, project in zip(maps, self.projections, strict=True):
            places.append(project(found.permute(0, 2, 3, 1).flatten(1, 2)))  # (N, h * w, C)
            positions.append(self._positions(found.shape[2], found.shape[3], found.device))
        x = self.queries.expand(len(maps[0]), -1, -1)
        for index, layer in enumerate(self.layers):
            x = layer(x, self.embedded, places[index % SCALES], positions[index % SCALES])
        x = self.norm(x)
        for index, linear in enumerate(self.embed):
            x = linear(x) if index == 2 else F.relu(linear(x))
        return torch.matmul(self.mix, x)

    def _full_size(self, quarter: Tensor, colours: Tensor) -> Tensor:
        """(N, half, h/4, w/4) -> (N, 2, h, w), the features of full size never all at once on a CPU."""
        count, half, height, width = quarter.shape
        result = quarter.new_empty(count, height * width, 16, 2, dtype=torch.float32)
        step = ROWS if quarter.device.type == "cpu" else height * width
        for source, weights, target in zip(quarter.permute(0, 2, 3, 1).flatten(1, 2), colours, result, strict=True):
            for start in range(0, height * width, step):
                features = F.relu(self.full(source[start : start + step])).view(-1, 16, half)
                target[start : start + step] = torch.matmul(features, weights.T.to(features.dtype))
        places = result.view(count, height, width, 4, 4, 2)
        return places.permute(0, 5, 1, 3, 2, 4).reshape(count, 2, 4 * height, 4 * width)
