"""HEIC, as phones make it, through pi-heif (the extra ``heic``): libheif with libde265, which decode only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorpipe.errors import InputError, oneline
from colorpipe.media.still.held.parts import Held


@dataclass(frozen=True)
class Heic:
    """An opened file: its first picture, upright as its container says."""

    path: Path
    picture: Any
    """pi-heif's, not decoded yet."""
    held: Held
    profile: bytes | None

    @classmethod
    def of(cls, path: Path, data: bytes) -> Heic:
        """Raises InputError: the extra is not installed, or the file is damaged."""
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
        notes = [f"its {what} left out" for key, what in _MORE.items() if info.get(key)]
        exif = info.get("exif")
        held = Held(
            exif=None if not exif else exif[exif.find(b"Exif\0\0") + 6 :] if b"Exif\0\0" in exif[:10] else exif,
            xmp=info.get("xmp") or None,
            frames=len(file),
            notes=tuple(notes),
        )
        return cls(path, picture, held, info.get("icc_profile") or None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int(self.picture.size[0]), int(self.picture.size[1])

    def pixels(self) -> NDArray[Any]:
        """(H, W, C) uint8, or uint16 scaled to the full range.

        Raises:
            InputError: it is damaged.
        """
        try:
            values = np.asarray(self.picture)
        except Exception as error:
            raise _damaged(self.path, error) from None
        width, height = self.size
        return np.array(values.reshape(height, width, -1))


_MORE = {"depth_images": "depth map is", "aux": "auxiliary pictures (a gain map, mattes) are"}


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is a damaged or cut-off HEIC ({oneline(error)[:120]})", hint="restore it from a backup")
