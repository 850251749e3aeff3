"""The table for a terminal, and how its numbers are written."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from colorpipe.evaluation.results import Column, Evaluation, Row

SECONDS = "s/picture"
_NATURAL = Console(width=10_000)
"""Where a table is as wide as it likes."""


def table(evaluation: Evaluation, width: int | None = None) -> Table:
    """A row for each method. Where that is wider than ``width``: a column for each; if need be without spreads."""
    return _made(evaluation, *_layout(evaluation, width))


def _layout(evaluation: Evaluation, width: int | None) -> tuple[bool, bool]:
    """Whether methods are columns, and whether spreads are shown: the first that fits, else the narrowest."""
    layouts = [(turned, spread) for spread in (True, False) for turned in (False, True)]
    widths = {layout: _NATURAL.measure(_made(evaluation, *layout)).maximum for layout in layouts}
    fitting = [layout for layout in layouts if width is None or widths[layout] <= width]
    return fitting[0] if fitting else min(layouts, key=widths.__getitem__)


def _made(evaluation: Evaluation, turned: bool, spread: bool) -> Table:
    columns = evaluation.shown_columns
    heads = [Text(f"{column.label} {column.arrow}".strip(), style="bold") for column in columns]
    lines = [[Text(""), *heads, Text(SECONDS, style="bold")]]
    for row in evaluation.rows:
        took = median_seconds(evaluation, row)
        scores = [_score(evaluation, row, column, spread) for column in columns]
        lines.append([Text(row.label, style="bold"), *scores, Text("-" if took is None else seconds(took))])
    if turned:
        lines = [list(line) for line in zip(*lines, strict=True)]
    made = Table(title=title(evaluation), title_justify="left", title_style="", box=None, pad_edge=False)
    for index, head in enumerate(lines[0]):
        made.add_column(head, justify="right" if index else "left", overflow="fold")
    for line in lines[1:]:
        made.add_row(*line)
    return made


def title(evaluation: Evaluation) -> str:
    """Protocol and number of pictures."""
    count = len(evaluation.pictures)
    return f"{evaluation.protocol.name}, {count} picture{'s' * (count != 1)}"


def _score(evaluation: Evaluation, row: Row, column: Column, spread: bool) -> Text:
    found = evaluation.summary(row, column)
    if found.value is None:
        return Text("-", style="dim")
    digits = decimals(evaluation, column)
    best = row.label in evaluation.best(column)
    cell = Text.assemble((written(found.value, digits), "bold green" if best else ""))
    if spread and found.spread is not None:
        cell.append(f" ±{written(found.spread, digits)}", style="dim")
    return cell


def median_seconds(evaluation: Evaluation, row: Row) -> float | None:
    """None for the grey, which takes none, and for a method that did nothing."""
    took = evaluation.seconds(row)
    return statistics.median(took) if took and row.recipe is not None else None


def decimals(evaluation: Evaluation, column: Column) -> int:
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


def notes(evaluation: Evaluation, width: int | None = None) -> list[str]:
    """What a reader of the table of that width should know, a line each."""
    lines = [evaluation.protocol.summary]
    if len(evaluation.pictures) > 1:
        _, spread = _layout(evaluation, width)
        sigma = "± is the standard deviation over the pictures; " if spread else ""
        lines.append(f"{sigma}seconds are the median, without start-up")
    started = [f"{row.label} {seconds(row.start_up)} s" for row in evaluation.rows if row.recipe]
    if started:
        lines.append(f"start-up: {', '.join(started)}")
    learned = [f"{row.label} {seconds(row.learning)} s" for row in evaluation.rows if row.learning]
    if learned:
        lines.append(f"learning from the reference, once: {', '.join(learned)}")
    for column in evaluation.shown_columns:
        summaries = [evaluation.summary(row, column) for row in evaluation.rows]
        most = max(found.pictures for found in summaries)
        if 0 < most < len(evaluation.pictures):
            lines.append(f"{column.label}: means over {most} of {len(evaluation.pictures)} pictures")
    if evaluation.training:
        lines.append(f"{len(evaluation.training)} inputs are left for training; --json lists them")
    return lines
