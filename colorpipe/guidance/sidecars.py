"""Sidecar files, which guide an input's colour: hints, and references for a film, by the frame that they name."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe.errors import InputError
from colorpipe.files import sha256
from colorpipe.guidance import hints
from colorpipe.guidance.reference import read_lab
from colorpipe.media.inputs import STILL_SUFFIXES

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Colorizer
    from colorpipe.settings import MediaOptions

_NAME = re.compile(r"\.(?P<frame>[0-9]+)\.(?:(?P<hints>hints\.png)|reference\.(?:png|jpe?g))", re.IGNORECASE)
"""The part of a sidecar's name that follows the film's without its suffix."""


@dataclass(frozen=True)
class SidecarFiles:
    """The sidecar files of one input that its colorizer takes.

    Frames are counted from 0 in the order shown; a photo is frame 0.
    """

    hints: Mapping[int, Path] = field(default_factory=dict)
    references: Mapping[int, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, colorizer: type[Colorizer], given: Path | None = None) -> SidecarFiles:
        """``photo.hints.png`` beside ``photo.jpg``; beside ``film.mp4`` ``film.hints.png`` for its first frame,
        ``film.000123.hints.png`` and ``film.000123.reference.png``, with any number of digits.

        Args:
            given: A hint file in place of the one for the first frame.

        Raises:
            InputError: two files of a kind name the same frame.
        """
        hinted: dict[int, Path] = {}
        referenced: dict[int, Path] = {}
        takes_reference = colorizer.takes_reference or colorizer.learns_from_reference
        if colorizer.takes_hints:
            first = given or hints.beside(path)
            if first is not None:
                hinted[0] = first
        # Photos come by the thousand, and their folder is not searched for each.
        if path.suffix.lower() in STILL_SUFFIXES or not (colorizer.takes_hints or takes_reference):
            return cls(hinted)
        for file, match in _beside(path):
            files, taken = (hinted, colorizer.takes_hints) if match["hints"] else (referenced, takes_reference)
            frame = int(match["frame"])
            if not taken or (frame == 0 and files is hinted and given is not None):
                continue
            if frame in files:
                raise InputError(f"{file} and {files[frame].name} both name frame {frame}", hint="keep one of them")
            files[frame] = file
        return cls(hinted, referenced)

    @functools.cached_property
    def identity(self) -> Mapping[str, str]:
        """SHA-256 by kind and frame, which decide the result; empty where there are none. Read once.

        Raises:
            InputError: one cannot be read.
        """
        told = {}
        for kind, files in (("hints", self.hints), ("reference", self.references)):
            for frame, file in files.items():
                try:
                    told[f"{kind} {frame}"] = sha256(file)
                except OSError as error:
                    raise InputError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
        return told

    @property
    def frames(self) -> frozenset[int]:
        """The frames that are named."""
        return frozenset(self.hints) | frozenset(self.references)

    def check(self, picture: tuple[int, int], options: MediaOptions) -> None:
        """Read them all, before the work of hours begins.

        Args:
            picture: H and W of the film.

        Raises:
            InputError: as ``hints.load``.
            UsageError: a reference is grey.
        """
        for file in self.hints.values():
            hints.load(file, picture, (1, 1), options)
        for file in self.references.values():
            read_lab(file, options)

    def notes(self, frames: int | None, steady: bool) -> Iterator[str]:
        """Remarks for a person when a film is done."""
        for number, file in sorted([*self.hints.items(), *self.references.items()]):
            if frames is not None and number >= frames:
                yield f"{file.name} names frame {number} and was not used: the film's last frame is {frames - 1}"
        if not steady and self.frames:
            yield "with --temporal none, a hint or reference file affects only the frame that it names"


def _beside(film: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files that name a frame of a film.

    Raises:
        InputError: its folder cannot be looked into.
    """
    try:
        listed = sorted(film.parent.iterdir())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot look for hint files in folder {film.parent}: {reason}") from None
    for file in listed:
        match = _NAME.fullmatch(file.name.removeprefix(film.stem)) if file.name.startswith(film.stem) else None
        if match is not None and file.is_file():
            yield file, match
