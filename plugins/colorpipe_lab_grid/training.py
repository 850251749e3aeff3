"""Training of the grid classifier: cross entropy over the cells of a grid in ab, each weighed by its rarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe.training import Task, ValidationBatch, as_metadata, rebalancing_weights, smooth_prior, to_ab

from .network import FIRST, STRIDE, GridNetwork
from .options import TrainOptions

if TYPE_CHECKING:
    from colorpipe.training import TrainingPictures

CELL = 16
"""Side of a cell, CIE units: a pixel of the slice is one unit."""
LOWEST = (-112, -128)
"""a and b where the grid begins."""
CELLS = (14, 16)
"""Along a and b: 224 in all, as reported. sRGB, at any lightness, reaches 113 of them."""


class GridTask(Task):
    """L (N,1,h,w) -> logits (N,Q,h/4,w/4) over the cells that the training pictures' colours fall into."""

    options: TrainOptions
    stride = STRIDE
    average = 0.0  # batch norm's running statistics belong to the weights as they are

    def prepare(self, pictures: TrainingPictures, training: list[int]) -> None:
        """Count the cells; those never seen are dropped. A class is shown as the mean of what fell into its cell."""
        total = CELLS[0] * CELLS[1]
        counts, sums = torch.zeros(total), torch.zeros(total, 2, dtype=torch.float64)
        for index in training:
            ab = torch.from_numpy(pictures.chroma(index, self.picture_side // self.stride)).view(-1, 2)
            cell = cells(*ab.unbind(1))
            counts += torch.bincount(cell, minlength=total)
            sums.index_add_(0, cell, ab.double())
        seen = counts.nonzero()[:, 0]
        colours = sums[seen] / counts[seen, None]
        prior = smooth_prior(counts[seen].numpy(), colours.numpy(), self.options.sigma)
        self.weights = torch.from_numpy(rebalancing_weights(prior, self.options.rebalance)).float()
        self.colours = colours.float()
        # A colour of a dropped cell counts for the class that is nearest to that cell's middle.
        self.class_of = torch.cdist(middles(), self.colours).argmin(1)
        self.class_of[seen] = torch.arange(len(seen))

    def network(self) -> GridNetwork:
        network = GridNetwork(max(1, round(FIRST * self.options.width)), len(self.colours))
        network.colours.copy_(self.colours)
        return network

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        return self._cross_entropy(network(L), ab)

    def _cross_entropy(self, logits: Tensor, ab: Tensor) -> Tensor:
        """Over one class for each place, weighed; ab (N,2,h,w)."""
        if self.weights.device != ab.device:
            self.weights, self.class_of = self.weights.to(ab.device), self.class_of.to(ab.device)
        wanted = self.class_of[cells(*ab.unbind(1))]
        # The mean over places: torch's own would divide by the weights that happen to be in the batch.
        return (F.cross_entropy(logits.float(), wanted, reduction="none") * self.weights[wanted]).mean()

    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """``loss``; ``gain``, dB of PSNR over grey; ``vivid``, colourfulness over the truth's; both at natural_T."""
        truth = ValidationBatch(rgb, self.see)
        logits = network(truth.seen).float()
        loss = self._cross_entropy(logits, F.avg_pool2d(truth.ab, self.stride))
        return {"loss": float(loss), **truth.score(to_ab(logits, self.colours.to(rgb.device), self.options.natural_T))}

    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        options = self.options
        return network.state_dict(), as_metadata({"natural_T": options.natural_T, "training": options.decisive()})


def cells(a: Tensor, b: Tensor) -> Tensor:
    """Number of the cell, 0..223, of each colour; beyond the grid that of its border."""
    row, column = (
        ((value - low) / CELL).floor().long().clamp(0, count - 1)
        for value, low, count in zip((a, b), LOWEST, CELLS, strict=True)
    )
    return row * CELLS[1] + column


def middles() -> Tensor:
    """(224, 2) ab of the cells' middles, CIE units."""
    a, b = (low + CELL * (torch.arange(count) + 0.5) for low, count in zip(LOWEST, CELLS, strict=True))
    return torch.cartesian_prod(a, b)
