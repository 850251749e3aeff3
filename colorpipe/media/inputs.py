"""Inputs: found from the arguments of a command, and each given the path of its result."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from colorpipe.errors import UsageError
from colorpipe.files import given_path
from colorpipe.media import sniff
from colorpipe.media.listing import Found as Found
from colorpipe.media.listing import Listing, Overwriting
from colorpipe.media.parts import FilmPart
from colorpipe.media.passed import OTHER_SUFFIXES, OwnResults, Pages, Passed, is_album, is_other_picture
from colorpipe.media.result_names import default_video_suffix as default_video_suffix
from colorpipe.media.result_names import is_video as is_video
from colorpipe.media.result_names import key, named, renamings
from colorpipe.media.suffixes import SEARCHED, SHARED_SUFFIXES
from colorpipe.media.suffixes import STILL_SUFFIXES as STILL_SUFFIXES
from colorpipe.media.suffixes import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from colorpipe.media.suffixes import WRITABLE_STILLS as WRITABLE_STILLS

DEFAULT_OUTPUT = Path("colorized")

_HINTS = re.compile(r"\.hints\.[a-z0-9]+$")
"""Hint files of any format: unusable ones are reported, not colorized."""
_REFERENCE = re.compile(r"\.[0-9]+\.reference\.(png|jpe?g)$")
"""A reference for a film's frame."""
_MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Job:
    """One input and the place of its result."""

    input: Path
    output: Path
    error: str | None = None
    """The error of ``Found``: this job fails with it."""
    preview: float | None = None
    """Seconds of a film that are made, spread over its length; None for the whole film, and for pictures."""
    exact: bool = False
    """The output was named itself: its result goes there or nowhere."""
    part: FilmPart | None = None
    """Only this part of a film is made; ``output`` is the part's."""
    relative: str = ""
    """The path inside the folder that was named, with ``/`` between its parts: what ``--shard`` goes by."""
    result: int = 0
    """Which of a method's several results for the input this is."""

    @property
    def comparison(self) -> Path:
        """The path of the picture or film with before and after side by side."""
        suffix = self.output.suffix if is_video(self.output) else ".jpg"
        return named(self.output, f"{self.output.stem}.compare{suffix}")

    def numbered(self, number: int) -> Path:
        """The output's name with a number: ``photo-2.jpg``."""
        return named(self.output, f"{self.output.stem}-{number}{self.output.suffix}")


def find_inputs(
    arguments: Sequence[str | Path], exclude: Path | None = None, passed: Passed | None = None
) -> Sequence[Found]:
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
    found = Listing()
    # One folder alone gives nothing twice, and a million of its paths need not be remembered for that.
    alone = len(arguments) == 1 and os.path.isdir(given_path(arguments[0]))
    known: set[str] | None = None if alone else set()
    for argument in arguments:
        found.extend(*search.expand(argument), known)
    if not found:
        listed = ", ".join(str(argument) for argument in arguments)
        told = "".join(f"; {line}" for line in search.passed.told())
        raise UsageError(
            f"no picture or film in {listed}{told}", hint="a file whose name tells nothing can be named itself"
        )
    return found


class _Search:
    """One call of ``find_inputs``."""

    def __init__(self, exclude: Path | None, passed: Passed) -> None:
        self.exclude, self.passed = exclude, passed
        self.own = OwnResults()
        self.pages = Pages()
        self.seen: set[tuple[int, int]] = set()
        """Device and inode of every folder that the current argument led into, so that links cannot lead in circles."""

    def expand(self, argument: str | Path) -> tuple[Path, Iterator[tuple[str, str | None]]]:
        """A root, and what was found: paths below it, and reasons why they cannot be looked into."""
        path, self.seen = given_path(argument), set()
        if os.path.isdir(path):
            return path, self._walk(str(path), "")
        if os.path.lexists(path):
            return path.parent, iter([(path.name, None)])
        if _MAGIC.intersection(str(argument)):
            fixed = next(index for index, part in enumerate(path.parts) if _MAGIC.intersection(part))
            root = Path(*path.parts[:fixed])
            return root, self._match(path, root, str(Path(*path.parts[fixed:])))
        raise UsageError(f"{argument} does not exist", hint="check the spelling; a pattern needs *, ? or [...]")

    def _match(self, pattern: Path, root: Path, wanted: str) -> Iterator[tuple[str, str | None]]:
        """A glob pattern's files, and its folders with all that is in them."""
        matched = False
        try:
            paths = sorted(root.glob(wanted))
        except ValueError as error:
            raise UsageError(f"{pattern} is no pattern: {error}", hint="** stands alone between two slashes") from None
        for path in paths:
            relative = path.relative_to(root)
            if any(part.startswith(".") or not is_album(part) for part in relative.parts):
                continue
            excluded = self.exclude is not None and path.resolve().is_relative_to(self.exclude)
            if excluded or any(root / folder in self.pages for folder in relative.parents):
                continue
            matched = True
            if path.is_dir():
                yield from self._walk(str(path), str(relative))
            elif self._is_taken(str(path.parent), path.name):
                yield str(relative), None
        if not matched:
            raise UsageError(
                f"nothing matches {pattern}", hint="check the folder and the pattern; ** goes through folders"
            )

    def _walk(self, folder: str, relative: str) -> Iterator[tuple[str, str | None]]:
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self.seen or Path(folder) in self.pages:
                return
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                # Links last: a folder is found under its own name rather than through a link beside it.
                listed = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            yield relative or ".", f"cannot look into folder {folder}: {reason}"
            return
        for entry in listed:
            name = entry.name
            if name.startswith("."):
                continue
            if _is_folder(entry):
                path = os.path.join(folder, name)
                if is_album(name) and (self.exclude is None or Path(path).resolve() != self.exclude):
                    yield from self._walk(path, os.path.join(relative, name))
            elif self._is_taken(folder, name):
                yield os.path.join(relative, name), None

    def _is_taken(self, folder: str, name: str) -> bool:
        lower = name.lower()
        if _HINTS.search(lower) or _REFERENCE.search(lower):
            return False
        suffix = os.path.splitext(lower)[1]
        if suffix not in SEARCHED or (suffix in SHARED_SUFFIXES and not sniff.is_film(Path(folder, name))):
            if is_other_picture(Path(folder, name)):
                self.passed.others.append(Path(folder, name))
            return False
        if self.own.has(folder, name):
            self.passed.results.append(Path(folder, name))
            return False
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: opening it will say so
        return False


class Plan(Sequence[Job]):
    """Inputs with the places of their results. A ``Job`` is made when it is asked for, so that a million fit."""

    def __init__(self, found: Listing, root: Path, renamed: dict[int, str], preview: float | None, exact: bool) -> None:
        self.found, self.root = found, root.parent if exact else root
        self._renamed, self._preview, self._exact = renamed, preview, exact
        self._chosen: Sequence[int] = range(len(found))
        """Places in the listing of those of one shard, or of all."""
        names = (self._renamed.get(place, name) for place, name in enumerate(found.names))
        self._films = {place for place, name in enumerate(names) if is_video(name)} - found.errors.keys()
        self.planned = {key(self._name(place)) for place in self._chosen}
        """Keys of all results below the root, of other shards too."""

    def only(self, takes: Callable[[int], bool]) -> None:
        """Leave the jobs that are taken, by their places in the listing; ``planned`` stays as it is."""
        self._chosen = array("L", filter(takes, self._chosen))

    @property
    def films(self) -> int:
        """Inputs that are films by their names."""
        return len(self._films if isinstance(self._chosen, range) else self._films.intersection(self._chosen))

    def output(self, place: int) -> str:
        """The path of a result, by its input's place in the listing."""
        return os.path.join(self.root, self._name(place))

    def _name(self, place: int) -> str:
        name = self._renamed.get(place, self.found.names[place])
        return str(_previewed(Path(name))) if self._preview is not None and place in self._films else name

    def outputs(self) -> Iterator[str]:
        """The paths of the results."""
        return map(self.output, self._chosen)

    def is_planned(self, output: Path) -> bool:
        """Whether this is an input's own place."""
        return output.is_relative_to(self.root) and key(output.relative_to(self.root)) in self.planned

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, number: int) -> Job: ...
    @overload
    def __getitem__(self, number: slice) -> list[Job]: ...
    def __getitem__(self, number: int | slice) -> Job | list[Job]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        place = self._chosen[number]
        preview = self._preview if place in self._films else None
        source, output, error = Path(self.found.path(place)), Path(self.output(place)), self.found.errors.get(place)
        return Job(source, output, error, preview, self._exact, relative=self.found.relative(place))

    def __iter__(self) -> Iterator[Job]:
        return (self[number] for number in range(len(self)))


def plan(
    found: Sequence[Found],
    output: Path | None,
    video_suffix: Callable[[Path], str] = default_video_suffix,
    preview: float | None = None,
    compare: bool = False,
) -> Plan:
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
    listing = found if isinstance(found, Listing) else Listing.of(found)
    if names_file(root):
        if len(listing) != 1 or found[0].relative.name != found[0].path.name or len(found[0].relative.parts) > 1:
            raise UsageError(
                f"{root} is one file's name, and there are {len(listing)} inputs", hint="give a folder's name to -o"
            )
        jobs = Plan(listing, root, {0: root.name}, preview, True)
    else:
        _refuse_format(root)
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is a file, not a folder", hint="give another folder to -o")
        jobs = Plan(listing, root, renamings(listing, video_suffix), preview, False)
    _refuse_overwriting(jobs, compare)
    return jobs


def _previewed(output: Path) -> Path:
    return named(output, f"{output.stem}.preview{output.suffix}")


def names_file(output: Path) -> bool:
    """Whether an output is one result's file and no folder."""
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


def _refuse_overwriting(jobs: Plan, compare: bool) -> None:
    """No result and no comparison may stand where any input stands, however it is spelt or linked, and no comparison
    where a result does."""
    guard = Overwriting(jobs.found)
    if guard.applies_to(jobs.root):
        for number, output in enumerate(jobs.outputs()):
            places = [("result", output), *([("comparison", str(jobs[number].comparison))] if compare else [])]
            for what, place in places:
                if guard.is_input(place):
                    raise UsageError(
                        f"the {what} of {jobs[number].input} would replace the source {Path(place)}",
                        hint="give another place to -o",
                    )
    for job in jobs if compare else ():
        if jobs.is_planned(job.comparison):
            other = next(one.input for one in jobs if key(one.output) == key(job.comparison))
            raise UsageError(
                f"the comparison of {job.input} would replace the result of {other}, {job.comparison}",
                hint="colorize one of them in a call of its own, with another folder for -o",
            )
