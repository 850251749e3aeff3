"""Networks that are loaded, and what they predicted: changes of a decoder's options and of colours cost no network."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from colorpipe import options
from colorpipe.inference import guard
from colorpipe.pipeline.frame import Pipeline, Prepared
from colorpipe.pipeline.session import Session
from colorpipe.types import ChromaDistribution, Recipe, Stage
from colorpipe.web.settings import core_options

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.plugins.host import PluginHost

LOADED = 3
"""Networks in memory, at most: trying methods out goes back and forth between a few."""


@dataclass(frozen=True)
class Prediction:
    """A network's word on one view: its distribution where it gives one, else its chroma."""

    prepared: Prepared
    """The view; its frame is the page's."""
    ab: Float
    """(h', w', 2) as the recipe's decoder of that time gave it."""
    distribution: ChromaDistribution | None = None
    """Of one picture, on the CPU."""
    _decoded: dict[str, Float] = field(default_factory=dict, compare=False)
    """What the newest decoder made of it."""
    _features: list[Float | None] = field(default_factory=list, compare=False)

    def chroma(self, host: PluginHost, recipe: Recipe) -> Float:
        """(h', w', 2), decoded as a recipe says."""
        stage = decoder_of(host, recipe)
        if self.distribution is None or stage is None:
            return self.ab
        key = repr(stage)
        if key in self._decoded:
            return self._decoded[key]
        cls = host.decoder(stage.name)
        decoder = cls(options.build(cls.Options, stage.options, cls.name))
        with torch.inference_mode(), guard.named(decoder, "decode"):
            made = decoder.decode(self.distribution)
        guard.check_prediction(decoder, made, 1, distribution=False)
        ab: Float = np.ascontiguousarray(made.ab[0].float().permute(1, 2, 0).numpy())
        self._decoded.clear()
        self._decoded[key] = ab
        return ab

    def features(self, pipeline: Pipeline) -> Float | None:
        """What the method sees at each place of the view's picture, as ``Pipeline.features`` gives it; kept."""
        if not self._features:
            self._features.append(pipeline.features_of(self.prepared))
        return self._features[0]

    def natural(self) -> dict[str, float | None]:
        """What the weights decide where an option is left to them."""
        given = self.distribution
        if given is None:
            return {}
        return {"T": given.natural_T, "vibrance": given.natural_vibrance, "grey_T": given.natural_grey_T}


def decoder_of(host: PluginHost, recipe: Recipe) -> Stage | None:
    """A recipe's decoder, or its colorizer's own."""
    default = host.colorizer(recipe.colorizer.name).default_decoder
    return recipe.decoder or (Stage(default) if default else None)


def network_key(recipe: Recipe) -> str:
    """Equal for recipes whose network predicts the same."""
    stages = [dataclasses.asdict(stage) for stage in (recipe.colorizer, *recipe.preprocessors)]
    return json.dumps([stages, recipe.weights, recipe.device, recipe.precision], sort_keys=True, default=str)


class _Loaded:
    def __init__(self, session: Session) -> None:
        self.session, self.lock = session, threading.Lock()
        self.seen: list[ChromaDistribution] = []
        session.pipeline.runtime.watch = self.seen.append


class Networks:
    """Sessions by recipe, the last few kept."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._lock = threading.Lock()

    def _of(self, recipe: Recipe) -> _Loaded:
        key = network_key(recipe)
        with self._lock:
            if key not in self._loaded:
                # What a saved recipe fixed is checked where it is repeated, which is when it is saved.
                precision = "auto" if recipe.precision == "int8" else recipe.precision
                plain = dataclasses.replace(recipe, in_effect={}, guides={}, precision=precision, engine="torch")
                while len(self._loaded) >= LOADED:
                    self._loaded.popitem(last=False)
                self._loaded[key] = _Loaded(Session(plain, host=self._host))
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def pipeline(self, recipe: Recipe) -> Pipeline:
        """The path of a frame with the recipe's own ways of merging; its network is shared.

        Raises:
            ColorpipeError: as ``Session``.
        """
        shared = self._of(recipe).session.pipeline
        merge, media = core_options(recipe)
        return Pipeline(shared.preprocessors, shared.runtime, merge, media)

    def predict(self, recipe: Recipe, prepared: Prepared) -> Prediction:
        """The network's word on a view.

        Raises:
            ColorpipeError: as ``Runtime.predict``.
        """
        loaded = self._of(recipe)
        with loaded.lock:
            loaded.seen.clear()
            ab = loaded.session.pipeline.predict([prepared], alone=True)[0]
            seen = loaded.seen[-1] if loaded.seen else None
            loaded.seen.clear()
        if seen is not None:
            seen, at = seen.first(1), seen.vibrance_at
            kept = None if at is None else at[:1].detach().cpu()
            seen = dataclasses.replace(
                seen, logits=seen.logits.detach().cpu(), bins=seen.bins.detach().cpu(), vibrance_at=kept
            )
        return Prediction(prepared, ab, seen)
