"""What a run does before the first picture: inputs found, results given their places, outputs looked at."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from colorpipe import options
from colorpipe.batch.bag import check_bag
from colorpipe.batch.output_check import check_reachable, check_writable
from colorpipe.batch.request import RunRequest
from colorpipe.batch.selection import selected
from colorpipe.errors import InputError, UsageError
from colorpipe.guidance.sidecars import has_hints, strays
from colorpipe.media.inputs import Plan, find_inputs, names_file, plan
from colorpipe.media.listing import Listing
from colorpipe.media.passed import Passed
from colorpipe.pipeline.session import Session
from colorpipe.plugins.host import PluginHost

log = logging.getLogger(__name__)


def prepare(request: RunRequest) -> tuple[Plan, Passed]:
    """Inputs and where their results go, with the output looked at; and what folders hold besides.

    Raises:
        UsageError, OutputError: nothing could be started.
    """
    check_reachable(request.output)
    if request.bag:
        if names_file(request.root):
            raise UsageError(f"--bag makes a folder, and {request.root} is a file's name", hint="give a folder to -o")
        check_bag(request.root)
    passed = Passed()
    found = find_inputs(request.inputs, exclude=request.root, passed=passed)
    codec = request.recipe.settings.get("codec", "libx264")

    def video_suffix(path: Path) -> str:
        from colorpipe.media.video.ways import output_suffix  # PyAV costs a tenth of a second; photos do not need it

        return output_suffix(path, codec)

    jobs = plan(found, request.results, video_suffix, request.preview, request.compare)
    _tell_strays(request, jobs.found)
    if request.only is not None:  # after planning: results keep the names that they have among all
        jobs.only(selected(jobs.found, request.only).__contains__)
    if request.shard is not None:
        shard = request.shard
        jobs.only(lambda place: shard.takes(jobs.found.relative(place)))
    check_writable(request.results, jobs, overwrite=request.overwrite)
    return jobs, passed


def session_for(request: RunRequest, host: PluginHost) -> Session:
    """The session of a request."""
    return Session(
        request.recipe,
        batch=request.batch,
        require_gpu=request.require_gpu,
        host=host,
        reference=request.reference,
    )


def refuse_several(request: RunRequest, host: PluginHost, what: str) -> None:
    """Where one result for each input is made.

    Raises:
        UsageError: the method gives several.
    """
    stage = request.recipe.colorizer
    cls = host.colorizer(stage.name)
    if cls(options.build(cls.Options, stage.options, cls.name)).results > 1:
        raise UsageError(f"{cls.name} gives several results, which do not go with {what}", hint="ask it for one")


def _tell_strays(request: RunRequest, found: Listing) -> None:
    """Hint files in the folders that were named which belong to no input there."""
    named = [Path(argument).resolve() for argument in request.inputs if Path(argument).is_dir()]
    inputs: dict[str, set[str]] = {}
    for folder in {os.path.dirname(found.path(place)) for place in range(len(found))}:
        with contextlib.suppress(InputError):  # a folder that cannot be looked into fails with its inputs
            resolved = Path(folder).resolve()
            if any(resolved == one or one in resolved.parents for one in named) and has_hints(Path(folder)):
                inputs[folder] = set()
    for place in range(len(found)) if inputs else ():
        folder, name = os.path.split(found.path(place))
        if folder in inputs:
            inputs[folder].add(os.path.splitext(name)[0])
    for folder, stems in inputs.items():
        for stray in strays(Path(folder), frozenset(stems)):
            log.warning("%s was not used: no picture or film there has its name", stray)
