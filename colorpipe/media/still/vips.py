"""libvips, set up once, and the ICC work done with it.

Importing this module loads libvips: import it where a picture is opened, never at start-up.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import struct
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from colorpipe.media.still import icc

# Loaders that libvips itself does not hold fit for hostile files stay out of reach, whatever the build has.
pyvips.block_untrusted_set(True)
# The cache answers from a file's former content when a path is written anew, and no picture here is opened twice.
pyvips.cache_set_max(0)
# Several readers and writers run at once: parallelism comes from them.
pyvips.concurrency_set(2)
# Its warnings come back as errors through fail_on; as log lines they would be noise without a file's name.
logging.getLogger("pyvips").setLevel(logging.CRITICAL)

Plane = NDArray[Any]
_FORMATS = {"uint8": ("uchar", "b-w", "srgb"), "uint16": ("ushort", "grey16", "rgb16")}
# Photographers' default: colours in gamut stay exact, and black meets black.
_INTENT: dict[str, Any] = {"intent": "relative", "black_point_compensation": True}
_SRGB_TOLERANCE = 1.5 / 255
"""Compact sRGB profiles approximate the curve to about one 8-bit code."""


class _Turns:
    """Turns in libvips: many callers at once, or one alone.

    libvips keeps one buffer of error texts for the whole process: each failure appends to it, or empties it, whoever
    asks. Whether a call failed is each call's own; why it failed can be read only while nobody else is in libvips.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = 0
        """How many wait for, or have, a turn alone."""
        self._busy = False
        self._mine = threading.local()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """A turn beside others; within one's own turn of either kind it costs nothing."""
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._changed:
                self._changed.wait_for(lambda: not self._alone)
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A turn that nobody shares. Not to be asked for within a shared one."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._inside and not self._busy)
            self._busy = True
        self._mine.depth = 1
        try:
            yield
        finally:
            self._mine.depth = 0
            with self._changed:
                self._alone -= 1
                self._busy = False
                self._changed.notify_all()


_turns = _Turns()
shared, alone = _turns.shared, _turns.alone
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def guarded(function: FunctionT) -> FunctionT:
    """Make a function that calls libvips do so in a shared turn, so that others can ask for one alone."""

    @functools.wraps(function)
    def within(*arguments: Any, **options: Any) -> Any:
        with shared():
            return function(*arguments, **options)

    return cast(FunctionT, within)


def complaints(error: pyvips.Error) -> list[str]:
    """The messages of libvips, a short phrase each, without the names of its parts."""
    lines = [line.strip() for line in (error.detail or "").splitlines()]
    # pyvips asks libvips for its own Python names first, and each question leaves such a line.
    lines = [line for line in lines if line and "no property named" not in line]
    return [re.sub(r"^[\w-]+: ", "", line)[:120] for line in lines]


def reason(error: pyvips.Error) -> str:
    """Its last word: earlier lines may have been left by other files."""
    return (complaints(error) or ["its data make no sense"])[-1]


def forget_complaints() -> None:
    """Empty the error buffer, which all threads share and which also keeps warnings of successful calls."""
    pyvips.vips_lib.vips_error_clear()


def takes_name(path: Path) -> bool:
    """Whether libvips can be given a file by its name: not where it would read options out of it, as of ``a[1].jpg``,
    and not where it is no Unicode."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return "[" not in path.name


@guarded
def from_pixels(pixels: Plane) -> Any:
    """(H, W) or (H, W, C) uint8 or uint16 -> an image over the same memory; 1 or 2 channels are grey, more are RGB."""
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    kind, grey, colour = _FORMATS[str(pixels.dtype)]
    contiguous = np.ascontiguousarray(pixels)
    image = pyvips.Image.new_from_memory(contiguous.data, width, height, bands, kind)
    return image.copy(interpretation=grey if bands < 3 else colour)


@guarded
def to_pixels(image: Any) -> Plane:
    """An image -> (H, W, C), decoded now.

    Raises:
        pyvips.Error: it cannot be decoded.
    """
    pixels: Plane = image.numpy()
    return pixels.reshape(image.height, image.width, image.bands)


@guarded
def set_blob(image: Any, name: str, blob: bytes) -> None:
    image.set_type(pyvips.GValue.blob_type, name, blob)


@lru_cache(maxsize=1)
@guarded
def srgb_profile() -> bytes:
    return bytes(pyvips.Operation.call("profile_load", "srgb"))


def profile_space(profile: bytes) -> str | None:
    """``RGB``, ``GRAY``, ``CMYK`` ...; None if it is no ICC profile (ICC.1:2022, section 7.2)."""
    if len(profile) < 132 or profile[36:40] != b"acsp" or int.from_bytes(profile[:4], "big") > len(profile):
        return None
    return profile[16:20].decode("latin-1").strip()


def profile_name(profile: bytes) -> str:
    """The profile's own description, for a person; ``unnamed`` where it cannot be read."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for index in range(min(count, 100)):
            tag, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            if tag == b"desc":
                return _description(profile[start : start + size]) or "unnamed"
    except struct.error:
        pass
    return "unnamed"


def _description(data: bytes) -> str:
    if data[:4] == b"mluc":
        length, start = struct.unpack_from(">II", data, 20)
        text = data[start : start + length].decode("utf-16-be", "replace")
    else:
        (length,) = struct.unpack_from(">I", data, 8)
        text = data[12 : 12 + length].decode("latin-1")
    return " ".join("".join(c for c in text if c.isprintable()).split())[:80]


@lru_cache(maxsize=16)
@guarded
def is_usable(profile: bytes) -> bool:
    """Whether colours can be taken out of an RGB, GRAY or CMYK profile and, for an RGB one, put back."""
    space = profile_space(profile)
    channels = {"GRAY": 1, "RGB": 3, "CMYK": 4}.get(space or "", 0)
    if not channels:
        return False
    image = from_pixels(np.zeros((1, 1, channels), np.uint8))
    if space == "CMYK":
        image = image.copy(interpretation="cmyk")
    set_blob(image, "icc-profile-data", profile)
    try:
        to_pixels(transform(image))
        if space == "RGB":
            to_pixels(from_srgb(np.zeros((1, 1, 3), np.uint8), profile))
    except pyvips.Error:
        return False
    return True


@lru_cache(maxsize=16)
@guarded
def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile means sRGB, within rounding, over a 9 x 9 x 9 grid of colours."""
    steps = np.linspace(0, 65535, 9).round().astype(np.uint16)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    apart = np.abs(to_srgb(grid, profile).astype(np.int32) - grid)
    return bool(apart.max() <= _SRGB_TOLERANCE * 65535)


@lru_cache(maxsize=16)
@guarded
def grey_table(profile: bytes, bits: int) -> Plane | None:
    """Grey codes of a GRAY or RGB profile -> sRGB grey codes, (2**bits,); None where they agree within rounding."""
    ramp = np.arange(1 << bits, dtype=np.uint8 if bits == 8 else np.uint16)
    codes = ramp.reshape(1, -1) if bits == 8 else ramp.reshape(256, -1)
    if profile_space(profile) == "RGB":
        codes = np.repeat(codes[:, :, None], 3, axis=2)
    table = to_srgb(codes, profile)[:, :, 1].ravel()
    apart = np.abs(table.astype(np.int32) - ramp)
    return None if apart.max() <= _SRGB_TOLERANCE * ((1 << bits) - 1) else table


@guarded
def to_srgb(pixels: Plane, profile: bytes) -> Plane:
    """Pixels of a profile -> (H, W, 3) sRGB of the same dtype."""
    exact = icc.matrix_profile(profile) if pixels.dtype == np.uint16 and pixels.ndim == 3 else None
    if exact is not None:
        return icc.to_srgb(pixels, exact)
    image = from_pixels(pixels)
    set_blob(image, "icc-profile-data", profile)
    return to_pixels(transform(image))


@guarded
def transform(image: Any) -> Any:
    """An image with an embedded profile (CMYK ones may lack it) -> sRGB of the same depth.

    Without a profile of its own, CMYK is read through libvips' stand-in for coated paper.
    """
    depth = 8 if image.format == "uchar" else 16
    fallback = "cmyk" if image.interpretation == "cmyk" else "srgb"
    return image.icc_transform("srgb", embedded=True, input_profile=fallback, depth=depth, **_INTENT)


@guarded
def from_srgb(pixels: Plane, profile: bytes) -> Any:
    """(H, W, 3 or 4) sRGB codes -> an image in the code values of an RGB profile, which it carries from then on."""
    exact = icc.matrix_profile(profile) if pixels.dtype == np.uint16 else None
    if exact is not None:
        image = from_pixels(icc.from_srgb(pixels, exact))
        set_blob(image, "icc-profile-data", profile)
        return image
    depth = 8 if pixels.dtype == np.uint8 else 16
    connected = from_pixels(pixels).icc_import(input_profile="srgb", **_INTENT).copy()
    set_blob(connected, "icc-profile-data", profile)
    return connected.icc_export(depth=depth, **_INTENT)
