"""Measures: how near a result is to the true colours, and how colourful and how sure it is.

Where a formula names no space, values are sRGB codes on a scale of 0..255, whatever the depth of the pictures. A result
left grey counts as R = G = B. The score of a set is the mean over its pictures, unless a class says otherwise.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar

import colorpipe
from colorpipe import Evaluator, PluginError, hookimpl, option

if TYPE_CHECKING:
    from colorpipe import ChromaDistribution, Frame

colorpipe_contract = 1

_ZHANG = "Zhang, Isola and Efros 2016, Colorful Image Colorization, arXiv 1603.08511"
_HASLER = "Hasler and Suesstrunk 2003, Measuring colourfulness in natural images, doi 10.1117/12.477378"


class PerPicture(Evaluator):
    """An evaluator whose score of a set is the mean over the pictures that have the score."""

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        self._seen: list[Mapping[str, float]] = []

    @abc.abstractmethod
    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        """The scores of one picture."""

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        self._seen.append(self.score(result, truth))
        return self._seen[-1]

    def finish(self) -> Mapping[str, float]:
        seen, self._seen = self._seen, []
        names = dict.fromkeys(name for scores in seen for name in scores)
        return {name: fmean(scores[name] for scores in seen if name in scores) for name in names}


class MSE(PerPicture):
    """Squared error, summed over R, G and B and averaged over the pixels: 0..195,075, lower is better.

    Three times what scikit-image and most papers call MSE, which average over the channels too.
    """

    name = "mse"
    summary = "squared error of the codes 0..255, summed over R, G and B; lower is better"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"mse": False}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        return {"mse": 3 * 255**2 * pixels.squared_error(result, truth)}


class PSNR(PerPicture):
    """Peak signal-to-noise ratio, 10 log10(255^2 / mean squared error over all pixels and channels), dB: 0..100, higher
    is better.

    Identical pictures would have infinitely many; they, and what is nearer than 100 dB, are given 100 (a mean squared
    error of 1e-10 of the peak's), so that a mean over pictures stays a number.
    """

    name = "psnr"
    summary = "peak signal-to-noise ratio of RGB in dB, at most 100; higher is better"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"psnr": True}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        return {"psnr": pixels.psnr(result, truth)}


class SSIM(PerPicture):
    """Structural similarity, the mean of R's, G's and B's: -1..1, higher is better.

    The paper's form: an 11x11 Gaussian window of sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03, averaged over
    the places whose window lies inside the picture. A picture of fewer than 11 rows or columns is mirrored at its
    border instead, as far as is needed; of one of 1x1 only the luminance term is left.
    """

    name = "ssim"
    summary = "structural similarity, Gaussian window, mean over R, G and B; higher is better"
    paper = "Wang, Bovik, Sheikh and Simoncelli 2004, Image Quality Assessment, doi 10.1109/TIP.2003.819861"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"ssim": True}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        return {"ssim": pixels.ssim(result, truth)}


class DE00(PerPicture):
    """CIEDE2000 colour difference with k_L = k_C = k_H = 1, mean over the pixels: 0 to about 100, lower is better."""

    name = "de00"
    summary = "mean CIEDE2000 colour difference; lower is better"
    paper = "Sharma, Wu and Dalal 2005, The CIEDE2000 color-difference formula, doi 10.1002/col.20070"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"de00": False}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import lab

        return {"de00": lab.de00(result, truth)}


class MaxChannel(PerPicture):
    """Share of the pixels whose largest channel is the truth's: 0..1, higher is better.

    Where channels tie, all of them are the largest, and a pixel counts if the same ones are: a grey pixel counts only
    where the truth is grey. Taking the first of R, G and B instead would give a grey result every reddish pixel.
    """

    name = "max-channel"
    summary = "share of the pixels whose largest RGB channel is the true one; higher is better"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"max-channel": True}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        return {"max-channel": pixels.same_largest_channel(result, truth)}


class GreyBacktrack(PerPicture):
    """Share of the pixels that, turned grey again, have the truth's grey within a threshold: 0..1, higher is better.

    Both are made grey by the same formula, here (R + G + B) / 3, and rounded to whole codes of 0..255. It tells whether
    a method kept the lightness that it was given, and nothing of its colours: a result left grey does well.
    """

    name = "grey-backtrack"
    summary = "share of the pixels whose (R+G+B)/3 is the truth's within a threshold; higher is better"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"grey-backtrack": True}
    formula: ClassVar[str] = "average"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        threshold: float = option(10.0, "largest difference that counts as the same, codes of 0..255", min=0, max=255)

    options: Options

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        return {self.name: pixels.same_grey(result, truth, self.formula, self.options.threshold)}


class GreyBacktrackOpenCV(GreyBacktrack):
    """``grey-backtrack`` by OpenCV's formula, 0.299 R + 0.587 G + 0.114 B: 0..1, higher is better."""

    name = "grey-backtrack-opencv"
    summary = "share of the pixels whose .299R+.587G+.114B is the truth's within a threshold; higher is better"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"grey-backtrack-opencv": True}
    formula: ClassVar[str] = "rec601"


def _colourfulness_scores(name: str) -> tuple[Mapping[str, bool], frozenset[str]]:
    """The directions of both forms' scores, and those that describe."""
    describes = {name: True, f"{name}-truth": True, f"{name}-share": True}
    return {**describes, f"{name}-difference-of-means": False, f"{name}-mean-of-differences": False}, frozenset(
        describes
    )


class Colourfulness(PerPicture):
    """sqrt(var rg + var yb) + 0.3 sqrt(mean rg^2 + mean yb^2), with rg = R - G and yb = (R + G) / 2 - B: 0 (grey) to
    about 160; photographs have 20..60. Papers report it as better when higher, but more is only better up to the truth.

    - ``colourfulness`` and ``colourfulness-truth``: of the result and of the truth;
    - ``-share``: the first over the second; of a set, of their means. Left out where the truth is grey;
    - ``-mean-of-differences``: the absolute difference of the two, averaged over the pictures; lower is better;
    - ``-difference-of-means``: the absolute difference of the means over a set, so of a set only; lower is better.
      Pictures too pale and pictures too vivid cancel out in it. Papers call either of the two "delta CF".
    """

    name = "colourfulness"
    summary = "Hasler and Suesstrunk's colourfulness of result and truth, and the difference"
    paper = _HASLER
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]]
    describes: ClassVar[frozenset[str]]
    higher_is_better, describes = _colourfulness_scores(name)
    without_truth = frozenset({name})
    absolute: ClassVar[bool] = False

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import pixels

        found, true = (pixels.colourfulness(frame, self.absolute) for frame in (result, truth))
        share = {f"{self.name}-share": found / true} if true else {}
        difference = {f"{self.name}-mean-of-differences": abs(found - true)}
        return {self.name: found, f"{self.name}-truth": true, **share, **difference}

    def finish(self) -> Mapping[str, float]:
        means = dict(super().finish())
        if means:
            found, true = means[self.name], means[f"{self.name}-truth"]
            means[f"{self.name}-difference-of-means"] = abs(found - true)
            if true:
                means[f"{self.name}-share"] = found / true
        return means


class ColourfulnessAbsolute(Colourfulness):
    """``colourfulness`` as some papers' code has it, with rg = |R - G| and yb = |(R + G) / 2 - B|: about a tenth less
    for photographs. Not to be compared with the signed form."""

    name = "colourfulness-absolute"
    summary = "colourfulness with absolute opponents, as some papers' code computes it"
    higher_is_better, describes = _colourfulness_scores(name)
    without_truth = frozenset({name})
    absolute: ClassVar[bool] = True


class AuC(PerPicture):
    """Area under the share of pixels whose ab lies within t of the truth's, for t from 0 to 150 CIE units, over 150:
    0..1, higher is better.

    The area is exact, as of infinitely many thresholds: 1 - mean(min(distance, 150)) / 150. Lightness is not looked at;
    most pixels are nearly grey, so that a result left grey does well.
    """

    name = "auc"
    summary = "area under the share of pixels within an ab distance of 0..150; higher is better"
    paper = _ZHANG
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"auc": True}

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import lab

        return {"auc": lab.auc(result, truth)}


class AuCRebalanced(Evaluator):
    """``auc`` with each pixel weighed by the inverse of how common its true colour is: 0..1, higher is better.

    The weight is 1 / p, the paper's equation 4 with lambda = 0, where p is the share of the true colour's cell of 10x10
    ab units, smoothed by a Gaussian of sigma 5. p was counted here, over 12,026 photographs (``prior.py``); the paper's
    is ImageNet's. Colours rarer than 1 in 40,000, about the rarest of the published prior, are weighed as if they were
    that common, lest a few pixels decide. A set's score is over the pixels of all pictures together; each picture has
    the same number of them, whatever its size.
    """

    name = "auc-rebalanced"
    summary = "auc with rare colours weighed as much as common ones; higher is better"
    paper = _ZHANG
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"auc-rebalanced": True}

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        self._area = self._weight = 0.0

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import lab

        area, weight = lab.weighed_auc(result, truth)
        self._area += area * weight
        self._weight += weight
        return {"auc-rebalanced": area}

    def finish(self) -> Mapping[str, float]:
        area, weight = self._area, self._weight
        self._area = self._weight = 0.0
        return {"auc-rebalanced": area / weight} if weight else {}


class Entropy(PerPicture):
    """Entropy of the predicted distribution, -sum p log2 p with p = softmax(logits), mean over the places: 0 (sure) to
    log2 of the number of colours, in bits.

    It describes how undecided a method is, and is neither good nor bad: lower is called better because a decoder then
    has less to choose from, but a method may be sure and wrong. Temperature and decoder do not matter to it. A picture
    is left out where the method predicts no distribution.
    """

    name = "entropy"
    summary = "mean entropy of the predicted distribution, bits; low is decided, not right"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"entropy": False}
    describes = frozenset({"entropy"})
    needs_distribution = True

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        self._observed: float | None = None

    def observe(self, distribution: ChromaDistribution) -> None:
        from colorpipe_metrics.distribution import entropy

        self._observed = entropy(distribution)

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        observed, self._observed = self._observed, None
        if observed is None:
            raise PluginError("entropy has seen no distribution", hint="call observe() before update()")
        return {"entropy": observed}


class Patchiness(PerPicture):
    """Spread of chroma inside regions that are plain in lightness, CIE units: 0 (each of one colour) to about 20.

    A surface of one material has one colour, so what varies there is mostly a network's doubt: blotches on walls, skies
    and water. Regions are superpixels of the truth's L whose L hardly varies (``patches.py``, with its constants).

    - ``patchiness`` and ``patchiness-truth``: of the result and of the truth; a photograph has 1 to 3;
    - ``patchiness-share``: the first over the second; of a set, of their means. Left out where the truth is grey;
    - ``patchiness-mean-of-differences``: the absolute difference of the two, averaged over the pictures.

    A result left grey has 0, so it is read beside colourfulness. A picture without plain regions has no score.
    """

    name = "patchiness"
    summary = "spread of chroma inside plain regions, of result and truth; near the truth's is good"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {
        "patchiness": False,
        "patchiness-truth": False,
        "patchiness-share": False,
        "patchiness-mean-of-differences": False,
    }
    describes = frozenset({"patchiness", "patchiness-truth", "patchiness-share"})
    without_truth = frozenset({"patchiness"})

    def score(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_metrics import patches

        regions = patches.plain_regions(truth)
        if not regions:
            return {}
        found, true = (patches.patchiness(frame, regions) for frame in (result, truth))
        share = {"patchiness-share": found / true} if true else {}
        difference = {"patchiness-mean-of-differences": abs(found - true)}
        return {"patchiness": found, "patchiness-truth": true, **share, **difference}

    def finish(self) -> Mapping[str, float]:
        means = dict(super().finish())
        if means.get("patchiness-truth"):
            means["patchiness-share"] = means["patchiness"] / means["patchiness-truth"]
        return means


@hookimpl
def colorpipe_evaluators() -> list[type[Evaluator]]:
    return [
        MSE,
        PSNR,
        SSIM,
        DE00,
        MaxChannel,
        GreyBacktrack,
        GreyBacktrackOpenCV,
        Colourfulness,
        ColourfulnessAbsolute,
        AuC,
        AuCRebalanced,
        Patchiness,
        Entropy,
    ]
