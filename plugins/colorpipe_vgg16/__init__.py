"""A classifier as a measure: whether VGG-16 sees the same thing in a colorized picture as in the true one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar

import colorpipe
from colorpipe import Evaluator, Model, PluginError, UsageError, hookimpl, option

if TYPE_CHECKING:
    import torch

    from colorpipe import Frame

colorpipe_contract = 1

CLASSES = 1000


@dataclass(frozen=True)
class Truth:
    """The classes that the network sees in a true picture and in its grey."""

    true_class: int
    grey_class: int
    scores: Mapping[str, float]


class VGG16(Evaluator):
    """Class and confidence (softmax probability) that VGG-16 gives to the result, the truth and the truth's grey.

    All scores are 0..1, of a set the mean over its pictures:

    - ``vgg16-agreement``: 1 if the result's most probable class is the truth's, else 0; higher is better;
    - ``vgg16-truth-class``: probability of the truth's class in the result; higher is better, though the truth itself
      need not have the most;
    - ``vgg16-confidence``: probability of the result's own class, right or wrong;
    - ``vgg16-original-confidence``: the same of the truth. Its class agrees with itself by definition;
    - ``vgg16-grey-agreement``, ``vgg16-grey-truth-class``, ``vgg16-grey-confidence``: of the truth's luma as a picture.
      What a result has beyond these, its colour brought.

    The truth's class is what the network sees in it, not a label that somebody gave. Pictures are resized to 256 on
    their shorter side, bilinear with antialiasing, and their middle 224x224 are looked at, as the weights were
    published with. Computed on the CPU in fp32.
    """

    name = "vgg16"
    summary = "class and confidence that VGG-16 gives to the result, the truth and grey; needs its weights"
    paper = "Simonyan and Zisserman 2014, Very Deep Convolutional Networks, arXiv 1409.1556"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = dict.fromkeys(
        (
            "vgg16-agreement",
            "vgg16-truth-class",
            "vgg16-confidence",
            "vgg16-original-confidence",
            "vgg16-grey-agreement",
            "vgg16-grey-truth-class",
            "vgg16-grey-confidence",
        ),
        True,
    )
    describes = frozenset(higher_is_better) - {"vgg16-agreement"}
    default_weights = "vgg16"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        names: Path | None = option(None, "text file of the 1000 class names in the order of their numbers, one a line")

    options: Options

    def __init__(self, options: colorpipe.Options | None = None) -> None:
        super().__init__(options)
        self._network: torch.nn.Module | None = None
        self._names: list[str] = []
        self._truths: dict[bytes, Truth] = {}
        self._seen: list[Mapping[str, float]] = []
        self._remarks: Mapping[str, str] = {}

    def build(self, weights: Path) -> None:
        import torch

        from colorpipe.weights import load_strictly, read_tensors
        from colorpipe_vgg16 import network

        self._names = [] if self.options.names is None else _read_names(self.options.names)
        tensors, _ = read_tensors(weights)
        with torch.device("meta"):  # the file's tensors take every place: random ones would cost time and memory
            made = network.VGG16()
        load_strictly(made, tensors, f"{weights} as vgg16")
        self._network = made.eval()

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe_vgg16.network import probabilities

        if self._network is None:
            raise PluginError("vgg16 has no weights", hint="call build() before update()")
        known = self._truth(self._network, truth)
        seen = probabilities(self._network, [result])[0]
        found = seen.index(max(seen))
        scores = {
            "vgg16-agreement": float(found == known.true_class),
            "vgg16-truth-class": seen[known.true_class],
            "vgg16-confidence": seen[found],
            **known.scores,
        }
        classes = {"class": found, "class of the truth": known.true_class, "class of grey": known.grey_class}
        self._remarks = {kind: self._told(index) for kind, index in classes.items()}
        self._seen.append(scores)
        return scores

    def _truth(self, network: torch.nn.Module, truth: Frame) -> Truth:
        """Looked at once, however many methods are compared on it."""
        from colorpipe_vgg16.network import probabilities

        digest = hashlib.sha256(repr(truth.luma.shape).encode())
        for plane in (truth.luma, *(truth.colour or ())):
            digest.update(plane.tobytes())
        key = digest.digest()
        if key not in self._truths:
            true, grey = probabilities(network, [truth, replace(truth, colour=None)])
            true_class, grey_class = true.index(max(true)), grey.index(max(grey))
            scores = {
                "vgg16-original-confidence": true[true_class],
                "vgg16-grey-agreement": float(grey_class == true_class),
                "vgg16-grey-truth-class": grey[true_class],
                "vgg16-grey-confidence": grey[grey_class],
            }
            self._truths[key] = Truth(true_class, grey_class, scores)
        return self._truths[key]

    def _told(self, index: int) -> str:
        return f"{index} {self._names[index]}" if self._names else str(index)

    def remarks(self) -> Mapping[str, str]:
        return self._remarks

    def finish(self) -> Mapping[str, float]:
        seen, self._seen = self._seen, []
        return {name: fmean(scores[name] for scores in seen) for name in (seen[0] if seen else ())}


def _read_names(file: Path) -> list[str]:
    try:
        names = file.expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"vgg16: cannot read the class names {file}: {error}") from None
    if len(names) != CLASSES:
        raise UsageError(f"vgg16: {file} has {len(names)} lines, not {CLASSES} class names", hint="one name a line")
    return names


@hookimpl
def colorpipe_evaluators() -> list[type[Evaluator]]:
    return [VGG16]


@hookimpl
def colorpipe_models() -> list[Model]:
    return [
        Model(
            name="vgg16",
            colorizer="vgg16",
            licence="BSD-3-Clause",
            summary="torchvision's VGG-16, 138.4 M parameters, for the measure of that name",
            # https://github.com/pytorch/vision, VGG16_Weights.IMAGENET1K_V1
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            size=553_433_881,
            paper=VGG16.paper,
            trained_on="ImageNet (ILSVRC 2012), 1.3 M photographs",
        )
    ]
