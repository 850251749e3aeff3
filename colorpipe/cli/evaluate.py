"""``colorpipe eval``: methods compared on colour pictures or films, under a named protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from colorpipe.cli import console, dynamic, places
from colorpipe.cli.dynamic import Given, Group
from colorpipe.cli.evaluate_flags import EvaluateFlags
from colorpipe.evaluation.protocols import PROTOCOLS
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import Limits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from colorpipe.evaluation.records import Failure, Scored
    from colorpipe.evaluation.results import Evaluation
    from colorpipe.media.passed import Passed
    from colorpipe.types import Recipe

SUMMARY = (
    "Compare methods on colour pictures or films of yours: each is made grey, colorized, and scored by how near it "
    "comes to the true colours."
)
EPILOG = f"""[bold]Examples[/bold]

colorpipe eval photos/ --colorizer zhang --colorizer zhang:T=0.09,saturation=1.2

colorpipe eval photos/ --protocol left-right-120.v1 --json scores.json --html report/

colorpipe eval photos/ --colorizer zhang:weights=mine.safetensors,preprocessor=denoise

colorpipe eval clip.mp4 --colorizer zhang --colorizer zhang:temporal=none

[bold]SPEC[/bold] is a name, or NAME:KEY=VALUE,KEY=VALUE with settings. A KEY is a flag of `colorpipe run \
--help-all` without its dashes: one of the method (`colorpipe plugins show NAME` lists them) or about colour, as \
saturation, temporal or upsample. A method also takes \
weights=NAME|FILE (what it has learned), decoder=NAME, preprocessor=NAME+NAME and reference=FILE.

[bold]Rules of a comparison[/bold] (--protocol). What is made grey of a colour picture depends on the formula: of the \
same lightness that the eye sees (CIE), or by shares of red, green and blue; a film keeps the grey that it has (luma).

{"".join(f"{protocol.name}: {protocol.summary}{chr(10) * 2}" for protocol in PROTOCOLS.values())}
Exit status: 0 all was scored, 1 something failed and is named, 2 the call was wrong, 130 interrupted.
"""
HTML_PICTURES = 60
"""Pictures that a page shows; of the others it has the scores."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = Group("limits", "Limits", Limits)
    app.command("eval", help=SUMMARY, epilog=EPILOG)(dynamic.extend(evaluate, [group]))


def evaluate(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures or films in colour, folders (with all below), or names with * and ?",
            show_default=False,
        ),
    ],
    flags: EvaluateFlags,
    *,
    given: Given,
) -> None:
    """Compare methods on colour pictures or films."""
    from colorpipe.evaluation import scoring
    from colorpipe.settings import MediaOptions

    if flags.training is not None:
        left = scoring.left_for_training(inputs, flags.protocol)
        places.write("--training", flags.training, "".join(f"{path}\n" for path in left))
        return
    for flag, place in (("--json", flags.json), ("--csv", flags.csv), ("--html", flags.page)):
        places.check(flag, place)
    limits = dynamic.merged(Limits, "eval", {}, given["limits"])
    with _listener(flags.quiet, flags.verbose) as listener:
        evaluation = scoring.evaluate(
            inputs,
            flags.colorizer or [DEFAULT_COLORIZER],
            flags.evaluator,
            flags.protocol,
            baseline=not flags.no_baseline,
            device=flags.device,
            precision=flags.precision,
            host=cast(PluginHost, context.obj),
            media=MediaOptions(**limits.as_dict()),
            images=HTML_PICTURES if flags.html is not None else 0,
            listener=listener,
        )
    _write(evaluation, flags)
    raise typer.Exit(1 if evaluation.failures else 0)


def _write(evaluation: Evaluation, flags: EvaluateFlags) -> None:
    """The table, and the reports that were asked for."""
    from colorpipe.evaluation import export

    if flags.json != "-":
        _show(evaluation, flags.quiet)
    if flags.json is not None:
        places.write("--json", flags.json, export.json_text(evaluation))
    if flags.csv is not None:
        places.write("--csv", flags.csv, export.csv_text(evaluation))
    if flags.page is not None:
        from colorpipe.evaluation.report import page

        places.write("--html", flags.page, page(evaluation))


def _show(evaluation: Evaluation, quiet: bool) -> None:
    from rich.text import Text

    from colorpipe.evaluation.table import notes, table

    if not evaluation.pictures:
        console.complain(f"no {evaluation.protocol.unit} could be scored")
        return
    out = console.stdout()
    out.print(table(evaluation, out.width))
    for line in [] if quiet else notes(evaluation, out.width):
        out.print(Text(line, style="dim"))


class _Listener:
    """Progress on stderr: a bar on a terminal, and failures in any case."""

    def __init__(self, out: Console, bars: Progress, quiet: bool, verbose: bool) -> None:
        self._out, self._bars, self._quiet, self._verbose = out, bars, quiet, verbose
        self._bar: TaskID | None = None

    def passed_over(self, passed: Passed) -> None:
        for line in () if self._quiet else passed.told():
            self._say(("note ", "yellow"), line)

    def started(self, steps: int) -> None:
        self._bar = self._bars.add_task("reading", total=steps)

    def opened(self, row: str, recipe: Recipe) -> None:
        if not self._quiet:
            weights = f", weights {recipe.weights}" if recipe.weights else ""
            self._say((f"{row}: device {recipe.device}, precision {recipe.precision}{weights}", "dim"))

    def scored(self, row: str, picture: Path, scored: Scored) -> None:
        if self._bar is not None:
            self._bars.update(self._bar, description=row)
        if self._verbose:
            told = [f"{name} {value:.5g}" for name, value in scored.scores.items()]
            told += [f"{name}: {text}" for name, text in scored.remarks.items()]
            self._say((f"{row} ", "green"), ", ".join([f"{picture} in {scored.seconds:.3g} s", *told]))

    def failed(self, failure: Failure) -> None:
        self._say(("failed ", "bold red"), str(failure))

    def advance(self, steps: int) -> None:
        if self._bar is not None:
            self._bars.advance(self._bar, steps)

    def _say(self, *parts: str | tuple[str, str]) -> None:
        from rich.text import Text

        self._out.print(Text.assemble(*parts))


@contextmanager
def _listener(quiet: bool, verbose: bool) -> Iterator[_Listener]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console.stderr()
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as bars:
        yield _Listener(out, bars, quiet, verbose)
