"""The table for a terminal, and how its numbers are written."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from colorpipe.evaluation.records import frame_rate, network_share, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colorpipe.evaluation.records import Column, Row, Scored, Scores


@dataclass(frozen=True)
class Cost:
    """A cost of a method, in a column behind the scores."""

    label: str
    of: Callable[[Sequence[Scored]], float | None]
    """Over pictures or clips, at least one."""
    written: Callable[[float], str]
    most_is_best: bool = False

    def value(self, row: Row, scored: Sequence[Scored]) -> float | None:
        """None for a row without a method, and for a method that did nothing."""
        return self.of(scored) if scored and row.recipe is not None else None


_NATURAL = Console(width=10_000)
"""A console on which a table has its natural width."""


def table(evaluation: Scores, width: int | None = None) -> Table:
    """A row for each method. Where that is wider than ``width``: a column for each; if need be without spreads."""
    return _made(evaluation, *_layout(evaluation, width))


def _layout(evaluation: Scores, width: int | None) -> tuple[bool, bool]:
    """Whether methods are columns, and whether spreads are shown: the first that fits, else the narrowest."""
    layouts = [(turned, spread) for spread in (True, False) for turned in (False, True)]
    widths = {layout: _NATURAL.measure(_made(evaluation, *layout)).maximum for layout in layouts}
    fitting = [layout for layout in layouts if width is None or widths[layout] <= width]
    return fitting[0] if fitting else min(layouts, key=widths.__getitem__)


def _made(evaluation: Scores, turned: bool, spread: bool) -> Table:
    columns, behind = evaluation.shown_columns, costs(evaluation)
    heads = [f"{column.label} {column.arrow}".strip() for column in columns] + [cost.label for cost in behind]
    lines = [[Text(""), *(Text(head, style="bold") for head in heads)]]
    for row in evaluation.rows:
        scores = [_score(evaluation, row, column, spread) for column in columns]
        took = [(cost, cost.value(row, evaluation.timed(row))) for cost in behind]
        cells = [Text("-" if value is None else cost.written(value)) for cost, value in took]
        lines.append([Text(row.label, style="bold"), *scores, *cells])
    if turned:
        lines = [list(line) for line in zip(*lines, strict=True)]
    made = Table(title=title(evaluation), title_justify="left", title_style="", box=None, pad_edge=False)
    for index, head in enumerate(lines[0]):
        made.add_column(head, justify="right" if index else "left", overflow="fold")
    for line in lines[1:]:
        made.add_row(*line)
    return made


def title(evaluation: Scores) -> str:
    """Protocol and number of pictures."""
    return f"{evaluation.protocol.name}, {counted(len(evaluation.pictures), evaluation.protocol.unit)}"


def counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def _score(evaluation: Scores, row: Row, column: Column, spread: bool) -> Text:
    found = evaluation.summary(row, column)
    if found.value is None:
        return Text("-", style="dim")
    digits = decimals(evaluation, column)
    best = row.label in evaluation.best(column)
    cell = Text.assemble((written(found.value, digits), "bold green" if best else ""))
    if spread and found.spread is not None:
        cell.append(f" ±{written(found.spread, digits)}", style="dim")
    return cell


def costs(evaluation: Scores) -> tuple[Cost, ...]:
    """Median seconds of pictures; of films frames a second, and how many of them the network saw."""
    if evaluation.of_films:
        return Cost("frames/s", frame_rate, seconds, True), Cost("network", network_share, "{:.1%}".format)
    return (Cost("s/picture", lambda scored: statistics.median(one.seconds for one in scored), seconds),)


def decimals(evaluation: Scores, column: Column) -> int:
    """Digits behind the point, the same for all of a column: four that count in its largest value, at most three from
    0.1 on."""
    values = [evaluation.summary(row, column).value for row in evaluation.rows]
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if largest == 0:
        return 2
    digits = 3 - math.floor(math.log10(largest))
    return max(0, min(digits, 3 if largest >= 0.1 else 9))


def written(value: float, digits: int) -> str:
    """A score as a person reads it."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


def seconds(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def notes(evaluation: Scores, width: int | None = None) -> list[str]:
    """Notes for a reader of the table of that width, one a line."""
    lines, unit = [evaluation.protocol.summary], evaluation.protocol.unit
    several = len(evaluation.pictures) > 1
    sigma = f"± is the standard deviation over the {unit}s; " if several and _layout(evaluation, width)[1] else ""
    if evaluation.of_films:
        lines.append(f"{sigma}frames/s of colouring alone, at this size; network: share of the frames that it saw")
        lines.append("grey is the steadiest of all: read cdc, flicker and warp-error beside colourfulness")
    elif several:
        lines.append(f"{sigma}seconds are the median, without start-up")
    if evaluation.colourless:
        left = [column.label for column in evaluation.shown_columns if not column.needs_truth]
        named = ", ".join(shown(path) for path in evaluation.colourless)
        lines.append(f"grey, so that nothing is compared with true colours: {named} ({', '.join(left)} alone are told)")
    started = [f"{row.label} {seconds(row.start_up)} s" for row in evaluation.rows if row.recipe]
    if started:
        lines.append(f"start-up: {', '.join(started)}")
    learned = [f"{row.label} {seconds(row.learning)} s" for row in evaluation.rows if row.learning]
    if learned:
        lines.append(f"learning from the reference, once: {', '.join(learned)}")
    fewer: dict[int, list[str]] = {}
    for column in evaluation.shown_columns:
        most = max(evaluation.summary(row, column).pictures for row in evaluation.rows)
        if 0 < most < len(evaluation.pictures):
            fewer.setdefault(most, []).append(column.label)
    for most, labels in fewer.items():
        lines.append(f"{', '.join(labels)}: means over {most} of {counted(len(evaluation.pictures), unit)}")
    if evaluation.training:
        lines.append(f"{len(evaluation.training)} inputs are left for training; --json lists them")
    return lines
