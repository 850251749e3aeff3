"""``colorpipe run``: photos, folders and films in colour."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

import typer
from typer.models import OptionInfo

from colorpipe._version import __version__
from colorpipe.cli import console, dynamic, places
from colorpipe.cli.dynamic import Given, Group
from colorpipe.cli.run_flags import SHORT, RunFlags
from colorpipe.errors import UsageError
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.options import fields
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.settings import INT8_LIMIT, MediaOptions, MergeOptions
from colorpipe.types import Recipe, Stage

if TYPE_CHECKING:
    from colorpipe.batch.request import Listener, RunRequest
    from colorpipe.cli.progress import Reporter
    from colorpipe.plugins.interfaces import Plugin

SUMMARY = "Colorize photos, folders and films."
EPILOG = """[bold]Examples[/bold]

colorpipe run photo.jpg                        into colorized/photo.jpg

colorpipe run photo.jpg -o colour.png

colorpipe run album/ film.mp4 -o out/          folders mirror their tree; what is done is skipped

colorpipe run album/ --saturation 1.2          stronger colours

colorpipe run album/ --preprocessor denoise    without the grain

colorpipe run film.mp4 --preview 10            what the film will look like, in a minute
"""
PLUGIN_KINDS = ("colorizer", "decoder", "preprocessor")


@dataclass(frozen=True)
class Chosen:
    """One plugin of the call, and the recipe's values for it."""

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
    """The plugin, with its part of a recipe if the recipe is about this plugin."""
    return Chosen(cls, before if before and before.name == cls.name else None)


def add_to(app: typer.Typer, host: PluginHost, words: Sequence[str] | None) -> list[type[Plugin]]:
    """Add the command, with the flags of the plugins that ``words`` choose; None when another command is called.

    Returns:
        The chosen plugins.
    """
    if words is None:
        app.command("run", help=SUMMARY)(dynamic.extend(run, [], choice=None))
        return []

    choice, groups = chosen(host, words)
    command = dynamic.extend(run, groups, choice=choice)
    hide(command, words, SHORT)
    app.command("run", help=f"{SUMMARY}\n\n{method_line(choice)}", epilog=EPILOG)(command)
    return choice.plugins


def chosen(host: PluginHost, words: Sequence[str]) -> tuple[Choice, list[Group]]:
    """The plugins of a command line, and the groups of flags that belong to them, to merging and to files.

    Raises:
        UsageError: as ``choose``, or a plugin that was named as a file could not be loaded.
    """
    for file in dynamic.words(words, "--plugin"):
        for row in host.rows:
            if row.error and row.source == str(Path(file)):
                raise UsageError(f"--plugin {file}: {row.error}")
    choice = choose(host, words)
    groups = [dynamic.plugin_group(cls) for cls in choice.plugins]
    return choice, [*groups, Group("merge", "Colour", MergeOptions), Group("media", "Files", MediaOptions)]


def hide(command: Callable[..., Any], words: Sequence[str], short_list: Collection[str]) -> None:
    """Leave in ``--help`` what most need, and the flags of plugins that were named; ``--help-all`` shows all."""
    short = not {"--help", "-h"}.isdisjoint(words) and "--help-all" not in words
    named = any(dynamic.words(words, f"--{kind}") for kind in PLUGIN_KINDS)
    for parameter in inspect.signature(command).parameters.values():
        owner, _, option = parameter.name.partition("_")
        shown = parameter.name in short_list or (named and owner in PLUGIN_KINDS and bool(option))
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(info, OptionInfo):  # the command's own are made once: each call sets them anew
                info.hidden = short and not shown


def run(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, films, folders (with all below), or names with * and ?",
            show_default=False,
        ),
    ],
    flags: RunFlags,
    *,
    given: Given,
    choice: Choice,
) -> None:
    """Colorize photos, folders and films."""
    from colorpipe.batch.runner import run as run_all
    from colorpipe.cli.progress import Reporter, json_lines

    host = cast(PluginHost, context.obj)
    asked = recipe_of(choice, host, given, flags)
    _check_places(flags)
    if not flags.quiet:
        warn(host, choice)
    request = _request(inputs, asked, flags)
    if flags.dry_run:
        from colorpipe.cli import dry_run

        raise typer.Exit(dry_run.tell(request, host, verbose=flags.verbose))
    with (
        json_lines(flags.json) as lines,
        Reporter(lines, quiet=flags.quiet, verbose=flags.verbose) as reporter,
        _reported(flags.report, reporter) as listener,
    ):
        run_all(request, host, listener)
        reporter.summary(str(flags.output or DEFAULT_OUTPUT))
    raise typer.Exit(1 if reporter.counts["failed"] else 0)


def _request(inputs: list[str], recipe: Recipe, flags: RunFlags) -> RunRequest:
    """What the runner is asked for."""
    from colorpipe.batch.request import RunRequest

    saved = flags.save_recipe
    return RunRequest(
        inputs=inputs,
        recipe=recipe,
        output=flags.output,
        hints=flags.hints,
        reference=flags.reference,
        require_gpu=flags.require_gpu,
        batch=flags.pictures,
        jobs=flags.jobs,
        overwrite=flags.overwrite,
        fail_fast=flags.fail_fast,
        compare=flags.compare,
        preview=flags.preview,
        only=flags.only,
        int8_limit=INT8_LIMIT if flags.int8_limit is None else flags.int8_limit,
        only_grey=flags.only_grey,
        keep_dates=flags.keep_dates,
        cluster=flags.cluster,
        sidecar=flags.sidecar,
        bag=flags.bag,
        shard=flags.part,
        forget=True,
        save_recipe=None if saved is None else functools.partial(places.write, "--save-recipe", saved),
    )


def _check_places(flags: RunFlags) -> None:
    """Look, before the start, whether what the run leaves besides results can be written."""
    places.check("--save-recipe", flags.save_recipe)
    if flags.report is not None and not flags.dry_run:
        places.check("--report", flags.report / "index.html")


def _reported(folder: Path | None, reporter: Reporter) -> AbstractContextManager[Listener]:
    """The listener of a run, with a report where one is asked for."""
    if folder is None:
        return nullcontext(reporter)
    from colorpipe.review.report import RunReport

    return RunReport(folder / "index.html", reporter)


class MethodFlags(Protocol):
    """The flags that a recipe takes up besides those of plugins."""

    @property
    def weights(self) -> str | None: ...
    @property
    def device(self) -> str | None: ...
    @property
    def precision(self) -> str | None: ...
    @property
    def engine(self) -> str | None: ...
    @property
    def reference(self) -> Path | None: ...


def recipe_of(choice: Choice, host: PluginHost, given: Given, flags: MethodFlags) -> Recipe:
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
        weights=flags.weights or kept,
        settings=settings,
        device=flags.device or old.device,
        precision=flags.precision or old.precision,
        engine=flags.engine or old.engine,
        seed=old.seed,
        version=__version__,
        **_pins(old, choice, flags),
    )


def _pins(old: Recipe, choice: Choice, flags: MethodFlags) -> dict[str, Any]:
    """The values that a given recipe fixes, except those that flags change."""
    if not (old.in_effect and choice.colorizer.before):
        return {}
    changed = {"precision"} if flags.precision else set()
    if flags.precision or flags.engine:  # the engine was chosen for that precision
        changed |= {"engine", "int8"} | ({"precision"} if flags.engine else set())
    in_effect = {name: value for name, value in old.in_effect.items() if name not in changed}
    return {
        "in_effect": in_effect,
        "weights_sha256": None if flags.weights else old.weights_sha256,
        "reference_sha256": None if flags.reference else old.reference_sha256,
    }


def warn(host: PluginHost, choice: Choice) -> None:
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


def method_line(choice: Choice) -> str:
    """The help's line that names the chosen plugins."""
    names = " -> ".join(chosen.cls.name for chosen in choice.stages)
    return (
        f"Method: [bold]{names}[/bold] ({choice.colorizer.cls.summary}). Name a --colorizer, --decoder or "
        "--preprocessor to see its flags; --help-all shows all that there are."
    )


def _read_recipe(files: Sequence[str]) -> Recipe | None:
    if not files:
        return None
    try:
        return Recipe.from_json(Path(files[-1]).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--recipe {files[-1]}: {error.strerror}") from None
    except ValueError as error:  # also of text that is not UTF-8
        raise UsageError(f"--recipe {files[-1]}: {error}", hint="`--save-recipe FILE` writes one") from None
