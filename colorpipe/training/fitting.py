"""Training: what any trainable colorizer shares.

A plugin gives a :class:`Task`: its network, its loss, its scores and what is exported. :func:`fit` does the rest:
pictures, order, optimizer, checkpoints that survive ``kill -9``, the loss curve, the weights file. Needs the extra
``colorpipe[train]`` (Lightning, matplotlib), imported when a run starts.
"""

from __future__ import annotations

import abc
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from colorpipe.errors import TrainingError
from colorpipe.options import Options, option

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from colorpipe.color import Float
    from colorpipe.plugins.host import PluginHost
    from colorpipe.plugins.interfaces import Preprocessor
    from colorpipe.training.data import Pictures


@dataclass(frozen=True)
class TrainingOptions(Options):
    """What every run takes; a plugin's ``TrainOptions`` inherits it and adds its own."""

    steps: int = option(4000, "optimizer steps of the whole run; the learning rate falls to 0 by then", min=1)
    minutes: float | None = option(None, "wall time of the whole run, resumed parts included; ends it early", min=0.01)
    batch: int = option(32, "pictures per step", min=1, max=4096)
    rate: float = option(1.5e-3, "peak learning rate of AdamW, cosine schedule", min=0, max=1)
    side: int = option(192, "side of the training crops, pixels, a multiple of 32", min=32, max=1024)
    final_side: int = option(256, "side of the crops in the last part of the run", min=32, max=1024)
    final_share: float = option(0.15, "share of the steps that is the last part", min=0, max=1)
    age: float = option(0.3, "share of samples that imitate old photographs: blur, fading, grain, JPEG", min=0, max=1)
    held_out: int = option(500, "pictures kept for validation; a tenth of all where that is fewer", min=1)
    held_out_share: float | None = option(
        None, "share of the pictures kept for validation, in place of a number", min=0.01, max=0.9
    )
    repeat: Path | None = option(None, "text file of names of pictures: each line shows one once more in every pass")
    validate_every: int = option(250, "steps between validations", min=1)
    patience: int | None = option(None, "stop after this many validations without improvement", min=1)
    keep_best: bool = option(False, "keep the weights of the best validation too, as NAME.best.safetensors")
    preprocessor: str | None = option(None, "what the network's view goes through, as in `run --preprocessor`")
    checkpoint_minutes: float = option(2.0, "minutes between checkpoints", min=0)
    resume: bool = option(False, "go on from the output file's last checkpoint, if there is one")
    seed: int = option(0, "seed of everything random", min=0)
    device: Literal["auto", "cpu", "cuda", "mps"] = option("auto", "where to train")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option("auto", "arithmetic of the network while training")
    workers: int | None = option(None, "processes that prepare pictures; none given: 0 on a CPU, 8 else", min=0)

    def decisive(self) -> dict[str, Any]:
        """What the weights depend on, for their metadata; files by their names."""
        paths = {name: value.name for name, value in vars(self).items() if isinstance(value, Path)}
        left_out = ("checkpoint_minutes", "resume", "workers")
        return {name: value for name, value in (self.as_dict() | paths).items() if name not in left_out}


class Task(abc.ABC):
    """What a trainable plugin knows that the loop does not.

    ``options`` is the plugin's ``TrainOptions``. Methods are called in the order in which they stand here; all but
    ``prepare`` on the training device.
    """

    stride: int = 4
    """The targets given to ``loss`` are this much smaller than L, each way."""
    picture_side: int = 256
    """Pictures are squashed to a square of this side, as they are at inference."""
    padded: bool = False
    """They keep their proportions instead, in the middle of a white square."""
    monitor: str = "loss"
    """The score of ``validate`` that early stopping watches; lower is better."""
    losses_of: Sequence[str] = ("loss",)
    """What the log calls the values of ``losses``; the last one is ``loss``."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is validated and exported: about the last 500 steps.
    0 takes the weights as they are."""
    preprocessor: Preprocessor | None = None
    """What the network's view goes through; set by ``fit``."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options

    def see(self, L: Float) -> Float:
        """L (h,w) 0..100 as the network is to see it."""
        from colorpipe.types import Lab

        return L if self.preprocessor is None else self.preprocessor.apply(Lab(L)).L

    def prepare(self, pictures: Pictures, training: list[int]) -> None:  # noqa: B027 - optional
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
        """What the weights file holds: tensors by name, and metadata. Float tensors are stored as fp16."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    output: Path
    steps: int
    minutes: float
    """Wall time of all parts."""
    scores: Mapping[str, float]
    """Of the exported weights on the held-out pictures."""


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps its things, all beside the output."""

    output: Path

    @property
    def folder(self) -> Path:
        """Checkpoint and decoded pictures; removed when the run is complete."""
        return self.output.with_name(self.output.stem + ".training")

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def log(self) -> Path:
        return self.output.with_suffix(".csv")

    @property
    def plot(self) -> Path:
        return self.output.with_suffix(".png")

    @property
    def best(self) -> Path:
        return self.output.with_suffix(".best.safetensors")


def fit(task: Task, data: Path, output: Path, host: PluginHost | None = None) -> TrainingResult:
    """Train ``task`` on the pictures under ``data`` and write the weights to ``output`` (safetensors).

    Beside it appear the log (``.csv``), the loss plot (``.png``) and, while it runs, a folder ``.training`` with the
    checkpoint. A killed run goes on from there with ``resume``: same data order, same augmentation, same curve.

    Raises:
        TrainingError: Lightning is missing, too few pictures, a checkpoint is there but ``resume`` was not asked for,
            or the loss is not finite.
    """
    try:
        from colorpipe.training import loop
    except ImportError as error:
        raise TrainingError(f"training needs {error.name}", hint='pip install "colorpipe[train]"') from error
    if output.suffix != ".safetensors":
        raise TrainingError(f"{output} does not end in .safetensors", hint="weights are written in that format")
    for side in (task.options.side, task.options.final_side):
        if side % 32:
            raise TrainingError(f"the side of a crop is a multiple of 32, not {side}")
    if task.options.preprocessor is not None:
        from colorpipe.plugins.host import PluginHost

        task.preprocessor = (host or PluginHost.load()).preprocessor(task.options.preprocessor)()
    files = RunFiles(output)
    if files.checkpoint.exists() and not task.options.resume:
        raise TrainingError(
            f"an unfinished run for {output} is in {files.folder}", hint="go on with --resume, or delete that folder"
        )
    if task.options.resume and not files.checkpoint.exists():
        warn(f"there is no checkpoint for {output}: the run starts at its beginning")
    output.parent.mkdir(parents=True, exist_ok=True)
    return loop.run(task, data, files)


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors, floats as fp16, whole or not at all. Equal input gives an equal file."""
    from safetensors.torch import save

    def stored(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach().cpu()
        return (tensor.half() if tensor.is_floating_point() else tensor).contiguous()

    content = save({name: stored(tensor) for name, tensor in tensors.items()}, dict(metadata))
    # Eight bytes of length, a JSON header, the tensors. safetensors leaves the order of the metadata to chance.
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    part = path.with_name(path.name + ".part")
    with part.open("wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        handle.write(memoryview(content)[start:])
        handle.flush()
        os.fsync(handle.fileno())  # before the rename: a power cut must not leave a name without content
    part.replace(path)


def warn(message: str) -> None:
    """One line to standard error."""
    print(message, file=sys.stderr, flush=True)


def as_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """safetensors holds texts only: everything that is none becomes JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
