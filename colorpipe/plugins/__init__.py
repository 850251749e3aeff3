"""Plugins: their contracts, hooks, discovery, and the project that ``colorpipe plugins new`` writes. Light to import.

May import: ground, color, weights.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorpipe.plugins.host import PluginHost

__all__ = ["PluginHost"]
_HOME = dict.fromkeys(__all__, "colorpipe.plugins.host")


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
