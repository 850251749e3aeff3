"""Values that a recipe resolved to on a machine: to repeat it bit for bit, or to report differences elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from colorpipe._version import __version__
from colorpipe.errors import UsageError
from colorpipe.inference import openvino_library
from colorpipe.inference.devices import describe
from colorpipe.inference.graph_runtime import GraphRuntime
from colorpipe.types import Lab, Recipe

if TYPE_CHECKING:
    from colorpipe.inference.runtime import Runtime
    from colorpipe.plugins.interfaces import Colorizer

    AnyRuntime = Runtime | GraphRuntime

log = logging.getLogger(__name__)


def in_effect(runtime: AnyRuntime) -> dict[str, Any]:
    """Precision, versions and machine; temperatures and vibrance where a distribution is decoded; the engine, where it
    is not torch alone."""
    facts = {"precision": runtime.precision, **_decoding(runtime), "versions": versions(), "machine": machine(runtime)}
    return facts if runtime.engine == "torch" else {**facts, **_engine(runtime)}


def versions() -> dict[str, str]:
    """Versions of the software that computes."""
    return {
        "colorpipe": __version__,
        "python": platform.python_version(),
        "torch": _torch_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def _torch_version() -> str:
    """Torch's own word for it, without importing it for that: ``2.9.0+cpu``, where its distribution may say 2.9.0."""
    if "torch" not in sys.modules:
        spec = importlib.util.find_spec("torch")
        file = None if spec is None or spec.origin is None else Path(spec.origin).with_name("version.py")
        if file is not None and file.is_file():
            stated = re.search(r"^__version__ = ['\"](.+)['\"]", file.read_text("utf-8"), re.MULTILINE)
            if stated:
                return stated[1]
    return str(importlib.import_module("torch").__version__)


def machine(runtime: AnyRuntime) -> dict[str, str]:
    """The kind of machine: equal ones give equal bits."""
    kind = {"device": describe(runtime.device) if runtime.device.type != "cpu" else "cpu"}
    return {**kind, "cpu": platform.machine(), "instructions": _instructions(runtime)}


def _instructions(runtime: AnyRuntime) -> str:
    if isinstance(runtime, GraphRuntime):
        return runtime.instructions
    return str(importlib.import_module("torch").backends.cpu.get_cpu_capability())


def _decoding(runtime: AnyRuntime) -> dict[str, float | None]:
    if isinstance(runtime, GraphRuntime):
        return dict(runtime.effect)
    from colorpipe.inference.trial import decoding

    return decoding(runtime)


def engine_in_effect(runtime: AnyRuntime) -> str:
    """``openvino 2026.4.1``; empty for torch."""
    return "" if runtime.engine == "torch" else str(_engine(runtime)["engine"])


def _engine(runtime: AnyRuntime) -> dict[str, Any]:
    if isinstance(runtime, GraphRuntime):
        return runtime.facts
    return {"engine": f"openvino {openvino_library.version()}"}


def tell_differences(recipe: Recipe, made: Recipe, runtime: AnyRuntime) -> None:
    """Log each of ``differences``."""
    for difference in differences(recipe, made, runtime):
        log.warning("the recipe may give other bits here: %s", difference)


def precision_of(recipe: Recipe, device: str) -> str:
    """The precision that the recipe asks for; for ``auto``, the one it resolved to when saved, on such a device."""
    saved = str(recipe.in_effect.get("machine", {}).get("device", ""))
    if recipe.precision != "auto" or saved.partition(":")[0] != device.partition(":")[0]:
        return recipe.precision
    return str(recipe.in_effect.get("precision", "auto"))


def engine_of(recipe: Recipe) -> str:
    """The engine that the recipe asks for; for ``auto``, the one that computed it when saved, if it is installed."""
    if recipe.engine != "auto" or "precision" not in recipe.in_effect:
        return recipe.engine
    saved = str(recipe.in_effect.get("engine", "torch")).partition(" ")[0]
    return saved if saved == "torch" or openvino_library.version() else "torch"


def differences(recipe: Recipe, made: Recipe, runtime: AnyRuntime) -> list[str]:
    """One sentence for each difference from the place where a recipe was saved; none if it repeats bit for bit.

    Args:
        recipe: As it was read.
        made: The complete recipe of the session that came of it.
    """
    pins = recipe.in_effect
    if not pins:
        return []
    told = []
    if recipe.weights_sha256 and made.weights_sha256 != recipe.weights_sha256:
        told.append(f"its weights had SHA-256 {recipe.weights_sha256[:12]}.., here they have {_short(made)}")
    told += _unequal("precision was", {"": pins.get("precision")}, {"": runtime.precision})
    engine = {"engine": pins.get("engine", "torch")}
    here = {"engine": engine_in_effect(runtime) or "torch"}
    told += _unequal("it was computed by the", engine, here)
    told += _unequal("it was made with", pins.get("versions", {}), versions())
    told += _unequal("it was made on", pins.get("machine", {}), machine(runtime))
    return told


def _unequal(what: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{what} {name} {value}, here is {now[name]}".replace("  ", " ")
        for name, value in then.items()
        if name in now and value is not None and now[name] != value
    ]


def _short(made: Recipe) -> str:
    return f"{made.weights_sha256[:12]}.." if made.weights_sha256 else "none"


def check_reference_is_used(colorizer: type[Colorizer]) -> None:
    """A reference is given.

    Raises:
        UsageError: the method does nothing with one.
    """
    if not (colorizer.takes_reference or colorizer.learns_from_reference):
        raise UsageError(f"{colorizer.name} does not use a reference", hint="leave out --reference")


def reference_digest(reference: Lab, colorizer: type[Colorizer]) -> str:
    """SHA-256 of a reference that is no file.

    Raises:
        UsageError: the method does nothing with one, or it has no colour.
    """
    check_reference_is_used(colorizer)
    if reference.ab is None:
        raise UsageError("the reference is grey", hint="give a colour picture")
    return hashlib.sha256(reference.L.tobytes() + reference.ab.tobytes()).hexdigest()
