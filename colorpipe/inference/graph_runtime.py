"""A colorizer as one graph, from lightness to chroma, in an engine that needs no torch."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from colorpipe.errors import DeviceError, UsageError
from colorpipe.inference import guard, kept_graphs, openvino_library
from colorpipe.inference.devices import AUTO_BATCH, MOST_LANES, Cpu, cores
from colorpipe.inference.extra import Extra
from colorpipe.inference.openvino_library import Graph
from colorpipe.types import InputSize

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.inference.kept_graphs import Verdict
    from colorpipe.inference.runtime import Runtime
    from colorpipe.plugins.interfaces import Colorizer, Decoder
    from colorpipe.types import ChromaDistribution, Frame, Lab

log = logging.getLogger(__name__)


class GraphRuntime:
    """As ``Runtime``, of a method that was converted whole.

    What the graph cannot do goes to a ``Runtime``, which is made when it is first needed: hints for a method that takes
    them, a reference, features, and the distributions that ``watch`` wants to see.

    Args:
        colorizer, decoder: With their options; the network is not built.
        exact: Makes that ``Runtime``.
        batch: Pictures that count as one call, as of ``Runtime``; each is computed by itself.
        model: The graph itself, where the cache could not keep it.
    """

    engine = "openvino"
    without_torch = True
    uncalibrated = False

    def __init__(
        self,
        colorizer: Colorizer,
        decoder: Decoder | None,
        verdict: Verdict,
        exact: Callable[[], Runtime],
        *,
        batch: int | None = None,
        model: Any = None,
    ) -> None:
        self.colorizer, self.decoder, self.verdict = colorizer, decoder, verdict
        self.device = Cpu()
        self.precision, self.reason = verdict.precision, f"OpenVINO: {verdict.reason}"
        self.batch = batch or colorizer.preferred_batch or AUTO_BATCH["cpu"]
        self.lanes = min(cores(), MOST_LANES)
        self.reference: Lab | None = None
        self.learning = 0.0
        self.watch: Callable[[ChromaDistribution], None] | None = None
        self._make_exact, self._exact, self._making = exact, None, threading.Lock()
        colorizer.input_size = _size(verdict.sizes["input_size"])
        film = verdict.sizes.get("film_input_size")
        colorizer.film_input_size = None if film is None else _size(film)
        given = kept_graphs.graph_file(verdict.graph) if model is None else model
        with guard.named(colorizer, "the engine openvino"):
            self._graph = Graph(
                given, _arithmetic(verdict), lanes=self.lanes, threads=cores(),
                compiled=kept_graphs.compiled() if model is None else None,
            )  # fmt: skip

    _exact: Runtime | None

    @property
    def facts(self) -> dict[str, Any]:
        """For recipes: the engine, its version, and where the graph is quantised, the graph."""
        quantised = {"int8": dict(self.verdict.quantised)} if self.verdict.quantised else {}
        return {"engine": f"openvino {openvino_library.version()}", **quantised}

    @property
    def effect(self) -> dict[str, Any]:
        """Temperatures and vibrance that the weights decided, by the decoder's options."""
        return dict(self.verdict.effect.get("decoding", {}))

    @property
    def instructions(self) -> str:
        return str(self.verdict.effect.get("instructions", ""))

    @property
    def input_size(self) -> InputSize:
        return self.colorizer.input_size

    def input_size_of(self, frame: Frame) -> InputSize:
        """As of ``Runtime``."""
        film = self.colorizer.film_input_size if frame.encoding.family == "yuv" else None
        return film or self.input_size

    @property
    def at_once(self) -> int:
        """Pictures that one ``predict`` should be given, where there are so many."""
        return self.batch * self.lanes

    def learn(self, reference: Lab) -> None:
        """Take colour from this picture from now on."""
        start = time.perf_counter()
        self.reference = reference
        self.exact().learn(reference)
        self.learning = time.perf_counter() - start

    def expect(self, pictures: int) -> None:
        """Nothing depends on how many will come."""

    def sample(self) -> Float:
        """The chroma of a picture of waves, (h', w', 2): an example of the output."""
        return self.exact().sample()

    def predict(
        self,
        L: Float,
        hints: Float | None = None,
        reference: Lab | None = None,
        alone: bool = False,
        sure: list[float] | None = None,
        extra: Extra | None = None,
    ) -> list[Float]:
        """As of ``Runtime``; a picture's result does not depend on how many come with it."""
        extra = extra or Extra()
        asked = hints is not None or reference is not None or bool(extra.companions or extra.clips)
        if asked or self.reference is not None or self.watch is not None:
            exact = self.exact()
            exact.watch = self.watch
            return exact.predict(L, hints, reference, alone, sure, extra)
        try:
            with guard.named(self.colorizer, "predict"):
                found = self._graph([[picture[None]] for picture in L.astype(np.float32, copy=False)])
        except (RuntimeError, MemoryError) as error:
            if not guard.out_of_memory(error):
                raise
            raise DeviceError(
                f"cpu has not enough memory for {len(L)} views of {L.shape[3]}x{L.shape[2]}",
                hint="close other programs, or lower --batch",
            ) from None
        ab = [np.ascontiguousarray(outputs[0][0].transpose(1, 2, 0), np.float32) for outputs in found]
        for one in ab:
            guard.check_chroma(self.colorizer, one)
        if sure is not None:
            sure += [float(outputs[1][0]) for outputs in found if len(outputs) > 1]
        return ab

    def features(self, L: Float) -> Float | None:
        """As of ``Runtime``, in torch."""
        return self.exact().features(L)

    def check(self, limit: float) -> None:
        """Say how far int8's colours are from exact ones.

        Raises:
            UsageError: that is more than ``limit``, mean dE2000.
        """
        facts = self.verdict.quantised
        told = f"mean dE2000 {facts['mean']:.2f}, worst picture {facts['worst']:.2f}, over {facts['pictures']} pictures"
        if facts["mean"] > limit:
            raise UsageError(
                f"int8 changes the colours of {self.colorizer.name} too much: {told} against exact arithmetic",
                hint=f"use --precision auto, or --int8-limit {math.ceil(facts['mean'] * 10) / 10:g} takes it as it is",
            )
        log.info("int8 against exact arithmetic: %s", told)

    def exact(self) -> Runtime:
        """The same method in torch, made once."""
        with self._making:
            if self._exact is None:
                log.info("torch computes hints, references, features and distributions; the engine openvino does not")
                self._exact = self._make_exact()
            return self._exact


def _arithmetic(verdict: Verdict) -> openvino_library.Arithmetic:
    return "bf16" if verdict.precision == "bf16" else "int8" if verdict.precision == "int8" else "fp32"


def _size(values: dict[str, Any]) -> InputSize:
    return InputSize(**values)
