"""Files beside an input that guide its colours: hints, and for a film references, by the frame that they name."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from colorpipe.errors import InputError, oneline
from colorpipe.files import sha256
from colorpipe.guidance import colours, hint_files
from colorpipe.guidance.correction import working_size
from colorpipe.guidance.hint_files import Hints
from colorpipe.guidance.reference import read_lab
from colorpipe.guidance.strokes import read_strokes
from colorpipe.media.inputs import STILL_SUFFIXES

if TYPE_CHECKING:
    from colorpipe.plugins.interfaces import Colorizer
    from colorpipe.settings import MediaOptions

_NAME = re.compile(
    r"(\.(?P<frame>[0-9]+))?\.(?:(?P<hints>hints\.png)|(?P<strokes>hints\.json)|(?P<reference>reference\.(?:png|jpe?g))"
    r"|(?P<prompt>prompt\.txt)|(?P<other>hints\.[a-z0-9]+))",
    re.IGNORECASE,
)
"""The part of a sidecar file's name that follows the input's name without its suffix."""


@dataclass(frozen=True)
class SidecarFiles:
    """The files that guide one input's colours. Frames are counted from 0 in display order; a photo is frame 0."""

    hints: Mapping[int, Path] = field(default_factory=dict)
    """Painted PNGs."""
    references: Mapping[int, Path] = field(default_factory=dict)
    strokes: Mapping[int, Path] = field(default_factory=dict)
    """JSON files; one may have strokes on several frames. They lie over a PNG of the same frame."""
    prompt: Path | None = None
    """Words about the input, for a method that looks at them."""
    unused: tuple[str, ...] = ()
    """Notes for a person on sidecar files that are present but not used."""

    @classmethod
    def of(cls, path: Path, colorizer: type[Colorizer], given: Path | None = None) -> SidecarFiles:
        """``photo.hints.png`` and ``photo.hints.json`` beside ``photo.jpg``; beside ``film.mp4`` ``film.hints.png`` for
        its first frame, ``film.hints.json`` for the frames that its strokes name, ``film.000123.hints.png``,
        ``film.000123.hints.json`` and ``film.000123.reference.png``, with any number of digits.

        Args:
            given: A hint file in place of those that name no frame.

        Raises:
            InputError: two files of a kind name the same frame, or a JSON file is not what docs/hints.md says.
        """
        still = path.suffix.lower() in STILL_SUFFIXES
        painted: dict[int, Path] = {}
        drawn: dict[int, Path] = {}
        referenced: dict[int, Path] = {}
        unused: list[str] = []
        prompt: Path | None = None
        beside = [(given, _NAME.fullmatch(_plain(given)))] if given is not None else []
        for file, match in (*beside, *_beside(path)):
            assert match is not None
            frame = int(match["frame"] or 0)
            named = match["frame"] is not None
            if match["reference"]:
                if named and _takes(colorizer, still=still, frame=frame):
                    _put(referenced, frame, file)
            elif match["prompt"]:
                if "prompt" in colorizer.looks_at and not named:
                    prompt = file
                else:
                    why = "it names no frame" if "prompt" in colorizer.looks_at else f"{colorizer.name} takes no words"
                    unused.append(f"{file.name} was not used: {why}")
            elif given is not None and file is not given and frame == 0:
                unused.append(f"{file.name} was not used: --hints names another file")
            elif match["other"]:
                unused.append(f"{file.name} was not used: hint files are .hints.png or .hints.json")
            elif still and named:
                unused.append(f"{file.name} was not used: a photo's hints name no frame")
            elif match["hints"]:
                _put(painted, frame, file)
            else:
                unused += _put_strokes(drawn, file, frame if named else None, still)
        return cls(painted, referenced, drawn, prompt, tuple(unused))

    def words(self) -> str:
        """The text of ``prompt``, empty without one.

        Raises:
            InputError: it cannot be read as UTF-8.
        """
        if self.prompt is None:
            return ""
        try:
            return self.prompt.read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.prompt}: no text in UTF-8 ({oneline(error)})", hint="save it as UTF-8") from None

    @functools.cached_property
    def identity(self) -> Mapping[str, str]:
        """SHA-256 of each file that affects the result, by kind and frame; empty if there are none. Read once.

        Raises:
            InputError: one cannot be read.
        """
        told = {}
        kinds = (("hints", self.hints), ("reference", self.references), ("strokes", self.strokes))
        for kind, files in kinds:
            for frame, file in files.items():
                told[f"{kind} {frame}"] = _digest(file)
        if self.prompt is not None:
            told["prompt 0"] = _digest(self.prompt)
        for file in set(self.strokes.values()):
            if colours.needed(read_strokes(file)):
                told["colours"] = _digest(file.parent / colours.FILE)
        return told

    @property
    def frames(self) -> frozenset[int]:
        """Frames that a file names."""
        return self.hinted | frozenset(self.references)

    @property
    def hinted(self) -> frozenset[int]:
        """Frames on which something is painted."""
        return frozenset(self.hints) | frozenset(self.strokes)

    def load(self, frame: int, picture: tuple[int, int], size: tuple[int, int], options: MediaOptions) -> Hints | None:
        """The hints painted on a frame; None if there are none.

        Args:
            picture: H and W of the frame.
            size: h and w of the result.

        Raises:
            InputError: as ``hint_files.load``.
        """
        made = None
        for files in (self.hints, self.strokes):
            if frame in files:
                one = hint_files.load(files[frame], picture, size, options, self._frame_in(files[frame], frame))
                made = one if made is None else one.over(made)
        return made

    def hint_source(
        self, frame: int, options: MediaOptions
    ) -> Callable[[tuple[int, int], tuple[int, int]], Hints | None] | None:
        """``load`` for one frame; None where none of these files names it."""
        if frame not in self.hinted:
            return None
        return functools.partial(self.load, frame, options=options)

    @staticmethod
    def _frame_in(file: Path, frame: int) -> int:
        """The frame of the strokes within a file: in a file that is named by a frame it is 0, or the same."""
        match = _NAME.fullmatch(_plain(file))
        told = read_strokes(file).frames if file.suffix.lower() == ".json" else ()
        return 0 if match is not None and match["frame"] is not None and frame not in told else frame

    def check(self, picture: tuple[int, int], options: MediaOptions) -> list[str]:
        """Read them all, before the work of hours begins; what a person should know of them.

        Args:
            picture: H and W of the film.

        Raises:
            InputError: as ``hint_files.load``.
            UsageError: a reference is grey.
        """
        notes: list[str] = []
        for frame in sorted(self.hinted):
            if (made := self.load(frame, picture, working_size(*picture), options)) is None or not made.any:
                notes.append(self.blank(frame))
        for file in self.references.values():
            read_lab(file, options)
        return notes

    def blank(self, frame: int) -> str:
        """The note on a frame whose hint files are empty."""
        files = (files[frame].name for files in (self.hints, self.strokes) if frame in files)
        return f"{' and '.join(files)} changed nothing: nothing is painted there"

    def notes(self, frames: int | None, steady: bool) -> Iterator[str]:
        """Notes for a person once a film is done; ``frames`` is its number of frames, if known."""
        files = [*self.hints.items(), *self.strokes.items(), *self.references.items()]
        for number, file in sorted(files):
            if frames is not None and number >= frames:
                yield f"{file.name} names frame {number} and was not used: the film's last frame is {frames - 1}"
        if not steady and self.frames:
            yield "with --temporal none, a hint or reference file affects only the frame that it names"

    def remarks(self, source: Path, saturation: float) -> Iterator[str]:
        """Notes for a person on hint files, for any kind of input.

        Args:
            source: The input's file.
            saturation: What chroma is multiplied by.
        """
        yield from self.unused
        if self.hinted and not saturation:
            yield "hint files were not used: --saturation 0 leaves no colour"
        for file in sorted(set(self.strokes.values())):
            told = read_strokes(file)
            if told.source_sha256 is not None and told.source_sha256 != sha256(source):
                yield f"{file.name} was painted on another file than {source.name} is now: look whether it still fits"


def has_hints(folder: Path) -> bool:
    """Whether a folder has hint or reference files at all.

    Raises:
        InputError: it cannot be looked into.
    """
    return bool(_hint_names(folder))


def strays(folder: Path, inputs: frozenset[str]) -> Iterator[Path]:
    """Hint files of a folder that belong to none of its inputs.

    Args:
        inputs: Names of the inputs there, without their suffixes.
    """
    for name in _hint_names(folder):
        stem = re.sub(r"(\.[0-9]+)?\.(hints|reference|prompt)\.[a-z0-9]+$", "", name, flags=re.IGNORECASE)
        if stem not in inputs and name.removesuffix(Path(name).suffix) not in inputs:
            yield folder / name


def beside(path: Path) -> list[Path]:
    """Hint and reference files that an input's name leads to, used or not; none of them is read.

    Raises:
        InputError: its folder cannot be looked into.
    """
    return [file for file, _ in _beside(path)]


def _takes(colorizer: type[Colorizer], *, still: bool, frame: int) -> bool:
    """Whether a method looks at a reference that names a frame."""
    if still:
        return frame == 0 and "reference" in colorizer.looks_at
    return colorizer.takes_reference or colorizer.learns_from_reference


def _put(files: dict[int, Path], frame: int, file: Path) -> None:
    if frame in files:
        raise InputError(f"{file} and {files[frame].name} both name frame {frame}", hint="keep one of them")
    files[frame] = file


def _put_strokes(drawn: dict[int, Path], file: Path, frame: int | None, still: bool) -> Iterator[str]:
    """Assign a JSON file to its frames; returns the notes on unused parts.

    Args:
        frame: That its name tells; None where its strokes do.
    """
    told = read_strokes(file)
    if not told.strokes:
        yield f"{file.name} was not used: nothing is painted in it"
    for number in told.frames:
        if frame is not None and number not in (0, frame):
            raise InputError(
                f"{file}: a stroke is on frame {number}", hint="leave frame out, or out of the file's name"
            )
        if still and number:
            yield f"strokes of {file.name} on frame {number} were not used: a photo has one frame, 0"
            continue
        _put(drawn, number if frame is None else frame, file)


def _plain(file: Path) -> str:
    """The part of a hint file's name after the input's name; for other names, the part that its suffix implies."""
    match = re.search(r"(\.[0-9]+)?\.hints\.(png|json)$", file.name, re.IGNORECASE)
    if match is not None:
        return match[0]
    return ".hints.json" if file.suffix.lower() == ".json" else ".hints.png"


def _digest(file: Path) -> str:
    try:
        return sha256(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None


def _beside(path: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files that belong to an input by their names.

    Raises:
        InputError: its folder cannot be looked into.
    """
    for name in _hint_names(path.parent):
        match = _NAME.fullmatch(name.removeprefix(path.stem)) if name.startswith(path.stem) else None
        file = path.with_name(name)
        if match is not None and file.is_file() and (match["reference"] is None or match["frame"] is not None):
            yield file, match


def _hint_names(folder: Path) -> tuple[str, ...]:
    """Names of hint and reference files in a folder, sorted. Photos come by the thousand: it is read once for all.

    Raises:
        InputError: it cannot be looked into.
    """
    try:
        return _listed(os.fspath(folder), os.stat(folder).st_mtime_ns)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot look for hint files in folder {folder}: {reason}") from None


@functools.lru_cache(maxsize=16)
def _listed(folder: str, _changed: int) -> tuple[str, ...]:
    known = re.compile(r"\.((hints|reference)\.[a-z0-9]+|prompt\.txt)$", re.IGNORECASE)
    return tuple(sorted(name for name in os.listdir(folder or ".") if known.search(name)))
