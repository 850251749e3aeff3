"""``colorpipe train``: fit a colorizer's network to a folder of colour pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from colorpipe.cli import console, dynamic
from colorpipe.cli.dynamic import Given, Group
from colorpipe.errors import UsageError
from colorpipe.plugins.host import PluginHost

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Colorizer, Plugin

SUMMARY = (
    "Let a method learn from a folder of colour pictures of yours. What it has learned (its weights) is one file, for "
    "`colorpipe run --weights`."
)
EPILOG = """[bold]Examples[/bold]

colorpipe train zhang photos/ -o mine.safetensors

colorpipe train zhang photos/ -o mine.safetensors --resume

colorpipe run old.jpg --colorizer zhang --weights mine.safetensors
"""


def add_to(app: typer.Typer, host: PluginHost, words: Sequence[str] | None) -> list[type[Plugin]]:
    """Add the command, with the flags of the colorizer that ``words`` name; None when another command is called.

    Returns:
        The colorizer, if one is named.
    """
    trained = _trainable(host)
    named = [trained[name] for word in words or () if (name := word.replace("_", "-")) in trained]
    colorizer = named[0] if named else None
    groups = []
    if colorizer is not None and colorizer.TrainOptions is not None:
        groups = [Group("train", f"Training of {colorizer.name}", colorizer.TrainOptions)]
    help_text = SUMMARY
    if words is not None and colorizer is None:
        names = ", ".join(sorted(trained)) or "none"
        help_text += f"\n\n`colorpipe train COLORIZER --help` shows its flags. Methods that learn: {names}."
    app.command("train", help=help_text, epilog=EPILOG)(dynamic.extend(train, groups))
    return [colorizer] if colorizer else []


def train(
    context: typer.Context,
    colorizer: Annotated[str, typer.Argument(metavar="COLORIZER", help="The method that learns.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of pictures in colour, with all below; the more, the better.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file for what is learned (.safetensors); a log and a curve of the errors appear beside it.",
        ),
    ],
    plugin: console.PluginFiles = None,
    *,
    given: Given,
) -> None:
    """Train a colorizer on a folder of colour pictures."""
    host = cast(PluginHost, context.obj)
    cls = host.colorizer(colorizer)
    if cls.TrainOptions is None:
        names = ", ".join(sorted(_trainable(host)))
        raise UsageError(f"{cls.name} is not trained", hint=f"colorizers that are: {names or 'none installed'}")
    task = cls().training_task(dynamic.merged(cls.TrainOptions, cls.name, {}, given["train"]))
    from colorpipe.training import fit
    from colorpipe.training.meanings import told

    result = fit(task, data, output, host)
    console.say(f"{result.steps} steps in {result.minutes:.1f} min")
    options = task.options
    of = "held out" if options.validation is None else f"of {options.validation}"
    console.say("\n".join([f"on {result.pictures} pictures {of}:", *told(result.scores, task, result.start)]))
    if result.held_out is not None:
        count = result.held_out_pictures
        console.say("\n".join([f"on {count} pictures held out of {data}:", *told(result.held_out, task)]))
    console.say(
        (f"weights: {result.output}", "bold"),
        f"   use them: colorpipe run INPUT --colorizer {cls.name} --weights {result.output}",
    )


def _trainable(host: PluginHost) -> dict[str, type[Colorizer]]:
    classes = cast("dict[str, type[Colorizer]]", host.classes("colorizer"))
    return {name: cls for name, cls in classes.items() if cls.TrainOptions is not None}
