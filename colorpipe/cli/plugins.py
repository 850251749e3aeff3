"""``colorpipe plugins``: what is installed, one plugin in full, a new one, and whether one keeps its promises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from colorpipe import options
from colorpipe.cli import console
from colorpipe.errors import UsageError
from colorpipe.plugins.host import PluginHost, PluginRecord, normalised, project_entry_points
from colorpipe.plugins.interfaces import KINDS

if TYPE_CHECKING:
    from rich.table import Table

    from colorpipe.plugins.interfaces import Plugin

SUMMARY = "List, show, start and test plugins."
EPILOG = """[bold]Examples[/bold]

colorpipe plugins

colorpipe plugins show zhang

colorpipe plugins new my_method

colorpipe plugins test my_method
"""
_FACTS = {
    "yields_distribution": "a distribution over colours, which a decoder turns into one",
    "takes_hints": "takes colour hints",
    "takes_reference": "takes a colour reference",
    "learns_from_reference": "learns from a colour reference",
    "restores": "changes the result, not only what the network sees",
}
"""The meaning of a plugin's class attribute that is true."""


def add_to(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help=SUMMARY, epilog=EPILOG)
    group.callback(invoke_without_command=True)(_default)
    group.command("list", help="List all plugins, and why one could not be loaded. The default.")(list_plugins)
    group.command("show", help="Show one plugin in full: paper, licence, options, weights.")(show)
    group.command("new", help="Write the project of a new plugin, ready to be installed and changed.")(new)
    group.command("test", help="Run the conformance suite over a plugin; exit 1 if it fails.")(run_checks)
    app.add_typer(group, name="plugins")


def _default(context: typer.Context, plugin: console.PluginFiles = None) -> None:
    if context.invoked_subcommand is None:
        list_plugins(context)


def list_plugins(context: typer.Context, plugin: console.PluginFiles = None) -> None:
    host = cast(PluginHost, context.obj)
    out = console.stdout()
    for kind in [*KINDS, "model", "plugin"]:
        rows = [row for row in host.rows if row.kind == kind]
        if rows:
            out.print(_table(f"{kind}s" if kind in KINDS else f"broken {kind}s", rows))
            out.print()


def _table(title: str, rows: list[PluginRecord]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "summary", "paper", "licence", "from", "status", box=None, pad_edge=False, title=title,
                  title_justify="left", title_style="bold")  # fmt: skip
    for row in sorted(rows, key=lambda row: row.name):
        if row.cls is None:
            table.add_row(Text(row.name, "red"), Text(row.error, "red"), "", "", row.source, Text("broken", "red"))
        else:
            cls = row.cls
            table.add_row(row.name, cls.summary, _short(cls.paper), cls.licence, row.source, Text("ok", "green"))
    return table


def _short(paper: str) -> str:
    """Authors and year of a citation, for a table."""
    for index, word in enumerate(words := paper.split()):
        if word.strip(",.()").isdecimal() and len(word.strip(",.()")) == 4:
            return " ".join(words[: index + 1]).rstrip(",.")
    return paper


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `colorpipe plugins` lists it.", show_default=False)],
    plugin: console.PluginFiles = None,
) -> None:
    from rich.table import Table
    from rich.text import Text

    host = cast(PluginHost, context.obj)
    out = console.stdout()
    for row in find(host, name):
        assert row.cls is not None  # ``find`` gives usable ones
        cls = row.cls
        out.print(Text.assemble((cls.name, "bold"), f"  {cls.kind}: {cls.summary}"))
        facts = Table.grid(padding=(0, 2))
        facts.add_row("paper", cls.paper or "none")
        facts.add_row("licence", cls.licence)
        facts.add_row("from", row.source)
        facts.add_row("class", f"{cls.__module__}.{cls.__qualname__}")
        for attribute, meaning in _FACTS.items():
            if getattr(cls, attribute, False):
                facts.add_row("", meaning)
        if getattr(cls, "default_decoder", None):
            facts.add_row("decoder", getattr(cls, "default_decoder"))  # noqa: B009  only colorizers have it
        out.print(facts)
        _print_options(cls, "Options", cls.Options)
        trained = getattr(cls, "TrainOptions", None)
        if trained is not None:
            _print_options(cls, f"Training: colorpipe train {cls.name}", trained)
        reads = cls.kind in ("colorizer", "evaluator")
        weights = [model for model in host.models.values() if reads and model.colorizer == cls.name]
        if weights:
            from colorpipe.weights.store import ModelStore

            store = ModelStore(host.models)
            table = Table("weights", "where", "licence", "what", "trained on", box=None, pad_edge=False)
            for model in weights:
                default = " (default)" if model.name == getattr(cls, "default_weights", None) else ""
                table.add_row(
                    model.name + default, store.status(model.name), model.licence, model.summary, model.trained_on
                )
            out.print()
            out.print(table)


def _print_options(cls: type[Plugin], title: str, declared: type[options.Options]) -> None:
    from rich.table import Table

    from colorpipe.cli.dynamic import shown

    fields = options.fields(declared)
    out = console.stdout()
    out.print()
    if not fields:
        out.print(f"{title}: none")
        return
    table = Table("flag", "takes", "default", "meaning", box=None, pad_edge=False, title=title, title_justify="left")
    for field in fields:
        default = "-" if field.default is None else shown(field.default)
        table.add_row(f"--{field.flag}", field.range or field.type.__name__, default, field.help)
    out.print(table)


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case words joined by _ or -.", show_default=False)],
    kind: Annotated[
        Literal["colorizer", "decoder", "preprocessor", "evaluator"], typer.Option(help="What it will be.")
    ] = "colorizer",
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where its folder is made.")] = Path(),
) -> None:
    from colorpipe.plugins import scaffold

    host = cast(PluginHost, context.obj)
    taken = host.classes(kind).get(normalised(name))
    if taken is not None:
        raise UsageError(f"there is a {kind} {taken.name} already ({taken.__module__})", hint="choose another name")
    folder = into / name
    for file in scaffold.write(name, kind, folder):
        console.say(("wrote ", "green"), str(file))
    console.say(f"next: colorpipe plugins test {name}    then: pip install {_typed(folder)}")


def _typed(folder: Path) -> str:
    """The folder as pip takes it for a folder, not for a name."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def run_checks(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="An installed plugin, or one whose project lies here.", show_default=False),
    ],
    plugin: console.PluginFiles = None,
) -> None:
    from colorpipe import testing

    host = cast(PluginHost, context.obj)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    styles = {"passed": "green", "failed": "bold red", "skipped": "yellow"}
    for row in find(host, name, Path.cwd()):
        assert row.cls is not None  # ``find`` gives usable ones
        console.say((f"{row.cls.kind} {row.cls.name}", "bold"), f" ({row.source})")
        for result in testing.check(row.cls, host):
            counts[result.status] += 1
            why = f": {result.reason}" if result.reason else ""
            console.say((f"  {result.status} ", styles[result.status]), f"{result.name}{why}")
    console.say((", ".join(f"{count} {status}" for status, count in counts.items() if count), "bold"))
    raise typer.Exit(1 if counts["failed"] else 0)


def find(host: PluginHost, name: str, around: Path | None = None) -> list[PluginRecord]:
    """The usable plugins of a name: one, unless several kinds share it.

    Args:
        around: A folder; where no such plugin is installed, its project is looked for in it and one below, and loaded.

    Raises:
        UsageError: there is none, or it could not be loaded.
    """
    wanted = normalised(Path(name).name)
    known = len(host.rows)
    for attempt in (1, 2):
        rows = [row for row in host.rows if normalised(row.name) == wanted]
        usable = [row for row in rows if row.cls is not None]
        if usable:
            return usable
        broken = [row for row in rows if row.error]
        if broken:
            raise UsageError(f"{broken[0].name} could not be loaded: {broken[0].error}")
        if around is None or attempt == 2:
            break
        words = wanted.replace("-", "_")
        for folder in (Path(name), around / wanted, around / words, around / f"colorpipe-{wanted}", around):
            entries = project_entry_points(folder)
            if any(normalised(entry) == wanted for entry in entries):
                host.add_project(folder, entries)
                break
    # Plugins from the project's folder or --plugin count even if their name differs from the one asked for.
    given = [row for index, row in enumerate(host.rows) if row.error and (index >= known or Path(row.source).exists())]
    if given:
        told = "; ".join(f"{row.name} of {row.source} could not be loaded: {row.error}" for row in given)
        raise UsageError(f"there is no plugin {name!r}: {told}")
    names = sorted({row.name for row in host.rows if row.cls is not None})
    raise UsageError(f"there is no plugin {name!r}", hint=f"plugins: {', '.join(names)}")
