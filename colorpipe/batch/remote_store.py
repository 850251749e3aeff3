"""Object stores and other file systems behind URLs, through fsspec: read whole, written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from colorpipe.batch.request import RunRequest
from colorpipe.errors import InputError, OutputError, UsageError, oneline

_URL = re.compile(r"([a-z][a-z0-9+-]+):/{1,2}(.*)", re.DOTALL)
"""A path has only one slash left after its scheme. A single letter is a drive of Windows."""
_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "memory"})
"""Stores that show an object once all of it is there. Elsewhere it is written under another name first."""


class RemotePath(type(Path())):  # type: ignore[misc]
    """A URL where a path is wanted: told with both slashes."""

    def __str__(self) -> str:
        return _URL.sub(r"\1://\2", super().__str__(), count=1)


def url_of(named: str | Path | None) -> str | None:
    """The URL that was named; None for what is on this machine."""
    match = _URL.fullmatch(str(named or ""))
    if match is None or match[1] == "file" or os.path.lexists(str(named)):
        return None
    return f"{match[1]}://{match[2]}".rstrip("/")


def is_remote(request: RunRequest) -> bool:
    """Whether an input or the results of a run are behind a URL."""
    return any(url_of(named) for named in (*request.inputs, request.output))


class Store:
    """A folder behind a URL, or on this machine.

    Raises:
        UsageError: fsspec, or its part for this kind of store, is not installed, or the URL cannot be used.
    """

    def __init__(self, place: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise UsageError(
                f"{place}: fsspec is not installed", hint="pip install 'colorpipe[remote]', and s3fs or gcsfs"
            ) from None
        self.place = place
        try:
            self._files, self.root = fsspec.url_to_fs(place)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{place}: {oneline(error)}", hint="pip install it, beside colorpipe[remote]") from None
        self._files.invalidate_cache()  # a listing of an earlier run in this process
        protocol = self._files.protocol
        kinds = {protocol} if isinstance(protocol, str) else set(protocol)
        self._whole = bool(kinds & _OBJECTS)
        self.root = self.root.rstrip("/")

    def told(self, name: str) -> str:
        """A name in it, for a person."""
        return f"{self.place}/{name}" if name else self.place

    def kind(self) -> str | None:
        """``file`` or ``directory``, None where nothing is."""
        try:
            return str(self._files.info(self.root)["type"])
        except FileNotFoundError:
            return "directory" if self._files.exists(self.root) else None
        except Exception as error:  # each store has errors of its own: no permission, no network, no such bucket
            raise UsageError(f"{self.place}: cannot be looked at: {oneline(error)}") from None

    def list(self, below: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """All files below, with what the store knows of them.

        Raises:
            UsageError: it cannot be listed.
        """
        top = self._path(below)
        try:
            found = self._files.find(top, detail=True)
        except FileNotFoundError:
            return
        except Exception as error:  # as above
            raise UsageError(f"{self.told(below)}: cannot be listed: {oneline(error)}") from None
        for path, known in found.items():
            yield path[len(self.root) :].lstrip("/"), known

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file here.

        Raises:
            InputError: it cannot be read.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name[:100]}.fetched")
        try:
            self._files.get_file(self._path(name), str(part))
            os.replace(part, target)
        except Exception as error:  # as above
            raise InputError(f"{self.told(name)}: cannot be fetched: {oneline(error)}") from None

    def send(self, source: Path, name: str) -> None:
        """Put a file there, in one step that a kill cannot split.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._path(name)
        part = path if self._whole else f"{path.rpartition('/')[0]}/.{secrets.token_hex(8)}.part"
        try:
            if not self._whole:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), part)
            if not self._whole:
                self._files.mv(part, path)
        except Exception as error:  # as above
            raise OutputError(
                f"cannot write {self.told(name)}: {oneline(error)}", hint="are its address and your rights right?"
            ) from None

    def write(self, name: str, data: bytes) -> None:
        """As ``send``, of bytes."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="colorpipe-") as folder:
            file = Path(folder, "data")
            file.write_bytes(data)
            self.send(file, name)

    def read(self, names: Iterable[str]) -> Iterator[bytes]:
        """The content of files.

        Raises:
            OutputError: one cannot be read.
        """
        for name in names:
            try:
                yield self._files.cat_file(self._path(name))
            except Exception as error:  # as above
                raise OutputError(f"{self.told(name)}: cannot be read: {oneline(error)}") from None

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root or "/"


def version_of(known: dict[str, Any]) -> str:
    """What a store says of a file's content, without reading it: it changes when the file does."""
    for key in ("ETag", "etag", "md5Hash", "crc32c", "checksum", "LastModified", "mtime", "created"):
        if known.get(key) is not None:
            return str(known[key])
    return ""
