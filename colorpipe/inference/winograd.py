"""3x3 convolutions with a quarter of the multiplications, for large maps in fp32 on a CPU.

Winograd's minimal filtering F(4x4, 3x3) as Lavin and Gray apply it (2016, arXiv 1509.09308): of each 6x6 tile of the
input 36 sums are made, multiplied with 36 sums of the kernel, channel by channel, and 16 results are made of those. All
three steps are matrix products. Results differ from the plain sum by some 1e-6 of their range.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_PLACES = 64 * 64
"""Least number of places in the result: with fewer, there are too few tiles for the products to be fast."""
LEAST_CHANNELS = 64
"""Least number of channels, in and out: with fewer, making the sums costs more than it saves."""
WORKING_SET = 3 << 20
"""Bytes of a piece's sums: as much as a core's cache holds. With 24 MB a 303-channel layer takes a quarter longer."""
_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
_KERNEL = (
    torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
        dtype=torch.float64,
    )
    / 24
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float32
)


def convolve3x3(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """``convolution(x)``, (N, C, H, W) -> (N, K, H', W'), the quick way where it is one.

    That is for a kernel of 3x3, stride 1, padding 0 or 1, on a CPU in fp32 outside of autocast, without gradients,
    where map and channels are large; everything else goes through the convolution as it is. The kernel's sums, four
    times its weights, are kept with it.
    """
    padding = 1 if convolution.padding == (1, 1) else 0
    height, width = (length + 2 * padding - 2 for length in x.shape[2:])
    if not _quicker(convolution, x, height * width):
        result: Tensor = convolution(x)
        return result
    sums = _kernel_sums(convolution)
    down, across = -(-height // 4), -(-width // 4)  # tiles
    beyond = (4 * across + 2 - x.shape[3] - padding, 4 * down + 2 - x.shape[2] - padding)
    places = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding, beyond[0], padding, beyond[1]))
    out = x.new_empty(len(x), 4 * down, 4 * across, convolution.out_channels)
    step = max(1, WORKING_SET // (36 * 4 * across * max(x.shape[1], convolution.out_channels)))
    for picture, target in zip(places, out, strict=True):
        for top in range(0, down, step):
            rows = min(step, down - top)
            _tiles(picture[4 * top : 4 * (top + rows) + 2], sums, target[4 * top : 4 * (top + rows)])
    if convolution.bias is not None:
        out += convolution.bias
    return out[:, :height, :width].permute(0, 3, 1, 2)


def _quicker(convolution: nn.Conv2d, x: Tensor, places: int) -> bool:
    plain = (convolution.kernel_size, convolution.stride, convolution.dilation, convolution.groups)
    return (
        x.device.type == "cpu"
        and x.dtype == convolution.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
        and plain == ((3, 3), (1, 1), (1, 1), 1)
        and convolution.padding in ((0, 0), (1, 1))
        and min(convolution.in_channels, convolution.out_channels) >= LEAST_CHANNELS
        and places >= LEAST_PLACES
    )


def _kernel_sums(convolution: nn.Conv2d) -> Tensor:
    """(36, C, K); made once."""
    kept: Tensor | None = convolution.__dict__.get("_winograd")
    if kept is None:
        weight = convolution.weight.detach()
        flat = weight.permute(2, 3, 1, 0).reshape(9, -1)  # (9, C * K)
        pairs = torch.kron(_KERNEL, _KERNEL)  # (36, 9)
        pieces = [(pairs @ part.double()).float() for part in torch.split(flat, 1 << 20, dim=1)]
        kept = torch.cat(pieces, 1).view(36, convolution.in_channels, convolution.out_channels)
        convolution.__dict__["_winograd"] = kept
    return kept


def _tiles(picture: Tensor, sums: Tensor, target: Tensor) -> None:
    """Rows (4 n + 2, 4 m + 2, C) -> ``target`` (4 n, 4 m, K)."""
    height, width, channels = picture.shape
    down, across = height // 4, width // 4
    row, place = picture.stride(0), picture.stride(1)
    tiles = picture.as_strided(
        (6, 6, down, across, channels), (row, place, 4 * row, 4 * place, picture.stride(2)), picture.storage_offset()
    )
    seen = torch.kron(_INPUT, _INPUT) @ tiles.reshape(36, -1)
    products = torch.bmm(seen.view(36, down * across, channels), sums)
    found = torch.kron(_OUTPUT, _OUTPUT) @ products.view(36, -1)
    target.view(down, 4, across, 4, -1).copy_(found.view(4, 4, down, across, -1).permute(2, 0, 3, 1, 4))
