"""Distribution plots: for each score a strip of dots and a box for each method, in SVG.

Horizontal places are percentages, so that a plot is as wide as its place and its letters keep their size on a phone.
"""

from __future__ import annotations

import html
import math
import statistics
from typing import TYPE_CHECKING

from colorpipe.evaluation import table
from colorpipe.evaluation.records import GREY, TRUTH

if TYPE_CHECKING:
    from colorpipe.evaluation.records import Column, Scores

ROW = 46
"""Pixels of a method's strip, its label included."""
AXIS = 26
MANY = 60
"""Pictures from which dots are smaller and let through what is behind them."""
TITLED = 200
"""Pictures up to which each dot tells its name."""


def plot(evaluation: Scores, column: Column) -> str:
    """A figure; empty where no picture has a score of its own that can be drawn."""
    strips = []
    for row in evaluation.rows:
        scores = {index: scored.scores.get(column.label) for index, scored in row.results.items()}
        values = {index: value for index, value in scores.items() if value is not None and math.isfinite(value)}
        if values:
            strips.append((row.label, values))
    if not strips:
        return ""
    ticks = nice_ticks(*_ends([value for _, values in strips for value in values.values()]))
    low, high = ticks[0], ticks[-1]

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    bottom = ROW * len(strips)
    body = []
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for number, tick in enumerate(ticks):
        anchor = "start" if number == 0 else "end" if number == len(ticks) - 1 else "middle"
        body.append(f'<line class="grid" x1="{at(tick)}" x2="{at(tick)}" y1="0" y2="{bottom}"/>')
        body.append(
            f'<text class="tick" x="{at(tick)}" y="{bottom + 16}" text-anchor="{anchor}">{tick:.{digits}f}</text>'
        )
    told = []
    numbers = {row.label: number for number, row in enumerate(evaluation.rows)}
    for place, (label, values) in enumerate(strips):
        middle = place * ROW + 30
        quarters = _quarters(list(values.values()))
        least, first, half, _, most = (at(value) for value in quarters)
        kind = f"strip{' grey' * (label in (GREY, TRUTH))}{' many' * (len(values) > MANY)}"
        body.append(f'<g class="{kind}"><text class="label" x="0" y="{middle - 16}">{html.escape(label)}</text>')
        body.append(f'<line class="whisker" x1="{least}" x2="{most}" y1="{middle}" y2="{middle}"/>')
        for index, value in values.items():
            name = evaluation.names[index]
            title = f"<title>{html.escape(name)}: {value:.5g}</title>" if len(values) <= TITLED else ""
            body.append(
                f'<circle cx="{at(value)}" cy="{middle + index * 7 % 17 - 8}" r="{2 if len(values) > MANY else 3}" '
                f'data-picture="{index}" data-row="{numbers[label]}">{title}</circle>'
            )
        width = f"{100 * (quarters[3] - quarters[1]) / (high - low):.2f}%"
        body.append(f'<rect class="box" x="{first}" width="{width}" y="{middle - 9}" height="18" rx="2"/>')
        body.append(f'<line class="median" x1="{half}" x2="{half}" y1="{middle - 11}" y2="{middle + 11}"/></g>')
        places = table.decimals(evaluation, column)
        lowest, middlemost, highest = (table.written(quarters[n], places) for n in (0, 2, 4))
        told.append(f"{label}: median {middlemost}, from {lowest} to {highest}")
    heading = f"<figcaption><b>{html.escape(column.label)}</b> {column.arrow} {column.better}</figcaption>"
    says = html.escape(f"{column.label} of each {evaluation.protocol.unit}. {'. '.join(told)}.")
    return (
        f'<figure class="plot">{heading}<svg role="img" aria-label="{says}" width="100%" height="{bottom + AXIS}">'
        f"{''.join(body)}</svg></figure>"
    )


def _ends(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.02 or abs(high) * 0.1 or 1.0
    return max(low - room, 0.0) if low >= 0 else low - room, high + room


def nice_ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers, the first at most ``low`` and the last at least ``high``."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _quarters(values: list[float]) -> tuple[float, float, float, float, float]:
    """Least, quartiles (linear between values, as most programs have them) and most."""
    if len(values) == 1:
        return (values[0],) * 5
    first, half, third = statistics.quantiles(values, n=4, method="inclusive")
    return min(values), first, half, third, max(values)
