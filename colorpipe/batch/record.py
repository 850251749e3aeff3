"""``--sidecar``: a JSON file beside each result, with what it was made of, by what, and how it should be labelled."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorpipe import files
from colorpipe._version import __version__
from colorpipe.batch.context import RunContext
from colorpipe.errors import OutputError
from colorpipe.media.provenance import SOURCE_TYPE
from colorpipe.media.result_names import named

if TYPE_CHECKING:
    from colorpipe.batch.state import JobState

FORMAT = "colorpipe sidecar 1"
"""Tells the file from another program's; the number rises when the meaning of a key changes."""


def place_of(result: Path) -> Path:
    """``photo.jpg.colorpipe.json`` beside ``photo.jpg``."""
    return named(result, f"{result.name}.colorpipe.json")


def write_record(context: RunContext, state: JobState, result_sha256: str) -> None:
    """Write the sidecar of a result that is in its place and not yet in the journal.

    Raises:
        OutputError: it cannot be written, or another program's file has its name.
    """
    assert state.source is not None
    _write(context, state, state.source, result_sha256)


def complete_record(context: RunContext, state: JobState) -> None:
    """Write the sidecar of a result that an earlier run made without one; nothing where the result was changed since.

    Raises:
        OutputError: as ``write_record``.
    """
    entry = context.journal(state.job).entry(state.job.output)
    if entry is None or entry.get("recipe") != context.journal(state.job).recipe or "sha256" not in entry:
        return
    status = state.job.output.stat()
    if (status.st_size, status.st_mtime_ns) != (entry["size"], entry.get("mtime_ns")):
        return
    known = _read(place_of(state.job.output))
    if known is None or known.get("result", {}).get("sha256") != entry["sha256"]:
        _write(context, state, entry["source"], entry["sha256"])


def _write(context: RunContext, state: JobState, source: Mapping[str, Any], result_sha256: str) -> None:
    job, session = state.job, context.session
    path = place_of(job.output)
    if path.exists() and _read(path) is None and not context.request.overwrite:
        raise OutputError(f"{path} exists and is no sidecar of colorpipe", hint="move it away, or give --overwrite")
    guides = state.sidecars.identity
    # As it was asked for, which is what the digest is of; the device tells where it was made.
    asked = dataclasses.replace(session.recipe, precision=context.request.recipe.precision, guides=guides)
    told = {
        "format": FORMAT,
        "software": f"colorpipe {__version__}",
        "source": {
            "path": job.relative or job.input.name,
            "size": source["size"],
            "sha256": source.get("sha256") or files.sha256(job.input),
            **({"guides": dict(guides)} if guides else {}),
        },
        "result": {"path": job.output.name, "size": job.output.stat().st_size, "sha256": result_sha256},
        "recipe": json.loads(asked.to_json()),
        "recipe_digest": asked.digest(),
        "weights": {"name": session.recipe.weights, "sha256": session.recipe.weights_sha256},
        "label": {"DigitalSourceType": SOURCE_TYPE},
        **({"preview_seconds": job.preview} if job.preview is not None else {}),
    }
    data = (json.dumps(told, indent=2, sort_keys=True, default=str) + "\n").encode()
    files.place(files.write_part(path, data), path)


def _read(path: Path) -> dict[str, Any] | None:
    """A sidecar of colorpipe; None where there is none."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None
