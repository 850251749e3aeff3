"""Weights: registered models, where their files lie, and how a file is read safely. Importing it is light.

May import: ground.
"""

from colorpipe.weights.checkpoints import (
    as_metadata,
    load_strictly,
    published_keys,
    read_grey_temperature,
    read_temperature,
    read_tensors,
    read_vibrance,
    save_weights,
    take_strictly,
)

__all__ = [
    "as_metadata",
    "load_strictly",
    "published_keys",
    "read_grey_temperature",
    "read_temperature",
    "read_tensors",
    "read_vibrance",
    "save_weights",
    "take_strictly",
]
