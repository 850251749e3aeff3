"""Training: what any trainable colorizer shares.

A plugin gives a :class:`Task`: its network, its loss, its scores and what is exported. :func:`fit` does the rest:
pictures, order, optimizer, checkpoints that survive ``kill -9``, the loss curve, the weights file. Needs the extra
``colorpipe[train]`` (Lightning, matplotlib), imported when a run starts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe.errors import TrainingError
from colorpipe.plugins.training_task import Task
from colorpipe.training.memory import release_memory
from colorpipe.training.run_files import RunFiles, TrainingResult, warn

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.plugins.host import PluginHost


def fit(task: Task, data: Path, output: Path, host: PluginHost | None = None) -> TrainingResult:
    """Train ``task`` on the pictures under ``data`` and write the weights to ``output`` (safetensors).

    Beside it appear the log (``.csv``), the loss plot (``.png``) and, while it runs, a folder ``.training`` with the
    checkpoint. A killed run goes on from there with ``resume``: same data order, same augmentation, same curve. A
    finished run leaves its last checkpoint (``.ckpt``): ``resume`` extends it by the steps and minutes that are given,
    with the learning rate's schedule begun again. Both need the same pictures.

    On a CPU under Linux, malloc keeps what it has until the run ends.

    Raises:
        TrainingError: Lightning is missing, too few pictures, a checkpoint is there but ``resume`` was not asked for,
            ``resume`` would replace weights that it cannot go on from, or the loss is not finite.
    """
    try:
        from colorpipe.training import loop
    except ImportError as error:
        raise TrainingError(f"training needs {error.name}", hint='pip install "colorpipe[train]"') from error
    if output.suffix != ".safetensors":
        raise TrainingError(f"{output} does not end in .safetensors", hint="weights are written in that format")
    for side in (task.options.side, task.options.final_side):
        if side % 32:
            raise TrainingError(f"the side of a crop is a multiple of 32, not {side}")
    if task.options.preprocessor is not None:
        task.view = _view(task.options.preprocessor, host)
    files = RunFiles(output)
    if files.checkpoint.exists() and not task.options.resume:
        raise TrainingError(
            f"an unfinished run for {output} is in {files.folder}", hint="go on with --resume, or delete that folder"
        )
    if task.options.resume and not (files.checkpoint.exists() or files.finished.exists()):
        if output.exists():
            raise TrainingError(
                f"{output} has no checkpoint to go on from ({files.finished} is not there)",
                hint="leave out --resume to train anew and replace it, or give another -o",
            )
        warn(f"there is no checkpoint for {output}: the run starts at its beginning")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        return loop.run(task, data, files)
    finally:
        release_memory()


def _view(preprocessor: str, host: PluginHost | None) -> Callable[[Float], Float]:
    from colorpipe.plugins.host import PluginHost
    from colorpipe.types import Lab

    made = (host or PluginHost.load()).preprocessor(preprocessor)()
    return lambda L: made.apply(Lab(L)).L
