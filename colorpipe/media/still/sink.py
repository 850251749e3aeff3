"""Stills, written: the colour under the source's profile, with its metadata, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from colorpipe import color, files
from colorpipe.errors import OutputError
from colorpipe.media.base import Provenance, Sink
from colorpipe.media.still import outfit, vips
from colorpipe.media.still.vips import Plane
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame

_KEEP = {"exif": 1, "xmp": 2, "icc": 8}
"""libvips' VipsForeignKeep flags, where it puts these in; the rest is put in afterwards, byte for byte."""
_WITHOUT_ALPHA = (".jpg", ".jpeg")
_DEPTH: Mapping[str, int] = {".png": 16, ".tif": 16, ".tiff": 16, ".avif": 12}
"""Bits a channel that a format holds; 8 where it is not named."""
_LARGEST: Mapping[str, int] = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383, ".avif": 16384}
"""Longest side in pixels: libjpeg's JPEG_MAX_DIMENSION, VP8's 14 bits, libheif's own limit."""


def _jpeg(image: Any, options: MediaOptions, keep: int) -> bytes:
    # Chroma at half resolution spares bytes that nobody who asks for this quality wants spared.
    subsample = "off" if options.quality >= 90 else "on"
    return bytes(image.jpegsave_buffer(Q=options.quality, subsample_mode=subsample, keep=keep))


def _png(image: Any, options: MediaOptions, keep: int) -> bytes:
    # 2.5 megapixels, two cores: 73 ms at level 2 with the "up" filter, 271 ms for 14% fewer bytes at level 6.
    return bytes(image.pngsave_buffer(compression=2, filter="up", keep=keep))


def _tiff(image: Any, options: MediaOptions, keep: int) -> bytes:
    size = image.width * image.height * image.bands * (1 if image.format == "uchar" else 2)
    # Level 3: 77 ms against 283 ms for 7% fewer bytes at the default. Offsets of a classic TIFF end at 4 GB.
    return bytes(
        image.tiffsave_buffer(
            compression="deflate", predictor="horizontal", level=3, bigtiff=size > 4_000_000_000, keep=keep
        )
    )


def _webp(image: Any, options: MediaOptions, keep: int) -> bytes:
    # Lossy WebP is always 4:2:0; smart_subsample makes the best of it. exact keeps what is under clear alpha.
    return bytes(image.webpsave_buffer(Q=options.quality, smart_subsample=True, exact=True, keep=keep))


def _avif(image: Any, options: MediaOptions, keep: int) -> bytes:
    # effort 2: the default of 4 took eleven times as long (8.8 s for 2.5 megapixels) for no smaller file.
    depth = 8 if image.format == "uchar" else 12
    subsample = "off" if options.quality >= 90 else "on"
    return bytes(
        image.heifsave_buffer(
            compression="av1", Q=options.quality, effort=2, bitdepth=depth, subsample_mode=subsample, keep=keep
        )
    )


_ENCODERS: Mapping[str, Callable[[Any, MediaOptions, int], bytes]] = {
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".png": _png,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".webp": _webp,
    ".avif": _avif,
}


def _left_grey(planes: list[Plane], frame: Frame) -> list[Plane]:
    """Without colour where the source could not be decoded."""
    left, top, right, bottom = frame.metadata.extra["missing"]
    grey = [plane.copy() for plane in planes]
    for plane in grey:
        plane[top:bottom, left:right] = frame.luma[top:bottom, left:right]
    return grey


class StillSink(Sink):
    """Takes one frame and writes it in the format of the path's extension.

    The depth is the frame's where the format has it, the profile the source's; EXIF, XMP, IPTC and resolution are
    kept, orientation is 1. What the format cannot hold is left out and said in ``notes``.

    Raises:
        OutputError: no such format is written.
    """

    def __init__(self, path: Path, options: MediaOptions, provenance: Provenance | None = None) -> None:
        self.path = path
        self.notes = ()
        self._options = options
        self._provenance = provenance
        self._suffix = path.suffix.lower()
        self._part: Path | None = None
        if self._suffix not in _ENCODERS:
            raise OutputError(f"cannot write {path}: no such format", hint=f"use one of {', '.join(_ENCODERS)}")

    def write(self, frame: Frame, state: bytes | None = b"") -> None:
        """The frame, encoded and on disk under a hidden name beside its place.

        Raises:
            OutputError: it cannot be encoded or stored; nothing is left behind.
        """
        if self._part is not None:
            raise OutputError(f"cannot write {self.path}: a still holds one frame")
        if self.path.exists() and frame.origin.exists() and self.path.samefile(frame.origin):
            raise OutputError(f"{self.path} is the source itself", hint="give another place to -o")
        if max(frame.width, frame.height) > _LARGEST.get(self._suffix, 10_000_000):
            raise OutputError(
                f"cannot write {self.path}: {frame.width} x {frame.height} pixels are too large for {self._suffix}",
                hint="write .png or .tif instead",
            )
        try:
            encoded = self._encode(frame)
        except pyvips.Error as error:
            raise OutputError(f"cannot encode {self.path}: {vips.reason(error)}", hint="try .png or .tif") from None
        self._part = files.write_part(self.path, encoded)

    def commit(self) -> None:
        if self._part is None:
            raise OutputError(f"cannot write {self.path}: it was given no frame")
        part, self._part = self._part, None
        files.place(part, self.path)

    def abort(self) -> None:
        if self._part is not None:
            files.remove(self._part)
            self._part = None

    def _encode(self, frame: Frame) -> bytes:
        travels = outfit.Outfit.of(frame, self._suffix, self._provenance)
        for note in travels.notes:
            self._note(note)
        pixels, icc = self._pixels(frame), frame.metadata.icc
        with vips.shared():
            in_srgb = icc is None or vips.is_srgb(icc)
            image = vips.from_pixels(pixels) if icc is None or in_srgb else vips.from_srgb(pixels, icc)
            image, keep = image.copy(), _KEEP["icc"]
            if icc is not None:
                vips.set_blob(image, "icc-profile-data", icc)
            for name, blob in travels.for_libvips().items():
                vips.set_blob(image, f"{name}-data", blob)
                keep |= _KEEP[name]
            encoded = _ENCODERS[self._suffix](image, self._options, keep)
        return travels.woven(encoded)

    def _pixels(self, frame: Frame) -> Plane:
        """(H, W, 3 or 4), at the depth that the format holds."""
        planes = list(frame.colour) if frame.colour is not None else [frame.luma] * 3
        if "missing" in frame.metadata.extra:
            planes = _left_grey(planes, frame)
        if frame.alpha is not None:
            if self._suffix in _WITHOUT_ALPHA:
                self._note("JPEG has no transparency: it is left out")
            else:
                planes.append(frame.alpha)
        pixels = color.interleaved(planes)
        depth = _DEPTH.get(self._suffix, 8)
        if frame.encoding.bits > depth:
            self._note(f"{frame.encoding.bits} bits a channel rounded to the {depth} of {self._suffix[1:].upper()}")
        if frame.encoding.bits > 8 and depth == 8:
            pixels = np.rint(pixels * np.float32(255 / frame.encoding.peak)).astype(np.uint8)
        return pixels

    def _note(self, text: str) -> None:
        self.notes = (*self.notes, text)
