"""What a JPEG, WebP or AVIF does to grey at a file's own quality: measured, by storing the exact picture once more.

The exact picture has the source's grey and the colours of the result. It is written at the quality that the result
has: a JPEG's from its tables, another's by the size of the file.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from colorpipe import color
from colorpipe.color import Keep
from colorpipe.errors import ColorpipeError
from colorpipe.media import sniff
from colorpipe.media.still.sink import StillSink
from colorpipe.media.still.source import open_still
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame
from colorpipe.verification import decoded
from colorpipe.verification.drift import NEAR, WIDE, Drift, Most

NAMES = {"jpeg": "JPEG", "webp": "WebP", "heif": "AVIF"}
SUFFIXES = {"jpeg": ".jpg", "webp": ".webp", "heif": ".avif"}
_ALIKE = 0.02
"""Part by which the sizes of two files of one quality differ: the trial's colours were stored once before."""


def lossy_format(path: Path) -> str | None:
    """``JPEG``, ``WebP`` or ``AVIF`` for a file that holds its picture with loss, by its content; else None."""
    kind = sniff.kind_of(path)
    if kind == "webp" and "VP8L" in _chunks(path.read_bytes()):
        return None
    return NAMES.get(kind)


def _chunks(riff: bytes) -> list[str]:
    """Names of a RIFF file's chunks."""
    names, at = [], 12
    while at + 8 <= len(riff):
        name, size = struct.unpack_from("<4sI", riff, at)
        names.append(name.decode("latin-1"))
        at += 8 + size + size % 2
    return names


def most_by_trial(
    source: Frame, result: Frame, seen: Frame, path: Path, keep: Keep, drift: Callable[[Frame], Drift]
) -> Most | None:
    """The most that the format of ``path`` does to the source's grey at the quality of that file.

    Args:
        source, result: The pictures as they were decoded, of one size.
        seen: The result as ``run``'s reader has it, for its metadata.
        drift: Measures a picture against the source.

    Returns:
        None where the trial cannot be made: the file is of a kind that is not written here.
    """
    exact = _exact(source, result, seen, keep)
    kind = sniff.kind_of(path)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / f"trial{SUFFIXES[kind]}"
            stored(exact, path, place)
            with open_still(place, MediaOptions(max_pixels=1 << 40)) as still:
                (frame,) = still
            measured = drift(decoded.apart(place, frame))
    except (ColorpipeError, decoded.NotDecodedError, OSError):
        return None
    # Twice stored chroma, and a quality that is found within a step, leave these margins; seen were at most a third.
    return Most(
        noise=1.25 * measured.noise + 0.25,
        shift=abs(measured.shift) + 0.15,
        near=1.3 * measured.square(NEAR) + 0.9,
        wide=1.25 * measured.square(WIDE) + 0.6,
    )


def stored(exact: Frame, like: Path, place: Path) -> int:
    """Write a picture at the quality of the file ``like``. Returns that quality, 1..100."""
    if sniff.kind_of(like) == "jpeg":
        quality = jpeg_quality(like)
        _store(exact, place, quality)
        return quality
    wanted = like.stat().st_size

    def size(quality: int) -> int:
        _store(exact, place, quality)
        return place.stat().st_size

    usual = MediaOptions().quality
    if abs(size(usual) - wanted) <= _ALIKE * wanted:
        return usual
    quality = _nearest(size, wanted)
    size(quality)
    return quality


def jpeg_quality(path: Path) -> int:
    """The quality whose table for lightness is nearest to that of a JPEG, 1..100."""
    wanted = _steps(decoded.opened(path, "jpeg"))
    grey = pyvips.Image.black(8, 8).cast("uchar")

    def steps(quality: int) -> float:
        return -_steps(decoded.PICTURES["jpeg"](io.BytesIO(grey.jpegsave_buffer(Q=quality))))

    return _nearest(steps, -wanted)


def _steps(picture: Any) -> float:
    return float(np.mean(picture.quantization[0]))


def _nearest(rising: Callable[[int], float], wanted: float) -> int:
    """The quality 1..100 at which a function that rises with it is nearest to a value."""
    low, high = 1, 100
    found: dict[int, float] = {}
    while low <= high:
        middle = (low + high) // 2
        found[middle] = rising(middle)
        if found[middle] == wanted:
            return middle
        low, high = (middle + 1, high) if found[middle] < wanted else (low, middle - 1)
    return min(found, key=lambda quality: abs(found[quality] - wanted))


def _store(frame: Frame, place: Path, quality: int) -> None:
    place.unlink(missing_ok=True)
    with StillSink(place, MediaOptions(quality=quality)) as sink:
        sink.write(frame)


def _exact(source: Frame, result: Frame, seen: Frame, keep: Keep) -> Frame:
    """The source's grey with the colours of the result, at the result's depth."""
    scaled = source.luma * (seen.encoding.peak / source.encoding.peak)
    grey = replace(seen, luma=np.rint(scaled).astype(np.uint8 if seen.encoding.bits == 8 else np.uint16), colour=None)
    planes = result.colour or (result.luma,) * 3

    class Chroma:
        def __getitem__(self, rows: slice, /) -> Any:
            strip = np.dstack([plane[rows] for plane in planes]).astype(np.float32) / np.float32(result.encoding.peak)
            return color.rgb_to_lab(strip).ab

    return color.merge(grey, Chroma(), keep)
