"""Another program's colours on one's own grey: registered, and their chroma put under the untouched luma."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color, media
from colorpipe.color import Float, resample
from colorpipe.errors import InputError, OutputError, UsageError
from colorpipe.files import sha256
from colorpipe.guidance.correction import graph_of, working_size
from colorpipe.guidance.registration import Registration, register
from colorpipe.guidance.solver import Spreader
from colorpipe.media.base import Provenance, Source
from colorpipe.media.still.jpeg_tables import chroma_step
from colorpipe.media.still.sink import StillSink
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Encoding, Frame, Lab

DOUBT = 0.5
"""Doubt from which on a copy is not accepted as one of the picture."""
TOLD_DOUBT = 0.25
"""Doubt from which on a note is given."""
DOTS = 24
"""Dots of ``--as-hints`` along the longer side; a dot is set only where the copy's colour is even."""
EVEN = 6.0
"""CIE units by which colour may differ under such a dot."""
COARSE = 10.0
"""Step of a JPEG's chroma, as ``chroma_step`` tells it, from which on the colours are smoothed along the grey: at about
quality 80. Of 8 copies of quality 50 all come nearer to the truth by it, of those of quality 95 none does."""
SMOOTHED = 1e-3
"""epsilon of the guided filter (He, Sun and Tang 2013) that does it, on a grey of 0..1, over 3x3 pixels."""
STEPS = 5
"""Steps in which the luma of a colour is found."""


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge."""

    frames: int
    doubt: float
    """Doubt at the frame whose place was least certain, 0..1."""
    covered: float
    """Share of the original that the coloured copy has; of a film, of the frame that has least."""
    notes: tuple[str, ...]


def merge(
    original: Path,
    coloured: Path,
    result: Path,
    options: MediaOptions,
    laying: MergeOptions,
    doubt: float = DOUBT,
    step: Callable[[], None] = lambda: None,
) -> Merged:
    """Lays the chroma of a coloured copy under an original's luma and writes the result, with all that it carries.

    A film's frames take their colour from the copy's frame that is shown at the same time, or last before it.

    Args:
        doubt: Most that is accepted of a frame's place.
        step: Called for each frame.

    Raises:
        InputError: one cannot be read, the copy is grey, or it is not a copy of the original.
        OutputError: the result cannot be written; nothing is left behind.
    """
    certain: list[Registration] = []
    frames = 0
    with media.open_source(original, options) as source, media.open_source(coloured, options) as copy:
        _check_kinds(source, copy)
        digest = hashlib.sha256(f"merge {sha256(coloured)} {laying.as_dict()}".encode()).hexdigest()
        sink = media.open_sink(result, source, options, Provenance(digest) if options.provenance else None)
        with sink:
            before: Registration | None = None
            coarse = chroma_step(coloured) >= COARSE
            for frame, other in _in_step(source, copy):
                target = replace(frame, colour=None, encoding=sink.encoding or frame.encoding)
                before = _registered(frame, other, before, doubt, original, coloured)
                certain.append(replace(before, places=before.places[:1, :1]))
                sink.write(_laid(target, other, before, laying, coarse))
                frames += 1
                step()
        notes = [*source.info.notes, *sink.notes]
    worst = max(one.doubt for one in certain)
    if worst > TOLD_DOUBT:
        notes.append(
            f"where {coloured.name} lies over {original.name} is doubtful ({worst:.2f} of 1): look at the result"
        )
    return Merged(frames, worst, float(min(one.covered.mean() for one in certain)), tuple(notes))


def as_hints(original: Path, coloured: Path, result: Path, options: MediaOptions, doubt: float = DOUBT) -> Merged:
    """Writes the copy's colours as a hint file: dots where they are even, over the upright original.

    Raises:
        UsageError: the original is a film, or the result is no PNG.
        InputError, OutputError: as ``merge``.
    """
    if not result.name.lower().endswith(".png"):
        raise UsageError(f"{result}: hints are a PNG", hint=f"-o {original.stem}.hints.png")
    with media.open_source(original, options) as source, media.open_source(coloured, options) as copy:
        _check_kinds(source, copy)
        if source.info.medium != "still":
            raise UsageError(
                "--as-hints is for photos", hint="a film takes its colours from the copy itself: leave it out"
            )
        frame, other = next(iter(source)), next(iter(copy))
    found = _registered(frame, other, None, doubt, original, coloured)
    size = working_size(frame.height, frame.width)
    ab, covered = _chroma(other, found, size)
    L = color.lightness(_resized(frame, size)).L
    rgb = color.lab_to_rgb(Lab(L, ab))
    codes = np.rint(rgb * 255).astype(np.uint8)
    alpha = np.where(_dots(ab, covered), 255, 0).astype(np.uint8)
    picture = Frame(np.ascontiguousarray(codes[..., 1]), Encoding("rgb", 8), tuple(np.moveaxis(codes, -1, 0)), alpha)
    with StillSink(result, replace(options, provenance=False), None) as sink:
        sink.write(picture)
    return Merged(1, found.doubt, float(covered.mean()), ())


def _check_kinds(source: Source, copy: Source) -> None:
    if source.info.medium != copy.info.medium:
        raise InputError(
            f"{source.path} is a {source.info.medium} and {copy.path} a {copy.info.medium}",
            hint="merge two photos, or two films",
        )


def _in_step(source: Source, copy: Source) -> Iterator[tuple[Frame, Frame]]:
    """The original's frames, each with the copy's frame shown at its time; both times count from the first frame."""
    others = iter(copy)
    shown = next(others, None)
    if shown is None:
        raise InputError(f"{copy.path} has no frames")
    following, start, other_start = next(others, None), None, shown.pts or Fraction(0)
    for frame in source:
        if start is None:
            start = frame.pts or Fraction(0)
        time = (frame.pts or Fraction(0)) - start
        # half a millisecond: the clocks of two containers round differently
        while following is not None and (following.pts or Fraction(0)) - other_start <= time + Fraction(1, 2000):
            shown, following = following, next(others, None)
        yield frame, shown


def _registered(
    frame: Frame, other: Frame, before: Registration | None, doubt: float, original: Path, coloured: Path
) -> Registration:
    if other.colour is None:
        raise InputError(f"{coloured} is grey", hint="name the coloured copy second")
    found = register(_grey(frame), _grey(other), before)
    if found.doubt > doubt:
        at = "" if frame.pts is None else f" at {float(frame.pts):.2f} s"
        raise InputError(
            f"{coloured} is no copy of {original}{at}: its place is doubtful ({found.doubt:.2f}, at most {doubt:g})",
            hint="give another copy, or --doubt if it is one all the same",
        )
    return found


def _laid(frame: Frame, other: Frame, found: Registration, laying: MergeOptions, coarse: bool = False) -> Frame:
    """The frame with the copy's chroma.

    Args:
        coarse: The copy is a JPEG of low quality.
    """
    grid = _grid(frame, other, found)
    still = frame.encoding.family == "rgb"
    if still:  # colour differences, as a JPEG has them: they do not change where the copy was sharpened
        rgb = color.rgb(other)
        chroma, covered = _brought((rgb - _luma(rgb)[..., None])[..., ::2], found, grid)
    else:
        chroma, covered = _chroma(other, found, grid)
    small = color.lightness(_resized(frame, grid)).L if still or not covered.all() else None
    if not covered.all() and small is not None:
        chroma = _continued(chroma, covered, small)
    if still and small is not None:
        grey = color.grey_of(small)
        ab = _ab_under(grey, _smoothed(chroma, grey) if coarse else chroma)
    else:
        ab = chroma
    ab = ab * np.float32(laying.saturation) + np.array(laying.shift or (0, 0), np.float32)
    size = (frame.height, frame.width) if still else frame.encoding.chroma_shape(frame.height, frame.width)
    black, white = color.luma_range(frame.encoding)
    full = resample.upsample(ab, frame.luma, size, laying.upsample or "guided", ab.shape[:2], white - black)
    return color.merge(frame, full, laying.keep, laying.gamut or "fit")


def _grid(frame: Frame, other: Frame, found: Registration) -> tuple[int, int]:
    """h and w at which the copy's chroma is taken: the copy's own detail, over the whole of the original."""
    spans = [float(np.ptp(found.places[..., axis])) for axis in (1, 0)]
    finest = [max(1.0, span * side) for span, side in zip(spans, (other.height, other.width), strict=True)]
    scale = min(1.0, finest[0] / frame.height, finest[1] / frame.width)
    return max(1, round(frame.height * scale)), max(1, round(frame.width * scale))


def _chroma(other: Frame, found: Registration, size: tuple[int, int]) -> tuple[Float, NDArray[np.bool_]]:
    """The copy's ab (h, w, 2) over the original, and where it has something, (h, w)."""
    return _brought(np.asarray(color.rgb_to_lab(color.rgb(other)).ab, np.float32), found, size)


def _brought(values: Float, found: Registration, size: tuple[int, int]) -> tuple[Float, NDArray[np.bool_]]:
    """The copy's values (H, W, 2) over the original, (h, w, 2), and where it has something, (h, w)."""
    height, width = values.shape[:2]
    places = np.asarray(cv2.resize(found.places, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    shrink = max(1.0, float(np.ptp(places[..., 0])) * width / size[1])
    if shrink > 1.5:  # fewer pixels than the copy has: averaged first
        wanted = max(1, round(width / shrink)), max(1, round(height / shrink))
        values = np.asarray(cv2.resize(np.ascontiguousarray(values), wanted, interpolation=cv2.INTER_AREA))
    at = places * np.array(values.shape[1::-1], np.float32) - np.float32(0.5)
    values = np.ascontiguousarray(values)
    edge = cv2.BORDER_REPLICATE
    brought = cv2.remap(values, at, None, cv2.INTER_CUBIC, borderMode=edge)  # type: ignore[call-overload]
    there = cv2.resize(found.covered.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(brought, np.float32).reshape(*size, 2), np.asarray(there)


def _luma(rgb: Float) -> Float:
    """BT.601 luma of R, G and B."""
    return np.asarray(rgb @ np.array(color.GREY_WEIGHTS["rec601"], np.float32), np.float32)


def _ab_under(grey: Float, differences: Float) -> Float:
    """ab (h, w, 2) of colours with these R - Y and B - Y (h, w, 2), of the lightness of a grey (h, w) 0..1."""
    red, green, blue = color.GREY_WEIGHTS["rec601"]
    third = -(red * differences[..., 0] + blue * differences[..., 1]) / green
    around = np.dstack([differences[..., 0], third, differences[..., 1]]).astype(np.float32)
    Y = grey.copy()
    for _ in range(STEPS):
        lab = color.rgb_to_lab(np.clip(Y[..., None] + around, 0, 1))
        Y += grey - color.grey_of(lab.L)
    return np.asarray(color.rgb_to_lab(np.clip(Y[..., None] + around, 0, 1)).ab, np.float32)


def _smoothed(chroma: Float, grey: Float) -> Float:
    """Chroma (h, w, 2) without what a coarse JPEG added to it: in each window of 3x3 a line of the grey (h, w)."""

    def mean(values: Float) -> Float:
        return np.asarray(cv2.blur(values, (3, 3), borderType=cv2.BORDER_REFLECT), np.float32)

    middle = mean(grey)
    variance = mean(grey * grey) - middle * middle + np.float32(SMOOTHED)
    planes = []
    for plane in np.ascontiguousarray(chroma.transpose(2, 0, 1)):
        own = mean(plane)
        slope = (mean(grey * plane) - middle * own) / variance
        planes.append(mean(slope) * grey + mean(own - slope * middle))
    return np.dstack(planes)


def _continued(ab: Float, covered: NDArray[np.bool_], L: Float) -> Float:
    """Chroma of the cropped borders, continued from the chroma beside them."""
    known = (ab * covered[..., None]).transpose(2, 0, 1)
    return np.ascontiguousarray(Spreader(graph_of(L), 1e-7, covered).solve(known).transpose(1, 2, 0))


def _grey(frame: Frame) -> NDArray[np.uint8]:
    """8-bit codes of a frame's grey."""
    return np.asarray(np.rint(color.grey_plane(frame) * 255), np.uint8)


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    luma = np.asarray(cv2.resize(frame.luma, size[::-1], interpolation=cv2.INTER_AREA))
    return replace(frame, luma=luma, colour=None, alpha=None)


def _dots(ab: Float, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w): round places on a grid over which colour is even."""
    height, width = covered.shape
    step = max(3, round(max(height, width) / DOTS))
    radius = max(1, step // 6)
    window = np.ones((2 * radius + 1,) * 2, np.uint8)
    uneven = sum(
        cv2.dilate(plane, window) - cv2.erode(plane, window) for plane in (ab[..., 0].copy(), ab[..., 1].copy())
    )
    good = (np.asarray(uneven) < EVEN) & (cv2.erode(covered.astype(np.uint8), window) > 0)
    middles = np.zeros(covered.shape, np.uint8)
    middles[step // 2 :: step, step // 2 :: step] = 1
    return np.asarray(cv2.dilate(middles * good.astype(np.uint8), window) > 0)


def check_places(original: Path, coloured: Path, result: Path, overwrite: bool) -> None:
    """Raises OutputError where the result would lie over a source, or over a file that is there."""
    for source in (original, coloured):
        if result.exists() and source.exists() and result.samefile(source):
            raise OutputError(f"{result} is an input", hint="choose another name with -o")
    if result.exists() and not overwrite:
        raise OutputError(f"{result} exists", hint="--overwrite replaces it")
