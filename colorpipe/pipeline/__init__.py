"""One recipe, turned into live stages, and the path that a frame takes through them.

May import: ground, color, weights, media, plugins, inference, guidance, temporal.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorpipe.pipeline.session import parts_of, recipe_of

__all__ = ["parts_of", "recipe_of"]
_HOME = dict.fromkeys(__all__, "colorpipe.pipeline.session")


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
