"""Reports of a command, written to standard output, a file, or a device or pipe."""

from __future__ import annotations

import sys
from pathlib import Path

from colorpipe import files
from colorpipe.errors import OutputError


def check(flag: str, place: str | Path | None) -> None:
    """Check that a report can be written to its place, before hours are spent on it."""
    if place is None or place == "-" or _is_special(Path(place)):
        return
    try:
        if Path(place).is_dir():
            raise OutputError("it is a folder")
        files.remove(files.write_part(Path(place), b""))
    except OutputError as error:
        raise OutputError(f"{flag}: {error.message}", hint="give another place") from None


def write(flag: str, place: str | Path, text: str) -> None:
    """Whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    if place == "-":
        sys.stdout.write(text)
        return
    path, data = Path(place), text.encode("utf-8", "replace")
    try:
        if _is_special(path):
            path.write_bytes(data)
        else:
            path = path.resolve()  # follows a link to its target
            files.place(files.write_part(path, data), path)
    except OSError as error:
        raise OutputError(f"{flag} {place}: {error.strerror}") from None
    except OutputError as error:
        raise OutputError(f"{flag}: {error.message}", hint="give another place") from None


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe: output goes into it and does not replace it."""
    return path.exists() and not path.is_file() and not path.is_dir()
