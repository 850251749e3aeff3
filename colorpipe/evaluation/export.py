"""An evaluation as text for other programs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from colorpipe.evaluation.results import shown

if TYPE_CHECKING:
    from colorpipe.evaluation.results import Evaluation


def json_text(evaluation: Evaluation) -> str:
    """``Evaluation.as_dict``, indented."""
    return json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False, default=str) + "\n"


def csv_text(evaluation: Evaluation) -> str:
    """A line for each picture and method, with the picture's own scores; empty where there is none."""
    out = io.StringIO()
    columns = [column.label for column in evaluation.columns]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["protocol", "input", "method", *columns, "seconds"])
    for index, path in enumerate(evaluation.pictures):
        for row in evaluation.rows:
            if index in row.results:
                scored = row.results[index]
                scores = (scored.scores.get(label, "") for label in columns)
                writer.writerow([evaluation.protocol.name, shown(path), row.label, *scores, round(scored.seconds, 6)])
    return out.getvalue()
