"""Lightness in, ab out: one U-Net, with a latent for the VAE and without for the GAN; and what trains each.

The encoder is SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360) without its classifier and with one input channel:
plain convolutions and no batch norm, so that a CPU trains it in minutes. The decoder climbs back to a quarter of the
input's size.

State-dict names of the U-Net, all of them ``.weight`` and ``.bias``:

    stem                                3x3, stride 2, 1 -> 64
    fires.{0..7}.{squeeze,one,three}    fire2 to fire9 of SqueezeNet
    context                             1x1 on the global mean of the 512-channel features
    top, refine16                       1x1 512 -> 160 and 3x3, stride 16
    reduce16, lateral8, fuse8, refine8  1x1 160 -> 112, 1x1 256 -> 112 and 3x3s, stride 8
    reduce8, lateral4, fuse4            1x1 112 -> 64, 1x1 128 -> 64 and 3x3, stride 4
    ab                                  3x3 64 -> 2
    prior                               with a latent: 512 -> its mean and log variance, from the global mean
    film{16,8,4}                        with a latent: latent -> scale and shift of 160, 112 and 64 channels
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe import WeightsError

STRIDE = 4
"""ab is smaller than L by this factor in each direction."""
LATENT = 16
"""Size of the latent, which selects one of the VAE's possible colourings of a picture."""
AB_REACH = 110.0
"""ab is at most this, CIE units: the extent of sRGB."""
AB_SCALE = 20.0
"""CIE units of a usual chroma: over it, ab and its errors are of the order of 1."""

_FIRES = (
    *((64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128)),
    *((256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)),
)
"""Inputs, squeezed channels, and outputs of each of the two branches (table 1 of the SqueezeNet paper)."""
_POOL_BEFORE = (0, 2, 4)
"""Fires before which SqueezeNet 1.1 halves the size."""
_QUIETER = 32
"""Made for inputs of 0..255, its features are of the order of 50; divided by this, of 1. Convolutions and ReLU scale
with their input, so that a smaller first layer and smaller biases change nothing else."""


class Fire(nn.Module):
    """1x1 squeeze, then 1x1 and 3x3 side by side: (N,inputs,h,w) -> (N,2*outputs,h,w)."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one = nn.Conv2d(squeezed, outputs, 1)
        self.three = nn.Conv2d(squeezed, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.one(x), self.three(x)], 1))


class UNet(nn.Module):
    """L (N,1,h,w) 0..100, and noise (N,latent) -> ab (N,2,h/4,w/4) CIE units, within +-110.

    With a latent z, L gives the normal distribution that z is likely to have; ``noise`` 0 takes its mean, a standard
    normal draw draws from it.

    ``h`` and ``w`` are multiples of 16; meant for 224x224, to which a picture of any shape is squashed.
    1.44 M parameters (1.47 M with a latent), 0.72 GMAC at 224x224.
    """

    def __init__(self, latent: int = 0) -> None:
        super().__init__()
        self.latent = latent
        self.stem = nn.Conv2d(1, 64, 3, 2, padding=1)
        self.fires = nn.ModuleList(Fire(*shape) for shape in _FIRES)
        self.context = nn.Conv2d(512, 160, 1)
        self.top = nn.Conv2d(512, 160, 1)
        self.refine16 = nn.Conv2d(160, 160, 3, padding=1)
        self.reduce16 = nn.Conv2d(160, 112, 1)
        self.lateral8 = nn.Conv2d(256, 112, 1)
        self.fuse8 = nn.Conv2d(112, 112, 3, padding=1)
        self.refine8 = nn.Conv2d(112, 112, 3, padding=1)
        self.reduce8 = nn.Conv2d(112, 64, 1)
        self.lateral4 = nn.Conv2d(128, 64, 1)
        self.fuse4 = nn.Conv2d(64, 64, 3, padding=1)
        self.ab = nn.Conv2d(64, 2, 3, padding=1)
        if latent:
            self.prior = nn.Linear(512, 2 * latent)
            self.film16 = nn.Linear(latent, 2 * 160)
            self.film8 = nn.Linear(latent, 2 * 112)
            self.film4 = nn.Linear(latent, 2 * 64)
        _initialise(self)
        nn.init.normal_(self.ab.weight, std=0.001)  # starts near grey

    @property
    def encoder(self) -> list[nn.Module]:
        """The layers of SqueezeNet, in their order."""
        return [self.stem, *self.fires]

    def features(self, L: Tensor) -> list[Tensor]:
        """(N,128,h/4,w/4), (N,256,h/8,w/8), (N,512,h/16,w/16)"""
        x = F.relu(self.stem(L / 50 - 1))
        taps = []
        for index, fire in enumerate(self.fires):
            if index in _POOL_BEFORE:
                taps.append(x)
                x = F.max_pool2d(x, 3, 2, padding=1)
            x = fire(x)
        return [*taps[1:], x]

    def expect(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """p(z | L): mean and log variance, each (N,latent)."""
        moments: Tensor = self.prior(features[-1].mean((2, 3)))
        mean, log_variance = moments.float().chunk(2, 1)
        return mean, log_variance

    def decode(self, features: list[Tensor], z: Tensor | None = None) -> Tensor:
        """``features`` of a picture, and z if there is a latent -> ab. Several draws share the features."""
        at4, at8, at16 = features
        x = self.top(at16) + self.context(at16.mean((2, 3), keepdim=True))
        x = F.relu(self._steer(x, z, 16))
        x = F.relu(self.refine16(x)) + x
        x = F.relu(self._steer(_up(self.reduce16(x)) + self.lateral8(at8), z, 8))
        x = F.relu(self.fuse8(x)) + x
        x = F.relu(self.refine8(x)) + x
        x = F.relu(self._steer(_up(self.reduce8(x)) + self.lateral4(at4), z, 4))
        x = F.relu(self.fuse4(x)) + x
        ab: Tensor = self.ab(x)
        return AB_REACH * torch.tanh(ab.float())

    def _steer(self, x: Tensor, z: Tensor | None, stride: int) -> Tensor:
        """Feature-wise scale and shift by the latent (FiLM, Perez et al. 2018, arXiv 1709.07871)."""
        if z is None:
            return x
        steering: Tensor = getattr(self, f"film{stride}")(z)[:, :, None, None]
        scale, shift = steering.chunk(2, 1)
        return x * (1 + scale) + shift

    def draw(self, features: list[Tensor], noise: Tensor) -> Tensor:
        """Decode as ``decode`` does, with z drawn from p(z | L) by ``noise``."""
        mean, log_variance = self.expect(features)
        return self.decode(features, mean + noise * (log_variance / 2).exp())

    def forward(self, L: Tensor, noise: Tensor | None = None) -> Tensor:
        features = self.features(L)
        return self.decode(features) if noise is None else self.draw(features, noise)


class Judge(nn.Module):
    """L (N,1,h,w) 0..100 and ab (N,2,h/4,w/4) -> (N,outputs,h/32,w/32), one answer for each part of the picture.

    The GAN's discriminator, with one output, a logit: large is real (a patch discriminator: Isola et al. 2017, arXiv
    1611.07004). Averaged over the places, also the VAE's view of what is to be put into the latent.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 48, 3, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(48, 96, 3, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(96, 160, 3, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(160, outputs, 3, padding=1),
        )
        _initialise(self)

    def forward(self, L: Tensor, ab: Tensor) -> Tensor:
        L = F.avg_pool2d(L, L.shape[2] // ab.shape[2])
        answer: Tensor = self.layers(torch.cat([L / 50 - 1, ab / AB_SCALE], 1))
        return answer.float()


def noise(sample: int) -> Tensor:
    """(1, LATENT): zeros for 0, else the ``sample``-th standard normal draw; the same on every device, in every run."""
    if sample == 0:
        return torch.zeros(1, LATENT)
    return torch.randn(1, LATENT, generator=torch.Generator().manual_seed(sample))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def load_encoder(network: UNet, path: Path) -> None:
    """Start ``network``'s encoder from SqueezeNet 1.1 in ``path``, a numpy ``.npz``.

    Keys are ``conv1/w|b`` and ``fireN/squeeze1x1|expand1x1|expand3x3/w|b``, N in 2..9, OIHW; made for B, G and R of
    0..255 less 104, 117 and 123. The first kernel is summed over the three, as equal channels would have it.

    Raises:
        WeightsError: the file is not such a network.
    """
    import numpy as np

    layers = {"conv1": network.stem}
    for number, fire in enumerate(network.fires, 2):
        assert isinstance(fire, Fire)
        for name, layer in (("squeeze1x1", fire.squeeze), ("expand1x1", fire.one), ("expand3x3", fire.three)):
            layers[f"fire{number}/{name}"] = layer
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: [archive[f"{name}/{part}"].astype(np.float32) for part in "wb"] for name in layers}
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"cannot read SqueezeNet 1.1 from {path}: {error}") from error
    weight, bias = arrays["conv1"]
    if weight.shape == (64, 3, 3, 3):
        # L/50-1 stands in for the grey value: code = 127.5 (x + 1), and the means taken off go into the bias
        bias = bias + (weight.sum((2, 3)) * (127.5 - np.array([104, 117, 123], np.float32))).sum(1)
        arrays["conv1"] = [127.5 / _QUIETER * weight.sum(1, keepdims=True), bias]
    for _, bias in arrays.values():
        bias /= _QUIETER
    for name, layer in layers.items():
        for parameter, values in zip((layer.weight, layer.bias), arrays[name], strict=True):
            assert parameter is not None
            if values.shape != tuple(parameter.shape):
                raise WeightsError(f"{path}: {name} is {values.shape}, not {tuple(parameter.shape)}: no SqueezeNet 1.1")
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(values))
