"""Reading back the mark that results carry: by which recipe colorpipe made them."""

from __future__ import annotations

import re
from pathlib import Path

from colorpipe.errors import InputError
from colorpipe.media import sniff
from colorpipe.media.inputs import is_video

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for what colorpipe makes."""
_COMMENT = re.compile(r"colorpipe_recipe=([0-9a-f]{64})")
"""Where a container keeps known keys alone, the mark is in its comment."""


def recipe_of(path: Path) -> str | None:
    """The digest of the recipe that made a picture or a film; None for a file without the mark, or none at all."""
    try:
        kind = sniff.kind_of(path)
        if kind in sniff.STILLS:
            return _of_still(path)
        return _of_film(path) if kind == "video" or is_video(path) else None
    except InputError:
        return None


def _of_still(path: Path) -> str | None:
    import pyvips

    from colorpipe.media.still.metadata import provenance_of
    from colorpipe.media.still.vips import takes_name

    try:
        if takes_name(path):
            image = pyvips.Image.new_from_file(str(path))
        else:
            image = pyvips.Image.new_from_buffer(path.read_bytes(), "")
        if not image.get_typeof("xmp-data"):
            return None
        made = provenance_of(bytes(image.get("xmp-data")))
    except pyvips.Error:
        return None
    return None if made is None else made.recipe_digest


def _of_film(path: Path) -> str | None:
    from colorpipe.media.video.container import open_container

    with open_container(path) as film:
        tags = {key.lower(): value for key, value in film.metadata.items()}
    stated = _COMMENT.search(tags.get("comment", ""))
    return tags.get("colorpipe_recipe") or (stated[1] if stated else None)
