"""Which engine computes a method's network on a CPU: torch, or one that is installed beside it and faster here.

``auto`` takes OpenVINO where it is installed, needs clearly less time than torch and gives the same colours; that is
tried once for each method, weights and machine, and remembered. This module imports no torch: a method whose verdict
is known, and that OpenVINO computes whole, runs without it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from colorpipe.errors import UsageError
from colorpipe.inference import kept_graphs, openvino_library
from colorpipe.inference.graph_runtime import GraphRuntime
from colorpipe.inference.openvino_library import INSTALL

if TYPE_CHECKING:
    from colorpipe.inference.runtime import Runtime
    from colorpipe.plugins.interfaces import Colorizer, Decoder

log = logging.getLogger(__name__)
Engine = Literal["auto", "torch", "openvino"]
NAMES = get_args(Engine)
PICTURES = 16
"""Pictures of a job that int8 is quantised on, and measured on."""
VARIABLE = "COLORPIPE_ENGINE"
"""The environment's variable that says what ``auto`` means on a machine."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of the runtime of a method."""

    engine: str
    precision: str
    batch: int | None
    weights: Path | None
    weights_sha256: str
    """Of the weights and the files beside them; empty where they are not known before the network is built."""
    versions: Mapping[str, str]
    """Kind of plugin -> its version."""

    @property
    def forced(self) -> bool:
        """Whether OpenVINO is to compute it even where it is no faster."""
        return self.engine == "openvino" or self.precision == "int8"


def wanted_engine(name: str, precision: str) -> str:
    """The engine that is meant by a name and a precision.

    Raises:
        UsageError: there is no such engine, it is not installed, or the two do not fit.
    """
    if name not in NAMES:
        raise UsageError(f"there is no engine {name!r}", hint=f"engines: {', '.join(NAMES)}")
    if precision == "int8" and name == "torch":
        raise UsageError("--precision int8 is for the engine openvino", hint="leave out --engine torch")
    if name == "openvino" and precision == "fp16":
        raise UsageError("--precision fp16 is for GPUs, where torch computes", hint="leave out --engine openvino")
    if (name == "openvino" or precision == "int8") and not openvino_library.version():
        asked = "--precision int8" if precision == "int8" else "--engine openvino"
        raise UsageError(f"{asked}: OpenVINO is not installed", hint=INSTALL)
    if name != "auto" or precision == "int8":
        return "openvino" if precision == "int8" else name
    stated = os.environ.get(VARIABLE, "") or "auto"
    if stated not in NAMES:
        raise UsageError(f"{VARIABLE} is {stated!r}, which is no engine", hint=f"engines: {', '.join(NAMES)}")
    return stated if stated == "torch" or openvino_library.version() else "torch"


def ready(
    colorizer: Colorizer, decoder: Decoder | None, wanted: Wanted, exact: Callable[[], Runtime]
) -> GraphRuntime | None:
    """The runtime of a method that is known to run without torch on this machine's CPU; None for any other.

    Args:
        exact: Makes the method's ``Runtime``, where something needs it.
    """
    if wanted.engine == "torch" or not wanted.weights_sha256:
        return None
    verdict = kept_graphs.find(question(colorizer, decoder, wanted, wanted.weights_sha256))
    if verdict is None or verdict.engine != "openvino" or verdict.way != "whole":
        return None
    return GraphRuntime(colorizer, decoder, verdict, exact, batch=wanted.batch)


def question(colorizer: Colorizer, decoder: Decoder | None, wanted: Wanted, weights: str) -> str:
    """The name of the verdict that answers ``wanted``."""
    made = kept_graphs.identity({"colorizer": colorizer, "decoder": decoder}, wanted.versions, weights)
    return kept_graphs.question(made, wanted.engine, wanted.precision, wanted.batch)
