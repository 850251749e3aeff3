"""Colours that a picture had before: titles, tints, hand-painted prints. ``--keep-colour`` leaves them as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.types import Frame

FAINT, PLAIN = 10, 20
"""Codes of 255 between which a place goes from grey, as far as noise and a codec leave it grey, to coloured."""
_RIM = 3
"""Pixels around a coloured place that belong to it: chroma is coarser than the edges of what it colours."""


def with_own_colour(made: Frame, own: Sequence[NDArray[np.generic]]) -> Frame:
    """A colorized frame with the source's colours where those are not grey.

    Args:
        made: The frame with new colours.
        own: The source's colour planes, of a still R, G and B, of a film U and V, in its own chroma layout.
    """
    assert made.colour is not None  # it was colorized
    share = coloured(made, own)
    if not share.any():
        return made
    planes = []
    for plane, kept in zip(made.colour, own, strict=True):
        values = _fitted(kept, plane.shape)
        mixed = plane + share * (values - plane.astype(np.float32))
        planes.append(np.where(share >= 1, values, np.rint(mixed)).astype(plane.dtype))
    return replace(made, colour=tuple(planes))


def coloured(frame: Frame, own: Sequence[NDArray[np.generic]]) -> NDArray[np.float32]:
    """How far each place of the frame's colour planes is coloured in the source: (h, w), 0 grey .. 1 coloured."""
    assert frame.colour is not None
    unit = 1 << (frame.encoding.bits - 8)
    planes = [plane.astype(np.float32) for plane in own]
    if frame.encoding.family == "rgb":
        off = np.max(planes, axis=0) - np.min(planes, axis=0)
    else:
        neutral = np.float32(1 << (frame.encoding.bits - 1))
        off = np.max([np.abs(plane - neutral) for plane in planes], axis=0)
    off = cv2.dilate(off, np.ones((_RIM, _RIM), np.uint8))
    share = np.clip((off / unit - FAINT) / (PLAIN - FAINT), 0, 1)
    return np.asarray(_fitted(share, frame.colour[0].shape), np.float32)


def _fitted(plane: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = plane.astype(np.float32)
    if values.shape == shape:
        return values
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
