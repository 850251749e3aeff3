"""``colorpipe.run``: the command of that name, from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from colorpipe.batch.request import Listener, RunRequest
from colorpipe.batch.runner import run as run_request
from colorpipe.batch.shard import Shard
from colorpipe.errors import UsageError
from colorpipe.pipeline.session import recipe_of
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.types import Outcome, Recipe


# large: each parameter is a flag of the command
def run(
    *inputs: str | Path,
    output: str | Path | None = None,
    colorizer: str | Recipe = DEFAULT_COLORIZER,
    weights: str | Path | None = None,
    preprocessors: Sequence[str] = (),
    decoder: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    require_gpu: bool = False,
    hints: str | Path | None = None,
    reference: str | Path | None = None,
    overwrite: bool = False,
    compare: bool = False,
    preview: float | None = None,
    only: str | Path | None = None,
    only_grey: bool = False,
    keep_dates: bool = False,
    batch: int | None = None,
    jobs: int | None = None,
    fail_fast: bool = False,
    shard: str | None = None,
    cluster: str | None = None,
    sidecar: bool = False,
    bag: bool = False,
    plugins: Sequence[str | Path] = (),
    host: PluginHost | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> list[Outcome]:
    """Colorize photos, folders and films into files, as ``colorpipe run`` does: ``run("album/", output="out")``.

    What is done is skipped, a film goes on where it stopped, and an input that fails is an outcome with ``error``;
    the others go on.

    Args:
        inputs: Files, folders with all below, or glob patterns.
        output: A folder, or one file's name for one input; None is ``colorized/``.
        colorizer: Its name, or a whole ``Recipe``.
        weights, preprocessors, decoder, device, precision, engine, require_gpu: As ``Session`` takes them.
        hints, reference, overwrite, compare, preview, only, only_grey, keep_dates, batch, jobs, fail_fast: As the flags
            of the command.
        shard, cluster, sidecar, bag: Likewise; ``shard`` is ``"I/N"``.
        plugins: Files or folders of plugins besides those that are installed.
        host: Plugins that are loaded already, in place of ``plugins``.
        listener: Is told how it goes.
        options: Options of the chosen plugins, of merging and of files, by name: ``T=0.38``, ``codec="ffv1"``.

    Returns:
        One outcome for each input, in their order.

    Raises:
        ColorpipeError: nothing was started: an input that is not there, an unknown name, a folder that cannot be
            written to.
    """
    if host is not None and plugins:
        raise UsageError("both host and plugins are given", hint="load the plugins into the host")
    loaded = PluginHost.load(map(Path, plugins)) if host is None else host
    broken = [row for row in loaded.rows if row.error and row.source in {str(Path(name)) for name in plugins}]
    if broken:
        raise UsageError(f"the plugin {broken[0].source} could not be loaded: {broken[0].error}")
    if isinstance(colorizer, Recipe):
        if options or weights or preprocessors or decoder:
            raise UsageError("a recipe says it all", hint="change the recipe with dataclasses.replace instead")
        recipe = colorizer
    else:
        recipe = dataclasses.replace(
            recipe_of(loaded, colorizer, options, preprocessors, decoder),
            weights=None if weights is None else str(weights),
            device=device,
            precision=precision,
            engine=engine,
        )
    request = RunRequest(
        inputs=inputs,
        recipe=recipe,
        output=None if output is None else Path(output),
        hints=None if hints is None else Path(hints),
        reference=None if reference is None else Path(reference),
        require_gpu=require_gpu,
        batch=batch,
        jobs=jobs,
        overwrite=overwrite,
        fail_fast=fail_fast,
        compare=compare,
        preview=preview,
        only=None if only is None else Path(only),
        only_grey=only_grey,
        keep_dates=keep_dates,
        shard=None if shard is None else Shard.parse(shard),
        cluster=cluster,
        sidecar=sidecar,
        bag=bag,
    )
    return run_request(request, loaded, listener)
