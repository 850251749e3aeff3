"""A still's header: the facts known before its pixels are decoded, for any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from colorpipe.errors import InputError
from colorpipe.media.still import metadata
from colorpipe.media.still.held import xmp
from colorpipe.media.still.held.parts import Held
from colorpipe.media.still.held.xmp import Change
from colorpipe.media.still.tone import Tone
from colorpipe.media.still.vips import Plane
from colorpipe.types import Metadata

Pixels = tuple[Plane, tuple[str, ...]]
"""(H, W, C), and notes for a person on the decoding."""


@dataclass(frozen=True)
class Header:
    """The facts known before the pixels are decoded."""

    width: int
    height: int
    pixels: Callable[[], Pixels]
    """Decodes: (H, W, C), grey or RGB, with or without alpha, in the file's own profile; and notes."""
    rest: Callable[[InputError], tuple[Plane, int]]
    """Decodes the intact part of a damaged file, mid-grey below; and the rows that were decoded. Raises the error."""
    orientation: int = 1
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    tone: Tone | None = None
    alpha: tuple[int, bool] | None = None
    """Index of the transparency channel (below 0: none), and whether colours are multiplied by it. None if transparency
    is the last of two or four channels."""


def upright(held: Held, orientation: int, size: tuple[int, int], always: bool = False) -> Metadata:
    """The metadata to carry over, for pixels that are turned by ``orientation`` from ``size``.

    Args:
        always: The container had turned it: whatever EXIF and XMP say of orientation is done already.
    """
    shown = size if orientation < 5 else size[::-1]
    resolution = held.resolution
    extra = {
        "resolution": resolution.turned() if resolution is not None and orientation >= 5 else resolution,
        "jfif": _turned_jfif(held.jfif) if held.jfif is not None and orientation >= 5 else held.jfif,
        "texts": held.texts,
        "comments": held.comments,
        "chunks": held.chunks,
        "segments": held.segments,
        "resources": held.resources,
        "iptc kind": held.iptc_kind,
        "on its side": orientation >= 5,
    }
    return Metadata(
        exif=metadata.upright(held.exif, orientation) if held.exif else None,
        xmp=xmp.upright(held.xmp, Change(orientation, shown, held.stale), always) if held.xmp else None,
        iptc=held.iptc,
        extra={name: value for name, value in extra.items() if value},
    )


def _turned_jfif(jfif: bytes) -> bytes:
    return jfif[:8] + jfif[10:12] + jfif[8:10] + jfif[12:]
