"""The loop behind :func:`colorpipe.training.fit`, on Lightning: imported only when a run starts."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import math
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from colorpipe.errors import DeviceError, TrainingError
from colorpipe.files import write_whole, written_whole
from colorpipe.plugins.training_task import Task, TrainingOptions
from colorpipe.training.data import BatchOrder, Pictures, Samples, collate, find_pictures, repeated, split
from colorpipe.training.run_files import RunFiles, TrainingResult, warn
from colorpipe.weights.checkpoints import save_weights

with warnings.catch_warnings():  # its dependencies' deprecations are not the user's concern
    warnings.simplefilter("ignore")
    import lightning.pytorch as lightning
    from lightning.pytorch.utilities import disable_possible_user_warnings

CLIP = 1.0
"""Norm to which gradients are cut."""
VALIDATION_BATCH = 16
INTERIM = 160
"""Held-out pictures scored during a run; all of them are scored at its end."""


def run(task: Task, data: Path, files: RunFiles) -> TrainingResult:
    """See :func:`colorpipe.training.fit`."""
    options = task.options
    cv2.setNumThreads(1)  # crops are small; its threads would fight with torch's
    disable_possible_user_warnings()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(options.seed, verbose=False)
    pictures = Pictures(find_pictures(data), task.picture_side, files.folder, warn, task.padded)
    training, validation = split(pictures.names, options.held_out, options.held_out_share)
    task.prepare(pictures, training)
    if options.repeat is not None:
        training += repeated(options.repeat, pictures.names, training)
    clock = Clock(options)
    module = Module(task, clock)
    held_out = _Held(pictures, validation)
    keeper = CheckpointCallback(files, clock, _batches(held_out, INTERIM))
    resumed = options.resume and files.checkpoint.exists()
    if resumed:
        clock.load_state_dict(_read(files.checkpoint)["clock"])
    accelerator, precision = _device(options)
    turns = len(module.task.losses_of)
    if turns > 1 and precision == "16-mixed":
        raise TrainingError("two networks against each other do not train in fp16", hint="use --precision bf16 or fp32")
    order = BatchOrder(training, options.batch, options.seed, clock.step, clock.side)
    workers = options.workers if options.workers is not None else (0 if accelerator == "cpu" else 8)
    stream: Any = torch.utils.data.DataLoader(
        Samples(pictures, options.seed, task.stride, options.age, task.see),  # type: ignore[arg-type]  # indexed by Draw
        batch_sampler=order,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # its own: a loader that is begun anew would move torch's, and a resumed curve
    )
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_steps=options.steps * turns,  # Lightning counts the steps of each optimizer
        max_epochs=-1,
        limit_val_batches=0,  # scores are of the averaged weights: the keeper sees to them
        gradient_clip_val=CLIP if turns == 1 else None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[keeper, Progress(options, clock)],
    )
    with warnings.catch_warnings(), _interruptible(keeper, trainer):
        warnings.filterwarnings("ignore", module=r"lightning.*")
        trainer.fit(
            module,
            stream,
            ckpt_path=files.checkpoint if resumed else None,
            weights_only=False,  # our own file of a moment ago: it holds the optimizer's and Lightning's own objects
        )
    module.use_average()
    scores = module.score(_batches(held_out, len(validation)))
    tensors, metadata = task.export(module.network)
    save_weights(files.output, tensors, metadata)
    keeper.plot()
    shutil.rmtree(files.folder)
    return TrainingResult(files.output, clock.step, clock.seconds / 60, scores)


class Clock:
    """How far a run is, over all its parts; what the schedule hangs on."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.step = 0
        self.seconds = 0.0
        self._since: float | None = None

    def tick(self, step: int) -> None:
        """Note that ``step`` steps are done."""
        now = time.monotonic()
        self.seconds += 0.0 if self._since is None else now - self._since
        self._since, self.step = now, step

    @property
    def progress(self) -> float:
        """0..1: the share of the steps or of the minutes that is used up, whichever is more."""
        share = self.step / self.options.steps
        if self.options.minutes is not None:
            share = max(share, self.seconds / 60 / self.options.minutes)
        return min(share, 1.0)

    def side(self, step: int) -> int:
        """Side of the crops of batch ``step``."""
        late = max(step / self.options.steps, self.progress) >= 1 - self.options.final_share
        return self.options.final_side if late else self.options.side

    def state_dict(self) -> dict[str, float]:
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


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
        """Of each step since the log's last row, (turns,)."""
        self.scores: dict[str, float] = {}
        self.automatic_optimization = len(task.losses_of) == 1

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in self.network.parameters() if p.requires_grad]

    @property
    def rate(self) -> float:
        """Factor of the learning rates at the step that is next."""
        return self.task.schedule(self.clock.step, self.clock.progress)

    def configure_optimizers(self) -> Any:
        return [
            {
                "optimizer": optimizer,
                "lr_scheduler": {
                    "scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: self.rate),
                    "interval": "step",
                },
            }
            for optimizer in self.task.optimizers(self.network)
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor | None:
        losses = self.task.losses(self.network, *batch, step=self.clock.step)
        if self.automatic_optimization:
            loss = next(losses)
            self.losses.append(loss.detach().clone()[None])  # a mean may hold on to all that it was taken over
            return loss
        taken = []
        for optimizer, schedule, loss in zip(self.optimizers(), self.lr_schedulers(), losses, strict=True):  # type: ignore[arg-type]
            self.zero_grad()  # of the others too: each loss reaches every network
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


class CheckpointCallback(lightning.Callback):
    """Checkpoints, log, plot; validation; the end of a run whose minutes are used up or that no longer improves."""

    def __init__(self, files: RunFiles, clock: Clock, held_out: Any) -> None:
        self.files = files
        self.clock = clock
        self.held_out = held_out
        self.saved = time.monotonic()
        self.best: tuple[float, int] = (math.inf, 0)

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.clock.tick(self.clock.step)
        kept = [row for row in _rows(self.files.log) if int(row["step"]) <= self.clock.step]
        _write_rows(self.files.log, kept if self.clock.step else [])

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        module.after_step()
        step, options = self.clock.step, module.task.options
        if step % min(25, options.validate_every) == 0 or step == options.steps:
            losses = dict(zip(module.task.losses_of, torch.stack(module.losses).mean(0).tolist(), strict=True))
            module.losses.clear()
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise TrainingError(f"the {name} is {value} at step {step}", hint="resume with a lower --rate")
            self._log(step, module, losses)
        if step % options.validate_every == 0:
            self._validate(trainer, module)
        if time.monotonic() - self.saved >= options.checkpoint_minutes * 60:
            self.save(trainer)
        if self.clock.progress >= 1:
            trainer.should_stop = True

    def _log(self, step: int, module: Module, losses: Mapping[str, float]) -> None:
        options = module.task.options
        row = {"step": step, "seconds": round(self.clock.seconds, 1), "samples": step * options.batch}
        told = {name: f"{value:.6f}" for name, value in losses.items()}
        _append(self.files.log, {**row, "rate": f"{options.rate * module.rate:.3e}", **told})

    def _validate(self, trainer: Any, module: Any) -> None:
        options = module.task.options
        with module.averaged():
            module.scores = module.score(self.held_out)
            value = module.scores[module.task.monitor]
            if options.keep_best and value < self.best[0]:
                save_weights(self.files.best, *module.task.export(module.network))
        scores = {f"val_{name}": f"{value:.4f}" for name, value in module.scores.items()}
        _append(self.files.log, {"step": self.clock.step, "seconds": round(self.clock.seconds, 1), **scores})
        self.best = (value, 0) if value < self.best[0] else (self.best[0], self.best[1] + 1)
        if options.patience is not None and self.best[1] >= options.patience:
            trainer.should_stop = True
        self.plot()

    def save(self, trainer: Any) -> None:
        """Write the checkpoint beside the last one, then put it in its place."""
        with written_whole(self.files.checkpoint) as part:
            trainer.save_checkpoint(part)
        self.saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def plot(self) -> None:
        """The loss and the scores over the steps, as a picture beside the log."""
        from matplotlib.figure import Figure

        rows = _rows(self.files.log)
        names = [name for name in (rows[0] if rows else {}) if name.startswith(("loss", "val_"))]
        series = {n: [(int(r["step"]), float(r[n])) for r in rows if r.get(n)] for n in names}
        losses = {n: s for n, s in series.items() if n.startswith("loss") or n == "val_loss"}
        others = {n: s for n, s in series.items() if n not in losses and s}
        figure = Figure(figsize=(8, 3 + 1.6 * len(others)), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1 + len(others), 1, sharex=True))
        for axis, group in zip(axes, [losses, *({n: s} for n, s in others.items())], strict=True):
            for name, points in group.items():
                axis.plot(*np.array(points or np.empty((0, 2))).T, label=name, marker="." if "val" in name else None)
            axis.legend()
            axis.grid(alpha=0.3)
        axes[-1].set_xlabel("step")
        with written_whole(self.files.plot) as part:
            figure.savefig(part, format="png")


class Progress(lightning.Callback):
    """A bar with step, loss and time left; nothing where standard error is no terminal."""

    def __init__(self, options: TrainingOptions, clock: Clock) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        self.options, self.clock = options, clock
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self.row = self.bar.add_task("training", total=1.0)

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.bar.start()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        scores = "  ".join(f"{name} {value:.3g}" for name, value in module.scores.items())
        text = f"step {self.clock.step}/{self.options.steps}  {scores}"
        self.bar.update(self.row, completed=self.clock.progress, description=text)

    def teardown(self, trainer: Any, module: Any, stage: str) -> None:
        self.bar.stop()


class _Held(torch.utils.data.Dataset[Tensor]):
    """Held-out pictures, (side, side, 3) uint8."""

    def __init__(self, pictures: Pictures, indices: list[int]) -> None:
        self.pictures, self.indices = pictures, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self.pictures[self.indices[index]]))


def _batches(held_out: _Held, count: int) -> Any:
    """The first ``count`` held-out pictures in batches."""
    subset = torch.utils.data.Subset(held_out, range(min(count, len(held_out))))
    return torch.utils.data.DataLoader(subset, batch_size=VALIDATION_BATCH, generator=torch.Generator())


@contextlib.contextmanager
def _interruptible(keeper: CheckpointCallback, trainer: Any) -> Iterator[None]:
    """Ctrl-C leaves a checkpoint; Lightning turns it into an exit of status 1, colorpipe's is 130."""
    try:
        yield
    except SystemExit:
        keeper.save(trainer)
        raise KeyboardInterrupt from None


def _device(options: TrainingOptions) -> tuple[str, Any]:
    """Lightning's names for accelerator and precision."""
    device = options.device
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise DeviceError(f"there is no {device} device here", hint="leave --device at auto")
    precision = options.precision
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bf16() and device == "cpu"
        precision = "bf16" if fast else "fp32"
    return device, {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[precision]


def _cpu_has_bf16() -> bool:
    """Whether bfloat16 is faster than float32 here: with AVX512-BF16 or AMX it is, emulated it is not."""
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.12 and older do not say
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=False)
    except Exception as error:
        raise TrainingError(f"cannot read the checkpoint {checkpoint}: {error}", hint="delete it") from error
    return state


def _rows(log: Path) -> list[dict[str, str]]:
    if not log.exists():
        return []
    with log.open(newline="") as handle:
        return list(csv.DictReader(handle))


def _append(log: Path, row: Mapping[str, Any]) -> None:
    """Add a row; the file is written anew, because a validation brings columns that a first row did not have."""
    _write_rows(log, [*_rows(log), {name: str(value) for name, value in row.items()}])


def _write_rows(log: Path, rows: list[dict[str, str]]) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(names) or ["step"], restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(log, text.getvalue().encode())
