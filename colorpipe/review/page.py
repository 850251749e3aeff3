"""The review page: one HTML file, with its small pictures in a folder beside it."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from colorpipe import files, pages
from colorpipe._version import __version__
from colorpipe.review import gather, reasons, records
from colorpipe.review.gather import Seen
from colorpipe.review.measures import Measurer
from colorpipe.review.reasons import Reason

_HERE = Path(__file__).parent
PICTURES = "'self' file: data:"
"""A page from a disk may show pictures from the disk; one from a server those of that server."""
MEASURES = {
    "confidence": "confidence",
    "chroma": "colourfulness",
    "face_chroma": "strength of faces",
    "spike": "flicker",
}
"""Measures that the page can be sorted by, besides those of evaluators, and their words."""
_WORST_FIRST = {"confidence": -1}
"""Direction of a measure that deserves a look; 1 where it is not named."""


@dataclass(frozen=True)
class Made:
    """What came of it."""

    page: Path
    entries: int
    standing_out: int
    """Entries with a reason to look at them."""
    kinds: Mapping[str, int]
    """Kind of reason -> entries."""


def place_of(results: Path, output: Path | None) -> Path:
    """Where the page goes: a file that is named ``*.html``, else ``index.html`` in a folder; None is ``NAME-review``
    beside the results."""
    if output is None:
        whole = Path(os.path.abspath(results))
        return whole.with_name(f"{whole.name or 'results'}-review") / "index.html"
    return output if output.suffix.lower() in (".html", ".htm") else output / "index.html"


def folder_of(page: Path) -> Path:
    """The folder of the page's pictures, which goes wherever the page goes."""
    return page.with_name(f"{page.stem}_files")


def review(results: Path, page: Path, measurer: Measurer, listener: gather.Listener) -> Made:
    """Look at all results of a folder and write the page.

    Raises:
        UsageError, InputError: there are no results, or their journal cannot be read.
        OutputError: the page or its pictures cannot be written.
    """
    found = records.read(results)
    top = Path(os.path.abspath(results))
    try:
        seen = list(gather.gather(found, top, folder_of(page), measurer, listener))
        told = reasons.find([_seen(one) for one in seen], measurer.worse)
        text = whole(seen, told, top, page, measurer.worse)
        files.write_whole(page, text.encode("utf-8", "replace"))
    except OSError as error:
        raise files.unwritable(page, error) from None
    kinds = Counter(kind for one in told for kind in {reason.kind for reason in one})
    return Made(page, len(seen), sum(bool(one) for one in told), kinds)


def _seen(one: Seen) -> reasons.Seen:
    facts, measures = one.record.facts, dict(one.look.measures)
    confidence, flicker = facts.get("confidence"), facts.get("flicker")
    if confidence is not None and _is_number(confidence):
        measures["confidence"] = float(confidence)
    if isinstance(flicker, dict) and all(_is_number(flicker.get(key)) for key in ("mean", "spike", "frame")):
        found = {"flicker": flicker["mean"], "spike": flicker["spike"], "spike_frame": flicker["frame"]}
        measures |= {key: float(value) for key, value in found.items()}  # of all frames, not of some seconds
    damage = one.look.damage or next((note for note in _notes(one) if "damaged" in note), "")
    status, error = one.record.status, one.record.error
    if one.look.error:
        status, error = "failed", one.look.error
    return reasons.Seen(one.record.recipe, status, measures, error, damage, one.look.changed)


def _notes(one: Seen) -> list[str]:
    notes = one.record.facts.get("notes")
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def whole(
    seen: Sequence[Seen], told: Sequence[Sequence[Reason]], top: Path, page: Path, worse: Mapping[str, int]
) -> str:
    """The page's text. Whatever comes from outside, file names for one, is text in it and nothing else."""
    films = sum(one.film for one in seen)
    counts = [(len(seen) - films, "picture"), (films, "film")]
    parts = {
        "title": pages.text(top.name or str(top)),
        "facts": " and ".join(f"{count:,} {word}{'s' * (count != 1)}" for count, word in counts if count),
        "made": pages.text(f"{top}, looked at on {time.strftime('%Y-%m-%d %H:%M')} by colorpipe {__version__}"),
        "slider": pages.part("slider.html"),
        "data": pages.data_text(_Data(top, page, worse).of(seen, told)),
    }
    return pages.filled(
        pages.part("page.html", _HERE),
        parts,
        [pages.part("base.css"), pages.part("slider.css"), pages.part("page.css", _HERE)],
        [pages.part("slider.js"), pages.part("page.js", _HERE)],
        PICTURES,
    )


class _Data:
    """The script's data: short keys and shared folders, since there are ten thousand entries and more."""

    def __init__(self, top: Path, page: Path, worse: Mapping[str, int]) -> None:
        self._top, self._from = top, os.path.dirname(os.path.abspath(page))
        self._pictures = quote(folder_of(page).name)
        self._folders: dict[str, int] = {}
        self._addresses: list[str] = []
        self._measures = {**MEASURES, **{name: name for name in worse}}
        self._down = {name: worse.get(name, _WORST_FIRST.get(name, 1)) >= 0 for name in self._measures}

    def of(self, seen: Sequence[Seen], told: Sequence[Sequence[Reason]]) -> dict[str, Any]:
        entries = [self._entry(one, why) for one, why in zip(seen, told, strict=True)]
        kinds = dict.fromkeys([*reasons.LABELS, *(reason.kind for why in told for reason in why)])
        return {
            "id": hashlib.sha256(os.fsencode(str(self._top))).hexdigest()[:16],
            "pictures": self._pictures,
            "kinds": {kind: reasons.LABELS.get(kind, kind) for kind in kinds},
            "measures": [[word, self._down[name]] for name, word in self._measures.items()],
            "folders": [list(pair) for pair in zip(self._folders, self._addresses, strict=True)],
            "entries": entries,
        }

    def _entry(self, one: Seen, why: Sequence[Reason]) -> dict[str, Any]:
        record, look = one.record, one.look
        measures = _seen(one).measures
        entry: dict[str, Any] = {
            "n": os.path.relpath(record.output, self._top),
            "o": self._place(record.output),
            "s": round(reasons.weight(why), 3),
            "r": [[reason.kind, round(reason.weight, 2), reason.text] for reason in why],
            "m": [_rounded(measures.get(name)) for name in self._measures],
        }
        if record.source is not None:
            entry["i"] = self._place(record.source)
        if look.size:
            entry |= {"k": look.key, "z": list(look.size)}
        if look.views:
            entry["v"] = list(look.views)
        if one.film:
            entry["f"] = 1
        if not record.output.exists():
            entry["x"] = 1
        notes = _notes(one)
        return entry | ({"t": notes} if notes else {})

    def _place(self, path: Path) -> list[Any]:
        """A path as the number of its folder and its name."""
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._folders[folder] = len(self._folders)
            self._addresses.append(self._address(folder))
        return [self._folders[folder], path.name]

    def _address(self, folder: str) -> str:
        """Relative to the page, so that both can be moved together; absolute where that is not possible."""
        try:
            relative = os.path.relpath(folder, self._from)
        except ValueError:  # another drive
            return Path(folder).as_uri()
        return "/".join(quote(os.fsencode(part)) for part in Path(relative).parts) or "."


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
