"""Hint files: what a person has painted on a picture, read, checked and written.

``NAME.hints.png`` is an RGBA picture, transparent but where something was painted. ``NAME.hints.json`` holds points and
strokes; docs/hints.md specifies it. Both become ``Hints`` at the size that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float, rgb_to_lab
from colorpipe.errors import InputError
from colorpipe.guidance import colours
from colorpipe.guidance.strokes import Stroke, read_strokes
from colorpipe.settings import MediaOptions

ASPECT_TOLERANCE = 0.02
"""Relative; rounding when a hint file was made at another size."""
LEAST_ALPHA = 0.02
"""Share of full opacity below which a pixel counts as unpainted: editors' erasers leave such traces."""


@dataclass(frozen=True)
class Hints:
    """Painted places of a picture, at some size (h, w)."""

    ab: Float
    """(h, w, 2) CIE units; 0 where nothing is painted."""
    weight: Float
    """(h, w) 0..1: how far the colour is moved to ``ab``; 0 where nothing is painted."""
    keep: NDArray[np.bool_]
    """(h, w): where the method's own colour is kept. ``weight`` is 0 there."""

    @classmethod
    def none(cls, size: tuple[int, int]) -> Hints:
        """The hints of a picture on which nothing is painted."""
        return cls(np.zeros((*size, 2), np.float32), np.zeros(size, np.float32), np.zeros(size, np.bool_))

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return bool(self.keep.any() or (self.weight > 0).any())

    def over(self, other: Hints) -> Hints:
        """These hints, and the other's where these are empty."""
        there = (self.weight > 0) | self.keep
        return Hints(
            np.where(there[..., None], self.ab, other.ab),
            np.where(there, self.weight, other.weight),
            np.where(there, self.keep, other.keep),
        )

    def for_network(self) -> Float | None:
        """(3, h, w): a, b and a mask 0 or 1, as ``Batch.hints`` holds them; None where no colour is painted."""
        mask = (self.weight > 0.5).astype(np.float32)
        if not mask.any():
            return None
        return np.ascontiguousarray(np.dstack([self.ab * mask[..., None], mask]).transpose(2, 0, 1), np.float32)


# --- to hints of a size -----------------------------------------------------------------------------------------------


def load(path: Path, picture: tuple[int, int], size: tuple[int, int], options: MediaOptions, frame: int = 0) -> Hints:
    """A hint file at the size that is asked for.

    Args:
        picture: H and W of the upright photo, or of the film's frames, that the hints are for.
        size: h and w of the result.
        frame: Of a film; of a ``.hints.json`` the strokes on that frame are taken.

    Raises:
        InputError: it cannot be read, or is of another aspect than the picture.
    """
    if path.suffix.lower() == ".json":
        file = read_strokes(path)
        check_aspect(path, (file.size[1], file.size[0]), picture)
        return drawn(colours.named(file, path).on(frame).strokes, picture, size)
    return load_painting(path, picture, size, options)


def load_painting(path: Path, picture: tuple[int, int], size: tuple[int, int], options: MediaOptions) -> Hints:
    """A ``.hints.png``: alpha is the weight, and colours painted within one pixel of the result are averaged.

    Raises:
        InputError: it cannot be read, is without transparency, or of another aspect than the picture.
    """
    from colorpipe.media import first_frame

    frame = first_frame(path, options)
    if frame.alpha is None:
        raise InputError(f"{path}: hints need transparency", hint="leave everything transparent but the painted pixels")
    check_aspect(path, (frame.height, frame.width), picture)
    planes = frame.colour or (frame.luma,) * 3
    ab = np.asarray(rgb_to_lab((np.dstack(planes) / frame.encoding.peak).astype(np.float32)).ab)
    alpha = frame.alpha / np.float32(frame.encoding.peak)
    alpha[alpha < LEAST_ALPHA] = 0
    # The thin edge of a soft brush does not count as painted: the stroke's middle stands for it.
    # A thin hint beside a full one would be a wall around it.
    full = cv2.dilate(alpha, np.ones((2 * max(1, round(max(alpha.shape) / 200)) + 1,) * 2, np.uint8))
    painted = ((alpha > 0) & (alpha > full / 2)).astype(np.float32)
    layers = np.dstack([ab * painted[..., None], painted, painted * alpha]).astype(np.float32)
    if frame.height >= size[0] and frame.width >= size[1]:
        layers = np.asarray(cv2.resize(layers, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    else:  # no colour between two that were painted
        layers = np.asarray(cv2.resize(layers, size[::-1], interpolation=cv2.INTER_NEAREST), np.float32)
    share = layers[..., 2]
    there = share > 1e-6
    divisor = np.where(there, share, 1)[..., None]
    mean = np.where(there[..., None], layers / divisor, 0).astype(np.float32)
    return Hints(np.ascontiguousarray(mean[..., :2]), np.clip(mean[..., 3], 0, 1), np.zeros(size, np.bool_))


def check_aspect(path: Path, own: tuple[int, int], picture: tuple[int, int]) -> None:
    """Raises InputError where a hint file is of another aspect than its picture; both are height and width."""
    if abs((own[1] / own[0]) / (picture[1] / picture[0]) - 1) > ASPECT_TOLERANCE:
        raise InputError(
            f"{path}: {own[1]}x{own[0]} has another aspect than its picture, {picture[1]}x{picture[0]}",
            hint="paint on the upright picture itself",
        )


def drawn(
    strokes: Sequence[Stroke], picture: tuple[int, int], size: tuple[int, int], onto: Hints | None = None
) -> Hints:
    """Strokes drawn, later ones over earlier ones. The pixel in which a point lies is always painted.

    Args:
        strokes: Of ``paint`` all have their ``ab``.
        picture: Height and width, or numbers in that ratio: a brush is round there.
        size: h and w of the result, which may be squeezed.
        onto: Hints of that size that the strokes lie over; they stay as they are.
    """
    hints = Hints.none(size) if onto is None else Hints(onto.ab.copy(), onto.weight.copy(), onto.keep.copy())
    longer = max(picture)
    scale = np.array([picture[1] / longer, picture[0] / longer])  # shares of sides -> shares of the longer side
    pixel = scale / (size[1], size[0])
    for stroke in strokes:
        mask = np.zeros(size, np.bool_)
        points = np.asarray(stroke.points, np.float64) * scale
        for start, stop in zip(
            points[: max(1, len(points) - 1)], points[1:] if len(points) > 1 else points, strict=True
        ):
            _draw(mask, start, stop, stroke.radius, pixel)
        hints.keep[mask] = stroke.kind == "keep"
        hints.weight[mask] = 0 if stroke.kind == "keep" else stroke.strength
        hints.ab[mask] = stroke.ab if stroke.kind == "paint" and stroke.ab is not None else (0, 0)
    return hints


def _draw(mask: NDArray[np.bool_], start: Any, stop: Any, radius: float, pixel: Any) -> None:
    """All pixels within a radius of a line; lengths are shares of the longer side, ``pixel`` is one's width, height."""
    size = np.array(mask.shape[::-1])
    low = np.clip(np.floor((np.minimum(start, stop) - radius) / pixel).astype(int), 0, size - 1)
    high = np.clip(np.ceil((np.maximum(start, stop) + radius) / pixel).astype(int), low + 1, size)
    x = (np.arange(low[0], high[0]) + 0.5) * pixel[0] - start[0]
    y = ((np.arange(low[1], high[1]) + 0.5) * pixel[1] - start[1])[:, None]
    way = stop - start
    along = np.clip((x * way[0] + y * way[1]) / max(float(way @ way), 1e-18), 0, 1)
    near = (x - along * way[0]) ** 2 + (y - along * way[1]) ** 2 <= radius * radius
    mask[low[1] : high[1], low[0] : high[0]] |= near
    for point in (start, stop):
        column, row = np.clip((point / pixel).astype(int), 0, size - 1)
        mask[row, column] = True
