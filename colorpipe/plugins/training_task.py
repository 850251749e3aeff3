"""A trainable plugin gives a :class:`Task` and its options; ``colorpipe.training.fit`` runs it."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from colorpipe.options import Options, option

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from colorpipe.color import Float


class TrainingPictures(Protocol):
    """The pictures of a training, decoded and squashed to squares."""

    @property
    def names(self) -> Sequence[str]:
        """Their paths."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> NDArray[Any]:
        """(side, side, 3) uint8."""

    def chroma(self, index: int, side: int) -> Float:
        """ab (side, side, 2) in CIE units, averaged over areas."""


@dataclass(frozen=True)
class TrainingOptions(Options):
    """The options of every run; a plugin's ``TrainOptions`` inherits them and adds its own."""

    steps: int = option(
        4000, "steps of learning in the whole run; what a step changes gets ever smaller until then", min=1
    )
    minutes: float | None = option(
        None, "minutes of the whole run, with those before a --resume; ends it early", min=0.01
    )
    batch: int = option(32, "pictures that each step learns from; more need more memory", min=1, max=4096)
    rate: float = option(
        1.5e-3, "how much a step changes at most (the learning rate, of AdamW; it falls along a cosine)", min=0, max=1
    )
    side: int = option(
        192, "side of the squares that are cut from the pictures, pixels, a multiple of 32", min=32, max=1024
    )
    final_side: int = option(256, "side of the squares in the last part of the run", min=32, max=1024)
    final_share: float = option(0.15, "share of the steps that is the last part", min=0, max=1)
    age: float = option(
        0.3,
        "share of the pictures that are made to look old: blurred, faded, with grain and JPEG's marks",
        min=0,
        max=1,
    )
    held_out: int = option(
        500, "pictures kept apart, to tell how well it does on others; a tenth of all where that is fewer", min=1
    )
    held_out_share: float | None = option(
        None, "share of the pictures kept apart, in place of a number", min=0.01, max=0.9
    )
    validation: Path | None = option(
        None,
        "folder of colour pictures from elsewhere, none of which is learned from: how well it does is told by these, "
        "and by those kept apart only at the end",
    )
    repeat: Path | None = option(
        None, "text file of names of pictures: those are shown once more in every round, for each line"
    )
    validate_every: int = option(250, "steps between looks at how well it does", min=1)
    patience: int | None = option(None, "stop after so many looks that found it no better", min=1)
    keep_best: bool = option(False, "also keep what was learned when it did best, as NAME.best.safetensors")
    preprocessor: str | None = option(
        None, "a step that prepares each picture before it is looked at, as in `run --preprocessor`"
    )
    checkpoint_minutes: float = option(
        2.0, "minutes after which the work is stored, to go on from with --resume", min=0
    )
    resume: bool = option(
        False,
        "go on from what an earlier run of the same output file stored last, if there is anything; a finished run is "
        "made longer by --steps, or by --minutes",
    )
    seed: int = option(0, "number that everything left to chance begins with: the same one gives the same run", min=0)
    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "what computes: cpu is the processor, cuda an NVIDIA card, mps Apple's; auto takes the fastest"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "how finely is computed: fp32 exactly, bf16 and fp16 rounded, which is faster on some machines"
    )
    workers: int | None = option(
        None,
        "programs beside this one that prepare pictures; none given: 0 on a processor, 8 with a graphics card",
        min=0,
    )

    def decisive(self) -> dict[str, Any]:
        """The options that the weights depend on, for their metadata; files by their names."""
        paths = {name: value.name for name, value in vars(self).items() if isinstance(value, Path)}
        left_out = ["checkpoint_minutes", "resume", "workers"]
        left_out += ["validation"] if self.validation is None else []
        return {name: value for name, value in (self.as_dict() | paths).items() if name not in left_out}


class Task(abc.ABC):
    """The part of a training that the plugin gives: network, loss, scores and export.

    ``options`` is the plugin's ``TrainOptions``. Methods are called in the order in which they stand here; all but
    ``prepare`` on the training device.
    """

    stride: int = 4
    """The targets given to ``loss`` are smaller than L by this factor in each direction."""
    picture_side: int = 256
    """Pictures are squashed to a square of this side, as they are at inference."""
    padded: bool = False
    """Pictures keep their proportions instead, in the middle of a white square."""
    monitor: str = "loss"
    """The score of ``validate`` that early stopping watches; lower is better."""
    losses_of: Sequence[str] = ("loss",)
    """The names of the values of ``losses`` in the log; the last one is ``loss``."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is validated and exported: about the last 500 steps.
    0 takes the weights as they are."""
    meanings: ClassVar[Mapping[str, tuple[str, Literal["higher", "lower", "near 1"]]]] = MappingProxyType({})
    """A description for a person of each score that ``validate`` gives besides ``loss``, ``gain`` and ``vivid``, and
    which values of it are better."""
    view: Callable[[Float], Float] | None = None
    """Changes L (h,w) 0..100 before the network sees it: the preprocessor that was asked for. ``fit`` sets it."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options

    def see(self, L: Float) -> Float:
        """L (h,w) 0..100 as the network will see it."""
        return L if self.view is None else self.view(L)

    def prepare(self, pictures: TrainingPictures, training: list[int]) -> None:  # noqa: B027 - optional
        """Look at the training pictures before the first step, for statistics; repeated when a run is resumed."""

    @abc.abstractmethod
    def network(self) -> nn.Module:
        """The network to train, made anew. Parameters that stay as they are have ``requires_grad`` off."""

    def groups(self, network: nn.Module) -> Iterable[Mapping[str, Any]]:
        """Parameter groups of the optimizer: ``params`` and, where it differs from 1, ``scale`` of the rate."""
        return [{"params": [p for p in network.parameters() if p.requires_grad]}]

    def optimizers(self, network: nn.Module) -> Sequence[Optimizer]:
        """One for each value of ``losses``; AdamW over ``groups`` unless said otherwise."""
        import torch

        rate = self.options.rate
        groups = [
            {"params": list(group["params"]), "lr": rate * group.get("scale", 1.0)} for group in self.groups(network)
        ]
        return [torch.optim.AdamW(groups, lr=rate, weight_decay=1e-2)]

    def schedule(self, step: int, progress: float) -> float:
        """Factor of the learning rate at a step; ``progress`` is 0..1. A warm-up over 100 steps, then a cosine to 0."""
        return min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))

    @abc.abstractmethod
    def loss(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Tensor:
        """L (N,1,h,w) 0..100 and ab (N,2,h/stride,w/stride) CIE units -> a scalar.

        Anything random comes from torch's generator, whose state is in the checkpoint, or depends on ``step`` only: a
        resumed run repeats it.
        """

    def losses(self, network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Iterator[Tensor]:
        """One loss for each optimizer, which takes its step before the next loss is asked for.

        For networks that are trained against each other; the others have the one of ``loss``.
        """
        yield self.loss(network, L, ab, step)

    @abc.abstractmethod
    def validate(self, network: nn.Module, rgb: Tensor) -> Mapping[str, float]:
        """Scores, averaged over the batch ``rgb`` (N,picture_side,picture_side,3) uint8; among them ``monitor``.

        Its lightness goes through ``see`` before the network.
        """

    @abc.abstractmethod
    def export(self, network: nn.Module) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
        """The content of the weights file: tensors by name, and metadata. Float tensors are stored as fp16."""
