"""The flags of ``colorpipe eval``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from colorpipe.cli import console
from colorpipe.cli.console import flag
from colorpipe.evaluation.protocols import DEFAULT_PROTOCOL
from colorpipe.plugins.host import DEFAULT_COLORIZER

METHOD, REPORT, MACHINE = "Method and measure", "Report", "Machine"


@dataclass(frozen=True)
class EvaluateFlags:
    """The flags as given, checked.

    Raises:
        UsageError: two flags exclude each other.
    """

    colorizer: Annotated[
        list[str] | None,
        flag(f"A method, with options; repeatable \\[default: {DEFAULT_COLORIZER}]", METHOD, metavar="SPEC"),
    ] = None
    evaluator: Annotated[
        list[str] | None,
        flag(
            "A measure, with options; repeatable \\[default: psnr, ssim, de00, colourfulness; for films "
            "psnr, de00, colourfulness, cdc, flicker, warp-error]",
            METHOD,
            metavar="SPEC",
        ),
    ] = None
    protocol: Annotated[
        str | None,
        flag(
            f"What exactly is measured; see below \\[default: {DEFAULT_PROTOCOL}, for films alone video.v1]",
            METHOD,
            metavar="NAME",
        ),
    ] = None
    no_baseline: Annotated[bool, flag("Omit the grey and ground-truth baseline rows", METHOD, "--no-baseline")] = False
    training: Annotated[
        str | None,
        flag(
            "Only write which inputs the protocol leaves for training, one per line; - is stdout",
            METHOD,
            metavar="FILE|-",
        ),
    ] = None
    plugin: console.PluginFiles = None
    device: Annotated[str, flag("auto, cpu, cuda, cuda:N or mps", MACHINE, metavar="NAME", show_default=True)] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], flag("Numeric precision of the networks", MACHINE, show_default=True)
    ] = "auto"
    json: Annotated[
        str | None, flag("Write everything as JSON; - is stdout, without a table", REPORT, metavar="FILE|-")
    ] = None
    csv: Annotated[Path | None, flag("Write a line for each picture and method as CSV", REPORT, metavar="FILE")] = None
    html: Annotated[
        Path | None,
        flag(
            "Write DIR/index.html: table, pictures before and after, plots; one file that needs no other",
            REPORT,
            metavar="DIR",
        ),
    ] = None
    quiet: Annotated[bool, flag("Print only the table and failures", REPORT, "--quiet", "-q")] = False
    verbose: Annotated[bool, flag("Print a line for each picture and method", REPORT, "--verbose", "-v")] = False

    def __post_init__(self) -> None:
        console.check_quiet(self.quiet, self.verbose)

    @property
    def page(self) -> Path | None:
        """The path of the HTML report."""
        return None if self.html is None else self.html / "index.html"
