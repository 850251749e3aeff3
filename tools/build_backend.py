"""The build backend: setuptools, with an editable install that type checkers can read.

This repository has two roots for packages, ``.`` and ``plugins``. For such a layout setuptools installs an import hook,
which mypy, pyright and editors do not run: they find no ``colorpipe`` and no types. A ``.pth`` file that lists the two
roots works for them and for Python alike. Wheels and source distributions are setuptools' own.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[1]
ROOTS = (ROOT, ROOT / "plugins")
"""The folders that hold top-level packages, as ``[tool.setuptools.packages.find]`` has them."""
PTH = "__editable__.colorpipe.pth"


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build setuptools' editable wheel, then put ``PTH`` in the place of its import hook (PEP 660).

    Returns:
        The wheel's file name in ``wheel_directory``.
    """
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    path = Path(wheel_directory, name)
    with zipfile.ZipFile(path) as wheel:
        files = {item: wheel.read(item) for item in wheel.namelist() if ".dist-info/" in item}
    record = next(item for item in files if item.endswith(".dist-info/RECORD"))
    del files[record]
    files[PTH] = "".join(f"{root}\n" for root in ROOTS).encode()
    lines = [f"{item},sha256={_digest(data)},{len(data)}" for item, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for item, data in files.items():
            wheel.writestr(item, data)
    return name


def _digest(data: bytes) -> str:
    """SHA-256 as RECORD writes it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
