"""A film against its source: each frame's Y plane and time, and what the file says of its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from colorpipe.media.video.source import VideoSource
from colorpipe.media.video.tags import UNSPECIFIED, VideoTags
from colorpipe.types import Encoding, Frame
from colorpipe.verification.difference import Difference, seconds
from colorpipe.verification.report import Check, Progress, Status

_LOSSY_SHARE = 0.01
"""More than damage or an edit would change, less than the best lossy encoding does."""


def compare_frames(source: VideoSource, result: VideoSource, progress: Progress | None = None) -> Iterator[Check]:
    """Both decoded from end to end, side by side, two frames in memory: size, luma, frame count, timestamps, alpha.

    The luma is compared value for value. A timestamp is equal, or within half a tick of the result's clock where that
    cannot count the source's.
    """
    size = (source.info.width, source.info.height), (result.info.width, result.info.height)
    bits = source.encoding.bits, result.encoding.bits
    yield _pair("size", [f"{width}x{height}" for width, height in size])
    yield _pair("depth", [f"{depth} bits" for depth in bits])
    comparable = size[0] == size[1] and bits[0] == bits[1]
    luma, alpha = Difference(source.encoding.peak), Difference(source.encoding.peak)
    times = _Times(*(film.tags.time_base for film in (source, result)))
    counts = [0, 0]
    ours, theirs = iter(source), iter(result)
    while True:
        wanted, got = next(ours, None), next(theirs, None)
        if wanted is not None and got is not None:
            if comparable:
                luma.add(wanted.luma, got.luma, wanted.index, wanted.pts)
                if wanted.alpha is not None:
                    seen = np.full_like(wanted.alpha, source.encoding.peak) if got.alpha is None else got.alpha
                    alpha.add(wanted.alpha, seen, wanted.index, wanted.pts)
            times.add(wanted, got)
        counts[0] += wanted is not None
        counts[1] += got is not None
        if wanted is None and got is None:
            break
        if progress is not None:
            progress(max(counts), source.info.frames)
    yield _luma(luma, comparable)
    yield _frames(counts, times)
    yield times.check()
    if source.has_alpha:
        kept = result.has_alpha
        status: Status = "equal" if kept and alpha.holds else "differs" if kept else "left out"
        says = f"{alpha}; first at {alpha.first}" if kept and alpha.first else "kept" if kept else "not in the result"
        yield Check("transparency", status, says, alpha.as_dict() if kept else {})


def _luma(luma: Difference, comparable: bool) -> Check:
    if not comparable or not luma.planes:
        return Check("luma", "differs", "cannot be compared: size or depth differ" if luma.planes else "no frame")
    if luma.holds:
        return Check("luma", "equal", f"each of {luma.values:,} values of the Y plane is the source's", luma.as_dict())
    share = luma.differing / luma.values
    says = f"first at {luma.first}; {luma}; {share:.2%} of the values differ"
    if share > _LOSSY_SHARE:
        says += " (lossy codecs do that; --codec ffv1 is exact)"
    return Check("luma", "differs", says, luma.as_dict())


def _frames(counts: Sequence[int], times: _Times) -> Check:
    numbers = {"source": counts[0], "result": counts[1]}
    if counts[0] == counts[1]:
        return Check("frames", "equal", str(counts[0]), numbers)
    says = f"{counts[0]} in the source, {counts[1]} in the result"
    if times.first is not None:
        says += f"; they are out of step from frame {times.first[0]} on"
    return Check("frames", "differs", says, numbers)


class _Times:
    """Timestamps of two clocks."""

    def __init__(self, source: Fraction, result: Fraction) -> None:
        self.coarse = not counts_exactly(source, result)
        self.tick = result
        self.tolerance = tolerance(source, result)
        self.count = 0
        self.largest = Fraction(0)
        self.first: tuple[int, Fraction, Fraction] | None = None
        self.last: tuple[Fraction | None, Fraction | None] = None, None
        """How long the last frame is shown; None where a file does not tell."""

    def add(self, source: Frame, result: Frame) -> None:
        wanted, got = source.pts, result.pts
        assert wanted is not None  # a film's frames are timed
        assert got is not None
        self.count += 1
        self.largest = max(self.largest, abs(wanted - got))
        if abs(wanted - got) > self.tolerance and self.first is None:
            self.first = source.index, wanted, got
        self.last = source.metadata.extra.get("duration"), result.metadata.extra.get("duration")

    def check(self) -> Check:
        numbers: dict[str, Any] = {"largest": float(self.largest), "tolerance": float(self.tolerance)}
        if self.first is not None:
            index, wanted, got = self.first
            says = f"frame {index} is at {seconds(wanted)} in the source, at {seconds(got)} in the result"
            first = {"frame": index, "source": float(wanted), "result": float(got)}
            return Check("timestamps", "differs", says, {**numbers, "first": first})
        shown, now = self.last
        if shown is not None and now is not None and abs(shown - now) > 2 * self.tolerance:
            says = f"the last frame is shown for {seconds(shown)} in the source, for {seconds(now)} in the result"
            return Check("timestamps", "differs", says, numbers)
        if not self.coarse:
            return Check("timestamps", "equal", f"all {self.count} exact", numbers)
        says = f"within half a tick of the result's clock, which counts {_shown(self.tick)} s: it holds no finer times"
        return Check("timestamps", "equal", f"{says} (largest difference {seconds(self.largest)})", numbers)


def counts_exactly(source: Fraction, result: Fraction) -> bool:
    """Whether the result's clock can tell each time that the source's tells."""
    return (source / result).denominator == 1


def tolerance(source: Fraction, result: Fraction) -> Fraction:
    """Seconds that rounding to the result's clock may cost: half of its tick, or nothing."""
    return Fraction(0) if counts_exactly(source, result) else result / 2


def compare_tags(source: VideoSource, result: VideoSource) -> Iterator[Check]:
    """Rotation, pixel aspect, colour, fields and HDR data."""
    ours, theirs = source.tags, result.tags
    both = (ours, theirs)
    yield _pair("rotation", [_rotation(tags) for tags in both])
    yield _pair("pixel aspect", [str(tags.sample_aspect_ratio or 1) for tags in both])
    yield _colour(source, result)
    if ours.interlaced or theirs.interlaced:
        first = [("top" if tags.top_field_first else "bottom") if tags.interlaced else None for tags in both]
        yield _pair("first field", first, none="progressive", lost="left out")
    if ours.mastering_display or ours.content_light:
        told = [f"{tags.mastering_display or ''} {tags.content_light or ''}".strip() or None for tags in both]
        yield _pair("HDR data", told, lost="left out")


def _rotation(tags: VideoTags) -> str | None:
    """The display matrix, None where it turns nothing; its 16.16 numbers to a thousandth, as Matroska keeps angles."""
    if tags.display_matrix is None:
        return None
    a, b, _, c, d = (round(value / 65536, 3) + 0.0 for value in tags.display_matrix[:5])
    return None if (a, b, c, d) == (1, 0, 0, 1) else f"matrix {a:g} {b:g} {c:g} {d:g}"


def _colour(source: VideoSource, result: VideoSource) -> Check:
    """Primaries, transfer, matrix and range. What the source leaves open the result may tell."""
    ours, theirs = source.tags, result.tags
    meant = [_meaning(source.encoding, ours), _meaning(result.encoding, theirs)]
    wrong = [
        f"{name} {before} in the source, {after} in the result"
        for (name, before), after in zip(meant[0].items(), meant[1].values(), strict=True)
        if before != after and before is not None
    ]
    if wrong:
        return Check("colour tags", "differs", "; ".join(wrong))
    kept = ", ".join(f"{name} {after}" for name, after in meant[1].items() if after is not None)
    return Check("colour tags", "equal", kept)


def _meaning(encoding: Encoding, tags: VideoTags) -> dict[str, Any]:
    return {
        "matrix": encoding.matrix,
        "range": "full" if encoding.full_range else "limited",
        "primaries": None if tags.primaries in (0, UNSPECIFIED) else tags.primaries,
        "transfer": None if tags.transfer in (0, UNSPECIFIED) else tags.transfer,
    }


def _pair(name: str, told: Sequence[str | None], none: str = "none", lost: Status = "differs") -> Check:
    """A fact of source and result: equal, or both values; ``lost`` is the status where the result states none."""
    source, result = told
    if source == result:
        return Check(name, "equal", source or none)
    status: Status = lost if result is None else "differs"
    return Check(name, status, f"{source or none} in the source, {result or none} in the result")


def _shown(tick: Fraction) -> str:
    return f"{tick.numerator}/{tick.denominator}"
