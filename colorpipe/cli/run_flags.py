"""The flags that ``colorpipe run`` has whatever the method; those of plugins and files stand beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from colorpipe.batch.shard import Shard
from colorpipe.cli import console
from colorpipe.cli.console import flag
from colorpipe.errors import UsageError
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.plugins.host import DEFAULT_COLORIZER

SHORT = frozenset(
    {
        "output", "overwrite", "dry_run", "preview", "compare", "colorizer", "weights", "device", "help_all",
        "merge__saturation",
    }
)  # fmt: skip
"""Parameters that ``--help`` shows: what most need. ``--help-all`` shows all, and a plugin that is named its own."""
METHOD, INPUT_OUTPUT, MACHINE, REPORT = "Method", "Input and output", "Machine", "Reporting"


@dataclass(frozen=True)
class RunFlags:
    """The flags as given, checked.

    Raises:
        UsageError: a value cannot be meant, or two flags exclude each other.
    """

    output: Annotated[
        Path | None,
        flag(
            f"Folder for the results, or a file name for one input \\[default: {DEFAULT_OUTPUT}/]",
            INPUT_OUTPUT,
            "--output",
            "-o",
            metavar="OUT",
        ),
    ] = None
    overwrite: Annotated[
        bool, flag("Colorize again what is done, and replace existing results", INPUT_OUTPUT, "--overwrite")
    ] = False
    dry_run: Annotated[
        bool,
        flag(
            "Make nothing: say what would be made, skipped, replaced and refused, how long it would take and how much "
            "room",
            INPUT_OUTPUT,
            "--dry-run",
        ),
    ] = False
    only: Annotated[
        Path | None,
        flag(
            "Work only on the inputs that a list names: one path a line, or what `colorpipe review` exports",
            INPUT_OUTPUT,
            metavar="LIST",
        ),
    ] = None
    only_grey: Annotated[
        bool, flag("Pass over pictures that are in colour already; sepia counts as grey", INPUT_OUTPUT, "--only-grey")
    ] = False
    keep_dates: Annotated[
        bool, flag("Give each result the date of its original, as file managers show it", INPUT_OUTPUT, "--keep-dates")
    ] = False
    compare: Annotated[
        bool,
        flag(
            "Also write before and after side by side, as NAME.compare.jpg or, for a film, NAME.compare.EXT",
            INPUT_OUTPUT,
            "--compare",
        ),
    ] = False
    preview: Annotated[
        float | None,
        flag(
            "Colorize only so many seconds of each film, spread evenly over it, without sound, as NAME.preview.EXT; "
            "photos as always",
            INPUT_OUTPUT,
            metavar="SECONDS",
        ),
    ] = None
    cluster: Annotated[
        str | None,
        flag(
            "Work on many machines through Ray: a running cluster's address, or auto for the one that this machine is "
            "of, else several processes here",
            MACHINE,
            metavar="auto|ADDRESS",
        ),
    ] = None
    sidecar: Annotated[
        bool,
        flag(
            "Also write NAME.EXT.colorpipe.json beside each result: how it was made (the settings and what the method "
            "has learned, its weights), checksums, and the label",
            INPUT_OUTPUT,
            "--sidecar",
        ),
    ] = False
    bag: Annotated[
        bool,
        flag("Make OUT an archive's bag (BagIt 1.0): results in OUT/data, manifests beside it", INPUT_OUTPUT, "--bag"),
    ] = False
    shard: Annotated[
        str | None,
        flag(
            "Take only the I-th of N parts of the inputs, chosen by a hash of each path: for N machines. I counts from "
            "1 or from 0: 0/N is N/N",
            MACHINE,
            metavar="I/N",
        ),
    ] = None
    hints: Annotated[
        Path | None,
        flag(
            "Colours that you painted for one photo or film: a PNG, transparent where nothing is painted, or a JSON "
            "file of strokes, NAME.hints.json; in a film they follow the motion to the end of the shot \\[default: "
            "NAME.hints.png beside it; beside a film also NAME.000123.hints.png, by frame]",
            INPUT_OUTPUT,
            metavar="FILE",
        ),
    ] = None
    reference: Annotated[
        Path | None,
        flag(
            "A colour picture to take colour from, for methods that use one; NAME.000123.reference.png beside a film "
            "replaces it from that frame to the end of the shot",
            INPUT_OUTPUT,
            metavar="FILE",
        ),
    ] = None
    recipe: Annotated[
        Path | None,
        flag("Repeat the settings that --save-recipe wrote; other flags change them", METHOD, metavar="FILE"),
    ] = None
    save_recipe: Annotated[
        Path | None,
        flag("Write all settings of this call (its recipe) to FILE, to repeat them later", METHOD, metavar="FILE"),
    ] = None
    colorizer: Annotated[
        str | None,
        flag(
            f"The method that finds the colours; `colorpipe plugins` lists all \\[default: {DEFAULT_COLORIZER}]",
            METHOD,
            metavar="NAME",
        ),
    ] = None
    weights: Annotated[
        str | None,
        flag(
            "What the method has learned (its weights), by name (`colorpipe models` lists them) or from a file",
            METHOD,
            metavar="NAME|FILE",
        ),
    ] = None
    decoder: Annotated[
        str | None,
        flag(
            "How one colour is chosen, for methods that find several possible at each place (a distribution)",
            METHOD,
            metavar="NAME",
        ),
    ] = None
    preprocessor: Annotated[
        list[str] | None,
        flag(
            "A step that prepares the picture before it is colorized: denoise, autocontrast ...; repeatable, in order",
            METHOD,
            metavar="NAME",
        ),
    ] = None
    plugin: console.PluginFiles = None
    device: Annotated[
        str | None,
        flag(
            "What computes: cpu is the processor, cuda an NVIDIA card (cuda:1 the second, cuda:0,cuda:1 both), mps "
            "Apple's; auto takes the fastest \\[default: auto]",
            MACHINE,
            metavar="NAME",
        ),
    ] = None
    require_gpu: Annotated[
        bool, flag("Stop where there is no graphics card, rather than use the processor", MACHINE, "--require-gpu")
    ] = False
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"] | None,
        flag(
            "How finely is computed: fp32 exactly, bf16 and fp16 rounded, which is faster on some machines and looks "
            "the same; int8 in whole numbers, tried out on the first inputs, for the engine openvino \\[default: auto]",
            MACHINE,
        ),
    ] = None
    int8_limit: Annotated[
        float | None,
        flag(
            "Refuse int8 where its colours differ more than this from exact ones, mean dE2000 \\[default: 1]",
            MACHINE,
            "--int8-limit",
            metavar="NUMBER",
        ),
    ] = None
    engine: Annotated[
        Literal["auto", "torch", "openvino"] | None,
        flag(
            "What computes the network on a CPU; auto takes openvino, where it is installed and faster "
            "\\[default: auto]",
            MACHINE,
        ),
    ] = None
    batch: Annotated[
        str,
        flag(
            "Pictures that are coloured in one go; more need more memory", MACHINE, metavar="auto|N", show_default=True
        ),
    ] = "auto"
    jobs: Annotated[
        int | None, flag("Files in work at the same time \\[default: by processors]", MACHINE, metavar="N", min=1)
    ] = None
    fail_fast: Annotated[bool, flag("Stop at the first input that fails", REPORT, "--fail-fast")] = False
    json: Annotated[
        str | None,
        flag(
            "Write what became of each input, for programs (JSON, a line each); - writes to the screen",
            REPORT,
            metavar="FILE|-",
        ),
    ] = None
    report: Annotated[
        Path | None,
        flag("Write DIR/index.html as the run goes: before and after of each result", REPORT, metavar="DIR"),
    ] = None
    help_all: Annotated[bool, flag("Show every flag and exit", REPORT, "--help-all")] = False
    quiet: Annotated[bool, flag("Print only failures", REPORT, "--quiet", "-q")] = False
    verbose: Annotated[bool, flag("Print a line for each input", REPORT, "--verbose", "-v")] = False

    def __post_init__(self) -> None:
        console.check_quiet(self.quiet, self.verbose)
        if self.preview is not None and not 0 < self.preview < math.inf:
            raise UsageError(f"--preview takes a number of seconds above 0, not {self.preview:g}")
        _ = self.part
        if self.batch != "auto" and not (self.batch.isdecimal() and int(self.batch) >= 1):
            raise UsageError(f"--batch takes auto or a whole number from 1, not {self.batch!r}")

    @property
    def part(self) -> Shard | None:
        """The shard that is asked for."""
        return None if self.shard is None else Shard.parse(self.shard)

    @property
    def pictures(self) -> int | None:
        """Pictures a network call; None for ``auto``."""
        return None if self.batch == "auto" else int(self.batch)
