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
        flag(
            f"A method to compare, with its settings, as NAME:KEY=VALUE, see below; repeatable "
            f"\\[default: {DEFAULT_COLORIZER}]",
            METHOD,
            metavar="SPEC",
        ),
    ] = None
    evaluator: Annotated[
        list[str] | None,
        flag(
            "What is measured: psnr and ssim, how near to the true picture (more is better); de00, how far off its "
            "colours are, as the eye sees it (less is better); colourfulness, how strong they are; of films also cdc, "
            "flicker and warp-error, how unsteady they are; `colorpipe plugins` lists all; repeatable "
            "\\[default: psnr, ssim, de00, colourfulness; for films psnr, de00, colourfulness, cdc, flicker, "
            "warp-error]",
            METHOD,
            metavar="SPEC",
        ),
    ] = None
    protocol: Annotated[
        str | None,
        flag(
            "The rules of the comparison, so that scores of one name can be set side by side: at which size, made grey "
            f"how; see below \\[default: {DEFAULT_PROTOCOL}, for films alone video.v1]",
            METHOD,
            metavar="NAME",
        ),
    ] = None
    no_baseline: Annotated[
        bool,
        flag(
            "Leave out the two rows to compare with: the pictures left grey, and the true ones", METHOD, "--no-baseline"
        ),
    ] = False
    training: Annotated[
        str | None,
        flag(
            "Score nothing: write which inputs are for a method to learn from, by the rules of the comparison, a line "
            "each; - writes to the screen",
            METHOD,
            metavar="FILE|-",
        ),
    ] = None
    plugin: console.PluginFiles = None
    device: Annotated[
        str,
        flag(
            "What computes: cpu is the processor, cuda an NVIDIA card (cuda:1 the second), mps Apple's; auto takes the "
            "fastest",
            MACHINE,
            metavar="NAME",
            show_default=True,
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        flag(
            "How finely is computed: fp32 exactly, bf16 and fp16 rounded, which is faster on some machines and looks "
            "the same",
            MACHINE,
            show_default=True,
        ),
    ] = "auto"
    json: Annotated[
        str | None,
        flag(
            "Write everything for programs (JSON); - writes it to the screen, without the table",
            REPORT,
            metavar="FILE|-",
        ),
    ] = None
    csv: Annotated[
        Path | None,
        flag(
            "Write the scores as a table for spreadsheets (CSV), a line for each picture and method",
            REPORT,
            metavar="FILE",
        ),
    ] = None
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
