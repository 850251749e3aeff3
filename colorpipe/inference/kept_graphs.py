"""What was found out about engines, and the converted networks, in the cache. Imports no torch.

In ``engines`` beside the weights: for each method with its weights a graph (``.xml`` and ``.bin``), and for each
question that was tried on this machine the verdict (``.json``).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import colorpipe.types
from colorpipe._version import __version__
from colorpipe.errors import OutputError, PluginError
from colorpipe.files import write_whole
from colorpipe.inference import openvino_library
from colorpipe.inference.devices import cpu_model
from colorpipe.plugins import fingerprint
from colorpipe.weights.store import default_cache

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Plugin

Way = Literal["whole", "network"]
FORMAT = 1
MOST = 12
"""Graphs that are kept; the one that was not used for longest goes first."""

LONGEST = 1800.0
"""Seconds after which a trial counts as broken off."""


@dataclass(frozen=True)
class Verdict:
    """How a method is computed on this machine."""

    engine: Literal["torch", "openvino"]
    precision: str
    reason: str
    """For a person, as a part of a sentence."""
    way: Way = "whole"
    """``whole``: from lightness to chroma, without torch; ``network``: what the plugin calls its network."""
    graph: str = ""
    """Name of the graph's files without their endings."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """``input_size`` and ``film_input_size`` as the built method has them."""
    effect: Mapping[str, Any] = field(default_factory=dict)
    """What the weights decided, for recipes: temperatures, the processor's instructions."""
    quantised: Mapping[str, Any] = field(default_factory=dict)
    """Of int8: ``mean`` and ``worst`` dE2000, how many ``pictures``, and the graph's ``sha256``."""


def identity(plugins: Mapping[str, Plugin | None], versions: Mapping[str, str], weights: str) -> str:
    """A digest of everything that a graph is made of: the plugins' names, options, versions and source, colorpipe's
    and the engine's version, the weights. With another one, a graph is converted anew.

    Args:
        plugins: Kind -> the colorizer and the decoder.
        versions: Kind -> version, as ``PluginHost.version`` says.
        weights: SHA-256 of the weights, or of the network's values; and of files beside them.
    """
    parts: list[object] = [FORMAT, __version__, openvino_library.version(), _torch_version(), weights]
    parts.append(fingerprint.of_source(Path(str(colorpipe.types.__file__))))
    for kind, plugin in plugins.items():
        if plugin is not None:
            parts += [kind, plugin.name, plugin.options.as_dict(), versions.get(kind, ""), _source(plugin)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _source(plugin: Plugin) -> str:
    module = sys.modules.get(type(plugin).__module__)
    place = None if module is None else fingerprint.source_of(module)
    try:
        return "" if place is None else fingerprint.of_source(place)
    except PluginError:
        return ""


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def question(identity: str, engine: str, precision: str, batch: int | None) -> str:
    """The name of a verdict: what is asked for, on which kind of machine."""
    machine = cpu_model(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return hashlib.sha256(repr((identity, engine, precision, batch, machine)).encode()).hexdigest()[:32]


def folder() -> Path:
    return default_cache().with_name("engines")


def compiled() -> Path:
    """The folder of graphs as this machine compiled them."""
    return folder() / "compiled"


def graph_file(name: str) -> Path:
    return folder() / f"{name}.xml"


def find(question: str) -> Verdict | None:
    """A verdict whose graph is still there; None where there is none."""
    entry = _read(question)
    with contextlib.suppress(KeyError, TypeError):
        if entry.pop("format") == FORMAT:
            verdict = Verdict(**entry)
            if verdict.engine == "torch":
                return verdict
            files = [graph_file(verdict.graph), graph_file(verdict.graph).with_suffix(".bin")]
            if all(file.is_file() for file in files):
                with contextlib.suppress(OSError):
                    os.utime(_place(question))  # its last use; the compiled form depends on the graph's own time
                return verdict
    return None


def ended_badly(question: str) -> bool:
    """Whether the program that tried this ended in the midst of it: a library that crashes is not tried twice."""
    entry = _read(question)
    process, since = entry.get("trying"), entry.get("since")
    if not isinstance(process, int) or not isinstance(since, (int, float)):
        return False
    return process != os.getpid() and (time.time() - since > LONGEST or not _is_running(process))


def begin(question: str) -> None:
    """Leave a mark while a trial goes on."""
    _write(question, {"trying": os.getpid(), "since": time.time()})


def give_up(question: str) -> None:
    """Take that mark away, where the trial ended without a verdict."""
    if "trying" in _read(question):
        with contextlib.suppress(OSError):
            _place(question).unlink()


def keep(question: str, verdict: Verdict) -> None:
    """Remember a verdict; without a cache it is found out in every run."""
    _write(question, {"format": FORMAT, **asdict(verdict)})


def keep_graph(name: str, model: Any) -> Path | None:
    """Write a graph; None where the cache cannot be written to."""
    file = graph_file(name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{name}.{os.getpid()}.part.xml")
        openvino_library.library().save_model(model, str(part), compress_to_fp16=False)
        os.replace(part.with_suffix(".bin"), file.with_suffix(".bin"))
        os.replace(part, file)
        _prune(file.parent)
    except (OSError, RuntimeError):
        return None
    return file


def _prune(place: Path) -> None:
    def used(graph: Path) -> int:
        verdict = graph.with_suffix(".json")
        return (verdict if verdict.is_file() else graph).stat().st_mtime_ns

    graphs = sorted(place.glob("*.xml"), key=used)
    for old in graphs[:-MOST]:
        for file in (old, old.with_suffix(".bin")):
            file.unlink(missing_ok=True)
    blobs = sorted((place / "compiled").glob("*.blob"), key=lambda file: file.stat().st_mtime_ns)
    for blob in blobs[: -2 * MOST]:
        blob.unlink(missing_ok=True)


def _place(question: str) -> Path:
    return folder() / f"{question}.json"


def _read(question: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        entry = json.loads(_place(question).read_text("utf-8"))
        if isinstance(entry, dict):
            return entry
    return {}


def _write(question: str, entry: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError, OutputError):
        write_whole(_place(question), json.dumps(entry, indent=1, default=str).encode())


def _is_running(process: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
