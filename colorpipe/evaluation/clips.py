"""A film as a protocol presents it: the grey frames to colorize, and the ground truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from colorpipe import color
from colorpipe.errors import InputError
from colorpipe.evaluation.protocol import Protocol
from colorpipe.media import open_source
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Lab

SIXTEEN_BITS = Encoding("rgb", 16)
NEUTRAL = 1.0
"""Standard deviation of a clip's chroma, 8-bit codes, up to which it is grey, or evenly tinted: of the old films at
hand up to 0.02, of the palest colour clip 3."""


@dataclass(frozen=True)
class Clip:
    """One film under a protocol."""

    path: Path
    greys: tuple[Frame, ...]
    """The input of a method: the film's own encoding, no colour."""
    truths: tuple[Frame, ...]
    """The same frames with their colour, where the film has any."""
    reference: Lab | None = None
    """Always None: nothing is learned from a film's colours."""

    @property
    def has_colour(self) -> bool:
        return self.truths[0].colour is not None

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(plane.nbytes for frame in self.truths for plane in (frame.luma, *(frame.colour or ())))


def read(path: Path, protocol: Protocol, media: MediaOptions) -> Clip:
    """A film as a clip.

    Raises:
        InputError: it cannot be read, or is a picture.
    """
    with open_source(path, media) as source:
        if source.info.medium != "video":
            raise InputError(f"{path} is a picture; {protocol.name} compares films", hint="name a protocol of pictures")
        frames = [_shrunk(frame, protocol.side) for frame in islice(source, protocol.frames)]
    greys = tuple(replace(frame, colour=None) for frame in frames)
    return Clip(path, greys, tuple(frames) if _coloured(frames) else greys)


def in_rgb(frame: Frame) -> Frame:
    """A film's frame in sRGB; without colour where it has none.

    In 16 bits: rounding to 8 would add 0.03 CIE units of flicker, of 0.26 that carried colour has.
    """
    luma = color.to_codes(color.grey_plane(frame), SIXTEEN_BITS)
    colour = None
    if frame.colour is not None:
        colour = tuple(np.moveaxis(color.to_codes(color.rgb(frame), SIXTEEN_BITS), -1, 0))
    return Frame(luma, SIXTEEN_BITS, colour, index=frame.index, pts=frame.pts, origin=frame.origin)


def _shrunk(frame: Frame, side: int | None) -> Frame:
    """Its planes with the shorter side of the luma at most ``side``."""
    scale = 1.0 if side is None else min(1.0, side / min(frame.luma.shape))
    height, width = (max(1, round(length * scale)) for length in frame.luma.shape)
    planes = None
    if frame.colour is not None:
        rows, columns = frame.encoding.chroma_shape(height, width)
        planes = tuple(_resized(plane, rows, columns) for plane in frame.colour)
    return replace(frame, luma=_resized(frame.luma, height, width), colour=planes, alpha=None)


def _resized(plane: color.Plane, height: int, width: int) -> color.Plane:
    """A plane averaged over whole pixels' areas. Always a copy: the decoder's own planes hold its whole picture."""
    if plane.shape == (height, width):
        return np.array(plane)
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))


def _coloured(frames: list[Frame]) -> bool:
    """Whether the chroma differs from place to place, or from frame to frame."""
    for channel in range(2):
        planes = [frame.colour[channel] for frame in frames if frame.colour is not None]
        if planes and float(np.std(planes)) > NEUTRAL * 2 ** (frames[0].encoding.bits - 8):
            return True
    return False
