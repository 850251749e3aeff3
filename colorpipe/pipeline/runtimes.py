"""The runtimes of a session: one for each device, by the engine that was asked for or is the faster one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.errors import UsageError
from colorpipe.inference import engines
from colorpipe.inference.devices import choose_devices, only_cpu
from colorpipe.inference.engines import Wanted
from colorpipe.pipeline import pinned

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.inference.graph_runtime import GraphRuntime
    from colorpipe.inference.runtime import Runtime
    from colorpipe.plugins.interfaces import Colorizer, Decoder
    from colorpipe.types import Lab, Recipe

    AnyRuntime = Runtime | GraphRuntime


class RuntimeMaker:
    """Makes runtimes of one method.

    Args:
        colorizer, decoder: The stages, with their options; the network is not built.
        recipe: Says the device, the precision and the engine.
        wanted: What is known of the weights.
        require_gpu: A CPU will not do.

    Raises:
        UsageError: an engine or a device that does not exist, or is not for that precision.
    """

    def __init__(
        self, colorizer: Colorizer, decoder: Decoder | None, recipe: Recipe, wanted: Wanted, *, require_gpu: bool
    ) -> None:
        self._stages, self.require_gpu = (colorizer, decoder), require_gpu
        engine = engines.wanted_engine(pinned.engine_of(recipe), recipe.precision)
        self.wanted = dataclasses.replace(wanted, engine=engine)
        self._recipe = recipe

    def make(self, reference: Lab | None) -> tuple[AnyRuntime, ...]:
        """A runtime for each device of the recipe, the first with the stages that were given.

        Raises:
            DeviceError: a device is not there.
        """
        colorizer, decoder = self._stages
        names = self._recipe.device
        self.wanted = dataclasses.replace(self.wanted, precision=pinned.precision_of(self._recipe, "cpu"))
        count = only_cpu(names, require_gpu=self.require_gpu, among=colorizer.devices)
        if count and reference is None:
            found = engines.ready(colorizer, decoder, self.wanted, self._exact)
            if found is not None:
                return (found, *(self._ready() for _ in range(count - 1)))
        devices = choose_devices(names, require_gpu=self.require_gpu, among=colorizer.devices, owner=colorizer.name)
        first, *others = map(str, devices)
        precision = pinned.precision_of(self._recipe, first)
        self.wanted = dataclasses.replace(self.wanted, precision=precision)
        made = self._considered(self._runtime(colorizer, decoder, first, precision, reference, self.wanted.weights))
        return (made, *(self.like(made, device, reference, self.wanted.weights) for device in others))

    def like(self, runtime: AnyRuntime, device: str, reference: Lab | None, weights: Path | None) -> AnyRuntime:
        """Another runtime of the same stages, with stages of its own, in the same precision.

        Args:
            weights: Their file, for one that learns from the reference perhaps none.
        """
        if reference is None and runtime.engine != "torch":
            return self._ready()
        colorizer, decoder = self._fresh()
        precision = runtime.precision if runtime.engine == "torch" else "fp32"
        return self._runtime(colorizer, decoder, device, precision, reference, weights)

    def calibrated(self, plain: Runtime, views: Sequence[Float]) -> GraphRuntime:
        """The runtime of int8, quantised on L (1, 1, h, w) of pictures.

        Raises:
            UsageError: there are none, or the method cannot be quantised.
        """
        from colorpipe.inference import int8

        if not views:
            raise UsageError(
                "--precision int8 needs a picture to be quantised on, and none could be read",
                hint="use --precision auto",
            )
        plain.engine, plain.uncalibrated = "torch", False
        return int8.calibrate(plain, self.wanted, self._exact, views)

    def _ready(self) -> AnyRuntime:
        colorizer, decoder = self._fresh()
        found = engines.ready(colorizer, decoder, self.wanted, self._exact)
        return found or self._considered(self._exact())

    def _considered(self, plain: Runtime) -> AnyRuntime:
        """``plain``, or what computes the same faster."""
        if self.wanted.engine == "torch" or (plain.device.type != "cpu" and not self.wanted.forced):
            return plain
        if self.wanted.precision == "int8" and plain.device.type != "cpu":
            raise UsageError(f"--precision int8 is for the CPU, not for {plain.device}", hint="use --device cpu")
        from colorpipe.inference import trial

        return trial.consider(plain, self.wanted, self._exact)

    def _exact(self, precision: str = "fp32") -> Runtime:
        colorizer, decoder = self._fresh()
        return self._runtime(colorizer, decoder, "cpu", precision, None, self.wanted.weights)

    def _fresh(self) -> tuple[Colorizer, Decoder | None]:
        colorizer, decoder = self._stages
        return type(colorizer)(colorizer.options), None if decoder is None else type(decoder)(decoder.options)

    def _runtime(
        self,
        colorizer: Colorizer,
        decoder: Decoder | None,
        device: str,
        precision: Any,
        reference: Lab | None,
        weights: Path | None,
    ) -> Runtime:
        from colorpipe.inference.runtime import Runtime

        return Runtime(
            colorizer,
            decoder,
            weights=weights,
            device=device,
            precision=precision,
            batch=self.wanted.batch,
            reference=reference,
        )
