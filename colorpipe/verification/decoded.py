"""Stills decoded by other libraries than those that ``run`` reads with: Pillow, tifffile, and OpenCV for deep PNGs.

A proof that reads through the reader it is to prove finds none of that reader's faults.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from colorpipe import color
from colorpipe.media import sniff
from colorpipe.media.still.held.small import bmp_profile
from colorpipe.media.still.source import divided, equal, in_srgb, turned
from colorpipe.types import Encoding, Frame

Plane = NDArray[Any]
PICTURES: dict[str, Any] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "heif": AvifImagePlugin.AvifImageFile,
    "netpbm": PpmImagePlugin.PpmImageFile,
}
"""Pillow's classes, called directly: its general entry has its own pixel limit, and ``run``'s was checked before."""
ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    EOFError,
    struct.error,
    cv2.error,
)
"""Errors that these libraries raise for files that they do not read."""
_COLOURS = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "I;16": 1, "I;16B": 1}
_SUBFILE_OF_ANOTHER = 1 | 4


class NotDecodedError(Exception):
    """No other library reads it; the text says why."""


@dataclass(frozen=True)
class _Values:
    """Channels as the file has them."""

    pixels: Plane
    """(H, W, C) uint8 or uint16."""
    colours: int
    """1 or 3: the first so many channels."""
    alpha: int | None = None
    multiplied: bool = False
    orientation: int = 1
    profile: bytes | None = None
    gamma: float | None = None


def apart(path: Path, seen: Frame) -> Frame:
    """The picture of a file as another library decodes it, in sRGB codes, upright.

    Args:
        seen: What ``run``'s reader made of it, whose metadata the result has.

    Raises:
        NotDecodedError: none does, or only with less depth.
    """
    kind = sniff.kind_of(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "bmp":
                values = _bmp(path)
            else:
                values = _tiff(path) if kind == "tiff" else _deep_png(path) or _by_pillow(path, kind)
    except ERRORS as error:
        raise NotDecodedError(str(error).strip().splitlines()[0][:100] if str(error).strip() else "unread") from None
    return _frame(values, seen)


def opened(path: Path, kind: str) -> Image.Image:
    """Open a file with Pillow. Raises any of ``ERRORS``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # silences warnings of odd tags: only their presence in the result matters
        picture: Image.Image = PICTURES[kind](io.BytesIO(path.read_bytes()))
    return picture


def stated_orientation(picture: Image.Image) -> int:
    """EXIF's orientation alone: Pillow's own answer may come from XMP or from texts, which turn no picture here."""
    block = picture.info.get("exif")
    if not block:
        return 1
    exif = Image.Exif()
    exif.load(block)
    return int(exif.get(0x0112, 1) or 1)


def _by_pillow(path: Path, kind: str) -> _Values:
    picture = opened(path, kind)
    picture.load()
    key = _key(path) if kind == "png" else None
    if key is not None and picture.mode in ("1", "L", "RGB"):
        del picture.info["transparency"]  # it compares codes of fewer bits with those of eight
        return _keyed(_by_pillow_mode(picture, kind, path), key)
    return _by_pillow_mode(picture, kind, path)


def _by_pillow_mode(picture: Image.Image, kind: str, path: Path) -> _Values:
    if picture.mode in ("1", "P", "PA", "RGBa", "La"):
        clear = picture.mode == "PA" or "transparency" in picture.info
        grey = picture.mode == "1"
        picture = picture.convert(("LA" if clear else "L") if grey else ("RGBA" if clear else "RGB"))
    elif picture.mode in ("L", "RGB") and "transparency" in picture.info:
        picture = picture.convert("LA" if picture.mode == "L" else "RGBA")
    if kind == "netpbm" and picture.mode == "I":
        pixels = np.asarray(picture).astype(np.uint16)[..., None]
        return _Values(pixels, 1)
    if picture.mode not in _COLOURS or (kind == "netpbm" and _peak(path) > 255):
        values = _by_opencv(path, picture)
        deep = kind == "netpbm" and values.pixels.dtype == np.uint16
        # OpenCV leaves them as they are: white is what the header says.
        scaled = np.rint(values.pixels * (65535 / _peak(path))).astype(np.uint16) if deep else values.pixels
        return replace(values, pixels=scaled)
    pixels = np.asarray(picture)
    pixels = pixels.astype(np.uint16) if picture.mode.startswith("I") else pixels
    pixels = pixels.reshape(picture.height, picture.width, -1)
    colours = _COLOURS[picture.mode]
    if kind == "gif" and pixels.shape[2] == 4:  # colours under clear places mean nothing: black, as in libvips
        pixels = np.where(pixels[..., 3:] == 0, 0, pixels).astype(pixels.dtype)
    gamma = picture.info.get("gamma") if not {"srgb", "icc_profile"} & picture.info.keys() else None
    return _Values(
        pixels,
        colours,
        colours if pixels.shape[2] > colours else None,
        # For an AVIF, Pillow turns the container's rotation into an EXIF orientation.
        orientation=int(picture.getexif().get(0x0112, 1) or 1) if kind == "heif" else stated_orientation(picture),
        profile=picture.info.get("icc_profile"),
        gamma=None if gamma is None or 0.44 <= gamma <= 0.47 else gamma,
    )


def _peak(path: Path) -> int:
    """The value of white of a greymap or pixmap."""
    head = re.sub(rb"#[^\n]*\n", b"\n", path.read_bytes()[:4096])
    named = re.search(rb"MAXVAL[ \t]+(\d+)", head) or re.match(rb"P[2356]\s+\d+\s+\d+\s+(\d+)", head)
    return int(named[1]) if named else 255


def _key(path: Path) -> tuple[int, list[int]] | None:
    """The depth of a PNG without palette or alpha, and the one grey or colour that is transparent in it, if any."""
    data = path.read_bytes()
    at = data.find(b"tRNS", 33, max(33, data.find(b"IDAT")))
    if at < 0 or data[25] not in (0, 2):
        return None
    count = 1 if data[25] == 0 else 3
    return data[24], list(struct.unpack_from(f">{count}H", data, at + 4))


def _keyed(values: _Values, key: tuple[int, list[int]]) -> _Values:
    """The values, with the transparency that a PNG's tRNS chunk gives to one grey or colour."""
    depth, codes = key
    peak = np.iinfo(values.pixels.dtype).max
    colours = values.pixels[..., : values.colours]
    wanted = [round((code & ((1 << depth) - 1)) * peak / ((1 << depth) - 1)) for code in codes]
    alpha = np.where((colours == wanted).all(axis=2), 0, peak).astype(colours.dtype)
    return replace(values, pixels=np.dstack([colours, alpha]), alpha=values.colours)


def _bmp(path: Path) -> _Values:
    """Read a BMP with OpenCV where it is right: whole rows of 1 to 8, 24 or 32 bits under a header that it knows.

    Raises:
        NotDecodedError: for other kinds.
    """
    data = path.read_bytes()
    size, bits, packing = data[14], data[28], data[30]
    if size in (12, 52, 56, 64, 16) or bits == 16 or packing not in (0, 3):
        raise NotDecodedError("no other library reads this kind of bitmap rightly")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise NotDecodedError("unread")
    pixels = pixels.reshape(pixels.shape[0], pixels.shape[1], -1)
    if pixels.shape[2] == 4 and not pixels[..., 3].any():
        pixels = pixels[..., :3]
    if pixels.shape[2] >= 3:
        pixels = np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], axis=2)
    profile, _ = bmp_profile(data)
    colours = 3 if pixels.shape[2] >= 3 else 1
    return _Values(pixels, colours, 3 if pixels.shape[2] == 4 else None, profile=profile)


def _deep_png(path: Path) -> _Values | None:
    """A PNG of 16 bits, of which Pillow keeps eight where it has more than one channel; None for others."""
    head = path.read_bytes()[:33]
    if not head.startswith(b"\x89PNG") or head[24] != 16:
        return None
    if b"acTL" in path.read_bytes()[33:4096]:
        raise NotDecodedError("an animation of 16 bits")
    values, key = _by_opencv(path, opened(path, "png")), _key(path)
    return values if key is None else _keyed(values, key)


def _by_opencv(path: Path, told: Image.Image) -> _Values:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or told.mode in ("CMYK", "LAB", "YCbCr", "F"):
        raise NotDecodedError(f"{told.mode} values")
    pixels = pixels.reshape(pixels.shape[0], pixels.shape[1], -1)
    if pixels.shape[2] >= 3:
        pixels = np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], axis=2)
    info = told.info
    gamma = info.get("gamma") if not {"srgb", "icc_profile"} & info.keys() else None
    return _Values(
        np.ascontiguousarray(pixels),
        3 if pixels.shape[2] >= 3 else 1,
        pixels.shape[2] - 1 if pixels.shape[2] in (2, 4) else None,
        orientation=stated_orientation(told),
        profile=info.get("icc_profile"),
        gamma=None if gamma is None or 0.44 <= gamma <= 0.47 else gamma,
    )


# --- TIFF -------------------------------------------------------------------------------------------------------------


def whole_page(file: tifffile.TiffFile) -> Any:
    """The first page that is neither a smaller version nor a mask; if the first is one, the largest other page."""
    pages: list[Any] = []
    for page in list(file.pages)[:4096]:
        page = page.aspage() if hasattr(page, "aspage") else page
        pages.append(page)
        pages += list(page.pages or ()) if len(pages) < 64 else []
    first = pages[0]
    if not _is_partial(first):
        return first
    return max((page for page in pages if not _is_partial(page)), key=lambda page: page.size, default=first)


def _is_partial(page: Any) -> bool:
    return bool(int(page.subfiletype or 0) & _SUBFILE_OF_ANOTHER) or int(page.photometric or 0) == 4


def _tiff(path: Path) -> _Values:
    with tifffile.TiffFile(path) as file:
        page = whole_page(file)
        extra = [int(kind) for kind in page.extrasamples or ()]
        photometric, compression = int(page.photometric), int(page.compression)
        tags = page.tags
        orientation = int(tags[274].value) if 274 in tags else 1
        profile = bytes(tags[34675].value) if 34675 in tags else None
        samples, bits, index = int(page.samplesperpixel), int(page.bitspersample), page.index
        if compression == 6 or (photometric == 6 and compression != 7):
            return replace(_whole_by_pillow(path, index), profile=profile)
        try:
            pixels = _of_page(page)
        except Exception as error:  # a codec that is not there, of its many
            if bits <= 8 or samples == 1:
                values = _whole_by_pillow(path, index)
                if extra or photometric not in (0, 1, 2, 3, 6):
                    raise NotDecodedError(str(error)[:80]) from None
                return replace(values, profile=profile)
            pixels = _other_tiff(path, page, error)
    if photometric not in (0, 1, 2, 3, 6):
        raise NotDecodedError("CMYK or Lab values")
    if photometric == 3 or pixels.shape[2] not in (samples, 1):
        return replace(_whole_by_pillow(path, index), profile=profile)
    if pixels.dtype == np.bool_ or bits == 1:
        pixels = (pixels != 0).astype(np.uint8) * 255
    elif bits < 8:
        pixels = np.rint(pixels * (255 / ((1 << bits) - 1))).astype(np.uint8)
    if pixels.dtype not in (np.uint8, np.uint16) or bits not in (1, 2, 4, 8, 16):
        raise NotDecodedError(f"{bits} bits of {pixels.dtype}")
    if photometric == 0:
        pixels = np.iinfo(pixels.dtype).max - pixels
    colours = 3 if photometric in (2, 6) else 1
    stated = [place for place, kind in enumerate(extra) if kind in (1, 2)]
    alpha = samples - len(extra) + stated[0] if stated else None
    return _Values(pixels, colours, alpha, bool(stated) and extra[stated[0]] == 1, orientation, profile)


def _of_page(page: Any) -> Plane:
    pixels = np.asarray(page.asarray())
    if int(page.planarconfig or 1) == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if int(page.photometric) == 6:
        raise NotDecodedError("YCbCr values")
    return pixels.reshape(page.imagelength, page.imagewidth, -1)


def _other_tiff(path: Path, page: Any, error: Exception) -> Plane:
    """Colour of sixteen bits by OpenCV, where tifffile lacks the codec."""
    if page.index != 0 or int(page.planarconfig or 1) == 2:  # OpenCV misreads separate planes
        raise NotDecodedError(str(error)[:80])
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise NotDecodedError(str(error)[:80])
    return np.ascontiguousarray(np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], axis=2))


def _whole_by_pillow(path: Path, index: int | tuple[int, ...]) -> _Values:
    """Pillow spreads few bits over eight, turns white-is-zero and turns the picture upright by itself."""
    if not isinstance(index, int):
        raise NotDecodedError("a picture inside another's directory")
    picture = opened(path, "tiff")
    picture.seek(index)
    picture.load()
    if picture.mode in ("1", "P"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    if picture.mode not in _COLOURS:
        raise NotDecodedError(f"{picture.mode} values")
    pixels = np.asarray(picture)
    pixels = pixels.astype(np.uint16) if picture.mode.startswith("I") else pixels
    return _Values(pixels.reshape(picture.height, picture.width, -1), _COLOURS[picture.mode])


# --- to a frame -------------------------------------------------------------------------------------------------------


def _frame(values: _Values, seen: Frame) -> Frame:
    pixels = values.pixels
    bits = 8 if pixels.dtype == np.uint8 else 16
    planes = [np.ascontiguousarray(pixels[..., band]) for band in range(values.colours)]
    alpha = None
    if values.alpha is not None and values.alpha < pixels.shape[2]:
        alpha = np.ascontiguousarray(pixels[..., values.alpha])
        planes = [divided(plane, alpha) for plane in planes] if values.multiplied else planes
    if len(planes) == 3 and equal(planes):
        planes = planes[:1]
    if values.gamma is not None and values.profile is None:
        planes = [_lit(plane, values.gamma) for plane in planes]
    elif seen.metadata.icc is not None and values.profile is not None:
        # The profile itself is compared apart; one that the reader left out as unusable is left out here.
        planes, _ = in_srgb(planes, values.profile, bits)
    planes = [turned(plane, values.orientation) for plane in planes]
    colour = (planes[0], planes[1], planes[2]) if len(planes) == 3 else None
    return Frame(
        luma=planes[0] if colour is None else color.grey(colour, "rec601"),
        encoding=Encoding("rgb", bits),
        colour=colour,
        alpha=None if alpha is None else turned(alpha, values.orientation),
        origin=seen.origin,
        metadata=seen.metadata,
    )


def _lit(plane: Plane, gamma: float) -> Plane:
    """Codes that are a power of light -> sRGB codes (PNG, gAMA; IEC 61966-2-1)."""
    peak = np.iinfo(plane.dtype).max
    light = (plane / peak) ** (1 / gamma)
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(codes * peak).astype(plane.dtype))
