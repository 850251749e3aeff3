"""Frames of photos and films at full size, the last few kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe import media
from colorpipe.errors import InputError

if TYPE_CHECKING:
    from colorpipe.settings import MediaOptions
    from colorpipe.types import Frame
    from colorpipe.web.fence import Fence
    from colorpipe.web.items import Item

KEPT = 3
"""Frames at full size that are kept, if they are not large."""
LARGE = 24_000_000
"""Pixels from which on a frame is not kept."""


class FrameReader:
    """Reads an item's frames, and tells the item what was learned of it."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._kept: OrderedDict[tuple[int, int], Frame] = OrderedDict()
        self._lock = threading.Lock()

    def frame(self, item: Item, number: int, options: MediaOptions) -> Frame:
        """A frame at full size.

        Raises:
            InputError: it cannot be read, leads out of the album, or is not there.
        """
        key = item.number, number
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        self._fence.check_source(item.path)
        frame = self._read(item, number, options)
        if frame.luma.size <= LARGE:
            with self._lock:
                self._kept[key] = frame
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return frame

    def forget(self, item: Item) -> None:
        """The file was changed: it is read anew."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == item.number]:
                del self._kept[key]

    def _read(self, item: Item, number: int, options: MediaOptions) -> Frame:
        if item.kind == "film" and number:
            if item.film is None or not item.film.complete:
                raise InputError(f"{item.path.name} was not looked through yet", hint="find its shots first")
            from colorpipe.media.video.seeking import frame_at

            return frame_at(item.path, number, item.film.times[number], options)
        with media.open_source(item.path, options) as source:
            frame = next(iter(source))
            with item.lock:
                item.size = frame.height, frame.width
                item.frames, item.rate = source.info.frames, source.info.rate
                item.in_colour = _in_colour(frame)
        return frame


def _in_colour(frame: Frame) -> bool:
    from colorpipe.color.toned import is_in_colour

    return frame.encoding.family == "rgb" and is_in_colour(frame)


def is_there(path: Path) -> bool:
    """Whether a file is there, whatever it is."""
    try:
        return path.is_file()
    except OSError:
        return False
