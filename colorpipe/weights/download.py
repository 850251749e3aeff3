"""Download of a file of weights: resumed where it broke off, and put in place only if its SHA-256 is right."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from colorpipe import files
from colorpipe.errors import WeightsError, oneline

if TYPE_CHECKING:
    from colorpipe.weights.registry import Model

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; the latter is 0 where the server does not tell."""
BLOCK = 1 << 16
"""Bytes read at a time; of the last of a connection that breaks nothing is kept."""
TRIES = 5
"""Most connections for one download, as long as each brings something."""
PATIENCE = (10, 60)
"""Seconds for a connection, and for the next bytes."""
_HERE = ("localhost", "127.0.0.1", "::1")
_PARTIAL, _BEYOND = 206, 416
"""HTTP's words for a piece of a file, and for a piece that begins behind its end (RFC 9110)."""


def part_of(target: Path) -> Path:
    """The place of a download until it is whole: a hidden file, whose name no list of weights has."""
    return target.with_name(f".{target.name}.part")


def fetch(model: Model, target: Path, progress: Progress | None, by_hand: str) -> Path:
    """``model.url`` as ``target``.

    What a broken connection left is kept as ``part_of(target)`` and gone on from; what has another SHA-256 is not.

    Raises:
        WeightsError: with ``by_hand`` as what else to do.
    """
    url = urlsplit(model.url)
    if not (url.scheme == "https" or (url.scheme == "http" and url.hostname in _HERE)):
        reason = f"{model.url} is not an https address" if model.url else "no address is registered"
        raise WeightsError(f"cannot download {model.name}: {reason}", hint=by_hand)
    part = part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            continued = file.seek(0, os.SEEK_END) > 0
            _complete(model.url, file, progress)
            if continued and files.sha256(part) != model.sha256:  # the earlier part may have been another version's
                file.truncate(0)
                _complete(model.url, file, progress)
        if files.sha256(part) != model.sha256:
            part.unlink()
            raise WeightsError(f"{model.url} does not have the SHA-256 registered for {model.name}", hint=by_hand)
        files.replace(part, target)
    except OSError as error:  # network and disk alike: requests' exceptions are OSErrors
        kept = part.stat().st_size if part.is_file() else 0
        if part.is_file() and not kept:
            part.unlink()
        again = f"the same command goes on from {kept / 1e6:.1f} MB; or " if kept else ""
        raise WeightsError(f"cannot download {model.url}: {oneline(error)}", hint=again + by_hand) from error
    return target


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The file, to append to, for one process at a time where the system can say so.

    Raises:
        OSError: another process downloads it.
    """
    with part.open("ab") as file:
        with contextlib.suppress(ImportError):  # Windows has no fcntl; there two downloads would both fail the check
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError("another process is downloading it") from None
        yield file


def _complete(url: str, file: IO[bytes], progress: Progress | None) -> None:
    """Download all bytes behind the end of ``file``.

    Raises:
        OSError: a connection brought nothing, or the last one broke.
    """
    for attempt in range(1, TRIES + 1):
        before = file.seek(0, os.SEEK_END)
        try:
            _receive(url, file, progress)
            return
        except OSError as error:
            file.flush()
            answered = getattr(getattr(error, "response", None), "status_code", 0)
            if answered or attempt == TRIES or file.seek(0, os.SEEK_END) <= before:
                raise


def _receive(url: str, file: IO[bytes], progress: Progress | None) -> None:
    """Download through one connection.

    Raises:
        OSError: it cannot be made, the server refuses, or it breaks.
    """
    import requests

    done = file.seek(0, os.SEEK_END)
    asked = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with requests.get(url, headers=asked, stream=True, timeout=PATIENCE) as answer:
        if answer.status_code == _BEYOND and done:
            return  # all of it is here, or of another file: the SHA-256 tells
        answer.raise_for_status()
        if answer.status_code != _PARTIAL:
            done = 0
            file.truncate(0)
        total = _total(answer.headers, done)
        for block in answer.iter_content(BLOCK):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
        file.flush()
        if total and done < total:
            raise OSError(f"the connection ended after {done:,} of {total:,} bytes")


def _total(headers: Any, done: int) -> int:
    """Bytes of the whole file; 0 where the server does not tell."""
    length = headers.get("Content-Length", "")
    return done + int(length) if length.isdecimal() else 0
