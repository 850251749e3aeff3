"""A small network of the family under the published keys, with random weights: for tests without a download."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe_deoldify.fold import fold
from colorpipe_deoldify.layout import MINI, shapes


class Untrained(nn.Module):
    """Holds the tensors of a checkpoint; called, it is the network that such a file makes."""

    def __init__(self) -> None:
        super().__init__()
        for key, shape in shapes(MINI).items():
            *path, leaf = key.split(".")
            home: nn.Module = self
            for part in path:
                if part not in home._modules:
                    home.add_module(part, nn.Module())
                home = home.get_submodule(part)
            home.register_buffer(leaf, _random(leaf, shape))
        for key, weight in self.state_dict().items():
            if key.endswith("weight_orig"):
                home = self.get_submodule(key.rpartition(".")[0])
                matrix = weight.flatten(1)
                u = F.normalize(matrix.sum(1), dim=0)
                home.register_buffer("weight_u", u)
                home.register_buffer("weight_v", F.normalize(matrix.T @ u, dim=0))

    def forward(self, grey: Tensor) -> Tensor:
        rgb: Tensor = fold(self.state_dict(), MINI)(grey)
        return rgb


def _random(leaf: str, shape: tuple[int, ...]) -> Tensor:
    if leaf == "num_batches_tracked":
        return torch.tensor(0)
    if leaf in ("running_var", "weight_g") or (leaf == "weight" and len(shape) == 1):
        return torch.ones(shape)
    return torch.randn(shape) * (math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1)
