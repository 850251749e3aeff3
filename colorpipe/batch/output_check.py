"""Checks that results can be written at all, made before a network is loaded."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from pathlib import Path

from colorpipe.batch.output_lock import MOST_TRIES
from colorpipe.files import unwritable
from colorpipe.media.inputs import Job, Plan, is_video

_PROBE = ".colorpipe-probe"
_LEAST_TOLD = 100_000
"""Bytes: less is not worth telling."""


def check_reachable(output: Path | None) -> None:
    """Look at the place that was named, before anything else asks for it.

    Raises:
        OutputError: it cannot be looked at: a folder above it may not be entered, a link leads in a circle.
    """
    if output is None:
        return
    try:
        os.stat(output)
    except FileNotFoundError:
        pass  # it will be made
    except OSError as error:
        raise unwritable(output, error) from None


def check_writable(output: Path, jobs: Plan, *, overwrite: bool) -> None:
    """Make the folder of the results and a file in it, look at the space there, and leave all as it was.

    Nothing is looked at where each result is there already: an archive may be read-only by now.

    Args:
        output: As ``RunRequest.results``.

    Raises:
        OutputError: it cannot be made or written to, or has no room for the first result.
    """
    missing = (number for number, place in enumerate(jobs.outputs()) if overwrite or not os.path.lexists(place))
    first = next((jobs[number] for number in missing if not jobs[number].error), None)
    if first is None:
        return
    folder = output if output in first.output.parents else first.output.parent
    made: list[Path] = []
    try:
        _try(folder, made)
        needed = _least_size(first)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise unwritable(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), max(needed - free, _LEAST_TOLD))
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        for parent in reversed(made):
            _leave(parent)


def _try(folder: Path, made: list[Path]) -> None:
    """Make the folder and a file in it. Another run, a shard of the same job, may make and remove it meanwhile.

    Args:
        made: Takes the folders that were made.
    """
    for tries in itertools.count(1):
        try:
            for parent in reversed([folder, *folder.parents]):
                if not parent.is_dir():
                    parent.mkdir()
                    made.append(parent)
            _write_to(folder)
        except (FileExistsError, FileNotFoundError):
            if tries == MOST_TRIES:
                raise
        else:
            return


def _write_to(folder: Path) -> None:
    """One byte, since a full disk still takes an empty file."""
    probe = folder / f"{_PROBE}.{os.getpid()}"
    try:
        probe.write_bytes(b"1")
    finally:
        probe.unlink(missing_ok=True)


def _leave(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another run has put something there meanwhile
        folder.rmdir()


def _least_size(job: Job) -> int:
    """Bytes below which a first result is hopeless. A film's is made in pieces and may be smaller than its source."""
    if is_video(job.input):
        return 1 << 16
    try:
        return os.stat(job.input).st_size
    except OSError:  # reading it will say so
        return 0
