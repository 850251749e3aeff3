"""Files: their SHA-256, and how they are written, whole or not at all.

A file is written beside its place under a hidden name and then renamed there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from colorpipe.errors import OutputError

_numbers = itertools.count()
_NAME_BYTES = 255
"""The longest name that file systems allow, bytes."""
BINARY = getattr(os, "O_BINARY", 0)
"""For ``os.open``: Windows writes other line ends without it."""
_HELD = (5, 32)
"""Windows' ERROR_ACCESS_DENIED, which it also gives for a file that is held, and ERROR_SHARING_VIOLATION."""
_PATIENCE = 2.0
"""Seconds that Windows is asked again to replace a file which another program holds: a viewer, or a virus scanner that
looks at what was just written."""
_LONG_NAME = 200
"""Bytes of a name that leave room for a process number and a count."""
_MANY = 1000
"""Entries of a folder that is looked through for parts of killed runs but once."""
_left: dict[str, dict[str, list[str]]] = {}
"""Folders with so many, where looking for each result would take longer than making it -> the parts that were there, by
how their names begin."""
_PART = re.compile(r"\.(\d+)\.\d+\.part$")


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to: on disk and in its place when the block ends, gone if it raises.

    The folder is made where it is missing.

    Raises:
        OSError: it cannot be written or put in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = partial_path(path)
    try:
        yield part
        sync(part)  # before the rename: a power cut must not leave a name without content
        replace(part, path)
    except BaseException:
        remove(part)
        raise
    _sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """``written_whole`` with this content."""
    with written_whole(path) as part:
        part.write_bytes(data)


def partial_path(path: Path) -> Path:
    """A hidden name beside ``path``, of this process alone, so that two runs at once do not write into one file.

    What killed runs left of the same file is removed.
    """
    with contextlib.suppress(OSError):  # no such folder yet, or one that cannot be listed: writing will say so
        sweep(path)
    return path.with_name(f"{_part_start(path)}{os.getpid()}.{next(_numbers)}.part")


def _part_start(path: Path) -> str:
    """How the names of its parts begin, different for each name: with the rest, at most the 255 bytes that file systems
    allow."""
    name = path.name
    if len(os.fsencode(name)) > _LONG_NAME:
        name = f"{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}."


def hidden(path: Path, kind: str) -> Path:
    """``.NAME.KIND`` beside ``path``: the same for each run, different for each name."""
    name = f".{path.name}.{kind}"
    if len(os.fsencode(name)) > _NAME_BYTES:
        name = f".{path.name[:40]}.{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.{kind}"
    return path.with_name(name)


def working_folder(path: Path) -> Path:
    """The folder of a result that is made in several steps, until it is whole."""
    return hidden(path, "colorpipe")


def write_part(path: Path, data: bytes) -> Path:
    """``data`` on disk, beside ``path``; the folder is made where it is missing.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    part = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remove(part)
        raise unwritable(path, error, len(data)) from None
    return part


def place(part: Path, path: Path) -> None:
    """Renames ``part`` to ``path``.

    Raises:
        OutputError: it cannot be renamed; ``part`` is removed.
    """
    try:
        replace(part, path)
    except OSError as error:
        remove(part)
        raise unwritable(path, error) from None
    _sync_folder(path.parent)


def replace(part: Path, path: Path) -> None:
    """``os.replace``, tried for a while where another program holds one of the two files for a moment (Windows).

    Raises:
        OSError: it cannot be renamed.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            os.replace(part, path)
            return
        except PermissionError as error:
            held = getattr(error, "winerror", None) in _HELD and not path.is_dir()
            if not held or time.monotonic() > end:
                raise
        time.sleep(0.05)


def sync(path: Path) -> None:
    """A file's content on disk. Windows asks for the right to write to it.

    Raises:
        OSError: it cannot be opened or stored.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Without this a power cut can forget a new name. Not every file system can."""
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove(part: Path) -> None:
    """A file, or a folder with all that is in it; no error where there is none."""
    with contextlib.suppress(OSError):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError, size: int | None = None) -> OutputError:
    """The operating system's refusal as a line with a next step."""
    needed = f"at least {size / 1e6:.1f} MB" if size else "some space"
    hints = {
        errno.ENOSPC: f"free {needed}, or choose another disk with -o",
        errno.EDQUOT: "the quota is used up: free some space, or choose another disk with -o",
        errno.EACCES: "choose a folder that you may write to with -o",
        errno.EPERM: "choose a folder that you may write to with -o",
        errno.EROFS: "the file system is read-only: choose another place with -o",
        errno.EISDIR: "a folder has that name: choose another with -o",
        errno.ENOTDIR: "a file stands where a folder is needed: choose another place with -o",
        errno.EEXIST: "a file stands where a folder is needed: choose another place with -o",
        errno.ENAMETOOLONG: "choose a shorter name with -o",
    }
    said = (error.strerror or str(error)).lower()
    if getattr(error, "winerror", None) in _HELD and path.is_file():
        return OutputError(f"cannot write {path}: {said}", hint="another program has it open: close it there")
    return OutputError(f"cannot write {path}: {said}", hint=hints.get(error.errno or 0, "choose another place with -o"))


def sweep(path: Path, *, everything: bool = False, surely: bool = False) -> None:
    """Removes parts of this very file whose process is gone.

    Args:
        everything: Whoever made them: for who knows that nobody else writes this file. The number of a killed process
            may be another's by now, and in a container it often is.
        surely: There may be some; else a folder of very many files is looked through once for all of them.
    """
    if sys.platform == "win32" and not everything:  # there, os.kill(pid, 0) is no question but a signal
        return
    folder, start = os.path.abspath(path.parent), _part_start(path)
    parts = _left.get(folder)
    if parts is None or surely:
        parts, count = {}, 0
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries, 1):  # noqa: B007 - the last is wanted
                if entry.name.endswith(".part") and (match := _PART.search(entry.name)):
                    parts.setdefault(entry.name[: match.start() + 1], []).append(entry.name)
        if count > _MANY:
            _left[folder] = parts
    for name in parts.pop(start, []):
        match = _PART.search(name)
        if everything or (match and not _alive(int(match[1]))):
            remove(path.with_name(name))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def given_path(argument: str | Path) -> Path:
    """The path for an argument: an existing name as it is; otherwise with ``~`` and ``~user`` expanded if possible."""
    path = Path(argument)
    if os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path
