"""A picture file as a protocol presents it: the grey to colorize, and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.color import resample
from colorpipe.errors import InputError
from colorpipe.evaluation.protocol import Protocol, Region
from colorpipe.media import open_source
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Lab

RGB = NDArray[np.uint8]
"""(H, W, 3) sRGB codes."""
IMAGE_SIDE, STRIP_SIDE = 512, 1600
"""Pixels of the longer side of copies to look at, at most: of a picture, of a film's frames."""
STRIP = 5
"""Frames of a film to look at."""
EIGHT_BITS = Encoding("rgb", 8)


@dataclass(frozen=True)
class Case:
    """One picture under a protocol."""

    path: Path
    grey: Frame
    """The input of a method: 8 bits, no colour."""
    truth: Frame
    """The same place of the picture in colour; its luma is the grey that was given."""
    reference: Lab | None
    """The colours that may be learned from."""

    @property
    def greys(self) -> tuple[Frame, ...]:
        return (self.grey,)

    @property
    def truths(self) -> tuple[Frame, ...]:
        return (self.truth,)

    @property
    def has_colour(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.truth.luma.size * (4 if self.reference is None else 16)


def read(path: Path, protocol: Protocol, media: MediaOptions) -> Case:
    """A picture as a case.

    Raises:
        InputError: it cannot be read, or is a film, or grey.
    """
    with open_source(path, media) as source:
        if source.info.medium != "still":
            raise InputError(
                f"{path} is a film; {protocol.name} compares pictures", hint="--protocol video.v1 takes it"
            )
        frame = next(iter(source))
    rgb = _eight_bits(frame)
    if protocol.side is not None:
        rgb = np.dstack([resample.shrink(plane, (protocol.side, protocol.side)) for plane in cv2.split(rgb)])
    grey = _grey(rgb, protocol.grey)
    inside = _slices(protocol.score, grey.shape)
    luma = np.ascontiguousarray(grey[inside])
    colour = tuple(np.ascontiguousarray(rgb[inside][..., channel]) for channel in range(3))
    task = Frame(luma, EIGHT_BITS, origin=path)
    reference = None
    if protocol.learn is not None:
        reference = color.rgb_to_lab(rgb[_slices(protocol.learn, grey.shape)].astype(np.float32) / np.float32(255))
    return Case(path, task, Frame(luma, EIGHT_BITS, colour=colour, origin=path), reference)


def _eight_bits(frame: Frame) -> RGB:
    """The frame's colours in 8 bits, over white where it is transparent."""
    if frame.colour is None:
        raise InputError(f"{frame.origin} is grey", hint="only a colour picture tells how well it was colorized")
    rgb = np.dstack(frame.colour)
    if frame.alpha is None and frame.encoding.bits == 8:
        return rgb
    values = rgb / np.float32(frame.encoding.peak)
    if frame.alpha is not None:
        cover = (frame.alpha / np.float32(frame.encoding.peak))[..., None]
        values = values * cover + (1 - cover)
    return np.asarray(np.rint(values * 255), np.uint8)


@lru_cache(maxsize=1)
def _light() -> color.Float:
    """sRGB code -> linear light 0..1."""
    return color.linear(np.arange(256, dtype=np.float32) / np.float32(255))


def _grey(rgb: RGB, formula: str) -> RGB:
    """(H, W, 3) -> (H, W) grey codes by a protocol's formula."""
    if formula != "lightness":
        red, green, blue = cv2.split(rgb)
        return color.grey((red, green, blue), formula)
    luminance: Any = cv2.transform(color.look_up(_light(), rgb), color.XYZ_FROM_RGB[1:2].astype(np.float32))
    return color.to_codes(color.encode(luminance.reshape(rgb.shape[:2])), EIGHT_BITS)


def _slices(region: Region, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a region."""
    top, left, bottom, right = region
    height, width = shape
    return slice(round(top * height), round(bottom * height)), slice(round(left * width), round(right * width))


def jpeg(frames: Sequence[Frame]) -> bytes:
    """A small copy to look at, its chroma at full resolution; of a film some frames side by side, first to last."""
    numbers = np.unique(np.linspace(0, len(frames) - 1, STRIP).round().astype(int))
    rgb = np.hstack([color.to_codes(color.rgb(frames[number]), EIGHT_BITS) for number in numbers])
    height, width = rgb.shape[:2]
    scale = (IMAGE_SIDE if len(frames) == 1 else STRIP_SIDE) / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88, *sampling])
    assert done
    return bytes(data)
