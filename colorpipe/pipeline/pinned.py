"""Values that a recipe resolved to on a machine: to repeat it bit for bit, or to report differences elsewhere."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch

from colorpipe._version import __version__
from colorpipe.inference.runtime import Runtime, describe
from colorpipe.types import ChromaDistribution, Recipe

log = logging.getLogger(__name__)


def in_effect(runtime: Runtime) -> dict[str, Any]:
    """Precision, versions and machine; temperatures and vibrance where a distribution is decoded."""
    return {"precision": runtime.precision, **_decoding(runtime), "versions": versions(), "machine": machine(runtime)}


def versions() -> dict[str, str]:
    """Versions of the software that computes."""
    return {
        "colorpipe": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def machine(runtime: Runtime) -> dict[str, str]:
    """The kind of machine: equal ones give equal bits."""
    kind = {"device": describe(runtime.device) if runtime.device.type != "cpu" else "cpu"}
    return {**kind, "cpu": platform.machine(), "instructions": torch.backends.cpu.get_cpu_capability()}


def _decoding(runtime: Runtime) -> dict[str, float | None]:
    """The decoder's own options; those left to the weights are filled in with the network's values."""
    if runtime.decoder is None:
        return {}
    seen: list[ChromaDistribution] = []
    before, runtime.watch = runtime.watch, seen.append
    try:
        runtime.sample()
    finally:
        runtime.watch = before
    given = seen[0]
    own = {"T": given.natural_T, "vibrance": given.natural_vibrance, "grey_T": given.natural_grey_T}
    options = runtime.decoder.options.as_dict()
    return {name: options[name] if options[name] is not None else own[name] for name in own if name in options}


def tell_differences(recipe: Recipe, made: Recipe, runtime: Runtime) -> None:
    """Log each of ``differences``."""
    for difference in differences(recipe, made, runtime):
        log.warning("the recipe may give other bits here: %s", difference)


def precision_of(recipe: Recipe, device: str) -> str:
    """The precision that the recipe asks for; for ``auto``, the one it resolved to when saved, on such a device."""
    saved = str(recipe.in_effect.get("machine", {}).get("device", ""))
    if recipe.precision != "auto" or saved.partition(":")[0] != device.partition(":")[0]:
        return recipe.precision
    return str(recipe.in_effect.get("precision", "auto"))


def differences(recipe: Recipe, made: Recipe, runtime: Runtime) -> list[str]:
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
