"""An evaluation's result: its scores, as a table and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colorpipe.evaluation.records import FRAMES, Row, Scores, frame_rate, mean, network_share, number, rounded, shown

if TYPE_CHECKING:
    from rich.table import Table

MEANING = {
    "mean": "mean of the pictures' own scores",
    "spread": "sample standard deviation of the pictures' own scores; null for a single picture",
    "set": "the measure's score over all pictures that the method could colorize together, where it gives one",
    "pictures": "how many pictures the mean is over: those for which no method lacks the score",
    "seconds": "learning, predicting and merging, one picture at a time, without reading, start-up and scoring",
    "start_up": "seconds for plugins, weights and the choice of a precision, once",
    "higher_is_better": "null for a score that says what a result is like, not how near it is to the truth",
    "Infinity": "a score without bound, as text, since JSON has no number for it",
}
FILM_MEANING = {
    "scores of a clip": "the measure's score over all of its frames; most are means over them",
    "frames_per_second": "of finding motion, predicting, carrying and merging, one frame after the other at the "
    "protocol's size, without reading, start-up and scoring; over all clips that every method could colorize",
    "network_share": "part of the frames that the network saw, over the same clips",
    "colourless": "clips without colour: they have only the scores that need no true colours",
}
"""Further entries for films."""


@dataclass(frozen=True)
class Evaluation(Scores):
    """Methods, pictures and their scores under one protocol."""

    def table(self) -> Table:
        """A table for a terminal: ``rich.print(evaluation.table())``."""
        from colorpipe.evaluation.table import table

        return table(self)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``meaning`` in it says what each number is."""
        return {
            "versions": dict(self.versions),
            "protocol": dataclasses.asdict(self.protocol),
            "measures": {label: dict(about) for label, about in self.measures.items()},
            "scores": {
                column.label: {
                    "measure": column.measure,
                    "higher_is_better": None if column.describes else column.higher_is_better,
                }
                for column in self.columns
            },
            "methods": [self._row(row) for row in self.rows],
            "pictures": [self._picture(index) for index in range(len(self.pictures))],
            "failures": [
                {"input": failure.picture and shown(failure.picture), "by": failure.by, "error": failure.error}
                for failure in self.failures
            ],
            "training": [shown(path) for path in self.training],
            "passed_over": [shown(path) for path in self.passed_over],
            **({"colourless": [shown(path) for path in self.colourless]} if self.of_films else {}),
            "meaning": self.meaning,
        }

    @property
    def meaning(self) -> dict[str, str]:
        """Explains each number of ``as_dict``."""
        return MEANING | FILM_MEANING if self.of_films else MEANING

    def _row(self, row: Row) -> dict[str, Any]:
        timed = self.timed(row)
        seconds = self.seconds(row)
        worked = timed if row.recipe is not None else []
        of_films = {"frames_per_second": frame_rate(worked), "network_share": network_share(worked)}
        scores = {}
        for column in self.columns:
            found = self.summary(row, column)
            if found.value is not None:
                numbers = {"mean": found.mean, "spread": found.spread, "pictures": found.pictures}
                scores[column.label] = {name: number(value) for name, value in numbers.items()}
                if found.over_all is not None:
                    scores[column.label]["set"] = number(found.over_all)
        return {
            "method": row.label,
            "recipe": None if row.recipe is None else dataclasses.asdict(row.recipe),
            "pictures": len(row.results),
            "scores": scores,
            "seconds": {
                "median": rounded(statistics.median(seconds) if seconds else None),
                "mean": rounded(mean(seconds)),
                "start_up": rounded(row.start_up),
                "learning": rounded(row.learning),
            },
            **({name: rounded(value) for name, value in of_films.items()} if self.of_films else {}),
        }

    def _picture(self, index: int) -> dict[str, Any]:
        results = {row.label: row.results[index] for row in self.rows if index in row.results}
        return {
            "input": shown(self.pictures[index]),
            "methods": {
                label: {
                    "scores": {name: number(value) for name, value in scored.scores.items()},
                    "remarks": dict(scored.remarks),
                    "seconds": {"learning": rounded(scored.learning), "colorizing": rounded(scored.colorizing)},
                    **({name: getattr(scored, name) for name in FRAMES} if self.of_films else {}),
                }
                for label, scored in results.items()
            },
        }
