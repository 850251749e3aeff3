"""Stills, read: JPEG, PNG, TIFF, WebP, GIF and AVIF through libvips, BMP, HEIC and Netpbm through others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from colorpipe import color
from colorpipe.errors import InputError, LimitError
from colorpipe.media import sniff
from colorpipe.media.base import Source, SourceInfo
from colorpipe.media.still import headers, vips
from colorpipe.media.still.header import Header
from colorpipe.media.still.held.xmp import turned_box
from colorpipe.media.still.vips import Plane
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame

# A damaged BMP is told in our own words; OpenCV would print its own as well.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def open_still(path: Path, options: MediaOptions) -> StillSource:
    """A picture, opened: its header is read and checked, its pixels are decoded when the source is iterated.

    JPEG, PNG, TIFF, WebP, GIF, BMP, AVIF, Netpbm and, with the extra ``heic``, HEIC; the content decides, not the name.

    Raises:
        InputError: it is not there, no picture, damaged, or of a kind that cannot be colorized.
        LimitError: it has more than ``options.max_pixels`` pixels.
    """
    kind = sniff.kind_of(path)
    if kind not in sniff.STILLS:
        raise sniff.refusal(path, kind)
    return StillSource(path, kind, options)


class StillSource(Source):
    """One picture as one frame: upright, sRGB-coded, 8 or 16 bits.

    A grey picture's luma is its grey code values, untouched; so is that of a colour file whose channels are equal
    everywhere. A coloured picture has its R, G, B in ``colour`` and their BT.601 grey as luma.

    With ``options.damaged``, what cannot be decoded of a picture is mid-grey, is noted, and is the rectangle
    ``missing`` (left, top, right, bottom) of the frame's ``metadata.extra``, with the ``damage`` in words.
    """

    def __init__(self, path: Path, kind: str, options: MediaOptions) -> None:
        self.path = path
        header = headers.read(path, kind)
        pixels = header.width * header.height
        if pixels > options.max_pixels:
            raise LimitError(
                f"{path} has {header.width} x {header.height} pixels, more than the limit of {options.max_pixels:,}",
                hint=f"if the file can be trusted, --max-pixels {pixels} lets it in",
            )
        self._header = _with_profile_notes(header)
        self._damaged = options.damaged
        turned = header.orientation >= 5
        width, height = (header.height, header.width) if turned else (header.width, header.height)
        self.info = SourceInfo("still", width, height, notes=self._header.notes)

    def __iter__(self) -> Iterator[Frame]:
        header, rows = self._header, None
        try:
            pixels, notes = header.pixels()
        except InputError as refusal:
            if not self._damaged:
                raise
            pixels, rows = header.rest(refusal)
            notes = (_damage(rows, header.height, refusal),)
        self.info = replace(
            self.info, notes=(*self.info.notes, *(note for note in notes if note not in self.info.notes))
        )
        frame = _frame(self.path, _codes(self.path, pixels), header)
        if rows is not None:
            box = turned_box((0, rows, header.width, header.height), header.orientation, (header.width, header.height))
            extra = {**frame.metadata.extra, "damage": notes[0], "missing": box}
            frame = replace(frame, metadata=replace(frame.metadata, extra=extra))
        yield frame

    def close(self) -> None:
        """Does nothing: no file stays open, since each reading opens it anew."""


def _damage(rows: int, height: int, refusal: InputError) -> str:
    reason = refusal.message.rpartition(" (")[2].rstrip(")")
    if rows >= height:
        return f"damaged ({reason}): every row was decoded, but parts of it may be wrong"
    return (
        f"damaged ({reason}): the last {height - rows} of {height} stored rows could not be decoded and are left grey"
    )


def _codes(path: Path, pixels: Plane) -> Plane:
    """Floating-point display values 0..1 -> 16-bit codes; integers as they are."""
    if pixels.dtype.kind != "f":
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # false for NaN too
        raise InputError(
            f"{path} holds floating-point values from {low:g} to {high:g}; only 0 to 1 has a known meaning",
            hint="scale it to 0..1, or save it as 16-bit TIFF",
        )
    return np.asarray(np.rint(pixels * 65535).astype(np.uint16))


def _with_profile_notes(header: Header) -> Header:
    """The header with a profile that can be used, or none, and with what a person should know of it.

    What is done with a profile depends on the pixels too; what is said of it does not.
    """
    profile, notes = header.profile, list(header.notes)
    if profile is None:
        return header
    space = vips.profile_space(profile)
    if space is not None and space not in ("RGB", "GRAY"):
        notes.append(f"its {space} profile is left out")
        profile = None
    elif space is None or not vips.is_usable(profile):
        notes.append("its ICC profile is damaged and left out")
        profile = None
    elif space == "GRAY":
        notes.append(f"grey profile {vips.profile_name(profile)!r} replaced by sRGB, as colour needs")
    elif not vips.is_srgb(profile):
        notes.append(f"its colour profile {vips.profile_name(profile)!r} is kept: new colours are converted to it")
    return replace(header, profile=profile, notes=tuple(notes))


def _frame(path: Path, pixels: Plane, header: Header) -> Frame:
    planes, alpha = _channels(pixels, header)
    bits = 8 if pixels.dtype == np.uint8 else 16
    if len(planes) == 3 and equal(planes):
        planes = planes[:1]
    if header.tone is not None and header.profile is None:
        planes, profile = header.tone.to_srgb(planes), None
    else:
        planes, profile = in_srgb(planes, header.profile, bits)
    planes = [turned(plane, header.orientation) for plane in planes]
    colour = (planes[0], planes[1], planes[2]) if len(planes) == 3 else None
    return Frame(
        luma=planes[0] if colour is None else color.grey(colour, "rec601"),
        encoding=Encoding("rgb", bits),
        colour=colour,
        alpha=None if alpha is None else turned(alpha, header.orientation),
        origin=path,
        metadata=replace(header.metadata, icc=profile),
    )


def _channels(pixels: Plane, header: Header) -> tuple[list[Plane], Plane | None]:
    """One or three planes of colour, and transparency."""
    planes = list(cv2.split(pixels)) if pixels.shape[2] > 1 else [pixels[:, :, 0]]
    if header.alpha is None:  # the format has only one meaning for a second or fourth channel
        return (planes[:-1], planes[-1]) if len(planes) in (2, 4) else (planes[: 3 if len(planes) > 2 else 1], None)
    place, multiplied = header.alpha
    alpha = planes[place] if 0 <= place < len(planes) else None
    colours = planes[: 3 if len(planes) > 2 and (place >= 3 or place < 0) else 1]
    if alpha is not None and multiplied:
        colours = [divided(plane, alpha) for plane in colours]
    return colours, alpha


def divided(plane: Plane, alpha: Plane) -> Plane:
    """Codes that were multiplied by transparency, as they were before; 0 where nothing shows."""
    peak = np.iinfo(plane.dtype).max
    share = np.maximum(alpha, 1).astype(np.float32) / peak
    return np.asarray(np.minimum(np.rint(plane / share), peak).astype(plane.dtype))


def equal(planes: list[Plane]) -> bool:
    """Whether three channels are one; a sparse look first spares most colour pictures the full one."""
    red, green, blue = planes
    sparse = (slice(None, None, 16), slice(None, None, 16))
    if not (np.array_equal(red[sparse], green[sparse]) and np.array_equal(green[sparse], blue[sparse])):
        return False
    return np.array_equal(red, green) and np.array_equal(green, blue)


def in_srgb(planes: list[Plane], profile: bytes | None, bits: int) -> tuple[list[Plane], bytes | None]:
    """The planes in sRGB codes, and the profile that the result gets."""
    if profile is None:
        return planes, None
    grey_profile = vips.profile_space(profile) == "GRAY"
    result = vips.srgb_profile() if grey_profile else profile
    if len(planes) == 1:
        table = vips.grey_table(profile, bits)
        return (planes if table is None else [np.take(table, planes[0])]), result
    if grey_profile or vips.is_srgb(profile):
        return planes, result
    return list(cv2.split(vips.to_srgb(cv2.merge(planes), profile))), result


def turned(plane: Any, orientation: int) -> Plane:
    """EXIF orientation (EXIF 2.32, table 4) applied."""
    if orientation >= 5:
        plane = plane.T
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)
