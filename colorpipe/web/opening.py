"""From what was named on the command line to an album's items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe.errors import ColorpipeError, InputError
from colorpipe.media import sniff
from colorpipe.media.inputs import DEFAULT_OUTPUT, Job, find_inputs, is_video, plan
from colorpipe.web import saving
from colorpipe.web.items import Item

if TYPE_CHECKING:
    from colorpipe.types import Recipe
    from colorpipe.web.fence import Fence
    from colorpipe.web.settings import Catalogue


def open_items(
    inputs: Sequence[str | Path], output: Path | None, recipe: Recipe, fence: Fence, catalogue: Catalogue
) -> list[Item]:
    """Items in the order in which ``colorpipe run`` would take them, each with the hints and the recipe that are there.

    Raises:
        UsageError: there is no input, or a result would replace one.
    """
    found = find_inputs(inputs, exclude=output or DEFAULT_OUTPUT)
    codec = recipe.settings.get("codec", "libx264")

    def video_suffix(path: Path) -> str:
        from colorpipe.media.video.ways import output_suffix  # PyAV costs a tenth of a second; photos do not need it

        return output_suffix(path, codec)

    made = []
    for number, (one, job) in enumerate(zip(found, plan(found, output, video_suffix), strict=True), 1):
        folder = "" if one.relative.parent == Path() else one.relative.parent.as_posix()
        item = Item(number, job, folder, "film" if _is_film(job) else "photo", recipe)
        _begin(item, fence, catalogue)
        made.append(item)
    return made


def _begin(item: Item, fence: Fence, catalogue: Catalogue) -> None:
    """Takes up what an earlier save left, or refuses the item."""
    try:
        if item.job.error:
            raise InputError(item.job.error)
        fence.check_source(item.path)
        item.load(fence)
    except ColorpipeError as error:
        item.state, item.error, item.hint = "refused", error.message, error.hint or None
        return
    kept = saving.read_recipe(saving.recipe_path(item.job.output))
    if kept is not None:
        try:
            catalogue.settings(kept)
            item.recipe = kept
        except ColorpipeError as error:
            item.notes = (*item.notes, f"its saved recipe cannot be used here: {error.message}")
    item.state = "made" if item.job.output.is_file() else "new"


def _is_film(job: Job) -> bool:
    if job.error:
        return False
    if is_video(job.input):
        return True
    try:
        return sniff.kind_of(job.input) == "video"
    except ColorpipeError:
        return False
