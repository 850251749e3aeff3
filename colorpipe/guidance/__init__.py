"""Guidance from a person: hint files, reference pictures, and the sidecar files beside an input.

May import: ground, color, media, plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorpipe.guidance.reference import code_values, grey_codes, palette, patches, tint

__all__ = ["code_values", "grey_codes", "palette", "patches", "tint"]
_HOME = dict.fromkeys(__all__, "colorpipe.guidance.reference")


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
