"""A film against its source: each frame's Y plane and time, and the file's statements about its picture."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from colorpipe.media.video.tags import UNSPECIFIED, matrix_of
from colorpipe.verification.difference import Difference
from colorpipe.verification.lossy_films import FilmLoss
from colorpipe.verification.reading import Film, Picture
from colorpipe.verification.report import Check, Progress, Status
from colorpipe.verification.times import Times


class FramesCompared:
    """Both films decoded from end to end, side by side, two frames in memory."""

    def __init__(self, source: Film, result: Film) -> None:
        self.source, self.result = source, result
        self.times = Times(source, result)
        self._luma, self._alpha = Difference((1 << source.bits) - 1), Difference((1 << source.bits) - 1)
        self._counts = [0, 0]
        self._comparable = (source.width, source.height, source.bits) == (result.width, result.height, result.bits)
        self._loss = FilmLoss.of(result)
        self._fields = _Pairs()
        self._shapes = _Pairs()
        self._captions = _Pairs()
        self._captioned = 0
        self._kinds: set[str] = set()
        self._resized: tuple[int, tuple[int, ...], tuple[int, ...]] | None = None
        """The first frame that is of another size in the result than in the source, and both heights and widths."""

    def run(self, progress: Progress | None = None) -> None:
        """Read both to their ends."""
        ours, theirs = self.source.pictures(), self.result.pictures()
        promised = self.source.frames
        while True:
            wanted, got = next(ours, None), next(theirs, None)
            self._counts[0] += wanted is not None
            self._counts[1] += got is not None
            if wanted is None and got is None:
                break
            if wanted is not None:
                self._kinds |= wanted.kinds
            if wanted is not None and got is not None:
                self._add(wanted, got)
            if progress is not None:
                progress(max(self._counts), promised)

    def _add(self, wanted: Picture, got: Picture) -> None:
        if wanted.luma.shape != got.luma.shape:
            self._resized = self._resized or (wanted.index, wanted.luma.shape, got.luma.shape)
        elif self._comparable:
            self._luma.add(wanted.luma, got.luma, wanted.index, wanted.time)
            if self._loss is not None:
                self._loss.add(wanted, got)
            if wanted.alpha is not None:
                peak = (1 << self.source.bits) - 1
                seen = np.full_like(wanted.alpha, peak) if got.alpha is None else got.alpha
                self._alpha.add(wanted.alpha, seen, wanted.index, wanted.time)
        self.times.add(wanted, got)
        self._fields.add(wanted.index, wanted.first_field, got.first_field)
        self._shapes.add(wanted.index, wanted.shape or Fraction(1), got.shape or Fraction(1))
        if wanted.captions or got.captions:
            self._captioned += bool(wanted.captions)
            self._captions.add(wanted.index, wanted.captions, got.captions)

    def checks(self) -> Iterator[Check]:
        """Size, depth, luma, frames, timestamps, transparency, fields, captions and side data.

        The luma is compared value for value. A timestamp is equal, or within half a tick of the result's clock where
        that cannot count the source's.
        """
        films = self.source, self.result
        if self._comparable and self._resized is not None:
            index, *shapes = self._resized
            sizes = [f"{width}x{height}" for height, width in shapes]
            yield Check("size", "differs", f"about frame {index} is {sizes[0]} in the source, {sizes[1]} in the result")
        else:
            yield _pair("size", [f"{film.width}x{film.height}" for film in films])
        yield _pair("depth", [f"{film.bits} bits" for film in films])
        yield _luma(self._luma, self._comparable, self._loss)
        yield _frames(self._counts, self.times)
        yield self.times.check()
        if self.source.has_alpha:
            kept = self.result.has_alpha
            alpha = self._alpha
            status: Status = "equal" if kept and alpha.holds else "differs" if kept else "left out"
            says = f"{alpha}; first at {alpha.first}" if kept and alpha.first else "kept"
            yield Check("transparency", status, says if kept else "not in the result", alpha.as_dict() if kept else {})
        tags = {key.lower(): value for key, value in self.result.stream.metadata.items()}
        if tags.get("alpha_mode") == "1" and not self.result.has_alpha:
            yield Check("transparency flag", "differs", "the result says that it has transparency, and has none")
        yield from self._field_check()
        yield from self._caption_check()
        yield from self._side_data_check()

    def shapes(self) -> Check:
        """The pixels' shape: stated by the headers, and by later frames of the source if they differ."""
        told = [film.stream.sample_aspect_ratio or Fraction(1) for film in (self.source, self.result)]
        if told[0] == told[1] and self._shapes.first is not None and self._shapes.changes(0) and self.source.recorded:
            index, wanted, got = self._shapes.first
            says = f"{told[0]}, and about frame {index} on {wanted} in the source, still {got} in the result"
            return Check("pixel aspect", "differs", says)
        return _pair("pixel aspect", [str(shape) for shape in told])

    def _field_check(self) -> Iterator[Check]:
        ours, theirs = self.source.account.fields, self.result.account.fields
        marked = [any(fields.keys() - {None}) for fields in (ours, theirs)]
        headers = [_header_order(film) for film in (self.source, self.result)]
        if not any(marked) and not any(headers):
            return
        if not marked[0] and headers[0] is not None:  # a codec whose frames do not tell: the header is all there is
            yield _pair("first field", headers, none="progressive", lost="left out")
            return
        if self.result.stream.codec_context.name == "hevc" and self._fields.first is not None:
            yield Check("first field", "left out", f"{_most(ours)} in the source; H.265 frames are progressive")
            return
        if self._fields.first is not None:
            index, wanted, got = self._fields.first
            says = f"{wanted or 'progressive'} in the source, {got or 'progressive'} in the result"
            where = f", first at frame {index}; {self._fields.differing} frames differ" if index else ""
            yield Check("first field", "differs", says + where)
            return
        mixed = len(ours) > 1
        if not mixed and None not in ours and headers[1] is not None and headers[1] not in ours:
            yield Check("first field", "differs", f"{_most(ours)} in the frames, {headers[1]} in the result's header")
            return
        yield Check("first field", "equal", "of each frame as in the source" if mixed else str(_most(ours)))

    def _caption_check(self) -> Iterator[Check]:
        if not self._captioned and self._captions.first is None:
            return
        if self._captions.first is None:
            yield Check("closed captions", "equal", f"with {self._captioned} frames, byte for byte")
            return
        if "A53_CC" in self.result.account.kinds:
            says = f"other ones in the result, first with frame {self._captions.first[0]}"
            yield Check("closed captions", "differs", says)
            return
        can = self.result.stream.codec_context.name in ("h264", "hevc", "mpeg2video")
        says = f"with {self._captioned} frames of the source, not in the result"
        yield Check("closed captions", "differs" if can else "left out", says)

    def _side_data_check(self) -> Iterator[Check]:
        """Data in the source's header and frames that the result's lack."""
        there = _kinds(self._kinds) | _header_data(self.source.lines)
        here = _kinds(set(self.result.account.kinds)) | _header_data(self.result.lines)
        lost = sorted(there - here)
        if lost:
            yield Check("side data", "left out", f"not in the result: {', '.join(lost)}")
        elif there:
            yield Check("side data", "equal", ", ".join(sorted(there)))
        places = [_chroma_place(film) for film in (self.source, self.result)]
        if places[0] is not None and self.source.pixels.subsampling == self.result.pixels.subsampling == (1, 1):
            yield _pair("chroma location", [place or "left" for place in places])  # the default of players


class _Pairs:
    """Values of frames of source and result, and where they differ."""

    def __init__(self) -> None:
        self.first: tuple[int, Any, Any] | None = None
        self.differing = 0
        self._starts: list[Any] = []
        self._changed = [False, False]

    def add(self, index: int, wanted: Any, got: Any) -> None:
        self._starts = self._starts or [wanted, got]
        for place, value in enumerate((wanted, got)):
            self._changed[place] |= value != self._starts[place]
        if wanted != got:
            self.differing += 1
            self.first = self.first or (index, wanted, got)

    def changes(self, place: int) -> bool:
        """Whether the source's (0) or the result's (1) changed on the way."""
        return self._changed[place]


def _most(fields: dict[str | None, int]) -> str:
    return max(fields, key=lambda order: fields[order]) or "progressive"


def _header_order(film: Film) -> str | None:
    """The field order in a container's or a stream's header (FFmpeg's AVFieldOrder)."""
    return {2: "top", 5: "top", 3: "bottom", 4: "bottom"}.get(int(film.stream.codec_context.field_order))


_CODING = {
    "DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "A53_CC", "GOP_TIMECODE", "PANSCAN",
    "SEI_UNREGISTERED", "MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST", "VIDEO_HINT", "FILM_GRAIN_PARAMS",
}  # fmt: skip
"""Kinds with a check of their own, and those that are about how the source was coded."""


def _kinds(names: set[str]) -> set[str]:
    return {name.replace("_", " ").lower() for name in names - _CODING}


def _header_data(lines: list[str]) -> set[str]:
    """Items that FFmpeg's description lists below ``Side data:``."""
    told: set[str] = set()
    if "Side data:" in lines:
        for line in lines[lines.index("Side data:") + 1 :]:
            name = line.partition(":")[0].strip().lower()
            if name in ("metadata", "stream mapping") or not name:
                break
            told.add(name)
    usual = ("cpb properties", "display matrix", "mastering display metadata", "content light level metadata")
    return {name for name in told if name not in usual and not name.startswith("rotation of")}


def _chroma_place(film: Film) -> str | None:
    words = re.findall(r"[\w ]+", film.lines[0]) if film.lines else []
    return next((word.strip() for word in words if word.strip() in _PLACES), None)


_PLACES = ("left", "center", "topleft", "top", "bottomleft", "bottom")


def _luma(luma: Difference, comparable: bool, loss: FilmLoss | None) -> Check:
    if not comparable or not luma.planes:
        return Check("luma", "differs", "cannot be compared: size or depth differ" if luma.planes else "no frame")
    if luma.holds:
        return Check("luma", "equal", f"each of {luma.values:,} values of the Y plane is the source's", luma.as_dict())
    share = luma.differing / luma.values
    says = f"first at {luma.first}; {luma}; {share:.2%} of the values differ"
    if loss is None:
        return Check("luma", "differs", says, luma.as_dict())
    numbers, changed = {**luma.as_dict(), **loss.as_dict()}, loss.beyond()
    if changed is not None:
        return Check("luma", "differs", f"changed by more than {loss.name} does {loss.at}: {changed}; {says}", numbers)
    codes = luma.mean * 255 / luma.peak
    told = f"brightness differs by {codes:.1f} codes of 255 on average, as {loss.name} does {loss.at}"
    return Check("luma", "lossy", f"{told}; --codec ffv1 is exact; {luma}", {**numbers, "codes": codes})


def _frames(counts: Sequence[int], times: Times) -> Check:
    numbers = {"source": counts[0], "result": counts[1]}
    if counts[0] == counts[1]:
        return Check("frames", "equal", str(counts[0]), numbers)
    says = f"{counts[0]} in the source, {counts[1]} in the result"
    if times.first is not None:
        says += f"; they are out of step from frame {times.first[0]} on"
    return Check("frames", "differs", says, numbers)


def compare_tags(frames: FramesCompared) -> Iterator[Check]:
    """Rotation, pixel aspect, colour, HDR data and time code."""
    both = frames.source, frames.result
    yield _pair("rotation", [_rotation(film) for film in both])
    yield frames.shapes()
    yield _colour(*both)
    hdr = [_hdr(film) for film in both]
    if hdr[0] is not None:
        yield _pair("HDR data", hdr, lost="left out")
    codes = [film.timecode for film in both]
    if codes[0] is not None:
        yield _pair("time code", codes, lost="differs")


def _side(film: Film, name: str) -> bytes | None:
    items: Any = film.first.side_data
    return next((bytes(item) for item in items if item.type.name == name), None)


def _rotation(film: Film) -> str | None:
    """The display matrix, None where it turns nothing; its 16.16 numbers to a thousandth, as Matroska keeps angles."""
    blob = _side(film, "DISPLAYMATRIX")
    if blob is None:
        return None
    a, b, _, c, d = (round(value / 65536, 3) + 0.0 for value in struct.unpack("=9i", blob)[:5])
    return None if (a, b, c, d) == (1, 0, 0, 1) else f"matrix {a:g} {b:g} {c:g} {d:g}"


def _hdr(film: Film) -> str | None:
    """Mastering display (SMPTE ST 2086: ten rationals) and content light level, to the units of H.265 D.3.28."""
    parts = []
    blob = _side(film, "MASTERING_DISPLAY_METADATA")
    if blob is not None and len(blob) >= 88:
        numbers = struct.unpack("=22i", blob[:88])
        if numbers[20] and numbers[21] and 0 not in numbers[1:20:2]:
            scales = [50_000] * 8 + [10_000] * 2
            values = [Fraction(numbers[2 * at], numbers[2 * at + 1]) * scale for at, scale in enumerate(scales)]
            parts.append("mastered on " + " ".join(str(round(value)) for value in values))
    light = _side(film, "CONTENT_LIGHT_LEVEL")
    if light is not None and any(light[:8]):
        parts.append("light {}, {}".format(*struct.unpack("=2I", light[:8])))
    return "; ".join(parts) or None


def _colour(source: Film, result: Film) -> Check:
    """Primaries, transfer, matrix and range. The result may state values that the source leaves open."""
    meant = [_meaning(source), _meaning(result)]
    wrong = [
        f"{name} {before} in the source, {after} in the result"
        for (name, before), after in zip(meant[0].items(), meant[1].values(), strict=True)
        if before != after and before is not None
    ]
    if wrong:
        return Check("colour tags", "differs", "; ".join(wrong))
    kept = ", ".join(f"{name} {after}" for name, after in meant[1].items() if after is not None)
    return Check("colour tags", "equal", kept)


def _meaning(film: Film) -> dict[str, Any]:
    frame, context = film.first, film.stream.codec_context

    def told(name: str, nothing: tuple[int, ...]) -> int | None:
        codes = (int(getattr(frame, name)), int(getattr(context, name)))
        return next((code for code in codes if code not in nothing), None)

    matrix, limits = told("colorspace", (UNSPECIFIED,)), told("color_range", (0,))
    pixels = film.pixels
    full = pixels.computed or limits == _FULL or frame.format.name.startswith("yuvj") or (pixels.grey and not limits)
    return {
        "matrix": matrix_of(UNSPECIFIED if matrix is None else matrix, film.height),
        "range": "full" if full else "limited",
        "primaries": told("color_primaries", (0, UNSPECIFIED)),
        "transfer": told("color_trc", (0, UNSPECIFIED)),
    }


_FULL = 2
"""FFmpeg's AVCOL_RANGE_JPEG."""


def _pair(name: str, told: Sequence[str | None], none: str = "none", lost: Status = "differs") -> Check:
    """A fact of source and result: equal, or both values; ``lost`` is the status where the result states none."""
    source, result = told
    if source == result:
        return Check(name, "equal", source or none)
    status: Status = lost if result is None else "differs"
    return Check(name, status, f"{source or none} in the source, {result or none} in the result")
