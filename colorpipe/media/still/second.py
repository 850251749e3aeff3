"""A second reader, Pillow or tifffile, for files that the first reads wrongly or not at all (``known_faults``)."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, BmpImagePlugin, Image, TiffImagePlugin

from colorpipe.media.still.held.tiff import COMPRESSIONS, Page

Plane = NDArray[Any]
_BANDS = {"1": 1, "L": 1, "LA": 2, "P": 3, "PA": 4, "RGB": 3, "RGBA": 4, "I;16": 1, "I;16B": 1, "CMYK": 4}
"""Pillow's modes whose values are those of the file."""


class UnreadableError(Exception):
    """The reader does not read a file; the text says why."""


def decoded(picture: Image.Image) -> Plane:
    """(H, W, C) uint8, or uint16 for a grey of 16 bits: channels as the file has them, palettes resolved.

    Raises:
        UnreadableError: the file is damaged, or of a mode that would lose depth.
    """
    try:
        picture.load()
        if picture.mode not in _BANDS:
            raise UnreadableError(f"{picture.mode} values")
        if picture.mode == "1":
            picture = picture.convert("L")
        elif picture.mode in ("P", "PA"):
            clear = picture.mode == "PA" or "transparency" in picture.info
            picture = picture.convert("RGBA" if clear else "RGB")
        pixels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError) as error:
        raise UnreadableError(str(error).strip().splitlines()[0] if str(error).strip() else "damaged") from None
    pixels = pixels.astype(np.uint16) if picture.mode.startswith("I;16") else pixels
    return pixels.reshape(picture.height, picture.width, -1)


def bmp(data: bytes) -> Plane:
    """Raises UnreadableError."""
    try:
        # By its own class: the general way in has a limit of its own on pixels, and ours was looked at before.
        return decoded(BmpImagePlugin.BmpImageFile(io.BytesIO(data)))
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise UnreadableError(str(error)) from None


def avif(data: bytes) -> Plane:
    """8 bits a channel. Raises UnreadableError."""
    try:
        return decoded(AvifImagePlugin.AvifImageFile(io.BytesIO(data)))
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableError(str(error)) from None


def tiff(path: Path, page: Page) -> Plane:
    """One picture of a TIFF, (H, W, C) of its own depth; white is the highest value.

    Raises:
        UnreadableError: neither library reads it without loss.
    """
    reasons = []
    for reader in (_by_pillow, _by_tifffile):
        try:
            return reader(path, page)
        except UnreadableError as error:
            reasons.append(str(error))
    name = COMPRESSIONS.get(page.compression, f"number {page.compression}")
    raise UnreadableError(f"{name} compression, {page.bits} bits: {reasons[0]}")


def _by_pillow(path: Path, page: Page) -> Plane:
    if page.sub is not None:
        raise UnreadableError("a picture inside another's directory")
    if page.bits > 8 and page.samples > 1:
        raise UnreadableError("it would be rounded to 8 bits")
    if page.bits not in (1, 2, 4, 8, 16):
        raise UnreadableError(f"{page.bits} bits")
    with open(path, "rb") as file:
        try:
            picture = TiffImagePlugin.TiffImageFile(file)
            picture.seek(page.index)
        except (OSError, ValueError, SyntaxError, EOFError, KeyError, struct.error, TypeError) as error:
            raise UnreadableError(str(error)) from None
        pixels = decoded(picture)
    # Pillow has turned it upright by itself; turned back, it is as it is stored, which the others give.
    back = {6: 8, 8: 6}.get(page.place.number(274, 1), page.place.number(274, 1))
    return _turned(pixels, back)


def _turned(pixels: Plane, orientation: int) -> Plane:
    """EXIF orientation (EXIF 2.32, table 4) applied."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _by_tifffile(path: Path, page: Page) -> Plane:
    import tifffile

    if page.photometric not in (0, 1, 2, 5) or page.bits not in (8, 16):
        raise UnreadableError("its colours are stored in another way")
    try:
        with tifffile.TiffFile(path) as file:
            found: Any = file.pages[page.index]
            if page.sub is not None:
                found = found.pages[page.sub]
            pixels = np.asarray(found.asarray())
            planar = int(found.planarconfig) == 2 and pixels.ndim == 3
    except Exception as error:  # whatever a codec of its many raises
        raise UnreadableError(str(error).strip().splitlines()[0] if str(error).strip() else "damaged") from None
    if planar:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise UnreadableError(f"{pixels.dtype} values")
    if page.photometric == 0:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels.reshape(pixels.shape[0], pixels.shape[1], -1)
