"""The kind of a file, told from its first bytes: names and suffixes can be wrong."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from colorpipe.errors import InputError

STILLS = frozenset({"jpeg", "png", "tiff", "webp", "gif", "bmp", "heif", "netpbm"})
"""Kinds that ``colorpipe.media.still.source`` reads."""
_H264_UNITS, _HEVC_UNITS = (7, 9), (32, 35)
"""Types of the first unit in a stream without a container: parameters, or a delimiter (H.264 7.4.1, H.265 7.4.2.2)."""
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes from one packet of a transport stream to the next, and before its sync byte: plain, of camcorders and Blu-ray,
with error correction."""
TEXT, UNKNOWN = "a text", "of an unknown kind"
_NO_MARK = {
    ".tga": "Targa picture", ".pcd": "Photo CD picture", ".pct": "PICT picture", ".pict": "PICT picture",
    ".pcx": "PCX picture", ".raw": "raw file", ".crw": "camera raw file", ".wdp": "JPEG XR picture",
    ".dcm": "DICOM picture", ".ico": "icon",
}  # fmt: skip
"""Formats whose files have no identifying first bytes."""
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
"""ISO base media brands of pictures (ISO/IEC 23008-12 and the AV1 image format)."""
_NETPBM = re.compile(rb"P[1-6][ \t\r\n]+(#[^\n]*\n\s*)*\d|P7\n")
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x1aE\xdf\xa3", "video"),  # Matroska, WebM
    (b"\0\0\x01\xba", "video"),  # MPEG program stream
    (b"\0\0\x01\xb3", "video"),  # MPEG video
    (b"FLV\x01", "video"),
    (b"OggS", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),  # ASF, WMV
    (b".RMF", "video"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "video"),  # MXF
    (b"YUV4MPEG2 ", "video"),
    (b"DKIF", "video"),  # IVF
    (b"nut/multimedia container", "video"),
    (b"\x1f\x07\0", "video"),  # DV: the header block of a frame (IEC 61834-2)
    (b"\x12\0\x0a", "video"),  # AV1: a temporal delimiter, then a sequence header
    (b"\xb7\xd8\0\x20\x37\x49\xda\x11", "video"),  # WTV
    (b"\0\0\x01\xb0", "video"),  # MPEG-4 visual
    (b"\0\0\x01\x0f", "video"),  # VC-1
    (b"8BPS", "a Photoshop document"),
    (b"FUJIFILMCCD-RAW", "a camera raw file (Fujifilm RAF)"),
    (b"IIRO", "a camera raw file (Olympus ORF)"),
    (b"IIRS", "a camera raw file (Olympus ORF)"),
    (b"MMOR", "a camera raw file (Olympus ORF)"),
    (b"IIU\0", "a camera raw file (Panasonic RW2)"),
    (b"FOVb", "a camera raw file (Sigma X3F)"),
    (b"\0MRM", "a camera raw file (Minolta MRW)"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"gimp xcf", "a GIMP document"),
    (b"DDS ", "a DirectDraw surface"),
    (b"qoif", "a QOI picture"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\x01\xda\x01", "an SGI picture"),
    (b"\x01\xda\0", "an SGI picture"),
    (b"\0\0\x02\0", "a cursor"),
    (b"Pf\n", "a PFM picture of floating-point values"),
    (b"PF\n", "a PFM picture of floating-point values"),
    (b"<svg", "an SVG drawing"),
    (b"/* XPM */", "an XPM picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"\0\0\x01\0", "an icon"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)


def kind_of(path: Path) -> str:
    """One of ``STILLS``, ``video``, or a phrase for a person that says what else it looks like.

    Raises:
        InputError: it is not there, not a readable file, or empty.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder, not a picture or film", hint="name the files inside it")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{path} is not a regular file", hint="copy its content into a file first")
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if not head:
        raise InputError(f"{path} is empty", hint="copy it again from where it came")
    return _kind(head)


def is_picture(kind: str) -> bool:
    """Whether it is a picture or film, read by colorpipe or not."""
    if kind in STILLS or kind == "video":
        return True
    return kind not in (TEXT, UNKNOWN) and not kind.endswith(("archive", "PostScript document"))


def refusal(path: Path, kind: str) -> InputError:
    """The message for a file of another kind than was wanted."""
    if kind == "video":
        return InputError(f"{path} is a film, not a picture")
    if kind == UNKNOWN and path.suffix.lower() in _NO_MARK:
        return InputError(
            f"{path} is named as a {_NO_MARK[path.suffix.lower()]}, which colorpipe does not read",
            hint="convert it to PNG or TIFF first",
        )
    if kind == UNKNOWN:
        return InputError(
            f"{path} is neither a picture nor a film that colorpipe knows",
            hint="it may be damaged; if another program opens it, save it from there as PNG or TIFF",
        )
    if kind == TEXT:
        return InputError(f"{path} is a text, not a picture or film", hint="leave it out, or fetch the picture again")
    return InputError(f"{path} is {kind}, which colorpipe does not read", hint="convert it to PNG or TIFF first")


def _kind(head: bytes) -> str:
    if head[:4] in (b"II*\0", b"MM\0*") and head[8:10] == b"CR":
        return "a camera raw file (Canon CR2)"
    if _NETPBM.match(head):
        return "netpbm"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "video"}.get(head[8:12], UNKNOWN)
    if head[4:12] == b"ftypcrx ":
        return "a camera raw file (Canon CR3)"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 64), 4))}
        # A picture's major brand may be a general one; a film never lists a picture's brand first.
        return "heif" if head[8:12] in _STILL_BRANDS or brands & {b"avif", b"heic"} else "video"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):  # QuickTime without ftyp
        return "video"
    # The header's size field tells a bitmap from a text that starts with BM (12 to 124 bytes exist).
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return "bmp"
    for step, first in _TS_PACKETS:
        if len(head) > first + 2 * step and all(head[first + number * step] == 0x47 for number in range(3)):
            return "video"
    if _is_bare_stream(head):
        return "video"
    if b"<svg" in head:
        return "an SVG drawing"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return TEXT
    return UNKNOWN


def is_film(path: Path) -> bool:
    """Whether the first bytes are a film's. False for what cannot be read."""
    try:
        return kind_of(path) == "video"
    except InputError:
        return False


def _is_bare_stream(head: bytes) -> bool:
    """H.264 or H.265 without a container."""
    start = next((len(code) for code in (b"\0\0\0\x01", b"\0\0\x01") if head.startswith(code)), None)
    if start is None or len(head) < start + 2:
        return False
    first, second = head[start], head[start + 1]
    # Forbidden bits are zero, a parameter set is of importance; H.265 has no layers there and its first sub-layer.
    h264 = first & 0x80 == 0 and first & 31 in _H264_UNITS and (first & 0x60 != 0) == (first & 31 == 7)
    return h264 or (first >> 1 in _HEVC_UNITS and first & 0x81 == 0 and second == 1)
