"""Training: what any trainable colorizer shares. Imports ground modules, ``color``, ``plugins``, ``weights``.

Importing it is light; Lightning, of the extra ``colorpipe[train]``, is imported when a run starts.
"""

from colorpipe.training.fitting import (
    RunFiles,
    Task,
    TrainingOptions,
    TrainingResult,
    as_metadata,
    fit,
    save_weights,
    warn,
)

__all__ = [
    "RunFiles",
    "Task",
    "TrainingOptions",
    "TrainingResult",
    "as_metadata",
    "fit",
    "save_weights",
    "warn",
]
