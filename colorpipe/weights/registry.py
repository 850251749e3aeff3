"""The registry's entries: the facts about a file of weights that are known before it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Part:
    """One file of weights that lie in several."""

    name: str
    """Its name in the folder that ``build`` is given."""
    sha256: str
    size: int
    """Bytes."""
    url: str = ""
    """https; empty where it cannot be downloaded."""


@dataclass(frozen=True)
class Model:
    """A registry entry: weights in one file, or in several. A plugin returns them from ``colorpipe_models``."""

    name: str
    """The name that ``--weights`` and ``colorpipe models`` take."""
    colorizer: str
    """Name of the colorizer that reads it, or of the evaluator."""
    licence: str
    """SPDX identifier of the weights, which need not be the code's."""
    summary: str
    sha256: str
    """SHA-256 of the file, 64 hexadecimal digits, lower case; of several files ``together``."""
    size: int
    """Bytes, for a person to know before downloading; not checked."""
    url: str = ""
    """https; empty where it cannot be downloaded."""
    paper: str = ""
    bundled: Path | None = None
    """The file, or the folder of several, where it comes with the plugin."""
    trained_on: str = ""
    """Data set and its size, for the model card."""

    files: tuple[Path, ...] = ()
    """Other files that come with the plugin and that it reads besides: word lists, tables. A result that was made with
    others of that content is made anew."""

    parts: tuple[Part, ...] = ()
    """The files, where there are several: ``build`` is given their folder. ``in_parts`` makes such an entry."""

    @classmethod
    def in_parts(
        cls,
        parts: Sequence[Part],
        *,
        name: str,
        colorizer: str,
        licence: str,
        summary: str,
        trained_on: str = "",
        paper: str = "",
        bundled: Path | None = None,
    ) -> Model:
        """The entry of weights in several files.

        Args:
            bundled: Their folder, where they come with the plugin.
        """
        return cls(
            name=name,
            colorizer=colorizer,
            licence=licence,
            summary=summary,
            sha256=together({part.name: part.sha256 for part in parts}),
            size=sum(part.size for part in parts),
            url=next((part.url for part in parts), ""),
            paper=paper,
            bundled=bundled,
            trained_on=trained_on,
            parts=tuple(parts),
        )

    @classmethod
    def shipped(
        cls, file: Path, *, name: str, colorizer: str, licence: str, summary: str, trained_on: str, paper: str = ""
    ) -> Model:
        """The entry of a file that comes with the plugin; its SHA-256 lies beside it, as ``sha256sum`` writes it."""
        return cls(
            name=name,
            colorizer=colorizer,
            licence=licence,
            summary=summary,
            sha256=file.with_suffix(".sha256").read_text("ascii").split()[0],
            size=file.stat().st_size,
            paper=paper,
            bundled=file,
            trained_on=trained_on,
        )

    @property
    def filename(self) -> str:
        """Its name in the cache; the hash is part of it, so that a new version never meets an old file."""
        suffix = "" if self.parts else PurePosixPath(urlsplit(self.url).path).suffix
        return f"{self.name}-{self.sha256[:8]}{suffix}"


def together(digests: Mapping[str, str]) -> str:
    """One SHA-256 for several files, by their names: of the lines that ``sha256sum`` prints of them, sorted by name."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
