"""Checkpoints of seeded random numbers under published keys: what a network's layout is tested with.

The numbers come from ``numpy.random.RandomState``, whose streams never change, key by key in the order of the names,
so that a checkpoint can be made again from its seed anywhere. They are scaled so that what a network makes of a picture
is colourful and varies: a constant would prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def random_state(shapes: Mapping[str, tuple[int, ...]], seed: int, *, gain: float = 1.0) -> dict[str, Tensor]:
    """A tensor for each key: convolutions and linear layers of unit gain, norms near one, spectral norms that are such.

    Args:
        gain: Of the layers under spectral normalization, which would otherwise weaken what goes through them.
    """
    stream = np.random.RandomState(seed)
    state: dict[str, Tensor] = {}
    for key in sorted(shapes):
        shape = shapes[key]
        if key.endswith(("weight_u", "weight_v")) and f"{key[:-1]}g" not in shapes:
            continue  # follow from the weight
        state[key] = torch.from_numpy(_values(key, shape, stream)) if shape else torch.tensor(3)
    for key in [key for key in shapes if key.endswith("weight_orig")]:
        name = key.removesuffix("orig")
        state[f"{name}u"], state[f"{name}v"] = _singular(state[key], gain)
    return {key: state[key] for key in shapes}


def _values(key: str, shape: tuple[int, ...], stream: np.random.RandomState) -> np.ndarray:
    normal = stream.standard_normal(shape).astype(np.float32)
    leaf = key.rpartition(".")[2]
    if key == "mean":
        return np.array([0.485, 0.456, 0.406], np.float32).reshape(shape)
    if key == "std":
        return np.array([0.229, 0.224, 0.225], np.float32).reshape(shape)
    if leaf == "running_var":
        return (0.5 + np.abs(normal)).astype(np.float32)
    if leaf == "gamma":
        return (0.3 * normal).astype(np.float32)
    if leaf == "weight_g":
        return (1 + 0.2 * np.abs(normal)).astype(np.float32)
    if len(shape) >= 2 and leaf in ("weight", "weight_orig", "weight_v", "in_proj_weight"):
        fan_in = math.prod(shape[1:])
        return (normal * math.sqrt(2 / fan_in)).astype(np.float32)
    if leaf == "weight":
        return (1 + 0.3 * np.abs(normal)).astype(np.float32)
    return (0.1 * normal).astype(np.float32)


def _singular(weight: Tensor, gain: float) -> tuple[Tensor, Tensor]:
    """The first singular vectors as a training leaves them: nearly."""
    matrix = weight.flatten(1).numpy().astype(np.float64)
    u = np.ones(len(matrix)) / math.sqrt(len(matrix))
    for _ in range(3):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
    return torch.from_numpy((u / gain).astype(np.float32)), torch.from_numpy(v.astype(np.float32))


def picture(height: int, width: int) -> np.ndarray:
    """(height, width) grey 0..1 float32: waves of several lengths, and grain. 8-bit codes of it are rounded."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = 0.5 + 0.25 * np.sin(7 * x + 3 * y * y) + 0.15 * np.cos(19 * y - 5 * x) + 0.05 * np.sin(60 * x * y)
    grain = np.random.RandomState(1).standard_normal((height, width))
    codes = np.rint(255 * np.clip(waves + 0.01 * grain, 0, 1))
    return (codes / 255).astype(np.float32)
