"""Measures of steadiness: how little the colour of a film changes that its light does not ask for.

They are given a clip's frames in order; ``finish`` ends the clip. None of them looks at whether a colour is right, and
grey is the steadiest of all: read them beside colourfulness.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from colorpipe import Evaluator, Options, hookimpl

if TYPE_CHECKING:
    from colorpipe import Frame

colorpipe_contract = 1

_CDC = "Liu et al. 2021, Temporally Consistent Video Colorization with Deep Feature Propagation and Self-regularization"
_LAI = "Lai et al. 2018, Learning Blind Video Temporal Consistency, arXiv 1808.00449"


class Cdc(Evaluator):
    """Colour Distribution Consistency: mean Jensen-Shannon divergence, in nats, of the histograms of R, G and B (256
    bins) of frames 1, 2 and 4 steps apart, averaged over channels and pairs, then over the three steps. 0..0.69, lower
    is steadier. A clip of fewer frames has the steps that fit into it.
    """

    name = "cdc"
    summary = "change of the colour histogram over 1, 2 and 4 frames; lower is steadier"
    paper = _CDC
    licence = "Apache-2.0"
    of_films = True
    higher_is_better: ClassVar[Mapping[str, bool]] = {"cdc": False}
    without_truth = frozenset({"cdc"})
    steps = (1, 2, 4)

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._start()

    def _start(self) -> None:
        self._last: list[Any] = []
        """Histograms of the last frames, as many as the longest step."""
        self._seen: dict[int, list[float]] = {step: [] for step in self.steps}

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_video_metrics import measures

        now = measures.histograms(result)
        for step in self.steps:
            if len(self._last) >= step:
                self._seen[step].append(measures.divergence(self._last[-step], now))
        self._last = [*self._last, now][-max(self.steps) :]
        return {}

    def finish(self) -> Mapping[str, float]:
        means = [fmean(values) for values in self._seen.values() if values]
        self._start()
        return {"cdc": fmean(means)} if means else {}


class AlongFlow(Evaluator):
    """Compares each frame with the one before, moved along the flow of the truth's luma."""

    of_films = True

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._start()

    def _start(self) -> None:
        self._before: Any = None
        self._seen: list[Mapping[str, float]] = []

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_video_metrics import measures

        now = measures.View.of(result, truth)
        before, self._before = self._before, now
        moved = None if before is None else measures.moved(before, now)
        if moved is None:  # the first frame of the clip or of a shot
            return {}
        self._seen.append(self.score(now, *moved))
        return self._seen[-1]

    @abc.abstractmethod
    def score(self, now: Any, moved: Any, visible: Any) -> Mapping[str, float]:
        """Score one frame from a ``measures.View``, the frame before moved onto it, and the mask (h, w) of places in
        both."""

    def finish(self) -> Mapping[str, float]:
        seen = self._seen
        self._start()
        return {name: fmean(scores[name] for scores in seen) for name in self.higher_is_better} if seen else {}


class WarpError(AlongFlow):
    """Mean squared difference to the frame before, moved along the flow, over places that both show.

    ``warp-error``: of R, G and B, 0..1, averaged over the three, as Lai et al.'s program has it (their flow is
    FlowNet2). Most of it is the source's own light, which no colorizer changes; ``warp-error-chroma`` is the
    colorizer's part: of a and b, CIE units squared, summed over the two.
    """

    name = "warp-error"
    summary = "squared change along the flow, of RGB and of chroma alone; lower is steadier"
    paper = _LAI
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"warp-error": False, "warp-error-chroma": False}
    without_truth = frozenset(higher_is_better)

    def score(self, now: Any, moved: Any, visible: Any) -> Mapping[str, float]:
        from colorpipe_video_metrics import measures

        rgb = measures.mean_where(visible, (now.rgb - moved.rgb) ** 2) / 3
        return {"warp-error": rgb, "warp-error-chroma": measures.mean_where(visible, (now.ab - moved.ab) ** 2)}


class Flicker(AlongFlow):
    """Mean absolute change of chroma along the flow from frame to frame, CIE units, averaged over a and b, over places
    that both frames show. From about 1 on it is seen."""

    name = "flicker"
    summary = "mean change of chroma along the flow from frame to frame, CIE units; lower is steadier"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"flicker": False}
    without_truth = frozenset({"flicker"})

    def score(self, now: Any, moved: Any, visible: Any) -> Mapping[str, float]:
        from colorpipe_video_metrics import measures

        return {"flicker": measures.mean_where(visible, abs(now.ab - moved.ab)) / 2}


@hookimpl
def colorpipe_evaluators() -> list[type[Evaluator]]:
    return [Cdc, Flicker, WarpError]
