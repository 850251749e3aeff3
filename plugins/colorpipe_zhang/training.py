"""Training of the compact and the base network: Zhang, Isola and Efros 2016 (arXiv 1603.08511), with one step added.

The loss is theirs: cross entropy against ground truth softly encoded over the five nearest bins, each position
weighed by the rarity of its colour. A network that minimises it is vivid, but further from the truth than leaving the
picture grey. On export a constant per class is added to the logits (:func:`bins.logit_shift`) that gives both: it
goes into the last layer's bias, and the file runs like any other.

Two terms may be added: the distance of the decoded mean from the true colour, and the cross entropy against a teacher's
distribution (Hinton, Vinyals and Dean 2015, arXiv 1503.02531), which tells more of each place than its one true colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorpipe.training import Task, as_metadata, rebalancing_weights, smooth_prior, to_ab

from . import BASE, BUNDLED, bins
from .base import BaseZhang
from .compact import BINS, CompactZhang, InvertedResidual, load_encoder
from .dinov2 import load_dinov2
from .emphasis import Emphasis, facts
from .loading import load_trained, open_teacher
from .objective import objective
from .options import TrainOptions
from .quantised import quantise

if TYPE_CHECKING:
    from colorpipe.training import TrainingPictures

LATTICE = 2
"""The loss looks at every second position, each way: a quarter of them carries nearly all there is to learn."""


class ZhangTask(Task):
    """L (N,1,h,w) -> logits (N,313,h/4,w/4), trained as classification of colour."""

    options: TrainOptions

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        table = bins.encoding_table()
        self.bins, self.shares = torch.from_numpy(table[0].astype(np.int64)), torch.from_numpy(table[1].copy())
        self.centres = torch.from_numpy(bins.bin_centres().copy())
        self.weights = torch.ones(BINS)
        self.log_weights: Tensor | None = None
        """(313,) once the pictures are known: rebalancing adds them to what is learned."""
        self.teacher: nn.Module | None = None

    def network(self) -> CompactZhang | BaseZhang:
        network = self._base() if self.options.architecture == "base" else self._compact()
        if self._emphasis_alone:
            network.requires_grad_(False)
            network.emphasis = network.emphasis or Emphasis()
        if network.emphasis is not None:
            network.emphasis.requires_grad_(self._emphasis_alone)
        return network

    @property
    def _emphasis_alone(self) -> bool:
        return self.options.learn == "emphasis"

    def _compact(self) -> CompactZhang:
        network = CompactZhang()
        start = self.options.start
        if start == "random":
            return network
        if start.lower().endswith(".npz"):
            load_encoder(network, Path(start))
        else:
            file = BUNDLED if start in ("encoder", "bundled") else Path(start)
            load_trained(network, file, start == "encoder", self.log_weights)
        # The lowest layers see edges, grey or not, and their depthwise convolutions are the dearest to train.
        network.stem.requires_grad_(False)
        for block in network.blocks[: self.options.frozen_blocks]:
            block.requires_grad_(False)
        return network

    def _base(self) -> BaseZhang:
        network = BaseZhang()
        start = self.options.start
        if start == "random":
            return network
        if start.lower().endswith((".npz", ".pth", ".pt", ".bin")):
            load_dinov2(network.encoder, Path(start))
        else:
            file = BASE if start in ("encoder", "bundled") else Path(start)
            load_trained(network, file, start == "encoder", self.log_weights)
        network.encoder.requires_grad_(False)
        for block in network.encoder.blocks[len(network.encoder.blocks) - self.options.tuned_blocks :]:
            block.requires_grad_(True)
        network.encoder.norm.requires_grad_(self.options.tuned_blocks > 0)
        return network

    def prepare(self, pictures: TrainingPictures, training: list[int]) -> None:
        """Class prior over the training pictures, at the resolution of the logits, and the weights it gives."""
        side = self.picture_side // self.stride
        counts = sum((bins.count(pictures.chroma(index, side)) for index in training), np.zeros(BINS))
        prior = smooth_prior(counts, bins.bin_centres(), bins.SIGMA)
        self.weights = torch.from_numpy(rebalancing_weights(prior, self.options.rebalance)).float()
        self.log_weights = self.weights.log()
        if self.options.teacher is not None:
            self.teacher = open_teacher(self.options.teacher).requires_grad_(False)

    def groups(self, network: nn.Module) -> Iterable[Mapping[str, Any]]:
        """A pretrained encoder learns slower than the fresh decoder, its lower blocks slowest."""
        assert isinstance(network, (CompactZhang, BaseZhang))
        parts = [network.encoder] if isinstance(network, BaseZhang) else [network.stem, network.blocks]
        encoder = [p for part in parts for p in part.parameters() if p.requires_grad]
        known = {id(p) for p in encoder}
        decoder = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
        if self.options.start == "random" or self._emphasis_alone:
            return [{"params": encoder + decoder}]
        groups: list[Mapping[str, Any]] = [{"params": decoder}]
        blocks: Iterable[nn.Module] = network.encoder.blocks if isinstance(network, BaseZhang) else ()
        for above, block in enumerate(reversed(list(blocks))):
            own = [p for p in block.parameters() if p.requires_grad]
            if own:
                groups.append({"params": own, "scale": self.options.encoder_rate * self.options.block_falloff**above})
                encoder = [p for p in encoder if not any(p is one for one in own)]
        return groups + ([{"params": encoder, "scale": self.options.encoder_rate}] if encoder else [])

    def encode(self, ab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ab (N,2,h,w) -> bins (N,5,h,w) int64, their shares (N,5,h,w), rebalancing weights (N,h,w)."""
        self._to(ab.device)
        cell = (ab.round().long() + 128).clamp_(0, 255)
        row = cell[:, 0] * 256 + cell[:, 1]
        nearest = self.bins[row].permute(0, 3, 1, 2)
        return nearest, self.shares[row].permute(0, 3, 1, 2), self.weights[nearest[:, 0]]

    def _to(self, device: torch.device) -> None:
        if self.weights.device != device:
            for name in ("bins", "shares", "centres", "weights"):
                setattr(self, name, getattr(self, name).to(device))
            if self.teacher is not None:
                self.teacher.to(device)

    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        assert isinstance(network, (CompactZhang, BaseZhang))
        if self._emphasis_alone:
            return self._emphasis_loss(network, L, ab)
        dy, dx = step % LATTICE, step // LATTICE % LATTICE
        features = network.features(L) if isinstance(network, BaseZhang) else self._features(network, L)
        logits = network.classify(features[..., dy::LATTICE, dx::LATTICE]).float()
        truth = ab[..., dy::LATTICE, dx::LATTICE]
        loss = self._cross_entropy(logits, truth)
        # Rebalancing adds log w to what is learned, until the export. A teacher's file holds the true odds already.
        odds = logits - self._log_weights(logits.device)
        if self.teacher is not None:
            with torch.no_grad():
                taught = self.teacher(L)[..., dy::LATTICE, dx::LATTICE].float().softmax(1)
            told = odds.log_softmax(1)
            loss = (1 - self.options.taught) * loss - self.options.taught * (taught * told).sum(1).mean()
        if self.options.joint:
            mean = torch.einsum("nqhw,qc->nchw", odds.softmax(1), self.centres)
            loss = loss + self.options.joint * F.smooth_l1_loss(mean / 10, truth / 10)
        return loss

    def _emphasis_loss(self, network: CompactZhang | BaseZhang, L: Tensor, ab: Tensor) -> Tensor:
        """Of the colours as they would be decoded, at every second place."""
        assert network.emphasis is not None
        self._to(L.device)
        with torch.no_grad():
            logits = self._exported(network(L))[..., ::LATTICE, ::LATTICE]
        with torch.autocast(L.device.type, enabled=False):
            vibrance = network.emphasis.of(facts(L.float(), logits, self.centres))
            options = self.options
            found = to_ab(logits, self.centres, options.natural_T, vibrance, options.natural_grey_T)
            lightness = F.avg_pool2d(L.float(), L.shape[3] // logits.shape[3])
            return objective(lightness, found, F.avg_pool2d(ab.float(), LATTICE), options.colourful)

    def _exported(self, logits: Tensor) -> Tensor:
        """Logits as the exported file gives them, float32."""
        return logits.float() + self._shift().to(logits.device).view(1, -1, 1, 1)

    def _log_weights(self, device: torch.device) -> Tensor:
        """(1,313,1,1): the values that rebalancing adds to the logits."""
        self._to(device)
        return self.weights.log().view(1, -1, 1, 1)

    def _features(self, network: CompactZhang, L: Tensor) -> Tensor:
        """``network.features`` without keeping what frozen layers would need for gradients."""
        frozen = 0
        for block in network.blocks:
            assert isinstance(block, InvertedResidual)
            if block.project.weight.requires_grad:
                break
            frozen += 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and network.stem.weight.requires_grad):
            x = network.embed(L)
            taps = network.encode(x, 0, frozen) if frozen else {}
            x = taps[frozen - 1] if frozen else x
        taps.update(network.encode(x, frozen, len(network.blocks)))
        return network.decode(taps)

    def _cross_entropy(self, logits: Tensor, ab: Tensor) -> Tensor:
        nearest, shares, weights = self.encode(ab)
        chosen = logits.float().log_softmax(1).gather(1, nearest)
        return -((chosen * shares).sum(1) * weights).mean()

    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """``loss``; ``gain``, dB of PSNR over grey; ``vivid``, colourfulness over the truth's.

        The last two as the exported file decodes by itself.
        """
        from colorpipe.training import ValidationBatch

        truth = ValidationBatch(rgb, self.see)
        logits = network(truth.seen).float()
        self._to(rgb.device)
        shifted = self._exported(logits)
        loss = self._cross_entropy(logits, F.avg_pool2d(truth.ab, self.stride))
        options = self.options
        emphasis = getattr(network, "emphasis", None)
        vibrance = options.natural_vibrance if emphasis is None else emphasis(truth.seen, shifted, self.centres)
        ab = to_ab(shifted, self.centres, options.natural_T, vibrance, options.natural_grey_T)
        return {"loss": float(loss), **truth.score(ab)}

    def _shift(self) -> Tensor:
        """(313,): the values that export adds to the logits."""
        options = self.options
        weights = self.weights.cpu().double().numpy()
        shift = bins.logit_shift(weights, options.rebalance_correction, options.lift, options.restraint)
        return torch.from_numpy(shift).float()

    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        """The state dict with the shift in ``classify.bias``; how to decode, the shift and log w in the metadata."""
        tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}
        tensors["classify.bias"] += self._shift().to(tensors["classify.bias"].device)
        options = self.options.decisive()
        for name in ("start", "teacher"):
            options[name] = options[name] and Path(options[name]).name
        if isinstance(network, BaseZhang):
            tensors = quantise(tensors)
        facts = {
            "architecture": f"colorpipe-{options['architecture']}-zhang",
            "natural_T": self.options.natural_T,
            "natural_vibrance": self.options.natural_vibrance,
            **({} if self.options.natural_grey_T is None else {"natural_grey_T": self.options.natural_grey_T}),
            "logit_shift": [round(float(value), 4) for value in self._shift()],
            "log_weights": [round(float(value), 4) for value in self.weights.log()],
            "training": options,
        }
        return tensors, as_metadata(facts)
