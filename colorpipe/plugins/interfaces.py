"""The contracts: what a preprocessor, a colorizer, a decoder and an evaluator promise.

A whole plugin, in one file that ``colorpipe run photo.jpg --plugin sepia.py --colorizer sepia`` loads::

    from dataclasses import dataclass
    import colorpipe
    from colorpipe import Batch, Chroma, Colorizer, hookimpl, option

    class Sepia(Colorizer):
        "One hue for every place."
        name = "sepia"
        summary = "tints the whole picture in one hue"
        licence = "Apache-2.0"

        @dataclass(frozen=True)
        class Options(colorpipe.Options):
            strength: float = option(20.0, "chroma of the tint, CIE units", min=0, max=60)

        def predict(self, batch: Batch) -> Chroma:
            import torch  # heavy imports go where they are used: `colorpipe --help` stays fast
            tint = torch.tensor([0.35, 0.94], device=batch.L.device) * self.options.strength
            return Chroma(ab=tint.view(1, 2, 1, 1).expand(len(batch), 2, *batch.L.shape[2:]))

    @hookimpl
    def colorpipe_colorizers():
        return [Sepia]

``colorpipe plugins new NAME`` writes such a plugin as an installable project; ``colorpipe plugins test NAME`` runs the
conformance suite of ``colorpipe.testing`` over it.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from colorpipe.errors import PluginError, TrainingError
from colorpipe.options import Options as BaseOptions
from colorpipe.types import InputSize

if TYPE_CHECKING:
    import torch

    from colorpipe.plugins.training_task import Task
    from colorpipe.types import Batch, Chroma, ChromaDistribution, Frame, Lab


@dataclass(frozen=True)
class NoOptions(BaseOptions):
    """Options of a plugin that has none."""


class Plugin(abc.ABC):
    """The base of the four kinds."""

    kind: ClassVar[str]
    name: ClassVar[str]
    """The name on the command line: lower case, words joined by hyphens."""
    summary: ClassVar[str]
    """One line for the table."""
    paper: ClassVar[str] = ""
    """Authors, year and an identifier, where there is a paper."""
    licence: ClassVar[str]
    """SPDX identifier of the code."""

    Options: ClassVar[type[BaseOptions]] = NoOptions
    """A nested dataclass of fields declared with ``option()``."""

    def __init__(self, options: BaseOptions | None = None) -> None:
        self.options = self.Options() if options is None else options
        if not isinstance(self.options, self.Options):
            raise PluginError(f"{self.name} was given options of {type(self.options).__qualname__}")


class Preprocessor(Plugin):
    """Changes a picture's lightness before the network sees it."""

    kind = "preprocessor"
    restores: ClassVar[bool] = False
    """False: only the network sees the change. True: the output shows it too; its luma is then no longer the source's.
    Those that restore are applied first, each kind in the order in which it was named."""

    @abc.abstractmethod
    def apply(self, lab: Lab) -> Lab:
        """The changed picture.

        ``lab.L`` is (H, W) float32 0..100; the result's L too. A preprocessor with ``restores`` keeps the shape. One
        without may change it (padding, resizing): it then says in ``locate`` where the original picture lies.
        """

    def convert(self, frame: Frame) -> Frame:
        """Called first, with the frame as it was read; the place for choices about how colour becomes grey.

        Returns a frame of the same size. The default keeps the frame.
        """
        return frame

    def locate(self, height: int, width: int) -> tuple[float, float, float, float] | None:
        """The original picture's place in ``apply``'s result: top, left, bottom, right as fractions of its sides.

        None stands for everywhere. Chroma outside is dropped before it is laid over the original.
        """
        return None


class Colorizer(Plugin):
    """Predicts chroma from lightness."""

    kind = "colorizer"
    input_size: InputSize = InputSize()
    """``build`` may set the instance's own size, if it depends on the weights."""
    film_input_size: InputSize | None = None
    """Input size for a film's frames, where it differs from the size for photographs."""
    published: ClassVar[Literal["lab", "yuv"]] = "lab"
    """The published script's way of merging: ``lab`` puts the network's ab on the source's L; ``yuv`` puts the
    network's U and V on the source's BT.601 luma, enlarged as Pillow's bilinear does. ``--upsample nearest`` or
    ``bilinear`` with ``--gamut clip`` reproduces that picture exactly for a still."""
    own_weights: Mapping[str, str] = MappingProxyType({})
    """Name -> SHA-256 of the files that ``build`` found by itself, for a method that is made of others: for the recipe
    and its digest."""
    yields_distribution: ClassVar[bool] = False
    """True: ``predict`` gives a ChromaDistribution, and a decoder is attached."""
    default_decoder: ClassVar[str | None] = None
    """The decoder attached when none is asked for; for a method that yields a distribution."""
    devices: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda", "mps"})
    """The kinds of devices that it can run on: ``auto`` chooses among these; others are refused by name."""
    preferred_batch: ClassVar[int | None] = None
    """Pictures in a call of ``predict`` without ``--batch``; None takes the device's own number."""
    looks_at: ClassVar[frozenset[str]] = frozenset()
    """Of ``reference``, ``prompt`` and ``seed``, those that ``predict`` takes from ``Batch.companions``, each picture's
    own: from ``NAME.0.reference.png`` and ``NAME.prompt.txt`` beside it, and a number made of its content."""
    neighbours: ClassVar[int] = 0
    """Frames before and after a film's frame that ``predict`` is given with it, in ``Batch.clip``, never over a cut.
    The network sees key frames; ``--temporal 1`` makes each frame one."""
    results: int = 1
    """Results for each picture, which ``__init__`` may set from the options: the first has the picture's name, the
    others ``NAME-2``, ``NAME-3``. ``predict`` is asked for each by ``Companion.result``."""
    takes_hints: ClassVar[bool] = False
    takes_reference: ClassVar[bool] = False
    """``Batch.reference`` is looked at."""
    learns_from_reference: ClassVar[bool] = False
    """``learn`` is called with the reference. One must be given, unless there are ``default_weights`` to do without."""
    default_weights: ClassVar[str | None] = None
    """Registry name of the weights used when none are asked for; None for a method without weights."""
    TrainOptions: ClassVar[type[BaseOptions] | None] = None
    """Options of ``colorpipe train``; None for a method that is not trained."""

    network: torch.nn.Module | None = None
    """The network from ``build``, made fast by the runtime; ``predict`` calls it."""

    def build(self, weights: Path | None) -> torch.nn.Module | None:
        """The network with its weights, on the CPU, in fp32, in evaluation mode; None for a method without one.

        Args:
            weights: A file whose SHA-256 has been checked where one is registered; None if the method has none, or is
                about to learn from a reference.

        Raises:
            WeightsError: the file does not hold this method's weights, to the key.
        """
        return None

    @classmethod
    def uses_weights(cls) -> bool:
        """Whether ``build`` does anything: the method has weights, registered or given as a file."""
        return cls.build is not Colorizer.build

    def untrained(self) -> torch.nn.Module | None:
        """The network with random weights, in evaluation mode: what the conformance suite tests where the real weights
        are not on the machine. None for a method without a network."""
        return None

    def learn(self, reference: Lab, device: torch.device) -> None:
        """Take up the colours of a picture, for a method with ``learns_from_reference``.

        Called after ``build`` and before ``predict``; again for each new reference, of which the last one counts. For
        a film's shot with a reference of its own it is called on another object, built with the same options; each of
        several devices has one as well, in a thread of its own.
        ``reference`` has ab, at its own size; gradients may be computed. Anything random comes from the options' seed.
        """
        raise PluginError(f"{self.name} does not learn from a reference", hint="set learns_from_reference to False")

    @abc.abstractmethod
    def predict(self, batch: Batch) -> Chroma | ChromaDistribution:
        """Chroma for each picture of the batch, on the batch's device, at any resolution.

        ``batch.L`` is (N, 1, h, w) 0..100 at the size that ``input_size`` asks for. Gradients are off. Equal input
        gives equal output, and a picture's result does not depend on its neighbours in the batch.
        A method with a network is called from several threads at once on a CPU: what a call works on stays its own.
        """

    def features(self, batch: Batch) -> torch.Tensor | None:
        """What the method sees at each place of each picture, (N, C, h', w') over the whole view; None: it does not
        tell.

        Places that look alike have vectors of nearly the same direction. They find the places that look like a painted
        one. ``batch`` is as of ``predict``.
        """
        return None

    def training_task(self, options: BaseOptions) -> Task:
        """The task that ``colorpipe train`` fits, for a method with ``TrainOptions``."""
        raise TrainingError(f"{self.name} is not trained", hint="see `colorpipe plugins` for methods that are")


class Decoder(Plugin):
    """Turns a distribution over chroma into chroma."""

    kind = "decoder"

    @abc.abstractmethod
    def decode(self, distribution: ChromaDistribution) -> Chroma:
        """(N, Q, h', w') logits -> (N, 2, h', w') ab inside the convex hull of the bins; confidence if it has one."""


class Evaluator(Plugin):
    """Scores results against the truth, one picture at a time and over a set."""

    kind = "evaluator"
    higher_is_better: ClassVar[Mapping[str, bool]] = {}
    """Score name -> direction, for each score it gives."""
    describes: ClassVar[frozenset[str]] = frozenset()
    """Scores that describe a result instead of comparing it with the truth: its colourfulness, for example.
    Of all others, identical pictures have the best."""
    needs_distribution: ClassVar[bool] = False
    """True: it scores what ``observe`` is told, and is left out for methods that predict chroma directly."""
    of_films: ClassVar[bool] = False
    """True: it compares frames with those before them. ``update`` is given a clip's frames in order, ``finish`` ends
    the clip; it is left out for photographs."""
    without_truth: ClassVar[frozenset[str]] = frozenset()
    """Scores that need no ground-truth colour, at most its luma. A grey film has only these, and none of them says
    whether a colour is right."""
    default_weights: ClassVar[str | None] = None
    """Registry name of the weights of the network that it uses; ``build`` is given their file."""

    def build(self, weights: Path) -> None:
        """Load the network that it uses, for an evaluator with ``default_weights``; once, before ``update``.

        Raises:
            WeightsError: the file does not hold that network, to the key.
        """
        raise PluginError(f"{self.name} has default_weights and no build()", hint="load the network there")

    @classmethod
    def uses_weights(cls) -> bool:
        """Whether ``build`` does anything: the measure uses a network."""
        return cls.build is not Evaluator.build

    def observe(self, distribution: ChromaDistribution) -> None:
        """Receives the colorizer's prediction for the picture of the next ``update``; N is 1.

        Called only for a colorizer that predicts a distribution.
        """

    @abc.abstractmethod
    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        """Take in one picture and return its own scores.

        Both have the same size and are in colour (``colour`` holds R, G and B), but for a result left grey.
        """

    def remarks(self) -> Mapping[str, str]:
        """Texts about the picture of the last ``update``, for its row: the class that a network saw, say."""
        return {}

    @abc.abstractmethod
    def finish(self) -> Mapping[str, float]:
        """Scores over all pictures since the start or the last ``finish``."""


KINDS: dict[str, type[Plugin]] = {
    "preprocessor": Preprocessor,
    "colorizer": Colorizer,
    "decoder": Decoder,
    "evaluator": Evaluator,
}
