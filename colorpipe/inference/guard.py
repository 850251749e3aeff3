"""Checks on values and errors that a plugin passes to the core; errors name the plugin."""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from colorpipe.errors import ColorpipeError, PluginError, oneline
from colorpipe.types import Chroma, ChromaDistribution

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Plugin

ABSURD = 150.0
"""CIE units, of a picture on average. sRGB reaches from -108 to 99; single places of published networks, whose output
is not clamped, have been seen at 200."""


@contextlib.contextmanager
def named(plugin: Plugin, step: str) -> Iterator[None]:
    """Turn an error that a plugin raises in ``step`` into a ``PluginError`` with its name, file, line and reason.

    Errors of colorpipe's own, and memory that is used up, pass as they are.
    """
    try:
        yield
    except (ColorpipeError, MemoryError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {oneline(error)}"
        raise PluginError(f"{plugin.name} failed in {step}: {reason}{_place(plugin, error)}") from error


def _place(plugin: Plugin, error: Exception) -> str:
    """`` (sepia.py, line 20)``: the innermost line of the plugin's own file."""
    try:
        own = inspect.getsourcefile(type(plugin))
    except TypeError:
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({Path(own).name}, line {lines[-1]})" if own and lines else ""


def out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # where it is not imported, no error is its
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text


def check_prediction(plugin: Plugin, found: object, count: int, *, distribution: bool) -> None:
    """Check the value that ``predict`` (or ``decode``) returned for ``count`` pictures.

    Raises:
        PluginError: it is of another kind, for another number of pictures, or no floating-point numbers.
    """
    kinds = (Chroma, ChromaDistribution) if distribution else (Chroma,)
    if not isinstance(found, kinds):
        raise PluginError(
            f"{plugin.name} returned {type(found).__name__}, not {' or '.join(k.__name__ for k in kinds)}"
        )
    values = found.logits if isinstance(found, ChromaDistribution) else found.ab
    if len(values) != count:
        raise PluginError(f"{plugin.name} gave {len(values)} results for {count} pictures")
    if not values.is_floating_point():
        raise PluginError(f"{plugin.name} gave {str(values.dtype).removeprefix('torch.')}, not floating-point numbers")


def check_chroma(plugin: Plugin, ab: np.ndarray) -> None:
    """Chroma in CIE units, of any shape.

    Raises:
        PluginError: some of it is no number, or far outside what there is.
    """
    if not np.isfinite(ab).all():
        raise PluginError(
            f"{plugin.name} gave chroma that is not a number",
            hint="try --precision fp32; if that fails too, the weights are damaged",
        )
    reach = float(np.abs(ab).mean()) if ab.size else 0.0
    if reach > ABSURD:
        raise PluginError(
            f"{plugin.name} gave chroma of {reach:.0f} on average, and CIE units of what a screen shows end near 108",
            hint="the plugin's ab may be in other units, 0..255 or 0..1 of something",
        )
