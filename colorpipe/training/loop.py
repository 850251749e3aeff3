"""The loop behind :func:`colorpipe.training.fit`, on Lightning: imported only when a run starts."""

from __future__ import annotations

import contextlib
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from colorpipe.errors import DeviceError, TrainingError
from colorpipe.files import replace
from colorpipe.plugins.training_task import Task, TrainingOptions
from colorpipe.training.callbacks import CheckpointCallback, Progress, starting_scores
from colorpipe.training.data import BatchOrder, Pictures, Samples, collate, find_pictures, repeated, split
from colorpipe.training.memory import keep_memory
from colorpipe.training.module import CLIP, Clock, Module
from colorpipe.training.run_files import RunFiles, TrainingResult, warn
from colorpipe.weights.checkpoints import save_weights

with warnings.catch_warnings():  # its dependencies' deprecations are not the user's concern
    warnings.simplefilter("ignore")
    import lightning.pytorch as lightning
    from lightning.pytorch.utilities import disable_possible_user_warnings

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
    others = [] if options.validation is None else find_pictures(options.validation)
    apart = {path.resolve() for path in others}
    named = [path for path in find_pictures(data) if path.resolve() not in apart]
    pictures = Pictures(named, task.picture_side, files.folder, warn, task.padded)
    training, validation = split(pictures.names, options.held_out, options.held_out_share)
    task.prepare(pictures, training)
    if options.repeat is not None:
        training += repeated(options.repeat, pictures.names, training)
    clock = Clock(options)
    module = Module(task, clock)
    held_out = scored = _Held(pictures, validation)
    if options.validation is not None:
        other = Pictures(others, task.picture_side, files.folder / "validation", warn, task.padded, "score by")
        scored = _Held(other, list(range(len(other))))
    keeper = CheckpointCallback(files, clock, _batches(scored, INTERIM))
    checkpoint = _take_up(options, files, clock)
    accelerator, precision = _device(options)
    if accelerator == "cpu":
        keep_memory()
    turns = len(module.task.losses_of)
    if turns > 1 and precision == "16-mixed":
        raise TrainingError("two networks against each other do not train in fp16", hint="use --precision bf16 or fp32")
    order = BatchOrder(training, options.batch, options.seed, clock.step, clock.side)
    stream = _stream(Samples(pictures, options.seed, task.stride, options.age, task.see), order, options, accelerator)
    trainer = _trainer(accelerator, precision, clock.last * turns, turns, [keeper, Progress(options, clock)])
    with warnings.catch_warnings(), _interruptible(keeper, trainer):
        warnings.filterwarnings("ignore", module=r"lightning.*")
        trainer.fit(
            module,
            stream,
            ckpt_path=checkpoint,
            weights_only=False,  # our own file of a moment ago: it holds the optimizer's and Lightning's own objects
        )
    module.use_average()
    scores = module.score(_batches(scored, len(scored)))
    held_out_scores = None if scored is held_out else module.score(_batches(held_out, len(held_out)))
    tensors, metadata = task.export(module.network)
    save_weights(files.output, tensors, metadata)
    keeper.plot()
    if files.checkpoint.exists():  # --resume extends the run from it
        replace(files.checkpoint, files.finished)
    shutil.rmtree(files.folder)
    start, minutes = starting_scores(files.log, clock.begun), clock.seconds / 60
    return TrainingResult(files.output, clock.step, minutes, scores, held_out_scores, start, len(scored), len(held_out))


def _take_up(options: TrainingOptions, files: RunFiles, clock: Clock) -> Path | None:
    """The checkpoint that a run continues from: its own last one, or that of a finished run. Sets the clock by it."""
    checkpoint = next((path for path in (files.checkpoint, files.finished) if path.exists()), None)
    if checkpoint is None or not options.resume:
        files.finished.unlink(missing_ok=True)  # belongs to weights that this run will replace
        return None
    clock.load_state_dict(_read(checkpoint)["clock"])
    if checkpoint == files.finished:
        clock.extend()
    return checkpoint


def _stream(samples: Samples, order: BatchOrder, options: TrainingOptions, accelerator: str) -> Any:
    workers = options.workers if options.workers is not None else (0 if accelerator == "cpu" else 8)
    return torch.utils.data.DataLoader(
        samples,  # type: ignore[arg-type]  # indexed by Draw
        batch_sampler=order,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # its own: a loader that is begun anew would move torch's, and a resumed curve
    )


def _trainer(accelerator: str, precision: Any, steps: int, turns: int, callbacks: list[Any]) -> Any:
    """Lightning's trainer with everything off that the callbacks see to."""
    return lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_steps=steps,  # Lightning counts the steps of each optimizer
        max_epochs=-1,
        limit_val_batches=0,  # scores are of the averaged weights: the keeper sees to them
        gradient_clip_val=CLIP if turns == 1 else None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=callbacks,
    )


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
