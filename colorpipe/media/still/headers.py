"""Headers of stills, format by format, with the library that decodes the pixels."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from colorpipe.errors import InputError
from colorpipe.media.still import bitmaps, decode, vips
from colorpipe.media.still.decode import DAMAGED, UNREADABLE, Loading, NotBuiltForError
from colorpipe.media.still.header import Header, Pixels, upright
from colorpipe.media.still.heic import Heic
from colorpipe.media.still.held import jpeg, png, small, tiff
from colorpipe.media.still.held.ifd import NoTiffError
from colorpipe.media.still.held.parts import Held
from colorpipe.media.still.tone import Tone, hdr
from colorpipe.media.still.vips import Plane

_NO_ALPHA = (-1, False)


def read(path: Path, kind: str) -> Header:
    """The header of a file of one of ``sniff.STILLS``.

    Raises:
        InputError: it cannot be read, or is of a kind that cannot be colorized.
    """
    readers = {"bmp": bitmaps.bmp, "netpbm": bitmaps.netpbm, "jpeg": _jpeg, "png": _png, "tiff": _tiff, "heif": _heif}
    reader = readers.get(kind)
    try:
        return _other(path, kind) if reader is None else reader(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None


# --- through libvips --------------------------------------------------------------------------------------------------


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
    notes: list[str] = []
    tone = Tone.of_png(told.gamma, told.white_and_primaries)
    if told.code_points is not None:
        tone, notes = _of_code_points(path, told.code_points[:2])
    header = _by_vips(Loading(path, "png"), png.held(data))
    said = [tone.says] if tone is not None and header.profile is None else []
    return replace(header, tone=tone, notes=(*header.notes, *said, *notes))


def _of_code_points(path: Path, codes: tuple[int, ...]) -> tuple[Tone | None, list[str]]:
    """The tone that primaries and transfer of ITU-T H.273 ask for, and notes.

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
    """The profile that the result gets, if any, and notes on a conversion."""
    profile = decode.field(image, "icc-profile-data", None)
    if image.interpretation == "cmyk":
        own = decode.ink_profile(image)
        through = f"its profile {vips.profile_name(own)!r}" if own else "a standard profile, as it has none to use"
        return vips.srgb_profile(), [
            f"its printing inks (CMYK converted to sRGB, a screen's colours) were read through {through}"
        ]
    if image.interpretation in ("lab", "labs"):
        return vips.srgb_profile(), ["CIE Lab converted to sRGB"]
    return profile, []


def _form(path: Path, image: Any) -> list[str]:
    """Notes on the values' format.

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


# --- TIFF -------------------------------------------------------------------------------------------------------------


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
    """Notes on channels beside the picture's own."""
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
        notes.append(
            "its printing inks (CMYK converted to sRGB, a screen's colours) were read by a standard profile, as its "
            "own was not used"
        )
    alpha = page.alpha or _NO_ALPHA
    travels = upright(held, orientation, page.size)
    return Header(
        width, height, pixels, rest, orientation, kept, travels, (*notes, *_extras(page), *held.notes), None, alpha
    )


# --- AVIF and HEIC ----------------------------------------------------------------------------------------------------


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
