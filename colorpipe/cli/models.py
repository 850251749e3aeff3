"""``colorpipe models``: the registered weights; downloading, importing and checking them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import urlsplit

import typer

from colorpipe.cli import console
from colorpipe.plugins.host import PluginHost

if TYPE_CHECKING:
    from rich.progress import TaskID

    from colorpipe.weights.registry import Model
    from colorpipe.weights.store import ModelStore

LARGE = 100_000_000
"""Bytes from which a download is asked about first."""
SUMMARY = "List, download, import and check weights."
EPILOG = """[bold]Examples[/bold]

colorpipe models

colorpipe models pull eccv16

colorpipe models pull ddcolor-tiny --yes

colorpipe models import eccv16 ~/Downloads/colorization_release_v2-9b330a0b.pth
"""


def add_to(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help=SUMMARY, epilog=EPILOG)
    group.callback(invoke_without_command=True)(_default)
    group.command("list", help="List the weights that plugins register, and where they are. The default.")(list_models)
    group.command("pull", help="Download weights into the cache.")(pull)
    group.command("import", help="Copy a file that is already here into the cache, if it is the right one.")(
        import_file
    )
    group.command("verify", help="Check every file on this machine against its SHA-256; exit 1 if one is wrong.")(
        verify
    )
    app.add_typer(group, name="models")


def _default(context: typer.Context, plugin: console.PluginFiles = None) -> None:
    if context.invoked_subcommand is None:
        list_models(context)


def list_models(context: typer.Context, plugin: console.PluginFiles = None) -> None:
    from rich.table import Table

    from colorpipe.weights.store import ModelStore

    host = cast(PluginHost, context.obj)
    store = ModelStore(host.models)
    table = Table("weights", "for", "where", "MB", "licence", "what", box=None, pad_edge=False)
    for model in sorted(store.models.values(), key=lambda model: (model.colorizer, model.name)):
        status = store.status(model.name)
        megabytes = f"{model.size / 1e6:.1f}"
        table.add_row(model.name, model.colorizer, status, megabytes, model.licence, model.summary)
    console.stdout().print(table)
    if any(store.status(name) == "absent" for name in store.models):
        console.say(("absent: `colorpipe models pull NAME` downloads it", "dim"))
    console.say((f"cache: {store.cache}", "dim"))


def pull(
    context: typer.Context,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="As `colorpipe models` lists them.", show_default=False)
    ],
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help=f"Do not ask before a download of more than {LARGE // 1_000_000} MB."),
    ] = False,
    plugin: console.PluginFiles = None,
) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from colorpipe.weights.store import ModelStore

    store = ModelStore(cast(PluginHost, context.obj).models)
    models = [store[name] for name in names]  # all are looked up before the first is downloaded
    wanted = [model for model in models if _agreed(store, model, yes)]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console.stderr(), transient=True, disable=not sys.stderr.isatty()) as progress:
        for model in wanted:
            bar = progress.add_task(model.name, total=None)

            def show(done: int, total: int, bar: TaskID = bar) -> None:
                progress.update(bar, completed=done, total=total or None)

            path = store.pull(model.name, show)
            progress.remove_task(bar)
            progress.console.print(f"{model.name}: {path} ({model.licence})")
    if len(wanted) < len(models):
        raise typer.Exit(1)


def _agreed(store: ModelStore, model: Model, yes: bool) -> bool:
    """Describe a large download, and ask for confirmation if somebody is there to answer."""
    if store.status(model.name) != "absent" or model.size < LARGE or not model.url:
        return True
    host, begun = urlsplit(model.url).hostname, store.begun(model.name)
    there = f", {begun / 1e6:.1f} MB of it are here" if begun else ""
    console.say(f"{model.name}: {model.size / 1e6:.1f} MB from {host}{there}; licence {model.licence}")
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    if typer.confirm("Download it?", default=True, err=True):
        return True
    console.say(f"{model.name}: left out")
    return False


def import_file(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `colorpipe models` lists it.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The weights as published; of several files their folder.", show_default=False
        ),
    ],
    plugin: console.PluginFiles = None,
) -> None:
    from colorpipe.weights.store import ModelStore

    path = ModelStore(cast(PluginHost, context.obj).models).import_file(name, file)
    console.say(f"{name}: {path}")


def verify(context: typer.Context, plugin: console.PluginFiles = None) -> None:
    from colorpipe.weights.store import ModelStore

    found = ModelStore(cast(PluginHost, context.obj).models).verify()
    for name, reason in sorted(found.items()):
        if reason:
            console.complain(f"{name}: {reason}", label="", style="red")
        else:
            console.say((f"{name}: ", "green"), "as registered")
    if not found:
        console.say("no weights are on this machine", (" (`colorpipe models` lists them)", "dim"))
    raise typer.Exit(1 if any(found.values()) else 0)
