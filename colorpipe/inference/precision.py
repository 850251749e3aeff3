"""Choice of the arithmetic that a network is fastest in on this CPU: measured once, then remembered.

bfloat16 halves the time of plain convolutions on a CPU that multiplies it, and costs time on one that does not. Which
it is depends on the network, the CPU and torch, so that asking the clock beats any table.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from colorpipe.files import write_whole
from colorpipe.inference.devices import cpu_model
from colorpipe.weights.store import default_cache

log = logging.getLogger(__name__)
CpuPrecision = Literal["fp32", "bf16"]
WORTH = 0.85
"""bfloat16 is taken when it needs less than this part of fp32's time: less would not outweigh a less exact result."""
CLOSE = 0.5
"""CIE units by which its chroma may be off on average: half of what can be seen side by side."""
CLOSE_WITHIN = 0.05
"""Where the trial ends within the network: the mean difference of a layer's values over their mean size. bfloat16 keeps
8 bits, 0.4%, of each; some twenty layers that harm nothing are off by 1 to 2%."""
BUDGET = 0.4
"""Seconds after which a pass of the trial ends at the next layer. Of four passes: two to get ready, two that count."""
HOPELESS = 3.0
"""bfloat16 is given up in the midst of a pass once it has needed so many times as long as fp32 for the same layers."""
_COMPARED = 1 << 16
"""Values of a layer that are compared."""
_FORMAT = 2
"""Version of the remembered entries: entries of earlier trials are measured again."""


@dataclass(frozen=True)
class Measured:
    """The choice, and the reason for a person."""

    precision: CpuPrecision
    reason: str
    """``exact arithmetic: faster here``."""


def fastest(network: torch.nn.Module, predict: Callable[[CpuPrecision], NDArray[Any]]) -> Measured:
    """fp32 or bf16 for a network on this CPU.

    Measured the first time, in about two seconds however large the network is, with the CPU seconds of one thread,
    which other work on the machine hardly changes; then read from ``precision.json`` in the cache, under the network's
    layers, the CPU and torch's version. That it is measured is logged.

    Args:
        predict: Gives the chroma of one picture in the precision that it is told, through ``network``.
    """
    key = _key(network)
    found = _remembered(key)
    if found is None:
        log.info("trying once which arithmetic is faster for this method on this computer: a second or two")
        found = _measure(network, predict)
        _remember(key, found)
    return found


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keeps torch from waking its threads: for hundreds of small tensors the waiting costs more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _measure(network: torch.nn.Module, predict: Callable[[CpuPrecision], NDArray[Any]]) -> Measured:
    """Measure by passes through as many layers as the budget allows, timing each layer separately."""
    with one_thread():
        _Pass(network).run(predict, "fp32")  # the first pass also prepares what later ones reuse
        exact = _Pass(network).run(predict, "fp32")
        narrow = _Pass(network, exact.times).run(predict, "bf16")
        if not narrow.hopeless:
            narrow = _Pass(network, exact.times).run(predict, "bf16")
    if narrow.hopeless or narrow.seconds(exact) > WORTH * exact.seconds(narrow):
        return Measured("fp32", "exact arithmetic: faster here")
    if not _is_close(exact, narrow):
        return Measured("fp32", "exact arithmetic: the faster kind would change the colours here")
    times = exact.seconds(narrow) / max(narrow.seconds(exact), 1e-9)
    return Measured("bf16", f"rounded arithmetic: {times:.1f} times as fast here, and the colours look the same")


class _Enough(BaseException):  # no error, and none that a plugin should catch
    """The budget of a pass is used up, or its result is settled."""


class _Pass:
    """One pass of a picture through a network, layer by layer, that may end early.

    Args:
        limit: Seconds that fp32 had used at the end of each layer, for a pass that is to be no slower by ``HOPELESS``.
    """

    def __init__(self, network: torch.nn.Module, limit: Sequence[float] = ()) -> None:
        self._network, self._limit = network, limit
        self.times: list[float] = []
        """CPU seconds since the start, at the end of each layer."""
        self.total: float | None = None
        """Seconds of the whole pass; None where it ended early."""
        self.chroma: NDArray[Any] | None = None
        self.values: dict[int, torch.Tensor] = {}
        """Values of the last layer, by its place, as many as are needed to compare."""
        self.hopeless = False

    def run(self, predict: Callable[[CpuPrecision], NDArray[Any]], precision: CpuPrecision) -> _Pass:
        leaves = [module for module in self._network.modules() if next(module.children(), None) is None]
        hooks = [leaf.register_forward_hook(self._after) for leaf in leaves]
        self._begun, self._start = time.monotonic(), time.thread_time()
        try:
            self.chroma = predict(precision)
            self.total = time.thread_time() - self._start
        except _Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return self

    def seconds(self, other: _Pass) -> float:
        """Seconds up to the last layer that both passes reached."""
        if self.total is not None and other.total is not None:
            return self.total
        return self.times[min(len(self.times), len(other.times)) - 1]

    def _after(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        spent = time.thread_time() - self._start
        self.times.append(spent)
        place = len(self.times) - 1
        if isinstance(output, torch.Tensor):
            self.values[place] = output.detach().flatten()[:_COMPARED].float()
        ahead = self._limit[place] if place < len(self._limit) else None
        if ahead is not None and spent > HOPELESS * ahead + BUDGET / 4:
            self.hopeless = True
            raise _Enough
        if time.monotonic() - self._begun > BUDGET:
            raise _Enough


def _is_close(exact: _Pass, narrow: _Pass) -> bool:
    """Whether bfloat16's result is near enough, by the chroma or, of passes that ended early, by the last layer that
    both came to."""
    if exact.chroma is not None and narrow.chroma is not None:
        return bool(np.abs(narrow.chroma - exact.chroma).mean() <= CLOSE)  # False for NaN too
    shared = [place for place in exact.values if place in narrow.values]
    if not shared:
        return True  # a layer's output is no tensor: nothing to compare; non-finite chroma is refused later
    first, second = exact.values[shared[-1]], narrow.values[shared[-1]]
    return bool((second - first).abs().mean() <= CLOSE_WITHIN * first.abs().mean())


def _key(network: torch.nn.Module) -> str:
    layers = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    machine = (cpu_model(), torch.backends.cpu.get_cpu_capability(), torch.__version__)
    text = repr((type(network).__qualname__, layers, machine))
    return hashlib.sha256(text.encode()).hexdigest()


def _file() -> Path:
    return default_cache().with_name("precision.json")


def _entries() -> dict[str, Any]:
    """The remembered entries; empty where the file is missing or damaged, so that all is measured again."""
    with contextlib.suppress(OSError, ValueError):
        entries = json.loads(_file().read_text("utf-8"))
        if isinstance(entries, dict):
            return entries
    return {}


def _remembered(key: str) -> Measured | None:
    with contextlib.suppress(KeyError, TypeError):
        entry = _entries()[key]
        if entry["precision"] in ("fp32", "bf16") and entry["format"] == _FORMAT:
            return Measured(entry["precision"], str(entry["reason"]))
    return None


def _remember(key: str, found: Measured) -> None:
    file = _file()
    entries = {**_entries(), key: {"precision": found.precision, "reason": found.reason, "format": _FORMAT}}
    with contextlib.suppress(OSError):  # without a cache it is measured in every run
        write_whole(file, json.dumps(entries, indent=1).encode())
