"""Methods x pictures, or films -> scores: one method after the other, so that one network is loaded at a time.

One picture's failure is its own, and so is a method's or a measure's: each is named and left out of the means.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe._version import __version__
from colorpipe.errors import UsageError
from colorpipe.evaluation import cases, clips, specs
from colorpipe.evaluation.methods import GreyBaseline, GroundTruth, MethodRunner
from colorpipe.evaluation.protocols import DEFAULT_PROTOCOL, get, usual
from colorpipe.evaluation.records import GREY, TRUTH
from colorpipe.evaluation.results import Evaluation
from colorpipe.evaluation.scorer import NullScoringListener, Scorer, ScoringListener
from colorpipe.inference.devices import choose_device
from colorpipe.inference.runtime import Precision
from colorpipe.media.inputs import find_inputs
from colorpipe.media.passed import Passed
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import MediaOptions

if TYPE_CHECKING:
    pass


def evaluate(  # large: the public call, whose arguments are `colorpipe eval`'s
    inputs: str | Path | Sequence[str | Path],
    colorizers: Sequence[str] = (DEFAULT_COLORIZER,),
    evaluators: Sequence[str] | None = None,
    protocol: str | None = None,
    *,
    baseline: bool = True,
    device: str = "auto",
    precision: Precision = "auto",
    host: PluginHost | None = None,
    media: MediaOptions | None = None,
    images: int = 0,
    listener: ScoringListener | None = None,
) -> Evaluation:
    """Colorize colour pictures, or films, from their grey, by each method, and score the results.

    Args:
        inputs: Colour pictures or films, folders or patterns.
        colorizers: ``NAME`` or ``NAME:KEY=VALUE,...``, as ``colorpipe eval --colorizer`` takes them.
        evaluators: Likewise; None takes PSNR, SSIM, CIEDE2000 and colourfulness, those that are installed; for films
            the measures of steadiness in SSIM's place.
        protocol: Its name; ``colorpipe.evaluation.protocols`` has them. None takes ``whole-256.v1``, or ``video.v1``
            where all inputs are films.
        baseline: Whether the pictures left grey are the first row, and the true colours of films the second.
        device, precision: As ``Session``.
        images: Of how many pictures to keep small copies, for a page.

    Raises:
        UsageError, WeightsError, DeviceError, InputError: before anything is started. Afterwards what goes wrong is
            among the evaluation's ``failures``.
    """
    host, media = host or PluginHost.load(), media or MediaOptions()
    if protocol is not None:
        get(protocol)
    if not colorizers and not baseline:
        raise UsageError("there is no method to evaluate", hint="name one with --colorizer")
    choose_device(device)
    passed = Passed()
    found = find_inputs([inputs] if isinstance(inputs, (str, Path)) else inputs, passed=passed)
    chosen = get(protocol or usual([item.path for item in found]))
    of_films = chosen.medium == "video"
    scored = [item for item in found if item.error or chosen.is_scored(item.path)]
    if not scored:
        raise UsageError(
            f"none of the {len(found)} inputs is among those that {chosen.name} scores", hint="name more pictures"
        )
    methods = [
        replace(method, recipe=replace(method.recipe, device=device, precision=precision))
        for method in specs.methods(colorizers, chosen, host, media)
    ]
    scorer = Scorer(
        [item.path for item in scored],
        specs.measures(evaluators, chosen, host),
        lambda path: (clips if of_films else cases).read(path, chosen, media),
        images,
        listener or NullScoringListener(),
    )
    rows: list[tuple[str, GreyBaseline | MethodRunner]] = [(GREY, GreyBaseline())] if baseline else []
    rows += [(TRUTH, GroundTruth())] if baseline and of_films else []
    rows += [(method.label, MethodRunner(method, host)) for method in methods]
    scorer.listener.passed_over(passed)
    scorer.listener.started(len(scored) * len(rows))
    for index, item in enumerate(scored):
        if item.error:
            scorer.drop(index, item.error, len(rows))
    made = [scorer.row(label, method, len(rows) - number) for number, (label, method) in enumerate(rows)]
    if scorer.colourless:  # their truth is not known: a mean of the others' would stand beside means over all
        made = [row for row in made if row.label != TRUTH]
    return _renumbered(
        Evaluation(
            protocol=chosen,
            columns=scorer.columns,
            rows=tuple(made),
            pictures=tuple(scorer.paths),
            failures=tuple(scorer.failures),
            passed_over=tuple(passed.others),
            training=tuple(item.path for item in found if not chosen.is_scored(item.path)),
            measures={measure.label: measure.about() for measure in scorer.measures},
            versions=_versions(),
            images=scorer.images,
            colourless=tuple(scorer.paths[index] for index in sorted(scorer.colourless)),
        )
    )


def left_for_training(inputs: Sequence[str | Path], protocol: str | None) -> list[Path]:
    """The inputs that a protocol does not score, ``None`` being ``whole-256.v1``.

    Raises:
        UsageError: it scores all.
    """
    chosen = get(protocol or DEFAULT_PROTOCOL)
    if chosen.share == 1:
        raise UsageError(f"{chosen.name} scores every input", hint="choose a protocol that splits them")
    return [item.path for item in find_inputs(inputs) if not item.error and not chosen.is_scored(item.path)]


def _renumbered(evaluation: Evaluation) -> Evaluation:
    """Without the pictures that no method could colorize."""
    kept = sorted({index for row in evaluation.rows for index in row.results})
    place = {index: number for number, index in enumerate(kept)}
    return replace(
        evaluation,
        rows=tuple(
            replace(row, results={place[index]: scored for index, scored in row.results.items()})
            for row in evaluation.rows
        ),
        pictures=tuple(evaluation.pictures[index] for index in kept),
        images={(place[index], label): data for (index, label), data in evaluation.images.items() if index in place},
    )


def _versions() -> dict[str, str]:
    import cv2
    import numpy
    import torch

    return {
        "colorpipe": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "opencv": cv2.__version__,
    }
