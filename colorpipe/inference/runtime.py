"""Device, precision, batching and back-off: a plugin gives an ``nn.Module``, this makes it fast and safe.

Nothing falls back unseen: a device that was asked for and is absent is an error, and so is a picture that does not fit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from colorpipe.errors import DeviceError, PluginError, UsageError
from colorpipe.inference import guard
from colorpipe.inference import precision as measuring
from colorpipe.inference.devices import AUTO_BATCH as AUTO_BATCH
from colorpipe.inference.devices import COMPILE_FROM as COMPILE_FROM
from colorpipe.inference.devices import MOST_LANES, choose_device
from colorpipe.inference.devices import choose_devices as choose_devices
from colorpipe.inference.devices import describe as describe
from colorpipe.inference.extra import Extra
from colorpipe.types import ChromaDistribution, Frame, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colorpipe.color import Float
    from colorpipe.plugins.interfaces import Colorizer, Decoder
    from colorpipe.types import InputSize

log = logging.getLogger(__name__)
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NOTHING = Extra()


class Runtime:
    """One colorizer with its network on one device."""

    engine: Literal["torch", "openvino"] = "torch"
    """What computes the network. ``openvino`` where its place was taken by a graph (``trial.consider``)."""
    without_torch = False
    """Whether what goes into it is to be made without torch: always in the same way, whatever else is imported."""
    uncalibrated = False
    """int8 was asked for, and there is no graph of it yet: see ``int8``."""

    def __init__(
        self,
        colorizer: Colorizer,
        decoder: Decoder | None = None,
        *,
        weights: Path | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        require_gpu: bool = False,
        batch: int | None = None,
        reference: Lab | None = None,
    ) -> None:
        self.colorizer = colorizer
        self.decoder = decoder
        self.device = choose_device(device, require_gpu=require_gpu, among=colorizer.devices, owner=colorizer.name)
        self.batch = batch or colorizer.preferred_batch or AUTO_BATCH[self.device.type]
        self.reference: Lab | None = None
        self.learning = 0.0
        """Seconds of the last ``learn``."""
        self.watch: Callable[[ChromaDistribution], None] | None = None
        """Receives each distribution before it is decoded; N is the number of pictures asked for."""
        with measuring.one_thread():
            with guard.named(colorizer, "build"):
                network = colorizer.build(weights)
            if network is not None:
                network = network.eval().requires_grad_(False).to(self.device)
                colorizer.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if reference is not None:
            self.learn(reference)
        cores = torch.get_num_threads()
        self.lanes = min(cores, MOST_LANES) if self.device.type == "cpu" and network is not None else 1
        """Calls of the network at once, each of ``batch`` pictures."""
        self._threads = max(1, cores // self.lanes)
        self._pool: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self.precision, self.reason = self._choose(precision)
        """The network's precision; and why, where it was measured."""
        if network is not None and self.precision != "fp32":
            with measuring.one_thread():
                _narrow(network, DTYPES[self.precision])

    def _choose(self, name: Precision) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
        """A precision, and the reason for it; ``auto`` is fp16 on CUDA, the faster one on a CPU, and fp32 elsewhere."""
        if name == "int8":  # by another engine; torch computes exactly what that is compared with
            return "fp32", ""
        if name != "auto":
            return name, ""
        if self.device.type == "cuda":
            return "fp16", ""
        if self.device.type != "cpu" or self.colorizer.network is None:
            return "fp32", ""
        found = measuring.fastest(self.colorizer.network, self._sample)
        return found.precision, found.reason

    def sample(self) -> Float:
        """The chroma of a picture of waves, (h', w', 2): an example of the network's output."""
        return self._sample(self.precision)

    def _sample(self, precision: Literal["fp32", "bf16", "fp16"]) -> Float:
        """``sample`` in a precision that may not be chosen yet."""
        size = self.input_size
        side = size.side or -(-min(size.limit or 256, 256) // size.multiple) * size.multiple
        x = np.linspace(0, 1, side, dtype=np.float32)
        L = 50 + 30 * np.sin(9 * x) + 20 * np.cos(14 * x * x)[:, None]
        return self._run(L[None, None].astype(np.float32), None, precision)[0]

    def learn(self, reference: Lab) -> None:
        """Take colour from this picture from now on."""
        start = time.perf_counter()
        self.reference = reference
        if self.colorizer.learns_from_reference:
            with guard.named(self.colorizer, "learn"):
                self.colorizer.learn(reference, self.device)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        self.learning = time.perf_counter() - start

    def expect(self, pictures: int) -> None:
        """Be told how many pictures will come: for many, the network is compiled on CUDA.

        What comes out may then differ in the last bits, as between any two devices. A network that cannot be compiled
        runs as it is, and that is said.
        """
        if self.device.type == "cuda" and pictures >= COMPILE_FROM:
            self.compile()

    def compile(self) -> None:
        """Compile the network with ``torch.compile`` for views of one size; replaces an earlier compilation."""
        network, side = self.colorizer.network, self.input_size.side
        if network is None or side is None:
            return
        self.colorizer.network = torch.compile(network, dynamic=False)  # type: ignore[assignment]
        try:
            self._run(np.full((self.batch, 1, side, side), 50, np.float32), None, self.precision)
        except Exception as error:
            if guard.out_of_memory(error):
                raise
            self.colorizer.network = network
            cause = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
            reason = str(cause).strip().splitlines() or [type(cause).__name__]
            log.warning("the network of %s runs uncompiled: %s", self.colorizer.name, reason[0])

    @property
    def input_size(self) -> InputSize:
        return self.colorizer.input_size

    def input_size_of(self, frame: Frame) -> InputSize:
        """The network's input size for a photograph, or for a film's frame."""
        film = self.colorizer.film_input_size if frame.encoding.family == "yuv" else None
        return film or self.input_size

    @property
    def at_once(self) -> int:
        """Pictures that one ``predict`` should be given, where there are so many."""
        return self.batch * self.lanes

    def predict(
        self,
        L: Float,
        hints: Float | None = None,
        reference: Lab | None = None,
        alone: bool = False,
        sure: list[float] | None = None,
        extra: Extra = NOTHING,
    ) -> list[Float]:
        """Chroma (h', w', 2) in CIE units for each picture of L (N, 1, h, w).

        A picture's result does not depend on how many come with it. Out of memory halves the batch, then
        the calls at once, for this call and those after it.

        Args:
            hints: (N, 3, h, w), as in ``Batch``.
            reference: In place of the one that ``learn`` was given, for a method that looks at it in ``predict``.
            alone: A call of the network for each picture, however large batches are: for those that come one by one,
                which would take the time of a whole batch.
            sure: Takes the mean confidence, 0..1, of each picture, where the method tells one.
            extra: What the method asks for besides.

        Raises:
            DeviceError: not even one picture fits.
            UsageError: int8 was asked for and not calibrated.
        """
        if self.uncalibrated:
            raise UsageError("int8 is not calibrated for these weights", hint="Session.calibrate(pictures) does it")
        results: list[Float] = []
        while len(results) < len(L):
            start, size = len(results), 1 if alone else self.batch
            parts = [slice(i, i + size) for i in range(start, min(start + size * self.lanes, len(L)), size)]
            try:
                for chroma, confidences in self._calls(L, hints, reference, parts, size, extra):
                    results += chroma
                    if sure is not None:
                        sure += confidences
            except (RuntimeError, MemoryError) as error:
                if not guard.out_of_memory(error):
                    raise
                self._make_room(L.shape)
        return results

    def _calls(
        self, L: Float, hints: Float | None, reference: Lab | None, parts: list[slice], size: int, extra: Extra
    ) -> Iterator[tuple[list[Float], list[float]]]:
        """One call of the network for each part: side by side on a CPU, always with the same number of threads each."""

        def call(part: slice) -> tuple[list[Float], list[float]]:
            hinted, sure = None if hints is None else hints[part], list[float]()
            return self._run(L[part], hinted, self.precision, reference, size, sure, extra.part(part)), sure

        if self.device.type != "cpu" or self.colorizer.network is None:
            return map(call, parts)
        return self._workers().map(call, parts)

    def _workers(self) -> ThreadPoolExecutor:
        with self._starting:
            if self._pool is None:
                self._pool = _pool(self.lanes, self._threads)
        return self._pool

    def features(self, L: Float) -> Float | None:
        """What the method sees in a picture, (C, h', w') float32; None where it does not tell.

        Args:
            L: (1, 1, h, w), as of ``predict``.
        """
        if self.device.type != "cpu" or self.colorizer.network is None:
            return self._features(L)
        return self._workers().submit(self._features, L).result()

    @torch.inference_mode()
    def _features(self, L: Float) -> Float | None:
        batch = NOTHING.batch(self.colorizer, self._tensor(L, 1), None, self.reference, self._tensor)
        with (
            guard.named(self.colorizer, "features"),
            torch.autocast(self.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"),
        ):
            found = self.colorizer.features(batch)
        if found is None:
            return None
        if found.ndim != 4 or len(found) != 1 or not found.is_floating_point():
            raise PluginError(f"{self.colorizer.name} gave features of {tuple(found.shape)}, not (1, C, h, w)")
        return np.asarray(found[0].float().cpu().numpy(), np.float32)

    def _make_room(self, shape: tuple[int, ...]) -> None:
        if self.batch == 1 and self.lanes > 1:
            self.lanes //= 2
            return
        if self.batch == 1:
            raise DeviceError(
                f"{self.device} has not enough memory for one {shape[3]}x{shape[2]} view through {self.colorizer.name}",
                hint="close other programs that use it, or choose another --device",
            ) from None
        self.batch //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run(
        self,
        L: Float,
        hints: Float | None,
        precision: Literal["fp32", "bf16", "fp16"],
        reference: Lab | None = None,
        size: int | None = None,
        sure: list[float] | None = None,
        extra: Extra = NOTHING,
    ) -> list[Float]:
        """One batch, filled up to a fixed size so that a picture's result does not depend on its company.

        Args:
            sure: As of ``predict``.
        """
        count, size = len(L), size or self.batch
        hinted = None if hints is None else self._tensor(hints, size)
        batch = extra.batch(self.colorizer, self._tensor(L, size), hinted, reference or self.reference, self._tensor)
        with (
            guard.named(self.colorizer, "predict"),
            torch.autocast(self.device.type, DTYPES[precision], enabled=precision != "fp32"),
        ):
            predicted = self.colorizer.predict(batch)
        guard.check_prediction(self.colorizer, predicted, size, distribution=True)
        if isinstance(predicted, ChromaDistribution):
            if self.watch is not None:
                self.watch(predicted.first(count))
            if self.decoder is None:
                raise PluginError(f"{self.colorizer.name} predicts a distribution and has no decoder attached")
            with guard.named(self.decoder, "decode"):
                predicted = self.decoder.decode(predicted)
            guard.check_prediction(self.decoder, predicted, size, distribution=False)
        ab = predicted.ab[:count].float().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        guard.check_chroma(self.colorizer, ab)
        if sure is not None and predicted.confidence is not None:
            sure += predicted.confidence[:count].float().mean((1, 2, 3)).tolist()
        return list(ab)

    def _tensor(self, values: Float, size: int) -> torch.Tensor:
        if len(values) < size:
            values = np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def _narrow(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """The weights of convolutions and linear layers in ``dtype``, so that autocast need not convert them every time.

    Other layers, batch norm for one, keep fp32.
    """
    kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.Linear)
    for module in network.modules():
        if type(module) in kinds:
            module.to(dtype)


def _pool(lanes: int, threads: int) -> ThreadPoolExecutor:
    """Threads that give each torch operation ``threads`` threads; the caller's own number stays."""
    before = torch.get_num_threads()

    pool = ThreadPoolExecutor(lanes, "network", initializer=keep_threads, initargs=(threads,))
    # torch's number is a thread's own and becomes the default of new threads: all start now, then it is put back
    started = threading.Barrier(lanes)
    for _ in pool.map(lambda _: started.wait(), range(lanes)):
        pass
    torch.set_num_threads(before)
    return pool


def keep_threads(number: int) -> None:
    """Make torch use so many threads for this thread's calls, whatever others set."""
    torch.get_num_threads()  # a thread's first question sets its number to the default, over what was set before
    torch.set_num_threads(number)
