"""``colorpipe review``: a page that shows first what deserves a look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from colorpipe.cli import console, places
from colorpipe.plugins.host import PluginHost

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from colorpipe.review.page import Made

SUMMARY = "Make a page of all results, before and after, with what deserves a look first."
EPILOG = """[bold]Examples[/bold]

colorpipe review colorized/                    into colorized-review/index.html

colorpipe review colorized/ -o look.html       with its small pictures in look_files/

colorpipe run album/ -o colorized/ --only ticked.csv --overwrite --T 0.2

The page opens in any browser, from a disk or a stick, and asks for nothing from elsewhere. It is made again in a moment
when results have changed. What is ticked in it is exported as CSV or JSON, and `run --only` works on that alone.

Exit status: 0 the page is written, 1 and some results could not be read, each is named, 2 the call was wrong.
"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("review", help=SUMMARY, epilog=EPILOG)(review)


def review(
    context: typer.Context,
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="The folder that `run` wrote its results to.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PAGE",
            help="A file NAME.html, or a folder for index.html \\[default: RESULTS-review/]",
            show_default=False,
        ),
    ] = None,
    evaluator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A measure that needs no true colours, repeatable \\[default: patchiness]",
            show_default=False,
        ),
    ] = None,
    colorizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Ask this method how sure it is of each picture where the run has not kept that",
            show_default=False,
        ),
    ] = None,
    plugin: console.PluginFiles = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what could not be read.")] = False,
) -> None:
    """Make a page of all results."""
    from colorpipe.review import page
    from colorpipe.review.measures import Measurer

    measurer = Measurer(cast(PluginHost, context.obj), evaluator, colorizer)
    place = page.place_of(results, output)
    places.check("--output", place)
    start = time.monotonic()
    with _listener(quiet) as listener:
        made = page.review(results, place, measurer, listener)
    if not quiet:
        _tell(made, time.monotonic() - start, listener.known)
    raise typer.Exit(1 if listener.failures else 0)


def _tell(made: Made, seconds: float, known: int) -> None:
    from colorpipe.cli.progress import duration
    from colorpipe.review.reasons import LABELS

    out = console.stdout(None)
    for kind, count in sorted(made.kinds.items(), key=lambda pair: -pair[1]):
        out.print(f"{count:>6}  {LABELS.get(kind, kind)}", markup=False)
    earlier = f", {known} of them looked at before" if known else ""
    out.print(
        f"{made.standing_out} of {made.entries} results stand out{earlier}, in {duration(seconds)} -> {made.page}",
        style="bold",
        markup=False,
        soft_wrap=True,
    )


class _Listener:
    """Progress on stderr: a bar on a terminal, and what could not be read in any case."""

    def __init__(self, out: Console, bars: Progress) -> None:
        self._out, self._bars = out, bars
        self._bar: TaskID | None = None
        self.failures = self.known = 0

    def started(self, total: int, known: int) -> None:
        self._bar, self.known = self._bars.add_task("looking", total=total), known

    def advanced(self) -> None:
        if self._bar is not None:
            self._bars.advance(self._bar)

    def failed(self, path: Path, error: str) -> None:
        from rich.text import Text

        self.failures += 1
        named = error if str(path) in error else f"{path}: {error}"
        self._out.print(Text.assemble(("failed ", "bold red"), named))


@contextmanager
def _listener(quiet: bool) -> Iterator[_Listener]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console.stderr()
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as bars:
        yield _Listener(out, bars)
