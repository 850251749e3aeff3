"""``colorpipe run``: photos, folders and films in colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from colorpipe._version import __version__
from colorpipe.cli import console, dynamic, places
from colorpipe.cli.dynamic import Given, Group
from colorpipe.errors import UsageError
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.options import fields
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Recipe, Stage

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Plugin

SUMMARY = "Colorize photos, folders and films."
EPILOG = """[bold]Examples[/bold]

colorpipe run photo.jpg                        into colorized/photo.jpg

colorpipe run photo.jpg -o colour.png

colorpipe run album/ film.mp4 -o out/          folders mirror their tree; what is done is skipped

colorpipe run album/ --preprocessor denoise --T 0.2 --saturation 1.2

colorpipe run film.mp4 --preview 10            what the film will look like, in a minute
"""
METHOD, INPUT_OUTPUT, MACHINE, REPORT = "Method", "Input and output", "Machine", "Reporting"


@dataclass(frozen=True)
class Chosen:
    """One plugin of the call, and what the recipe says of it."""

    cls: type[Plugin]
    before: Stage | None = None


@dataclass(frozen=True)
class Choice:
    """The plugins that a command line, over a recipe, asks for."""

    recipe: Recipe | None
    preprocessors: tuple[Chosen, ...]
    colorizer: Chosen
    decoder: Chosen | None

    @property
    def stages(self) -> list[Chosen]:
        return [*self.preprocessors, self.colorizer, *([self.decoder] if self.decoder else [])]

    @property
    def plugins(self) -> list[type[Plugin]]:
        """Each once."""
        return list(dict.fromkeys(chosen.cls for chosen in self.stages))


def choose(host: PluginHost, words: Sequence[str]) -> Choice:
    """Read only what chooses plugins from a command line.

    Raises:
        UsageError: an unknown plugin, an unreadable recipe, or a decoder where there is nothing to decode.
    """
    recipe = _read_recipe(dynamic.words(words, "--recipe"))
    asked, before = dynamic.words(words, "--colorizer"), recipe.colorizer if recipe else None
    colorizer = host.colorizer(asked[-1] if asked else before.name if before else DEFAULT_COLORIZER)
    asked = dynamic.words(words, "--decoder")
    if asked and not colorizer.yields_distribution:
        raise UsageError(
            f"--decoder {asked[-1]}: {colorizer.name} predicts chroma directly, so there is nothing to decode",
            hint="leave --decoder out, or choose a colorizer that predicts a distribution",
        )
    decoder = None
    if colorizer.yields_distribution:
        earlier = recipe.decoder if recipe else None
        name = asked[-1] if asked else earlier.name if earlier else colorizer.default_decoder
        decoder = _chosen(host.decoder(name), earlier) if name else None
    listed = dynamic.words(words, "--preprocessor")
    if listed or recipe is None:
        preprocessors = [Chosen(host.preprocessor(name)) for name in listed]
    else:
        preprocessors = [Chosen(host.preprocessor(stage.name), stage) for stage in recipe.preprocessors]
    return Choice(recipe, tuple(preprocessors), _chosen(colorizer, before), decoder)


def _chosen(cls: type[Plugin], before: Stage | None) -> Chosen:
    """With what a recipe says, if it is about this plugin."""
    return Chosen(cls, before if before and before.name == cls.name else None)


def add_to(app: typer.Typer, host: PluginHost, words: Sequence[str] | None) -> list[type[Plugin]]:
    """Add the command, with the flags of the plugins that ``words`` choose; None when another command is called.

    Returns:
        The chosen plugins.
    """
    if words is None:
        app.command("run", help=SUMMARY)(dynamic.extend(run, [], choice=None))
        return []

    for file in dynamic.words(words, "--plugin"):
        for row in host.rows:
            if row.error and row.source == str(Path(file)):
                raise UsageError(f"--plugin {file}: {row.error}")
    choice = choose(host, words)
    groups = [dynamic.plugin_group(cls) for cls in choice.plugins]
    groups += [Group("merge", "Colour", MergeOptions), Group("media", "Files", MediaOptions)]
    command = dynamic.extend(run, groups, choice=choice)
    app.command("run", help=f"{SUMMARY}\n\n{_method(choice)}", epilog=EPILOG)(command)
    return choice.plugins


def run(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, films, folders (with all below) or glob patterns", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            rich_help_panel=INPUT_OUTPUT,
            show_default=False,
            help=f"Folder for the results, or a file name for one input \\[default: {DEFAULT_OUTPUT}/]",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", rich_help_panel=INPUT_OUTPUT, help="Do again what is done; replace what is there."),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            rich_help_panel=INPUT_OUTPUT,
            help="Also write before and after, side by side: NAME.compare.jpg, for films NAME.compare.EXT",
        ),
    ] = False,
    preview: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel=INPUT_OUTPUT,
            show_default=False,
            help="Of each film only so many seconds, evenly spread over it, without sound, as NAME.preview.EXT. "
            "Photos are done as always.",
        ),
    ] = None,
    hints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=INPUT_OUTPUT,
            show_default=False,
            help="Colour hints for one photo, or for the first frame of one film: a PNG, transparent where nothing is "
            "painted; a film's are carried to the end of the shot. \\[default: NAME.hints.png beside it; beside a "
            "film also NAME.000123.hints.png, by frame]",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=INPUT_OUTPUT,
            show_default=False,
            help="A colour picture to take colour from, for methods that do; NAME.000123.reference.png beside a film "
            "takes its place from that frame to the end of the shot",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=METHOD, show_default=False, help="Repeat a recipe; other flags change it."
        ),
    ] = None,
    save_recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=METHOD, show_default=False, help="Write what this call asks for as a recipe"
        ),
    ] = None,
    colorizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            show_default=False,
            help=f"The method. \\[default: {DEFAULT_COLORIZER}]",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            rich_help_panel=METHOD,
            show_default=False,
            help="Its weights, by name (see `colorpipe models`) or from a file",
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            show_default=False,
            help="How a predicted distribution becomes one colour",
        ),
    ] = None,
    preprocessor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            show_default=False,
            help="A step before the network. Repeatable, in order.",
        ),
    ] = None,
    plugin: console.PluginFiles = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=MACHINE,
            show_default=False,
            help="auto, cpu, cuda, cuda:N or mps, each of them one device; cuda:0,cuda:1 share the work. "
            "\\[default: auto]",
        ),
    ] = None,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", rich_help_panel=MACHINE, help="Fail rather than run on the CPU")
    ] = False,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None,
        typer.Option(rich_help_panel=MACHINE, show_default=False, help="Arithmetic of the network. \\[default: auto]"),
    ] = None,
    batch: Annotated[
        str, typer.Option(metavar="auto|N", rich_help_panel=MACHINE, help="Pictures a network call")
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=MACHINE,
            show_default=False,
            help="Inputs in work at once. \\[default: by processors]",
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", rich_help_panel=REPORT, help="Stop at the first input that fails")
    ] = False,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            rich_help_panel=REPORT,
            show_default=False,
            help="Write one JSON object an input as it ends; - is stdout.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=REPORT, help="Say only what failed")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=REPORT, help="Say a line for each input")
    ] = False,
    *,
    given: Given,
    choice: Choice,
) -> None:
    """Colorize photos, folders and films."""
    from colorpipe.batch.request import RunRequest
    from colorpipe.batch.runner import run as run_all
    from colorpipe.cli.progress import Reporter, json_lines

    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    if preview is not None and not 0 < preview < math.inf:
        raise UsageError(f"--preview takes a number of seconds above 0, not {preview:g}")
    host = cast(PluginHost, context.obj)
    asked = _recipe(choice, host, given, weights, device, precision)
    if save_recipe is not None:
        places.write("--save-recipe", save_recipe, asked.to_json() + "\n")
    if not quiet:
        _warn(host, choice)
    request = RunRequest(
        inputs=inputs,
        recipe=asked,
        output=output,
        hints=hints,
        reference=reference,
        require_gpu=require_gpu,
        batch=_batch(batch),
        jobs=jobs,
        overwrite=overwrite,
        fail_fast=fail_fast,
        compare=compare,
        preview=preview,
    )
    with json_lines(json) as lines, Reporter(lines, quiet=quiet, verbose=verbose) as reporter:
        outcomes = run_all(request, host, reporter)
        reporter.summary(outcomes, str(output or DEFAULT_OUTPUT))
    failed = any(outcome.status == "failed" for outcome in outcomes)
    raise typer.Exit(1 if failed else 0)


def _recipe(
    choice: Choice, host: PluginHost, given: Given, weights: str | None, device: str | None, precision: str | None
) -> Recipe:
    """The recipe that was given, or an empty one, with the flags over it.

    Raises:
        OptionError: a value in the recipe is not acceptable.
    """

    def stage(chosen: Chosen) -> Stage:
        cls, before = chosen.cls, chosen.before.options if chosen.before else {}
        options = dynamic.merged(cls.Options, cls.name, before, given[dynamic.group_key(cls)])
        return Stage(cls.name, options.as_dict(), host.version(cls))

    old = choice.recipe or Recipe(Stage(""))
    settings: dict[str, object] = {}
    unknown = dict(old.settings)
    for key, cls in (("merge", MergeOptions), ("media", MediaOptions)):
        known = {field.name: unknown.pop(field.name) for field in fields(cls) if field.name in unknown}
        settings |= dynamic.merged(cls, "the recipe", known, given[key]).as_dict()
    if unknown:
        raise UsageError(
            f"the recipe has unknown settings: {', '.join(sorted(unknown))}", hint="was it made by a newer version?"
        )
    # Another method's weights are no use to this one.
    kept = old.weights if choice.colorizer.before else None
    return Recipe(
        colorizer=stage(choice.colorizer),
        decoder=stage(choice.decoder) if choice.decoder else None,
        preprocessors=tuple(stage(chosen) for chosen in choice.preprocessors),
        weights=weights or kept,
        settings=settings,
        device=device or old.device,
        precision=precision or old.precision,
        seed=old.seed,
        version=__version__,
    )


def _warn(host: PluginHost, choice: Choice) -> None:
    """Plugins that could not be loaded, and those that are not the recipe's version."""
    for row in host.rows:
        if row.error:
            console.warn(f"{row.kind} {row.name} ({row.source}): {row.error}")
    for chosen in choice.stages:
        made, now = chosen.before.version if chosen.before else "", host.version(chosen.cls)
        if made and made != now:
            console.warn(
                f"the recipe was made with {chosen.cls.name} {made}, here is {now or 'a file without a version'}"
            )


def _method(choice: Choice) -> str:
    """What the help shows flags for."""
    names = " -> ".join(chosen.cls.name for chosen in choice.stages)
    return f"Shown with the flags of [bold]{names}[/bold]; add --colorizer, --decoder or --preprocessor to see others'."


def _read_recipe(files: Sequence[str]) -> Recipe | None:
    if not files:
        return None
    try:
        return Recipe.from_json(Path(files[-1]).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--recipe {files[-1]}: {error.strerror}") from None
    except ValueError as error:  # also of text that is not UTF-8
        raise UsageError(f"--recipe {files[-1]}: {error}", hint="`--save-recipe FILE` writes one") from None


def _batch(text: str) -> int | None:
    """``auto`` is None."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch takes auto or a whole number from 1, not {text!r}")
    return int(text)
