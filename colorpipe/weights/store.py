"""The store: where registered weights lie on disk, and how they come there.

Nothing is downloaded unless asked for. A registered file is used only if its SHA-256 is the registered one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from colorpipe import files
from colorpipe.errors import UsageError, WeightsError, oneline
from colorpipe.weights.download import Progress, fetch, part_of
from colorpipe.weights.registry import Model, Part, together

Status = Literal["bundled", "cached", "absent"]


@dataclass(frozen=True)
class Weights:
    """A file, or a folder of several, that may be used, and what to write in the recipe about it."""

    path: Path
    name: str
    """Registry name or file, as it was asked for."""
    sha256: str


class WeightsReader(Protocol):
    """A class that loads weights, as a colorizer and an evaluator are."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def default_weights(self) -> str | None: ...
    def uses_weights(self) -> bool: ...


class ModelStore:
    """The registered weights and the folder that they are kept in.

    Args:
        models: Name -> entry, as ``PluginHost.models`` has them.
        cache: Folder of downloaded and imported files. Default: ``default_cache()``.
    """

    def __init__(self, models: Mapping[str, Model], cache: Path | None = None) -> None:
        self.models = dict(models)
        self.cache = default_cache() if cache is None else cache

    def __getitem__(self, name: str) -> Model:
        if name not in self.models:
            names = ", ".join(sorted(self.models)) or "none"
            raise UsageError(f"there are no weights {name!r}", hint=f"weights: {names}")
        return self.models[name]

    def status(self, name: str) -> Status:
        """Whether the file is here; ``path`` and ``verify`` also check its content.

        Raises:
            UsageError: no such name. This holds for all methods that take one.
        """
        model = self[name]
        if model.bundled is not None:
            return "bundled"
        return "cached" if _is_here(self._file(model), model) else "absent"

    def path(self, name: str) -> Path:
        """The file, its SHA-256 checked.

        Raises:
            WeightsError: it is not here, or it is damaged.
        """
        model = self[name]
        file = self._file(model)
        if not _is_here(file, model):
            if model.bundled is not None:
                raise WeightsError(f"{file}, which comes with {model.colorizer}, is missing", hint="install it again")
            pull = f"`colorpipe models pull {name}`, or " if model.url else ""
            raise WeightsError(
                f"the weights {name} are not on this machine",
                hint=f"{pull}`colorpipe models import {name} {_what(model)}`, or --weights {_what(model)}; "
                f"in `colorpipe eval` {model.colorizer}:weights={_what(model)}",
            )
        reason = _mismatch(file, model)
        if reason:
            again = "install it again" if model.bundled else f"`colorpipe models pull {name}` fetches it again"
            raise WeightsError(reason, hint=again)
        return file

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Download into the cache, unless it is there. The file appears whole and checked, or not at all.

        A download that broke off is taken up where it ended, by the same call later.

        Raises:
            WeightsError: it cannot be downloaded, or what came has another SHA-256.
        """
        model = self[name]
        if self.status(name) != "absent" and not _mismatch(self._file(model), model):
            return self._file(model)
        if model.bundled is not None:
            return self.path(name)
        by_hand = f"fetch it by other means, then `colorpipe models import {name} {_what(model)}`"
        if model.parts:
            return self._pull_parts(model, progress, by_hand)
        return fetch(model, self._file(model), progress, by_hand)

    def _pull_parts(self, model: Model, progress: Progress | None, by_hand: str) -> Path:
        """Download those of several files that are not here."""
        folder, before = self._file(model), 0
        for part in model.parts:
            target, one = folder / part.name, _alone(model, part)

            def told(done: int, _total: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, model.size)

            if not target.is_file() or _mismatch(target, one):
                fetch(one, target, told, by_hand)
            before += part.size
        return folder

    def begun(self, name: str) -> int:
        """Bytes that an earlier download left, to go on from."""
        model = self[name]
        file = self._file(model)
        whole = [file / part.name for part in model.parts]
        begun = [part_of(one) for one in whole or [file]]
        return sum(one.stat().st_size for one in (*whole, *begun) if one.is_file())

    def import_file(self, name: str, file: Path) -> Path:
        """Copy ``file`` into the cache as the weights ``name``; its SHA-256 must be the registered one.

        Of weights in several files it is the folder that holds them, under the registered names.

        Raises:
            WeightsError: it cannot be read or copied, or is another file.
        """
        model = self[name]
        target = self._file(model)
        if model.bundled is not None:
            raise UsageError(f"{name} comes with {model.colorizer} and is not imported", hint="use --weights FILE")
        if model.parts and not file.is_dir():
            names = ", ".join(part.name for part in model.parts)
            raise WeightsError(f"{file} is no folder, and {name} are {len(model.parts)} files: {names}")
        for part in model.parts:
            self._import(file / part.name, target / part.name, _alone(model, part))
        if not model.parts:
            self._import(file, target, model)
        return target

    def _import(self, file: Path, target: Path, model: Model) -> None:
        """Copy one file."""
        try:
            with files.written_whole(target) as part:
                shutil.copyfile(file, part)
                digest = files.sha256(part)
                if digest != model.sha256:
                    others = [other.name for other in self.models.values() if other.sha256 == digest]
                    is_not = f"{file} is not {model.name}: its SHA-256 is {digest[:12]}.., not {model.sha256[:12]}.."
                    raise WeightsError(is_not, hint=f"it is {others[0]}" if others else "download it again")
        except OSError as error:
            raise WeightsError(f"cannot import {file}: {oneline(error)}") from error

    def verify(self) -> dict[str, str]:
        """Every file that is here, hashed anew: name -> what is wrong with it, empty when nothing is."""
        _digests.clear()
        here = (model for model in self.models.values() if self.status(model.name) != "absent")
        return {model.name: _mismatch(self._file(model), model) for model in here}

    def resolve(self, weights: str | None, reader: WeightsReader) -> Weights | None:
        """The file that ``--weights`` names.

        Args:
            weights: A registry name, else a path; None for the reader's own choice.
            reader: The class that will load them.

        Returns:
            None for a method without weights.

        Raises:
            UsageError: neither a name nor a file, a name of another colorizer's, or a method without weights.
            WeightsError: they are not here, or damaged.
        """
        asked = reader.default_weights if weights is None else weights
        if asked is None:
            return None
        if not reader.uses_weights():
            raise UsageError(f"{reader.name} works without weights", hint="leave --weights out")
        if asked in self.models:
            owner = self.models[asked].colorizer
            if owner != reader.name:
                whose = f"the weights {asked} are {owner}'s, not {reader.name}'s"
                raise UsageError(whose, hint=f"use --{reader.kind} {owner}")
            file = self.path(asked)
            return Weights(file, asked, self.models[asked].sha256)
        file = files.given_path(asked)
        if file.is_dir() and (names := self._part_names(file, reader)):
            return Weights(file, asked, together({name: sha256(file / name) for name in names}))
        if not file.is_file():
            own = sorted(model.name for model in self.models.values() if model.colorizer == reader.name)
            raise UsageError(
                f"--weights {asked}: no such file, and no such name",
                hint=f"{reader.name}'s weights: {', '.join(own) or 'none registered'}",
            )
        return Weights(file, asked, sha256(file))

    def _part_names(self, folder: Path, reader: WeightsReader) -> list[str]:
        """Names of the files of a folder that stands for weights in several files; empty for a method without such."""
        own = [model for model in self.models.values() if model.colorizer == reader.name and model.parts]
        listed = [[part.name for part in model.parts] for model in own]
        for names in listed:
            if all((folder / name).is_file() for name in names):
                return names
        if listed:
            lacking = [name for name in listed[0] if not (folder / name).is_file()]
            raise WeightsError(f"--weights {folder}: {', '.join(lacking)} of {reader.name}'s weights are not in it")
        return []

    def _file(self, model: Model) -> Path:
        return model.bundled or self.cache / model.filename


def default_cache() -> Path:
    """``weights`` in ``$COLORPIPE_CACHE``, or in the user's cache folder for colorpipe."""
    chosen = os.environ.get("COLORPIPE_CACHE")
    if chosen:
        return files.given_path(chosen) / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("colorpipe", appauthor=False) / "weights"


_digests: dict[tuple[str, int, int], str] = {}


def sha256(file: Path) -> str:
    """SHA-256 of a file's content, remembered for this process by path, size and time of change.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        stat = file.stat()
        key = (str(file.resolve()), stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            _digests[key] = files.sha256(file)
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {oneline(error)}") from error
    return _digests[key]


def _alone(model: Model, part: Part) -> Model:
    """One of several files, as an entry of its own."""
    return replace(model, name=f"{model.name}, {part.name}", url=part.url, sha256=part.sha256, size=part.size, parts=())


def _is_here(file: Path, model: Model) -> bool:
    """Whether the file, or each of several in their folder, is there; not whether it is right."""
    return all((file / part.name).is_file() for part in model.parts) if model.parts else file.is_file()


def _what(model: Model) -> str:
    return "FOLDER" if model.parts else "FILE"


def _mismatch(file: Path, model: Model) -> str:
    """Why the file is not the registered one, or the first of several; empty if it is."""
    if model.parts:
        reasons = (_mismatch(file / part.name, _alone(model, part)) for part in model.parts)
        return next(filter(None, reasons), "")
    try:
        digest = sha256(file)
    except WeightsError as error:
        return error.message
    if digest == model.sha256:
        return ""
    return f"{file} is damaged: its SHA-256 is {digest[:12]}.., {model.name}'s is {model.sha256[:12]}.."
