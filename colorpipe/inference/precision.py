"""Which arithmetic a network is fastest in on this CPU: measured once, remembered.

bfloat16 halves the time of plain convolutions on a CPU that multiplies it, and costs time on one that does not. Which
it is depends on the network, the CPU and torch, so that asking the clock beats any table.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from colorpipe.files import write_whole
from colorpipe.weights.store import default_cache

CpuPrecision = Literal["fp32", "bf16"]
WORTH = 0.85
"""bfloat16 is taken when it needs less than this part of fp32's time: less would not outweigh a less exact result."""
CLOSE = 0.5
"""CIE units by which its chroma may be off on average: half of what can be seen side by side."""


@dataclass(frozen=True)
class Measured:
    """The choice, and the reason for a person."""

    precision: CpuPrecision
    reason: str
    """``measured: 223 ms a picture on one core, fp32 449 ms``."""


def fastest(network: torch.nn.Module, predict: Callable[[CpuPrecision], NDArray[Any]]) -> Measured:
    """fp32 or bf16 for a network on this CPU.

    Measured the first time, with the CPU seconds of one thread, which other work on the machine hardly changes; then
    read from ``precision.json`` in the cache, under the network's layers, the CPU and torch's version.

    Args:
        predict: Gives the chroma of one picture in the precision that it is told.
    """
    key = _key(network)
    found = _remembered(key)
    if found is None:
        found = _measure(predict)
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


def _measure(predict: Callable[[CpuPrecision], NDArray[Any]]) -> Measured:
    seconds: dict[str, float] = {}
    chroma: dict[str, NDArray[Any]] = {}
    choices: tuple[CpuPrecision, ...] = ("fp32", "bf16")
    with one_thread():
        for precision in choices:
            chroma[precision] = predict(precision)  # the first call also prepares what later ones reuse
            start = time.thread_time()
            predict(precision)
            seconds[precision] = time.thread_time() - start
    apart = float(np.abs(chroma["bf16"] - chroma["fp32"]).mean())
    told = {precision: f"{1000 * spent:.0f} ms" for precision, spent in seconds.items()}
    if not apart <= CLOSE:  # true for NaN too
        return Measured("fp32", f"measured: bf16 is off by {apart:.1f} CIE units")
    if seconds["bf16"] > WORTH * seconds["fp32"]:
        return Measured("fp32", f"measured: {told['fp32']} a picture on one core, bf16 {told['bf16']}")
    return Measured("bf16", f"measured: {told['bf16']} a picture on one core, fp32 {told['fp32']}")


def _key(network: torch.nn.Module) -> str:
    layers = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    machine = (_cpu(), torch.backends.cpu.get_cpu_capability(), torch.__version__)
    text = repr((type(network).__qualname__, layers, machine))
    return hashlib.sha256(text.encode()).hexdigest()


def _cpu() -> str:
    """The CPU's model and what it can do."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        facts = {line.split(":")[0].strip(): line for line in reversed(lines) if ":" in line}
        if facts:
            return repr([facts.get(name) for name in ("model name", "cpu family", "model", "flags", "Features")])
    return f"{platform.machine()} {platform.processor()}"


def _file() -> Path:
    return default_cache().with_name("precision.json")


def _entries() -> dict[str, Any]:
    """The remembered entries; none where the file is missing or damaged: it is measured again."""
    with contextlib.suppress(OSError, ValueError):
        entries = json.loads(_file().read_text("utf-8"))
        if isinstance(entries, dict):
            return entries
    return {}


def _remembered(key: str) -> Measured | None:
    with contextlib.suppress(KeyError, TypeError):
        entry = _entries()[key]
        if entry["precision"] in ("fp32", "bf16"):
            return Measured(entry["precision"], str(entry["reason"]))
    return None


def _remember(key: str, found: Measured) -> None:
    file = _file()
    entries = {**_entries(), key: {"precision": found.precision, "reason": found.reason}}
    with contextlib.suppress(OSError):  # without a cache it is measured in every run
        write_whole(file, json.dumps(entries, indent=1).encode())
