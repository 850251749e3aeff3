"""A still against its source: the grey of both, and what travels with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.color import Keep
from colorpipe.media.base import Source
from colorpipe.media.still import metadata, vips
from colorpipe.types import Encoding, Frame
from colorpipe.verification.difference import Difference
from colorpipe.verification.report import Check, Status

_STRIP = 1 << 21
"""Pixels compared at once: 16 MB an array of doubles."""
_LOSSY = (".jpg", ".jpeg", ".webp", ".avif")
_NAMES: dict[Keep, str] = {"lightness": "CIE lightness", "luma": "BT.601 luma"}


def compare_stills(source: Source, result: Source) -> Iterator[Check]:
    """Size, depth, grey, transparency, profile and metadata of two stills."""
    (wanted,), (got,) = source, result
    sizes = [f"{frame.width}x{frame.height}" for frame in (wanted, got)]
    same = (wanted.height, wanted.width) == (got.height, got.width)
    yield Check("size", "equal" if same else "differs", sizes[0] if same else _both(*sizes))
    bits = wanted.encoding.bits, got.encoding.bits
    # More bits lose nothing: 12-bit AVIF holds ten.
    status: Status = "equal" if bits[0] <= bits[1] else "left out"
    yield Check("depth", status, f"{bits[0]} bits" if bits[0] == bits[1] else _both(*(f"{n} bits" for n in bits)))
    yield _grey(wanted, got, result.path) if same else Check("luma", "differs", "cannot be compared: sizes differ")
    if wanted.alpha is not None:
        yield _alpha(wanted, got)
    yield from _metadata(wanted, got)
    for note in source.info.notes:
        if note.startswith("first of"):
            yield Check("pages", "left out", f"{note}: the others are in the source only")
        elif note.endswith(("are left out", "channels left out")) or "EXIF is left out" in note:
            yield Check("not read", "left out", note)


# --- grey -------------------------------------------------------------------------------------------------------------


def _grey(source: Frame, result: Frame, path: Path) -> Check:
    """CIE lightness, else BT.601 luma, of the result against the source's grey, both as grey codes.

    What rounding costs, in codes of the coarser of the two depths: R, G and B each land within half a code of where
    they should be. BT.601 luma is their weighted mean, so that it moves by half a code at most. Lightness as a grey
    code is ``encode(sum of w * linear(c))``: its slope in c is ``w * linear'(c) / linear'(grey)``, and those sum to at
    most 1, since ``linear'`` is a concave function of light (all but at the curve's linear start). Over all codes and
    random chroma 0.59 of a code was the most at 8 and at 16 bits alike; the rest of the tolerance is for arithmetic in
    single precision and other machines. A picture in a wide profile is rounded twice more, into that profile's codes
    and out of them when it is read: half a code, and half of the largest step between the profile's codes, are added.
    """
    coarse = source.encoding if source.encoding.bits <= result.encoding.bits else result.encoding
    tolerance = 1 + _profile_rounding(result.metadata.icc, coarse)
    found: dict[Keep, Difference] = {keep: Difference(coarse.peak, tolerance) for keep in get_args(Keep)}
    rows = max(1, _STRIP // source.width)
    for top in range(0, source.height, rows):
        strip = slice(top, top + rows)
        wanted = source.luma[strip] * (coarse.peak / source.encoding.peak)
        planes = [plane[strip] for plane in result.colour or (result.luma,) * 3]
        for keep, difference in found.items():
            difference.add(wanted, _as_grey(planes, keep, result.encoding) * coarse.peak, top=top)
    kept = next((keep for keep in get_args(Keep) if found[keep].holds), None)
    numbers: dict[str, Any] = {keep: difference.as_dict() for keep, difference in found.items()}
    within = f"within {tolerance:.3g} code of {coarse.peak}"
    if kept is not None:
        return Check("luma", "equal", f"{_NAMES[kept]} {within}: {found[kept]}", {"kept": kept, **numbers})
    nearest = min(found, key=lambda keep: found[keep].largest)
    worst = found[nearest]
    says = f"{_NAMES[nearest]} is not {within}: first at {worst.first}; {worst}"
    if path.suffix.lower() in _LOSSY:
        says += f" ({path.suffix.lower()[1:]} is lossy: a .png or .tif result is exact)"
    return Check("luma", "differs", says, {"kept": None, **numbers})


def _as_grey(planes: list[NDArray[Any]], keep: Keep, encoding: Encoding) -> NDArray[np.float64]:
    """R, G, B codes -> grey 0..1 that has their lightness or their luma, not rounded."""
    if keep == "luma":
        weights: Any = color.GREY_WEIGHTS["rec601"]
        total = sum(weight * plane for weight, plane in zip(weights, planes, strict=True))
        return np.asarray(total, np.float64) / encoding.peak
    light = _linear(encoding.bits)
    parts = (weight * light[plane] for weight, plane in zip(color.XYZ_FROM_RGB[1], planes, strict=True))
    Y: NDArray[np.float64] = np.sum(list(parts), axis=0)
    return np.where(Y <= 0.0031308, 12.92 * Y, 1.055 * np.power(Y, 1 / 2.4) - 0.055)


@lru_cache(maxsize=4)
def _linear(bits: int) -> NDArray[np.float64]:
    """sRGB code -> light 0..1 in double precision, one entry a code (IEC 61966-2-1)."""
    grey = np.linspace(0, 1, 1 << bits)
    return np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)


def _profile_rounding(profile: bytes | None, encoding: Encoding) -> float:
    """The part of the tolerance that a wide profile adds; 0 for sRGB."""
    if profile is None or vips.is_srgb(profile):
        return 0.0
    table = vips.grey_table(profile, encoding.bits)
    step = 1.0 if table is None else float(np.diff(table.astype(np.float64)).max())
    return 0.5 + step / 2


# --- what travels with it ---------------------------------------------------------------------------------------------


def _alpha(source: Frame, result: Frame) -> Check:
    if result.alpha is None:
        return Check("transparency", "left out", "not in the result")
    assert source.alpha is not None
    coarse = min(source.encoding.peak, result.encoding.peak)
    difference = Difference(coarse, 0 if source.encoding == result.encoding else 0.5)
    difference.add(source.alpha * (coarse / source.encoding.peak), result.alpha * (coarse / result.encoding.peak))
    if difference.holds:
        return Check("transparency", "equal", "kept", difference.as_dict())
    return Check("transparency", "differs", f"first at {difference.first}; {difference}", difference.as_dict())


def _metadata(source: Frame, result: Frame) -> Iterator[Check]:
    ours, theirs = source.metadata, result.metadata
    xmp, marks = ours.xmp, metadata.provenance_of(theirs.xmp) if theirs.xmp else None
    if xmp and marks:
        xmp = metadata.mark(xmp, marks) or xmp
    for name, wanted, got in (
        ("profile", ours.icc, theirs.icc),
        ("EXIF", ours.exif, theirs.exif),
        ("XMP", xmp, theirs.xmp),
        ("IPTC", ours.iptc, theirs.iptc),
    ):
        if wanted is None:
            continue
        if got is None:
            yield Check(name, "left out", f"{len(wanted):,} bytes, not in the result")
        elif got != wanted:
            yield Check(name, "differs", f"{len(wanted):,} bytes in the source, other {len(got):,} in the result")
        else:
            what = repr(vips.profile_name(wanted)) if name == "profile" else f"{len(wanted):,} bytes"
            added = ", with the mark of provenance" if name == "XMP" and marks else ""
            yield Check(name, "equal", f"{what} kept{added}")
    texts = {name.rpartition("-")[2]: text for name, text in ours.extra.get("texts", {}).items()}
    kept = {name.rpartition("-")[2]: text for name, text in theirs.extra.get("texts", {}).items()}
    if texts:
        wrong = [name for name in texts if name in kept and kept[name] != texts[name]]
        gone = [name for name in texts if name not in kept]
        status: Status = "differs" if wrong else "left out" if gone else "equal"
        says = f"{len(texts) - len(wrong) - len(gone)} kept"
        says += f"; changed: {', '.join(wrong)}" if wrong else ""
        yield Check("comments", status, says + (f"; not in the result: {', '.join(gone)}" if gone else ""))


def _both(source: str, result: str) -> str:
    return f"{source} in the source, {result} in the result"
