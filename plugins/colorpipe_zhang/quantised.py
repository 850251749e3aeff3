"""Weights stored in 8 bits: matrices and kernels as int8, one scale for each output channel.

A tensor ``NAME`` of two or more dimensions becomes ``NAME`` int8 and ``NAME.scale`` float16, (outputs,): the weight is
``NAME * scale``. It is what halves the base network's file against fp16. Everything else stays as it is. The network
is restored when it is loaded and computes in the precision of the run.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from colorpipe import WeightsError

SCALE = ".scale"
PEAK = 127
SMALLEST = 4096
"""Tensors of fewer values stay as they are: there is nothing to gain."""


def quantise(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large float tensors of two or more dimensions in int8, rounded to the nearest step of their output channel."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.numel() < SMALLEST or not tensor.is_floating_point():
            stored[name] = tensor
            continue
        rows = tensor.detach().float().flatten(1)
        scale = (rows.abs().amax(1) / PEAK).clamp(min=2**-20).half()
        codes = (rows / scale.float()[:, None]).round().clamp(-PEAK, PEAK).to(torch.int8)
        stored[name], stored[name + SCALE] = codes.view(tensor.shape), scale
    return stored


def restore(tensors: Mapping[str, Tensor], file: object) -> dict[str, Tensor]:
    """The inverse of ``quantise``, in float32; tensors that are not quantised are passed on.

    Raises:
        WeightsError: an int8 tensor without its scale, or with one of another length.
    """
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE) and tensors.get(name.removesuffix(SCALE), tensor).dtype == torch.int8:
            continue
        if tensor.dtype == torch.int8:
            scale = tensors.get(name + SCALE)
            if scale is None:
                raise WeightsError(f"{file}: {name} is stored in 8 bits and its scale is missing")
            if scale.shape != tensor.shape[:1]:
                shapes = f"{name} is {tuple(tensor.shape)}, its scale {tuple(scale.shape)}"
                raise WeightsError(f"{file}: 1 of another shape ({shapes})", hint="give this network's own weights")
            tensor = tensor.float() * scale.float().view(-1, *[1] * (tensor.ndim - 1))
        restored[name] = tensor
    return restored
