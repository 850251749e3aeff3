"""What a search found, held so that a million inputs fit: one string for each, and objects made when they are asked."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload


@dataclass(frozen=True)
class Found:
    """One input, and its place in the tree that results mirror."""

    path: Path
    relative: Path
    """The path inside the folder (or the fixed part of the pattern) that was named; a named file's name."""
    error: str | None = None
    """Reason why a folder cannot be looked into: no permission. The rest goes on."""


class Listing(Sequence[Found]):
    """Inputs in their order: for each the string of its relative path, and which root that is relative to.

    A million inputs take 150 MB. Iterating makes one ``Found`` at a time.
    """

    def __init__(self) -> None:
        self.roots: list[Path] = []
        self.names: list[str] = []
        """Relative paths."""
        self.errors: dict[int, str] = {}
        """By place in the list."""
        self._root_of = array("I")

    @classmethod
    def of(cls, found: Iterable[Found]) -> Listing:
        """Inputs that were found elsewhere."""
        listing = cls()
        for item in found:
            root = item.path.parents[len(item.relative.parts) - 1] if item.relative.parts else item.path
            listing.extend(root, [(str(item.relative), item.error)])
        return listing

    def extend(self, root: Path, found: Iterable[tuple[str, str | None]], known: set[str] | None = None) -> None:
        """Inputs below one root, sorted by the parts of their paths.

        Args:
            found: Relative paths and their errors.
            known: Absolute paths; those in it are left out, the others are added to it.
        """
        errors: dict[str, str] = {}
        first = len(self.names)
        for name, error in found:
            if known is not None:
                full = os.path.abspath(os.path.join(root, name))
                if full in known:
                    continue
                known.add(full)
            if error is not None:
                errors[name] = error
            self.names.append(name)
        if len(self.names) > first + 1:
            self.names[first:] = sorted(self.names[first:], key=_parts)
        if errors:
            places = ((place, self.names[place]) for place in range(first, len(self.names)))
            self.errors |= {place: errors[name] for place, name in places if name in errors}
        self._root_of.extend([len(self.roots)] * (len(self.names) - first))
        self.roots.append(root)

    def path(self, place: int) -> str:
        """The path of an input."""
        return os.path.join(self.roots[self._root_of[place]], self.names[place])

    def relative(self, place: int) -> str:
        """Its path below its root, with ``/`` between the parts on any system."""
        return self.names[place].replace(os.sep, "/")

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Found: ...
    @overload
    def __getitem__(self, place: slice) -> list[Found]: ...
    def __getitem__(self, place: int | slice) -> Found | list[Found]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        relative = Path(self.names[place])
        return Found(self.roots[self._root_of[place]] / relative, relative, self.errors.get(place))

    def __iter__(self) -> Iterator[Found]:
        return (self[place] for place in range(len(self)))


def _parts(name: str) -> str:
    """Sorts like the parts of a path: no name has a zero byte."""
    return name.replace(os.sep, "\0")


class Overwriting:
    """Whether a path leads to one of the inputs, however it is spelt or linked.

    Only what is there can be an input: of a million new results no one has to be compared with a million inputs.
    """

    def __init__(self, found: Listing) -> None:
        self._known: set[int] = set()
        self._lost: set[str] = set()
        """Real paths of inputs that cannot be looked at: links that lead nowhere, or in a circle."""
        for place in range(len(found)):
            path = found.path(place)
            try:
                self._known.add(_identity(path))
            except OSError:
                self._lost.add(os.path.realpath(path))

    def applies_to(self, root: Path) -> bool:
        """Whether a path there, or below, can be an input at all."""
        return bool(self._lost) or os.path.lexists(root)

    def is_input(self, place: str) -> bool:
        try:
            if _identity(place) in self._known:
                return True
        except OSError:
            pass
        return bool(self._lost) and os.path.realpath(place) in self._lost


def _identity(path: str | Path) -> int:
    """Device and inode, as one number: a tuple takes three times as much."""
    status = os.stat(path)
    return status.st_dev << 64 | status.st_ino
