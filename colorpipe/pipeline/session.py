"""colorpipe from Python: a recipe turned into live stages.

::

    import colorpipe
    rgb = colorpipe.colorize("grandmother.jpg")                    # (H, W, 3) uint8
    session = colorpipe.Session("zhang", T=0.38, device="cpu")     # the network is loaded once
    pictures = [session.colorize(path) for path in paths]
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from colorpipe import color, options
from colorpipe._version import __version__
from colorpipe.errors import UsageError
from colorpipe.guidance import hint_files
from colorpipe.guidance.reference import read_lab
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.inference.engines import PICTURES, Wanted
from colorpipe.pipeline import pictures, pinned
from colorpipe.pipeline.frame import Pipeline
from colorpipe.pipeline.runtimes import RuntimeMaker
from colorpipe.plugins import fingerprint
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import INT8_LIMIT, MediaOptions, MergeOptions
from colorpipe.types import Frame, Lab, Recipe, Stage
from colorpipe.weights.store import ModelStore, Weights, sha256

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.inference.engines import Engine
    from colorpipe.inference.runtime import Precision
    from colorpipe.pipeline.film import Film
    from colorpipe.pipeline.runtimes import AnyRuntime
    from colorpipe.plugins.interfaces import Colorizer, Decoder, Plugin, Preprocessor

log = logging.getLogger(__name__)


class Session:
    """The stages of one recipe with the network loaded, for as many pictures as you like.

    Args:
        colorizer: Its name, or a whole ``Recipe``.
        weights: Registry name or file; None takes the method's own.
        preprocessors: Names, applied in order.
        decoder: Its name; None takes the colorizer's own where it predicts a distribution.
        device, precision, engine, batch: As on the command line.
        host: Plugins; None loads what is installed.
        reference: A colour picture, a file or ``Lab``, for methods that take or learn from one.
        options: Options of the chosen plugins, of merging and of writing files, by name: ``T=0.38``,
            ``saturation=1.2``. As on the command line, a name that colorpipe itself has is never a plugin's, and one
            that several plugins have is qualified: ``greyscale_formula="rec709"``.

    Raises:
        UsageError, PluginError, WeightsError, DeviceError: as their docstrings say.
    """

    recipe: Recipe
    """Complete: with versions, the weights' SHA-256, the device and the precision that are in use."""
    digest: str
    """Digest of the requested recipe; outputs with this digest are skipped, here and on other machines."""
    runtimes: tuple[AnyRuntime, ...]
    """One for each device. A run spreads its calls over them; ``frame`` and ``colorize`` use the first."""

    def __init__(  # large: the public call, with a recipe's parts by name
        self,
        colorizer: str | Recipe = DEFAULT_COLORIZER,
        *,
        weights: str | Path | None = None,
        preprocessors: Sequence[str] = (),
        decoder: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        engine: Engine = "auto",
        batch: int | None = None,
        require_gpu: bool = False,
        host: PluginHost | None = None,
        reference: str | Path | Lab | None = None,
        **values: Any,
    ) -> None:
        self.host = host or PluginHost.load()
        if isinstance(colorizer, Recipe):
            if values or weights or preprocessors or decoder:
                raise UsageError("a recipe says it all", hint="change the recipe with dataclasses.replace instead")
            recipe = dataclasses.replace(colorizer, guides={})  # an input has some, a session none
        else:
            recipe = dataclasses.replace(
                recipe_of(self.host, colorizer, values, preprocessors, decoder),
                weights=None if weights is None else str(weights),
                device=device,
                precision=precision,
                engine=engine,
            )
        self._assemble(recipe, batch, require_gpu, reference)

    def _assemble(
        self, recipe: Recipe, batch: int | None, require_gpu: bool, reference: str | Path | Lab | None
    ) -> None:
        preprocessors, colorizer, decoder, merge, media, weights = parts_of(self.host, recipe)
        if reference is not None and colorizer.learns_from_reference and recipe.weights is None:
            weights = None  # learned values replace the method's own weights
        lab, reference_sha256 = self._reference(reference, recipe, type(colorizer), media)
        wanted = Wanted(
            recipe.engine, recipe.precision, batch, weights.path if weights else None,
            f"{weights.sha256} {self._side_files(weights)}" if weights else "", self._versions(colorizer, decoder),
        )  # fmt: skip
        self._maker = RuntimeMaker(colorizer, decoder, recipe, wanted, require_gpu=require_gpu)
        self.runtimes = self._maker.make(lab)
        runtime = self.runtimes[0]
        self._weights = weights.path if weights and recipe.weights is not None else None
        """The weights that were asked for by name."""
        self.pipeline = Pipeline(preprocessors, runtime, merge, media)
        self.media, self.merge = media, merge
        self.recipe = dataclasses.replace(
            recipe,
            colorizer=self._stage(colorizer, self._side_files(weights)),
            decoder=None if decoder is None else self._stage(decoder),
            preprocessors=tuple(self._stage(preprocessor) for preprocessor in preprocessors),
            weights=weights.name if weights else None,
            weights_sha256=weights.sha256 if weights else _together(colorizer.own_weights),
            settings={**merge.as_dict(), **media.as_dict()},
            device=",".join(str(one.device) for one in self.runtimes),
            precision="int8" if runtime.uncalibrated else runtime.precision,
            engine=recipe.engine if runtime.engine == "torch" and recipe.engine == "auto" else runtime.engine,
            reference_sha256=reference_sha256,
            version=__version__,
        )
        # As it was asked for: `auto` may be decided otherwise on the machine that goes on with a job.
        engine = recipe.engine if recipe.engine == "auto" else runtime.engine
        self._asked = dataclasses.replace(self.recipe, precision=recipe.precision, engine=engine)
        self._device = recipe.device
        self.digest = self._asked.digest()
        if not runtime.uncalibrated:
            pinned.tell_differences(recipe, self.recipe, runtime)

    def calibrate(self, examples: Iterable[Frame], limit: float = INT8_LIMIT) -> None:
        """For ``precision="int8"``: quantise the network on some pictures, unless that was done for its weights before.

        How far its colours are from exact ones is logged.

        Args:
            examples: Like those that will come; the first 16 are looked at, and eight are few.
            limit: The most that is taken, mean dE2000.

        Raises:
            UsageError: the colours differ by more, the method cannot be quantised, or there are no pictures.
        """
        from colorpipe.inference.graph_runtime import GraphRuntime

        runtime = self.runtimes[0]
        if not isinstance(runtime, GraphRuntime) and runtime.uncalibrated:
            views = [self.pipeline.prepare(one).L[None, None] for one in itertools.islice(examples, PICTURES)]
            runtime = self._maker.calibrated(runtime, views)
            self.runtimes = (runtime,) * len(self.runtimes)
            self.pipeline.runtime = runtime
        if isinstance(runtime, GraphRuntime) and runtime.verdict.quantised:
            runtime.check(limit)

    def pinned(self) -> Recipe:
        """The recipe as it was asked for, with the weights' SHA-256 and what was in effect: ``Session(recipe)`` gives
        the same bits on the same kind of machine, or says what differs."""
        effect = pinned.in_effect(self.pipeline.runtime)
        return dataclasses.replace(self._asked, device=self._device, in_effect=effect)

    @property
    def engine(self) -> str:
        """What computes beside torch, with its version; empty where torch does it all."""
        return pinned.engine_in_effect(self.pipeline.runtime)

    def _stage(self, plugin: Plugin, more: str = "") -> Stage:
        return Stage(plugin.name, plugin.options.as_dict(), f"{self.host.version(type(plugin))} {more}".strip())

    def _versions(self, *plugins: Plugin | None) -> dict[str, str]:
        return {plugin.kind: self.host.version(type(plugin)) for plugin in plugins if plugin is not None}

    def _side_files(self, weights: Weights | None) -> str:
        """A digest that changes with the content of ``Model.files``; empty if there are none."""
        model = self.host.models.get(weights.name) if weights else None
        return f"files:{fingerprint.of_files(model.files)}" if model is not None and model.files else ""

    def _reference(
        self, given: str | Path | Lab | None, recipe: Recipe, colorizer: type[Colorizer], media: MediaOptions
    ) -> tuple[Lab | None, str | None]:
        """The reference and its SHA-256."""
        if given is None:
            if recipe.reference_sha256:
                raise UsageError(
                    "the recipe was made with a reference", hint=f"give it: its SHA-256 is {recipe.reference_sha256}"
                )
            if colorizer.learns_from_reference and colorizer.default_weights is None:
                raise UsageError(
                    f"{colorizer.name} learns from a colour picture",
                    hint="give --reference FILE; files beside a film (film.000123.reference.png) are for single shots",
                )
            return None, None
        if isinstance(given, Lab):
            return given, pinned.reference_digest(given, colorizer)
        pinned.check_reference_is_used(colorizer)
        path = Path(given)
        lab, digest = read_lab(path, media), sha256(path)
        if recipe.reference_sha256 not in (None, digest):
            raise UsageError(
                f"{path} is not the recipe's reference", hint=f"that one's SHA-256 is {recipe.reference_sha256}"
            )
        return lab, digest

    def learn(self, reference: Lab) -> None:
        """Take colour from this picture from now on; the network stays loaded, and the recipe is told.

        Raises:
            UsageError: the method has no use for one, or it is grey.
        """
        digest = pinned.reference_digest(reference, type(self.pipeline.runtime.colorizer))
        for runtime in self.runtimes:
            runtime.learn(reference)
        asked = dataclasses.replace(self._asked, reference_sha256=digest)
        self._asked, self.digest = asked, asked.digest()
        self.recipe = dataclasses.replace(self.recipe, reference_sha256=digest)

    def predictor_for(self, reference: Path, runtime: AnyRuntime) -> Callable[..., list[Float]]:
        """``Runtime.predict`` with another reference, beside the session's own, which stays as it is.

        A method that learns does so now, in a runtime of its own: dropping what is returned frees it.

        Args:
            runtime: One of the session's.

        Raises:
            InputError, UsageError: as ``read_lab``.
        """
        lab = read_lab(reference, self.media)
        if runtime.colorizer.learns_from_reference:
            runtime = self._maker.like(runtime, str(runtime.device), lab, self._weights)
        return functools.partial(runtime.predict, reference=lab)

    def digest_for(self, guides: Mapping[str, str]) -> str:
        """``digest``, of an input with hint and reference files: ``guides`` is their SHA-256 by kind and frame."""
        return dataclasses.replace(self._asked, guides=guides).digest()

    @property
    def results(self) -> int:
        """Results for each picture; 1 for most methods."""
        return self.pipeline.runtime.colorizer.results

    def frame(self, frame: Frame, hints: Path | None = None, result: int = 0) -> Frame:
        """One frame in colour; ``result`` chooses one of several where the method gives such."""
        hinted = None if hints is None else functools.partial(hint_files.load, hints, options=self.media)
        colorizer, beside = self.pipeline.runtime.colorizer, SidecarFiles()
        if colorizer.looks_at and frame.pts is None and frame.origin.is_file():
            beside = SidecarFiles.of(frame.origin, type(colorizer))
        companion = self.pipeline.companion_of(frame, beside, result)
        prepared = self.pipeline.prepare(frame, hinted=hinted, companion=companion)
        return self.pipeline.finish(prepared, self.pipeline.predict([prepared])[0])

    def film(self, frames: Iterable[Frame], sidecars: SidecarFiles | None = None) -> Film:
        """A film's frames in colour, to iterate over, as ``colorpipe run`` colours them.

        Colour is steady, unless the session was made with ``temporal="none"``.

        Args:
            frames: In order, as ``colorpipe.media.open_source`` gives them.
            sidecars: Hint and reference files; None takes those that lie beside the file that the frames came from,
                and ``SidecarFiles()`` takes none.

        Raises:
            InputError, UsageError: on iterating, where a hint or reference file cannot be used.
        """
        from colorpipe.pipeline.film import Film

        # Two: a shot's reference and the one before it, whose frames may still come.
        predictor_for = functools.lru_cache(2)(lambda reference: self.predictor_for(reference, self.runtimes[0]))
        return Film(self.pipeline, frames, sidecars, predictor_for)

    def colorize(
        self, picture: str | Path | NDArray[Any], hints: str | Path | None = None, result: int = 0
    ) -> NDArray[Any]:
        """A picture in colour.

        Args:
            picture: A file, or an array of uint8 or uint16: (H, W) grey, or (H, W, 3) RGB, whose BT.601 grey is taken.
            result: Which of ``results``, counted from 0.

        Returns:
            (H, W, 3) RGB of the picture's own depth.

        Raises:
            InputError: the file cannot be read.
            UsageError: it is a film.
        """
        frame = (
            pictures.from_file(Path(picture), self.media)
            if isinstance(picture, (str, Path))
            else pictures.from_array(picture)
        )
        made = self.frame(frame, None if hints is None else Path(hints), result)
        return color.interleaved(made.colour or (made.luma,) * 3)


def colorize(picture: str | Path | NDArray[Any], colorizer: str = DEFAULT_COLORIZER, **options: Any) -> NDArray[Any]:
    """One picture in colour: ``Session(colorizer, **options).colorize(picture)``. For many, keep the session."""
    return Session(colorizer, **options).colorize(picture)


class Parts(NamedTuple):
    """The live stages of a recipe; the network is not loaded."""

    preprocessors: list[Preprocessor]
    colorizer: Colorizer
    decoder: Decoder | None
    merge: MergeOptions
    media: MediaOptions
    weights: Weights | None


def parts_of(host: PluginHost, recipe: Recipe) -> Parts:
    """The plugins of a recipe with their options, all checked, and its weights, found and checked.

    Raises:
        UsageError: an unknown name, an unacceptable value, or a decoder where there is nothing to decode.
        WeightsError: the weights are not here, or damaged.
    """
    colorizer = host.colorizer(recipe.colorizer.name)
    stage = recipe.decoder
    if stage is None and colorizer.default_decoder:
        stage = Stage(colorizer.default_decoder)
    if stage is not None and not colorizer.yields_distribution:
        raise UsageError(f"{colorizer.name} takes no decoder: it predicts chroma directly", hint="leave out --decoder")
    merge = options.build(MergeOptions, _settings(recipe, MergeOptions), "the recipe")
    media = options.build(MediaOptions, _settings(recipe, MediaOptions), "the recipe")
    made = _make(colorizer, recipe.colorizer)
    decoder = None if stage is None else _make(host.decoder(stage.name), stage)
    preprocessors = [_make(host.preprocessor(stage.name), stage) for stage in recipe.preprocessors]
    return Parts(preprocessors, made, decoder, merge, media, ModelStore(host.models).resolve(recipe.weights, colorizer))


def recipe_of(
    host: PluginHost,
    colorizer: str,
    values: Mapping[str, Any],
    preprocessors: Sequence[str] = (),
    decoder: str | None = None,
    core: Sequence[type[options.Options]] = (MergeOptions, MediaOptions),
) -> Recipe:
    """Names and option values by bare or qualified name -> a recipe, its options given to their stages, unchecked.

    Args:
        core: The core's options that ``values`` may hold.

    Raises:
        UsageError: a name is not that of a plugin of its kind.
        OptionError: nobody knows an option, or several plugins do.
    """
    stages: list[tuple[type[Plugin], str]] = [(host.preprocessor(name), name) for name in preprocessors]
    stages.append((host.colorizer(colorizer), colorizer))
    decoder = decoder or host.colorizer(colorizer).default_decoder
    if decoder:
        stages.append((host.decoder(decoder), decoder))
    plugins = list(dict.fromkeys(cls for cls, _ in stages))
    owners = [options.Owner(cls.Options, cls.name, cls.kind) for cls in plugins]
    taken, notes = options.distribute(values, [*owners, *map(options.Owner, core)])
    for note in notes:
        log.warning("%s", note)
    per_plugin = dict(zip(plugins, taken, strict=False))
    settings = {name: value for own in taken[len(plugins) :] for name, value in own.items()}
    made = [Stage(name, dict(per_plugin[cls])) for cls, name in stages]
    return Recipe(
        colorizer=made[len(preprocessors)],
        decoder=made[-1] if decoder else None,
        preprocessors=tuple(made[: len(preprocessors)]),
        settings=settings,
    )


def _together(files: Mapping[str, str]) -> str | None:
    """One SHA-256 for those of several files; None for none."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest() if files else None


def _make(cls: type[Any], stage: Stage) -> Any:
    return cls(options.build(cls.Options, stage.options, cls.name))


def _settings(recipe: Recipe, cls: type[options.Options]) -> dict[str, Any]:
    known = {field.name for field in options.fields(cls)}
    return {name: value for name, value in recipe.settings.items() if name in known}
