"""Learning, of one reference or of a folder: mean squared error in ab, stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from colorpipe import InputSize, Lab, PluginError
from colorpipe.color import grey_of, lightness_of, shrink, view_size
from colorpipe.inference import one_thread
from colorpipe.training import Task, ValidationBatch, as_metadata

from .network import AB_SCALE, FCN, STRIDE
from .options import LearnOptions, TrainOptions

MOMENTUM = 0.9


def learn(reference: Lab, size: InputSize, options: LearnOptions, device: torch.device) -> FCN:
    """A network that knows the reference by heart: the same one for the same seed and machine.

    It sees the reference as it will see a picture. Raises :class:`~colorpipe.PluginError` where learning diverges.
    """
    assert reference.ab is not None
    height, width = view_size(reference.L.shape[0], reference.L.shape[1], size)
    L = lightness_of(shrink(grey_of(reference.L), (height, width)))
    x = torch.from_numpy(L)[None, None].to(device)
    ab = torch.from_numpy(np.ascontiguousarray(reference.ab.transpose(2, 0, 1)))[None].to(device)
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.manual_seed(options.seed)
        network = FCN(options.width)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, options.rate)
    # Layers this small keep a second thread waiting for most of its time; on a busy machine, that of others too.
    with one_thread(), torch.enable_grad():
        truth = F.interpolate(ab, network(x).shape[2:], mode="area")
        for _ in range(options.epochs):
            optimizer.zero_grad()
            loss = _error(network(x), truth)
            torch.autograd.backward(loss)
            optimizer.step()
    if not loss.isfinite():
        raise PluginError(f"fcn did not learn the reference: its error is {loss:.3g}", hint="lower --rate")
    return network.eval().requires_grad_(False)


def _optimizer(network: nn.Module, rate: float) -> Optimizer:
    return torch.optim.SGD(network.parameters(), rate, MOMENTUM)


def _error(found: Tensor, truth: Tensor) -> Tensor:
    return F.mse_loss(found.float() / AB_SCALE, truth / AB_SCALE)


class FCNTask(Task):
    """L (N,1,h,w) -> ab (N,2,h/2,w/2)."""

    options: TrainOptions
    stride = STRIDE

    def network(self) -> FCN:
        return FCN(self.options.width)

    def optimizers(self, network: nn.Module) -> Sequence[Optimizer]:
        return [_optimizer(network, self.options.rate)]

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        return _error(network(L), ab)

    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """``loss``; ``gain``, dB of PSNR over grey; ``vivid``, colourfulness over the truth's."""
        truth = ValidationBatch(rgb, self.see)
        ab = network(truth.seen)
        return {"loss": float(_error(ab, F.avg_pool2d(truth.ab, self.stride))), **truth.score(ab)}

    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        return network.state_dict(), as_metadata({"training": self.options.decisive()})
