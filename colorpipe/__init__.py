"""colorpipe: colour for black-and-white photographs, folders and films.

What plugins and programs may import stands in ``__all__`` and ``PUBLIC``, and nowhere else. Each name is imported when
it is first used, so that ``import colorpipe`` and ``colorpipe --help`` cost neither numpy nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from colorpipe._version import __version__

_HOMES = {
    "colorpipe.batch.api": ("run",),
    "colorpipe.evaluation.results": ("Evaluation",),
    "colorpipe.evaluation.scoring": ("evaluate",),
    "colorpipe.errors": (
        "ColorpipeError", "UsageError", "OptionError", "PluginError", "InputError", "LimitError", "OutputError",
        "WeightsError", "DeviceError", "TrainingError",
    ),
    "colorpipe.plugins.contract": ("CONTRACT",),
    "colorpipe.plugins.hookspecs": ("hookimpl",),
    "colorpipe.plugins.interfaces": ("Colorizer", "Decoder", "Evaluator", "Preprocessor"),
    "colorpipe.weights.registry": ("Model", "Part"),
    "colorpipe.options": ("Options", "option"),
    "colorpipe.types": (
        "Batch", "Chroma", "ChromaDistribution", "Companion", "Encoding", "Frame", "InputSize", "Lab", "Metadata",
        "Outcome", "Recipe",
    ),
    "colorpipe.pipeline.session": ("Session", "colorize"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604 - all are strings
PUBLIC = {
    "color": (
        "GREY_WEIGHTS", "WHITE", "XYZ_FROM_RGB", "Float", "encode", "grey_of", "lab_to_rgb", "lightness_of", "linear",
        "rgb", "rgb_to_lab", "shrink", "view_size",
    ),
    "guidance": ("code_values", "grey_codes", "palette", "patches", "tint"),
    "inference": ("convolve3x3", "one_thread"),
    "testing": (
        "SUITES", "CheckResult", "ColorizerSuite", "DecoderSuite", "EvaluatorSuite", "PluginSuite", "PreprocessorSuite",
        "check", "require", "require_close",
    ),
    "training": (
        "Task", "TrainingOptions", "TrainingPictures", "TrainingResult", "ValidationBatch", "as_metadata",
        "colourfulness", "find_pictures", "fit", "lab_to_rgb", "load_square", "psnr", "rebalancing_weights",
        "save_weights", "smooth_prior", "to_ab",
    ),
    "verification": ("Check", "Pair", "Report", "find_pairs", "verify", "verify_pair"),
    "weights": (
        "as_metadata", "load_strictly", "published_keys", "read_grey_temperature", "read_temperature", "read_tensors",
        "read_vibrance", "save_weights", "take_strictly",
    ),
}  # fmt: skip
"""Package -> the public ones of its names: ``from colorpipe.color import rgb``. All others may change at any time."""

if TYPE_CHECKING:
    from colorpipe.batch.api import run as run
    from colorpipe.errors import ColorpipeError as ColorpipeError
    from colorpipe.errors import DeviceError as DeviceError
    from colorpipe.errors import InputError as InputError
    from colorpipe.errors import LimitError as LimitError
    from colorpipe.errors import OptionError as OptionError
    from colorpipe.errors import OutputError as OutputError
    from colorpipe.errors import PluginError as PluginError
    from colorpipe.errors import TrainingError as TrainingError
    from colorpipe.errors import UsageError as UsageError
    from colorpipe.errors import WeightsError as WeightsError
    from colorpipe.evaluation.results import Evaluation as Evaluation
    from colorpipe.evaluation.scoring import evaluate as evaluate
    from colorpipe.options import Options as Options
    from colorpipe.options import option as option
    from colorpipe.pipeline.session import Session as Session
    from colorpipe.pipeline.session import colorize as colorize
    from colorpipe.plugins.contract import CONTRACT as CONTRACT
    from colorpipe.plugins.hookspecs import hookimpl as hookimpl
    from colorpipe.plugins.interfaces import Colorizer as Colorizer
    from colorpipe.plugins.interfaces import Decoder as Decoder
    from colorpipe.plugins.interfaces import Evaluator as Evaluator
    from colorpipe.plugins.interfaces import Preprocessor as Preprocessor
    from colorpipe.types import Batch as Batch
    from colorpipe.types import Chroma as Chroma
    from colorpipe.types import ChromaDistribution as ChromaDistribution
    from colorpipe.types import Companion as Companion
    from colorpipe.types import Encoding as Encoding
    from colorpipe.types import Frame as Frame
    from colorpipe.types import InputSize as InputSize
    from colorpipe.types import Lab as Lab
    from colorpipe.types import Metadata as Metadata
    from colorpipe.types import Outcome as Outcome
    from colorpipe.types import Recipe as Recipe
    from colorpipe.weights.registry import Model as Model
    from colorpipe.weights.registry import Part as Part


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return importlib.import_module(f"colorpipe.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'colorpipe' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names that completion and ``help`` show."""
    return sorted({*__all__, *PUBLIC, *(name for name in globals() if name.startswith("__"))})
