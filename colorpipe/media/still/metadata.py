"""EXIF and XMP as bytes: changed where a result requires it, and nowhere else."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
from xml.etree import ElementTree

from colorpipe.media.base import Provenance

# Tags of EXIF 2.32, tables 4 and 7: the axes are width and height, resolutions, and the pixel dimensions again.
_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_AXES = ((0x0100, 0x0101), (0x011A, 0x011B), (0xA002, 0xA003), (0xA20E, 0xA20F))
_SIZES, _PLACES = (0xA002, 0xA003), (0x9214, 0xA214)
"""Tags for the picture's size in pixels; SubjectArea and SubjectLocation, which are positions in it."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "{adobe:ns:meta/}xmpmeta"
_IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_COLORPIPE = "urn:colorpipe:xmp:1.0#"
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_PREFIXES = {"x": "adobe:ns:meta/", "rdf": _RDF, "Iptc4xmpExt": _IPTC_EXT, "colorpipe": _COLORPIPE}
# The packet wrapper's id is fixed by XMP part 1, section 7.3.2.
_PACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n{}\n<?xpacket end="w"?>'
_registry = threading.Lock()
"""ElementTree's prefixes are one table for the whole process."""


def turned_point(x: float, y: float, orientation: int, width: float = 1, height: float = 1) -> tuple[float, float]:
    """Where a point of the stored picture, ``width`` x ``height``, is in the upright one (EXIF 2.32, table 4)."""
    return {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }.get(orientation, (x, y))


def upright(exif: bytes, orientation: int) -> bytes:
    """EXIF for pixels that are already turned: orientation 1, and no link to the thumbnail of the old picture.

    Everything else keeps its bytes and its place, so that maker notes stay readable. An ``Exif`` prefix is dropped.
    EXIF that cannot be followed is returned as it is.

    Args:
        orientation: What the picture was turned by: what was measured along x and y changes places from 5 on, and
            places in the picture go where it put them.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return exif
    patched = bytearray(exif)
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", exif, 4)
        entries = _entries(exif, order, start)
        if _ORIENTATION in entries:
            struct.pack_into(order + "HIHH", patched, entries[_ORIENTATION] + 2, 3, 1, 1, 0)
        (count,) = struct.unpack_from(order + "H", exif, start)
        struct.pack_into(order + "I", patched, start + 2 + 12 * count, 0)
        inner: dict[int, int] = {}
        if _EXIF_IFD in entries:
            inner = _entries(exif, order, struct.unpack_from(order + "I", exif, entries[_EXIF_IFD] + 8)[0])
        if orientation > 1:
            _turn_places(exif, patched, order, inner, orientation)
        if orientation >= 5:
            _swap(exif, patched, entries)
            _swap(exif, patched, inner)
    return bytes(patched)


def _entries(exif: bytes, order: str, start: int) -> dict[int, int]:
    """Tag -> where its 12 bytes are, for the directory at ``start``."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(order + "HHII", exif, place)[0]: place for place in places}


def _swap(exif: bytes, patched: bytearray, entries: dict[int, int]) -> None:
    """The values of x and y tags change places; the tags stay where they are, as they are sorted."""
    for x, y in _AXES:
        if x in entries and y in entries:
            first, second = entries[x] + 2, entries[y] + 2
            patched[first : first + 10] = exif[second : second + 10]
            patched[second : second + 10] = exif[first : first + 10]


def _turn_places(exif: bytes, patched: bytearray, order: str, entries: dict[int, int], orientation: int) -> None:
    """Points, circles and rectangles that EXIF places in the picture turn with it; sizes are its own where stated."""
    sizes = []
    for tag in _SIZES:
        if tag not in entries:
            return
        kind = struct.unpack_from(order + "H", exif, entries[tag] + 2)[0]
        sizes.append(struct.unpack_from(order + ("H" if kind == 3 else "I"), exif, entries[tag] + 8)[0])
    for tag in _PLACES:
        if tag not in entries:
            continue
        kind, count, where = struct.unpack_from(order + "HII", exif, entries[tag] + 2)
        if kind != 3 or not 2 <= count <= 4:
            continue
        where = where if count > 2 else entries[tag] + 8
        x, y, *more = struct.unpack_from(f"{order}{count}H", exif, where)
        x, y = turned_point(x, y, orientation, *sizes)
        more = more[::-1] if len(more) == 2 and orientation >= 5 else more
        struct.pack_into(f"{order}{count}H", patched, where, max(0, round(x)), max(0, round(y)), *more)


def mark(xmp: bytes | None, provenance: Provenance, damage: str = "") -> bytes | None:
    """XMP that also says that the picture is colorized, by which recipe and by what; and ``damage``, if any: which part
    of the source could not be decoded.

    What the packet held stays; an older statement of the same properties is replaced. None where ``xmp`` is no XMP.
    """
    stated = {
        f"{{{_IPTC_EXT}}}DigitalSourceType": _SOURCE_TYPE,
        f"{{{_COLORPIPE}}}Recipe": provenance.recipe_digest,
        f"{{{_COLORPIPE}}}Software": provenance.software,
    }
    if damage:
        stated[f"{{{_COLORPIPE}}}Damage"] = damage
    prefixes = dict(_PREFIXES)
    if xmp is None:
        root = ElementTree.Element(_META)
        graph: ElementTree.Element | None = ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    else:
        parsed = parse(xmp, prefixes)
        if parsed is None:
            return None
        root = parsed
        graph = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f"{{{_RDF}}}RDF")
        if graph is None and root.tag == _META:
            graph = ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    if graph is None:
        return None
    subject = ""
    for description in graph.findall(f"{{{_RDF}}}Description"):
        subject = description.get(f"{{{_RDF}}}about", subject)
        for name in stated:
            description.attrib.pop(name, None)
            for element in description.findall(name):
                description.remove(element)
    added = ElementTree.SubElement(graph, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": subject})
    for name, value in stated.items():
        ElementTree.SubElement(added, name).text = value
    return packet(root, prefixes)


def packet(root: ElementTree.Element, prefixes: dict[str, str]) -> bytes:
    """A tree as an XMP packet, with these names for its namespaces."""
    with _registry:
        for prefix, uri in prefixes.items():
            ElementTree.register_namespace(prefix, uri)
        body = ElementTree.tostring(root, encoding="unicode")
    return _PACKET.format(body).encode()


def provenance_of(xmp: bytes) -> Provenance | None:
    """The provenance that ``mark`` stated in an XMP packet; None if there is none."""
    root = parse(xmp, {})
    if root is None:
        return None
    recipe, software = (root.findtext(f".//{{{_COLORPIPE}}}{name}") for name in ("Recipe", "Software"))
    return None if recipe is None or software is None else Provenance(recipe, software)


def parse(xmp: bytes, prefixes: dict[str, str]) -> ElementTree.Element | None:
    """The packet's root, its own prefixes added to ``prefixes``."""
    packet = xmp.strip(b"\0 \t\r\n")
    # An XMP packet has no document type; one that has it wants entities expanded.
    if b"<!DOCTYPE" in packet:
        return None
    root = None
    try:
        for event, item in ElementTree.iterparse(io.BytesIO(packet), ("start-ns", "start")):
            if event == "start-ns":
                prefix, uri = item
                # ElementTree keeps ns0, ns1 ... for itself.
                if prefix and not (prefix.startswith("ns") and prefix[2:].isdigit()):
                    prefixes.setdefault(prefix, uri)
            elif root is None:
                root = item
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    return root


def webp_with_exif(encoded: bytes, exif: bytes, width: int, height: int) -> bytes:
    """The EXIF chunk goes before XMP and its flag (0x08) into VP8X, which simple files lack (RFC 9649, section 2.7)."""
    chunks = []
    at = 12
    while at + 8 <= len(encoded):
        size = 8 + int.from_bytes(encoded[at + 4 : at + 8], "little")
        chunks.append(encoded[at : at + size + size % 2])
        at += size + size % 2
    if chunks[0][:4] != b"VP8X":
        has_alpha = chunks[0][:4] == b"VP8L" and bool(chunks[0][12] & 0x10)
        head = struct.pack("<I", 0x10 if has_alpha else 0)
        size3 = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks.insert(0, b"VP8X" + struct.pack("<I", 10) + head + size3)
    chunks[0] = chunks[0][:8] + bytes([chunks[0][8] | 0x08]) + chunks[0][9:]
    place = next((i for i, chunk in enumerate(chunks) if chunk[:4] == b"XMP "), len(chunks))
    chunks.insert(place, b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2))
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body
