"""A network on a device: precision, batches, threads.

May import: ground, color, weights, plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorpipe.inference.precision import one_thread
    from colorpipe.inference.winograd import convolve3x3

__all__ = ["convolve3x3", "one_thread"]
_HOME = {"convolve3x3": "colorpipe.inference.winograd", "one_thread": "colorpipe.inference.precision"}


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
