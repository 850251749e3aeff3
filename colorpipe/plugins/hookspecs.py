"""The hooks: what a plugin can offer. pluggy discovers; plain calls compute: no hook is called per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from colorpipe.plugins.interfaces import Colorizer, Decoder, Evaluator, Preprocessor
    from colorpipe.weights.registry import Model

PROJECT = "colorpipe"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def colorpipe_preprocessors() -> list[type[Preprocessor]]:  # type: ignore[empty-body]
    """Classes that change a picture's lightness before the network sees it."""


@hookspec
def colorpipe_colorizers() -> list[type[Colorizer]]:  # type: ignore[empty-body]
    """Classes that predict chroma from lightness."""


@hookspec
def colorpipe_decoders() -> list[type[Decoder]]:  # type: ignore[empty-body]
    """Classes that turn a distribution over chroma into chroma."""


@hookspec
def colorpipe_evaluators() -> list[type[Evaluator]]:  # type: ignore[empty-body]
    """Classes that score a result against the truth."""


@hookspec
def colorpipe_models() -> list[Model]:  # type: ignore[empty-body]
    """Registry entries for weights: where they come from, their licence and their SHA-256."""


@hookspec
def colorpipe_commands(app: typer.Typer) -> None:
    """Add commands of the plugin's own to the command line."""
