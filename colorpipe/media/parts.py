"""Parts of a film that several processes make, each in whole segments, to be joined as if one had made them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorpipe.files import working_folder


@dataclass(frozen=True)
class FilmPart:
    """A run of whole segments. Frames are counted from 0."""

    film: Path
    """The place of the whole film's result."""
    begin: int
    """First frame of the shot that ``start`` is in: its colour has to be followed from there."""
    start: int
    """First frame of the part: where a segment of the whole film begins."""
    stop: int | None
    """First frame of the next part; None goes to the film's end."""
    source: Mapping[str, Any]
    """The identity of the source when the parts were planned."""

    @property
    def output(self) -> Path:
        """The name under which the part is made, in the film's working folder."""
        return working_folder(self.film) / f"part-{self.start:08}{self.film.suffix}"

    @property
    def record(self) -> Path:
        """Is there once the part is whole."""
        return working_folder(self.film) / f"part-{self.start:08}.json"

    @property
    def key(self) -> list[int | None]:
        """Tells parts that were planned otherwise apart."""
        return [self.begin, self.start, self.stop]
