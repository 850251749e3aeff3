"""Training of the palette classifier: cross entropy against the nearest colour of a palette, Adadelta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from colorpipe import TrainingError
from colorpipe.training import Task, ValidationBatch, as_metadata, to_ab

from .network import DENSE_SIDE, ConvHead, DenseHead, PaletteNetwork
from .options import TrainOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from colorpipe.training import TrainingPictures

SAMPLED = 16
"""k-means looks at each training picture at this side: 256 colours of it."""
ROUNDS = 40
"""Most iterations of k-means."""


class PaletteTask(Task):
    """L (N,1,h,w) -> logits (N,K,h,w) over a palette of the training pictures."""

    options: TrainOptions
    stride = 1
    padded = True

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        if options.side != options.final_side:
            raise TrainingError("palette-cnn trains at one size", hint="give --side and --final-side the same value")
        if options.head == "dense" and options.side != DENSE_SIDE:
            raise TrainingError(f"the dense head takes --side {DENSE_SIDE}, not {options.side}", hint="or --head conv")
        self.picture_side = options.side

    def prepare(self, pictures: TrainingPictures, training: list[int]) -> None:
        """The palette."""
        colours = np.concatenate([pictures.chroma(index, SAMPLED).reshape(-1, 2) for index in training])
        self.palette = torch.from_numpy(palette_of(colours, self.options.colours, self.options.seed))

    def network(self) -> PaletteNetwork:
        options = self.options
        head = (
            DenseHead(options.hidden, options.colours, options.dropout)
            if options.head == "dense"
            else ConvHead(options.colours, options.dropout)
        )
        network = PaletteNetwork(head, options.colours)
        network.palette.copy_(self.palette)
        return network

    def optimizers(self, network: nn.Module) -> Sequence[Optimizer]:
        return [torch.optim.Adadelta(network.parameters(), self.options.rate)]

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        return self._cross_entropy(network, network(L), ab)

    def _cross_entropy(self, network: nn.Module, logits: Tensor, ab: Tensor) -> Tensor:
        """ab (N,2,h,w); the one hot class is the nearest colour."""
        assert isinstance(network, PaletteNetwork)
        nearest = torch.cdist(ab.flatten(2).mT, network.palette).argmin(-1)  # (N,h*w)
        return F.cross_entropy(logits.flatten(2).float(), nearest)

    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """``loss``; ``gain``, dB of PSNR over grey; ``vivid``, colourfulness over the truth's; both of the mode."""
        assert isinstance(network, PaletteNetwork)
        truth = ValidationBatch(rgb, self.see)
        logits = network(truth.seen)
        loss = self._cross_entropy(network, logits, truth.ab)
        return {"loss": float(loss), **truth.score(to_ab(logits, network.palette, T=0))}

    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        return network.state_dict(), as_metadata({"side": self.options.side, "training": self.options.decisive()})


def palette_of(colours: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    """k-means: ab (N,2) -> (count,2) centres, the same for the same seed."""
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, ROUNDS, 0.05)
    _, _, centres = cv2.kmeans(colours, count, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return np.asarray(centres, np.float32)
