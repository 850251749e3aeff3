"""Hint files: an RGBA picture beside a photo or film, transparent but where the user painted a colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from colorpipe.color import Float, rgb_to_lab
from colorpipe.errors import InputError
from colorpipe.settings import MediaOptions

ASPECT_TOLERANCE = 0.02
"""Relative; rounding when a hint file was made at another size."""


def beside(photo: Path) -> Path | None:
    """``photo.hints.png`` next to ``photo.jpg``, if there is one; of a film, for its first frame."""
    path = photo.with_name(f"{photo.stem}.hints.png")
    return path if path.is_file() else None


def load(path: Path, picture: tuple[int, int], size: tuple[int, int], options: MediaOptions) -> Float:
    """Hints (3, h, w): a and b in CIE units where something was painted, else 0; mask 0 or 1.

    Args:
        picture: H and W of the photo, or of the film's frames, that the hints are for.
        size: h and w that the network is fed; colours painted within one of its pixels are averaged.

    Raises:
        InputError: unreadable, without transparency, or of another aspect than the picture.
    """
    from colorpipe.media import first_frame

    frame = first_frame(path, options)
    if frame.alpha is None:
        raise InputError(f"{path}: hints need transparency", hint="leave everything transparent but the painted pixels")
    aspect = (frame.width / frame.height) / (picture[1] / picture[0])
    if abs(aspect - 1) > ASPECT_TOLERANCE:
        raise InputError(
            f"{path}: {frame.width}x{frame.height} has another aspect than its picture, {picture[1]}x{picture[0]}"
        )
    planes = frame.colour or (frame.luma,) * 3
    ab = rgb_to_lab((np.dstack(planes) / frame.encoding.peak).astype(np.float32)).ab
    painted = (frame.alpha > frame.encoding.peak // 2).astype(np.float32)
    weighted = np.dstack([np.asarray(ab) * painted[..., None], painted])
    small = np.asarray(cv2.resize(weighted, size[::-1], interpolation=cv2.INTER_AREA))
    share = small[..., 2]
    mask = (share > 0).astype(np.float32)
    mean = small[..., :2] / np.maximum(share, 1e-6)[..., None] * mask[..., None]
    return np.ascontiguousarray(np.dstack([mean, mask]).transpose(2, 0, 1), np.float32)
