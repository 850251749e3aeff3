"""All that a still holds besides its pixels, read by Pillow and tifffile: the proof's own list, not ``run``'s."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image, PngImagePlugin

from colorpipe.errors import InputError
from colorpipe.media import sniff
from colorpipe.media.still.held.png import TEXTS, chunks, read_text
from colorpipe.media.still.held.resources import THUMBNAILS, parsed
from colorpipe.media.still.held.xmp import properties
from colorpipe.verification.decoded import ERRORS, opened, stated_orientation, whole_page

_IFD_NAMES = {0x8769: "EXIF", 0x8825: "GPS", 0xA005: "interoperability"}
_NOT_COMPARED = frozenset(
    {
        # how pixels are stored, and links
        *range(254, 267), 273, 274, *range(277, 285), 288, 289, 290, 291, 292, 293, 301, *range(317, 348), 351,
        *range(400, 404), *range(512, 522), *range(529, 533), 559, 700, 32781, 32932, *range(32995, 32999),
        33421, 33422, 33723, 34377, 34665, 34675, 34853, 37724, 40965, *range(50706, 52600), 65535,
        # compared apart
        282, 283, 296,
    }
)  # fmt: skip
_TURNED = frozenset({0xA002, 0xA003, 0xA20E, 0xA20F, 0x9214, 0xA214, 0x0100, 0x0101})
"""Tags that swap or move when the picture is turned."""
_AREA = re.compile(r"^(.*)/\{http://ns\.(?:adobe\.com/xmp|acdsee\.com)/sType/Area#\}([xywh])$")
_PLACES = re.compile(
    r"sType/Area#|sType/Dimensions#|tiff/1\.0/\}(Orientation|Image|[XY]Resolution)|exif/1\.0/\}Pixel|/\}Thumbnails|"
    r"\}Rectangle$|\}rb[XYWH]$|hdr-gain-map|HDRGainMap|photos/1\.0/(container|camera)|\}(DigitalSourceType)$|urn:colorpipe"
)
"""Properties that a turned or colorized picture changes or drops."""
_RAW_PROFILES = re.compile(r"Raw profile type (exif|iptc|xmp|8bim|APP1)")


@dataclass(frozen=True)
class Inventory:
    """Everything that one file holds besides its pixels."""

    kind: str
    orientation: int = 1
    resolution: tuple[float, float] | None = None
    """Pixels an inch, across and down, as stored."""
    comments: tuple[str, ...] = ()
    """Comments without keys."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Comments by key."""
    languages: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    """EXIF and a TIFF's own tags, by directory and number, as text."""
    xmp: Mapping[str, str] = field(default_factory=dict)
    """Properties by their path."""
    iptc: bytes | None = None
    resources: tuple[int, ...] = ()
    """Numbers of Photoshop's."""
    profile: bytes | None = None
    thumbnails: tuple[str, ...] = ()
    """Places of small pictures of the whole."""
    frames: int = 1


def inventory(path: Path) -> Inventory | None:
    """The inventory of a file; None if neither library opens it."""
    try:
        kind = sniff.kind_of(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # silences warnings of odd tags: only their presence in the result matters
            picture = opened(path, kind)
            if kind == "png":
                picture.load()  # texts may stand behind the pixels
            return _of(path, kind, picture)
    except (*ERRORS, InputError):
        return None


def _of(path: Path, kind: str, picture: Image.Image) -> Inventory:
    info = picture.info
    exif = picture.getexif()
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp")
    packet = packet.encode() if isinstance(packet, str) else packet
    texts = dict(getattr(picture, "text", {})) if kind == "png" else {}
    texts.pop("XML:com.adobe.xmp", None)
    blocks, iptc = _captions(kind, picture)
    orientation = int(exif.get(0x0112, 1) or 1) if kind == "heif" else stated_orientation(picture)
    if kind == "tiff":
        orientation, packet, iptc, blocks = _of_tiff(path, packet)
    found = {str(key): str(value) for key, value in texts.items()}
    properties_found = properties(packet) if packet else {}
    return Inventory(
        kind,
        orientation if 1 <= orientation <= 8 else 1,
        _resolution(kind, picture, exif, path),
        tuple(_comments(kind, picture, path)),
        found,
        {
            str(key): str(value.lang)
            for key, value in texts.items()
            if isinstance(value, PngImagePlugin.iTXt) and value.lang
        },
        dict(_tags(exif)),
        properties_found,
        iptc,
        tuple(sorted(block.number for block in blocks)),
        info.get("icc_profile"),
        tuple(_thumbnails(exif, blocks, properties_found, kind)),
        int(getattr(picture, "n_frames", 1)),
    )


def _comments(kind: str, picture: Image.Image, path: Path) -> Iterator[str]:
    """A JPEG may have several, of which ``info`` names one."""
    if kind == "png":  # several of one key, of which Pillow names the last
        found = [read_text(name, body) for name, body in chunks(path.read_bytes()) if name in TEXTS]
        yield from (text.text for text in found if text is not None and text.key == "Comment")
    raw = [body for name, body in getattr(picture, "applist", []) if name == "COM"] if kind == "jpeg" else []
    if kind == "gif" and "comment" in picture.info:
        raw = [picture.info["comment"]]
    for comment in raw:
        data = bytes(comment).rstrip(b"\0")
        try:
            yield data.decode("utf-8")
        except UnicodeDecodeError:
            yield data.decode("latin-1")


def _captions(kind: str, picture: Image.Image) -> tuple[list[Any], bytes | None]:
    """Photoshop's resources of a JPEG, and the IPTC block among them."""
    if kind != "jpeg":
        return [], None
    bodies = [body for name, body in getattr(picture, "applist", []) if name == "APP13"]
    data = b"".join(body[14:] for body in bodies if body.startswith(b"Photoshop 3.0\0"))
    blocks, _ = parsed(data)
    return blocks, next((block.data for block in blocks if block.number == 0x0404), None)


def _of_tiff(path: Path, packet: bytes | None) -> tuple[int, bytes | None, bytes | None, list[Any]]:
    with tifffile.TiffFile(path) as file:
        page = whole_page(file)
        first: Any = file.pages[0]

        def raw(number: int) -> bytes | None:
            for owner in (page, first):
                if number in owner.tags:
                    tag = owner.tags[number]
                    file.filehandle.seek(tag.valueoffset)
                    size = tag.count * {1: 1, 2: 1, 4: 4, 7: 1}.get(int(tag.dtype), 1)
                    return bytes(file.filehandle.read(size))
            return None

        orientation = int(page.tags[274].value) if 274 in page.tags else 1
        blocks, _ = parsed(raw(34377) or b"")
        return orientation, packet or raw(700), raw(33723), blocks


def _resolution(kind: str, picture: Image.Image, exif: Image.Exif, path: Path) -> tuple[float, float] | None:
    info = picture.info
    if kind == "jpeg" and info.get("jfif_unit") in (1, 2) and min(info.get("jfif_density", (0, 0))) > 0:
        factor = 1 if info["jfif_unit"] == 1 else 2.54
        return info["jfif_density"][0] * factor, info["jfif_density"][1] * factor
    if kind in ("png", "bmp"):
        dpi = info.get("dpi")
        return (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None
    if kind == "tiff":
        with tifffile.TiffFile(path) as file:
            page = whole_page(file)
            named = {number: page.tags[number].value for number in (282, 283, 296) if number in page.tags}
    else:
        named = {number: exif[number] for number in (282, 283, 296) if number in exif}
    if not {282, 283} <= named.keys() or int(named.get(296, 2)) not in (2, 3):
        return None
    x, y = (value[0] / value[1] if isinstance(value, tuple) else float(value) for value in (named[282], named[283]))
    factor = 1 if int(named.get(296, 2)) == 2 else 2.54
    return (x * factor, y * factor) if min(x, y) > 0 else None


def _tags(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    for number, value in exif.items():
        if number not in _NOT_COMPARED and number not in _TURNED:
            yield f"0x{number:04x}", _shown(value)
    for link, name in _IFD_NAMES.items():
        if link == 0xA005:
            continue
        for number, value in exif.get_ifd(link).items():
            if number not in (*_TURNED, 0xA005):
                yield f"{name} 0x{number:04x}", _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0").hex()
    if isinstance(value, tuple):
        return " ".join(_shown(part) for part in value)
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value).rstrip("\0").strip()
    except ZeroDivisionError:
        return "undefined"


def _thumbnails(exif: Image.Exif, blocks: list[Any], xmp: Mapping[str, str], kind: str) -> Iterator[str]:
    if kind != "tiff" and exif.get_ifd(0x1):
        yield "EXIF"
    if any(block.number in THUMBNAILS for block in blocks):
        yield "Photoshop's resources"
    if any("/xap/1.0/}Thumbnails" in path for path in xmp):
        yield "XMP"


def areas(xmp: Mapping[str, str]) -> list[tuple[float, float, float, float]]:
    """Centres and sizes of the regions of a packet, in its order."""
    found: dict[str, dict[str, float]] = {}
    for path, value in xmp.items():
        match = _AREA.match(path)
        if match is not None:
            try:
                found.setdefault(match[1], {})[match[2]] = float(value)
            except ValueError:
                continue
    return [(a.get("x", 0), a.get("y", 0), a.get("w", 0), a.get("h", 0)) for a in found.values()]


def lasting(xmp: Mapping[str, str]) -> dict[str, str]:
    """The properties that colorizing and turning do not change."""
    return {path: value for path, value in xmp.items() if not _PLACES.search(path)}


def xmp_orientation(xmp: Mapping[str, str]) -> int:
    """The orientation that a packet states; 1 if it states none."""
    for path, value in xmp.items():
        if path.endswith("/{http://ns.adobe.com/tiff/1.0/}Orientation") and value.isdigit():
            return int(value)
    return 1


def is_raw_profile(key: str) -> bool:
    """Whether a PNG's text is metadata that ImageMagick packs into text."""
    return _RAW_PROFILES.fullmatch(key) is not None
