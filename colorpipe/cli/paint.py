"""``colorpipe paint``: a page in the browser to correct photos, films and albums on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

import typer

from colorpipe.cli import console, dynamic
from colorpipe.cli.console import flag
from colorpipe.cli.dynamic import Given
from colorpipe.cli.run import Choice, chosen, hide, method_line, recipe_of, warn
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Plugin

SUMMARY = "Correct colours on a page in the browser: photos, folders and films."
EPILOG = """[bold]Examples[/bold]

colorpipe paint photo.jpg

colorpipe paint album/ -o out/ --T 0.3

colorpipe paint film.mp4 --no-browser          prints the address alone

What is saved comes out of `colorpipe run` again, byte for byte.
"""
PAGE, METHOD, MACHINE = "Page", "Method", "Machine"
SHORT = frozenset({"output", "port", "no_browser", "colorizer", "weights", "help_all", "merge__saturation"})


@dataclass(frozen=True)
class PaintFlags:
    """The flags as given."""

    output: Annotated[
        Path | None,
        flag(
            f"Folder for the results, or a file name for one input \\[default: {DEFAULT_OUTPUT}/]",
            PAGE,
            "--output",
            "-o",
            metavar="OUT",
        ),
    ] = None
    port: Annotated[int, flag("Port on 127.0.0.1; 0 takes one that is free", PAGE, show_default=True, min=0)] = 0
    no_browser: Annotated[bool, flag("Print the address and open no browser", PAGE, "--no-browser")] = False
    recipe: Annotated[Path | None, flag("Begin with a recipe; other flags change it", METHOD, metavar="FILE")] = None
    colorizer: Annotated[
        str | None, flag(f"The method to begin with \\[default: {DEFAULT_COLORIZER}]", METHOD, metavar="NAME")
    ] = None
    weights: Annotated[
        str | None,
        flag("Its weights, by name (see `colorpipe models`) or from a file", METHOD, metavar="NAME|FILE"),
    ] = None
    decoder: Annotated[str | None, flag("How a predicted distribution becomes one colour", METHOD, metavar="NAME")] = (
        None
    )
    preprocessor: Annotated[
        list[str] | None, flag("A step before the network; repeatable, in order", METHOD, metavar="NAME")
    ] = None
    plugin: console.PluginFiles = None
    device: Annotated[str | None, flag("auto, cpu, cuda, cuda:N or mps", MACHINE, metavar="NAME")] = None
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None,
        flag("Numeric precision of the network \\[default: auto]", MACHINE),
    ] = None
    engine: Annotated[
        Literal["auto", "torch", "openvino"] | None,
        flag("What computes the network of a saved result on a CPU \\[default: auto]", MACHINE),
    ] = None
    help_all: Annotated[bool, flag("Show every flag and exit", PAGE, "--help-all")] = False
    reference: ClassVar[Path | None] = None


def add_to(app: typer.Typer, host: PluginHost, words: Sequence[str] | None) -> list[type[Plugin]]:
    """Add the command, with the flags of the plugins that ``words`` choose; None when another command is called.

    Returns:
        The chosen plugins.
    """
    if words is None:
        app.command("paint", help=SUMMARY)(dynamic.extend(paint, [], choice=None))
        return []
    choice, groups = chosen(host, words)
    command = dynamic.extend(paint, groups, choice=choice)
    hide(command, words, SHORT)
    app.command("paint", help=f"{SUMMARY}\n\n{method_line(choice)}", epilog=EPILOG)(command)
    return choice.plugins


def paint(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, films, folders (with all below) or glob patterns", show_default=False
        ),
    ],
    flags: PaintFlags,
    *,
    given: Given,
    choice: Choice,
) -> None:
    """Correct colours on a page in the browser."""
    from colorpipe.web.album import Album
    from colorpipe.web.server import PageServer, check_installed

    check_installed()
    host = cast(PluginHost, context.obj)
    recipe = recipe_of(choice, host, given, flags)
    warn(host, choice)
    server = PageServer(Album(inputs, flags.output, recipe, host), flags.port)
    sys.stdout.write(server.address + "\n")
    sys.stdout.flush()
    if not flags.no_browser:
        import webbrowser

        if not webbrowser.open(server.address):
            console.warn("no browser could be opened", "open the address above in one on this machine")
    console.say(("Ctrl-C ends it. What is not saved on the page is lost then.", "dim"))
    try:
        server.serve()
    except KeyboardInterrupt:  # the way in which a page ends
        console.say("the page has ended")
