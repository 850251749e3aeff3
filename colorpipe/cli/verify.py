"""``colorpipe verify``: proof that a result has kept its source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colorpipe.cli import console, dynamic
from colorpipe.cli.dynamic import Given, Group
from colorpipe.errors import UsageError
from colorpipe.settings import Limits

if TYPE_CHECKING:
    from colorpipe.verification import Progress, Report

SUMMARY = "Prove that a result has kept its source: luma, frames, timestamps, streams, metadata."
EPILOG = """[bold]Examples[/bold]

colorpipe verify film.mkv colorized/film.mkv

colorpipe verify album/ colorized/            each source against its result, found as `run` named it

colorpipe verify album/ colorized/ --json -   an object a pair, for a program

Exit status: 0 all is equal; 3 all is kept, but some results are in a format that rounds brightness (JPEG, WebP, AVIF,
H.264, H.265), and it differs by no more than that format does at its quality; 1 something was changed or is missing;
2 the call was wrong. \"left out\" is what the result's format cannot hold and `run` says so; --strict counts it as a
difference. With --json, `verdict` says it of each pair: exact, lossy or broken.
"""
EXACT, BROKEN, LOSSY = 0, 1, 3
"""Exit statuses; 2 is a wrong call, as everywhere."""
_STYLES = {"equal": "green", "lossy": "green", "differs": "bold red", "left out": "yellow"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = Group("limits", "Limits", Limits)
    app.command("verify", help=SUMMARY, epilog=EPILOG)(dynamic.extend(verify, [group]))


def verify(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A picture, a film, or a folder.", show_default=False)
    ],
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="Its result, or the folder that `run` wrote to.", show_default=False),
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Count what is left out as a difference.")] = False,
    json: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", show_default=False, help="Write one JSON object per pair; - is stdout."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only differences.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check of every pair.")] = False,
    *,
    given: Given,
) -> None:
    """Prove that a result has kept its source."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    from colorpipe import verification
    from colorpipe.cli.progress import json_line, json_lines
    from colorpipe.settings import MediaOptions

    limits = dynamic.merged(Limits, "verify", {}, given["limits"])
    options = MediaOptions(**limits.as_dict())
    pairs = verification.find_pairs(source, result)
    wrong = lossy = 0
    with json_lines(json) as lines:
        for pair in pairs:
            with _progress(pair.source.name, quiet or json == "-") as progress:
                report = verification.verify_pair(pair, options, progress)
            good = report.verdict != "broken" and not (strict and report.left_out)
            wrong += not good
            lossy += good and report.verdict == "lossy"
            if lines is not None:
                lines.write(json_line(report.as_dict()))
                lines.flush()
            if json != "-" and not (quiet and good):
                _show(report, good, details=verbose or len(pairs) == 1 or not good)
    if json != "-" and len(pairs) > 1 and not quiet:
        kept = f", {lossy} kept as their lossy formats can" if lossy else ""
        console.stdout().print(f"{len(pairs) - wrong - lossy} equal{kept}, {wrong} not, of {len(pairs)}")
    raise typer.Exit(BROKEN if wrong else LOSSY if lossy else EXACT)


def _show(report: Report, good: bool, details: bool) -> None:
    """``equal a.png -> out/a.png``, a sentence for what is not equal, and a row for each check."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    out = console.stdout()
    lossy = report.verdict == "lossy"
    verdict = (("kept " if lossy else "equal "), "bold green") if good else ("differs ", "bold red")
    out.print(Text.assemble(verdict, f"{report.source} -> {report.result}"), soft_wrap=True)
    if good and lossy:
        out.print(Text(f"  {report.summary}"), soft_wrap=True)
    if not details:
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in report.checks:
        table.add_row(Text(check.name), Text(check.status, style=_STYLES[check.status]), Text(check.says))
    for note in report.notes:
        table.add_row(Text("note", style="dim"), "", Text(note, style="dim"))
    out.print(Padding(table, (0, 0, 0, 2)))


@contextmanager
def _progress(name: str, hidden: bool) -> Iterator[Progress]:
    """A bar on a terminal, shown once a film's frames are counted."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console.stderr()
    with Progress(*columns, console=out, transient=True, disable=hidden or not out.is_terminal) as bars:
        bar = bars.add_task(name, total=None, visible=False)

        def show(done: int, total: int | None) -> None:
            bars.update(bar, completed=done, total=total, visible=True)

        yield show
