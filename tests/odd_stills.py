"""Stills that hold more than pixels, or hold them in an odd way: each made here, byte by byte where no library does it.

Every function writes one file and returns what a test needs to know of it.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

Plane = np.ndarray[Any, Any]


def drawn(height: int = 36, width: int = 48, bits: int = 8) -> Plane:
    """A drawn grey scene: sky, a hill, a disc; no two quarters alike. (H, W) of ``bits`` bits."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    light = 0.75 - 0.4 * y / height
    light[y > height * (0.6 + 0.15 * np.sin(x / width * 6))] = 0.3
    light[(x - width * 0.3) ** 2 + (y - height * 0.3) ** 2 < (height * 0.15) ** 2] = 0.95
    light += 0.04 * np.sin(x * 1.7) * np.sin(y * 1.3)
    peak = (1 << bits) - 1
    codes: Plane = np.rint(light.clip(0, 1) * peak).astype(np.uint8 if bits <= 8 else np.uint16)
    return codes


def jpeg_bytes(pixels: Plane | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(drawn() if pixels is None else pixels).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def after_start(jpeg: bytes, *segments: bytes) -> bytes:
    """Segments put behind SOI and JFIF's segment."""
    at = 2 if jpeg[2:4] != b"\xff\xe0" else 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:at] + b"".join(segments) + jpeg[at:]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(pixels: Plane, *chunks: bytes) -> bytes:
    """A PNG with chunks between IHDR and IDAT."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    data = out.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def itxt(key: str, text: str, language: str = "", translated: str = "", packed: bool = False) -> bytes:
    body = zlib.compress(text.encode()) if packed else text.encode()
    head = key.encode("latin-1") + b"\0" + bytes([packed, 0]) + language.encode() + b"\0" + translated.encode() + b"\0"
    return chunk(b"iTXt", head + body)


def exif(**tags: Any) -> bytes:
    """EXIF with tags by number, ``t274=6``; ``gps_``/``exif_`` before a number puts it into that directory."""
    block = Image.Exif()
    for name, value in tags.items():
        place, _, number = name.rpartition("_")
        target = block.get_ifd({"exif": 0x8769, "gps": 0x8825}[place]) if place else block
        target[int(number.removeprefix("t"))] = value
    return block.tobytes()


# --- the decoders that are believed -----------------------------------------------------------------------------------


def rle_bmp(path: Path, width: int = 45, pad: int = 48) -> Plane:
    """A BMP whose run-length code fills rows to four bytes, as ImageMagick writes it."""
    pixels = drawn(20, width) & 0xF0
    wide = np.zeros((20, pad), np.uint8)
    wide[:, :width] = pixels
    data = bytearray()
    for row in wide[::-1]:
        at = 0
        while at < pad:
            run = 1
            while at + run < pad and run < 255 and row[at + run] == row[at]:
                run += 1
            data += bytes([run, row[at]])
            at += run
        data += b"\0\0"
    data[-2:] = b"\0\1"
    palette = b"".join(bytes([value, value, value, 0]) for value in range(256))
    offset = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset)
    head += struct.pack("<IiiHHIIiiII", 40, width, 20, 1, 8, 1, len(data), 11811, 11811, 256, 0)
    path.write_bytes(head + palette + data)
    return pixels


def old_jpeg_tiff(path: Path, tiled: bool = True) -> Plane:
    """A TIFF of compression 6, the old JPEG: tables and stream apart from the strips (TIFF 6.0, section 22)."""
    pixels = np.repeat(drawn(32, 48)[..., None], 3, axis=2)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0)
    stream = out.getvalue()
    shown = np.asarray(Image.open(io.BytesIO(stream)).convert("L"))
    scan = stream.index(b"\xff\xda")
    scan_at = scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    where = 8
    entries: list[tuple[int, int, int, int]] = [(256, 4, 1, 48), (257, 4, 1, 32), (258, 3, 3, 0), (259, 3, 1, 6)]
    entries += [(262, 3, 1, 6), (277, 3, 1, 3), (284, 3, 1, 1), (512, 3, 1, 1)]
    if tiled:
        entries += [(322, 4, 1, 48), (323, 4, 1, 32), (324, 4, 1, where + scan_at), (325, 4, 1, len(stream) - scan_at)]
    else:
        entries += [(273, 4, 1, where + scan_at), (278, 4, 1, 32), (279, 4, 1, len(stream) - scan_at)]
    entries += [(513, 4, 1, where), (514, 4, 1, len(stream)), (530, 3, 2, 1 | 1 << 16)]
    entries.sort()
    at = where + len(stream) + len(stream) % 2
    bits_at = at + 2 + 12 * len(entries) + 4
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack("<HHII", tag, kind, count, bits_at if tag == 258 else value)
    body += struct.pack("<I3H", 0, 8, 8, 8)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, at) + stream + b"\0" * (len(stream) % 2) + body)
    return np.asarray(shown)


def limited_avif(path: Path) -> Plane:
    """A grey AVIF whose black is 16 and white 235."""
    pixels = drawn()
    Image.fromarray(pixels).save(path, subsampling="4:0:0", range="limited", quality=100)
    return pixels


IPTC = b"\x1c\x02\x78\x00\x16" + b"Grandmother, about 1932"[:22]
"""Caption of 22 bytes (IIM 4.2, 2:120)."""


def iptc_tiff(path: Path) -> Plane:
    pixels = drawn()
    block = IPTC + b"\0" * (-len(IPTC) % 4)
    tifffile.imwrite(
        path, pixels, photometric="minisblack", metadata=None, extratags=[(33723, 4, len(block) // 4, block, True)]
    )
    return pixels


# --- which picture, which channel -------------------------------------------------------------------------------------


def infrared_tiff(path: Path) -> Plane:
    """16-bit RGB and a fourth channel of no stated meaning."""
    pixels = np.repeat(drawn(bits=16)[..., None], 3, axis=2)
    infrared = np.full(pixels.shape[:2], 50000, np.uint16)
    infrared[5:9, 7:20] = 900
    data = np.dstack([pixels, infrared])
    tifffile.imwrite(path, data, photometric="rgb", extrasamples=["unspecified"], metadata=None, compression="zlib")
    return pixels[..., 0]


def thumbnail_first_tiff(path: Path) -> Plane:
    """A small RGB picture first, the scan of 16 bits in its SubIFD."""
    pixels = drawn(bits=16)
    small = np.repeat((pixels[::4, ::4] >> 8).astype(np.uint8)[..., None], 3, axis=2)
    with tifffile.TiffWriter(path) as file:
        file.write(small, photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(pixels, photometric="minisblack", subfiletype=0, metadata=None, compression="zlib")
    return pixels


# --- what a file holds besides ----------------------------------------------------------------------------------------


def scan600(path: Path) -> None:
    path.write_bytes(jpeg_bytes(dpi=(600, 600)))


def commented(path: Path) -> str:
    caption = "Großmutter im Garten, 1932"
    path.write_bytes(jpeg_bytes(comment=caption.encode()))
    return caption


def linear_png(path: Path) -> Plane:
    """16-bit light, gAMA 1.0; gives the same scene in sRGB codes of 16 bits."""
    shown = drawn(bits=16)
    codes = shown / 65535
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    pixels = np.rint(light * 65535).astype(np.uint16)
    path.write_bytes(png_with(pixels, chunk(b"gAMA", struct.pack(">I", 100000))))
    return shown


def texts_png(path: Path) -> dict[str, str]:
    texts = {"Creation Time": "1932-05-04", "Source": "Agfa Isolette", "Description": "Großmutter, 1932"}
    head = [chunk(b"tEXt", key.encode() + b"\0" + texts[key].encode()) for key in ("Creation Time", "Source")]
    path.write_bytes(png_with(drawn(), *head, itxt("Description", texts["Description"], "de", "Beschreibung")))
    return texts


REGIONS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#">
<mwg-rs:Regions rdf:parseType="Resource">
<mwg-rs:AppliedToDimensions stDim:w="48" stDim:h="36" stDim:unit="pixel"/>
<mwg-rs:RegionList><rdf:Bag>
<rdf:li><rdf:Description mwg-rs:Name="Anna" mwg-rs:Type="Face">
<mwg-rs:Area stArea:x="0.7" stArea:y="0.55" stArea:w="0.14" stArea:h="0.18" stArea:unit="normalized"/>
</rdf:Description></rdf:li>
<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Berta</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>
<mwg-rs:Area rdf:parseType="Resource"><stArea:x>0.85</stArea:x><stArea:y>0.5</stArea:y><stArea:w>0.1</stArea:w>
<stArea:h>0.1</stArea:h><stArea:unit>normalized</stArea:unit></mwg-rs:Area></rdf:li>
</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>"""
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def faces(path: Path, orientation: int = 6, xmp: str = REGIONS) -> None:
    xmp_segment = segment(0xE1, XMP_HEAD + xmp.encode())
    path.write_bytes(after_start(jpeg_bytes(exif=exif(t274=orientation)), xmp_segment))


TURNED = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 tiff:Orientation="6" tiff:ImageWidth="48" tiff:ImageLength="36" exif:PixelXDimension="48">
<exif:PixelYDimension>36</exif:PixelYDimension></rdf:Description></rdf:RDF></x:xmpmeta>"""


def resource(number: int, data: bytes) -> bytes:
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(data)) + data + b"\0" * (len(data) % 2)


def photoshopped(path: Path) -> bytes:
    """A JPEG with a thumbnail among Photoshop's resources, an IPTC caption, and a slice table."""
    small = jpeg_bytes(drawn(9, 12))
    thumbnail = struct.pack(">IIIIIIHH", 1, 12, 9, 36, 324, len(small), 24, 1) + small
    body = b"Photoshop 3.0\0" + resource(0x0404, IPTC) + resource(0x040C, thumbnail) + resource(0x0421, b"\0\0\0\1\1")
    path.write_bytes(after_start(jpeg_bytes(), segment(0xED, body)))
    return thumbnail


TAKEN = {271: "Agfa", 272: "DuoScan", 305: "ScanWizard", 306: "1998:05:04 10:00:00", 315: "Anna", 33432: "(c) Anna"}


def documented_tiff(path: Path, big: bool = True) -> Plane:
    """Who, when and with what in a TIFF's own tags."""
    pixels = drawn()
    tags = [(tag, 2, None, text, True) for tag, text in TAKEN.items() if tag not in (305, 306)]
    tifffile.imwrite(
        path, pixels, bigtiff=big, photometric="minisblack", metadata=None, description="A scan", extratags=tags,
        software=TAKEN[305], datetime=TAKEN[306], resolution=(600, 600), resolutionunit=2,
    )  # fmt: skip
    return pixels


def animated_png(path: Path) -> None:
    first, second = Image.fromarray(drawn()), Image.fromarray(drawn()[::-1].copy())
    first.save(path, save_all=True, append_images=[second], duration=100)


def titled_png(path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Grandmother")
    info.add_text("Author", "Anna")
    Image.fromarray(drawn()).save(path, pnginfo=info, dpi=(300, 300))


def pages(path: Path, pictures: Sequence[Plane]) -> None:
    with tifffile.TiffWriter(path) as file:
        for pixels in pictures:
            file.write(pixels, metadata=None)
