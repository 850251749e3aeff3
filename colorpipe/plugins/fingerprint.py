"""A digest that stands for a plugin's version if it has none: of its source, and of the files that it reads."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from colorpipe.errors import PluginError, oneline

LENGTH = 16
"""Hexadecimal digits that stand in a recipe."""


def of_files(files: Iterable[Path], root: Path | None = None) -> str:
    """The first digits of one SHA-256 over names and contents.

    Args:
        root: Names are relative to it, so that a folder may be moved; None takes the file names alone.

    Raises:
        PluginError: one cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        name = file.name if root is None else file.relative_to(root).as_posix()
        try:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise PluginError(f"a plugin's file cannot be read: {file} ({oneline(error)})") from None
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()[:LENGTH]


def of_source(place: Path) -> str:
    """The digest of a file, or of a folder's Python files with all subfolders."""
    if place.is_file():
        return of_files([place])
    return of_files(sorted(place.rglob("*.py")), place)


def versioned(version: str, module: object) -> str:
    """A version with the digest of the module's source."""
    place = source_of(module) if isinstance(module, ModuleType) else None
    return version if place is None else f"{version} sha256:{of_source(place)}".strip()


def source_of(module: ModuleType) -> Path | None:
    """The file of a module, or the folder of the package that it is or stands in."""
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    file = getattr(top, "__file__", None)
    if not file:
        return None
    return Path(file).parent if getattr(top, "__path__", None) else Path(file)


@lru_cache
def is_editable(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it was installed so that its source may change under one version (PEP 660)."""
    try:
        facts = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(facts.get("dir_info", {}).get("editable"))
    except (OSError, ValueError, AttributeError):
        return False
