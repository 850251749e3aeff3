"""A page put together from a template, styles and scripts."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def part(name: str, folder: Path = _HERE) -> str:
    """A file of a page: of this package, or of the one whose folder is named."""
    return (folder / name).read_text("utf-8")


def text(value: object) -> str:
    """Whatever comes from outside, file names for one, as text in the page and nothing else."""
    return html.escape(str(value))


def data_text(data: Any) -> str:
    """A script's data, as JSON that cannot end the element that it stands in."""
    written = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def filled(
    template: str, parts: Mapping[str, str], styles: Sequence[str], scripts: Sequence[str], images: str = "data:"
) -> str:
    """The whole page: each ``<!--name-->`` of the template is replaced by the part of that name.

    Args:
        styles, scripts: Put together in this order, as ``style`` and ``script``.
        images: Where pictures may come from, as a content security policy has it.

    Nothing but these very styles, these very scripts and these pictures is let in: not even a slip in a part could run.
    """
    style, script = "\n".join(styles), "\n".join(scripts)
    policy = (
        f"default-src 'none'; img-src {images}; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    whole = {**parts, "policy": policy, "style": style, "script": script}
    return re.sub(r"<!--(\w+)-->", lambda match: whole[match[1]], template)


def viewer(*, one: str, few: str = "", shape: str = "", hidden: bool = False) -> str:
    """The section with the viewer, whose script is ``slider.js`` and ``viewer.js``.

    Args:
        one: What is shown: picture, clip.
        few: A paragraph above it.
        shape: A class of the row of variants.
    """
    parts = {
        "unit": text(one),
        "Unit": text(one.capitalize()),
        "few": few,
        "shape": shape,
        "hidden": " hidden" if hidden else "",
        "slider": part("slider.html"),
    }
    return re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], part("viewer.html"))


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"
