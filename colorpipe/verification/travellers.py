"""Data carried with a still, by ``inventory``: profile, EXIF, XMP, IPTC, comments, resolution, regions, thumbnails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from colorpipe.media.still import metadata, vips
from colorpipe.types import Frame
from colorpipe.verification.inventory import Inventory, areas, inventory, lasting, xmp_orientation
from colorpipe.verification.report import Check, Status

_RESOLUTION = 0.01
"""Part that rounding to whole dots costs: half of one at 50 dpi."""
_PLACE = 0.002
"""Rounding of a region's numbers, as a share of the whole."""
_NO_EXIF_ORIENTATION = ("heif",)


def compare_travellers(ours: Frame, theirs: Frame, source: Path, result: Path) -> Iterator[Check]:
    """Compare the data besides pixels in both files.

    Args:
        ours, theirs: As ``run``'s reader has them: what should be in the result, and what is.
    """
    before, after = inventory(source), inventory(result)
    yield from _profile(ours, theirs, after)
    yield from _exif(ours, theirs, before, after)
    yield from _xmp(ours, theirs, before, after)
    if before is None or after is None:
        return
    yield from _iptc(before, after)
    yield from _comments(before, after)
    yield from _resolution(before, after)
    yield from _orientation(before, after)
    yield from _regions(before, after)
    if after.thumbnails:
        where = " and ".join(after.thumbnails)
        yield Check("thumbnail", "differs", f"in {where} of the result there is a small picture, the source's")


def _profile(ours: Frame, theirs: Frame, after: Inventory | None) -> Iterator[Check]:
    wanted = ours.metadata.icc
    got = theirs.metadata.icc if after is None else after.profile
    if wanted is None:
        return
    if got is None:
        yield Check("profile", "left out", f"{len(wanted):,} bytes, not in the result")
    elif got != wanted:
        yield Check("profile", "differs", f"{len(wanted):,} bytes in the source, other {len(got):,} in the result")
    else:
        yield Check("profile", "equal", f"{vips.profile_name(wanted)!r} kept")


def _exif(ours: Frame, theirs: Frame, before: Inventory | None, after: Inventory | None) -> Iterator[Check]:
    wanted, got = ours.metadata.exif, theirs.metadata.exif
    if wanted is None and not (before and before.tags):
        return
    if wanted is not None and wanted == got:
        yield Check("EXIF", "equal", f"{len(wanted):,} bytes kept")
    elif before is None or after is None:
        status: Status = "left out" if got is None else "differs"
        yield Check("EXIF", status, f"{len(wanted or b''):,} bytes in the source, {len(got or b''):,} in the result")
    else:
        yield from _tags(before, after, got is None)


def _tags(before: Inventory, after: Inventory, gone: bool) -> Iterator[Check]:
    """Tag by tag, where a TIFF holds them, or resolution was put among them."""
    lost = [name for name in before.tags if name not in after.tags]
    changed = [name for name in before.tags if name in after.tags and after.tags[name] != before.tags[name]]
    moved = "tiff" in (before.kind, after.kind) or after.kind in ("webp", "heif")
    if (gone or len(lost) == len(before.tags)) and (before.tags or not moved):
        yield Check("EXIF", "left out", f"{len(before.tags)} tags, not in the result")
    elif lost or changed:
        said = [f"not in the result: {', '.join(lost[:8])}"] if lost else []
        said += [f"changed: {', '.join(changed[:8])}"] if changed else []
        yield Check("EXIF", "differs", f"of {len(before.tags)} tags {'; '.join(said)}")
    elif moved:
        if before.tags:
            yield Check("EXIF", "equal", f"{len(before.tags)} tags kept")
    else:
        yield Check("EXIF", "differs", "other bytes in the result, though the same tags")


def _xmp(ours: Frame, theirs: Frame, before: Inventory | None, after: Inventory | None) -> Iterator[Check]:
    wanted, got = ours.metadata.xmp, theirs.metadata.xmp
    if wanted is None:
        return
    marks = metadata.provenance_of(got) if got else None
    added = ", with the mark of provenance" if marks else ""
    marked = (metadata.mark(wanted, marks) or wanted) if marks else wanted
    if got is None:
        yield Check("XMP", "left out", f"{len(wanted):,} bytes, not in the result")
    elif got in (wanted, marked):
        yield Check("XMP", "equal", f"{len(wanted):,} bytes kept{added}")
    elif before and after and before.xmp and lasting(before.xmp) == lasting(after.xmp):
        yield Check("XMP", "equal", f"{len(lasting(before.xmp))} properties kept{added}")
    else:
        yield Check("XMP", "differs", f"{len(wanted):,} bytes in the source, other {len(got):,} in the result")


def _iptc(before: Inventory, after: Inventory) -> Iterator[Check]:
    if before.iptc is not None:
        wanted, got = before.iptc.rstrip(b"\0"), (after.iptc or b"").rstrip(b"\0")
        if after.iptc is None:
            yield Check("IPTC", "left out", f"{len(wanted):,} bytes, not in the result")
        elif got != wanted:
            yield Check("IPTC", "differs", f"{len(wanted):,} bytes in the source, other {len(got):,} in the result")
        else:
            yield Check("IPTC", "equal", f"{len(wanted):,} bytes kept")
    apart = {0x0404, 0x0409, 0x040C, 0x0425}
    lost = sorted(set(before.resources) - set(after.resources) - apart)
    if lost:
        yield Check("Photoshop", "left out", f"resources {', '.join(f'0x{number:04x}' for number in lost)}")


def _comments(before: Inventory, after: Inventory) -> Iterator[Check]:
    """Compare comments by their keys; without keys, by their text, anywhere in the result."""
    comments = [] if before.kind == "png" else list(before.comments)
    if not (before.texts or comments):
        return
    everywhere = {*after.comments, *after.texts.values()}
    gone: list[str] = []
    wrong: list[str] = []
    for key, text in before.texts.items():
        if key in after.texts:
            if after.texts[key] != text or after.languages.get(key) != before.languages.get(key):
                wrong.append(key)
        elif f"{key}: {text}" not in everywhere:
            near = [other for other in after.texts if other and key.startswith(other) and other not in before.texts]
            (wrong if near else gone).append(key)
    gone += ["a comment" for text in comments if text not in everywhere]
    count = len(before.texts) + len(comments)
    status: Status = "differs" if wrong else "left out" if gone else "equal"
    says = f"{count - len(wrong) - len(gone)} kept" + (f"; changed: {', '.join(wrong)}" if wrong else "")
    yield Check("comments", status, says + (f"; not in the result: {', '.join(gone)}" if gone else ""))


def _resolution(before: Inventory, after: Inventory) -> Iterator[Check]:
    wanted, got = before.resolution, after.resolution
    if wanted is not None and before.orientation >= 5 and before.kind not in _NO_EXIF_ORIENTATION:
        wanted = wanted[::-1]
    if wanted is None and got is None:
        return
    if wanted is not None and got is not None:
        near = all(abs(one - other) <= max(_RESOLUTION * one, 0.6) for one, other in zip(wanted, got, strict=True))
        if near:
            yield Check("resolution", "equal", _dpi(got))
            return
    yield Check("resolution", "differs", both(_dpi(wanted), _dpi(got)))


def _dpi(resolution: tuple[float, float] | None) -> str:
    if resolution is None:
        return "none"
    x, y = resolution
    return f"{x:.4g} dpi" if abs(x - y) < 0.01 * x else f"{x:.4g} x {y:.4g} dpi"


def _orientation(before: Inventory, after: Inventory) -> Iterator[Check]:
    """Check that nothing in the result asks for rotation, since its pixels are upright."""
    turned = before.orientation > 1 and before.kind not in _NO_EXIF_ORIENTATION
    stated = xmp_orientation(after.xmp)
    if after.orientation > 1:
        yield Check("orientation", "differs", f"EXIF of the result says {after.orientation}")
    elif stated > 1 and (turned or stated != xmp_orientation(before.xmp)):
        yield Check("orientation", "differs", f"XMP of the result says {stated}, though the picture was turned")
    elif turned:
        yield Check("orientation", "equal", "turned, and nothing says to turn it again")


def _regions(before: Inventory, after: Inventory) -> Iterator[Check]:
    wanted, got = areas(before.xmp), areas(after.xmp)
    if not wanted or not after.xmp:
        return
    if before.kind not in _NO_EXIF_ORIENTATION and all(max(area) <= 1 for area in wanted):
        wanted = [_turned(area, before.orientation) for area in wanted]
    kept = len(wanted) == len(got) and all(
        abs(one - other) <= _PLACE
        for area, found in zip(wanted, got, strict=False)
        for one, other in zip(area, found, strict=True)
    )
    if kept:
        yield Check("regions", "equal", f"{len(wanted)}, where they belong")
    elif len(wanted) != len(got):
        yield Check("regions", "differs", both(*(str(len(found)) for found in (wanted, got))))
    else:
        yield Check("regions", "differs", f"the first is at {_at(got[0])}, and belongs at {_at(wanted[0])}")


def _turned(area: tuple[float, float, float, float], orientation: int) -> tuple[float, float, float, float]:
    """A centre and a size, turned as EXIF 2.32, table 4 says."""
    x, y, w, h = area
    if orientation in (2, 3):
        x = 1 - x
    if orientation in (3, 4):
        y = 1 - y
    if orientation >= 5:
        across = 1 - y if orientation in (6, 7) else y
        down = 1 - x if orientation in (7, 8) else x
        return across, down, h, w
    return x, y, w, h


def _at(area: tuple[float, float, float, float]) -> str:
    return f"x {area[0]:.3g}, y {area[1]:.3g}"


def both(source: str, result: str) -> str:
    return f"{source} in the source, {result} in the result"
