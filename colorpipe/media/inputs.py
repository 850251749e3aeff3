"""Inputs: found from the arguments of a command, and each given the path of its result."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorpipe.errors import UsageError
from colorpipe.files import given_path
from colorpipe.media import sniff
from colorpipe.media.passed import OTHER_SUFFIXES, OwnResults, Passed, is_album, is_other_picture

DEFAULT_OUTPUT = Path("colorized")

STILL_SUFFIXES = frozenset(
    {
        ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pam", ".pbm", ".pgm",
        ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3g2", ".3gp", ".asf", ".avc", ".avi", ".dif", ".divx", ".dv", ".evo", ".f4v", ".flv", ".gxf",
        ".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mod",
        ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm",
        ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro", ".webm", ".wmv", ".wtv", ".y4m",
    }
)  # fmt: skip
"""Suffixes that are picked out of folders and patterns. A file that is named itself is always taken."""
SHARED_SUFFIXES = frozenset({".avc", ".dif", ".evo", ".gxf", ".mod", ".mpv", ".nut", ".ogm", ".tod", ".tp", ".trp"})
"""Suffixes that other kinds of files share, above all music: in folders the content decides."""
WRITABLE_STILLS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
"""Extensions that a still's result can have; other sources give a .png."""
_HINTS = re.compile(r"\.hints\.[a-z0-9]+$")
"""Hint files of any format: unusable ones are reported, not colorized."""
_REFERENCE = re.compile(r"\.[0-9]+\.reference\.(png|jpe?g)$")
"""A reference for a film's frame."""
_MAGIC = frozenset("*?[")
_NAME_BYTES = 255
"""Longest file name that file systems allow."""


@dataclass(frozen=True)
class Found:
    """One input, and its place in the tree that results mirror."""

    path: Path
    relative: Path
    """The path inside the folder (or the fixed part of the pattern) that was named; a named file's name."""
    error: str | None = None
    """Reason why a folder cannot be looked into: no permission. The rest goes on."""


@dataclass(frozen=True)
class Job:
    """One input and the place of its result."""

    input: Path
    output: Path
    error: str | None = None
    """The error of ``Found``: this job fails with it."""
    preview: float | None = None
    """Seconds of a film that are made, spread over its length; None for the whole film, and for pictures."""
    result: int = 0
    """Which of a method's several results for the input this is."""
    exact: bool = False
    """The output was named itself: its result goes there or nowhere."""

    @property
    def comparison(self) -> Path:
        """The path of the picture or film with before and after side by side."""
        suffix = self.output.suffix if is_video(self.output) else ".jpg"
        return named(self.output, f"{self.output.stem}.compare{suffix}")

    def numbered(self, number: int) -> Path:
        """The output's name with a number: ``photo-2.jpg``."""
        return named(self.output, f"{self.output.stem}-{number}{self.output.suffix}")


def named(path: Path, name: str) -> Path:
    """``path.with_name(name)``, the name's stem cut where it is longer than file systems allow."""
    stem, suffix = os.path.splitext(name)
    while len(os.fsencode(stem + suffix)) > _NAME_BYTES:
        # A mark of what was cut keeps two long names apart.
        mark = "~" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        stem = os.fsdecode(os.fsencode(stem)[: _NAME_BYTES - len(os.fsencode(mark + suffix))])
        stem = os.fsencode(stem).decode("utf-8", "ignore") + mark
    return path.with_name(stem + suffix)


def is_video(path: Path) -> bool:
    """Whether a name is a film's, for planning. When a file is opened, its content decides."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def default_video_suffix(path: Path) -> str:
    """Matroska holds every codec and every stream; MP4 and QuickTime keep their name."""
    suffix = path.suffix.lower()
    return suffix if suffix in (".mp4", ".m4v", ".mov", ".mkv") else ".mkv"


def find_inputs(
    arguments: Sequence[str | Path], exclude: Path | None = None, passed: Passed | None = None
) -> list[Found]:
    """The inputs that files, folders and glob patterns name, in the order named, each folder sorted, none twice.

    Folders are searched all the way down, through links too, each once. Hidden files and folders, thumbnails and bins
    of network storages, ``*.hints.*``, ``*.000123.reference.png``, results that a journal of colorpipe records, and
    what is neither still nor film by its name are left out.

    Args:
        exclude: The output folder: it is not read again where it lies inside an input.
        passed: Is told which pictures were left out.

    Raises:
        UsageError: something named does not exist, or nothing at all was found.
    """
    if not arguments:
        raise UsageError("no input was named", hint="name pictures, films, folders or patterns")
    search = _Search(None if exclude is None else exclude.resolve(), Passed() if passed is None else passed)
    found: dict[str, Found] = {}
    for argument in arguments:
        for item in search.expand(argument):
            found.setdefault(os.path.abspath(item.path), item)
    if not found:
        listed = ", ".join(str(argument) for argument in arguments)
        told = "".join(f"; {line}" for line in search.passed.told())
        raise UsageError(
            f"no picture or film in {listed}{told}", hint="a file whose name tells nothing can be named itself"
        )
    return list(found.values())


class _Search:
    """One call of ``find_inputs``."""

    def __init__(self, exclude: Path | None, passed: Passed) -> None:
        self.exclude, self.passed = exclude, passed
        self.own = OwnResults()
        self.seen: set[tuple[int, int]] = set()
        """Device and inode of every folder that the current argument led into, so that links cannot lead in circles."""

    def expand(self, argument: str | Path) -> list[Found]:
        path, self.seen = given_path(argument), set()
        if os.path.isdir(path):
            return _sorted(self._walk(path, Path()))
        if os.path.lexists(path):
            return [Found(path, Path(path.name))]
        if _MAGIC.intersection(str(argument)):
            return _sorted(self._match(path))
        raise UsageError(f"{argument} does not exist", hint="check the spelling; a pattern needs *, ? or [...]")

    def _match(self, pattern: Path) -> Iterator[Found]:
        """A glob pattern's files, and its folders with all that is in them."""
        fixed = next(index for index, part in enumerate(pattern.parts) if _MAGIC.intersection(part))
        root = Path(*pattern.parts[:fixed])
        matched = False
        try:
            paths = sorted(root.glob(str(Path(*pattern.parts[fixed:]))))
        except ValueError as error:
            raise UsageError(f"{pattern} is no pattern: {error}", hint="** stands alone between two slashes") from None
        for path in paths:
            relative = path.relative_to(root)
            if any(part.startswith(".") or not is_album(part) for part in relative.parts):
                continue
            if self.exclude is not None and path.resolve().is_relative_to(self.exclude):
                continue
            matched = True
            if path.is_dir():
                yield from self._walk(path, relative)
            elif self._is_taken(path):
                yield Found(path, relative)
        if not matched:
            raise UsageError(
                f"nothing matches {pattern}", hint="check the folder and the pattern; ** goes through folders"
            )

    def _walk(self, folder: Path, relative: Path) -> Iterator[Found]:
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self.seen:
                return
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                # Links last: a folder is found under its own name rather than through a link beside it.
                listed = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            yield Found(folder, relative, f"cannot look into folder {folder}: {(error.strerror or str(error)).lower()}")
            return
        for entry in listed:
            if entry.name.startswith("."):
                continue
            path, inner = folder / entry.name, relative / entry.name
            if _is_folder(entry):
                if is_album(entry.name) and (self.exclude is None or path.resolve() != self.exclude):
                    yield from self._walk(path, inner)
            elif self._is_taken(path):
                yield Found(path, inner)

    def _is_taken(self, path: Path) -> bool:
        lower = path.name.lower()
        if _HINTS.search(lower) or _REFERENCE.search(lower):
            return False
        suffix = os.path.splitext(lower)[1]
        if suffix not in STILL_SUFFIXES | VIDEO_SUFFIXES or (suffix in SHARED_SUFFIXES and not sniff.is_film(path)):
            if is_other_picture(path):
                self.passed.others.append(path)
            return False
        if path in self.own:
            self.passed.results.append(path)
            return False
        return True


def _sorted(found: Iterator[Found]) -> list[Found]:
    return sorted(found, key=lambda item: item.relative.parts)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: opening it will say so
        return False


def plan(
    found: Sequence[Found],
    output: Path | None,
    video_suffix: Callable[[Path], str] = default_video_suffix,
    preview: float | None = None,
    compare: bool = False,
) -> list[Job]:
    """The path of each result: mirrored under ``output``, or ``output`` itself for one file and a file's name.

    A still keeps its extension where that can be written, else its result is a ``.png``; a film's is up to
    ``video_suffix``. Results that would share a name get different ones: ``a.bmp`` beside ``a.png`` becomes
    ``a.bmp.png``.

    Args:
        preview: Seconds of each film; the result is then ``NAME.preview.EXT``, and the film's own place is left alone.
        compare: Comparisons are made too, and must not replace anything either.

    Raises:
        UsageError: a result would replace an input; several inputs for one file's name; a folder is needed where a
            file stands; a comparison would replace a result.
    """
    root = DEFAULT_OUTPUT if output is None else output
    if _names_file(root):
        if len(found) != 1 or found[0].relative.name != found[0].path.name or len(found[0].relative.parts) > 1:
            raise UsageError(
                f"{root} is one file's name, and there are {len(found)} inputs", hint="give a folder's name to -o"
            )
        jobs = [Job(found[0].path, root, found[0].error, exact=True)]
    else:
        _refuse_format(root)
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is a file, not a folder", hint="give another folder to -o")
        jobs = [
            Job(item.path, root / relative, item.error)
            for item, relative in zip(found, _names(found, video_suffix), strict=True)
        ]
    if preview is not None:
        jobs = [_previewed(job, preview) for job in jobs]
    _refuse_overwriting(jobs, compare)
    return jobs


def several(jobs: Sequence[Job], count: int, compare: bool = False) -> list[Job]:
    """The jobs of a method that gives ``count`` results for each input: ``NAME``, ``NAME-2``, ``NAME-3``. A number is
    left out where another input has that name.

    Raises:
        UsageError: one would replace an input.
    """
    if count == 1:
        return list(jobs)
    made, taken = [], {job.output for job in jobs}
    for job in jobs:
        made.append(job)
        names = (job.numbered(number) for number in itertools.count(2))
        for result in range(1, 1 if job.error else count):
            output = next(name for name in names if name not in taken)
            taken.add(output)
            made.append(replace(job, output=output, result=result))
    _refuse_overwriting(made, compare)
    return made


def _previewed(job: Job, seconds: float) -> Job:
    if job.error or not is_video(job.output):
        return job
    name = f"{job.output.stem}.preview{job.output.suffix}"
    return replace(job, output=named(job.output, name), preview=seconds)


def _names_file(output: Path) -> bool:
    return output.suffix.lower() in WRITABLE_STILLS | VIDEO_SUFFIXES and not output.is_dir()


def _refuse_format(output: Path) -> None:
    """No folder gets the name of a picture whose format is not written."""
    if str(output) == "-":
        raise UsageError("cannot write to -: results are files", hint="give a file or a folder to -o")
    if output.suffix.lower() in STILL_SUFFIXES | OTHER_SUFFIXES and not output.is_dir():
        formats = ", ".join(sorted(WRITABLE_STILLS))
        raise UsageError(
            f"cannot write {output}: no such format; use one of {formats}", hint="for a film, a film's name"
        )


def _names(found: Sequence[Found], video_suffix: Callable[[Path], str]) -> list[Path]:
    """Relative paths of the results, no two the same."""
    wanted = [item.relative if item.error else _renamed(item, video_suffix) for item in found]
    shared = Counter(_key(path) for path in wanted)
    # Who keeps its name keeps it; who changes its extension makes room.
    for index, item in enumerate(found):
        if shared[_key(wanted[index])] > 1 and _key(wanted[index]) != _key(item.relative):
            wanted[index] = named(item.relative, item.relative.name + wanted[index].suffix)
    taken: set[str] = set()
    for index, path in enumerate(wanted):
        number = 2
        while _key(wanted[index]) in taken:
            wanted[index] = named(path, f"{path.stem}-{number}{path.suffix}")
            number += 1
        taken.add(_key(wanted[index]))
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


def _key(path: Path) -> str:
    # These file systems hold names apart by more than case only when asked to.
    return str(path).casefold() if sys.platform in ("win32", "darwin") else str(path)


def _refuse_overwriting(jobs: Sequence[Job], compare: bool) -> None:
    """No result and no comparison may stand where any input stands, however it is spelt or linked, and no comparison
    where a result does."""
    inputs = {os.path.realpath(job.input): job.input for job in jobs}
    identities = {(status.st_dev, status.st_ino) for status in map(_status, inputs) if status is not None}
    results = {_key(job.output): job.input for job in jobs}
    places = [(job, "result", job.output) for job in jobs]
    places += [(job, "comparison", job.comparison) for job in jobs if compare]
    for job, what, place in places:
        status = _status(place)
        if os.path.realpath(place) in inputs or (status and (status.st_dev, status.st_ino) in identities):
            raise UsageError(
                f"the {what} of {job.input} would replace the source {place}", hint="give another place to -o"
            )
        if what == "comparison" and _key(place) in results:
            raise UsageError(
                f"the comparison of {job.input} would replace the result of {results[_key(place)]}, {place}",
                hint="colorize one of them in a call of its own, with another folder for -o",
            )


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
