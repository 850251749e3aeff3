"""The compact Zhang-style network: lightness in, a distribution over the 313 in-gamut ab bins out.

A MobileNetV2 encoder (Sandler et al. 2018, arXiv 1801.04381; batch norm folded away, one input channel) and a
decoder of plain 3x3 convolutions that climbs back to a quarter of the input size, where Zhang, Isola and Efros
(2016, arXiv 1603.08511) classify colour. Plain convolutions, because they run near the arithmetic rate of a CPU
and of a GPU alike; the depthwise ones of the encoder do not, so the decoder has none.

State-dict names, all of them ``.weight`` and ``.bias``, and ``emphasis.*`` (``emphasis.py``) where it was trained:

    stem                                  3x3, stride 2, 1 -> 32
    blocks.{0..16}.{expand,depthwise,project}   the inverted residuals (block 0 has no ``expand``)
    context                               1x1 on the global mean of the 320-channel features
    top, top_refine                       1x1 320 -> 256 and 3x3, stride 32
    lateral16, fuse16                     1x1 96 -> 256 and 3x3, stride 16
    reduce16, lateral8, fuse8, refine8    1x1 256 -> 192, 1x1 32 -> 192 and 3x3s, stride 8
    reduce8, lateral4, fuse4              1x1 192 -> 80, 1x1 24 -> 80 and 3x3, stride 4
    classify                              1x1 80 -> 313
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe import WeightsError
from colorpipe_zhang.emphasis import Emphasis

BINS = 313
STRIDE = 4
"""The logits are this much smaller than the input, each way."""
MULTIPLE = 32
"""Height and width of the input must be multiples of this, the encoder's total stride."""

# (expansion, channels, repeats, first stride): table 2 of the MobileNetV2 paper.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# Blocks whose output goes to the decoder: the last one at strides 4, 8, 16 and 32.
_TAP4, _TAP8, _TAP16, _TAP32 = 2, 5, 12, 16


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection without activation; a residual where shapes allow.

    ``x`` (N, inputs, h, w) -> (N, outputs, h/stride, w/stride).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.stride = stride
        self.residual = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, padding=1 if stride == 1 else 0, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        if self.stride == 2:
            hidden = F.pad(hidden, (0, 1, 0, 1))  # as TensorFlow pads even sizes: right and bottom only
        y: Tensor = self.project(F.relu6(self.depthwise(hidden)))
        return x + y if self.residual else y


class CompactZhang(nn.Module):
    """L (N,1,h,w), 0..100 -> logits (N,313,h/4,w/4) over the bins of :func:`bins.bin_centres`.

    ``h`` and ``w`` are multiples of 32; it is trained and meant to be run at 256x256, to which a picture of any
    shape is squashed. 4.0 M parameters, 1.6 GMAC at 256x256. Safe in float16 and bfloat16: activations of the
    encoder are bounded by ReLU6, those of the decoder stay below 1e3.

    Args:
        empty: Leaves out the first random values, where weights take every place.
    """

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__()
        self.emphasis: Emphasis | None = None
        self.stem = nn.Conv2d(1, 32, 3, 2)
        blocks: list[nn.Module] = []
        inputs = 32
        for expansion, outputs, repeats, stride in _STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(inputs, outputs, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.context = nn.Conv2d(320, 256, 1)
        self.top = nn.Conv2d(320, 256, 1)
        self.top_refine = nn.Conv2d(256, 256, 3, padding=1)
        self.lateral16 = nn.Conv2d(96, 256, 1)
        self.fuse16 = nn.Conv2d(256, 256, 3, padding=1)
        self.reduce16 = nn.Conv2d(256, 192, 1)
        self.lateral8 = nn.Conv2d(32, 192, 1)
        self.fuse8 = nn.Conv2d(192, 192, 3, padding=1)
        self.refine8 = nn.Conv2d(192, 192, 3, padding=1)
        self.reduce8 = nn.Conv2d(192, 80, 1)
        self.lateral4 = nn.Conv2d(24, 80, 1)
        self.fuse4 = nn.Conv2d(80, 80, 3, padding=1)
        self.classify = nn.Conv2d(80, BINS, 1)
        if not empty:
            self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Starting from nearly equal classes keeps the first steps calm at a high learning rate.
        nn.init.normal_(self.classify.weight, std=0.01)

    def encode(self, x: Tensor, first: int, last: int) -> dict[int, Tensor]:
        """Run blocks ``first..last-1`` on ``x`` (N,c,h,w); returns the outputs the decoder taps, by block index.

        The output of block ``last - 1`` is always among them.
        """
        taps: dict[int, Tensor] = {}
        for index in range(first, last):
            x = self.blocks[index](x)
            if index in (_TAP4, _TAP8, _TAP16, _TAP32) or index == last - 1:
                taps[index] = x
        return taps

    def embed(self, lightness: Tensor) -> Tensor:
        """The stem: L (N,1,h,w), 0..100 -> (N,32,h/2,w/2), 0..6."""
        return F.relu6(self.stem(F.pad(lightness / 50 - 1, (0, 1, 0, 1))))

    def decode(self, taps: dict[int, Tensor]) -> Tensor:
        """Encoder features -> what is classified: (N,80,h/4,w/4)."""
        deep = taps[_TAP32]  # (N,320,h/32,w/32)
        x = F.relu(self.top(deep) + self.context(deep.mean((2, 3), keepdim=True)))
        x = F.relu(self.top_refine(x)) + x
        x = F.relu(_up(x) + self.lateral16(taps[_TAP16]))  # (N,256,h/16,w/16)
        x = F.relu(self.fuse16(x)) + x
        x = F.relu(_up(self.reduce16(x)) + self.lateral8(taps[_TAP8]))  # (N,192,h/8,w/8)
        x = F.relu(self.fuse8(x)) + x
        x = F.relu(self.refine8(x)) + x
        x = F.relu(_up(self.reduce8(x)) + self.lateral4(taps[_TAP4]))  # (N,80,h/4,w/4)
        return F.relu(self.fuse4(x)) + x

    def features(self, lightness: Tensor) -> Tensor:
        """L (N,1,h,w), 0..100 -> (N,80,h/4,w/4), the input of ``classify``."""
        return self.decode(self.encode(self.embed(lightness), 0, len(self.blocks)))

    def seen(self, lightness: Tensor) -> Tensor:
        """What a place looks like: ``features``."""
        return self.features(lightness)

    def forward(self, lightness: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(lightness))
        return logits


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def load_encoder(network: CompactZhang, path: Path) -> None:
    """Start ``network``'s encoder from MobileNetV2 1.0 in ``path``, a numpy ``.npz``.

    Keys are ``NN_CONV_2D/w|b`` and ``NN_DEPTHWISE_CONV_2D/w|b``, NN in order of execution, OIHW, batch norm
    folded. The colour kernel of the first layer is summed over R, G and B, which is the same as feeding it a
    grey picture; L/50-1 stands in for the grey value in -1..1. Raises :class:`~colorpipe.errors.WeightsError`
    if the file is not such a network.
    """
    import numpy as np

    layers = [network.stem]
    for block in network.blocks:
        assert isinstance(block, InvertedResidual)
        layers += [layer for layer in (block.expand, block.depthwise, block.project) if layer is not None]
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = sorted(name[:-2] for name in archive.files if name.endswith("/w"))
            arrays = [(archive[f"{name}/w"], archive[f"{name}/b"]) for name in names[: len(layers)]]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"cannot read the encoder {path}: {error}") from error
    if len(arrays) < len(layers):
        raise WeightsError(f"{path} holds {len(arrays)} layers; MobileNetV2 1.0 has {len(layers)} up to 320 channels")
    for index, (layer, (weight, bias)) in enumerate(zip(layers, arrays, strict=True)):
        if index == 0:
            weight = weight.sum(1, keepdims=True)
        if tuple(layer.weight.shape) != weight.shape or layer.bias is None or layer.bias.shape != bias.shape:
            expected = tuple(layer.weight.shape)
            raise WeightsError(f"{path}: layer {index} is {weight.shape}, not {expected}: not MobileNetV2 1.0")
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
