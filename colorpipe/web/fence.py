"""What a page may read and write: what was named on the command line, and what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from colorpipe.errors import InputError, OutputError
from colorpipe.files import given_path
from colorpipe.media.inputs import DEFAULT_OUTPUT, VIDEO_SUFFIXES, WRITABLE_STILLS

_MAGIC = frozenset("*?[")


class Fence:
    """The folders and files that were named. Links are followed before anything is allowed.

    Args:
        named: Inputs as on the command line: files, folders, glob patterns.
        output: A folder, or one file's name; None is ``colorized/``.
    """

    def __init__(self, named: Sequence[str | Path], output: Path | None) -> None:
        self._folders: list[str] = []
        self._files: set[str] = set()
        for one in named:
            path = given_path(one)
            if os.path.isdir(path):
                self._folders.append(os.path.realpath(path))
            elif os.path.lexists(path):
                self._files.add(os.path.realpath(path))
            else:
                fixed = next((i for i, part in enumerate(path.parts) if _MAGIC.intersection(part)), len(path.parts))
                self._folders.append(os.path.realpath(Path(*path.parts[:fixed])))
        root = DEFAULT_OUTPUT if output is None else output
        is_file = root.suffix.lower() in WRITABLE_STILLS | VIDEO_SUFFIXES and not root.is_dir()
        self._output = os.path.realpath(root.parent if is_file else root)

    def check_source(self, path: Path) -> None:
        """Raises InputError where a source leads out of what was named."""
        real = os.path.realpath(path)
        if real not in self._files and not any(_inside(real, folder) for folder in self._folders):
            raise InputError(f"{path.name} is a link that leads out of its album", hint="name the file itself")

    def check_beside(self, path: Path) -> None:
        """Raises InputError where a hint file leads out of its folder."""
        if os.path.realpath(path) != os.path.join(os.path.realpath(path.parent), path.name):
            raise InputError(f"{path.name} is a link that leads out of its folder", hint="put the file itself there")

    def check_result(self, path: Path) -> None:
        """Raises OutputError where a result, or what is written beside it, would be put elsewhere than into the
        folder of the results."""
        if not _inside(os.path.join(os.path.realpath(path.parent), path.name), self._output):
            raise OutputError(f"{path} leads out of the folder of the results", hint="remove the link in its way")


def _inside(real: str, folder: str) -> bool:
    return real.startswith(folder if folder.endswith(os.sep) else folder + os.sep)
