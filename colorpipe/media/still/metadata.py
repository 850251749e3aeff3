"""EXIF and XMP as bytes: what a result must change in them, and nothing else."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import zlib
from pathlib import Path
from xml.etree import ElementTree

from colorpipe.media.base import Provenance

# Tags of EXIF 2.32, tables 4 and 7: the axes are width and height, resolutions, and the pixel dimensions again.
_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_TAKEN = frozenset({_EXIF_IFD, 0x8825, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298})
_AXES = ((0x0100, 0x0101), (0x011A, 0x011B), (0xA002, 0xA003))
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


def upright(exif: bytes, on_its_side: bool) -> bytes:
    """EXIF for pixels that are already turned: orientation 1, and no link to the thumbnail of the old picture.

    Everything else keeps its bytes and its place, so that maker notes stay readable. An ``Exif`` prefix is dropped.
    EXIF that cannot be followed is returned as it is.

    Args:
        on_its_side: The picture was turned by a quarter: what was measured along x and y changes places.
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
        if on_its_side:
            _swap(exif, patched, entries)
            if _EXIF_IFD in entries:
                (inner,) = struct.unpack_from(order + "I", exif, entries[_EXIF_IFD] + 8)
                _swap(exif, patched, _entries(exif, order, inner))
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


def tiff_has_exif(path: Path) -> bool:
    """Whether a TIFF says who, when or with what it was taken: EXIF, GPS, make, model, date, artist or copyright.

    libvips passes none of these on.
    """
    with open(path, "rb") as file:
        head = file.read(8)
        # BigTIFF is laid out otherwise, and has no EXIF in practice.
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
        if order is None or len(head) < 8:
            return False
        file.seek(struct.unpack(order + "I", head[4:])[0])
        directory = file.read(2 + 12 * 0xFFFF)
    with contextlib.suppress(struct.error):
        return not _TAKEN.isdisjoint(_entries(directory, order, 0))
    return False


def mark(xmp: bytes | None, provenance: Provenance) -> bytes | None:
    """XMP that also says that the picture is colorized, by which recipe and by what.

    What the packet held stays; an older statement of the same properties is replaced. None where ``xmp`` is no XMP.
    """
    stated = {
        f"{{{_IPTC_EXT}}}DigitalSourceType": _SOURCE_TYPE,
        f"{{{_COLORPIPE}}}Recipe": provenance.recipe_digest,
        f"{{{_COLORPIPE}}}Software": provenance.software,
    }
    prefixes = dict(_PREFIXES)
    if xmp is None:
        root = ElementTree.Element(_META)
        graph: ElementTree.Element | None = ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    else:
        parsed = _parse(xmp, prefixes)
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
    with _registry:
        for prefix, uri in prefixes.items():
            ElementTree.register_namespace(prefix, uri)
        body = ElementTree.tostring(root, encoding="unicode")
    return _PACKET.format(body).encode()


def provenance_of(xmp: bytes) -> Provenance | None:
    """The provenance that ``mark`` wrote into an XMP packet; None where there is none."""
    root = _parse(xmp, {})
    if root is None:
        return None
    recipe, software = (root.findtext(f".//{{{_COLORPIPE}}}{name}") for name in ("Recipe", "Software"))
    return None if recipe is None or software is None else Provenance(recipe, software)


def _parse(xmp: bytes, prefixes: dict[str, str]) -> ElementTree.Element | None:
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


def with_exif(encoded: bytes, exif: bytes, width: int, height: int) -> bytes | None:
    """A JPEG, PNG or WebP file with EXIF put in, byte for byte; None where this file cannot hold it.

    libvips would write EXIF anew through libexif, which loses maker notes.
    """
    if encoded[:2] == b"\xff\xd8":
        body = b"Exif\0\0" + exif
        if len(body) + 2 > 0xFFFF:
            return None
        at = 2
        if encoded[2:4] == b"\xff\xe0":  # JFIF wants its segment first
            at = 4 + int.from_bytes(encoded[4:6], "big")
        return encoded[:at] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + encoded[at:]
    if encoded[:4] == b"\x89PNG":
        chunk = b"eXIf" + exif
        at = 8 + 25  # the signature and IHDR
        return encoded[:at] + struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + encoded[at:]
    if encoded[8:12] == b"WEBP":
        return _webp_with_exif(encoded, exif, width, height)
    return None


def _webp_with_exif(encoded: bytes, exif: bytes, width: int, height: int) -> bytes:
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
