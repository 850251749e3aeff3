"""Named colours of an album: ``colours.json`` in its folder.

A stroke that has a name and no colour of its own takes the album's: the coat of one picture is the coat of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe.errors import InputError
from colorpipe.guidance.json_files import check_ab, check_version, read_json, write_json

if TYPE_CHECKING:
    from colorpipe.guidance.strokes import Stroke, StrokeFile

FILE = "colours.json"
VERSION = 1
Colours = Mapping[str, tuple[float, float]]
"""Name -> a and b, CIE units."""


def read(folder: Path) -> Colours:
    """The album's colours; empty where it has none.

    Raises:
        InputError: the file cannot be read, is of an unknown version, or a colour is out of range.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    told = read_json(path)
    if not isinstance(told, dict) or set(told) != {"version", "colours"} or not isinstance(told["colours"], dict):
        raise InputError(f'{path}: an object of "version" and "colours" is needed', hint="docs/hints.md has an example")
    check_version(told["version"], VERSION, path)
    return {name: check_ab(lab, f"{path}: {name}") for name, lab in told["colours"].items()}


def write(folder: Path, colours: Colours) -> None:
    """Whole or not at all; ``read`` gives the same again.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(folder / FILE, {"version": VERSION, "colours": {name: [None, *ab] for name, ab in colours.items()}})


def keep(folder: Path, strokes: Iterable[Stroke]) -> Colours:
    """Adds the colours of strokes that have a name and a colour to the album's, in place of older ones of that name.

    Raises:
        InputError, OutputError: as ``read`` and ``write``.
    """
    before = read(folder)
    colours = {**before, **{stroke.name: stroke.ab for stroke in strokes if stroke.name and stroke.ab is not None}}
    if colours != before:
        write(folder, colours)
    return colours


def needed(file: StrokeFile) -> bool:
    """Whether a stroke takes its colour from the album."""
    return any(stroke.kind == "paint" and stroke.ab is None for stroke in file.strokes)


def named(file: StrokeFile, path: Path) -> StrokeFile:
    """The same strokes, each with its colour.

    Args:
        path: Of the hint file; the album's colours lie beside it.

    Raises:
        InputError: a name is not among them; as ``read``.
    """
    if not needed(file):
        return file
    known = read(path.parent)
    strokes = []
    for number, stroke in enumerate(file.strokes, 1):
        if stroke.kind == "paint" and stroke.ab is None:
            if stroke.name not in known:
                there = f"there are {', '.join(sorted(known))}" if known else "there is no such file, or it is empty"
                raise InputError(
                    f"{path}: stroke {number}: {stroke.name!r} is not in {path.parent / FILE}",
                    hint=f"{there}; or give the stroke its lab",
                )
            stroke = dataclasses.replace(stroke, ab=known[stroke.name])
        strokes.append(stroke)
    return dataclasses.replace(file, strokes=tuple(strokes))
