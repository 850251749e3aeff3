"""The flags of ``colorpipe run`` that are the core's own: a plugin's option of such a name has no bare flag."""

from __future__ import annotations

from colorpipe import options
from colorpipe.settings import MediaOptions, MergeOptions

RUN_FLAGS = frozenset(
    {
        "bag", "batch", "cluster", "colorizer", "compare", "damaged", "decoder", "device", "dry-run", "engine",
        "fail-fast", "help", "help-all", "hint-reach", "hints", "inputs", "int8-limit", "jobs", "json",
        "keep-dates", "like", "only", "only-grey", "output", "overwrite", "plugin", "precision", "preprocessor",
        "preview", "quiet", "recipe", "reference", "report", "require-gpu", "save-recipe", "shard", "sidecar",
        "verbose", "weights",
    }
)  # fmt: skip
"""Without dashes; besides those of ``MergeOptions`` and ``MediaOptions``."""


def clashing(cls: type[options.Options]) -> list[str]:
    """Names of a plugin's options that the core has, and that are not declared as ``qualified``."""
    core = RUN_FLAGS | {field.flag for own in (MergeOptions, MediaOptions) for field in options.fields(own)}
    return [field.name for field in options.fields(cls) if field.flag in core and not field.qualified]
