"""The kind of a file, told from its first bytes: names and suffixes can be wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from colorpipe.errors import InputError

STILLS = frozenset({"jpeg", "png", "tiff", "webp", "gif", "bmp", "heif"})
"""Kinds that ``colorpipe.media.still.source`` reads."""
TEXT, UNKNOWN = "a text", "of an unknown kind"
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
"""ISO base media brands of pictures (ISO/IEC 23008-12 and the AV1 image format)."""
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
    (b"8BPS", "a Photoshop document"),
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


def refusal(path: Path, kind: str) -> InputError:
    """The message for a file of another kind than was wanted."""
    if kind == "video":
        return InputError(f"{path} is a film, not a picture")
    if kind == UNKNOWN:
        return InputError(
            f"{path} is neither a picture nor a film that colorpipe knows",
            hint="it may be damaged; if another program opens it, save it from there as PNG or TIFF",
        )
    if kind == TEXT:
        return InputError(f"{path} is a text, not a picture or film", hint="leave it out, or fetch the picture again")
    return InputError(f"{path} is {kind}, which colorpipe does not read", hint="convert it to PNG or TIFF first")


def _kind(head: bytes) -> str:
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "video"}.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 64), 4))}
        # A picture's major brand may be a general one; a film never lists a picture's brand first.
        return "heif" if head[8:12] in _STILL_BRANDS or brands & {b"avif", b"heic"} else "video"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):  # QuickTime without ftyp
        return "video"
    # The header's size field tells a bitmap from a text that starts with BM (12 to 124 bytes exist).
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return "bmp"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:  # MPEG transport stream packets
        return "video"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return TEXT
    return UNKNOWN
