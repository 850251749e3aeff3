"""Files of weights: read without running their code, loaded only with exactly matching keys, written completely."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe.errors import WeightsError, oneline
from colorpipe.files import written_whole

if TYPE_CHECKING:
    import torch

_WRAPPERS = ("state_dict", "params", "model")
"""Keys under which training scripts nest a state dict: Lightning, BasicSR and many others."""


_REFUSALS = ("lobal", "GLOBAL", "Can only", "call reduce", "must be imported")
"""Words of torch's restricted unpickler about a sound file that holds more than tensors; other errors are damage."""


_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""


_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Names of files of weights, among others in a folder."""


_SHOWN = 3
"""Keys that an error names before it only counts the rest."""


def read_tensors(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A state dict from a file, on the CPU, without running anything that the file says.

    Args:
        file: safetensors, or what ``torch.save`` wrote; told by its first bytes, not by its name. A state dict nested
            under ``state_dict``, ``params`` or ``model`` is taken out. Of a folder all such files are read, as one.

    Returns:
        Name -> tensor; and the file's own metadata, with ``left_out`` naming what lay beside a nested state dict.

    Raises:
        WeightsError: the file is damaged, holds code, or holds something else than named tensors.
    """
    if file.is_dir():
        return _read_folder(file)
    try:
        with file.open("rb") as reader:
            start = reader.read(9)
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {oneline(error)}") from error
    # Eight bytes of length, then a JSON header. Looked for first: a length may begin as a pickle does, but no pickle
    # would make a length that safetensors allows.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER:
        return _read_safetensors(file)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":  # a zip archive, or a bare pickle as before torch 1.6
        return _state_dict(_unpickle(file), file)
    raise WeightsError(f"{file} is neither a safetensors nor a torch file", hint="give a .safetensors or .pth file")


def _read_folder(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """``read_tensors`` of weights in several files, in the order of their names."""
    tensors: dict[str, torch.Tensor] = {}
    told: dict[str, str] = {}
    for file in sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES):
        more, about = read_tensors(file)
        twice = sorted(tensors.keys() & more.keys())
        if twice:
            raise WeightsError(f"{file}: {twice[0]} is in another file of {folder} too")
        tensors |= more
        told |= about
    if not tensors:
        raise WeightsError(f"{folder} holds no weights", hint=f"files of weights are {', '.join(_SUFFIXES)}")
    return tensors, told


def _read_safetensors(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt", device="cpu") as archive:
            # cloned: the file is mapped, and may be replaced while the network is in use
            tensors = {name: archive.get_tensor(name).clone() for name in archive.keys()}  # noqa: SIM118
            return tensors, dict(archive.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file} is damaged: {oneline(error)}", hint="copy or download it again") from error


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
        detail = "not a sound pickle" if isinstance(error, pickle.UnpicklingError) else oneline(error)
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
    """Put ``tensors`` into ``module``, in its dtypes, as ``take_strictly`` checks them.

    The tensors take the place of the module's own and are not copied unless their dtype changes.

    Args:
        what: Subject of the error: ``"old.pth as eccv16"``.

    Raises:
        WeightsError: as ``take_strictly``. The module is unchanged.
    """
    module.load_state_dict(take_strictly(module.state_dict(), tensors, what), strict=True, assign=True)


def published_keys(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The checkpoint that ``take_strictly`` expects for these keys: float32, and int64 for counters of batches."""
    import torch

    counter = "num_batches_tracked"
    return {
        key: torch.empty(shape, dtype=torch.int64 if key.endswith(counter) else torch.float32, device="meta")
        for key, shape in shapes.items()
    }


def take_strictly(
    expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], what: str
) -> dict[str, torch.Tensor]:
    """``tensors`` in the dtypes of ``expected``: every key, no other, each of its shape, all finite.

    ``num_batches_tracked``, which inference does not use, may be absent and is then 0.

    Args:
        expected: A network's ``state_dict``, or ``published_keys``; only shapes and dtypes are looked at.
        what: Subject of the error: ``"old.pth as eccv16"``.

    Raises:
        WeightsError: with the first few names of each kind of difference and their number.
    """
    import numpy as np
    import torch

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
    return state


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


def read_grey_temperature(metadata: Mapping[str, str], file: Path) -> float | None:
    """The temperature for places that are probably grey, for a ``ChromaDistribution``; None where none is stated.

    Raises:
        WeightsError: what is stated is no temperature.
    """
    if "natural_grey_T" not in metadata:
        return None
    return _stated(metadata, file, "natural_grey_T", 1.0, lambda value: 0 < value <= 2, "temperature in 0..2")


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


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors, floats as fp16, whole or not at all. Equal input gives an equal file."""
    from safetensors.torch import save

    def stored(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach().cpu()
        return (tensor.half() if tensor.is_floating_point() else tensor).contiguous()

    content = save({name: stored(tensor) for name, tensor in tensors.items()}, dict(metadata))
    # Eight bytes of length, a JSON header, the tensors. safetensors leaves the order of the metadata to chance.
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    with written_whole(path) as part, part.open("wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        handle.write(memoryview(content)[start:])


def as_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """safetensors holds only texts: other values become JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
