"""Everything that goes into a result besides its pixels, in the form of its format; parts that do not fit are noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from colorpipe.media.base import Provenance
from colorpipe.media.still import metadata
from colorpipe.media.still.held import jpeg, png, resources, tiff
from colorpipe.media.still.held.ifd import Block, Tag
from colorpipe.media.still.held.parts import Text, as_text, listed
from colorpipe.media.still.held.resolution import Resolution
from colorpipe.types import Frame, Metadata

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
    ".avif": "AVIF",
}
_EXIF_PREFIX = b"Exif\0\0"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass
class Outfit:
    """The parts besides the pixels of one result. See ``of``."""

    format: str
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: Resolution | None = None
    jfif: bytes | None = None
    blocks: bytes | None = None
    """Photoshop's resources, IPTC among them for a JPEG."""
    iptc: Tag | None = None
    """The IPTC tag of a TIFF."""
    texts: list[Text] = field(default_factory=list)
    comments: list[bytes] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, frame: Frame, suffix: str, provenance: Provenance | None) -> Outfit:
        """A frame's metadata in the form of a file with this extension."""
        kept, extra = frame.metadata, frame.metadata.extra
        self = cls(_FORMATS[suffix], kept.exif, resolution=extra.get("resolution"), size=(frame.width, frame.height))
        self._mark(kept.xmp, provenance, str(extra.get("damage", "")))
        self._captions(kept)
        self._comments(extra)
        self._fit_exif()
        if self.format == "JPEG":
            self._fit_jpeg(extra)
        elif self.format == "PNG":
            self.chunks = [*extra.get("chunks", ()), *self.chunks]
        return self

    def _mark(self, original: bytes | None, provenance: Provenance | None, damage: str) -> None:
        self.xmp = original
        if provenance is not None:
            self.xmp = metadata.mark(original, provenance, damage)
            if self.xmp is None:
                self.notes.append("its XMP cannot be read: kept as it is, without a mark of provenance")
                self.xmp = original

    def _captions(self, kept: Metadata) -> None:
        """Move IPTC and Photoshop's resources from a JPEG or a TIFF into either."""
        framed = kept.iptc is not None and kept.iptc.startswith(resources.PREFIX)
        blocks = kept.iptc[len(resources.PREFIX) :] if framed and kept.iptc else kept.extra.get("resources")
        bare = None if framed else kept.iptc
        if blocks is not None:
            blocks = resources.without_thumbnails(blocks, bool(kept.extra.get("on its side")))
        if self.format == "JPEG":
            if bare is not None:
                blocks = resources.with_iptc(blocks or b"", bare.rstrip(b"\0") if bare[:1] == b"\x1c" else bare)
            self.blocks = blocks
        elif self.format == "TIFF":
            caption = bare if bare is not None else resources.iptc(blocks or b"")
            if caption is not None:
                kind = int(kept.extra.get("iptc kind", 1))
                whole = caption + b"\0" * (-len(caption) % 4 if kind == 4 else 0)
                self.iptc = Tag(tiff.IPTC, kind, len(whole) // (4 if kind == 4 else 1), whole)
            self.blocks = blocks
        elif bare is not None or (blocks and resources.iptc(blocks) is not None):
            self.notes.append(f"its IPTC block is left out: {self.format} has no place for it")
        elif blocks:
            self.notes.append(f"its Photoshop resources are left out: {self.format} has no place for them")

    def _comments(self, extra: Mapping[str, Any]) -> None:
        """Comments that people wrote: under keys in a PNG, without keys in a JPEG or GIF."""
        texts: tuple[Text, ...] = extra.get("texts", ())
        comments: tuple[bytes, ...] = extra.get("comments", ())
        if self.format == "PNG":
            own = bool(extra.get("chunks"))  # a PNG's texts stand among its chunks, as they are
            missing = [] if own else list(texts)
            missing += [Text("Comment", as_text(comment)) for comment in comments]
            self.chunks = [png.text_chunk(text) for text in missing]
        elif self.format == "JPEG":
            self.comments = [*comments, *(f"{text.key}: {text.text}".encode("utf-8", "replace") for text in texts)]
            self.comments = [comment for comment in self.comments if jpeg.fits(comment)]
            if len(self.comments) < len(comments) + len(texts):
                self.notes.append("a comment that is longer than a JPEG's segment is left out")
        elif texts or comments:
            named = listed([text.key for text in texts] + ["a comment"] * len(comments))
            self.notes.append(f"its text comments ({named}) are left out: {self.format} has no place for them")
        chunks = [name.decode("latin-1") for name, _ in extra.get("chunks", ()) if name not in png.TEXTS]
        if chunks and self.format != "PNG":
            self.notes.append(
                f"its {listed(chunks)} chunk{'s' * (len(set(chunks)) > 1)} left out: {self.format} has none"
            )

    def _fit_exif(self) -> None:
        """Resolution is EXIF's in formats that have no other place for it; and what EXIF cannot hold there goes."""
        if self.exif is None:
            if self.resolution is not None and self.format in ("WebP", "AVIF"):
                self.exif = Block("<", tuple(self.resolution.tags("<"))).packed()
            return
        block = Block.of(self.exif)
        only_place = block is not None and self.format in ("WebP", "AVIF") and Resolution.of_block(block) is None
        if only_place and block is not None and self.resolution is not None:
            self.exif = block.with_first(*self.resolution.tags(block.order)).packed()
        if self.format == "TIFF" and block is None:
            self.notes.append("its EXIF cannot be followed and is left out")

    def _fit_jpeg(self, extra: Mapping[str, Any]) -> None:
        if self.exif is not None and not jpeg.fits(self.exif, _EXIF_PREFIX):
            self.notes.append("its EXIF is too long for a JPEG and is left out")
            self.exif = None
        if self.xmp is not None and not jpeg.fits(self.xmp, _XMP_PREFIX):
            self.notes.append("its XMP is too long for a JPEG and is left out")
            self.xmp = None
        self.jfif = extra.get("jfif")
        if self.jfif is None and self.resolution is not None and "segments" not in extra:
            block = Block.of(self.exif) if self.exif else None
            if Resolution.of_block(block) is None:
                self.jfif = self.resolution.jfif()
        self.segments = list(extra.get("segments", ()))

    def for_libvips(self) -> dict[str, bytes]:
        """The fields that the encoder itself writes."""
        if self.format not in ("WebP", "AVIF"):
            return {}
        parts = {"xmp": self.xmp, "exif": self.exif if self.format == "AVIF" else None}
        return {name: blob for name, blob in parts.items() if blob is not None}

    def woven(self, encoded: bytes) -> bytes:
        """The file with all of it put in."""
        if self.format == "JPEG":
            return jpeg.woven(
                encoded, jfif=self.jfif, exif=self.exif, xmp=self.xmp, blocks=self.blocks,
                segments=tuple(self.segments), comments=tuple(self.comments),
            )  # fmt: skip
        if self.format == "PNG":
            phys = None if self.resolution is None else self.resolution.phys()
            return png.woven(encoded, phys=phys, exif=self.exif, xmp=self.xmp, more=self.chunks)
        if self.format == "TIFF":
            block = Block.of(self.exif) if self.exif else None
            return tiff.woven(
                encoded, block=block, xmp=self.xmp, iptc=self.iptc, blocks=self.blocks, resolution=self.resolution
            )
        if self.format == "WebP" and self.exif is not None:
            return metadata.webp_with_exif(encoded, self.exif, *self.size)
        return encoded
