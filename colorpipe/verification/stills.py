"""A still against its source: the grey of both, and the data besides the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.color import Keep
from colorpipe.media import sniff
from colorpipe.media.base import Source
from colorpipe.media.still import vips
from colorpipe.types import Encoding, Frame
from colorpipe.verification import decoded, lossy_stills
from colorpipe.verification.difference import Difference
from colorpipe.verification.drift import WIDE, Drift
from colorpipe.verification.report import Check, Status
from colorpipe.verification.travellers import both, compare_travellers

_STRIP = 1 << 21
"""Pixels compared at once: 16 MB an array of doubles."""
_MOST_SHIFT, _MOST_CONTRAST = 4.0, 1.08
"""Codes of 255, and a ratio, that lossy codecs stay within; limited range taken for full is 0.86."""
_AVIF_ALPHA = 40.0
"""dB: AVIF stores transparency with loss too; at ``--quality 75`` it is 44 for noise, the hardest to store."""
_NAMES: dict[Keep, str] = {"lightness": "CIE lightness", "luma": "BT.601 luma"}


def compare_stills(source: Source, result: Source) -> Iterator[Check]:
    """Size, depth, grey, transparency, profile and metadata of two stills.

    Both are decoded, and their metadata listed, by other libraries than those that ``run`` reads with, where these read
    the format; ``reader`` says which was used.
    """
    (ours,), (theirs,) = source, result
    (wanted, by), (got, also_by) = _apart(ours, source.path), _apart(theirs, result.path)
    yield Check("reader", "equal", by if by == also_by else f"source {by}; result {also_by}")
    sizes = [f"{frame.width}x{frame.height}" for frame in (wanted, got)]
    same = (wanted.height, wanted.width) == (got.height, got.width)
    yield Check("size", "equal" if same else "differs", sizes[0] if same else both(*sizes))
    bits = ours.encoding.bits, theirs.encoding.bits
    # More bits lose nothing: 12-bit AVIF holds ten.
    status: Status = "equal" if bits[0] <= bits[1] else "left out"
    yield Check("depth", status, f"{bits[0]} bits" if bits[0] == bits[1] else both(*(f"{n} bits" for n in bits)))
    # Values multiplied by transparency and divided by it again are a code off in either reader.
    more = 1.0 if any("divided by it" in note for note in source.info.notes) else 0.0
    if source.path.suffix.lower() in (".avif", ".heic"):
        more = 2.0 if wanted.colour is None else 7.0  # libraries differ in how they bring AV1's chroma to full size
    lossy = lossy_stills.lossy_format(result.path)
    if not same:
        yield Check("luma", "differs", "cannot be compared: sizes differ")
    elif (luma := _grey(wanted, got, more)).status == "equal" or lossy is None:
        yield luma
    else:
        yield _as_the_format_does(luma, wanted, got, theirs, result.path, more)
    if same and lossy is not None:
        yield _tones(wanted, got)
    yield from _alpha(wanted, got, lossy)
    yield from compare_travellers(ours, theirs, source.path, result.path)
    notes = list(source.info.notes)
    pages = [note for note in notes if note.startswith("first of")]
    if pages:
        yield Check("pages", "left out", f"{pages[0]}: the others are in the source only")
    lost = [note for note in notes if "left out" in note or note.startswith("damaged")]
    if lost:
        yield Check("not read", "left out", "; ".join(lost))


def _apart(seen: Frame, path: Path) -> tuple[Frame, str]:
    """The picture as another library decodes it, and the name of that library."""
    if "missing" in seen.metadata.extra:
        return seen, "by run's own reader, since the file is damaged"
    try:
        other = decoded.apart(path, seen)
    except decoded.NotDecodedError as error:
        return seen, f"by run's own reader: no other reads it ({error})"
    if other.encoding.bits < seen.encoding.bits:
        if (other.height, other.width) == (seen.height, seen.width):
            other = replace(other, alpha=seen.alpha)
        return (
            other,
            f"by another library than run's, which gives {other.encoding.bits} bits of its {seen.encoding.bits}",
        )
    if other.alpha is None and seen.alpha is not None and path.suffix.lower() in (".bmp", ".dib"):
        other = replace(other, alpha=seen.alpha)  # which bitmaps have transparency is anybody's guess
    return other, "by another library than run's"


# --- grey -------------------------------------------------------------------------------------------------------------


def _grey(source: Frame, result: Frame, more: float = 0.0) -> Check:
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
    tolerance = 1 + more + _profile_rounding(result.metadata.icc, coarse)
    found: dict[Keep, Difference] = {keep: Difference(coarse.peak, tolerance) for keep in get_args(Keep)}
    for keep, difference in found.items():
        for top, wanted, got in _strips(source, result, keep, coarse.peak):
            difference.add(wanted, got, top=top)
    kept = next((keep for keep in get_args(Keep) if found[keep].holds), None)
    numbers: dict[str, Any] = {keep: difference.as_dict() for keep, difference in found.items()}
    within = f"within {tolerance:.3g} code of {coarse.peak}"
    if kept is not None:
        return Check("luma", "equal", f"{_NAMES[kept]} {within}: {found[kept]}", {"kept": kept, **numbers})
    nearest = min(found, key=lambda keep: found[keep].mean)
    worst = found[nearest]
    says = f"{_NAMES[nearest]} is not {within}: first at {worst.first}; {worst}"
    return Check("luma", "differs", says, {"kept": None, "nearest": nearest, **numbers})


def _as_the_format_does(found: Check, source: Frame, result: Frame, seen: Frame, path: Path, more: float) -> Check:
    """``found`` again, as ``lossy`` where the result's format does as much to the exact picture, and why not if not.

    Args:
        found: The difference of grey.
        seen: The result as ``run``'s reader has it.
        more: Codes by which other readers of the source may be off.
    """
    keep: Keep = found.numbers["nearest"]
    name = lossy_stills.NAMES[sniff.kind_of(path)]

    def drift(picture: Frame) -> Drift:
        measured = Drift()
        for _, wanted, got in _strips(source, picture, keep, 255):
            measured.add(got - wanted)
        return measured

    most = lossy_stills.most_by_trial(source, result, seen, path, keep, drift)
    if most is None:
        return Check(
            "luma", "differs", f"{found.says}; what {name} does at its quality was not found out", found.numbers
        )
    measured = drift(result)
    most = replace(most, shift=most.shift + more, near=most.near + more, wide=most.wide + more, noise=most.noise + more)
    numbers = {**found.numbers, "format": name, "drift": measured.as_dict(), "most": vars(most)}
    changed = measured.beyond(most)
    if changed is not None:
        says = f"{_NAMES[keep]} was changed, by more than {name} does at this quality: {changed}; {found.says}"
        return Check("luma", "differs", says, numbers)
    says = f"{_NAMES[keep]} differs by {measured.mean:.1f} codes of 255 on average, as {name} does at this quality"
    return Check("luma", "lossy", f"{says}; a .png or .tif result is exact", {**numbers, "codes": measured.mean})


def _strips(source: Frame, result: Frame, keep: Keep, peak: int) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Strips from the top: the row where one begins, the source's grey, the result's that ``keep`` means; 0..peak."""
    rows = max(WIDE, _STRIP // source.width // WIDE * WIDE)
    for top in range(0, source.height, rows):
        strip = slice(top, top + rows)
        planes = [plane[strip] for plane in result.colour or (result.luma,) * 3]
        yield top, source.luma[strip] * (peak / source.encoding.peak), _as_grey(planes, keep, result.encoding) * peak


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


def _tones(source: Frame, result: Frame) -> Check:
    """Whether a lossy result has its source's brightness and contrast: a codec adds noise but keeps both."""
    wanted = source.luma / source.encoding.peak * 255
    planes = list(result.colour or (result.luma,) * 3)
    greys = [_as_grey(planes, keep, result.encoding) * 255 for keep in get_args(Keep)]
    shift = min(float(abs(grey.mean() - wanted.mean())) for grey in greys)
    ratio = min((float((grey.std() + 1) / (wanted.std() + 1)) for grey in greys), key=lambda value: abs(value - 1))
    numbers = {"shift": shift, "contrast": ratio}
    if shift <= _MOST_SHIFT and 1 / _MOST_CONTRAST <= ratio <= _MOST_CONTRAST:
        return Check(
            "tones", "equal", f"mean within {shift:.1f} codes of 255, contrast {ratio:.2f} of the source's", numbers
        )
    return Check(
        "tones", "differs", f"the mean is {shift:.1f} codes of 255 off, contrast {ratio:.2f} of the source's", numbers
    )


# --- transparency -----------------------------------------------------------------------------------------------------


def _alpha(source: Frame, result: Frame, lossy: str | None) -> Iterator[Check]:
    if source.alpha is None:
        if result.alpha is not None and int(result.alpha.min()) < result.encoding.peak:
            yield Check("transparency", "differs", "the result is transparent in places, the source is not")
        return
    if result.alpha is None:
        yield Check("transparency", "left out", "not in the result")
    elif source.alpha.shape != result.alpha.shape:
        yield Check("transparency", "differs", "cannot be compared: sizes differ")
    else:
        coarse = min(source.encoding.peak, result.encoding.peak)
        difference = Difference(coarse, 0 if source.encoding == result.encoding else 0.5)
        difference.add(source.alpha * (coarse / source.encoding.peak), result.alpha * (coarse / result.encoding.peak))
        if difference.holds:
            yield Check("transparency", "equal", "kept", difference.as_dict())
        elif lossy == "AVIF" and difference.psnr >= _AVIF_ALPHA:
            yield Check("transparency", "lossy", f"as AVIF does: {difference}", difference.as_dict())
        else:
            says = f"first at {difference.first}; {difference}"
            yield Check("transparency", "differs", says, difference.as_dict())
