"""One photo or film of an album: what was painted on it, its settings, and its state."""

from __future__ import annotations

import dataclasses
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from colorpipe.errors import InputError
from colorpipe.files import sha256
from colorpipe.guidance import colours
from colorpipe.guidance.sidecars import SidecarFiles, beside
from colorpipe.guidance.strokes import Stroke, StrokeFile, read_strokes, stroke_of
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.types import Recipe

if TYPE_CHECKING:
    from fractions import Fraction

    from colorpipe.media.inputs import Job
    from colorpipe.web.fence import Fence
    from colorpipe.web.film_map import FilmMap

State = Literal["new", "made", "changed", "queued", "saving", "saved", "failed", "refused"]
Strokes = tuple[Stroke, ...]
MOST_STROKES, MOST_POINTS = 5000, 100_000
"""Of one frame."""
_FRAME = re.compile(r"\.([0-9]+)\.hints\.json$", re.IGNORECASE)


@dataclass
class Item:
    """One input. Whoever changes it, or needs several of its fields to agree, holds ``lock``."""

    number: int
    job: Job
    folder: str
    """Within the album; empty at its top."""
    kind: Literal["photo", "film"]
    recipe: Recipe
    state: State = "new"
    error: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    revision: int = 0
    """Of the last change that the picture, or its state, shows."""
    look: int = 0
    """Of the last change of strokes, settings or named colours: of the picture itself."""
    saved_look: int | None = None
    touched: bool = False
    """Whether strokes were changed since they were read, or written."""
    strokes: dict[int, Strokes] = field(default_factory=dict)
    """By frame; the strokes' own ``frame`` is 0."""
    painting: dict[int, Path] = field(default_factory=dict)
    """PNG hint files, which a page does not change."""
    held: dict[int, Path] = field(default_factory=dict)
    """The files that hold strokes on disk, by frame."""
    painted_on: frozenset[str] = frozenset()
    """SHA-256 that hint files say of the source; to be compared when it is read."""
    elsewhere: Path | None = None
    """The hint file beside the result, where none can be written beside the source."""
    size: tuple[int, int] | None = None
    """Height and width; None until it was read."""
    frames: int | None = None
    rate: Fraction | None = None
    in_colour: bool = False
    film: FilmMap | None = None
    natural: dict[str, float | None] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    drawing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a picture of it is made."""

    @property
    def path(self) -> Path:
        return self.job.input

    @property
    def painted(self) -> int:
        """The number of strokes."""
        return sum(map(len, self.strokes.values()))

    def told(self) -> dict[str, Any]:
        """What a list shows of it, ready for JSON."""
        with self.lock:
            return {
                "id": self.number,
                "name": self.path.name,
                "folder": self.folder,
                "kind": self.kind,
                "state": self.state,
                "error": self.error,
                "hint": self.hint,
                "painted": self.painted,
                "revision": self.revision,
                "result": self.job.output.name,
                "notes": list(self.notes),
            }

    def colours(self) -> colours.Colours:
        """The named colours of its folder.

        Raises:
            InputError: as ``guidance.colours.read``.
        """
        return colours.read(self.folder_of_hints)

    def resolved(self, frame: int) -> Strokes:
        """The strokes of a frame, each with its colour.

        Raises:
            InputError: a name is not among the album's colours.
        """
        told = StrokeFile((1, 1), self.strokes.get(frame, ()))
        return colours.named(told, self.folder_of_hints / self.path.name).strokes

    def load(self, fence: Fence) -> None:
        """Takes up the hint files that lie beside it.

        Raises:
            InputError: one is not what docs/hints.md says, or leads out of its folder.
        """
        given = self.aside if self.aside.is_file() and self.aside.parent != self.path.parent else None
        if given is not None:
            fence.check_beside(given)
        for file in beside(self.path):
            fence.check_beside(file)
        found = SidecarFiles.of(self.path, Colorizer, given)  # type: ignore[type-abstract]  # only its promises are looked at
        fence.check_beside(self.folder_of_hints / colours.FILE)
        self.painting, self.held = dict(found.hints), dict(found.strokes)
        self.notes = found.unused
        self.elsewhere = given
        digests: set[str | None] = set()
        for frame, file in found.strokes.items():
            told = read_strokes(file)
            digests.add(told.source_sha256)
            inside = frame if frame in told.frames else 0
            self.strokes[frame] = tuple(dataclasses.replace(one, frame=0) for one in told.on(inside).strokes)
        self.painted_on = frozenset(one for one in digests if one)

    def doubts(self) -> str | None:
        """A note where strokes were painted on another file than a photo is now. Films are not read for it."""
        told, self.painted_on = self.painted_on, frozenset()
        if not told or self.kind == "film" or told == {sha256(self.path)}:
            return None
        return "its strokes were painted on another file than it is now: look whether they still fit"

    @property
    def folder_of_hints(self) -> Path:
        """Where its hint files and the album's colours are written: beside the source, or beside the result where the
        source's folder is read-only."""
        return self.path.parent if can_write(self.path.parent) else self.job.output.parent

    @property
    def aside(self) -> Path:
        """The hint file of all frames beside the result."""
        return self.job.output.parent / f"{self.path.stem}.hints.json"

    def home(self, frame: int) -> Path:
        """The hint file beside the source that the strokes of a frame belong into."""
        if frame in self.held:
            return self.held[frame]
        name = f"{self.path.stem}.hints.json" if self.kind == "photo" else f"{self.path.stem}.{frame:06d}.hints.json"
        return self.path.with_name(name)


def can_write(folder: Path) -> bool:
    """Whether files can be put into a folder."""
    return os.access(folder, os.W_OK | os.X_OK)


def named_by_frame(file: Path) -> bool:
    """Whether a hint file's name tells its frame."""
    return _FRAME.search(file.name) is not None


def check_frames(item: Item, frame: object) -> int:
    """A frame's number as a page gives it.

    Raises:
        InputError: the item has no such frame.
    """
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0:
        raise InputError(f"a frame is a whole number from 0 on, not {str(frame)[:40]!r}")
    last = 0 if item.kind == "photo" else None
    if item.kind == "film" and item.film is not None and item.film.complete:
        last = item.film.frames - 1
    if last is not None and frame > last:
        raise InputError(f"{item.path.name} has no frame {frame}: its last is {last}")
    return frame


def strokes_of(raw: object) -> Strokes:
    """Strokes as JSON gives them, checked.

    Raises:
        InputError: one is not what docs/hints.md says, or there are too many.
    """
    if not isinstance(raw, list) or len(raw) > MOST_STROKES:
        raise InputError(f"strokes are a list of at most {MOST_STROKES}")
    made = tuple(stroke_of(one, f"stroke {number}") for number, one in enumerate(raw, 1))
    if sum(len(stroke.points) for stroke in made) > MOST_POINTS:
        raise InputError(f"more than {MOST_POINTS} points", hint="paint in a PNG instead")
    if any(stroke.frame for stroke in made):
        raise InputError("a stroke's frame is told once, beside the strokes")
    return made


def told_of(stroke: Stroke) -> dict[str, Any]:
    """A stroke as a page has it: each field is there."""
    return {
        "kind": stroke.kind,
        "points": [list(point) for point in stroke.points],
        "radius": stroke.radius,
        "lab": None if stroke.ab is None else [None, *stroke.ab],
        "name": stroke.name,
        "strength": stroke.strength,
    }
