"""An evaluation as text for other programs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from colorpipe.evaluation.records import FRAMES, shown

if TYPE_CHECKING:
    from colorpipe.evaluation.results import Evaluation


def json_text(evaluation: Evaluation) -> str:
    """``Evaluation.as_dict``, indented."""
    return json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False, default=str) + "\n"


def csv_text(evaluation: Evaluation) -> str:
    """A line for each picture or clip and method, with its own scores; empty where there is none."""
    out = io.StringIO()
    columns = [column.label for column in evaluation.columns]
    counts = FRAMES if evaluation.of_films else ()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["protocol", "input", "method", *columns, "seconds", *counts])
    for index, path in enumerate(evaluation.pictures):
        for row in evaluation.rows:
            if index in row.results:
                scored = row.results[index]
                scores = (scored.scores.get(label, "") for label in columns)
                line = [evaluation.protocol.name, shown(path), row.label, *scores, round(scored.seconds, 6)]
                writer.writerow([*line, *(getattr(scored, name) for name in counts)])
    return out.getvalue()
