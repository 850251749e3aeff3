"""A task as Lightning sees it: its networks, their moving average, one optimizer for each loss, and the run's clock."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from colorpipe.plugins.training_task import Task, TrainingOptions

with warnings.catch_warnings():  # its dependencies' deprecations are not the user's concern
    warnings.simplefilter("ignore")
    import lightning.pytorch as lightning

CLIP = 1.0
"""Norm to which gradients are cut."""


class Clock:
    """How far a run is, over all its parts; what the schedule hangs on."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.step = 0
        self.seconds = 0.0
        self.begun = 0
        """The step that this run began at: more than 0 for one that extends a finished run."""
        self._begun_seconds = 0.0
        self._since: float | None = None

    def extend(self) -> None:
        """Count all work so far as a finished run's: steps, minutes and schedule start from here."""
        self.begun, self._begun_seconds = self.step, self.seconds

    @property
    def last(self) -> int:
        """The step that ends the run, if no minutes do."""
        return self.begun + self.options.steps

    def tick(self, step: int) -> None:
        """Note that ``step`` steps are done."""
        now = time.monotonic()
        self.seconds += 0.0 if self._since is None else now - self._since
        self._since, self.step = now, step

    @property
    def progress(self) -> float:
        """0..1: the share of the steps or of the minutes that is used up, whichever is more."""
        share = (self.step - self.begun) / self.options.steps
        if self.options.minutes is not None:
            share = max(share, (self.seconds - self._begun_seconds) / 60 / self.options.minutes)
        return min(share, 1.0)

    def side(self, step: int) -> int:
        """Side of the crops of batch ``step``."""
        late = max((step - self.begun) / self.options.steps, self.progress) >= 1 - self.options.final_share
        return self.options.final_side if late else self.options.side

    def state_dict(self) -> dict[str, float]:
        begun = {"begun": self.begun, "begun_seconds": self._begun_seconds}
        return {"step": self.step, "seconds": self.seconds, **begun}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        self.begun, self._begun_seconds = int(state.get("begun", 0)), float(state.get("begun_seconds", 0.0))


class Module(lightning.LightningModule):
    """Ties a task to Lightning: its networks, their moving average, one optimizer for each loss."""

    def __init__(self, task: Task, clock: Clock) -> None:
        super().__init__()
        self.task = task
        self.clock = clock
        self.network = task.network()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = [p.detach().clone() for p in self._trained()]
        self.losses: list[Tensor] = []
        """Losses of each step since the log's last row, (turns,)."""
        self.scores: dict[str, float] = {}
        self.automatic_optimization = len(task.losses_of) == 1

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in self.network.parameters() if p.requires_grad]

    @property
    def rate(self) -> float:
        """Factor of the learning rates at the next step."""
        return self.task.schedule(self.clock.step - self.clock.begun, self.clock.progress)

    def configure_optimizers(self) -> Any:
        optimizers = self.task.optimizers(self.network)
        self.peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
        return [
            {
                "optimizer": optimizer,
                "lr_scheduler": {
                    "scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: self.rate),
                    "interval": "step",
                },
            }
            for optimizer in optimizers
        ]

    def on_train_start(self) -> None:
        """The peak rates that were asked for, not the checkpoint's: a resumed run may be given others."""
        found: Any = self.lr_schedulers()
        for scheduler, peaks in zip(found if isinstance(found, list) else [found], self.peaks, strict=True):
            scheduler.base_lrs = list(peaks)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor | None:
        losses = self.task.losses(self.network, *batch, step=self.clock.step)
        if self.automatic_optimization:
            loss = next(losses)
            self.losses.append(loss.detach().clone()[None])  # a mean may hold on to all that it was taken over
            return loss
        taken = []
        for optimizer, schedule, loss in zip(self.optimizers(), self.lr_schedulers(), losses, strict=True):  # type: ignore[arg-type]
            self.zero_grad()  # clears the others too: each loss reaches every network
            self.manual_backward(loss)
            self.clip_gradients(optimizer, CLIP, "norm")
            optimizer.step()
            schedule.step()
            taken.append(loss.detach())
        self.losses.append(torch.stack(taken))
        return None

    def after_step(self) -> None:
        """Move clock and average on. Called by the keeper: Lightning's own hook comes after the callbacks'."""
        self.clock.tick(self.global_step // len(self.task.losses_of))
        self.average = [a.to(p.device) for a, p in zip(self.average, self._trained(), strict=True)]
        decay = min(self.task.average, (1 + self.clock.step) / (10 + self.clock.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self._trained()], 1 - decay)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The network with averaged weights, for a while."""
        own = [p.detach().clone() for p in self._trained()]
        self.use_average()
        try:
            yield
        finally:
            self._set(own)

    def use_average(self) -> None:
        self._set(self.average)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._trained(), values, strict=True):
            parameter.copy_(value)

    def score(self, batches: Any) -> dict[str, float]:
        """Scores averaged over the pictures of ``batches``."""
        totals: dict[str, float] = {}
        count = 0
        self.network.eval()
        with torch.no_grad(), self.trainer.precision_plugin.forward_context():
            for rgb in batches:
                for name, value in self.task.validate(self.network, rgb.to(self.device)).items():
                    totals[name] = totals.get(name, 0.0) + float(value) * len(rgb)
                count += len(rgb)
        self.network.train()
        return {name: value / count for name, value in totals.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["average"] = self.average
        checkpoint["clock"] = self.clock.state_dict()
        checkpoint["losses"] = self.losses
        checkpoint["torch_rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.average, self.losses = checkpoint["average"], checkpoint["losses"]
        torch.set_rng_state(checkpoint["torch_rng"])
