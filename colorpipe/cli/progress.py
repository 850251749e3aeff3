"""A run's progress: on stderr for a person, as lines of JSON for a program."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from colorpipe.cli import console
from colorpipe.errors import OutputError
from colorpipe.types import Outcome

if TYPE_CHECKING:
    from rich.progress import Task, TaskID
    from typing_extensions import Self

    from colorpipe.media.inputs import Job
    from colorpipe.media.passed import Passed


_LEAST_NAME = 26
"""Columns for a film's name; the text below it takes as many."""
_BESIDE_NAME = 60
"""Columns for the rest of its line, including a bar of 20."""
_TAIL = 9
"""Characters at a name's end that are kept: two films may differ only there."""


def _whole() -> Column:
    """A column of a bar's line that is never cut or broken."""
    return Column(no_wrap=True)


class _Speed(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} {task.fields['unit']}/s", style="cyan")


class _Remaining(ProgressColumn):
    """Time left. All inputs together take at least as long as the films that are in work."""

    max_refresh = 0.5

    def __init__(self, tasks: Callable[[], Sequence[Task]]) -> None:
        super().__init__(table_column=_whole())
        self._tasks = tasks

    def render(self, task: Task) -> Text:
        counted = [task]
        if task.fields["unit"] == "inputs":
            films = [other for other in self._tasks() if other.id != task.id]
            # Where all that are left are films in work, these tell by themselves.
            counted = films if films and len(films) >= (task.remaining or 0) else [task, *films]
        times = [other.time_remaining for other in counted]
        known = [seconds for seconds in times if seconds is not None]
        unknown = len(known) < len(times) or not known
        return Text("-:--:--" if unknown else str(timedelta(seconds=round(max(known)))), style="cyan")


class Reporter:
    """The runner's listener: bars on a terminal; a line for what failed, in any case; a line at the end.

    Args:
        lines: Where outcomes go as JSON, one a line; None for nowhere.
        quiet: Say only what failed.
        verbose: Say a line for each input.
    """

    def __init__(self, lines: TextIO | None, *, quiet: bool = False, verbose: bool = False) -> None:
        self._lines = lines
        self._quiet, self._verbose = quiet, verbose
        self._console = console.stderr()
        # Only the bar gives way where a line is short.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=_whole()),
            BarColumn(),
            MofNCompleteColumn(table_column=_whole()),
            _Speed(table_column=_whole()),
            _Remaining(lambda: self._progress.tasks),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._overall: TaskID | None = None
        self._bars: dict[Path, TaskID] = {}
        self._skipped: dict[Path, int] = {}
        """Frames that earlier runs made, of films that have not got beyond them."""
        self._inputs = 0
        self.counts: Counter[str] = Counter()
        """Outcomes by their status."""
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def passed_over(self, passed: Passed) -> None:
        if not self._quiet:
            for line in passed.told():
                self._print(("note ", "yellow"), line)
        if self._lines is not None:
            for path in passed.others:
                told = Outcome(input=path, status="passed over", notes=("of a kind that folders are not searched for",))
                self._lines.write(json_line(told.as_dict()))
            self._lines.flush()

    def started(self, jobs: int) -> None:
        self._inputs = jobs
        self._overall = self._progress.add_task("all", total=jobs, unit="inputs")

    def used(self, device: str, precision: str, weights: str) -> None:
        if not self._quiet:
            kind = "exact" if precision == "fp32" else "rounded"
            precision = precision if "(" in precision else f"{precision} ({kind} arithmetic)"
            where = f"{device} (the processor)" if device == "cpu" else device
            learned = (
                "none (the method needs none)" if weights == "none" else f"{weights} (what the method has learned)"
            )
            self._print(f"device {where}, precision {precision}, weights {learned}", style="dim")

    def job_started(self, job: Job, frames: int | None) -> None:
        if frames != 1:
            self._bars[job.input] = self._progress.add_task(self._film(job), total=frames, unit="frames")

    def frame_skipped(self, job: Job) -> None:
        if job.input not in self._bars:
            return
        bar, count = self._bars[job.input], self._skipped.get(job.input, 0) + 1
        self._skipped[job.input] = count
        if count == 1:  # a bar that was not started has no speed and no time left
            self._progress.reset(bar, start=False, description=self._film(job, "made by an earlier run"))
        self._progress.update(bar, completed=count)

    def frame_done(self, job: Job) -> None:
        if job.input in self._bars:
            skipped = self._skipped.pop(job.input, 0)
            if skipped:
                self._progress.reset(self._bars[job.input], completed=skipped, description=self._film(job))
            self._progress.advance(self._bars[job.input])

    def film_told(self, job: Job, shots: int, share: float) -> None:
        if job.input in self._bars:
            told = self._film(job, f"{shots} shot{'s' * (shots != 1)}, {share:.0%} key frames")
            self._progress.update(self._bars[job.input], description=told)

    def comparison_started(self, job: Job, frames: int | None) -> None:
        bar = self._bars.pop(job.input, None)
        if bar is not None:
            self._progress.remove_task(bar)
        told = self._film(job, "side by side")
        self._bars[job.input] = self._progress.add_task(told, total=frames, unit="frames")

    def _film(self, job: Job, told: str = "") -> str:
        """Its name, as much as fits, and below it the message."""
        name, room = job.input.name, max(_LEAST_NAME, self._console.width - _BESIDE_NAME)
        if len(name) > room:
            name = f"{name[: room - _TAIL - 1]}…{name[-_TAIL:]}"
        return f"{name}\n  {told}" if told else name

    def job_done(self, job: Job, outcome: Outcome) -> None:
        bar = self._bars.pop(job.input, None)
        if bar is not None:
            self._progress.remove_task(bar)
        if self._overall is not None:
            self._progress.advance(self._overall)
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            reason = outcome.error or "no reason was given"
            named = reason if str(outcome.input) in reason else f"{outcome.input}: {reason}"
            self._print(("failed ", "bold red"), named)
        elif self._verbose:
            took = f" in {outcome.seconds.get('total', 0):.2f} s" if outcome.status == "done" else ""
            self._print((f"{outcome.status} ", "green"), f"{outcome.input} -> {outcome.output}{took}")
        if not self._quiet:
            for note in outcome.notes:
                self._print(("note ", "yellow"), f"{outcome.input}: {note}")
        if self._lines is not None:
            self._lines.write(json_line(outcome.as_dict()))
            self._lines.flush()

    def summary(self, output: str) -> None:
        """``12 done, 1 skipped, 1 failed in 8.2 s -> out``."""
        self._progress.stop()
        if self._quiet:
            return
        counts = self.counts
        told = [f"{counts['done']} done"]
        told += [f"{counts[status]} {status}" for status in ("skipped", "failed") if counts[status]]
        if counts.total() < self._inputs:
            told.append(f"{self._inputs - counts.total()} not started")
        took = time.monotonic() - self._start
        self._print(f"{', '.join(told)} in {duration(took)} -> {output}", style="bold")

    def _print(self, *parts: Any, style: str = "") -> None:
        self._console.print(Text.assemble(*parts, style=style))


def duration(seconds: float) -> str:
    """``8.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def json_line(value: Any) -> str:
    """One line of JSON that any file takes: letters as they are, but names that are no Unicode (old CDs and archives
    have them) with escapes, from which ``os.fsencode`` makes the very name again."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=True)
    return text + "\n"


@contextmanager
def json_lines(target: str | None) -> Iterator[TextIO | None]:
    """The place that ``--json`` names: ``-`` is stdout, which then carries nothing else.

    Raises:
        OutputError: the file cannot be written.
    """
    if target is None:
        yield None
    elif target == "-":
        yield sys.stdout
    else:
        try:
            file = open(target, "w", encoding="utf-8")  # noqa: SIM115  closed below; only opening is guarded
        except OSError as error:
            raise OutputError(
                f"--json {target}: {error.strerror}", hint="give a file in a folder that exists"
            ) from None
        with file:
            yield file
