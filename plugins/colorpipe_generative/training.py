"""Training of both methods: squared error of ab, and what each adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from colorpipe import Lab
from colorpipe.color import lab_to_rgb, rgb_to_lab
from colorpipe.training import Task, as_metadata

from .network import AB_SCALE, LATENT, STRIDE, Judge, UNet, load_encoder, noise
from .options import EncoderOptions, GanOptions, VaeOptions

FROZEN = 3
"""Layers of a given encoder that keep their weights: the stem and two fires see edges, grey or not. All of them keep
theirs at an ``encoder_rate`` of 0."""


class _LabTask(Task):
    """A U-Net from L to ab, and a second network that is not exported."""

    options: EncoderOptions
    stride = STRIDE
    picture_side = 224

    def _unet(self, latent: int = 0) -> UNet:
        unet = UNet(latent)
        if self.options.encoder is not None:
            load_encoder(unet, self.options.encoder)
            for layer in unet.encoder[: FROZEN if self.options.encoder_rate else None]:
                layer.requires_grad_(False)
        return unet

    def groups(self, network: nn.Module) -> Iterable[Mapping[str, Any]]:
        """A given encoder learns slower than new layers."""
        given = _painter(network).encoder if self.options.encoder is not None else []
        encoder = [p for layer in given for p in layer.parameters() if p.requires_grad]
        known = {id(p) for p in encoder}
        fresh = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
        return [{"params": fresh}] + ([{"params": encoder, "scale": self.options.encoder_rate}] if encoder else [])

    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """``loss``, squared error of ab/20; ``gain``, dB of PSNR over grey; ``vivid``, root mean square chroma over
        the truth's; all over the true lightness."""
        truth = [rgb_to_lab(picture.astype(np.float32) / np.float32(255)) for picture in rgb.cpu().numpy()]
        seen = np.stack([self.see(lab.L) for lab in truth])[:, None]
        found, more = self.paint(_painter(network), torch.from_numpy(seen).to(rgb.device))
        ab = F.interpolate(found, rgb.shape[1:3], mode="bilinear", align_corners=False)
        result = ab.permute(0, 2, 3, 1).cpu().numpy()
        true_ab = np.stack([lab.ab for lab in truth if lab.ab is not None])
        gains = []
        for lab, painted in zip(truth, result, strict=True):
            picture, colour, grey = lab_to_rgb(lab), lab_to_rgb(Lab(lab.L, painted)), lab_to_rgb(Lab(lab.L))
            errors = [max(float(np.square(other - picture).mean()), 1e-10) for other in (grey, colour)]
            gains.append(10 * np.log10(errors[0] / errors[1]))
        return {
            "loss": float(np.square((result - true_ab) / AB_SCALE).mean()),
            "gain": float(np.mean(gains)),
            "vivid": float(np.sqrt(np.square(result).mean() / np.square(true_ab).mean())),
            **more,
        }

    def paint(self, unet: UNet, L: Tensor) -> tuple[Tensor, Mapping[str, float]]:
        """L (N,1,h,w) -> ab (N,2,h/4,w/4) as the method gives it by default, and scores of its own."""
        return unet(L), {}

    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        """The U-Net alone; the options of the training in the metadata."""
        unet = _painter(network)
        name = "colorpipe-vae" if unet.latent else "colorpipe-gan"
        return unet.state_dict(), as_metadata({"architecture": name, "training": self.options.decisive()})


class GanTask(_LabTask):
    """The generator paints; the discriminator tells its ab from true ones, given L; both learn from each other."""

    options: GanOptions
    losses_of = ("loss_discriminator", "loss")

    def network(self) -> nn.Module:
        return nn.ModuleDict({"unet": self._unet(), "judge": Judge()})

    def optimizers(self, network: nn.Module) -> Sequence[Optimizer]:
        """Adam with the momentum of Radford et al. 2016, arXiv 1511.06434, for both."""
        assert isinstance(network, nn.ModuleDict)
        rate = self.options.rate
        judge = [{"params": list(network["judge"].parameters())}]
        painter = [
            {"params": group["params"], "lr": rate * group.get("scale", 1.0)} for group in self.groups(network["unet"])
        ]
        return [torch.optim.Adam(groups, lr=rate, betas=(0.5, 0.999)) for groups in (judge, painter)]

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        """The generator's."""
        *_, loss = self.losses(network, L, ab, step)
        return loss

    def losses(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Iterator[Tensor]:
        assert isinstance(network, nn.ModuleDict)
        judge = network["judge"]
        painted = network["unet"](L)
        yield (_bce(judge(L, ab), 1.0) + _bce(judge(L, painted.detach()), 0.0)) / 2
        yield _error(painted, ab) + self.options.adversarial * _bce(judge(L, painted), 1.0)


class VaeTask(_LabTask):
    """A conditional VAE (Sohn, Lee and Yan 2015): what L leaves open of ab is put into a latent z."""

    options: VaeOptions

    def network(self) -> nn.Module:
        return nn.ModuleDict({"unet": self._unet(LATENT), "posterior": Judge(2 * LATENT)})

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        """Squared error, and the KL of q(z | L, ab) from p(z | L), in nats, averaged over pictures."""
        assert isinstance(network, nn.ModuleDict)
        unet = _painter(network)
        features = unet.features(L)
        expected, log_spread = unet.expect(features)
        mean, log_variance = network["posterior"](L, ab).mean((2, 3)).chunk(2, 1)
        distance = (mean - expected).square() + log_variance.exp()
        kl = (distance / log_spread.exp() - 1 + log_spread - log_variance).sum(1).mean() / 2
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        weight = self.options.kl * min(1.0, (step + 1) / max(1, self.options.kl_steps))
        loss: Tensor = _error(unet.decode(features, z), ab) + weight * kl
        return loss

    def paint(self, unet: UNet, L: Tensor) -> tuple[Tensor, Mapping[str, float]]:
        """Colour by the mean of p(z | L); and ``spread``, the mean distance in ab between two draws, CIE units."""
        features = unet.features(L)
        mean, one, two = (unet.draw(features, noise(number).to(L.device)) for number in range(3))
        return mean, {"spread": float((one - two).norm(dim=1).mean())}


def _painter(network: nn.Module) -> UNet:
    """The U-Net among the networks that are trained."""
    unet = network["unet"] if isinstance(network, nn.ModuleDict) else network
    assert isinstance(unet, UNet)
    return unet


def _error(painted: Tensor, ab: Tensor) -> Tensor:
    return F.mse_loss(painted / AB_SCALE, ab / AB_SCALE)


def _bce(logits: Tensor, real: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))
