"""Points and strokes that a person has painted: ``NAME.hints.json``, which docs/hints.md specifies."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from colorpipe.errors import InputError
from colorpipe.guidance.json_files import (
    an_object,
    check_ab,
    check_version,
    is_list,
    is_number,
    is_whole,
    read_json,
    short,
    write_json,
)

Kind = Literal["paint", "neutral", "keep"]
VERSION = 1
"""Version of the ``.hints.json`` format."""
MOST_POINTS = 1_000_000
"""Limit on the points of all strokes in a file together."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Stroke:
    """A line, or a point, drawn with a round brush."""

    points: tuple[tuple[float, float], ...]
    """x and y as shares of the upright picture's width and height, 0..1; at least one."""
    radius: float
    """Radius of the brush, as a share of the picture's longer side, above 0 and at most 1."""
    kind: Kind = "paint"
    ab: tuple[float, float] | None = None
    """CIE units, -128..127; None for ``neutral`` and ``keep``, and where ``name`` stands for the album's colour."""
    frame: int = 0
    """Frame of a film, counted from 0."""
    name: str = ""
    """Name of a colour in the album, or the person's name for the painted object."""
    strength: float = 1.0
    """How far the method's colour is moved to this one, 0..1."""


@dataclass(frozen=True)
class StrokeFile:
    """The content of a ``.hints.json``."""

    size: tuple[int, int]
    """Width and height of the upright picture that it was painted on."""
    strokes: tuple[Stroke, ...] = ()
    source_sha256: str | None = None
    """SHA-256 of the picture's file."""

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames on which something is painted, in order."""
        return tuple(sorted({stroke.frame for stroke in self.strokes}))

    def on(self, frame: int) -> StrokeFile:
        """The same with the strokes of one frame alone."""
        return dataclasses.replace(self, strokes=tuple(stroke for stroke in self.strokes if stroke.frame == frame))


def read_strokes(path: Path) -> StrokeFile:
    """A ``.hints.json``, checked field by field.

    Raises:
        InputError: it cannot be read, is of an unknown version, or a field is missing, unknown or out of range.
    """
    told = an_object(read_json(path), str(path), required=("version", "size", "strokes"), optional=("source_sha256",))
    check_version(told["version"], VERSION, path)
    size, digest = told["size"], told.get("source_sha256")
    if not (is_list(size, 2) and all(is_whole(side) and 1 <= side <= 1_000_000 for side in size)):
        raise InputError(f"{path}: size is [width, height] in pixels, not {short(size)}")
    if digest is not None and not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise InputError(f"{path}: source_sha256 is 64 hexadecimal digits or null, not {short(digest)}")
    if not isinstance(told["strokes"], list):
        raise InputError(f"{path}: strokes is a list, not {short(told['strokes'])}")
    strokes = tuple(stroke_of(one, f"{path}: stroke {number}") for number, one in enumerate(told["strokes"], 1))
    if sum(len(stroke.points) for stroke in strokes) > MOST_POINTS:
        raise InputError(f"{path}: more than {MOST_POINTS} points", hint="paint in a PNG instead")
    return StrokeFile((size[0], size[1]), strokes, digest)


def write_strokes(path: Path, file: StrokeFile) -> None:
    """A ``.hints.json``, whole or not at all; ``read_strokes`` gives the same again.

    Raises:
        OutputError: it cannot be written.
    """
    strokes = []
    for stroke in file.strokes:
        told: dict[str, Any] = {"kind": stroke.kind, "radius": stroke.radius, "points": stroke.points}
        if stroke.ab is not None:
            told["lab"] = [None, *stroke.ab]
        told |= {"frame": stroke.frame} if stroke.frame else {}
        told |= {"name": stroke.name} if stroke.name else {}
        told |= {"strength": stroke.strength} if stroke.strength != 1 else {}
        strokes.append(told)
    whole = {"version": VERSION, "size": file.size, "source_sha256": file.source_sha256, "strokes": strokes}
    write_json(path, whole)


def stroke_of(raw: object, where: str) -> Stroke:
    """One stroke from JSON, checked.

    Raises:
        InputError: a field is missing, unknown or out of range.
    """
    optional = ("kind", "lab", "frame", "name", "strength")
    told = an_object(raw, where, required=("points", "radius"), optional=optional)
    kind, name, lab = told.get("kind", "paint"), told.get("name", ""), told.get("lab")
    if kind not in get_args(Kind):
        raise InputError(f"{where}: kind is one of {', '.join(get_args(Kind))}, not {short(kind)}")
    if not (isinstance(name, str) and len(name) <= 100):
        raise InputError(f"{where}: name is a text of at most 100 characters, not {short(name)}")
    if not is_number(told["radius"], 0, 1) or told["radius"] == 0:
        raise InputError(f"{where}: radius is above 0 and at most 1, not {short(told['radius'])}")
    frame, strength = told.get("frame", 0), told.get("strength", 1.0)
    if not is_whole(frame) or not 0 <= frame < 1 << 31:
        raise InputError(f"{where}: frame is a whole number from 0 on, not {short(frame)}")
    if not is_number(strength, 0, 1) or strength == 0:
        raise InputError(f"{where}: strength is above 0 and at most 1, not {short(strength)}")
    points = told["points"]
    if not (isinstance(points, list) and points):
        raise InputError(f"{where}: points is a list of [x, y], not {short(points)}")
    for point in points:
        if not (is_list(point, 2) and all(is_number(value, 0, 1) for value in point)):
            raise InputError(f"{where}: a point is [x, y], each in 0..1, not {short(point)}")
    ab = None if lab is None else check_ab(lab, where)
    if kind == "paint" and ab is None and not name:
        raise InputError(f"{where}: paint needs a colour", hint='give "lab": [null, a, b], or the name of one')
    places = tuple((float(x), float(y)) for x, y in points)
    return Stroke(places, float(told["radius"]), kind, ab if kind == "paint" else None, frame, name, float(strength))
