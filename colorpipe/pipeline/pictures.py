"""A picture as a frame: from a file, or from an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.errors import OptionError, UsageError
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame


def from_file(path: Path, options: MediaOptions) -> Frame:
    """A still from a file.

    Raises:
        InputError: it cannot be read.
        UsageError: it is a film.
    """
    from colorpipe.media import open_source

    with open_source(path, options) as source:
        if source.info.medium == "video":
            raise UsageError(
                f"{path} is a film, and this call gives one picture",
                hint=f"colorpipe.run({str(path)!r}) makes the film; Session.film(frames) gives its frames in colour",
            )
        return next(iter(source))


def from_array(array: NDArray[Any]) -> Frame:
    """An array (H, W) or (H, W, 3), uint8 or uint16, as a frame; of colour its BT.601 grey is the luma.

    Raises:
        OptionError: it is something else.
    """
    array = np.asarray(array)
    if array.dtype not in (np.uint8, np.uint16):
        raise OptionError(f"a picture is uint8 or uint16, not {array.dtype}", hint="scale it to 0..255 first")
    encoding = Encoding("rgb", 8 if array.dtype == np.uint8 else 16)
    if array.ndim == 3 and array.shape[2] == 3:
        planes = (array[..., 0], array[..., 1], array[..., 2])
        return Frame(color.grey(planes), encoding, colour=planes)
    if array.ndim == 2 and array.size:
        return Frame(array, encoding)
    raise OptionError(f"a picture is (H, W) or (H, W, 3), not {array.shape}")
