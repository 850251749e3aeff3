"""BMP and Netpbm, which libvips does not read, or not for files that nobody vouches for."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from colorpipe.errors import InputError
from colorpipe.media.still import second
from colorpipe.media.still.decode import DAMAGED, UNREADABLE
from colorpipe.media.still.header import Header, Pixels, upright
from colorpipe.media.still.held import small
from colorpipe.media.still.held.parts import Held, Text, as_text
from colorpipe.media.still.netpbm import Netpbm
from colorpipe.media.still.vips import Plane

_BMP_STORED = (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS: rows of a fixed size
_BMP_PACKED = {1: "RLE8", 2: "RLE4"}


def bmp(path: Path) -> Header:
    data = path.read_bytes()
    head = data[:54]
    core = head[14:18] == b"\x0c\0\0\0"
    if len(head) < (26 if core else 54):
        raise InputError(f"{path} is a damaged or cut-off BMP (its header is incomplete)", hint=DAMAGED)
    if core:
        width, height = _integer(head, 18, 2, False), _integer(head, 20, 2, False)
        bits, compression = _integer(head, 24, 2, False), 0
    else:
        width, height = _integer(head, 18, 4, True), abs(_integer(head, 22, 4, True))
        bits, compression = _integer(head, 28, 2, False), _integer(head, 30, 4, False)
    if width < 1 or height < 1:
        raise InputError(f"{path} is a damaged BMP (it claims {width} x {height} pixels)", hint=DAMAGED)
    palette = 0 if core or bits > 8 else 4 * (_integer(head, 46, 4, False) or 1 << bits)
    if _integer(head, 10, 4, False) < 14 + _integer(head, 14, 4, False) + palette:
        raise InputError(f"{path} is a damaged BMP (its pixels would begin in its header or palette)", hint=DAMAGED)
    if compression not in (*_BMP_STORED, *_BMP_PACKED):
        raise InputError(f"{path} is a BMP that colorpipe cannot read (compression {compression})", hint=UNREADABLE)
    start, stride = _integer(head, 10, 4, False), (width * bits + 31) // 32 * 4
    cut = None
    if compression in _BMP_STORED and len(data) < start + stride * height:
        cut = InputError(f"{path} is a cut-off BMP ({len(data)} of {start + stride * height} bytes)", hint=DAMAGED)

    def pixels() -> Pixels:
        if cut is not None:
            raise cut
        return _read_bmp(path, data, compression), ()

    def rest(refusal: InputError) -> tuple[Plane, int]:
        upside_down = core or _integer(head, 22, 4, True) > 0
        rows = (len(data) - start) // stride if compression in _BMP_STORED else 0
        if rows < 1 or upside_down:  # the missing rows are the top ones: nothing to go on from
            filled = data + b"\x80" * max(0, start + stride * height - len(data))
            return _read_bmp(path, filled, compression), 0 if compression in _BMP_PACKED else height
        return _read_bmp(path, data + b"\x80" * (stride * (height - rows)), compression), rows

    profile, note = small.bmp_profile(data)
    travels = upright(small.bmp(head), 1, (width, height))
    return Header(width, height, pixels, rest, 1, profile, travels, () if note is None else (note,))


def _integer(data: bytes, at: int, size: int, signed: bool) -> int:
    return int.from_bytes(data[at : at + size], "little", signed=signed)


def _read_bmp(path: Path, data: bytes, compression: int) -> Plane:
    """(H, W, C) uint8.

    Pillow reads it, since OpenCV errs with several kinds (``known_faults``), and OpenCV what Pillow does not read, and
    the fourth byte of 32 bits, which has no stated meaning: it is transparency unless it is zero everywhere.
    """
    reason = "of a rare variant"
    try:
        first: Plane | None = second.bmp(data)
    except second.UnreadableError as error:
        first, reason = None, str(error)
    if first is not None and (compression != 0 or data[28] != 32 or first.shape[2] == 4):
        return first
    if compression in _BMP_PACKED:
        raise InputError(f"{path} is a damaged or cut-off BMP ({_BMP_PACKED[compression]}: {reason})", hint=DAMAGED)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is not None and first is not None and pixels.shape == (*first.shape[:2], 4) and pixels[..., 3].any():
        return np.dstack([first, pixels[..., 3]])
    if first is not None:
        return first
    if pixels is None or pixels.dtype != np.uint8 or (len(data) > 29 and data[28] == 16):
        raise InputError(f"{path} is a damaged BMP, or of a rare variant ({reason})", hint=DAMAGED)
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.shape[2] == 4 and pixels[:, :, 3].any():
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))
    # 32-bit BMPs mostly leave the fourth byte at zero, unused.
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[:, :, :3]), cv2.COLOR_BGR2RGB))


def netpbm(path: Path) -> Header:
    picture = Netpbm.of(path)
    notes = []
    size = os.path.getsize(path)
    row = -(-picture.width // 8) if picture.kind == 4 else picture.width * picture.bands * (1 + (picture.peak > 255))
    if picture.kind > 3 and size >= picture.start + 2 * row * picture.height:
        notes.append(f"first of {(size - picture.start) // (row * picture.height)} frames")

    def rest(refusal: InputError) -> tuple[Plane, int]:
        pixels, rows = picture.pixels(partial=True)
        if not rows:
            raise refusal
        pixels[rows:] = 128 if pixels.dtype == np.uint8 else 32768
        return pixels, rows

    texts = tuple(Text("Comment", as_text(comment)) for comment in picture.comments if comment)
    return Header(
        picture.width,
        picture.height,
        lambda: (picture.pixels()[0], ()),
        rest,
        metadata=upright(Held(texts=texts), 1, (picture.width, picture.height)),
        notes=tuple(notes),
    )
