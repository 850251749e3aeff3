"""HEIC, as phones make it, through pi-heif (the extra ``heic``): libheif with libde265, which decode only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colorpipe.errors import InputError
from colorpipe.media.held.parts import Held

if TYPE_CHECKING:
    from colorpipe.media.headers import Header
    from colorpipe.media.vips import Plane


def read(path: Path, data: bytes) -> Header:
    """The header of a HEIC file.

    Raises:
        InputError: the extra is not installed, or the file is damaged.
    """
    from colorpipe.media.headers import Header, upright

    try:
        import pi_heif
    except ImportError:
        raise InputError(
            f"{path} is a HEIC picture, which colorpipe reads only with its extra heic",
            hint="pip install 'colorpipe[heic]', or convert it to PNG or TIFF",
        ) from None
    try:
        file: Any = pi_heif.open_heif(data, convert_hdr_to_8bit=False, bgr_mode=False)
        picture = file[file.primary_index]
    except Exception as error:  # whatever the library raises: it has no hierarchy of its own
        raise _damaged(path, error) from None
    info = picture.info
    notes = [f"first of {len(file)} frames"] if len(file) > 1 else []
    if info.get("depth_images"):
        notes.append("its depth map is left out")
    if info.get("aux"):
        notes.append("its auxiliary pictures (a gain map, mattes) are left out")
    exif = info.get("exif")
    held = Held(
        exif=exif[exif.find(b"Exif\0\0") + 6 :] if exif and b"Exif\0\0" in exif[:10] else exif, xmp=info.get("xmp")
    )
    width, height = picture.size

    def pixels() -> tuple[Plane, tuple[str, ...]]:
        try:
            values = np.asarray(picture)
        except Exception as error:
            raise _damaged(path, error) from None
        return values.reshape(height, width, -1).copy(), ()

    def rest(refusal: InputError) -> tuple[Plane, int]:
        raise refusal

    # libheif has turned the picture: what EXIF and XMP say of orientation is done already.
    travels = upright(held, 1, (width, height), always=True)
    return Header(width, height, pixels, rest, 1, info.get("icc_profile") or None, travels, tuple(notes))


def _damaged(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
    return InputError(f"{path} is a damaged or cut-off HEIC ({reason})", hint="restore it from a backup")
