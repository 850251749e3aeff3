"""Output that commands share: messages on stderr, tables on stdout. Neither takes names for markup."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from colorpipe.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 160
"""Columns of a table that goes to a file or another program, which have no width of their own."""


def flag(
    help: str, panel: str, *names: str, metavar: str | None = None, show_default: bool = False, min: int | None = None
) -> Any:
    """A command's own flag, for a field of its dataclass: ``Annotated[type, flag(...)]``.

    Args:
        names: As Typer takes them; none takes the field's name.
    """
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar, show_default=show_default, min=min)


PluginFiles = Annotated[
    list[Path] | None,
    # Read by ``app`` before Typer sees the words, since the plugins decide which flags there are.
    typer.Option(
        "--plugin", metavar="FILE", help="Also load a plugin from FILE, or from a project's folder. Repeatable."
    ),
]


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=not sys.stderr.isatty())


def stdout(width: int | None = PLAIN_WIDTH) -> Console:
    """A console for tables and similar output, as wide as the terminal, or ``width`` where there is none."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else width)


def complain(message: str, hint: str = "", *, label: str = "colorpipe: ", style: str = "bold red") -> None:
    """One line on stderr, and the next step under it."""
    from rich.text import Text

    out = stderr()
    out.print(Text.assemble((label, style), message))
    if hint:
        out.print(Text(f"  {hint}", style="dim"))


def warn(message: str, hint: str = "") -> None:
    complain(message, hint, label="warning: ", style="yellow")


def say(*parts: Any) -> None:
    """A line on stderr: plain text, or (text, style)."""
    from rich.text import Text

    stderr().print(Text.assemble(*parts))


@contextlib.contextmanager
def log_lines(*, quiet: bool) -> Iterator[None]:
    """Show colorpipe's log on stderr, one line a message: warnings, and progress too unless ``quiet``."""
    logger, handler = logging.getLogger("colorpipe"), logging.StreamHandler(sys.stderr)
    before = logger.level
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def check_quiet(quiet: bool, verbose: bool) -> None:
    """One of the two, or neither."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
