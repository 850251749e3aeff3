"""Stills: reading and writing through libvips; BMP, which libvips does not read, through OpenCV."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pyvips

from colorpipe import color
from colorpipe.errors import InputError, LimitError
from colorpipe.media import sniff
from colorpipe.media.base import Source, SourceInfo
from colorpipe.media.still import metadata, vips
from colorpipe.media.still.vips import Plane
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Metadata

_DAMAGED = "restore it from a backup, or repair it with an image editor and try again"
_UNREADABLE = "convert it to PNG or 16-bit TIFF first"
# Complaints that leave every pixel in place. The rest (bad Huffman code, premature end of a segment, a missing
# restart marker) mean that part of the picture is made up, so warnings are errors for JPEG.
_HARMLESS_JPEG = re.compile(
    r"extraneous bytes before marker|Invalid SOS parameters|Inconsistent progression|Unknown Adobe|JFIF", re.IGNORECASE
)
_MOST_READERS = 64
_readers = threading.BoundedSemaphore(_MOST_READERS)
_refusals = threading.Lock()
_TEXTS = re.compile(r"png-comment-|image-description$")
_BMP_STORED = (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS: rows of a fixed size


ResultT = TypeVar("ResultT")
# A damaged BMP is told in our own words; OpenCV would print its own as well.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class _Header:
    """Facts that are known before the pixels are read."""

    width: int
    height: int
    orientation: int = 1
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()


def open_still(path: Path, options: MediaOptions) -> StillSource:
    """A picture, opened: its header is read and checked, its pixels are decoded when the source is iterated.

    JPEG, PNG, TIFF, WebP, GIF, BMP, AVIF and, where libvips was built for it, HEIC; the content decides, not the name.

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
    """

    def __init__(self, path: Path, kind: str, options: MediaOptions) -> None:
        self.path = path
        self._kind = kind
        header = _bmp_header(path) if kind == "bmp" else _header(path, kind, _attempt(path, kind, _open))
        pixels = header.width * header.height
        if pixels > options.max_pixels:
            raise LimitError(
                f"{path} has {header.width} x {header.height} pixels, more than the limit of {options.max_pixels:,}",
                hint=f"if the file can be trusted, --max-pixels {pixels} lets it in",
            )
        self._header = _with_profile_notes(header)
        turned = header.orientation >= 5
        width, height = (header.height, header.width) if turned else (header.width, header.height)
        self.info = SourceInfo("still", width, height, notes=self._header.notes)

    def __iter__(self) -> Iterator[Frame]:
        pixels = _read_bmp(self.path) if self._kind == "bmp" else _attempt(self.path, self._kind, _read)
        yield _frame(self.path, _codes(self.path, pixels), self._header)

    def close(self) -> None:
        """Nothing stays open: each reading opens the file for itself."""


def _open(path: Path, kind: str, fail_on: str) -> Any:
    """The lazy image; libvips reads its header now."""
    # Naming the loader keeps libvips from guessing, and from reading options out of a file name such as "a[1].jpg".
    return pyvips.Operation.call(f"{kind}load", os.fsencode(path), access="sequential", fail_on=fail_on)


def _read(path: Path, kind: str, fail_on: str) -> Plane:
    """(H, W, C): grey or RGB, with or without alpha, in the file's own profile unless that is CMYK or Lab."""
    return vips.to_pixels(_plain(_open(path, kind, fail_on)))


def _attempt(path: Path, kind: str, action: Callable[[Path, str, str], ResultT]) -> ResultT:
    """``action``, with libvips' refusal as an InputError.

    All threads share one error buffer, and each error empties it. So a refusal is asked for again while no other file
    is being read: only then is the reason this file's.
    """
    # For JPEG, made-up pixels are only a warning; for the others a warning is an odd tag.
    fail_on = "warning" if kind == "jpeg" else "error"
    with contextlib.suppress(pyvips.Error), _readers:
        return action(path, kind, fail_on)
    with _refusals, contextlib.ExitStack() as alone:
        for _ in range(_MOST_READERS):
            alone.enter_context(_readers)
        vips.forget_complaints()
        try:
            return action(path, kind, fail_on)
        except pyvips.Error as error:
            said = vips.complaints(error)
    if kind == "jpeg" and said and all(_HARMLESS_JPEG.search(line) for line in said):
        with contextlib.suppress(pyvips.Error), _readers:
            return action(path, kind, "error")
    raise _refusal(path, kind, said[-1] if said else "its data make no sense")


def _refusal(path: Path, kind: str, reason: str) -> InputError:
    name = {"webp": "WebP", "heif": "HEIC or AVIF"}.get(kind, kind.upper())
    if kind == "heif" or "unsupported" in reason.lower():
        return InputError(f"{path} is a {name} that libvips cannot read ({reason})", hint=_UNREADABLE)
    return InputError(f"{path} is a damaged or cut-off {name} ({reason})", hint=_DAMAGED)


def _plain(image: Any) -> Any:
    """CMYK and Lab become sRGB; channels beyond alpha go."""
    if image.interpretation == "cmyk":
        ink = image.extract_band(0, n=4).copy()
        if not _ink_profile(image):
            ink.remove("icc-profile-data")
        return vips.transform(ink)
    if image.interpretation in ("lab", "labs"):
        return image.extract_band(0, n=3).colourspace("srgb" if image.interpretation == "lab" else "rgb16")
    return image.extract_band(0, n=4) if image.bands > 4 else image


def _ink_profile(image: Any) -> bytes | None:
    """A CMYK picture's own profile, where it can be used."""
    profile = _field(image, "icc-profile-data", None)
    return profile if profile and vips.profile_space(profile) == "CMYK" and vips.is_usable(profile) else None


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


def _header(path: Path, kind: str, image: Any) -> _Header:
    notes = []
    pages = _field(image, "n-pages", 1)
    if pages > 1:
        notes.append(f"first of {pages} {'pages' if kind == 'tiff' else 'frames'}")
    if kind == "tiff" and metadata.tiff_has_exif(path):
        notes.append("its EXIF is left out: of a TIFF only XMP, IPTC and description are read")
    profile = _field(image, "icc-profile-data", None)
    interpretation, form = image.interpretation, image.format
    if interpretation == "cmyk":
        own = _ink_profile(image)
        through = f"its profile {vips.profile_name(own)!r}" if own else "a standard profile, as it has none to use"
        notes.append(f"CMYK converted to sRGB through {through}")
        profile = vips.srgb_profile()
    elif interpretation in ("lab", "labs"):
        notes.append("CIE Lab converted to sRGB")
        profile = vips.srgb_profile()
    elif form in ("float", "double") and interpretation != "xyz" and image.bands <= 4:
        notes.append("floating-point values 0..1 read as 16-bit sRGB codes")
    elif form not in ("uchar", "ushort") or (image.bands > 4 and interpretation not in ("srgb", "rgb16")):
        raise InputError(
            f"{path} has {image.bands} channels of {form} values ({interpretation}), which is no photograph's format",
            hint="save it as 8 or 16-bit grey or RGB",
        )
    elif image.bands > 4:
        notes.append(f"{image.bands - 4} extra channels left out")
    extra: dict[str, Any] = {"xres": image.xres, "yres": image.yres}
    extra["resolution-unit"] = _field(image, "resolution-unit", None)
    try:
        extra["texts"] = {name: _field(image, name, "") for name in image.get_fields() if _TEXTS.match(name)}
    except UnicodeDecodeError:  # a PNG's keyword in Latin-1, which pyvips does not read
        notes.append("its text comments are not UTF-8 and are left out")
    if any("\ufffd" in text for text in extra.get("texts", {}).values()):  # a PNG's text in Latin-1, read by libvips
        notes.append("letters of its text comments that are not UTF-8 are left out")
    # libheif turns the picture itself: its orientation is a property of the container, not of EXIF.
    orientation = 1 if kind == "heif" else _field(image, "orientation", 1)
    if orientation >= 5:
        extra["xres"], extra["yres"] = image.yres, image.xres
    exif = _field(image, "exif-data", None)
    kept = Metadata(
        exif=metadata.upright(exif, orientation >= 5) if exif else None,
        xmp=_field(image, "xmp-data", None),
        iptc=_field(image, "iptc-data", None),
        extra=extra,
    )
    return _Header(image.width, image.height, orientation, profile, kept, tuple(notes))


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default


def _with_profile_notes(header: _Header) -> _Header:
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
        notes.append(f"profile {vips.profile_name(profile)!r} kept; colorized in sRGB and converted back")
    return replace(header, profile=profile, notes=tuple(notes))


def _frame(path: Path, pixels: Plane, header: _Header) -> Frame:
    planes = list(cv2.split(pixels)) if pixels.shape[2] > 1 else [pixels[:, :, 0]]
    alpha = planes.pop() if len(planes) in (2, 4) else None
    bits = 8 if pixels.dtype == np.uint8 else 16
    if len(planes) == 3 and _equal(planes):
        planes = planes[:1]
    planes, profile = _in_srgb(planes, header.profile, bits)
    planes = [_turned(plane, header.orientation) for plane in planes]
    colour = (planes[0], planes[1], planes[2]) if len(planes) == 3 else None
    return Frame(
        luma=planes[0] if colour is None else color.grey(colour, "rec601"),
        encoding=Encoding("rgb", bits),
        colour=colour,
        alpha=None if alpha is None else _turned(alpha, header.orientation),
        origin=path,
        metadata=replace(header.metadata, icc=profile),
    )


def _equal(planes: list[Plane]) -> bool:
    """Whether three channels are one; a sparse look first spares most colour pictures the full one."""
    red, green, blue = planes
    sparse = (slice(None, None, 16), slice(None, None, 16))
    if not (np.array_equal(red[sparse], green[sparse]) and np.array_equal(green[sparse], blue[sparse])):
        return False
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _in_srgb(planes: list[Plane], profile: bytes | None, bits: int) -> tuple[list[Plane], bytes | None]:
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


def _turned(plane: Plane, orientation: int) -> Plane:
    """EXIF orientation (EXIF 2.32, table 4) applied."""
    if orientation >= 5:
        plane = plane.T
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)


def _bmp_header(path: Path) -> _Header:
    with open(path, "rb") as file:
        head = file.read(54)
    core = head[14:18] == b"\x0c\0\0\0"
    if len(head) < (26 if core else 54):
        raise InputError(f"{path} is a damaged or cut-off BMP (its header is incomplete)", hint=_DAMAGED)
    if core:
        width, height = _integer(head, 18, 2, False), _integer(head, 20, 2, False)
        bits, compression = _integer(head, 24, 2, False), 0
        extra: Mapping[str, Any] = {}
    else:
        width, height = _integer(head, 18, 4, True), abs(_integer(head, 22, 4, True))
        bits, compression = _integer(head, 28, 2, False), _integer(head, 30, 4, False)
        extra = {"xres": _integer(head, 38, 4, False) / 1000, "yres": _integer(head, 42, 4, False) / 1000}
    if width < 1 or height < 1:
        raise InputError(f"{path} is a damaged BMP (it claims {width} x {height} pixels)", hint=_DAMAGED)
    needed = _integer(head, 10, 4, False) + (width * bits + 31) // 32 * 4 * height
    if compression in _BMP_STORED and os.path.getsize(path) < needed:
        raise InputError(f"{path} is a cut-off BMP ({os.path.getsize(path)} of {needed} bytes)", hint=_DAMAGED)
    return _Header(width, height, metadata=Metadata(extra=extra))


def _integer(data: bytes, at: int, size: int, signed: bool) -> int:
    return int.from_bytes(data[at : at + size], "little", signed=signed)


def _read_bmp(path: Path) -> Plane:
    """(H, W, C) uint8, as ``_read``."""
    data = np.fromfile(path, np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint8:
        raise InputError(f"{path} is a damaged BMP, or of a rare variant", hint=_DAMAGED)
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.shape[2] == 4 and pixels[:, :, 3].any():
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))
    # 32-bit BMPs mostly leave the fourth byte at zero, unused.
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[:, :, :3]), cv2.COLOR_BGR2RGB))
