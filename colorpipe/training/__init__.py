"""Training: what any trainable colorizer shares.

Importing it is light; Lightning, of the extra ``colorpipe[train]``, is imported when a run starts.

May import: ground, color, weights, plugins.
"""

from colorpipe.plugins.training_task import Task, TrainingOptions, TrainingPictures
from colorpipe.training.fitting import fit
from colorpipe.training.run_files import RunFiles, TrainingResult, warn
from colorpipe.weights.checkpoints import as_metadata, save_weights

__all__ = [
    "RunFiles",
    "Task",
    "TrainingOptions",
    "TrainingPictures",
    "TrainingResult",
    "as_metadata",
    "fit",
    "save_weights",
    "warn",
]
