"""The entry point: builds the commands that this command line needs, and turns expected errors into one line.

Exit status: 0 all done, 1 some inputs failed, 2 the call was wrong, 130 interrupted. An unexpected exception is a bug
and keeps its traceback.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import typer.main

from colorpipe._version import __version__
from colorpipe.cli import console, dynamic, evaluate, merge, models, plugins, review, run, train, verify
from colorpipe.cli.root import Root
from colorpipe.errors import ColorpipeError, UsageError
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Plugin

INTERRUPTED = 130
WRONG_CALL = 2
_AFTERWARDS = {
    "run": "what was finished stays, of films too; the same command goes on from there",
    "eval": "no report was written",
    "review": "what was looked at is kept; the same command goes on from there",
    "train": "--resume goes on from the last checkpoint",
}
"""Messages for a person who interrupted a command."""
HELP = "Colour for black-and-white photographs, folders and films."
EPILOG = "Start with `colorpipe run PHOTO`. `colorpipe COMMAND --help` tells the rest."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: Words after the program's name; None takes this process's.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that is no Unicode is shown with escapes, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(words)
    except ColorpipeError as error:
        console.complain(error.message, error.hint)
        return WRONG_CALL
    except KeyboardInterrupt:
        console.complain("interrupted", _AFTERWARDS.get(_command_name(words) or "", ""))
        return INTERRUPTED


def _run(words: list[str]) -> int:
    host = PluginHost.load(Path(file) for file in dynamic.words(words, "--plugin"))
    name = _command_name(words)
    app, chosen = commands(host, words)
    command = typer.main.get_command(app)
    try:
        with console.log_lines(quiet=not {"-q", "--quiet"}.isdisjoint(words)):
            asked = ["--help" if word == "--help-all" and name == "run" else word for word in words]
            status = command.main(asked or ["--help"], prog_name="colorpipe", standalone_mode=False, obj=host)
    except typer.TyperException as error:
        unknown = getattr(error, "option_name", None)
        if type(error).__name__ == "NoSuchOption" and isinstance(unknown, str):
            explained = dynamic.explain(unknown, host, chosen, name or "")
            if explained is not None:
                raise explained from None
        path = getattr(getattr(error, "ctx", None), "command_path", "colorpipe")
        raise UsageError(error.format_message().rstrip("."), hint=f"see `{path} --help`") from None
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def commands(host: PluginHost, words: Sequence[str]) -> tuple[typer.Typer, list[type[Plugin]]]:
    """All commands, with the flags of the plugins that a command line chooses; and these plugins.

    Args:
        words: Words after the program's name; the first command among them has its plugins' flags.

    Raises:
        UsageError: the words choose plugins that do not exist or do not fit together.
    """
    name = _command_name(words)
    chosen: list[type[Plugin]] = []
    app = typer.Typer(
        name="colorpipe",
        cls=Root,
        help=HELP,
        epilog=EPILOG,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    chosen += run.add_to(app, host, words if name == "run" else None)
    chosen += train.add_to(app, host, words if name == "train" else None)
    evaluate.add_to(app)
    plugins.add_to(app)
    models.add_to(app)
    verify.add_to(app)
    merge.add_to(app)
    review.add_to(app)
    host.add_commands(app)
    return app, chosen


def _command_name(words: Sequence[str]) -> str | None:
    """The first word that is neither an option nor the value of the one root option that takes one."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "--plugin":
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def _version(asked: bool) -> None:
    if asked:
        print(f"colorpipe {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    plugin: console.PluginFiles = None,
) -> None:
    """Options that stand before the command."""
