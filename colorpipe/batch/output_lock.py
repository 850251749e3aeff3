"""One run at a time makes one result: an advisory lock beside it.

The operating system holds the lock and lets go of it when the process ends, however it ends; there is nothing stale to
judge. The file that carries it is hidden, holds the number of the process and is removed with the lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from colorpipe.files import BINARY, hidden, sweep

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system that knows no locks: it is as it was without them
        return True


MOST_TRIES = 100
"""Times that a folder is made, which others may remove at once; where it cannot be made at all, in /proc for one, the
system says the same."""


class OutputLock:
    """The right to make one result, held against other processes and other threads of this one. See ``take``."""

    def __init__(self, lock: Path, file: int | None, made: list[Path]) -> None:
        self._lock, self._file, self._made = lock, file, made

    @classmethod
    def take(cls, result: Path) -> OutputLock | None:
        """The lock on ``result``, or None while somebody else has it.

        Folders are made where they are missing; ``release`` removes them again if they stayed empty. Where no lock can
        be made (a folder that cannot be written to) it is given: writing the result will say why not. What
        killed runs left of this result is removed.
        """
        lock = hidden(result, "lock")
        made: list[Path] = []
        tries = 0
        while True:
            try:
                made += _make_folders(result.parent)
                left = os.path.lexists(lock)  # by a killed run: who ends otherwise removes it
                file = os.open(lock, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
            except FileNotFoundError:
                tries += 1
                if tries < MOST_TRIES and not result.parent.exists() and not made:
                    continue  # another lock's release removed the folder that was there a moment ago
                return cls(lock, None, made)
            except OSError:
                return cls(lock, None, made)
            if not _lock(file):
                os.close(file)
                return None
            if _is_still(file, lock):
                break
            os.close(file)  # who had it removed the file after we had opened it
        with contextlib.suppress(OSError):  # a full disk: the number is for people only
            os.truncate(file, 0)
            os.write(file, str(os.getpid()).encode())
        with contextlib.suppress(OSError):
            sweep(result, everything=True, surely=left)
        return cls(lock, file, made)

    def release(self) -> None:
        if self._file is not None:
            if sys.platform == "win32":  # where an open file cannot be removed
                os.close(self._file)
            with contextlib.suppress(OSError):
                self._lock.unlink()
            if sys.platform != "win32":
                os.close(self._file)
            self._file = None
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()
        self._made = []


def holder(result: Path) -> str:
    """The run that is writing ``result`` now, described for a person."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        number = hidden(result, "lock").read_text()
        if re.fullmatch(r"\d+", number):
            return f"another run (process {number})"
    return "another run"


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder; return the folders that were missing, outermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
    return missing[::-1]


def _is_still(file: int, lock: Path) -> bool:
    try:
        named = os.stat(lock)
    except OSError:
        return False
    return os.path.samestat(os.fstat(file), named)
