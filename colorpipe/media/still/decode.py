"""Pixels out of picture files through libvips: which file a complaint is about, its meaning, and damaged files."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyvips

from colorpipe.errors import InputError
from colorpipe.media.still import vips
from colorpipe.media.still.vips import Plane

DAMAGED = "restore it from a backup, or repair it with an image editor; --damaged goes on with what can be decoded"
UNREADABLE = "convert it to PNG or 16-bit TIFF first"
# Complaints that leave every pixel in place. The rest (bad Huffman code, premature end of a segment, a missing
# restart marker) mean that part of the picture is made up, so warnings are errors for JPEG.
_HARMLESS_JPEG = re.compile(
    r"extraneous bytes before marker|Invalid SOS parameters|Inconsistent progression|Unknown Adobe|JFIF", re.IGNORECASE
)
_CUT_OFF = re.compile(r"premature end", re.IGNORECASE)
# Messages of libraries about sound files of a kind that they do not support.
_NOT_BUILT_FOR = re.compile(
    r"unsupported|not supported|not configured|not implemented|no codec|unknown compression|can ?not handle|"
    r"support for this|no decod|not compiled|bad number of|unimplemented|unknown .*format|not a whole number of bytes|"
    r"bad \w+ format",
    re.IGNORECASE,
)
_END_OF_JPEG = b"\xff\xd9"
_STRIP = 16
"""Rows of a damaged picture that are asked for at once."""
_NAMES = {"webp": "WebP", "avif": "AVIF", "heif": "HEIC"}
ResultT = TypeVar("ResultT")


class NotBuiltForError(InputError):
    """A sound file of a kind that this library does not read; another may."""


@dataclass(frozen=True)
class Loading:
    """How libvips is to open one file."""

    path: Path
    kind: str
    data: bytes | None = None
    """Bytes that are read in place of the file."""
    options: tuple[tuple[str, int], ...] = ()

    def open(self, fail_on: str, more: bytes = b"") -> Any:
        """The lazy image; libvips reads its header now.

        Args:
            more: Appended to ``data``.
        """
        # Naming the loader keeps libvips from guessing, and from reading options out of a file name such as "a[1].jpg".
        options = {"access": "sequential", "fail_on": fail_on, **dict(self.options)}
        loader = {"avif": "heif"}.get(self.kind, self.kind)
        if self.data is not None or more:
            data = self.path.read_bytes() if self.data is None else self.data
            return pyvips.Operation.call(f"{loader}load_buffer", data + more, **options)
        return pyvips.Operation.call(f"{loader}load", os.fsencode(self.path), **options)

    @property
    def name(self) -> str:
        return _NAMES.get(self.kind, self.kind.upper())

    def refusal(self, reason: str) -> InputError:
        if _NOT_BUILT_FOR.search(reason):
            return NotBuiltForError(
                f"{self.path} is a {self.name} that colorpipe cannot read ({reason})", hint=UNREADABLE
            )
        return InputError(f"{self.path} is a damaged or cut-off {self.name} ({reason})", hint=DAMAGED)


def attempt(loading: Loading, action: Callable[[Any], ResultT]) -> tuple[ResultT, tuple[str, ...]]:
    """``action`` on the image, and notes; libvips' refusal as an InputError.

    All threads share one error buffer, and each error empties it. So a refusal is asked for again while nobody else is
    in libvips: only then is the reason this file's.
    """
    # For JPEG, made-up pixels are only a warning; for the others a warning is an odd tag.
    fail_on = "warning" if loading.kind == "jpeg" else "error"
    with contextlib.suppress(pyvips.Error), vips.shared():
        return action(loading.open(fail_on)), ()
    said = _complaints(loading, action, fail_on)
    if said is None:  # it was not this file that failed
        with vips.shared(), contextlib.suppress(pyvips.Error):
            return action(loading.open(fail_on)), ()
        said = []
    if loading.kind == "jpeg" and said:
        if all(_HARMLESS_JPEG.search(line) for line in said):
            with contextlib.suppress(pyvips.Error), vips.shared():
                return action(loading.open("error")), ()
        if _CUT_OFF.search(said[-1]):
            # With an end mark put behind it, a JPEG that lacks only this decodes without a complaint.
            closed = Loading(loading.path, "jpeg", _with_end(loading), loading.options)
            again = _complaints(closed, action, "warning")
            if again is None or (again and all(_HARMLESS_JPEG.search(line) for line in again)):
                with contextlib.suppress(pyvips.Error), vips.shared():
                    return action(closed.open("error")), ("its end mark is missing; all of its lines are there",)
    raise loading.refusal(said[-1] if said else "its data make no sense")


def _with_end(loading: Loading) -> bytes:
    data = loading.path.read_bytes() if loading.data is None else loading.data
    return data + (b"\xd9" if data[-1:] == b"\xff" else _END_OF_JPEG)


def _complaints(loading: Loading, action: Callable[[Any], object], fail_on: str) -> list[str] | None:
    """The complaints of libvips about this file alone; None if libvips does not refuse it."""
    with vips.alone():
        vips.forget_complaints()
        try:
            action(loading.open(fail_on))
            return None
        except pyvips.Error as error:
            return vips.complaints(error)


def pixels_of(loading: Loading) -> tuple[Plane, tuple[str, ...]]:
    """(H, W, C): the file's own channels and profile, unless that is CMYK or Lab; and notes.

    Raises:
        InputError: it cannot be decoded, wholly.
    """
    return attempt(loading, lambda image: vips.to_pixels(plain(image)))


def what_is_left(loading: Loading, refusal: InputError) -> tuple[Plane, int]:
    """Pixels of a damaged picture, as ``pixels_of`` gives them, mid-grey where lost; and the count of decoded rows.

    Raises:
        InputError: nothing of it can be decoded.
    """
    with vips.shared():
        try:
            if loading.kind == "jpeg":  # libjpeg fills what it has not got with this very grey
                pixels = vips.to_pixels(plain(loading.open("none")))
                rows = _rows_before_grey(pixels)
                if not rows:
                    raise refusal
                return pixels, rows
            return _by_strips(loading)
        except pyvips.Error:
            raise refusal from None


def _rows_before_grey(pixels: Plane) -> int:
    grey = 128 if pixels.dtype == np.uint8 else 32768
    flat = np.asarray((np.abs(pixels.astype(np.int32) - grey) <= 1).all(axis=(1, 2)))
    missing = int(np.argmin(flat[::-1])) if not flat.all() else len(flat)
    return len(flat) - missing


def _by_strips(loading: Loading) -> tuple[Plane, int]:
    """Rows from the top down to the first that cannot be decoded."""
    image = plain(loading.open("error"))
    form, grey = {"uchar": ("u1", 128.0), "ushort": ("u2", 32768.0), "float": ("f4", 0.5)}.get(image.format, ("", 0.0))
    if not form:
        raise pyvips.Error("of another format")
    pixels = np.full((image.height, image.width, image.bands), grey, form)
    region = pyvips.Region.new(image)
    rows = 0
    while rows < image.height:
        height = min(_STRIP, image.height - rows)
        try:
            data = region.fetch(0, rows, image.width, height)
        except pyvips.Error:
            if not rows:
                raise
            break
        pixels[rows : rows + height] = np.frombuffer(data, form).reshape(height, image.width, image.bands)
        rows += height
    return pixels, rows


def plain(image: Any) -> Any:
    """CMYK and Lab become sRGB."""
    if image.interpretation == "cmyk":
        ink = image.extract_band(0, n=4).copy()
        if not ink_profile(image):
            ink.remove("icc-profile-data")
        return vips.transform(ink)
    if image.interpretation in ("lab", "labs"):
        return image.extract_band(0, n=3).colourspace("srgb" if image.interpretation == "lab" else "rgb16")
    return image


def ink_profile(image: Any) -> bytes | None:
    """A CMYK picture's own profile, where it can be used."""
    profile = field(image, "icc-profile-data", None)
    return profile if profile and vips.profile_space(profile) == "CMYK" and vips.is_usable(profile) else None


def field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default
