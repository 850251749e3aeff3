"""Weights: a registry with licence, source and SHA-256; where they lie on disk; and how a file is read safely.

Nothing is downloaded unless asked for. A registered file is used only if its SHA-256 is the registered one. Reading
never runs code: safetensors, or ``torch.load(weights_only=True)``. Every key and shape matches, or it is an error.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from colorpipe.errors import UsageError, WeightsError
from colorpipe.interfaces import Colorizer, Evaluator
from colorpipe.media.folder import given_path

if TYPE_CHECKING:
    import torch

Status = Literal["bundled", "cached", "absent"]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; the latter is 0 where the server does not tell."""

_WRAPPERS = ("state_dict", "params", "model")
"""Keys under which training scripts nest a state dict: Lightning, BasicSR and many others."""
_REFUSALS = ("lobal", "GLOBAL", "Can only", "call reduce", "must be imported")
"""What torch's restricted unpickler says of a sound file that holds more than tensors; its other errors are damage."""
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""
_SHOWN = 3
"""Keys named in an error before the rest is counted."""


@dataclass(frozen=True)
class Model:
    """A registry entry: one file of weights. A plugin returns them from ``colorpipe_models``."""

    name: str
    """As ``--weights`` and ``colorpipe models`` take it."""
    colorizer: str
    """Name of the colorizer that reads it, or of the evaluator."""
    licence: str
    """SPDX identifier of the weights, which need not be the code's."""
    summary: str
    sha256: str
    """Of the file, 64 hexadecimal digits, lower case."""
    size: int
    """Bytes, for a person to know before downloading; not checked."""
    url: str = ""
    """https; empty where it cannot be downloaded."""
    paper: str = ""
    bundled: Path | None = None
    """The file, where it comes with the plugin."""
    trained_on: str = ""
    """Data set and its size, for the model card."""

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


@dataclass(frozen=True)
class Weights:
    """A file that may be used, and what to write in the recipe about it."""

    path: Path
    name: str
    """Registry name or file, as it was asked for."""
    sha256: str


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
        """Where the file is, by its being there; ``path`` and ``verify`` also check what is in it.

        Raises:
            UsageError: no such name. This holds for all methods that take one.
        """
        model = self[name]
        if model.bundled is not None:
            return "bundled"
        return "cached" if self._file(model).is_file() else "absent"

    def path(self, name: str) -> Path:
        """The file, its SHA-256 checked.

        Raises:
            WeightsError: it is not here, or it is damaged.
        """
        model = self[name]
        file = self._file(model)
        if not file.is_file():
            if model.bundled is not None:
                raise WeightsError(f"{file}, which comes with {model.colorizer}, is missing", hint="install it again")
            pull = f"`colorpipe models pull {name}`, or " if model.url else ""
            raise WeightsError(
                f"the weights {name} are not on this machine",
                hint=f"{pull}`colorpipe models import {name} FILE`, or --weights FILE; "
                f"in `colorpipe eval` {model.colorizer}:weights=FILE",
            )
        reason = _mismatch(file, model)
        if reason:
            again = "install it again" if model.bundled else f"`colorpipe models pull {name}` fetches it again"
            raise WeightsError(reason, hint=again)
        return file

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Download into the cache, unless it is there. The file appears whole and checked, or not at all.

        Raises:
            WeightsError: it cannot be downloaded, or what came has another SHA-256.
        """
        model = self[name]
        if self.status(name) != "absent" and not _mismatch(self._file(model), model):
            return self._file(model)
        by_hand = f"fetch it by other means, then `colorpipe models import {name} FILE`"
        if model.bundled is not None:
            return self.path(name)
        if urlsplit(model.url).scheme != "https":
            reason = f"{model.url} is not an https address" if model.url else "no address is registered"
            raise WeightsError(f"cannot download {name}: {reason}", hint=by_hand)
        import pooch

        pooch.get_logger().setLevel("WARNING")
        downloader = pooch.HTTPDownloader(progressbar=_Bar(progress) if progress else False)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            pooch.retrieve(
                model.url, f"sha256:{model.sha256}", fname=model.filename, path=self.cache, downloader=downloader
            )
        except ValueError:  # pooch's word for a hash that does not match
            raise WeightsError(f"{model.url} does not have the SHA-256 registered for {name}", hint=by_hand) from None
        except OSError as error:  # network and disk alike: requests' exceptions are OSErrors
            raise WeightsError(f"cannot download {model.url}: {_oneline(error)}", hint=by_hand) from error
        return self._file(model)

    def import_file(self, name: str, file: Path) -> Path:
        """Copy ``file`` into the cache as the weights ``name``; its SHA-256 must be the registered one.

        Raises:
            WeightsError: it cannot be read or copied, or is another file.
        """
        model = self[name]
        target = self._file(model)
        if model.bundled is not None:
            raise UsageError(f"{name} comes with {model.colorizer} and is not imported", hint="use --weights FILE")
        try:
            with _written_whole(target) as temporary:
                digest = _copy(file, temporary)
                if digest != model.sha256:
                    others = [other.name for other in self.models.values() if other.sha256 == digest]
                    is_not = f"{file} is not {name}: its SHA-256 is {digest[:12]}.., not {model.sha256[:12]}.."
                    raise WeightsError(is_not, hint=f"it is {others[0]}" if others else "download it again")
        except OSError as error:
            raise WeightsError(f"cannot import {file}: {_oneline(error)}") from error
        return target

    def verify(self) -> dict[str, str]:
        """Every file that is here, hashed anew: name -> what is wrong with it, empty when nothing is."""
        _digests.clear()
        here = (model for model in self.models.values() if self.status(model.name) != "absent")
        return {model.name: _mismatch(self._file(model), model) for model in here}

    def resolve(self, weights: str | None, reader: type[Colorizer] | type[Evaluator]) -> Weights | None:
        """What ``--weights`` stands for.

        Args:
            weights: A registry name, else a path; None for the reader's own choice.
            reader: Who will load them.

        Returns:
            None for a method without weights.

        Raises:
            UsageError: neither a name nor a file, a name of another colorizer's, or a method without weights.
            WeightsError: they are not here, or damaged.
        """
        asked = reader.default_weights if weights is None else weights
        if asked is None:
            return None
        if reader.build in (Colorizer.build, Evaluator.build):
            raise UsageError(f"{reader.name} works without weights", hint="leave --weights out")
        if asked in self.models:
            owner = self.models[asked].colorizer
            if owner != reader.name:
                whose = f"the weights {asked} are {owner}'s, not {reader.name}'s"
                raise UsageError(whose, hint=f"use --{reader.kind} {owner}")
            file = self.path(asked)
            return Weights(file, asked, self.models[asked].sha256)
        file = given_path(asked)
        if not file.is_file():
            own = sorted(model.name for model in self.models.values() if model.colorizer == reader.name)
            raise UsageError(
                f"--weights {asked}: no such file, and no such name",
                hint=f"{reader.name}'s weights: {', '.join(own) or 'none registered'}",
            )
        return Weights(file, asked, sha256(file))

    def _file(self, model: Model) -> Path:
        return model.bundled or self.cache / model.filename


def default_cache() -> Path:
    """``weights`` in ``$COLORPIPE_CACHE``, or in the user's cache folder for colorpipe."""
    chosen = os.environ.get("COLORPIPE_CACHE")
    if chosen:
        return given_path(chosen) / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("colorpipe", appauthor=False) / "weights"


# --- hashing and copying ----------------------------------------------------------------------------------------------

_digests: dict[tuple[str, int, int], str] = {}


def sha256(file: Path) -> str:
    """Of the file's content; remembered for this process by path, size and time of change.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        stat = file.stat()
        key = (str(file.resolve()), stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            _digests[key] = _copy(file, None)
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {_oneline(error)}") from error
    return _digests[key]


def _copy(source: Path, target: Path | None) -> str:
    """Read once: the SHA-256, and a copy if there is a target."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, open(target or os.devnull, "wb") as writer:
        while block := reader.read(1 << 20):
            digest.update(block)
            if target is not None:
                writer.write(block)
    return digest.hexdigest()


def _mismatch(file: Path, model: Model) -> str:
    """Why the file is not the registered one; empty if it is."""
    try:
        digest = sha256(file)
    except WeightsError as error:
        return error.message
    if digest == model.sha256:
        return ""
    return f"{file} is damaged: its SHA-256 is {digest[:12]}.., {model.name}'s is {model.sha256[:12]}.."


@contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """A temporary file beside ``target``, put in its place if all goes well, removed if not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class _Bar:
    """What pooch wants of a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.total = 0
        self.done = 0

    def update(self, step: int) -> None:
        # pooch counts whole chunks, so that the last one goes past the end
        self.done = min(self.done + step, self.total) if self.total else self.done + step
        self.progress(self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is held open."""


# --- reading ----------------------------------------------------------------------------------------------------------


def read_tensors(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A state dict from a file, on the CPU, without running anything that the file says.

    Args:
        file: safetensors, or what ``torch.save`` wrote; told by its first bytes, not by its name. A state dict nested
            under ``state_dict``, ``params`` or ``model`` is taken out.

    Returns:
        Name -> tensor; and the file's own metadata, with ``left_out`` naming what lay beside a nested state dict.

    Raises:
        WeightsError: the file is damaged, holds code, or holds something else than named tensors.
    """
    try:
        with file.open("rb") as reader:
            start = reader.read(9)
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {_oneline(error)}") from error
    # Eight bytes of length, then a JSON header. Looked for first: a length may begin as a pickle does, but no pickle
    # would make a length that safetensors allows.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER:
        return _read_safetensors(file)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":  # a zip archive, or a bare pickle as before torch 1.6
        return _state_dict(_unpickle(file), file)
    raise WeightsError(f"{file} is neither a safetensors nor a torch file", hint="give a .safetensors or .pth file")


def _read_safetensors(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt", device="cpu") as archive:
            # cloned: the file is mapped, and may be replaced while the network is in use
            tensors = {name: archive.get_tensor(name).clone() for name in archive.keys()}  # noqa: SIM118
            return tensors, dict(archive.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file} is damaged: {_oneline(error)}", hint="copy or download it again") from error


def _unpickle(file: Path) -> Any:
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the unpickler raise anything at all
        refused = isinstance(error, pickle.UnpicklingError) and any(word in str(error) for word in _REFUSALS)
        if refused or "TorchScript" in str(error):
            raise WeightsError(
                f"{file} contains code or objects, not plain tensors; nothing of it was run",
                hint="save the network's state_dict, best as safetensors",
            ) from None
        # torch's own text goes on to advise loading the file carelessly
        detail = "not a sound pickle" if isinstance(error, pickle.UnpicklingError) else _oneline(error)
        raise WeightsError(f"{file} is damaged: {detail}", hint="copy or download it again") from error


def _state_dict(content: Any, file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Unpickled content -> named tensors."""
    metadata: dict[str, str] = {}
    if isinstance(content, Mapping):
        nested = [key for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if len(nested) > 1:
            raise WeightsError(f"{file} holds several networks: {', '.join(nested)}", hint="save one of them alone")
        if nested:
            beside = sorted(str(key) for key in content if key != nested[0])
            metadata = {"left_out": ", ".join(beside)} if beside else {}
            content = content[nested[0]]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{file} holds {_a(content)}, not named tensors", hint="save a network's state_dict")
    import torch

    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"{file} holds {_a(value)} under {name!r}, not a tensor", hint="save a network's state_dict alone"
            )
    return dict(content), metadata


def load_strictly(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], what: str) -> None:
    """Put ``tensors`` into ``module``, in its dtypes: every key, no other, each of its shape, all finite.

    The tensors take the place of the module's own and are not copied unless their dtype changes.
    ``num_batches_tracked``, which inference does not use, may be absent.

    Args:
        what: Subject of the error: ``"old.pth as eccv16"``.

    Raises:
        WeightsError: with the first few names of each kind of difference and their number. The module is unchanged.
    """
    import numpy as np
    import torch

    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors and not name.endswith("num_batches_tracked")]
    extra = [name for name in tensors if name not in expected]
    shared = [name for name in expected if name in tensors]
    shapes = [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in shared
        if tensors[name].shape != expected[name].shape
    ]
    kinds = [
        f"{name} of {str(tensors[name].dtype).removeprefix('torch.')}"
        for name in shared
        if tensors[name].is_floating_point() != expected[name].is_floating_point()
        or tensors[name].layout is not torch.strided
        or tensors[name].is_meta
    ]
    faults = [
        f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', ..' if len(names) > _SHOWN else ''})"
        for kind, names in (
            ("missing", missing),
            ("unknown", extra),
            ("of another shape", shapes),
            ("of another kind", kinds),
        )
        if names
    ]
    if faults:
        raise WeightsError(f"{what}: keys differ: {'; '.join(faults)}", hint="give this network's own weights")
    state = {
        name: tensors[name].to(wanted.dtype) if name in tensors else torch.zeros(wanted.shape, dtype=wanted.dtype)
        for name, wanted in expected.items()
    }
    # in numpy, since torch would start its threads for each of a hundred small tensors
    broken = [name for name, tensor in state.items() if not np.isfinite(tensor.float().numpy()).all()]
    if broken:
        raise WeightsError(f"{what}: {len(broken)} tensors are not finite ({', '.join(broken[:_SHOWN])})")
    module.load_state_dict(state, strict=True, assign=True)


def read_temperature(metadata: Mapping[str, str], file: Path, default: float = 1.0) -> float:
    """The temperature that a training stated for its weights, for a ``ChromaDistribution``.

    Raises:
        WeightsError: what is stated is no temperature.
    """
    return _stated(metadata, file, "natural_T", default, lambda value: 0 < value <= 2, "temperature in 0..2")


def read_vibrance(metadata: Mapping[str, str], file: Path) -> float:
    """The vibrance that a training stated for its weights, for a ``ChromaDistribution``; 1 where it states none.

    Raises:
        WeightsError: what is stated is no number in 1..4.
    """
    return _stated(metadata, file, "natural_vibrance", 1.0, lambda value: 1 <= value <= 4, "number in 1..4")


def _stated(
    metadata: Mapping[str, str], file: Path, name: str, default: float, valid: Callable[[float], bool], wanted: str
) -> float:
    """A number among the metadata of ``file``."""
    text = metadata.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not valid(value):
        raise WeightsError(f"{file}: its metadata says {name} = {text}, which is no {wanted}")
    return value


def _a(value: Any) -> str:
    return "nothing" if value is None or value == {} else f"a {type(value).__name__}"


def _oneline(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}.."
