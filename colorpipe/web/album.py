"""The engine of the page: an album of photos and films, without a word of HTTP.

::

    album = Album(["photos/"], output=Path("colorized"))
    album.paint(1, 0, [{"points": [[0.4, 0.6]], "radius": 0.01, "lab": [None, -32, 28]}])
    picture = album.studio.picture(album.item(1), 0, "result")
    album.save([1])
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from colorpipe._version import __version__
from colorpipe.batch.output_check import check_reachable
from colorpipe.errors import ColorpipeError, InputError, UsageError
from colorpipe.guidance import colours
from colorpipe.guidance.json_files import check_ab, is_whole
from colorpipe.guidance.strokes import stroke_of
from colorpipe.media.inputs import DEFAULT_OUTPUT
from colorpipe.plugins.host import DEFAULT_COLORIZER, PluginHost
from colorpipe.types import Outcome, Recipe, Stage
from colorpipe.web import proposals, saving
from colorpipe.web.alike import places
from colorpipe.web.fence import Fence
from colorpipe.web.films import Films
from colorpipe.web.frames import FrameReader
from colorpipe.web.items import Item, check_frames, strokes_of, told_of
from colorpipe.web.networks import Networks
from colorpipe.web.opening import open_items
from colorpipe.web.saving import Order, Saver
from colorpipe.web.settings import Catalogue
from colorpipe.web.studio import Studio
from colorpipe.web.work import Work, WorkBench

MOST_NAME = 100
NEIGHBOURS = 12
"""Other photos in which look-alikes are looked for: each takes a call of the network."""


class Album:
    """Photos and films that are painted on. Any thread may call it.

    Args:
        inputs: As of ``colorpipe run``.
        output: As of ``colorpipe run``: a folder, or one file's name for one input; None is ``colorized/``.
        recipe: What items begin with, unless an earlier save left a recipe beside their result.
        host: Plugins that are loaded; None loads what is installed.

    Raises:
        UsageError, OutputError: there is no input, or nothing can be written where results go.
    """

    def __init__(
        self,
        inputs: Sequence[str | Path],
        output: Path | None = None,
        recipe: Recipe | None = None,
        host: PluginHost | None = None,
    ) -> None:
        self.host = host or PluginHost.load()
        self.recipe = recipe or Recipe(Stage(DEFAULT_COLORIZER))
        self.output = output
        check_reachable(output)
        self._fence = Fence(inputs, output)
        self.catalogue = Catalogue(self.host, self.recipe)
        found = open_items(inputs, output, self.recipe, self._fence, self.catalogue)
        self._items = {item.number: item for item in found}
        self._revisions = itertools.count(1)
        self._revision = 0
        self._lock = threading.Lock()
        reader, networks = FrameReader(self._fence), Networks(self.host)
        self.studio = Studio(self.host, self._fence, reader, networks)
        self.bench = WorkBench()
        self.films = Films(self.host, self._fence, networks)
        places = {item.job.output for item in found}
        self._saver = Saver(self.host, self._fence, output, places.__contains__)

    # --- what there is ------------------------------------------------------------------------------------------------

    def told(self) -> dict[str, Any]:
        """The album for a page."""
        return {
            "version": 1,
            "software": f"colorpipe {__version__}",
            "output": str(self.output or DEFAULT_OUTPUT),
            "items": [item.told() for item in self._items.values()],
            **self._now(),
        }

    def state(self) -> dict[str, Any]:
        """What changes while work goes on."""
        keys = ("id", "state", "error", "hint", "painted", "revision", "notes", "result")
        items = [{key: told[key] for key in keys} for told in (item.told() for item in self._items.values())]
        return {"items": items, **self._now()}

    def _now(self) -> dict[str, Any]:
        work = self.bench.last
        return {"job": None if work is None else work.told(), "revision": self._revision}

    def item(self, number: object) -> Item:
        """An item that can be worked on.

        Raises:
            KeyError: there is none of that number.
            InputError: it was refused.
        """
        if not isinstance(number, int) or number not in self._items:
            raise KeyError(number)
        item = self._items[number]
        if item.state == "refused":
            raise InputError(item.error or "refused", hint=item.hint or "")
        return item

    def item_told(self, number: int) -> dict[str, Any]:
        """One item for a page, with strokes and settings.

        Raises:
            KeyError, ColorpipeError: as ``item``, or it cannot be read.
        """
        item = self.item(number)
        if item.size is None:
            self.studio.learn(item)
            doubts = item.doubts()
            item.notes = (*item.notes, doubts) if doubts else item.notes
        with item.lock:
            assert item.size is not None
            strokes = {str(frame): [told_of(one) for one in made] for frame, made in item.strokes.items() if made}
            return {
                **item.told(),
                "width": item.size[1],
                "height": item.size[0],
                "frames": item.frames,
                "rate": None if item.rate is None else float(item.rate),
                "in_colour": item.in_colour,
                "settings": self.catalogue.settings(item.recipe),
                "natural": dict(item.natural),
                "strokes": strokes,
                "painting": [file.name for file in item.painting.values()],
                "colours": {name: list(ab) for name, ab in item.colours().items()},
                "film": self.films.told(item) if item.kind == "film" else None,
                "command": saving.command(item),
            }

    # --- changes ------------------------------------------------------------------------------------------------------

    def _changed(self, item: Item) -> None:
        """Called under the item's lock, after a change of how it looks."""
        with self._lock:
            self._revision = item.look = item.revision = next(self._revisions)
        if item.state not in ("queued", "saving"):
            item.state = "changed"
        item.error = item.hint = None

    def _moved(self, item: Item) -> None:
        """Called under the item's lock, after a change of its state alone."""
        with self._lock:
            self._revision = item.revision = next(self._revisions)

    def paint(self, number: int, frame: object, strokes: object) -> dict[str, Any]:
        """Strokes of a frame, in place of those before; each as in ``.hints.json``, without ``frame``.

        Raises:
            KeyError, InputError: no such item or frame, or a stroke is not what docs/hints.md says.
        """
        item = self.item(number)
        where = check_frames(item, frame)
        made = strokes_of(strokes)
        with item.lock:
            before = item.strokes.get(where, ())
            item.strokes[where] = made
            try:
                item.resolved(where)
            except ColorpipeError:
                item.strokes[where] = before
                raise
            if made != before:
                item.touched = True
                self._changed(item)
            return self._brief(item)

    def set(self, number: int, asked: object) -> dict[str, Any]:
        """Settings over an item's own; see ``Catalogue.changed``.

        Raises:
            KeyError, UsageError, OptionError: as there.
        """
        item = self.item(number)
        with item.lock:
            made = self.catalogue.changed(item.recipe, asked)
            if made != item.recipe:
                if made.colorizer != item.recipe.colorizer or made.weights != item.recipe.weights:
                    item.natural = {}
                item.recipe = made
                self._changed(item)
            told = self.catalogue.settings(made)
            return {**self._brief(item), "settings": told, "natural": dict(item.natural)}

    def spread(self, source: object, to: object) -> dict[str, Any]:
        """One item's settings for others, or ``"all"``.

        Raises:
            KeyError, InputError, UsageError: no such item.
        """
        recipe = self.item(source).recipe
        changed = []
        for item in self._several(to):
            with item.lock:
                if item.recipe != recipe:
                    item.recipe, item.natural = recipe, {}
                    self._changed(item)
                    changed.append(item.number)
        return {"changed": changed, "revision": self._revision}

    def name_colour(self, number: int, name: object, ab: object) -> dict[str, Any]:
        """A named colour of the item's album, written at once; every picture that uses it follows.

        Raises:
            KeyError, InputError, OutputError: no such item, no colour, or it cannot be written.
        """
        item = self.item(number)
        if not isinstance(name, str) or not name.strip() or len(name) > MOST_NAME:
            raise InputError(f"a colour's name is a text of at most {MOST_NAME} characters")
        pair = ab if isinstance(ab, list) and len(ab) == 2 else [None]
        colour = check_ab([None, *pair], name)
        folder = item.folder_of_hints
        self._fence.check_beside(folder / colours.FILE)
        with self._lock:
            known = dict(colours.read(folder))
            known[name] = colour
            colours.write(folder, known)
        for other in self._items.values():
            with other.lock:
                used = any(one.name == name and one.ab is None for made in other.strokes.values() for one in made)
                if used and other.folder_of_hints == folder and other.state != "refused":
                    self._changed(other)
        return {"colours": {name: list(ab) for name, ab in known.items()}, "revision": self._revision}

    def _brief(self, item: Item) -> dict[str, Any]:
        return {"revision": item.revision, "state": item.state, "painted": item.painted}

    def _several(self, which: object) -> list[Item]:
        """Items by their numbers, ``"all"``, or ``"changed"``; those that were refused are left out of the latter."""
        usable = [item for item in self._items.values() if item.state != "refused"]
        if which == "all":
            return usable
        if which == "changed":
            return [item for item in usable if item.state in ("changed", "failed")]
        if not isinstance(which, list):
            raise UsageError('items are a list of numbers, "all" or "changed"')
        return [self.item(number) for number in dict.fromkeys(map(_whole, which))]

    # --- proposals ----------------------------------------------------------------------------------------------------

    def proposals(self, number: int) -> list[proposals.Proposal]:
        """Six ways to begin with.

        Raises:
            KeyError, ColorpipeError: as ``item``.
        """
        item = self.item(number)
        return proposals.of(item, self.catalogue, self.host)

    def proposal(self, number: int, frame: object, which: int) -> bytes:
        """A small picture of a proposal.

        Raises:
            KeyError: there is none of that number.
            ColorpipeError: as ``Studio.picture``.
        """
        item = self.item(number)
        where = check_frames(item, frame)
        for one in self.proposals(number):
            if one.number == which:
                return self.studio.proposal(item, where, self.catalogue.changed(item.recipe, one.settings))
        raise KeyError(which)

    def look_alikes(self, number: int, frame: object, stroke: object, within: object) -> list[dict[str, Any]]:
        """Places that look like what is under a stroke.

        Args:
            within: ``"item"``, or ``"album"`` for the photos around it too, ``NEIGHBOURS`` at most.

        Raises:
            KeyError, ColorpipeError: as ``Studio.picture``, or it is no stroke.
        """
        item = self.item(number)
        where = check_frames(item, frame)
        if within not in ("item", "album"):
            raise UsageError("look-alikes are looked for in item or album")
        made = stroke_of(stroke, "the stroke")
        others = []
        if within == "album":
            near = sorted(self._several("all"), key=lambda one: abs(one.number - number))
            others = [one for one in near if one is not item and one.kind == "photo"][:NEIGHBOURS]
        views = []
        for one in others:
            with contextlib.suppress(ColorpipeError):  # one that cannot be read is told where it is looked at
                views.append(self.studio.view(one, 0))
        return places(self.studio.view(item, where), made, views)

    # --- work ---------------------------------------------------------------------------------------------------------

    def save(self, which: object, overwrite: object = False) -> Work:
        """Begin to write hint files, results and recipes.

        Raises:
            KeyError, UsageError: no such item, or other work is going on.
        """
        if not isinstance(overwrite, bool):
            raise UsageError("overwrite is true or false")
        items = self._several(which)
        if not items:
            raise UsageError("there is nothing to save")
        orders: list[Order] = []

        def do(work: Work) -> None:
            for item in items:
                with item.lock:
                    orders.append(Order(item, item.recipe, dict(item.strokes), item.touched, item.look))
                    item.state, item.error, item.hint = "queued", None, None
                    self._moved(item)
            ended: set[int] = set()

            def end(order: Order, outcome: Outcome) -> None:
                ended.add(order.item.number)
                self._ended(order, outcome)

            try:
                self._saver.save(orders, overwrite, work, end)
            finally:
                for order in orders:
                    if order.item.number not in ended:
                        with order.item.lock:
                            order.item.state = "changed"
                            self._moved(order.item)

        return self.bench.start("save", [item.number for item in items], do)

    def _ended(self, order: Order, outcome: Outcome) -> None:
        item = order.item
        with item.lock:
            item.notes = outcome.notes
            if outcome.output is not None and not outcome.error:
                item.job = dataclasses.replace(item.job, output=outcome.output)
                same = item.look == order.look
                item.state, item.saved_look = ("saved" if same else "changed"), order.look
                item.touched = item.touched and not same
            else:
                item.state = "failed"
                item.error, item.hint = (outcome.error or "not made").removesuffix(f"; {outcome.hint}"), outcome.hint
            self._moved(item)

    def scan(self, number: int) -> Work:
        """Begin to look a film through.

        Raises:
            KeyError, UsageError: no such film, or other work is going on.
        """
        item = self._film(number)
        return self.bench.start("scan", [number], lambda work: self.films.scan(item, work))

    def preview(self, number: int, shot: object, most: object = None) -> Work:
        """Begin to make a shot's preview.

        Raises:
            KeyError, UsageError, InputError: no such shot, or other work is going on.
        """
        item = self._film(number)
        asked = self.films.asked(item, shot, most)
        return self.bench.start("preview", [number], lambda work: self.films.preview(item, *asked, work))

    def _film(self, number: int) -> Item:
        item = self.item(number)
        if item.kind != "film":
            raise UsageError(f"{item.path.name} is a photo")
        return item

    def close(self) -> None:
        """Stop what is going on, and wait for its end."""
        self.bench.stop()
        self.bench.wait()
        self.films.close()


def _whole(value: object) -> int:
    if not is_whole(value):
        raise UsageError("an item is a whole number")
    assert isinstance(value, int)
    return value
