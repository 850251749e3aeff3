"""Names of devices -> devices, and what is known about each kind. Light to import: torch comes when it is asked."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import torch

AUTO_BATCH = {"cpu": 1, "cuda": 16, "mps": 8}
"""On a CPU larger batches gain nothing and cost latency and memory."""
COMPILE_FROM = 2000
"""Pictures from which compiling the network for a GPU, a minute of work, is worth it."""
MOST_LANES = 8
"""Network calls at once on a CPU. One thread a picture wastes nothing on waiting for other threads, and while readers
and writers want the same cores that is most of it: eccv16 beside PNG writers, two cores, 0.8 CPU seconds a picture with
two threads a call and 0.3 with two calls of one thread."""


def choose_device(
    name: str = "auto", *, require_gpu: bool = False, among: Collection[str] = frozenset(AUTO_BATCH), owner: str = ""
) -> torch.device:
    """The device of a name: ``auto`` (CUDA, then MPS, then CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Args:
        among: Kinds that will do: those that a method, ``owner``, can run on.

    Raises:
        UsageError: not a name of a device.
        DeviceError: the device is not there, or a GPU is required and there is none.
    """
    kind, _, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise UsageError(f"there is no device {name!r}", hint="devices: auto, cpu, cuda, cuda:N, mps")
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        there = {"cuda": cuda, "mps": mps, "cpu": True}
        kind = next((kind for kind, is_there in there.items() if is_there and kind in among), "")
    if kind not in among:
        runs_on = " or ".join(sorted(among))
        reason = f"this machine has none: it runs on {runs_on}" if name == "auto" else f"it runs on {runs_on}"
        raise DeviceError(f"{owner} does not run on --device {name}; {reason}", hint="choose another --colorizer")
    if kind == "cpu" and require_gpu:
        raise DeviceError("a GPU is required and this machine offers none", hint=_cuda_hint())
    if kind == "cuda" and not cuda:
        raise DeviceError(f"--device {name}: no CUDA device is available", hint=_cuda_hint())
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    if kind == "mps" and not mps:
        raise DeviceError("--device mps: no Metal device is available", hint="use --device cpu")
    return torch.device(kind, int(number)) if number else torch.device(kind)


def choose_devices(
    names: str, *, require_gpu: bool = False, among: Collection[str] = frozenset(AUTO_BATCH), owner: str = ""
) -> list[torch.device]:
    """The devices of names with commas between: ``cuda:0,cuda:1``. One named twice is used by two threads at once.

    Args:
        among, owner: As for ``choose_device``.

    Raises:
        UsageError: not names, or of devices of several kinds, which would each give their own last bits.
        DeviceError: as ``choose_device``.
    """
    listed = [name.strip() for name in names.split(",")]
    if len(listed) > 1 and not all(listed):
        raise UsageError(f"--device {names}: a name is missing beside a comma", hint="for example: cuda:0,cuda:1")
    devices = [choose_device(name, require_gpu=require_gpu, among=among, owner=owner) for name in listed]
    if len({device.type for device in devices}) > 1:
        raise UsageError(
            f"--device {names}: these are of several kinds, and results differ a little between kinds",
            hint="name devices of one kind: cuda:0,cuda:1",
        )
    return devices


def _cuda_hint() -> str:
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; use --device cpu, or install a CUDA build of torch"
    return "check the driver with nvidia-smi, or use --device cpu"


def describe(device: torch.device | Cpu) -> str:
    """The device's name for a person: ``cpu`` or ``cuda:0 (NVIDIA H100)``."""
    if device.type != "cuda":
        return str(device)
    import torch

    properties: Any = torch.cuda.get_device_properties(str(device))
    return f"{device} ({properties.name})"


@dataclass(frozen=True)
class Cpu:
    """The CPU, as far as a ``torch.device`` is asked, where torch is not imported."""

    type: str = "cpu"
    index: None = None

    def __str__(self) -> str:
        return self.type


def only_cpu(names: str, *, require_gpu: bool = False, among: Collection[str] = frozenset(AUTO_BATCH)) -> int:
    """How many devices ``names`` stand for where all of them can only be the CPU; 0 where torch has to be asked.

    For ``auto`` that is so where no driver of a GPU is there.
    """
    listed = [name.strip() for name in names.split(",")]
    sure = all(name == "cpu" or (name == "auto" and not _may_have_gpu()) for name in listed)
    return len(listed) if sure and not require_gpu and "cpu" in among else 0


def _may_have_gpu() -> bool:
    """Whether torch, asked, might find one: its driver's marks are there. True where that is not known."""
    if platform.system() == "Linux":
        return any(Path(mark).exists() for mark in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd"))
    if os.name == "nt":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32" / "nvcuda.dll").exists()
    return True


def cores() -> int:
    """Threads that computing may use: ``OMP_NUM_THREADS``, else the processors that this process may run on."""
    stated = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if stated.isdecimal() and int(stated):
        return int(stated)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's model and capabilities."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        facts = {line.split(":")[0].strip(): line for line in reversed(lines) if ":" in line}
        if facts:
            return repr([facts.get(name) for name in ("model name", "cpu family", "model", "flags", "Features")])
    return f"{platform.machine()} {platform.processor()}"
