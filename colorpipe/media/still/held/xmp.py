"""XMP of a picture that was turned, or that lost a part: what it says of places, sizes and parts is put right.

Face regions are those of the Metadata Working Group (Guidelines 2.0, section 5.9), ACDSee, Microsoft Photo and IPTC
(Photo Metadata Standard 2023.1, image regions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from colorpipe.media.still import metadata

_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_XAP = "{http://ns.adobe.com/xap/1.0/}"
_IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_MP_REGION = "{http://ns.microsoft.com/photo/1.2/t/Region#}Rectangle"
_AREAS = ("{http://ns.adobe.com/xmp/sType/Area#}", "{http://ns.acdsee.com/sType/Area#}")
_DIMENSIONS = ("{http://ns.adobe.com/xap/1.0/sType/Dimensions#}", "{http://ns.adobe.com/xmp/sType/Dimensions#}",
               "{http://ns.acdsee.com/sType/Dimensions#}")  # fmt: skip
_GAIN_MAP = ("{http://ns.adobe.com/hdr-gain-map/1.0/}", "{http://ns.apple.com/HDRGainMap/1.0/}")
_CONTAINER = "{http://ns.google.com/photos/1.0/container/}"
_CAMERA = "{http://ns.google.com/photos/1.0/camera/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_RDF_SYNTAX = frozenset(
    f"{_RDF}{name}" for name in ("RDF", "Description", "Bag", "Seq", "Alt", "li", "about", "resource")
)


@dataclass(frozen=True)
class Change:
    """The changes to a picture that its XMP packet must reflect."""

    orientation: int
    """EXIF's of the source; its pixels are upright now."""
    size: tuple[int, int]
    """Width and height of the upright picture."""
    stale: frozenset[str] = frozenset()
    """Parts that are not in the result: ``gain map``, ``film``."""

    @property
    def on_its_side(self) -> bool:
        return self.orientation >= 5

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height before it was turned."""
        return (self.size[1], self.size[0]) if self.on_its_side else self.size


def upright(xmp: bytes, change: Change, always: bool = False) -> bytes:
    """The packet for the upright picture; byte for byte the same where nothing in it speaks of what was done.

    Args:
        always: The source's orientation was not EXIF's but its container's, and XMP may still state one.
    """
    prefixes: dict[str, str] = {}
    root = metadata.parse(xmp, prefixes)
    if root is None:
        return xmp
    before = ElementTree.tostring(root)
    _without(root, f"{_XAP}Thumbnails")
    if change.orientation > 1 or always:
        _turn(root, change)
    if "gain map" in change.stale:
        for element in list(root.iter()):
            _drop(element, lambda name: name.startswith((*_GAIN_MAP, _CONTAINER)))
    if "film" in change.stale:
        for element in list(root.iter()):
            _drop(element, lambda name: name.startswith((f"{_CAMERA}Mo", f"{_CAMERA}Micro", _CONTAINER)))
    return xmp if ElementTree.tostring(root) == before else metadata.packet(root, prefixes)


def _turn(root: ElementTree.Element, change: Change) -> None:
    for element in list(root.iter()):
        _set(element, f"{_TIFF}Orientation", "1")
        if change.orientation <= 1:
            continue
        for names in (
            (f"{_TIFF}ImageWidth", f"{_TIFF}ImageLength"),
            (f"{_EXIF}PixelXDimension", f"{_EXIF}PixelYDimension"),
        ):
            for name, value in zip(names, change.size, strict=True):
                _set(element, name, str(value))
        if change.on_its_side:
            _swap(element, f"{_TIFF}XResolution", f"{_TIFF}YResolution")
            for space in _DIMENSIONS:
                _swap(element, f"{space}w", f"{space}h")
        for space in _AREAS:
            _turn_area(element, space, change)
        _turn_iptc(element, change)
        _turn_rectangle(element, change)


def _turn_area(element: ElementTree.Element, space: str, change: Change) -> None:
    """A centre, with or without a width and height, as parts of the whole or in pixels."""
    x, y = _number(element, f"{space}x"), _number(element, f"{space}y")
    if x is None or y is None:
        return
    width, height = change.stored if _get(element, f"{space}unit") == "pixel" else (1, 1)
    x, y = metadata.turned_point(x, y, change.orientation, width, height)
    _set(element, f"{space}x", _shown(x))
    _set(element, f"{space}y", _shown(y))
    if change.on_its_side:
        _swap(element, f"{space}w", f"{space}h")


def _turn_iptc(element: ElementTree.Element, change: Change) -> None:
    """A corner with a width and height, a circle's centre, or one corner of a polygon."""
    x, y = _number(element, f"{_IPTC}rbX"), _number(element, f"{_IPTC}rbY")
    if x is None or y is None:
        return
    whole = change.stored if "pixel" in (_get(element, f"{_IPTC}rbUnit") or "") else (1, 1)
    w, h = _number(element, f"{_IPTC}rbW") or 0, _number(element, f"{_IPTC}rbH") or 0
    corners = [metadata.turned_point(a, b, change.orientation, *whole) for a, b in ((x, y), (x + w, y + h))]
    _set(element, f"{_IPTC}rbX", _shown(min(corner[0] for corner in corners)))
    _set(element, f"{_IPTC}rbY", _shown(min(corner[1] for corner in corners)))
    if change.on_its_side:
        _swap(element, f"{_IPTC}rbW", f"{_IPTC}rbH")


def _turn_rectangle(element: ElementTree.Element, change: Change) -> None:
    """Microsoft's ``x, y, width, height`` as parts of the whole, from the corner."""
    text = _get(element, _MP_REGION)
    try:
        x, y, w, h = (float(part) for part in (text or "").split(","))
    except ValueError:
        return
    corners = [metadata.turned_point(a, b, change.orientation) for a, b in ((x, y), (x + w, y + h))]
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    size = (h, w) if change.on_its_side else (w, h)
    _set(element, _MP_REGION, ", ".join(_shown(value) for value in (left, top, *size)))


# --- a property is an attribute or an element -------------------------------------------------------------------------


def _get(element: ElementTree.Element, name: str) -> str | None:
    value = element.get(name)
    if value is not None:
        return value
    child = element.find(name)
    return None if child is None or len(child) else (child.text or "").strip()


def _set(element: ElementTree.Element, name: str, value: str) -> None:
    """Change a property that is there."""
    if element.get(name) is not None:
        element.set(name, value)
    child = element.find(name)
    if child is not None and not len(child):
        child.text = value


def _swap(element: ElementTree.Element, first: str, second: str) -> None:
    one, two = _get(element, first), _get(element, second)
    if one is not None and two is not None:
        _set(element, first, two)
        _set(element, second, one)


def _number(element: ElementTree.Element, name: str) -> float | None:
    try:
        return float(_get(element, name) or "")
    except ValueError:
        return None


def _shown(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _without(root: ElementTree.Element, name: str) -> None:
    for element in list(root.iter()):
        _drop(element, lambda found: found == name)


def _drop(element: ElementTree.Element, is_meant: Callable[[str], bool]) -> None:
    for name in [name for name in element.attrib if is_meant(name)]:
        del element.attrib[name]
    for child in [child for child in element if is_meant(str(child.tag))]:
        element.remove(child)


def properties(xmp: bytes) -> dict[str, str]:
    """Each property of a packet by its path, as text: for a comparison that does not see how it was written down."""
    root = metadata.parse(xmp, {})
    return {} if root is None else dict(_flat(root, ""))


def _flat(element: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name not in (f"{_RDF}about", f"{_RDF}parseType") and not name.startswith("{adobe:ns:meta/}"):
            yield f"{path}/{name}", value.strip()
    counted: dict[str, int] = {}
    for child in element:
        name = str(child.tag)
        if name == f"{_RDF}li":
            counted[name] = counted.get(name, 0) + 1
            inner = f"{path}[{counted[name]}]"
        else:
            inner = path if name in _RDF_SYNTAX or name.startswith("{adobe:ns:meta/}") else f"{path}/{name}"
        if len(child) == 0 and (child.text or "").strip():
            yield inner, (child.text or "").strip()
        yield from _flat(child, inner)


def turned_box(box: tuple[int, int, int, int], orientation: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a rectangle of the stored picture of ``size``, in the upright one."""
    left, top, right, bottom = box
    corners = [metadata.turned_point(x, y, orientation, *size) for x, y in ((left, top), (right, bottom))]
    (a, b), (c, d) = corners
    return round(min(a, c)), round(min(b, d)), round(max(a, c)), round(max(b, d))
