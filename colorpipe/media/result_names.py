"""The names of results: an input's own, another ending where it cannot stay, a number where two would share one."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from colorpipe.media import sniff
from colorpipe.media.listing import Found, Listing
from colorpipe.media.suffixes import STILL_SUFFIXES, VIDEO_SUFFIXES, WRITABLE_STILLS

_NAME_BYTES = 255
"""Longest file name that file systems allow."""


def named(path: Path, name: str) -> Path:
    """``path.with_name(name)``, the name's stem cut where it is longer than file systems allow."""
    stem, suffix = os.path.splitext(name)
    while len(os.fsencode(stem + suffix)) > _NAME_BYTES:
        # A mark of what was cut keeps two long names apart.
        mark = "~" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        stem = os.fsdecode(os.fsencode(stem)[: _NAME_BYTES - len(os.fsencode(mark + suffix))])
        stem = os.fsencode(stem).decode("utf-8", "ignore") + mark
    return path.with_name(stem + suffix)


def is_video(path: Path | str) -> bool:
    """Whether a name is a film's, for planning. When a file is opened, its content decides."""
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def default_video_suffix(path: Path) -> str:
    """Matroska holds every codec and every stream; MP4 and QuickTime keep their name."""
    suffix = path.suffix.lower()
    return suffix if suffix in (".mp4", ".m4v", ".mov", ".mkv") else ".mkv"


def renamings(found: Listing, video_suffix: Callable[[Path], str]) -> dict[int, str]:
    """The relative paths of results that are not their input's, by place in the listing; no two results share one."""
    wanted: dict[int, str] = {}
    for place, name in enumerate(found.names):
        if place not in found.errors and os.path.splitext(name)[1].lower() not in WRITABLE_STILLS:
            renamed = str(_renamed(found[place], video_suffix))
            if renamed != name:
                wanted[place] = renamed
    seen: set[str] = set()
    shared: set[str] = set()
    for place, name in enumerate(found.names):
        place_key = key(wanted.get(place, name))
        (shared if place_key in seen else seen).add(place_key)
    # Who keeps its name keeps it; who changes its extension makes room.
    for place in list(wanted):
        name = found.names[place]
        if key(wanted[place]) in shared and key(wanted[place]) != key(name):
            wanted[place] = str(named(Path(name), Path(name).name + Path(wanted[place]).suffix))
    del seen, shared
    taken: set[str] = set()
    for place, name in enumerate(found.names):
        path = name = wanted.get(place, name)
        number = 2
        while key(name) in taken:
            name = str(named(Path(path), f"{Path(path).stem}-{number}{Path(path).suffix}"))
            number += 1
        taken.add(key(name))
        if name != path:
            wanted[place] = name
    return wanted


def _renamed(item: Found, video_suffix: Callable[[Path], str]) -> Path:
    suffix = item.relative.suffix
    if is_video(item.relative):
        wanted = video_suffix(item.path)
        return item.relative if wanted == suffix.lower() else named(item.relative, item.relative.stem + wanted)
    if suffix.lower() in WRITABLE_STILLS:
        return item.relative
    # A named file may have no known extension: ".5" of "photo.5" is no format, and is kept.
    known = suffix.lower() in STILL_SUFFIXES
    if not known and sniff.is_film(item.path):
        return named(item.relative, item.relative.name + video_suffix(item.path))
    return named(item.relative, (item.relative.stem if known else item.relative.name) + ".png")


def key(path: str | Path) -> str:
    """By which two results' paths are one place."""
    # These file systems hold names apart by more than case only when asked to.
    return str(path).casefold() if sys.platform in ("win32", "darwin") else str(path)
