"""Specs: the text that names a method or a measure, ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.

``zhang:T=0.09,saturation=1.2`` is the method with options of its own, of its decoder, of its preprocessors and of
merging, by bare or qualified name (``annealed_mean_T``), as ``Session`` takes them. Four keys of a method are not
options: ``weights=FILE_OR_NAME``, ``decoder=NAME``, ``preprocessor=NAME`` (several joined by ``+``) and
``reference=FILE``; or ``reference=none``, which keeps a method that has weights from learning. A measure has options,
and ``weights``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.errors import ColorpipeError, UsageError
from colorpipe.guidance.reference import read_lab
from colorpipe.options import Options, build, fields
from colorpipe.pipeline.session import parts_of, recipe_of
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Recipe, Stage
from colorpipe.weights.store import ModelStore, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colorpipe.evaluation.protocol import Protocol
    from colorpipe.plugins.host import PluginHost
    from colorpipe.plugins.interfaces import Evaluator

DEFAULT_EVALUATORS = ("psnr", "ssim", "de00", "colourfulness")
FILM_EVALUATORS = ("psnr", "de00", "colourfulness", "cdc", "flicker", "warp-error")
"""Steadiness says nothing without colourfulness: grey is the steadiest of all."""
_NONE = "none"


@dataclass(frozen=True)
class Method:
    """One row: a recipe under the text that asked for it."""

    label: str
    recipe: Recipe
    reference: Path | None
    """A colour picture to learn from once, where one was named."""
    learns: bool
    """Whether each picture's own reference is taken up."""


@dataclass(frozen=True)
class Measure:
    """One evaluator with its options, ready, under the text that asked for it."""

    label: str
    evaluator: Evaluator
    version: str
    weights: Weights | None
    """Weights of the network that it uses."""

    def about(self) -> dict[str, Any]:
        """A description of the measure for the record."""
        return {
            "name": self.evaluator.name,
            "version": self.version,
            "options": self.evaluator.options.as_dict(),
            "weights": None if self.weights is None else self.weights.name,
            "weights_sha256": None if self.weights is None else self.weights.sha256,
        }


def methods(specs: Sequence[str], protocol: Protocol, host: PluginHost, media: MediaOptions) -> list[Method]:
    """Everything about the methods that can be wrong before a network is loaded.

    Raises:
        UsageError: an unknown name, an unacceptable value, one method twice, or none to learn from.
        WeightsError: weights that are not here, or damaged.
        InputError: a reference that cannot be read.
    """
    _no_two(specs)
    return [_method(spec, protocol, host, media) for spec in specs]


def _method(spec: str, protocol: Protocol, host: PluginHost, media: MediaOptions) -> Method:
    name, values = _read(spec)
    with _named(spec):
        weights, reference = values.pop("weights", None), values.pop("reference", None)
        decoder, preprocessors = values.pop("decoder", None), values.pop("preprocessor", "")
        recipe = recipe_of(
            host, name, values, [part for part in preprocessors.split("+") if part], decoder, core=(MergeOptions,)
        )
        colorizer = host.colorizer(name)
        recipe = replace(
            recipe,
            colorizer=_typed(recipe.colorizer, colorizer.Options),
            decoder=_typed(recipe.decoder, host.decoder(recipe.decoder.name).Options) if recipe.decoder else None,
            preprocessors=tuple(_typed(step, host.preprocessor(step.name).Options) for step in recipe.preprocessors),
            weights=weights,
            settings=_typed(Stage(name, recipe.settings), MergeOptions).options,
        )
        parts_of(host, recipe)
        wants = colorizer.takes_reference or colorizer.learns_from_reference
        if reference is not None and not wants:
            raise UsageError(f"{colorizer.name} does not use a reference", hint="leave reference= out")
        learns = wants and reference is None and protocol.learn is not None
        if reference == _NONE:
            reference = None
        if reference is not None:
            read_lab(Path(reference), media)
        must = colorizer.learns_from_reference and colorizer.default_weights is None
        if must and not learns and reference is None:
            raise UsageError(
                f"{colorizer.name} learns from a colour picture, and {protocol.name} gives it none",
                hint=f"write {colorizer.name}:reference=FILE, or choose a left-right protocol",
            )
    return Method(spec, recipe, None if reference is None else Path(reference), learns)


def measures(specs: Sequence[str] | None, protocol: Protocol, host: PluginHost) -> list[Measure]:
    """The evaluators with their networks; where None is given those of ``DEFAULT_EVALUATORS``, or of
    ``FILM_EVALUATORS``, that are installed.

    Raises:
        UsageError: as ``methods``; or none is installed.
        WeightsError: the network that one looks with is not here.
    """
    there = host.classes("evaluator")
    if not specs:
        usual = FILM_EVALUATORS if protocol.medium == "video" else DEFAULT_EVALUATORS
        specs = [name for name in usual if name in there]
    if not specs:
        others = f"name one with --evaluator: {', '.join(sorted(there))}" if there else "install a plugin that has some"
        raise UsageError(f"none of the usual measures is installed ({', '.join(usual)})", hint=others)
    _no_two(specs)
    return [_measure(spec, protocol, host) for spec in specs]


def _measure(spec: str, protocol: Protocol, host: PluginHost) -> Measure:
    name, values = _read(spec)
    with _named(spec):
        cls = host.evaluator(name)
        if cls.of_films and protocol.medium == "still":
            raise UsageError(
                f"{name} compares the frames of a film, and {protocol.name} pictures", hint="--protocol video.v1 has it"
            )
        if cls.needs_distribution and protocol.medium == "video":
            raise UsageError(
                f"{name} looks at what is predicted for a picture; most frames of a film are not predicted"
            )
        weights = ModelStore(host.models).resolve(values.pop("weights", None), cls)
        evaluator = cls(build(cls.Options, _typed(Stage(cls.name, values), cls.Options).options, cls.name))
        if weights is not None:
            evaluator.build(weights.path)
    return Measure(spec, evaluator, host.version(cls), weights)


def _read(spec: str) -> tuple[str, dict[str, str]]:
    """``name:key=value,key=value`` -> the name, and the values by key; hyphens of a key are underscores."""
    name, colon, rest = spec.partition(":")
    values: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals and value):
            raise UsageError(f"{spec}: {part!r} is no KEY=VALUE", hint="write NAME:KEY=VALUE,KEY=VALUE")
        if key in values:
            raise UsageError(f"{spec}: {key} is given twice")
        values[key] = value
    return name.strip(), values


def _typed(stage: Stage, cls: type[Options]) -> Stage:
    """Values as typed -> values of the options' own types, checked."""
    known = {field.name: field for field in fields(cls)}
    unknown = [name for name in stage.options if name not in known]
    if unknown:
        build(cls, dict.fromkeys(unknown), stage.name)  # says so
    return Stage(stage.name, {name: known[name].parse(text, stage.name) for name, text in stage.options.items()})


@contextmanager
def _named(spec: str) -> Iterator[None]:
    """Errors that say which of several specs is meant."""
    try:
        yield
    except ColorpipeError as error:
        raise type(error)(f"{spec}: {error.message}" if ":" in spec else error.message, hint=error.hint) from None


def _no_two(specs: Sequence[str]) -> None:
    for index, spec in enumerate(specs):
        if spec in specs[:index]:
            raise UsageError(f"{spec} is named twice", hint="give the same method again with other options")
