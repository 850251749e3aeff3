"""What is known of a still before its pixels are decoded, format by format, and who decodes them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyvips

from colorpipe.errors import InputError
from colorpipe.media.still import decode, metadata, vips
from colorpipe.media.still.decode import DAMAGED, UNREADABLE, Loading, NotBuiltForError
from colorpipe.media.still.heic import Heic
from colorpipe.media.still.held import jpeg, png, small, tiff, xmp
from colorpipe.media.still.held.ifd import NoTiffError
from colorpipe.media.still.held.parts import Held, Text, as_text
from colorpipe.media.still.held.xmp import Change
from colorpipe.media.still.netpbm import Netpbm
from colorpipe.media.still.tone import Tone, hdr
from colorpipe.media.still.vips import Plane
from colorpipe.types import Metadata

_BMP_STORED = (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS: rows of a fixed size
_BMP_PACKED = {1: "RLE8", 2: "RLE4"}
_NO_ALPHA = (-1, False)
Pixels = tuple[Plane, tuple[str, ...]]


@dataclass(frozen=True)
class Header:
    """What is known before the pixels are."""

    width: int
    height: int
    pixels: Callable[[], Pixels]
    """Decodes: (H, W, C), grey or RGB, with or without alpha, in the file's own profile; and notes."""
    rest: Callable[[InputError], tuple[Plane, int]]
    """Decodes what is left of a damaged file, mid-grey below; and the rows that were decoded. Raises the error."""
    orientation: int = 1
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    tone: Tone | None = None
    alpha: tuple[int, bool] | None = None
    """Which channel is transparency, below 0 for none, and whether colours are multiplied by it; None where the last of
    two or four is."""


def read(path: Path, kind: str) -> Header:
    """The header of a file of one of ``sniff.STILLS``.

    Raises:
        InputError: it cannot be read, or is of a kind that cannot be colorized.
    """
    readers = {"bmp": _bmp, "netpbm": _netpbm, "jpeg": _jpeg, "png": _png, "tiff": _tiff, "heif": _heif}
    reader = readers.get(kind)
    try:
        return _other(path, kind) if reader is None else reader(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None


# --- through libvips ---------------------------------------------------------------------------------------------------


def _jpeg(path: Path) -> Header:
    data = path.read_bytes()
    parts = jpeg.layout(data)
    if parts.refused:
        raise InputError(f"{path} is a JPEG that colorpipe cannot read ({parts.refused})", hint=UNREADABLE)
    held = jpeg.held(data, parts)
    # Without an end mark it is tried first as it is; what is said of it is said when the pixels are there.
    held = replace(held, notes=tuple(note for note in held.notes if not note.startswith("its end mark")))
    return _by_vips(Loading(path, "jpeg", parts.cleaned), held)


def _png(path: Path) -> Header:
    data = path.read_bytes()
    told = png.colour(data)
    tone, notes = Tone.of_png(told.gamma, told.white_and_primaries), []
    if told.code_points is not None:
        tone, notes = _of_code_points(path, told.code_points[:2])
    header = _by_vips(Loading(path, "png"), png.held(data))
    said = [tone.says] if tone is not None and header.profile is None else []
    return replace(header, tone=tone, notes=(*header.notes, *said, *notes))


def _of_code_points(path: Path, codes: tuple[int, ...]) -> tuple[Tone | None, list[str]]:
    """What primaries and transfer of ITU-T H.273 ask for.

    Raises:
        InputError: light beyond white.
    """
    primaries, transfer = codes[:2]
    beyond = hdr(transfer)
    if beyond:
        raise InputError(
            f"{path} holds high dynamic range ({beyond}), which colorpipe does not read", hint="convert it to SDR first"
        )
    notes = ["its wide primaries are not honoured: read as sRGB's"] if primaries in (9, 11, 12) else []
    return Tone.of_transfer(transfer), notes


def _other(path: Path, kind: str) -> Header:
    """WebP and GIF."""
    return _by_vips(Loading(path, kind), {"webp": small.webp, "gif": small.gif}[kind](path.read_bytes()))


def _by_vips(loading: Loading, held: Held, check: Callable[[Any], list[str]] | None = None) -> Header:
    """Size, profile and orientation from libvips, all else from the file's own parts."""

    def look(image: Any) -> Header:
        profile, notes = _kept_profile(image)
        notes = [*([] if check is None else check(image)), *_form(loading.path, image), *notes]
        pages = max(held.frames, decode.field(image, "n-pages", 1) if loading.kind != "tiff" else 1)
        if pages > 1:
            notes.insert(0, f"first of {pages} {'pages' if loading.kind == 'tiff' else 'frames'}")
        # libheif turns the picture itself: its orientation is a property of the container, not of EXIF.
        heif = loading.kind == "avif"
        whole = held
        if heif:
            names = (("exif", "exif-data"), ("xmp", "xmp-data"))
            blobs = {name: decode.field(image, field, None) for name, field in names}
            whole = replace(held, **blobs)
        orientation = 1 if heif else decode.field(image, "orientation", 1)
        return Header(
            image.width,
            image.height,
            lambda: decode.pixels_of(loading),
            lambda refusal: decode.what_is_left(loading, refusal),
            orientation,
            profile,
            upright(whole, orientation, (image.width, image.height), always=heif),
            (*notes, *held.notes),
        )

    header, notes = decode.attempt(loading, look)
    return replace(header, notes=(*header.notes, *notes))


def _kept_profile(image: Any) -> tuple[bytes | None, list[str]]:
    """The profile that the result gets, if any, and what is said of a conversion."""
    profile = decode.field(image, "icc-profile-data", None)
    if image.interpretation == "cmyk":
        own = decode.ink_profile(image)
        through = f"its profile {vips.profile_name(own)!r}" if own else "a standard profile, as it has none to use"
        return vips.srgb_profile(), [f"CMYK converted to sRGB through {through}"]
    if image.interpretation in ("lab", "labs"):
        return vips.srgb_profile(), ["CIE Lab converted to sRGB"]
    return profile, []


def _form(path: Path, image: Any) -> list[str]:
    """What to say of the values' form.

    Raises:
        InputError: it is no photograph's.
    """
    interpretation, form = image.interpretation, image.format
    if interpretation in ("cmyk", "lab", "labs"):
        return []
    if form in ("float", "double") and interpretation != "xyz" and image.bands <= 4:
        return ["floating-point values 0..1 read as 16-bit sRGB codes"]
    if form not in ("uchar", "ushort") or (image.bands > 4 and interpretation not in ("srgb", "rgb16")):
        raise InputError(
            f"{path} has {image.bands} channels of {form} values ({interpretation}), which is no photograph's format",
            hint="save it as 8 or 16-bit grey or RGB",
        )
    return []


def upright(held: Held, orientation: int, size: tuple[int, int], always: bool = False) -> Metadata:
    """What travels with the picture, for pixels that are turned by ``orientation`` from ``size``.

    Args:
        always: The container had turned it: whatever EXIF and XMP say of orientation is done already.
    """
    shown = size if orientation < 5 else size[::-1]
    resolution = held.resolution
    extra = {
        "resolution": resolution.turned() if resolution is not None and orientation >= 5 else resolution,
        "jfif": _turned_jfif(held.jfif) if held.jfif is not None and orientation >= 5 else held.jfif,
        "texts": held.texts,
        "comments": held.comments,
        "chunks": held.chunks,
        "segments": held.segments,
        "resources": held.resources,
        "iptc kind": held.iptc_kind,
        "on its side": orientation >= 5,
    }
    return Metadata(
        exif=metadata.upright(held.exif, orientation) if held.exif else None,
        xmp=xmp.upright(held.xmp, Change(orientation, shown, held.stale), always) if held.xmp else None,
        iptc=held.iptc,
        extra={name: value for name, value in extra.items() if value},
    )


def _turned_jfif(jfif: bytes) -> bytes:
    return jfif[:8] + jfif[10:12] + jfif[8:10] + jfif[12:]


# --- TIFF --------------------------------------------------------------------------------------------------------------


def _tiff(path: Path) -> Header:
    try:
        page, others = tiff.page_of(path)
    except NoTiffError:
        page, others = None, []
    if page is None:  # libvips will say what is wrong with it
        return _by_vips(Loading(path, "tiff"), Held())
    if tiff.is_raw([page, *others]):
        raise InputError(
            f"{path} is a camera raw file, which colorpipe does not read", hint="develop it to 16-bit TIFF first"
        )
    if min(page.size) < 1:
        raise InputError(
            f"{path} is a damaged or cut-off TIFF (it claims {page.size[0]} x {page.size[1]} pixels)", hint=DAMAGED
        )
    held = tiff.held(path, page, others)
    options = (("page", page.index), *((("subifd", page.sub),) if page.sub is not None else ()))
    loading = Loading(path, "tiff", None, options)
    if (page.photometric == 6 and page.compression != 7) or page.compression == 6:
        return _by_second(path, page, held)  # known_faults: libvips fails there without a word

    def check(image: Any) -> list[str]:
        return _extras(page) if image.bands == page.samples else []

    second = _by_second(path, page, held)
    try:
        header = _by_vips(loading, held, check)
    except NotBuiltForError:
        return second
    first = header.pixels

    def pixels() -> Pixels:
        try:
            return first()
        except NotBuiltForError:  # a codec shows only when it is asked for pixels
            return second.pixels()

    alpha = page.alpha or _NO_ALPHA
    return replace(header, pixels=pixels, alpha=(alpha[0], alpha[1] and not _divides_itself()))


@lru_cache(maxsize=1)
def _divides_itself() -> bool:
    """Whether libvips divides colours that were multiplied by transparency: versions differ."""
    with vips.shared():
        image = vips.from_pixels(np.array([[[96, 96, 96, 128]]], np.uint8))
        data = bytes(image.tiffsave_buffer(keep=0))
        place = data.index(struct.pack("=HHI", 338, 3, 1)) + 8
        data = data[:place] + struct.pack("=H", 1) + data[place + 2 :]
        return int(vips.to_pixels(pyvips.Operation.call("tiffload_buffer", data))[0, 0, 0]) > 150


def _extras(page: tiff.Page) -> list[str]:
    """What to say of channels beside the picture's own."""
    notes = []
    if page.extras == 1:
        notes.append("1 extra channel of no stated meaning left out (infrared, or a mask)")
    elif page.extras > 1:
        notes.append(f"{page.extras} extra channels left out")
    if page.alpha is not None and page.alpha[1]:
        notes.append("colours that were multiplied by transparency are divided by it again")
    if page.alpha is not None and page.photometric in (5, 8, 9):
        notes.append("its transparency is left out")
    return notes


def _by_second(path: Path, page: tiff.Page, held: Held) -> Header:
    """A TIFF of a kind that libvips does not read, or reads wrongly without saying so."""
    from colorpipe.media.still import second

    def pixels() -> Pixels:
        try:
            decoded = second.tiff(path, page)
        except second.UnreadableError as error:
            raise InputError(f"{path} is a TIFF that colorpipe cannot read ({error})", hint=UNREADABLE) from None
        if page.photometric == 5 and decoded.shape[2] >= 4:
            decoded = vips.to_pixels(vips.transform(vips.from_pixels(decoded[..., :4]).copy(interpretation="cmyk")))
        return decoded, ()

    def rest(refusal: InputError) -> tuple[Plane, int]:
        raise refusal

    width, height = page.size
    orientation = page.place.number(tiff.ORIENTATION, 1)
    profile = page.place.tag(tiff.ICC)
    kept = None if profile is None else profile.data
    notes = [f"first of {held.frames} pages"] if held.frames > 1 else []
    if page.photometric == 5:
        kept = vips.srgb_profile()
        notes.append("CMYK converted to sRGB through a standard profile, as its own was not used")
    alpha = page.alpha or _NO_ALPHA
    travels = upright(held, orientation, page.size)
    return Header(
        width, height, pixels, rest, orientation, kept, travels, (*notes, *_extras(page), *held.notes), None, alpha
    )


# --- AVIF and HEIC -----------------------------------------------------------------------------------------------------


def _heif(path: Path) -> Header:
    data = path.read_bytes()
    codes = small.colour_codes(data)
    tone, said = (None, []) if codes is None else _of_code_points(path, codes[:2])
    if not small.is_avif(data):
        return _heic(Heic.of(path, data), tone, said)
    notes = ("its gain map is left out",) if b"tmap" in data[:65536] else ()
    header = _by_vips(Loading(path, "avif"), Held(frames=small.pictures(data), notes=notes))
    pixels = header.pixels
    if small.av1_is_grey(data):
        header = replace(header, pixels=lambda: _full_range(data, pixels()))
    said += [tone.says] if tone is not None and header.profile is None else []
    return replace(header, tone=tone, notes=(*header.notes, *said))


def _heic(file: Heic, tone: Tone | None, said: list[str]) -> Header:
    def rest(refusal: InputError) -> tuple[Plane, int]:
        raise refusal

    notes = [f"first of {file.held.frames} frames"] if file.held.frames > 1 else []
    # libheif has turned the picture: what EXIF and XMP say of orientation is done already.
    return Header(
        *file.size,
        lambda: (file.pixels(), ()),
        rest,
        1,
        file.profile,
        upright(file.held, 1, file.size, always=True),
        (*notes, *file.held.notes, *said),
        tone,
    )


def _full_range(data: bytes, decoded: Pixels) -> Pixels:
    """A grey AVIF of limited range, which libheif takes for full range (``known_faults``): black is 16 there and white
    235. Which of the two the codes are, a second reader tells."""
    from colorpipe.media.still import second

    pixels, notes = decoded
    try:
        other = second.avif(data)[..., 0].astype(np.float32)
    except second.UnreadableError:
        return decoded
    if other.shape != pixels.shape[:2]:
        return decoded
    peak = float(np.iinfo(pixels.dtype).max)
    grey = pixels[..., 0] * np.float32(255 / peak)
    full = np.clip((grey - 16) * (255 / 219), 0, 255)
    if np.abs(full - other).mean() >= np.abs(grey - other).mean():
        return decoded
    colours = pixels[..., : pixels.shape[2] - (pixels.shape[2] % 2 == 0)].astype(np.float64)
    expanded = np.rint(np.clip((colours - peak * 16 / 255) * (255 / 219), 0, peak)).astype(pixels.dtype)
    return np.concatenate([expanded, pixels[..., expanded.shape[2] :]], axis=2), notes


# --- BMP and Netpbm ----------------------------------------------------------------------------------------------------


def _bmp(path: Path) -> Header:
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
    from colorpipe.media.still import second

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


def _netpbm(path: Path) -> Header:
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
