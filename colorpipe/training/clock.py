"""How far a training run is: what its schedule hangs on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from colorpipe.plugins.training_task import TrainingOptions


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
        """What was done belongs to a finished run: steps, minutes and schedule count from here."""
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
