"""The parts of a picture file besides its pixels, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field

from colorpipe.media.still.held.resolution import Resolution


@dataclass(frozen=True)
class Text:
    """A comment that a person wrote, under a key where the format has keys."""

    key: str
    text: str
    language: str = ""
    translated: str = ""
    """The key in that language."""


@dataclass(frozen=True)
class Held:
    """The parts that a file holds. Each part is carried into the result, or is named in ``notes``."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    """In a JPEG, all of Photoshop's resources behind ``Photoshop 3.0``; in a TIFF, the bare IPTC block."""
    iptc_kind: int = 1
    """The type of a TIFF's tag: Photoshop writes LONG."""
    resources: bytes | None = None
    """Photoshop's resources of a TIFF."""
    resolution: Resolution | None = None
    jfif: bytes | None = None
    """The body of a JPEG's JFIF segment, without its thumbnail."""
    texts: tuple[Text, ...] = ()
    comments: tuple[bytes, ...] = ()
    """Comments of a JPEG or GIF, unchanged."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """Chunks of a PNG, unchanged: texts, and others that do not depend on pixel codes."""
    segments: tuple[tuple[int, bytes], ...] = ()
    """Segments of a JPEG that only other programs know: marker and body."""
    notes: tuple[str, ...] = ()
    """One sentence for each part that is not carried over."""
    frames: int = 1
    """Pictures in the file that are shown one after the other."""
    stale: frozenset[str] = field(default_factory=frozenset)
    """Parts that XMP may still promise: ``gain map``, ``film``."""


def as_text(comment: bytes) -> str:
    """A comment of unstated encoding: UTF-8, else Latin-1, without the zero that some programs put behind it."""
    bare = comment.rstrip(b"\0")
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError:
        return bare.decode("latin-1")


def listed(names: list[str]) -> str:
    """``a, b and c``, each once, with their numbers."""
    counted = {name: names.count(name) for name in names}
    shown = [name if count == 1 else f"{name} ({count})" for name, count in counted.items()]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
