"""``--bag``: the output folder as an archive's bag, by BagIt 1.0 (RFC 8493).

::

    OUT/bagit.txt, bag-info.txt, manifest-sha256.txt, tagmanifest-sha256.txt
    OUT/data/            the results, in the tree of the inputs
    OUT/.colorpipe.jsonl the journal, which is no part of what is kept

The manifest is written when a run ends, over everything that lies in ``data`` then: what earlier runs and other shards
made counts as well. A bag that is added to does not validate until the run that adds has ended.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from colorpipe import files
from colorpipe._version import __version__
from colorpipe.batch.journal_index import Index
from colorpipe.batch.output_lock import OutputLock
from colorpipe.errors import OutputError, UsageError
from colorpipe.media.passed import JOURNAL

log = logging.getLogger(__name__)
PAYLOAD = "data"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_WAIT = 0.1
"""Seconds between looks at whether another shard has written its manifest."""


def check_bag(folder: Path) -> None:
    """Refuse a folder that holds something else, before anything is begun.

    Raises:
        UsageError: it has files and is no bag of this version.
    """
    declaration = folder / "bagit.txt"
    if declaration.exists():
        if not declaration.read_bytes().startswith(b"BagIt-Version: 1.0"):
            raise UsageError(f"{declaration} is of another version of BagIt", hint="give another folder to -o")
        return
    allowed = {PAYLOAD, JOURNAL}
    others = sorted(name for name in (os.listdir(folder) if folder.is_dir() else ()) if name not in allowed)
    if others:
        raise UsageError(
            f"{folder} has other files ({others[0]}), which are no part of a bag", hint="give a new folder to -o"
        )


def close_bag(folder: Path) -> None:
    """Write the manifests of a bag over all that its payload folder holds. Shards that end together do it in turn.

    SHA-256 of what the journal records unchanged is taken from there; everything else is read.

    Raises:
        OutputError: a file cannot be written, or a name cannot be in a bag.
    """
    while (lock := OutputLock.take(folder / MANIFEST)) is None:
        time.sleep(_WAIT)
    try:
        unfinished = _unfinished(folder / PAYLOAD)
        if unfinished is not None:
            log.warning("the bag %s is not closed: %s is unfinished; the same command goes on", folder, unfinished)
            return
        count = size = 0
        index = Index(folder / JOURNAL)
        digests = hashlib.sha256()
        with files.written_whole(folder / MANIFEST) as part, part.open("wb") as manifest:
            for path in _payload(folder / PAYLOAD):
                name = path.relative_to(folder).as_posix()
                line = f"{_digest(path, name, index)}  {_encoded(name, path)}\n".encode()
                manifest.write(line)
                digests.update(line)
                count, size = count + 1, size + path.stat().st_size
        info = (
            f"Bag-Software-Agent: colorpipe {__version__}\n"
            f"Bagging-Date: {datetime.datetime.now(datetime.timezone.utc).date().isoformat()}\n"
            f"Payload-Oxum: {size}.{count}\n"
        ).encode()
        tags = {"bagit.txt": _DECLARATION, "bag-info.txt": info}
        for name, data in tags.items():
            files.write_whole(folder / name, data)
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in tags.items()]
        lines.append(f"{digests.hexdigest()}  {MANIFEST}\n")
        files.write_whole(folder / TAG_MANIFEST, "".join(lines).encode())
    except OSError as error:
        raise files.unwritable(folder / MANIFEST, error) from None
    finally:
        lock.release()


def _payload(folder: Path) -> Iterator[Path]:
    """The files, sorted, without the hidden ones of runs that are at work."""
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(path, name) for name in sorted(names) if not name.startswith("."))


def _unfinished(folder: Path) -> Path | None:
    """A film of which whole segments are there, but not all."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if name.startswith(".") and name.endswith(".colorpipe"):
                return Path(path, name[1:].removesuffix(".colorpipe"))
    return None


def _digest(path: Path, name: str, index: Index) -> str:
    entry, status = index.get(name.replace("/", os.sep)), path.stat()
    if entry and (entry.get("size"), entry.get("mtime_ns")) == (status.st_size, status.st_mtime_ns):
        known = entry.get("sha256")
        if isinstance(known, str):
            return known
    return files.sha256(path)


def _encoded(name: str, path: Path) -> str:
    """Line breaks and percent signs, and only those, as RFC 8493, 2.1.3, wants them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OutputError(f"{path}: a bag's names are Unicode, and this one is not", hint="rename it") from None
    return name.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
