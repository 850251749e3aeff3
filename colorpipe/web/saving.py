"""Saving: hint files, the full-size result by the code of ``colorpipe run``, and the recipe beside it."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe import files, media
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run_jobs
from colorpipe.errors import ColorpipeError, OutputError
from colorpipe.files import sha256
from colorpipe.guidance import colours
from colorpipe.guidance.strokes import StrokeFile, write_strokes
from colorpipe.media.inputs import is_video
from colorpipe.types import Outcome, Recipe
from colorpipe.web.items import named_by_frame
from colorpipe.web.settings import core_options

if TYPE_CHECKING:
    from colorpipe.media.inputs import Job
    from colorpipe.plugins.host import PluginHost
    from colorpipe.web.fence import Fence
    from colorpipe.web.items import Item, Strokes
    from colorpipe.web.work import Work

Ended = Callable[["Order", Outcome], None]
"""Told an item's fate."""
Finish = Callable[["Order", Outcome, Sequence[str]], Outcome]
SUFFIX = ".recipe.json"
"""What is put behind a result's name for its recipe's."""


@dataclasses.dataclass(frozen=True)
class Order:
    """One item as it is to be saved: what it was when somebody asked."""

    item: Item
    recipe: Recipe
    strokes: dict[int, Strokes]
    touched: bool
    """Whether strokes were changed since the hint files were read, or written."""
    look: int


class Part(list["Job"]):
    """Some of an album's jobs, for a run.

    Args:
        is_planned: As of ``Jobs``, for the whole album.
    """

    def __init__(self, jobs: Sequence[Job], is_planned: Callable[[Path], bool]) -> None:
        super().__init__(jobs)
        self.is_planned = is_planned

    @property
    def films(self) -> int:
        """Inputs that are films by their names."""
        return sum(is_video(job.input) for job in self)


class Saver:
    """Writes what is ordered.

    Args:
        output: As of ``RunRequest``.
        is_planned: Whether a path is an item's own place.
    """

    def __init__(self, host: PluginHost, fence: Fence, output: Path | None, is_planned: Callable[[Path], bool]) -> None:
        self._host, self._fence, self._output, self.is_planned = host, fence, output, is_planned

    def save(self, orders: Sequence[Order], overwrite: bool, work: Work, ended: Ended) -> None:
        """All of them, those with one recipe together; one that fails leaves the others to go on.

        Args:
            ended: Told each one's fate.
        """
        for _, group in itertools.groupby(sorted(orders, key=_together), key=_together):
            ready: list[tuple[Order, Path | None]] = []
            for order in group:
                work.check()
                try:
                    self._fence.check_source(order.item.path)
                    self._fence.check_result(order.item.job.output)
                    ready.append((order, self._write_hints(order)))
                except ColorpipeError as error:
                    ended(order, _failed(order, error))
                    work.done += 1
            for hints, several in itertools.groupby(ready, key=lambda one: one[1]):
                part = [order for order, _ in several]
                # A hint file that is named is one input's alone.
                for some in [part] if hints is None else [[order] for order in part]:
                    self._run(some, hints, overwrite, work, ended)

    def _run(self, orders: Sequence[Order], hints: Path | None, overwrite: bool, work: Work, ended: Ended) -> None:
        told: list[str] = []
        request = RunRequest(
            inputs=[order.item.path for order in orders],
            recipe=orders[0].recipe,
            output=self._output,
            hints=hints,
            overwrite=overwrite,
            save_recipe=told.append,
        )
        listener = _Progress(work, {order.item.job: order for order in orders}, ended, self._finish, told)
        run_jobs(request, self._host, Part([order.item.job for order in orders], self.is_planned), listener)
        work.check()

    def _finish(self, order: Order, outcome: Outcome, told: Sequence[str]) -> Outcome:
        """The outcome, with the recipe written."""
        if outcome.output is None or outcome.error:
            return outcome
        try:
            self._write_recipe(outcome.output, told[0])
        except ColorpipeError as error:
            return dataclasses.replace(outcome, notes=(*outcome.notes, f"the recipe was not written: {error}"))
        return outcome

    def _write_recipe(self, result: Path, told: str) -> None:
        path = recipe_path(result)
        self._fence.check_result(path)
        if os.path.lexists(path) and read_recipe(path) is None:
            raise OutputError(f"{path} is something else")
        try:
            files.write_whole(path, told.encode())
        except OSError as error:
            raise files.unwritable(path, error) from None

    # --- hint files ---------------------------------------------------------------------------------------------------

    def _write_hints(self, order: Order) -> Path | None:
        """The item's strokes in its files, and their named colours in the album's.

        Returns:
            The file that has to be named to a run; None where the files lie beside the source, which finds them there.
        """
        item = order.item
        if not order.touched:
            return item.elsewhere
        folder = item.folder_of_hints
        beside = folder == item.path.parent
        if not beside:
            self._fence.check_result(item.aside)
        by_file: dict[Path, list[int]] = {}
        for frame in sorted({*order.strokes, *item.held}):
            by_file.setdefault(item.home(frame) if beside else item.aside, []).append(frame)
        digest = sha256(item.path)
        height, width = item.size or _size_of(item.path, order.recipe)
        kept: dict[int, Path] = {}
        for file, frames in by_file.items():
            strokes = [
                dataclasses.replace(stroke, frame=0 if named_by_frame(file) else frame)
                for frame in frames
                for stroke in order.strokes.get(frame, ())
            ]
            if strokes:
                write_strokes(file, StrokeFile((width, height), tuple(strokes), digest))
                colours.keep(folder, strokes)
                kept |= {frame: file for frame in frames if order.strokes.get(frame)}
            elif file in item.held.values():  # all that was in it was taken away
                file.unlink(missing_ok=True)
        with item.lock:
            item.held, item.elsewhere = kept, None if beside or not kept else item.aside
        return item.elsewhere


class _Progress(NullListener):
    """A run's events as a piece of work shows them."""

    def __init__(self, work: Work, orders: dict[Job, Order], ended: Ended, finish: Finish, told: list[str]) -> None:
        self._work, self._orders, self._ended, self._finish, self._told = work, orders, ended, finish, told

    def job_started(self, job: Job, frames: int | None) -> None:
        self._work.check()
        order = self._order(job)
        self._work.item = None if order is None else order.item.number
        self._work.frames, self._work.of_frames = 0, frames

    def frame_skipped(self, job: Job) -> None:
        self._work.frames += 1

    def frame_done(self, job: Job) -> None:
        self._work.frames += 1
        self._work.check()

    def job_done(self, job: Job, outcome: Outcome) -> None:
        self._work.done += 1
        order = self._order(job)
        if order is not None:
            self._ended(order, self._finish(order, outcome, self._told))

    def _order(self, job: Job) -> Order | None:
        return self._orders.get(job) or next((one for one in self._orders.values() if one.item.path == job.input), None)


def _together(order: Order) -> str:
    return order.recipe.to_json()


def _size_of(path: Path, recipe: Recipe) -> tuple[int, int]:
    with media.open_source(path, core_options(recipe)[1]) as source:
        return source.info.height, source.info.width


def _failed(order: Order, error: ColorpipeError) -> Outcome:
    return Outcome(
        input=order.item.path,
        status="failed",
        error=str(error),
        error_type=type(error).__name__,
        hint=error.hint or None,
    )


def recipe_path(result: Path) -> Path:
    """Where the recipe of a result lies."""
    return result.with_name(result.name + SUFFIX)


def read_recipe(path: Path) -> Recipe | None:
    """A recipe that an earlier save wrote; None where there is none, or something else."""
    try:
        if path.is_symlink() or path.stat().st_size > 1 << 20:
            return None
        return Recipe.from_json(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def command(item: Item) -> str:
    """The command that makes the same result, from what was saved."""
    result = item.job.output
    words = ["colorpipe", "run", str(item.path), "-o", str(result), "--recipe", str(recipe_path(result)), "--overwrite"]
    if item.elsewhere is not None:
        words += ["--hints", str(item.elsewhere)]
    return shlex.join(words)
