"""Files that a search of folders leaves out, for a report: pictures of other kinds, and colorpipe's own results."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from colorpipe.errors import InputError
from colorpipe.media import sniff

JOURNAL = ".colorpipe.jsonl"
"""``colorpipe.journal.NAME``, which cannot be imported here: the journal is built upon this package."""
PAGE_MARK = ".colorpipe-page"
"""A file in each folder of small pictures that belongs to a page of colorpipe: these are no inputs."""
OTHER_SUFFIXES = frozenset(
    {
        ".3fr", ".ai", ".apng", ".arw", ".cr2", ".cr3", ".crw", ".cur", ".dcm", ".dcr", ".dds", ".djvu", ".dng", ".eps",
        ".erf", ".exr", ".fff", ".fit", ".fits", ".hdr", ".ico", ".iiq", ".j2c", ".j2k", ".jp2", ".jpf", ".jpx", ".jxl",
        ".jxr", ".k25", ".kdc", ".mef", ".mos", ".mpo", ".mrw", ".nef", ".nrw", ".orf", ".pcd", ".pct", ".pcx", ".pdf",
        ".pef", ".pfm", ".pict", ".psb", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".rwl", ".sgi", ".sr2", ".srf", ".srw",
        ".svg", ".tga", ".wdp", ".x3f", ".xcf", ".xbm", ".xpm",
    }
)  # fmt: skip
"""Names of pictures that are not picked out of folders."""
_NOT_ALBUMS = frozenset(
    {
        "@eadir", "@recently-snapshot", "@recycle", "@sharesnap", "@tmp", "#recycle", "#snapshot", "$recycle.bin",
        "recycled", "recycler", "system volume information", "lost+found", "__macosx", "network trash folder",
        "temporary items", "ipod photo cache", "windows.~bt", "lost.dir",
    }
)  # fmt: skip
"""Thumbnails, bins and snapshots that network storages, systems and cameras keep beside the pictures."""


@dataclass
class Passed:
    """The files that a search left out."""

    others: list[Path] = field(default_factory=list)
    """Pictures and films of a kind, or under a name, that is not picked out of folders."""
    results: list[Path] = field(default_factory=list)
    """Files that colorpipe's journals record as its own results."""

    def told(self) -> list[str]:
        """One line for each of the two, where there is something to say."""
        lines = []
        if self.others:
            kinds = Counter(path.suffix.lower() or "without a suffix" for path in self.others)
            listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            many = (
                "1 file of another kind was"
                if len(self.others) == 1
                else f"{len(self.others)} files of other kinds were"
            )
            lines.append(f"{many} passed over: {listed}")
        if self.results:
            folders = sorted({str(path.parent) for path in self.results})
            where = ", ".join(folders[:3]) + (f" and {len(folders) - 3} more folders" if len(folders) > 3 else "")
            many = "1 earlier result" if len(self.results) == 1 else f"{len(self.results)} earlier results"
            lines.append(f"{many} of colorpipe left out, in {where}")
        return lines


def is_album(name: str) -> bool:
    """False for folders of thumbnails, bins and snapshots, which hold copies of what was deleted or lies beside."""
    return name.lower() not in _NOT_ALBUMS


def is_other_picture(path: Path) -> bool:
    """Whether a file that a folder's search does not take is a picture or film all the same."""
    if path.suffix.lower() in OTHER_SUFFIXES:
        return True
    try:
        return sniff.is_picture(sniff.kind_of(path))
    except InputError:
        return False


class Pages:
    """The folders that belong to a page of colorpipe."""

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def __contains__(self, folder: Path) -> bool:
        if folder not in self._known:
            self._known[folder] = (folder / PAGE_MARK).exists()
        return self._known[folder]


class OwnResults:
    """The files that are colorpipe's results: those recorded by a journal in their folder, or in one above."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._above: dict[str, list[tuple[str, frozenset[str]]]] = {}
        """Folder -> the folders at or above it that have a journal, and the results that it records."""

    def has(self, folder: str, name: str) -> bool:
        """Whether the file of that name is one.

        Looks as far up as the journals of an output folder lie: at every folder above the file.
        """
        if folder not in self._above:
            self._above[folder] = list(self._journals(os.path.abspath(folder)))
        journals = self._above[folder]
        if not journals:
            return False
        full = os.path.join(os.path.abspath(folder), name)
        return any(os.path.relpath(full, place) in listed for place, listed in journals)

    def _journals(self, folder: str) -> Iterator[tuple[str, frozenset[str]]]:
        while True:
            if folder not in self._known:
                self._known[folder] = _listed(folder)
            if self._known[folder]:
                yield folder, self._known[folder]
            above = os.path.dirname(folder)
            if above == folder:
                return
            folder = above


def _listed(folder: str) -> frozenset[str]:
    """Paths, from the folder, of the results and of the comparisons beside stills that its journal records."""
    listed = set()
    try:
        with open(os.path.join(folder, JOURNAL), encoding="utf-8", errors="replace") as file:
            for line in file:  # one by one: a journal of a million results is a gigabyte
                try:
                    listed.add(os.path.normpath(json.loads(line)["output"]))
                except (ValueError, KeyError, TypeError):  # a line that a power cut left unfinished
                    continue
    except OSError:
        return frozenset()
    # Comparisons of stills were not recorded by versions before this one.
    return frozenset(listed | {os.path.splitext(name)[0] + ".compare.jpg" for name in listed})
