"""``run --report``: a page of before and after that grows with a run.

The viewer is that of an evaluation's report. Small copies lie beside the page and are loaded when they are looked at:
a run of ten thousand pictures opens as fast as one of ten.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from colorpipe import files, pages
from colorpipe._version import __version__
from colorpipe.errors import ColorpipeError, OutputError
from colorpipe.media.inputs import is_video
from colorpipe.review import small
from colorpipe.review.gather import VIEW_QUALITY, VIEW_SIDE, begin, file_of, picture_of
from colorpipe.review.page import PICTURES, folder_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from colorpipe.batch.request import Listener
    from colorpipe.media.inputs import Job
    from colorpipe.media.passed import Passed
    from colorpipe.types import Outcome

log = logging.getLogger(__name__)
PAUSE = 5.0
"""Seconds from one writing of the page to the next, at least; a large page is written more seldom."""
BEFORE, AFTER = "before", "after"
_HERE = Path(__file__).parent
_OURS = re.compile(r"[0-9a-f]{32}\.(before|after)\.jpg")


@dataclass(frozen=True)
class _Shown:
    """One result on the page."""

    source: str
    told: tuple[str, ...]
    key: str
    """Names its copies; empty where there are none."""


class RunReport:
    """A run's listener that passes each event on, and makes the page from a thread of its own. A context manager.

    Args:
        page: The HTML file; its copies go into ``folder_of(page)``.
        behind: The listener that is told all.

    What goes wrong with the page is told in the log: the run goes on.
    """

    def __init__(self, page: Path, behind: Listener) -> None:
        self.page, self._behind = page, behind
        self._folder = folder_of(page)
        self._shown: dict[Path, _Shown] = {}
        self._failed: dict[Path, str] = {}
        self._facts = ""
        self._waiting: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # what is not on the page yet is skipped by the next call, and shown then
            self._stopped.set()
        self._waiting.put(None)
        self._thread.join()

    # --- events -----------------------------------------------------------------------------------------------------

    def passed_over(self, passed: Passed) -> None:
        self._behind.passed_over(passed)

    def started(self, jobs: int) -> None:
        self._behind.started(jobs)

    def used(self, device: str, precision: str, weights: str) -> None:
        self._facts = f"weights {weights}, device {device}, precision {precision}"
        self._behind.used(device, precision, weights)

    def job_started(self, job: Job, frames: int | None) -> None:
        self._behind.job_started(job, frames)

    def frame_skipped(self, job: Job) -> None:
        self._behind.frame_skipped(job)

    def frame_done(self, job: Job) -> None:
        self._behind.frame_done(job)

    def film_told(self, job: Job, shots: int, share: float) -> None:
        self._behind.film_told(job, shots, share)

    def comparison_started(self, job: Job, frames: int | None) -> None:
        self._behind.comparison_started(job, frames)

    def job_done(self, job: Job, outcome: Outcome) -> None:
        self._behind.job_done(job, outcome)
        self._waiting.put(outcome)

    # --- the page ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        due, ended = time.monotonic() + PAUSE, False
        try:
            self._begin()
            while not ended:
                outcome = self._waiting.get()
                ended = outcome is None
                if outcome is not None and not self._stopped.is_set():
                    self._take(outcome)
                if ended or time.monotonic() >= due:
                    start = time.monotonic()
                    self._write()
                    due = time.monotonic() + max(PAUSE, 20 * (time.monotonic() - start))
            if not self._stopped.is_set():
                self._tidy()
        except OutputError as error:
            log.warning("--report: %s; no more is added to the page", error)

    def _begin(self) -> None:
        try:
            begin(self._folder)
        except OSError as error:
            raise files.unwritable(self._folder, error) from None

    def _take(self, outcome: Outcome) -> None:
        if outcome.status == "failed":
            self._failed[outcome.input] = outcome.error or "failed"
        elif outcome.output is not None:
            told, key = list(outcome.notes), ""
            try:
                key = self._copies(outcome.input, outcome.output)
            except OutputError:
                raise
            except (ColorpipeError, OSError) as error:
                told.append(f"cannot be shown: {error}")
            except Exception as error:
                log.error("--report: unexpected error on %s", outcome.output, exc_info=error)
                told.append(f"cannot be shown: unexpected {type(error).__name__}: {error}")
            self._shown[outcome.output] = _Shown(os.path.abspath(outcome.input), tuple(map(_text, told)), key)

    def _copies(self, source: Path, output: Path) -> str:
        """Write a result's copies, unless an earlier run did; their key."""
        stats = [[status.st_size, status.st_mtime_ns] for status in (os.stat(source), os.stat(output))]
        decisive = json.dumps([os.path.abspath(output), os.path.abspath(source), stats, VIEW_SIDE])
        key = hashlib.sha256(decisive.encode()).hexdigest()[:32]
        if all(file_of(self._folder, key, side).exists() for side in (BEFORE, AFTER)):
            return key
        if is_video(output):
            film = small.film(output, VIEW_SIDE // 2)
            before, after = small.mosaic(film.grey), small.mosaic(film.colour)
        else:
            after = small.still(output, VIEW_SIDE).rgb
            found, _ = picture_of(source)
            before = small.without_colour(after) if found is None else found
        for side, rgb in ((BEFORE, before), (AFTER, after)):
            self._put(file_of(self._folder, key, side), small.jpeg(rgb, VIEW_QUALITY))
        return key

    def _write(self) -> None:
        self._put(self.page, report(self._shown, self._failed, self._facts, self._folder).encode("utf-8", "replace"))

    @staticmethod
    def _put(path: Path, data: bytes) -> None:
        try:
            files.write_whole(path, data)
        except OSError as error:
            raise files.unwritable(path, error) from None

    def _tidy(self) -> None:
        """Remove the copies of earlier runs that are not on the page."""
        wanted = {shown.key for shown in self._shown.values()}
        for path in self._folder.glob("??/*.jpg"):
            if _OURS.fullmatch(path.name) and path.name[:32] not in wanted:
                files.remove(path)


def report(shown: Mapping[Path, _Shown], failed: Mapping[Path, str], facts: str, folder: Path) -> str:
    """The page's text."""
    count = f"{len(shown):,} result{'s' * (len(shown) != 1)}"
    parts = {
        "facts": f"<p>{pages.text(' · '.join(filter(None, [count, facts, f'colorpipe {__version__}'])))}</p>",
        "failures": _failures(failed),
        "viewer": pages.viewer(one="result", hidden=not any(one.key for one in shown.values())),
        "data": pages.data_text(_data(shown, quote(folder.name))),
    }
    return pages.filled(
        pages.part("report.html", _HERE),
        parts,
        [pages.part("base.css"), pages.part("slider.css")],
        [pages.part("slider.js"), pages.part("viewer.js"), pages.part("report.js", _HERE)],
        PICTURES,
    )


def _failures(failed: Mapping[Path, str]) -> str:
    if not failed:
        return ""
    items = "".join(f"<li>{pages.text(_text(failed[path]))}</li>" for path in sorted(failed))
    return f'<section class="failures" aria-labelledby="failed"><h2 id="failed">Failed</h2><ul>{items}</ul></section>'


def _data(shown: Mapping[Path, _Shown], folder: str) -> dict[str, Any]:
    pictures = {}
    common = _common([one.source for one in shown.values()])
    for index, output in enumerate(sorted(path for path, one in shown.items() if one.key)):
        one = shown[output]
        images = {side: f"{folder}/{one.key[:2]}/{one.key}.{side}.jpg" for side in (BEFORE, AFTER)}
        pictures[index] = {"name": _text(one.source[common:]), "images": images, "told": list(one.told)}
    return {"views": {"grey": BEFORE}, "words": {}, "methods": [AFTER], "pictures": pictures}


def _common(paths: Sequence[str]) -> int:
    """Characters of the folder that all paths lie in, with its slash."""
    try:
        common = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # none, or on several drives
        return 0
    return len(os.path.join(common, ""))


def _text(value: object) -> str:
    """Without what is no Unicode in a name."""
    return str(value).encode("utf-8", "replace").decode()
