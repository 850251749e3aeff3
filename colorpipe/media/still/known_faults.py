"""Known faults of the libraries that read and write stills, and colorpipe's workaround for each.

Each entry can tell whether the library in use still has the fault; a test asks, and says when an entry, and the detour
that it stands for, may go.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyvips
from PIL import Image

from colorpipe.media.still import vips
from colorpipe.media.still.held import png


@dataclass(frozen=True)
class KnownFault:
    """One thing that a library does wrong but reports as done, or does not do."""

    library: str
    """The library, with the version in which the fault was last seen."""
    what: str
    instead: str
    """Colorpipe's workaround, and its place in the code."""
    is_there: Callable[[], bool]
    """Whether the library in use has it."""


def _grey() -> Any:
    return np.tile(np.linspace(16, 240, 48).astype(np.uint8), (32, 1))


def _rle_is_misread() -> bool:
    """Rows of 5 pixels, coded as 8: each run is longer than the row."""
    data = b"".join(bytes([8, 200 - 40 * row]) + b"\0\0" for row in range(4))[:-2] + b"\0\1"
    palette = b"".join(bytes([value, value, value, 0]) for value in range(256))
    head = struct.pack("<2sIHHI", b"BM", 54 + 1024 + len(data), 0, 0, 54 + 1024)
    head += struct.pack("<IiiHHIIiiII", 40, 5, 4, 1, 8, 1, len(data), 0, 0, 256, 0)
    read = cv2.imdecode(np.frombuffer(head + palette + data, np.uint8), cv2.IMREAD_GRAYSCALE)
    wanted = np.repeat(np.array([80, 120, 160, 200], np.uint8)[:, None], 5, axis=1)
    return read is None or not np.array_equal(read, wanted)


def _old_jpeg_is_empty() -> bool:
    """A tile of old-style JPEG (TIFF 6.0, section 22)."""
    out = io.BytesIO()
    Image.fromarray(np.repeat(_grey()[..., None], 3, axis=2)).save(out, "JPEG", quality=95, subsampling=0)
    stream = out.getvalue() + b"\0" * (len(out.getvalue()) % 2)
    scan = stream.index(b"\xff\xda")
    scan += 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    at = 8 + len(stream)
    entries = [
        (256, 4, 1, 48), (257, 4, 1, 32), (258, 3, 3, at + 2 + 15 * 12 + 4), (259, 3, 1, 6), (262, 3, 1, 6),
        (277, 3, 1, 3), (284, 3, 1, 1), (322, 4, 1, 48), (323, 4, 1, 32), (324, 4, 1, 8 + scan),
        (325, 4, 1, len(stream) - scan),
        (512, 3, 1, 1), (513, 4, 1, 8), (514, 4, 1, len(stream)), (530, 3, 2, 0x10001),
    ]  # fmt: skip
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = struct.pack("<2sHI", b"II", 42, at) + stream + table + struct.pack("<I3H", 0, 8, 8, 8)
    try:
        with vips.shared():
            read = vips.to_pixels(pyvips.Operation.call("tiffload_buffer", data, fail_on="error"))
    except pyvips.Error:
        return False
    return not read.any()


def _limited_range_is_full() -> bool:
    out = io.BytesIO()
    Image.fromarray(_grey()).save(out, "AVIF", subsampling="4:0:0", range="limited", quality=100)
    with vips.shared():
        read = vips.to_pixels(pyvips.Operation.call("heifload_buffer", out.getvalue()))
    return abs(float(np.ptp(read[..., 0])) - 224) > 10


def _iptc_is_cut() -> bool:
    image = vips.from_pixels(_grey())
    block = b"\x1c\x02\x78\0\x0bGrandmother"
    with vips.shared():
        vips.set_blob(image, "iptc-data", block)
        return block not in bytes(image.tiffsave_buffer(keep=4))


def _keys_are_cut() -> bool:
    image = vips.from_pixels(_grey())
    with vips.shared():
        image.set_type(pyvips.GValue.gstr_type, "png-comment-0-Creation Time", "1932")
        return b"Creation Time\0" not in bytes(image.pngsave_buffer(keep=16))


def _gamma_is_ignored() -> bool:
    out = io.BytesIO()
    Image.fromarray(_grey()).save(out, "PNG")
    data = out.getvalue()[:33] + png.chunk(b"gAMA", struct.pack(">I", 100000)) + out.getvalue()[33:]
    with vips.shared():
        read = vips.to_pixels(pyvips.Operation.call("pngload_buffer", data))
    return bool(np.array_equal(read[..., 0], _grey()))


def _resolution_is_invented() -> bool:
    with vips.shared():
        return b"pHYs" in bytes(vips.from_pixels(_grey()).pngsave_buffer(keep=8))


def _infrared_is_transparency() -> bool:
    with vips.shared():
        image = vips.from_pixels(np.dstack([_grey()] * 4))
        data = bytearray(image.tiffsave_buffer(keep=0))
        at = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
        data[at : at + 2] = b"\0\0"
        return bool(pyvips.Operation.call("tiffload_buffer", bytes(data)).hasalpha())


def _zstd_is_unread() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zstd.tif"
        Image.fromarray(_grey()).save(path, compression="zstd")
        try:
            with vips.shared():
                vips.to_pixels(pyvips.Operation.call("tiffload", str(path), fail_on="error"))
        except pyvips.Error:
            return True
    return False


def _errors_are_shared() -> bool:
    """Whether one call's complaint is in the buffer that another call's is read from."""
    with vips.alone():
        vips.forget_complaints()
        pyvips.vips_lib.vips_foreign_find_load(b"/another/file")  # fails, and leaves its text
        try:
            pyvips.Operation.call("pngload_buffer", b"no picture")
        except pyvips.Error as error:
            return "/another/file" in str(error.detail)
    return False


def _deep_colour_is_shallow() -> bool:
    image = vips.from_pixels(np.dstack([_grey().astype(np.uint16) * 257] * 3))
    with vips.shared():
        data = bytes(image.pngsave_buffer())
    return Image.open(io.BytesIO(data)).mode == "RGB"


KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        "OpenCV 5.0", "run-length coded BMPs whose rows are coded up to four bytes come out as stripes",
        "Pillow reads run-length coded BMPs (headers)", _rle_is_misread,
    ),
    KnownFault(
        "libvips 8.18", "TIFFs that go through libtiff's RGBA reader are empty where that fails, and gain an alpha",
        "Pillow reads old-style JPEG and YCbCr without JPEG (headers)", _old_jpeg_is_empty,
    ),
    KnownFault(
        "libheif 1.20", "grey AV1 of limited range is taken for full range",
        "the range is told by a second reader, and expanded (headers)", _limited_range_is_full,
    ),
    KnownFault(
        "libvips 8.18, libtiff 4.7", "of a TIFF's IPTC block a quarter is written",
        "the tag is put in afterwards (held.tiff)", _iptc_is_cut,
    ),
    KnownFault(
        "libvips 8.18", "keys of PNG texts end at a space, and UTF-8 goes into Latin-1 chunks",
        "chunks are put in afterwards, as they were (held.png)", _keys_are_cut,
    ),
    KnownFault("libvips 8.18", "a PNG's gAMA and cHRM are ignored", "they are honoured here (tone)", _gamma_is_ignored),
    KnownFault(
        "libvips 8.18", "a resolution is written where none was set",
        "pHYs and TIFF's tags are taken out again (held.png, held.tiff)", _resolution_is_invented,
    ),
    KnownFault(
        "libvips 8.18", "any fourth channel of a TIFF is transparency",
        "ExtraSamples decides (held.tiff, headers)", _infrared_is_transparency,
    ),
    KnownFault(
        "pyvips-binary 8.18", "TIFFs of ZSTD and LZMA are not read",
        "Pillow or tifffile reads them (second)", _zstd_is_unread,
    ),
    KnownFault(
        "libvips 8.18", "all threads write into one buffer of error texts, and read it",
        "a refusal's reason is asked for again, alone (decode, vips)", _errors_are_shared,
    ),
    KnownFault(
        "Pillow 13.0", "PNGs and TIFFs of 16 bits and several channels are read as 8 bits",
        "OpenCV and tifffile read these for the proof; as second reader Pillow refuses them (second, verification)",
        _deep_colour_is_shallow,
    ),
)  # fmt: skip
