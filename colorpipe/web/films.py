"""Films on the page: looked through for shots, and previews of a shot with all that is painted on it."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.errors import InputError, UsageError
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.guidance.strokes import StrokeFile, write_strokes
from colorpipe.pipeline.film import Film
from colorpipe.web.canvas import encoded, pixels, shrunk
from colorpipe.web.film_map import FilmMap, look_through
from colorpipe.web.settings import core_options

if TYPE_CHECKING:
    from colorpipe.plugins.host import PluginHost
    from colorpipe.web.fence import Fence
    from colorpipe.web.items import Item
    from colorpipe.web.networks import Networks
    from colorpipe.web.work import Work

PREVIEW_SIDE = 640
MOST_FRAMES = 240
"""Of a preview."""


@dataclass
class Preview:
    """A shot's frames in colour; grows while it is made."""

    shot: int
    first: int
    """Frame of the film."""
    look: int
    """The item's, when it was begun."""
    frames: list[bytes] = field(default_factory=list)
    """JPEGs."""


class Films:
    """Work on films."""

    def __init__(self, host: PluginHost, fence: Fence, networks: Networks) -> None:
        self._host, self._fence, self._networks = host, fence, networks
        self._previews: dict[int, Preview] = {}
        self._lock = threading.Lock()
        self._scratch: Path | None = None

    def told(self, item: Item) -> dict[str, Any]:
        """What is known of a film, ready for JSON."""
        known = item.film or FilmMap()
        painted = sorted(frame for frame, strokes in item.strokes.items() if strokes)
        return known.told(item.rate, sorted({*painted, *item.painting}), item.frames)

    def scan(self, item: Item, work: Work) -> None:
        """Look a film through.

        Raises:
            InputError: it cannot be read.
        """
        self._fence.check_source(item.path)
        merge, media = core_options(item.recipe)
        work.item = item.number
        made = FilmMap()
        before, item.film = item.film, made

        def step(frames: int, of: int | None) -> None:
            work.frames, work.of_frames = frames, of
            work.check()

        try:
            look_through(item.path, made, media, merge, step)
        except BaseException:
            item.film = before
            raise
        work.done = 1

    def asked(self, item: Item, shot: object, most: object) -> tuple[int, int, int]:
        """A shot, its first frame and the number of frames to be made, checked.

        Raises:
            UsageError, InputError: there is no such shot, or the film was not looked through.
        """
        if item.film is None or not item.film.complete:
            raise InputError(f"{item.path.name} was not looked through yet", hint="find its shots first")
        count = MOST_FRAMES if most is None else most
        if not (isinstance(shot, int) and isinstance(count, int) and 1 <= count <= MOST_FRAMES):
            raise UsageError(f"a preview is of a shot's number, and of 1 to {MOST_FRAMES} frames")
        try:
            first, last = item.film.shot(shot)
        except IndexError:
            raise InputError(f"{item.path.name} has no shot {shot}") from None
        return shot, first, min(count, last - first + 1)

    def preview(self, item: Item, shot: int, first: int, count: int, work: Work) -> None:
        """The first frames of a shot in colour, with hints and propagation as in a saved film.

        Raises:
            ColorpipeError: it cannot be read, or the method cannot be used.
        """
        from colorpipe.media.video.seeking import frames_from

        assert item.film is not None
        self._fence.check_source(item.path)
        with item.lock:
            recipe, look = item.recipe, item.look
            strokes = {f: item.resolved(f) for f, some in item.strokes.items() if some and first <= f < first + count}
        made = Preview(shot, first, look)
        with self._lock:
            self._previews[item.number] = made
        work.item, work.of_frames = item.number, count
        pipeline = self._networks.pipeline(recipe)
        folder = Path(tempfile.mkdtemp(dir=self._folder()))
        try:
            files = {}
            height, width = item.size or (1, 1)
            for frame, some in strokes.items():
                files[frame] = folder / f"film.{frame:06d}.hints.json"
                write_strokes(files[frame], StrokeFile((width, height), some))
            beside = SidecarFiles.of(item.path, type(pipeline.runtime.colorizer))
            painted = {frame: file for frame, file in item.painting.items() if first <= frame < first + count}
            sidecars = dataclasses.replace(beside, hints=painted, strokes=files, unused=())
            with frames_from(item.path, first, item.film.times[first], pipeline.media) as sought:
                for coloured in Film(pipeline, islice(sought.frames, count), sidecars):
                    made.frames.append(encoded(pixels(shrunk(coloured, PREVIEW_SIDE))))
                    work.frames = len(made.frames)
                    work.check()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        work.done = 1

    def preview_told(self, item: Item) -> dict[str, Any]:
        """The newest preview of a film.

        Raises:
            KeyError: there is none.
        """
        made = self._previews[item.number]
        return {
            "shot": made.shot,
            "first": made.first,
            "count": len(made.frames),
            "rate": None if item.rate is None else float(item.rate),
            "revision": made.look,
            "current": made.look == item.look,
        }

    def preview_frame(self, item: Item, index: int) -> bytes:
        """One frame of it, JPEG.

        Raises:
            KeyError: there is none.
        """
        frames = self._previews[item.number].frames
        if not 0 <= index < len(frames):
            raise KeyError(index)
        return frames[index]

    def _folder(self) -> Path:
        with self._lock:
            if self._scratch is None:
                self._scratch = Path(tempfile.mkdtemp(prefix="colorpipe-paint-"))
            return self._scratch

    def close(self) -> None:
        """Remove what was written meanwhile."""
        with self._lock:
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
