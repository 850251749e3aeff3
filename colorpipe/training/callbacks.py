"""Callbacks between steps: checkpoints, log, plot, validation, the end of a run, and a progress bar."""

from __future__ import annotations

import csv
import io
import logging
import math
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from colorpipe.errors import TrainingError
from colorpipe.files import write_whole, written_whole
from colorpipe.plugins.training_task import TrainingOptions
from colorpipe.training.meanings import told
from colorpipe.training.module import Clock, Module
from colorpipe.training.run_files import RunFiles
from colorpipe.weights.checkpoints import save_weights

with warnings.catch_warnings():  # its dependencies' deprecations are not the user's concern
    warnings.simplefilter("ignore")
    import lightning.pytorch as lightning

log = logging.getLogger(__name__)


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
        if self.clock.step == self.clock.begun:
            self.best = (self.best[0], 0)
            with module.averaged():
                scores = module.score(self.held_out)
            self._log_scores(scores)
            log.info("%s", "\n".join(["at the start:", *told(scores, module.task)]))

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        module.after_step()
        step, options = self.clock.step, module.task.options
        if step % min(25, options.validate_every) == 0 or step == self.clock.last:
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
        if trainer.should_stop:
            self.save(trainer)

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
        self._log_scores(module.scores)
        self.best = (value, 0) if value < self.best[0] else (self.best[0], self.best[1] + 1)
        if options.patience is not None and self.best[1] >= options.patience:
            trainer.should_stop = True
        self.plot()

    def _log_scores(self, scores: Mapping[str, float]) -> None:
        shown = {f"val_{name}": f"{value:.4f}" for name, value in scores.items()}
        _append(self.files.log, {"step": self.clock.step, "seconds": round(self.clock.seconds, 1), **shown})

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
        text = f"step {self.clock.step}/{self.clock.last}  {scores}"
        self.bar.update(self.row, completed=self.clock.progress, description=text)

    def teardown(self, trainer: Any, module: Any, stage: str) -> None:
        self.bar.stop()


def starting_scores(log: Path, begun: int) -> dict[str, float]:
    """The scores in the log at a run's first step; empty if there are none."""
    found: dict[str, float] = {}
    for row in _rows(log):  # the last one counts: a run that is extended has scored the same step at its end
        if int(row["step"]) == begun:
            scores = {name.removeprefix("val_"): row[name] for name in row if name.startswith("val_") and row[name]}
            found = {name: float(value) for name, value in scores.items()} or found
    return found


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
