"""All records of a folder looked at: small pictures written, measures taken, both kept for the next time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import cv2
import numpy as np

from colorpipe import files
from colorpipe.errors import ColorpipeError, OutputError, UsageError
from colorpipe.media.inputs import is_video
from colorpipe.media.passed import PAGE_MARK
from colorpipe.review import small
from colorpipe.review.measures import SIDE, Measurer
from colorpipe.review.records import Record
from colorpipe.review.small import RGB

log = logging.getLogger(__name__)
VERSION = 1
"""Changes when what is kept of a look does: all is looked at anew then."""
KEPT = "looked.jsonl"
CARD_SIDE, VIEW_SIDE = 200, 720
"""Pixels of the longer side: of each half of a small picture, of copies of what a browser does not show."""
CARD_QUALITY, VIEW_QUALITY = 80, 86
SHOWN_BY_BROWSERS = frozenset({".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".avif", ".gif", ".bmp"})
_BLANK = 96
"""Code of the half of a small picture that has nothing to show."""


class Listener(Protocol):
    """Receives the events of gathering, from the calling thread."""

    def started(self, total: int, known: int) -> None:
        """So many records, of which so many were looked at by an earlier call."""

    def advanced(self) -> None: ...
    def failed(self, path: Path, error: str) -> None: ...


@dataclass(frozen=True)
class Look:
    """What was found when a record was looked at."""

    key: str
    """Names its files: ``key[:2]/key.jpg``, and ``key.before.jpg``, ``key.after.jpg`` where a browser needs them."""
    measures: Mapping[str, float] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    """Width and height of each half of the small picture; None where there is none."""
    views: tuple[str, ...] = ()
    """``before`` and ``after``, of which there is a copy for the browser."""
    damage: str = ""
    error: str = ""
    changed: bool = False
    """The result is no longer what colorpipe wrote."""


@dataclass(frozen=True)
class Seen:
    """A record with what was found."""

    record: Record
    look: Look

    @property
    def film(self) -> bool:
        return is_video(self.record.output)


def gather(
    records: Sequence[Record], top: Path, folder: Path, measurer: Measurer, listener: Listener
) -> Iterator[Seen]:
    """Each record with its look, in order; what an earlier call looked at is not looked at again.

    Args:
        top: The folder of the results.
        folder: Where small pictures and ``KEPT`` go. What belongs to no record any more is removed at the end.

    Raises:
        OutputError: a small picture cannot be written.
    """
    begin(folder)
    known = _kept(folder)
    keys = [key_of(record, top, measurer) for record in records]
    ready = [key in known and _has_files(folder, known[key]) for key in keys]
    listener.started(len(records), sum(ready))
    with (folder / KEPT).open("a", encoding="utf-8") as kept:
        if not all(ready):
            kept.write("\n")  # a kill may have left half a line
        for record, look, fresh in _looks(records, keys, ready, known, folder, measurer):
            if fresh:
                _keep(kept, look)
                if look.error:
                    listener.failed(
                        record.output if record.output.exists() else record.source or record.output, look.error
                    )
            listener.advanced()
            yield Seen(record, look)
    _tidy(folder, frozenset(keys), known)


def _looks(
    records: Sequence[Record],
    keys: Sequence[str],
    ready: Sequence[bool],
    known: Mapping[str, Look],
    folder: Path,
    measurer: Measurer,
) -> Iterator[tuple[Record, Look, bool]]:
    """Several threads look; the results come in order, and few are held."""
    threads = min(8, os.cpu_count() or 1)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures are what is done side by side
    pool = ThreadPoolExecutor(threads, "review")
    waiting: deque[tuple[Record, Look | Future[Look]]] = deque()
    try:
        for record, key, is_ready in zip(records, keys, ready, strict=True):
            waiting.append((record, known[key] if is_ready else pool.submit(_safe_look, record, key, folder, measurer)))
            while len(waiting) > 4 * threads:
                yield _settled(*waiting.popleft())
        while waiting:
            yield _settled(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)


def _settled(record: Record, look: Look | Future[Look]) -> tuple[Record, Look, bool]:
    return (record, look.result(), True) if isinstance(look, Future) else (record, look, False)


def key_of(record: Record, top: Path, measurer: Measurer) -> str:
    """A digest that changes with the files of a record, and with what is measured."""
    source = None if record.source is None else [record.source.name, *_stat(record.source)]
    place = os.path.relpath(record.output, top)
    asked = measurer.identity
    decisive = [VERSION, place, record.status, _stat(record.output), record.sha256, source, asked]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:32]


def _stat(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


# --- one record -------------------------------------------------------------------------------------------------------


def _safe_look(record: Record, key: str, folder: Path, measurer: Measurer) -> Look:
    """``look``; what goes wrong with this record is in it."""
    try:
        return look(record, key, folder, measurer)
    except (OutputError, UsageError):  # no place for small pictures, or nothing to ask: that ends it
        raise
    except ColorpipeError as error:
        return Look(key, error=str(error))
    except Exception as error:  # a plugin's measure may raise anything
        log.error("unexpected error on %s", record.output, exc_info=error)
        return Look(key, error=f"{record.output}: unexpected {type(error).__name__}: {error}")


def look(record: Record, key: str, folder: Path, measurer: Measurer) -> Look:
    """Measure a result and write its small pictures.

    Raises:
        ColorpipeError: the result cannot be read, or a small picture cannot be written.
    """
    if not record.output.exists() or record.status == "unfinished":
        return _without_result(record, key, folder)
    if is_video(record.output):
        return _film(record, key, folder, measurer)
    after = small.still(record.output, _side(record.output))
    before, damage = picture_of(record.source, None if record.source is None else _side(record.source))
    if damage:
        before, damage = picture_of(record.source)
    if before is None:
        before = small.without_colour(after.rgb)
    views = {}
    if damage or record.source is None or not _in_browser(record.source):
        views["before"] = before
    if not _in_browser(record.output):
        views["after"] = after.rgb
    pair = _shrunk(before, after.rgb, SIDE)
    measures = measurer.measure(*pair)
    if record.source is not None and "confidence" not in record.facts:
        sure = measurer.confidence(record.source)
        measures |= {} if sure is None else {"confidence": sure}
    size = _write(key, folder, *pair, views)
    damage = damage or ("the result is damaged: " + after.damage if after.damage else "")
    return Look(key, measures, size, tuple(views), damage, changed=_is_changed(record))


def _film(record: Record, key: str, folder: Path, measurer: Measurer) -> Look:
    found = small.film(record.output, VIEW_SIDE // 2)
    pairs = [_shrunk(grey, colour, SIDE) for grey, colour in zip(found.grey, found.colour, strict=True)]
    each = [measurer.measure(*pair) for pair in pairs]
    names = dict.fromkeys(name for one in each for name in one)
    measures = {name: float(np.mean([one[name] for one in each if name in one])) for name in names}
    faces = [one for one in each if "face_chroma" in one]
    if faces:  # the strongest one, not a mean over hues
        measures |= {k: v for k, v in max(faces, key=lambda one: one["face_chroma"]).items() if k.startswith("face")}
    if found.flicker is not None:
        measures |= {"flicker": found.flicker.mean, "spike": found.flicker.spike}
    views = {"before": small.mosaic(found.grey), "after": small.mosaic(found.colour)}
    size = _write(key, folder, *pairs[len(pairs) // 2], views)
    return Look(key, measures, size, tuple(views), changed=_is_changed(record))


def _without_result(record: Record, key: str, folder: Path) -> Look:
    """Before alone, as far as it can be read: why it failed is known already."""
    before, damage = None, ""
    if record.source is not None and not is_video(record.source):
        before, damage = picture_of(record.source)
    if before is None:
        return Look(key)
    shrunk, _ = _shrunk(before, before, SIDE)
    views = {"before": before} if damage or not _in_browser(record.source or record.output) else {}
    return Look(key, {}, _write(key, folder, shrunk, np.full_like(shrunk, _BLANK), views), tuple(views), damage)


def _side(path: Path) -> int:
    """No larger than needed: a JPEG is decoded at a fraction of its size, which is most of the time for it."""
    return SIDE if _in_browser(path) else VIEW_SIDE


def picture_of(source: Path | None, side: int | None = None) -> tuple[RGB | None, str]:
    """A source, small, and what is wrong with it; None where it is unknown, gone or cannot be read."""
    if source is None:
        return None, ""
    with contextlib.suppress(ColorpipeError, OSError):
        found = small.still(source, side or VIEW_SIDE)
        return found.rgb, found.damage
    return None, ""


def _shrunk(before: RGB, after: RGB, side: int) -> tuple[RGB, RGB]:
    both = small.beside(before, after, side)
    half = both.shape[1] // 2
    return np.ascontiguousarray(both[:, :half]), np.ascontiguousarray(both[:, half:])


def _write(key: str, folder: Path, before: RGB, after: RGB, views: Mapping[str, RGB]) -> tuple[int, int]:
    """The small picture and the views; the size of a half."""
    both = small.beside(before, after, CARD_SIDE)
    for name, rgb in {"": both, **views}.items():
        place = file_of(folder, key, name)
        try:
            files.write_whole(place, small.jpeg(rgb, VIEW_QUALITY if name else CARD_QUALITY))
        except OSError as error:
            raise files.unwritable(place, error) from None
    return both.shape[1] // 2, both.shape[0]


def begin(folder: Path) -> None:
    """Make the folder of a page's pictures, and mark it, so that these are never taken for inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE_MARK).write_text("The small pictures of a page of colorpipe. `colorpipe run` passes over them.\n")


def file_of(folder: Path, key: str, view: str = "") -> Path:
    """The place of a small picture, or of a view."""
    return folder / key[:2] / (f"{key}.{view}.jpg" if view else f"{key}.jpg")


def _in_browser(path: Path) -> bool:
    return path.suffix.lower() in SHOWN_BY_BROWSERS


def _is_changed(record: Record) -> bool:
    if not (record.size and record.sha256):
        return False
    status = record.output.stat()
    if status.st_size != record.size:
        return True
    return status.st_mtime_ns != record.mtime_ns and files.sha256(record.output) != record.sha256


# --- what is kept -----------------------------------------------------------------------------------------------------


def _kept(folder: Path) -> dict[str, Look]:
    known: dict[str, Look] = {}
    try:
        lines = (folder / KEPT).read_text("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return known
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):  # a line that a kill left unfinished
            raw: dict[str, Any] = json.loads(line)
            raw["size"], raw["views"] = raw["size"] and tuple(raw["size"]), tuple(raw["views"])
            look = Look(**raw)
            known[look.key] = look
    return known


def _keep(kept: TextIO, look: Look) -> None:
    if not look.error:  # what went wrong is tried again
        kept.write(json.dumps(asdict(look)) + "\n")
        kept.flush()


def _has_files(folder: Path, look: Look) -> bool:
    names = ["", *look.views] if look.size else []
    return all(file_of(folder, look.key, name).exists() for name in names)


def _tidy(folder: Path, current: frozenset[str], known: Mapping[str, Look]) -> None:
    """Remove the pictures of earlier looks whose records are gone, and forget these."""
    gone = [look for key, look in known.items() if key not in current]
    for look in gone:
        for name in ["", *look.views]:
            files.remove(file_of(folder, look.key, name))
    if gone:
        kept: Iterable[Look] = (look for key, look in _kept(folder).items() if key in current)
        files.write_whole(folder / KEPT, "".join(json.dumps(asdict(look)) + "\n" for look in kept).encode())
