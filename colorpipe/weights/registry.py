"""The registry's entries: the facts about a file of weights that are known before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Model:
    """A registry entry: one file of weights. A plugin returns them from ``colorpipe_models``."""

    name: str
    """The name that ``--weights`` and ``colorpipe models`` take."""
    colorizer: str
    """Name of the colorizer that reads it, or of the evaluator."""
    licence: str
    """SPDX identifier of the weights, which need not be the code's."""
    summary: str
    sha256: str
    """SHA-256 of the file, 64 hexadecimal digits, lower case."""
    size: int
    """Bytes, for a person to know before downloading; not checked."""
    url: str = ""
    """https; empty where it cannot be downloaded."""
    paper: str = ""
    bundled: Path | None = None
    """The file, where it comes with the plugin."""
    trained_on: str = ""
    """Data set and its size, for the model card."""

    files: tuple[Path, ...] = ()
    """Other files that come with the plugin and that it reads besides: word lists, tables. A result that was made with
    others of that content is made anew."""

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
        return f"{self.name}-{self.sha256[:8]}{PurePosixPath(urlsplit(self.url).path).suffix}"
