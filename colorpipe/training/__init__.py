"""Training: what any trainable colorizer shares.

Importing it is light; Lightning, of the extra ``colorpipe[train]``, is imported when a run starts.

May import: ground, color, weights, media, plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from colorpipe.plugins.training_task import Task, TrainingOptions, TrainingPictures
from colorpipe.training.fitting import fit
from colorpipe.training.run_files import RunFiles, TrainingResult, warn
from colorpipe.weights.checkpoints import as_metadata, save_weights

if TYPE_CHECKING:
    from colorpipe.training.data import find_pictures, load_square
    from colorpipe.training.rebalancing import rebalancing_weights, smooth_prior
    from colorpipe.training.validation import ValidationBatch, colourfulness, lab_to_rgb, psnr, to_ab

__all__ = [
    "RunFiles",
    "Task",
    "TrainingOptions",
    "TrainingPictures",
    "TrainingResult",
    "ValidationBatch",
    "as_metadata",
    "colourfulness",
    "find_pictures",
    "fit",
    "lab_to_rgb",
    "load_square",
    "psnr",
    "rebalancing_weights",
    "save_weights",
    "smooth_prior",
    "to_ab",
    "warn",
]
_HOME = {
    "ValidationBatch": "colorpipe.training.validation",
    "colourfulness": "colorpipe.training.validation",
    "find_pictures": "colorpipe.training.data",
    "lab_to_rgb": "colorpipe.training.validation",
    "load_square": "colorpipe.training.data",
    "psnr": "colorpipe.training.validation",
    "rebalancing_weights": "colorpipe.training.rebalancing",
    "smooth_prior": "colorpipe.training.rebalancing",
    "to_ab": "colorpipe.training.validation",
}


def __getattr__(name: str) -> Any:
    """Names whose modules take long to import are looked up when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
