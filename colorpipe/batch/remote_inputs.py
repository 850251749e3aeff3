"""Inputs of a run over URLs: listed, named, and fetched with the hint files beside them."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from colorpipe.batch.remote_store import Store, url_of, version_of
from colorpipe.batch.shard import Shard
from colorpipe.errors import UsageError
from colorpipe.media.listing import Listing
from colorpipe.media.passed import is_album
from colorpipe.media.result_names import default_video_suffix, is_video, renamings
from colorpipe.media.suffixes import SEARCHED

_BESIDE = re.compile(r"(\.[0-9]+)?\.(hints|reference)\.[a-z0-9]+$", re.IGNORECASE)


class RemoteInputs:
    """The inputs in order, by number. A film's result has the container that its name says, or Matroska: what is in it
    is not known before it is fetched.

    Raises:
        UsageError: something is not there, or nothing was found.
    """

    def __init__(self, named: Sequence[str | Path], out: Store, shard: Shard | None) -> None:
        self._stores: list[Store] = []
        self._names = Listing()
        self._known: list[dict[str, Any]] = []
        self._beside: dict[tuple[int, str], list[tuple[str, dict[str, Any]]]] = {}
        """Root and path without its suffix -> hint files there."""
        for place in named:
            self._add(place, out)
        if not len(self._names):
            listed = ", ".join(str(place) for place in named)
            raise UsageError(f"no picture or film in {listed}", hint="their names must have a suffix that tells")
        self._renamed = renamings(self._names, default_video_suffix)
        places = range(len(self._names))
        chosen = places if shard is None else [place for place in places if shard.takes(self._names.relative(place))]
        self._chosen = array("L", chosen)
        self.films = sum(is_video(self._names.names[place]) for place in self._chosen)

    def _add(self, place: str | Path, out: Store) -> None:
        url = url_of(place)
        store = Store(url or os.path.abspath(place))
        kind = store.kind()
        if kind is None:
            raise UsageError(f"{place} does not exist", hint="name a file, or a folder, of the store")
        if kind == "file":
            folder, _, name = store.place.replace(os.sep, "/").rpartition("/")
            store = Store(folder)
            listed = [(known_name, known) for known_name, known in store.list() if known_name == name]
            beside = [(other, known) for other, known in store.list() if "/" not in other and _BESIDE.search(other)]
        else:
            listed, beside = [], []
            for name, known in store.list():
                if _is_own(store, name, out):
                    continue
                if _BESIDE.search(name):
                    beside.append((name, known))
                elif os.path.splitext(name)[1].lower() in SEARCHED:
                    listed.append((name, known))
        root = len(self._stores)
        self._stores.append(store)
        for name, known in beside:
            self._beside.setdefault((root, _BESIDE.sub("", name)), []).append((name, known))
        slim = {name: {"size": known.get("size"), "version": version_of(known)} for name, known in listed}
        self._names.extend(Path(str(root)), ((name, None) for name in slim))
        self._known += [slim[name] for name in self._names.names[len(self._known) :]]

    def __len__(self) -> int:
        return len(self._chosen)

    def root_of(self, number: int) -> int:
        return int(self._names.path(self._chosen[number]).replace(os.sep, "/").partition("/")[0])

    def relative(self, number: int) -> str:
        """Its path below the folder that was named."""
        return self._names.relative(self._chosen[number])

    def result(self, number: int) -> str:
        """The path of its result below the output."""
        place = self._chosen[number]
        return self._renamed.get(place, self._names.names[place]).replace(os.sep, "/")

    def url(self, number: int) -> str:
        return self._stores[self.root_of(number)].told(self.relative(number))

    def known(self, number: int) -> dict[str, Any]:
        """What the store says of it: ``size`` and ``version``."""
        return self._known[self._chosen[number]]

    def guides(self, number: int) -> Mapping[str, str]:
        """Hint files beside it, and their versions."""
        return {name: version_of(known) for name, known in self._hints(number)}

    def fetch(self, number: int, target: Path) -> None:
        """Put it on the stage, with its hint files.

        Raises:
            InputError: it cannot be had.
        """
        store = self._stores[self.root_of(number)]
        store.fetch(self.relative(number), target)
        for name, _ in self._hints(number):
            store.fetch(name, target.with_name(name.rpartition("/")[2]))

    def _hints(self, number: int) -> list[tuple[str, dict[str, Any]]]:
        stem = os.path.splitext(self.relative(number))[0]
        return self._beside.get((self.root_of(number), stem), [])


def _is_own(store: Store, name: str, out: Store) -> bool:
    """Whether a name is hidden, a thumbnail, or of the output folder."""
    parts = name.split("/")
    if any(part.startswith(".") or not is_album(part) for part in parts):
        return True
    return out.place != store.place and store.told(name).startswith(f"{out.place}/")
