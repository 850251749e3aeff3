"""``colorpipe`` itself: its own options, and its help, drawn here: Typer's own drawing imports Markdown and syntax
highlighting, which takes longer than all the rest of ``colorpipe --help``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from colorpipe._version import __version__
from colorpipe.cli import console


class Root(TyperGroup):
    """The group of all commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print usage, commands and options in Typer's panels."""
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        records = [parameter.get_help_record(ctx) for parameter in self.get_params(ctx)]
        panels = {
            "Commands": [
                (name, command.get_short_help_str(limit=200)) for name, command in commands if not command.hidden
            ],
            "Options": [record for record in records if record is not None],
        }
        out = console.stdout(width=None)
        out.print(Padding(Text.assemble(("Usage: ", "yellow"), (f"{ctx.command_path} COMMAND ...", "bold")), (1, 1)))
        out.print(Padding(Text(self.help or ""), (0, 1, 1, 1)))
        for title, rows in panels.items():
            table = Table.grid(padding=(0, 2), pad_edge=True, expand=True)
            table.add_column(no_wrap=True, style="bold cyan")
            table.add_column(ratio=1)
            for row in rows:
                table.add_row(*row)
            out.print(Panel(table, title=title, title_align="left", border_style="dim"))
        out.print(Padding(Text(self.epilog or ""), (1, 1)))


def _version(asked: bool) -> None:
    if asked:
        print(f"colorpipe {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    plugin: console.PluginFiles = None,
) -> None:
    """Options that stand before the command."""
