"""Small copies of pictures and films, to look at and to measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.errors import InputError
from colorpipe.media import open_source, sniff
from colorpipe.settings import MediaOptions
from colorpipe.temporal.flicker import Flicker, FlickerMeter
from colorpipe.types import Encoding, Frame

RGB = NDArray[np.uint8]
"""(H, W, 3) sRGB codes."""
BEHIND = 119
"""Code of what shows through where a picture is transparent: mid-grey, L 50."""
PIECES = 4
"""Seconds of a film that are looked at, and frames of it that are shown."""
_SHRUNK_BY_VIPS = frozenset({"jpeg", "png", "tiff", "webp"})
"""Kinds whose reading libvips shortens; the others are decoded whole."""
_EIGHT_BITS = Encoding("rgb", 8)


@dataclass(frozen=True)
class Still:
    """A picture, small."""

    rgb: RGB
    damage: str = ""
    """What is wrong with the file, where a part of it could be decoded."""


def still(path: Path, side: int) -> Still:
    """A picture with its longer side at most ``side``; of a damaged one what can be decoded.

    Raises:
        InputError: it is not there, no picture, or nothing of it can be decoded.
    """
    kind = sniff.kind_of(path)
    if kind not in sniff.STILLS:
        raise sniff.refusal(path, kind)
    quick = _by_vips(path, side) if kind in _SHRUNK_BY_VIPS else None
    if quick is not None:
        return Still(quick)
    try:
        with open_source(path, MediaOptions()) as source:
            return Still(_small(next(iter(source)), side))
    except InputError:
        with open_source(path, MediaOptions(damaged=True)) as source:
            frame = next(iter(source))
            return Still(_small(frame, side), str(frame.metadata.extra.get("damage", "damaged")))


def _by_vips(path: Path, side: int) -> RGB | None:
    """None where libvips complains of anything: then the careful reader decides."""
    import pyvips

    from colorpipe.media.still import vips

    with vips.shared():
        try:
            options = {"height": side, "size": "down", "fail_on": "warning", "export_profile": "srgb"}
            if vips.takes_name(path):
                image = pyvips.Image.thumbnail(str(path), side, **options)
            else:
                image = pyvips.Image.thumbnail_buffer(path.read_bytes(), side, **options)
            if image.format not in ("uchar", "ushort"):
                return None
            image = image.colourspace("srgb")
            if image.hasalpha():
                image = image.flatten(background=[BEHIND] * 3)
            image = image.cast("uchar")[0:3]
            if image.bands != 3:
                return None
            return np.ascontiguousarray(np.asarray(image.numpy(), np.uint8))
        except pyvips.Error:
            return None


def _small(frame: Frame, side: int) -> RGB:
    rgb = color.rgb(frame)
    if frame.alpha is not None:
        cover = (frame.alpha / np.float32(frame.encoding.peak))[..., None]
        rgb = np.asarray(rgb * cover + (1 - cover) * np.float32(BEHIND / 255), np.float32)
    factor = min(1.0, side / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor))
    shrunk = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if factor < 1 else rgb
    return np.asarray(color.to_codes(np.asarray(shrunk, np.float32), _EIGHT_BITS), np.uint8)


@dataclass(frozen=True)
class Film:
    """Frames of a film's result, small, and how steady its colour is in them."""

    colour: tuple[RGB, ...]
    grey: tuple[RGB, ...]
    """The same frames without colour."""
    flicker: Flicker | None


def film(path: Path, side: int) -> Film:
    """``PIECES`` frames, spread over a film, with the second that follows each measured.

    Raises:
        InputError: it is no film, or not one frame of it can be decoded.
    """
    colour, grey = [], []
    meter = FlickerMeter()
    for number, (frame, first) in enumerate(_pieces(path)):
        shrunk = _shrunk(frame, side)
        rgb = _small(shrunk, side)
        if first:
            meter.cut()
            colour.append(rgb)
            grey.append(_small(replace(shrunk, colour=None), side))
        ab = color.rgb_to_lab(rgb.astype(np.float32) / np.float32(255)).ab
        assert ab is not None
        meter.add(np.asarray(ab, np.float32), frame.luma, frame.encoding.bits, frame.index or number)
    if not colour:
        raise InputError(f"{path}: not one frame could be decoded")
    return Film(tuple(colour), tuple(grey), meter.found())


def _pieces(path: Path) -> Iterator[tuple[Frame, bool]]:
    """Frames, and whether one begins a piece."""
    with open_source(path, MediaOptions(), preview=float(PIECES)) as source:
        if source.info.medium != "video":
            raise InputError(f"{path} is no film")
        for number, frame in enumerate(source):
            yield frame, number == 0 or bool(frame.metadata.extra.get("cut"))


def _shrunk(frame: Frame, side: int) -> Frame:
    """A film's frame with small planes, all of one size: far fewer pixels are then turned into RGB."""
    factor = min(1.0, side / max(frame.height, frame.width))
    size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    luma, *planes = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
        for plane in (frame.luma, *(frame.colour or ()))
    )
    encoding = replace(frame.encoding, subsampling=(0, 0))
    return replace(frame, luma=luma, encoding=encoding, colour=tuple(planes) or None, alpha=None)


def mosaic(frames: tuple[RGB, ...]) -> RGB:
    """Frames of one size, two beside each other."""
    rows = [np.hstack(frames[at : at + 2]) for at in range(0, len(frames) - len(frames) % 2, 2)]
    return np.vstack(rows) if rows else frames[0]


def without_colour(rgb: RGB) -> RGB:
    """The BT.601 grey of a picture, (H, W, 3)."""
    return np.asarray(np.dstack([cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)] * 3), np.uint8)


def beside(before: RGB, after: RGB, side: int) -> RGB:
    """Two pictures side by side, each at most ``side`` long, as large as the second one."""
    factor = min(1.0, side / max(after.shape[:2]))
    size = max(1, round(after.shape[1] * factor)), max(1, round(after.shape[0] * factor))
    both = [np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.uint8) for one in (before, after)]
    return np.hstack(both)


def jpeg(rgb: RGB, quality: int) -> bytes:
    """A JPEG with its chroma at full resolution."""
    options: list[Any] = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], options)
    assert done
    return bytes(data)
