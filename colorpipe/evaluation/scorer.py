"""One method after the other through every picture or clip: what each measure says, and what failed."""

from __future__ import annotations

import logging
import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from colorpipe.errors import ColorpipeError, DeviceError, PluginError, UsageError, WeightsError
from colorpipe.evaluation import cases, clips
from colorpipe.evaluation.cases import Case
from colorpipe.evaluation.clips import Clip
from colorpipe.evaluation.methods import Colorized, GreyBaseline, MethodRunner
from colorpipe.evaluation.records import GREY, TRUTH, Column, Failure, Row, Scored

if TYPE_CHECKING:
    from colorpipe.evaluation.specs import Measure
    from colorpipe.media.passed import Passed
    from colorpipe.types import Frame, Recipe

log = logging.getLogger(__name__)
KEPT_CASES = 256 << 20
"""Bytes of read pictures that are kept from one method to the next."""


class ScoringListener(Protocol):
    """Receives the events of an evaluation; a step is one picture by one method."""

    def passed_over(self, passed: Passed) -> None: ...
    def started(self, steps: int) -> None: ...
    def opened(self, row: str, recipe: Recipe) -> None: ...
    def scored(self, row: str, picture: Path, scored: Scored) -> None: ...
    def failed(self, failure: Failure) -> None: ...
    def advance(self, steps: int) -> None: ...


class NullScoringListener:
    """A listener that keeps quiet."""

    def passed_over(self, passed: Passed) -> None: ...
    def started(self, steps: int) -> None: ...
    def opened(self, row: str, recipe: Recipe) -> None: ...
    def scored(self, row: str, picture: Path, scored: Scored) -> None: ...
    def failed(self, failure: Failure) -> None: ...
    def advance(self, steps: int) -> None: ...


class Scorer:
    """One call of ``evaluate``: its pictures, those among them that cannot be used, and what was found."""

    def __init__(
        self,
        paths: Sequence[Path],
        measures: Sequence[Measure],
        read: Callable[[Path], Case | Clip],
        images: int,
        listener: ScoringListener,
    ) -> None:
        self.paths, self.measures, self.listener = paths, measures, listener
        self.failures: list[Failure] = []
        self.images: dict[tuple[int, str], bytes] = {}
        self._labels = _labels(measures)
        self._read = read
        self._images = images
        self._with_images: set[int] = set()
        self._dropped: set[int] = set()
        self.colourless: set[int] = set()
        """Clips that have no true colours."""
        self._asked: set[str] = set()
        """Measures that saw a picture of the row in work."""
        self._cases: dict[int, Case | Clip] = {}
        self._room = KEPT_CASES

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every score that the measures can give, in their order."""
        return tuple(
            Column(
                self._labels[measure.label, name],
                measure.label,
                higher,
                name in measure.evaluator.describes,
                name not in measure.evaluator.without_truth,
            )
            for measure in self.measures
            for name, higher in measure.evaluator.higher_is_better.items()
        )

    def drop(self, index: int, error: str, rows: int) -> None:
        """No method gets this input.

        Args:
            rows: How many would have.
        """
        self._dropped.add(index)
        self._fail(Failure(self.paths[index], None, error), rows)

    def row(self, label: str, method: GreyBaseline | MethodRunner, rows: int) -> Row:
        """Each picture through one method.

        Args:
            rows: This one and those after it.
        """
        results: dict[int, Scored] = {}
        left = [index for index in range(len(self.paths)) if index not in self._dropped]
        for number, index in enumerate(left):
            case = self._case(index, rows)
            if case is None:
                continue
            if label == TRUTH and not case.has_colour:  # nobody knows it
                self.listener.advance(1)
                continue
            opened = method.recipe is not None
            try:
                method.open(case)
            except Exception as error:  # a plugin may raise anything; the other methods go on
                if not method.learns or isinstance(error, (UsageError, WeightsError, DeviceError)):
                    self._fail(Failure(None, label, _reason(error)), len(left) - number)
                    break
                self._fail(Failure(case.path, label, _reason(error)))
                continue
            if method.recipe is not None and not opened:
                self.listener.opened(label, method.recipe)
            try:
                colorized = method(case)
            except Exception as error:  # as above
                self._fail(Failure(case.path, label, _reason(error)))
                continue
            results[index] = self._score(colorized, case, case.has_colour and label != TRUTH)
            self._keep_images(index, label, case, colorized.frames)
            self.listener.scored(label, case.path, results[index])
            self.listener.advance(1)
        return Row(label, method.recipe, method.start_up, method.learning, results, self._finish())

    def _case(self, index: int, rows: int) -> Case | Clip | None:
        if index in self._cases:
            return self._cases[index]
        try:
            case = self._read(self.paths[index])
        except Exception as error:  # one input's failure is its own
            self.drop(index, _reason(error), rows)
            return None
        if not case.has_colour:
            self.colourless.add(index)
        if case.size <= self._room:
            self._room -= case.size
            self._cases[index] = case
        return case

    def _score(self, colorized: Colorized, case: Case | Clip, with_truth: bool) -> Scored:
        """The measures' scores of a picture or clip.

        Args:
            with_truth: False leaves out what would compare with true colours.
        """
        seconds = colorized.learning, colorized.colorizing
        if isinstance(case, Clip):
            scores = self._scores_of_clip(colorized, case, with_truth)
            return Scored(scores, {}, *seconds, len(colorized.frames), colorized.shots, colorized.key_frames)
        return Scored(*self._scores_of_picture(colorized, case), *seconds)

    def _scores_of_picture(self, colorized: Colorized, case: Case) -> tuple[dict[str, float], dict[str, str]]:
        """Scores by column, and remarks."""
        scores: dict[str, float] = {}
        remarks: dict[str, str] = {}
        for measure in self.measures:
            evaluator = measure.evaluator
            if evaluator.needs_distribution and colorized.distribution is None:
                continue
            try:
                if colorized.distribution is not None:
                    evaluator.observe(colorized.distribution)
                self._asked.add(measure.label)
                found = self._named(measure, evaluator.update(colorized.frames[0], case.truth))
                remarked = evaluator.remarks()
            except Exception as error:  # the other measures go on
                self._fail(Failure(case.path, measure.label, _reason(error)), 0)
                continue
            scores |= found
            for name, text in remarked.items():
                remarks[name if name not in remarks else f"{measure.label} {name}"] = text
        return scores, remarks

    def _scores_of_clip(self, colorized: Colorized, clip: Clip, with_truth: bool) -> dict[str, float]:
        """Scores by column: those of all frames, and where a measure tells only of each frame, their mean."""
        measures = [measure for measure in self.measures if with_truth or measure.evaluator.without_truth]
        each: dict[str, list[Mapping[str, float]]] = {measure.label: [] for measure in measures}
        for result, truth in zip(colorized.frames, clip.truths, strict=True):
            shown = clips.in_rgb(result), clips.in_rgb(truth)
            for measure in [measure for measure in measures if measure.label in each]:
                try:
                    each[measure.label].append(measure.evaluator.update(*shown))
                except Exception as error:  # as above
                    self._fail(Failure(clip.path, measure.label, _reason(error)), 0)
                    del each[measure.label]
                    with suppress(Exception):  # the next clip is to begin anew
                        measure.evaluator.finish()
        scores: dict[str, float] = {}
        for measure in [measure for measure in measures if measure.label in each]:
            evaluator = measure.evaluator
            try:
                found = {**_means(each[measure.label]), **evaluator.finish()}
                told = found if with_truth else {name: found[name] for name in evaluator.without_truth & found.keys()}
                scores |= self._named(measure, told)
            except Exception as error:  # as above
                self._fail(Failure(clip.path, measure.label, _reason(error)), 0)
        return scores

    def _named(self, measure: Measure, scores: Mapping[str, float]) -> dict[str, float]:
        """Scores by column."""
        for name, value in scores.items():
            if (measure.label, name) not in self._labels:
                raise PluginError(f"{measure.label} gives {name!r}, which its higher_is_better does not name")
            if math.isnan(value):
                raise PluginError(f"{measure.label} gives a {name} that is not a number")
        return {self._labels[measure.label, name]: float(value) for name, value in scores.items()}

    def _finish(self) -> dict[str, float]:
        """Each measure's scores over the pictures of one row."""
        scores: dict[str, float] = {}
        for measure in self.measures:
            if measure.label not in self._asked:
                continue
            self._asked.remove(measure.label)
            try:
                scores |= self._named(measure, measure.evaluator.finish())
            except Exception as error:  # as above
                self._fail(Failure(None, measure.label, _reason(error)), 0)
        return scores

    def _keep_images(self, index: int, label: str, case: Case | Clip, result: Sequence[Frame]) -> None:
        if index not in self._with_images and len(self._with_images) == self._images:
            return
        self._with_images.add(index)
        if case.has_colour:
            self.images.setdefault((index, TRUTH), cases.jpeg(case.truths))
        self.images.setdefault((index, GREY), cases.jpeg(case.greys))
        self.images.setdefault((index, label), cases.jpeg(result))

    def _fail(self, failure: Failure, steps: int = 1) -> None:
        if failure not in self.failures:  # a measure that cannot score a picture says so for each method
            self.failures.append(failure)
            self.listener.failed(failure)
        self.listener.advance(steps)


def _means(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score over the frames that have it."""
    names = dict.fromkeys(name for scores in each for name in scores)
    return {name: statistics.fmean(scores[name] for scores in each if name in scores) for name in names}


def _labels(measures: Sequence[Measure]) -> dict[tuple[str, str], str]:
    """Measure and its score's name -> the column's label: the name, with the measure's text where several have it."""
    named = [(measure, name) for measure in measures for name in measure.evaluator.higher_is_better]
    shared = Counter(name for _, name in named)
    labels = {}
    for measure, name in named:
        full = measure.label if name == measure.evaluator.name else f"{measure.label} {name}"
        labels[measure.label, name] = name if shared[name] == 1 else full
    return labels


def _reason(error: Exception) -> str:
    """One line; what is not ours is a bug in a plugin, or here: its traceback is kept."""
    if isinstance(error, ColorpipeError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory; close other programs, or choose a protocol of a smaller size"
    log.error("unexpected error", exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"
