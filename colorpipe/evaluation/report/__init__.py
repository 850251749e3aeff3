"""An evaluation as one HTML file that needs no other: no request leaves it, and it works from a disk or a stick."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe import pages
from colorpipe.evaluation import table
from colorpipe.evaluation.records import GREY, TRUTH, number, shown
from colorpipe.evaluation.report.plots import plot

if TYPE_CHECKING:
    from colorpipe.evaluation.records import Column, Row, Scored
    from colorpipe.evaluation.results import Evaluation

FEW_SCORES = 6
"""Told under a small picture, at most: the first of each measure."""
_HERE = Path(__file__).parent
_text = pages.text


def page(evaluation: Evaluation) -> str:
    """The whole page. Whatever comes from outside, file names for one, is text in it and nothing else."""
    parts = {
        "unit": evaluation.protocol.unit,
        "title": _text(evaluation.protocol.name),
        "facts": _facts(evaluation),
        "failures": _failures(evaluation),
        "scores": _scores(evaluation),
        "notes": "".join(f"<p>{_text(line)}</p>" for line in table.notes(evaluation)[1:]),
        "viewer": pages.viewer(
            one=evaluation.protocol.unit,
            few=_few(evaluation),
            shape=" strips" if evaluation.of_films else "",
            hidden=not evaluation.images,
        ),
        "plots": "".join(plot(evaluation, column) for column in evaluation.shown_columns),
        "pictures": _pictures(evaluation),
        "about": _about(evaluation),
        "data": _data(evaluation),
    }
    return pages.filled(
        pages.part("page.html", _HERE),
        parts,
        [pages.part("base.css"), pages.part("slider.css"), pages.part("page.css", _HERE)],
        [pages.part("slider.js"), pages.part("viewer.js"), pages.part("page.js", _HERE)],
    )


def _breakable(label: str) -> str:
    """A method's text, which may break between its options."""
    return re.sub("([:,])", r"\1<wbr>", _text(label))


def _facts(evaluation: Evaluation) -> str:
    """The line under the title."""
    told = [
        table.counted(len(evaluation.pictures), evaluation.protocol.unit),
        table.counted(len(_methods(evaluation)), "method"),
        f"colorpipe {evaluation.versions.get('colorpipe', '')}",
    ]
    protocol = evaluation.protocol
    return f"<p><b>{_text(protocol.name)}</b> {_text(protocol.summary)}</p><p>{' · '.join(map(_text, told))}</p>"


def _methods(evaluation: Evaluation) -> list[str]:
    return [row.label for row in evaluation.rows if row.label not in (GREY, TRUTH)]


def _failures(evaluation: Evaluation) -> str:
    if not evaluation.failures:
        return ""
    items = "".join(f"<li>{_text(failure)}</li>" for failure in evaluation.failures)
    return f'<section class="failures" aria-labelledby="failed"><h2 id="failed">Left out</h2><ul>{items}</ul></section>'


def _few(evaluation: Evaluation) -> str:
    """How many pictures can be looked at, where it is not all."""
    count = len({index for index, _ in evaluation.images})
    if count == len(evaluation.pictures):
        return ""
    return (
        f'<p class="hint">The first {count} of {table.counted(len(evaluation.pictures), evaluation.protocol.unit)}.</p>'
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _head(
    texts: Sequence[str], columns: Iterable[Column], costs: Iterable[table.Cost], more: Sequence[str] = ()
) -> str:
    """Texts, scores, costs and more texts, each a button that sorts by its column; scores the best first."""

    def cell(label: str, down: bool = False, kind: str = "") -> str:
        button = f'<button type="button">{label}</button>'
        return f'<th scope="col"{kind} aria-sort="none" data-down="{down:d}">{button}</th>'

    cells = [cell(text, kind=' class="text"') for text in texts]
    for column in columns:
        arrow = f' <abbr title="{column.better}">{column.arrow}</abbr>' if column.arrow else ""
        cells.append(cell(_text(column.label) + arrow, column.higher_is_better))
    cells += [cell(cost.label, cost.most_is_best) for cost in costs]
    cells += [cell(text, kind=' class="text"') for text in more]
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _cell(value: float | None, content: str, best: bool = False) -> str:
    """A number that sorts by its value; what is missing sorts last."""
    data = "" if value is None else f' data-value="{number(value)}"'
    mark = '<span class="unseen"> (best)</span>' if best else ""
    return f"<td{' class=best' if best else ''}{data}>{content}{mark}</td>"


def _costs(evaluation: Evaluation, row: Row, scored: Sequence[Scored]) -> list[str]:
    """Their cells, over these pictures."""
    values = [(cost, cost.value(row, scored)) for cost in table.costs(evaluation)]
    return [_cell(value, "–" if value is None else cost.written(value)) for cost, value in values]


def _scores(evaluation: Evaluation) -> str:
    """A row for each method."""
    columns = evaluation.shown_columns
    best = {column.label: evaluation.best(column) for column in columns}
    head = _head(["method"], columns, table.costs(evaluation))
    lines = []
    for row in evaluation.rows:
        cells = [f'<th scope="row" data-value="{_text(row.label)}">{_breakable(row.label)}</th>']
        for column in columns:
            found, digits = evaluation.summary(row, column), table.decimals(evaluation, column)
            content = "–" if found.value is None else table.written(found.value, digits)
            if found.spread is not None:
                content += f" <small>±{table.written(found.spread, digits)}</small>"
            cells.append(_cell(found.value, content, row.label in best[column.label]))
        cells += _costs(evaluation, row, evaluation.timed(row))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"{head}<tbody>{''.join(lines)}</tbody>"


def _pictures(evaluation: Evaluation) -> str:
    """A row for each picture and method, with the picture's own scores and what was remarked."""
    columns = [c for c in evaluation.shown_columns if any(_own(row, c) for row in evaluation.rows)]
    digits = {column.label: table.decimals(evaluation, column) for column in columns}
    remarked = any(scored.remarks for row in evaluation.rows for scored in row.results.values())
    texts = [evaluation.protocol.unit, "method"]
    head = _head(texts, columns, table.costs(evaluation), ["remarks"] if remarked else [])
    lines = []
    for index, name in enumerate(map(_text, evaluation.names)):
        for number_, row in enumerate(evaluation.rows):
            if index not in row.results:
                continue
            scored = row.results[index]
            shows = f'<button type="button" data-picture="{index}" data-row="{number_}">{name}</button>'
            has_image = (index, row.label) in evaluation.images
            cells = [f'<th scope="row" data-value="{name}">{shows if has_image else name}</th>']
            cells.append(f'<td class="text" data-value="{_text(row.label)}">{_breakable(row.label)}</td>')
            for column in columns:
                value = scored.scores.get(column.label)
                cells.append(_cell(value, "–" if value is None else table.written(value, digits[column.label])))
            cells += _costs(evaluation, row, [scored])
            if remarked:
                told = "".join(f"<div><b>{_text(key)}</b> {_text(text)}</div>" for key, text in scored.remarks.items())
                cells.append(f'<td class="text remarks">{told}</td>')
            lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"{head}<tbody>{''.join(lines)}</tbody>"


def _own(row: Row, column: Column) -> bool:
    """Whether a score is told picture by picture."""
    return any(column.label in scored.scores for scored in row.results.values())


# --- what was measured, and the data of the viewer --------------------------------------------------------------------


def _about(evaluation: Evaluation) -> str:
    protocol = dataclasses.asdict(evaluation.protocol)
    recipes = {
        row.label: dataclasses.asdict(row.recipe) if row.recipe is not None else None
        for row in evaluation.rows
        if row.label not in (GREY, TRUTH)
    }
    blocks = {
        "Protocol": protocol,
        "Methods": recipes,
        "Measures": {label: dict(about) for label, about in evaluation.measures.items()},
        "Versions": dict(evaluation.versions),
        "What the numbers are": evaluation.meaning,
    }
    if evaluation.training:
        blocks["Left for training"] = {"inputs": [shown(path) for path in evaluation.training]}
    return "".join(
        f"<details><summary>{_text(title)}</summary><pre>{_text(_pretty(content))}</pre></details>"
        for title, content in blocks.items()
    )


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _data(evaluation: Evaluation) -> str:
    """The script's data, as JSON that cannot end the element that it stands in."""
    labels = [row.label for row in evaluation.rows]
    data = {
        "views": {"grey": GREY, "truth": TRUTH},
        "words": {GREY: "grey", TRUTH: "truth"},
        "methods": _methods(evaluation),
        "rows": labels,
        "pictures": {
            index: {
                "name": evaluation.names[index],
                "images": {
                    label: f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
                    for (of, label), data in evaluation.images.items()
                    if of == index
                },
                "scores": {row.label: _told(evaluation, row, index) for row in evaluation.rows if index in row.results},
            }
            for index in sorted({index for index, _ in evaluation.images})
        },
    }
    return pages.data_text(data)


def _told(evaluation: Evaluation, row: Row, index: int) -> list[str]:
    """``psnr 23.88`` for a score of each measure; the table below has all."""
    scores = row.results[index].scores
    told: dict[str, str] = {}
    for column in evaluation.shown_columns:
        if column.label in scores:
            value = table.written(scores[column.label], table.decimals(evaluation, column))
            told.setdefault(column.measure, f"{column.label} {value}")
    return list(told.values())[:FEW_SCORES]
