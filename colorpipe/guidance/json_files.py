"""JSON files that people and programs write by hand: read with every field checked, written whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from colorpipe import files
from colorpipe.errors import InputError

MOST_BYTES = 64_000_000
"""Size limit of a file. A person's strokes take some kilobytes."""


def read_json(path: Path) -> Any:
    """The content of one of colorpipe's JSON files.

    Raises:
        InputError: it cannot be read, or is not JSON.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB")
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error).splitlines()[0]}") from None


def write_json(path: Path, told: Any) -> None:
    """Write a JSON file in UTF-8, completely or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files.write_whole(path, text.encode())


def check_version(version: object, known: int, path: Path) -> None:
    """Raises InputError unless the version is the known one."""
    if not is_whole(version) or version != known:
        raise InputError(
            f"{path}: version {short(version)} is not known",
            hint=f"this colorpipe reads version {known}; a newer one may read it",
        )


def check_ab(lab: object, where: str) -> tuple[float, float]:
    """a and b of ``[null, a, b]``.

    Raises:
        InputError: it is something else.
    """
    if isinstance(lab, list) and len(lab) == 3 and lab[0] is None:
        a, b = lab[1:]
        if is_number(a, -128, 127) and is_number(b, -128, 127):
            return float(a), float(b)
    raise InputError(f"{where}: lab is [null, a, b] with a and b in -128..127, not {short(lab)}")


def an_object(raw: object, where: str, required: Sequence[str], optional: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise InputError(f"{where}: an object is needed, not {short(raw)}")
    for name in required:
        if name not in raw:
            raise InputError(f"{where}: {name} is missing")
    for name in raw:
        if name not in (*required, *optional):
            raise InputError(
                f"{where}: {short(name)} is not known", hint=f"there are {', '.join((*required, *optional))}"
            )
    return raw


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object, least: float, most: float) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and least <= value <= most  # type: ignore[arg-type,operator]


def is_list(value: object, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
