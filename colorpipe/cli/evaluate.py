"""``colorpipe eval``: methods compared on colour pictures or films, under a named protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from colorpipe.cli import console, dynamic, places
from colorpipe.cli.dynamic import Given, Group
from colorpipe.errors import UsageError
from colorpipe.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import Limits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from colorpipe.evaluation.records import Failure, Scored
    from colorpipe.evaluation.results import Evaluation
    from colorpipe.types import Recipe

SUMMARY = "Compare methods on colour pictures or films: each is made grey, colorized and scored."
EPILOG = f"""[bold]Examples[/bold]

colorpipe eval photos/ --colorizer zhang --colorizer zhang:T=0.09,saturation=1.2

colorpipe eval photos/ --protocol left-right-120.v1 --json scores.json --html report/

colorpipe eval photos/ --colorizer zhang:weights=mine.safetensors,preprocessor=denoise

colorpipe eval clip.mp4 --colorizer zhang --colorizer zhang:temporal=none

[bold]SPEC[/bold] is NAME, or NAME:KEY=VALUE,KEY=VALUE, where a KEY is an option that `colorpipe plugins show NAME` \
lists, one of its decoder, or one of merging (saturation, upsample, keep, gamut, temporal). A colorizer also takes \
weights=NAME|FILE, decoder=NAME, preprocessor=NAME+NAME and reference=FILE.

[bold]Protocols[/bold]

{"".join(f"{protocol.name}: {protocol.summary}{chr(10) * 2}" for protocol in PROTOCOLS.values())}
Exit status: 0 all was scored, 1 something failed and is named, 2 the call was wrong, 130 interrupted.
"""
METHOD, REPORT, MACHINE = "Method and measure", "Report", "Machine"
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
            help="Colour pictures or films, folders (with all below) or glob patterns",
            show_default=False,
        ),
    ],
    colorizer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            rich_help_panel=METHOD,
            show_default=False,
            help=f"A method, with options. Repeatable. \\[default: {DEFAULT_COLORIZER}]",
        ),
    ] = None,
    evaluator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            rich_help_panel=METHOD,
            show_default=False,
            help="A measure, with options. Repeatable. \\[default: psnr, ssim, de00, colourfulness; of films "
            "psnr, de00, colourfulness, cdc, flicker, warp-error]",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            show_default=False,
            help=f"What exactly is measured; see below. \\[default: {DEFAULT_PROTOCOL}, of films alone video.v1]",
        ),
    ] = None,
    no_baseline: Annotated[
        bool,
        typer.Option("--no-baseline", rich_help_panel=METHOD, help="Leave out what was left grey, and films' truth"),
    ] = False,
    training: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            rich_help_panel=METHOD,
            show_default=False,
            help="Only write which inputs the protocol leaves for training, one a line; - is stdout.",
        ),
    ] = None,
    plugin: console.PluginFiles = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=MACHINE, help="auto, cpu, cuda, cuda:N or mps")
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(rich_help_panel=MACHINE, help="Arithmetic of the networks"),
    ] = "auto",
    json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            rich_help_panel=REPORT,
            show_default=False,
            help="Write everything as JSON; - is stdout, and no table.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=REPORT,
            show_default=False,
            help="Write a line for each picture and method as CSV",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=REPORT,
            show_default=False,
            help="Write DIR/index.html: table, pictures before and after, plots; one file that needs no other",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", rich_help_panel=REPORT, help="Say only the table and what failed")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=REPORT, help="Say a line for each picture and method")
    ] = False,
    *,
    given: Given,
) -> None:
    """Compare methods on colour pictures or films."""
    from colorpipe.evaluation import export, scoring
    from colorpipe.settings import MediaOptions

    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    if training is not None:
        places.write(
            "--training", training, "".join(f"{path}\n" for path in scoring.left_for_training(inputs, protocol))
        )
        return
    for flag, place in (("--json", json), ("--csv", csv), ("--html", html and html / "index.html")):
        places.check(flag, place)
    limits = dynamic.merged(Limits, "eval", {}, given["limits"])
    with _listener(quiet, verbose) as listener:
        evaluation = scoring.evaluate(
            inputs,
            colorizer or [DEFAULT_COLORIZER],
            evaluator,
            protocol,
            baseline=not no_baseline,
            device=device,
            precision=precision,
            host=cast(PluginHost, context.obj),
            media=MediaOptions(**limits.as_dict()),
            images=HTML_PICTURES if html is not None else 0,
            listener=listener,
        )
    if json != "-":
        _show(evaluation, quiet)
    if json is not None:
        places.write("--json", json, export.json_text(evaluation))
    if csv is not None:
        places.write("--csv", csv, export.csv_text(evaluation))
    if html is not None:
        from colorpipe.evaluation.report import page

        places.write("--html", html / "index.html", page(evaluation))
    raise typer.Exit(1 if evaluation.failures else 0)


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
    """What a person sees while it runs, on stderr: a bar on a terminal, and what failed in any case."""

    def __init__(self, out: Console, bars: Progress, quiet: bool, verbose: bool) -> None:
        self._out, self._bars, self._quiet, self._verbose = out, bars, quiet, verbose
        self._bar: TaskID | None = None

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
