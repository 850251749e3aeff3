"""The entry point: builds the commands that this command line needs, and turns expected errors into one line.

Exit status: 0 all done, 1 some inputs failed, 2 the call was wrong, 130 interrupted. An unexpected exception is a bug
and keeps its traceback.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from colorpipe.errors import ColorpipeError, UsageError

if TYPE_CHECKING:
    import typer

    from colorpipe.plugins.host import PluginHost
    from colorpipe.plugins.interfaces import Plugin

# What a remembered answer does not need is imported where it is used: see ``remembered``.

INTERRUPTED = 130
WRONG_CALL = 2
_AFTERWARDS = {
    "run": "what was finished stays, of films too; the same command goes on from there",
    "eval": "no report was written",
    "review": "what was looked at is kept; the same command goes on from there",
    "train": "--resume goes on from the last checkpoint",
}
"""Messages for a person who interrupted a command."""
COMMANDS = {
    "run": "run",
    "paint": "paint",
    "train": "train",
    "eval": "evaluate",
    "plugins": "plugins",
    "models": "models",
    "verify": "verify",
    "merge": "merge",
    "review": "review",
}
"""Command -> its module in ``colorpipe.cli``, in the order of the help."""
_PLUGIN_FLAGS = ("run", "paint", "train")
"""Commands with flags of the plugins that are chosen."""
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
    if argv is None:
        from colorpipe.cli import remembered

        return remembered.answer(words, _guarded)
    return _guarded(words, lambda host: None)


def _guarded(words: list[str], loaded: Callable[[PluginHost], None]) -> int:
    """Run one command line; expected errors become a line.

    Args:
        loaded: Receives the plugins.
    """
    from colorpipe.cli import console

    try:
        return _run(words, loaded)
    except ColorpipeError as error:
        console.complain(error.message, error.hint)
        return WRONG_CALL
    except KeyboardInterrupt:
        console.complain("interrupted", _AFTERWARDS.get(_command_name(words) or "", ""))
        return INTERRUPTED


def _run(words: list[str], loaded: Callable[[PluginHost], None]) -> int:
    from pathlib import Path

    import typer
    import typer.main

    from colorpipe.cli import console, dynamic
    from colorpipe.plugins.host import PluginHost

    host = PluginHost.load(Path(file) for file in dynamic.words(words, "--plugin"))
    loaded(host)
    name = _command_name(words)
    app, chosen = commands(host, words, alone=True)
    command = typer.main.get_command(app)
    try:
        with console.log_lines(quiet=not {"-q", "--quiet"}.isdisjoint(words)):
            asked = ["--help" if word == "--help-all" and name in ("run", "paint") else word for word in words]
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


def commands(host: PluginHost, words: Sequence[str], *, alone: bool = False) -> tuple[typer.Typer, list[type[Plugin]]]:
    """All commands, with the flags of the plugins that a command line chooses; and these plugins.

    Args:
        words: Words after the program's name; the first command among them has its plugins' flags.
        alone: Leave out all others of colorpipe's own when that is one of them: each takes time to import.

    Raises:
        UsageError: the words choose plugins that do not exist or do not fit together.
    """
    import typer

    from colorpipe.cli.root import Root, root

    name = _command_name(words)
    app = typer.Typer(
        name="colorpipe",
        cls=Root,
        help=HELP,
        epilog=EPILOG,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    chosen: list[type[Plugin]] = []
    for command in [name] if alone and name in COMMANDS else COMMANDS:
        module = importlib.import_module(f"colorpipe.cli.{COMMANDS[command]}")
        if command in _PLUGIN_FLAGS:
            chosen += module.add_to(app, host, words if name == command else None)
        else:
            module.add_to(app)
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
