"""Pictures of an album's items as they look with their strokes and settings, made when they are asked for."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from colorpipe import color, media
from colorpipe.errors import ColorpipeError
from colorpipe.guidance import hint_files
from colorpipe.guidance.modes import modes
from colorpipe.pipeline.frame import OWN_COLOUR
from colorpipe.plugins.host import DEFAULT_COLORIZER
from colorpipe.settings import MediaOptions
from colorpipe.types import Stage
from colorpipe.web import swatches
from colorpipe.web.alike import View, squeezed
from colorpipe.web.canvas import Canvas, Pixels, canvas_of, encoded, pixels, shrunk
from colorpipe.web.networks import Networks, Prediction, network_key
from colorpipe.web.settings import core_options

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.guidance.hint_files import Hints
    from colorpipe.pipeline.frame import Pipeline
    from colorpipe.plugins.host import PluginHost
    from colorpipe.types import Frame, Recipe
    from colorpipe.web.fence import Fence
    from colorpipe.web.frames import FrameReader
    from colorpipe.web.items import Item, Strokes

Kind = Literal["grey", "result", "method"]
PAGE_SIDE = 1280
"""Longer side of a picture on the page, unless another is asked for."""
THUMBNAIL_SIDE = 160
PROPOSAL_SIDE = 320
CANVASES = 6
"""Pictures at a page's size that are kept, with what was predicted of them."""
PREDICTIONS = 8
"""Of one canvas, kept: methods that were tried out."""
EYE = 2
"""Pixels around a place whose colours are averaged by the eyedropper."""


@dataclass(frozen=True)
class Picture:
    """A picture for a page."""

    data: bytes
    """JPEG."""
    size: tuple[int, int]
    """Height and width."""
    revision: int
    """Of the item, when it was made."""
    seconds: float


@dataclass(frozen=True)
class Look:
    """What decides how an item looks, at one moment."""

    recipe: Recipe
    strokes: Strokes
    """Each with its colour."""
    look: int
    revision: int


class Studio:
    """Draws items. Any number of threads; pictures of one item are made one after the other."""

    def __init__(self, host: PluginHost, fence: Fence, reader: FrameReader, networks: Networks) -> None:
        self._host, self._fence, self._reader, self._networks = host, fence, reader, networks
        self._canvases: OrderedDict[tuple[int, int, int], Canvas] = OrderedDict()
        self._thumbnails: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._lock = threading.Lock()
        """Held while ``_canvases`` is changed: items are drawn in several threads."""

    # --- pictures -----------------------------------------------------------------------------------------------------

    def picture(self, item: Item, frame: int, kind: Kind, side: int = PAGE_SIDE, *, fine: bool = False) -> Picture:
        """An item's frame: its grey, its result, or what the method alone gives.

        Args:
            fine: The correction as a saved result has it, and not as quickly as it can be had.

        Raises:
            ColorpipeError: it cannot be read, the method cannot be used, a named colour is not there.
        """
        start = time.perf_counter()
        with item.drawing:
            look = look_of(item, frame)
            canvas = self._canvas(item, frame, side, look.recipe)
            rgb = self._pixels(item, frame, canvas, look, kind, fine)
        return Picture(encoded(rgb), rgb.shape[:2], look.revision, time.perf_counter() - start)

    def learn(self, item: Item) -> None:
        """Size and further facts of an item, read from its file.

        Raises:
            InputError: it cannot be read.
        """
        self._reader.frame(item, 0, core_options(item.recipe)[1])

    def thumbnail(self, item: Item, frame: int = 0) -> bytes:
        """A small picture: in colour where a result is known, else grey.

        Raises:
            ColorpipeError: it cannot be read.
        """
        key = item.number, frame
        kept = self._thumbnails.get(key)
        if kept is not None and kept[0] == item.revision:
            return kept[1]
        with item.drawing:
            revision, state = item.revision, item.state
            canvas = self._canvases.get((item.number, frame, PAGE_SIDE))
            if canvas is not None and "result" in canvas.last:
                rgb = canvas.last["result"][1]
            elif item.film is not None and frame in item.film.thumbnails:
                return item.film.thumbnails[frame]
            else:
                rgb = self._small(item, frame, of_result=state in ("made", "saved"))
        data = encoded(rgb, THUMBNAIL_SIDE)
        self._thumbnails[key] = revision, data
        return data

    def _small(self, item: Item, frame: int, of_result: bool) -> Pixels:
        options = core_options(item.recipe)[1]
        if of_result and item.kind == "photo" and item.job.output.is_file():
            self._fence.check_result(item.job.output)
            return pixels(shrunk(media.first_frame(item.job.output, options), THUMBNAIL_SIDE))
        made = self._reader.frame(item, frame, options)
        return pixels(shrunk(dataclasses.replace(made, colour=None), THUMBNAIL_SIDE))

    def proposal(self, item: Item, frame: int, recipe: Recipe) -> bytes:
        """A small picture of an item under another recipe, with its hints.

        Raises:
            ColorpipeError: as ``picture``.
        """
        with item.drawing:
            look = dataclasses.replace(look_of(item, frame), recipe=recipe)
            canvas = self._canvas(item, frame, PAGE_SIDE, recipe)
            return encoded(self._drawn(item, frame, canvas, look, with_hints=True, fine=False), PROPOSAL_SIDE)

    def forget(self, item: Item) -> None:
        """The item's file, or a painted one beside it, was changed: all is made anew."""
        self._reader.forget(item)
        with item.drawing, self._lock:
            for key in [key for key in self._canvases if key[0] == item.number]:
                del self._canvases[key]

    def _pixels(self, item: Item, frame: int, canvas: Canvas, look: Look, kind: Kind, fine: bool) -> Pixels:
        if kind == "grey":
            return pixels(dataclasses.replace(canvas.frame, colour=None))
        name = f"{kind} fine" if fine else kind
        made = canvas.last.get(name)
        if made is None or made[0] != look.look:
            made = look.look, self._drawn(item, frame, canvas, look, with_hints=kind == "result", fine=fine)
            canvas.last[name] = made
        return made[1]

    def _drawn(self, item: Item, frame: int, canvas: Canvas, look: Look, *, with_hints: bool, fine: bool) -> Pixels:
        pipeline = self._networks.pipeline(look.recipe)
        prediction = self._prediction(item, frame, canvas, look, pipeline, with_hints=with_hints)
        ab = prediction.chroma(self._host, look.recipe)
        if look.recipe is item.recipe:
            item.natural = prediction.natural()
        under = functools.partial(self._painting, item, frame, canvas.full, pipeline.media)
        return canvas.draw(pipeline, prediction, ab, look.strokes if with_hints else None, under, fine)

    # --- what lies under a picture ------------------------------------------------------------------------------------

    def _canvas(self, item: Item, frame: int, side: int, recipe: Recipe) -> Canvas:
        key = item.number, frame, side
        with self._lock:
            canvas = self._canvases.get(key)
            if canvas is not None:
                self._canvases.move_to_end(key)
                return canvas
        made = self._reader.frame(item, frame, core_options(recipe)[1])
        restored = self._networks.pipeline(recipe).restore(made) if recipe.preprocessors else made
        canvas = canvas_of(made, _keeping(restored, made), side)
        with self._lock:
            self._canvases[key] = canvas
            while len(self._canvases) > CANVASES:
                self._canvases.popitem(last=False)
        return canvas

    def _prediction(
        self, item: Item, frame: int, canvas: Canvas, look: Look, pipeline: Pipeline, *, with_hints: bool
    ) -> Prediction:
        """The network's word on a canvas. A method that takes hints itself is asked anew for each set of them."""
        key = network_key(look.recipe)
        hinted: Callable[..., Hints | None] | None = None
        if pipeline.runtime.colorizer.takes_hints and with_hints:
            hinted = functools.partial(self._hints, item, frame, look.strokes, pipeline.media)
            key += hashlib.sha256(repr(look.strokes).encode()).hexdigest()
        kept = canvas.predictions.get(key)
        if kept is None:
            whole = self._reader.frame(item, frame, pipeline.media)
            prepared = pipeline.network_view(pipeline.restore(whole), hinted)
            # the whole is not kept with it
            kept = self._networks.predict(look.recipe, dataclasses.replace(prepared, frame=canvas.frame, painted=None))
            canvas.predictions[key] = kept
            while len(canvas.predictions) > PREDICTIONS:
                canvas.predictions.popitem(last=False)
        return kept

    def _painting(
        self, item: Item, frame: int, picture: tuple[int, int], options: MediaOptions, size: tuple[int, int]
    ) -> Hints | None:
        """What is painted in a PNG beside an item."""
        file = item.painting.get(frame)
        if file is None:
            return None
        self._fence.check_beside(file)
        return hint_files.load_painting(file, picture, size, options)

    def _hints(
        self,
        item: Item,
        frame: int,
        strokes: Strokes,
        options: MediaOptions,
        picture: tuple[int, int],
        size: tuple[int, int],
    ) -> Hints:
        made = hint_files.drawn(strokes, picture, size)
        under = self._painting(item, frame, picture, options, size)
        return made if under is None else made.over(under)

    # --- a place ------------------------------------------------------------------------------------------------------

    def place(self, item: Item, frame: int, x: float, y: float) -> dict[str, Any]:
        """The colours of a place, and those to choose from there; see ``album.Album.place``.

        Raises:
            ColorpipeError: as ``picture``.
        """
        with item.drawing:
            look = look_of(item, frame)
            canvas = self._canvas(item, frame, PAGE_SIDE, look.recipe)
            grey = self._pixels(item, frame, canvas, look, "grey", fine=False)
            L = _lab_at(grey, x, y)[0]
            told: dict[str, Any] = {"L": round(L, 2), "grey": swatches.hex_of(L, (0.0, 0.0))}
            for kind in ("method", "result"):
                rgb = self._pixels(item, frame, canvas, look, kind, fine=False)
                told[kind] = swatches.swatch(L, _lab_at(rgb, x, y)[1:])
            own = canvas.own
            told["source"] = None if own is None else swatches.swatch(L, _lab_at(own, x, y)[1:])
            source, prediction = self._distribution(item, frame, canvas, look)
        likely = []
        if prediction is not None and prediction.distribution is not None:
            top, left, bottom, right = prediction.prepared.region
            for mode in modes(prediction.distribution, left + x * (right - left), top + y * (bottom - top)):
                likely.append({**swatches.swatch(L, mode.ab), "share": round(mode.probability, 3)})
        return {
            **told,
            "likely": likely,
            "likely_from": source,
            "palette": swatches.palette(L),
            "palette_hues": swatches.HUES,
            "palette_rings": swatches.RINGS,
        }

    def view(self, item: Item, frame: int) -> View:
        """A frame as it is compared with others; what the method sees is kept.

        Raises:
            ColorpipeError: as ``picture``.
        """
        with item.drawing:
            look = look_of(item, frame)
            canvas = self._canvas(item, frame, PAGE_SIDE, look.recipe)
            pipeline = self._networks.pipeline(look.recipe)
            prediction = self._prediction(item, frame, canvas, look, pipeline, with_hints=False)
            L = squeezed(color.lightness(canvas.frame).L)
            return View(item.number, frame, canvas.full, L, prediction.features(pipeline))

    def _distribution(self, item: Item, frame: int, canvas: Canvas, look: Look) -> tuple[str | None, Prediction | None]:
        """A network's distribution over colours, and whose it is: the item's own method's, else the default's."""
        default = dataclasses.replace(
            look.recipe, colorizer=Stage(DEFAULT_COLORIZER), decoder=None, weights=None, weights_sha256=None
        )
        for recipe in (look.recipe, default):
            if not self._host.colorizer(recipe.colorizer.name).yields_distribution:
                continue
            try:
                pipeline = self._networks.pipeline(recipe)
                asked = dataclasses.replace(look, recipe=recipe)
                found = self._prediction(item, frame, canvas, asked, pipeline, with_hints=False)
            except ColorpipeError:
                if recipe is look.recipe:
                    raise
                continue
            if found.distribution is not None:
                return recipe.colorizer.name, found
        return None, None


def look_of(item: Item, frame: int) -> Look:
    """How an item looks now.

    Raises:
        InputError: a stroke's named colour is not there.
    """
    with item.lock:
        return Look(item.recipe, item.resolved(frame), item.look, item.revision)


def _keeping(restored: Frame, frame: Frame) -> Frame:
    """A frame without colour, its own at hand for ``keep_colour``."""
    extra = frame.metadata.extra if frame.colour is None else {**frame.metadata.extra, OWN_COLOUR: frame.colour}
    return dataclasses.replace(restored, colour=None, metadata=dataclasses.replace(frame.metadata, extra=extra))


def _lab_at(rgb: Pixels, x: float, y: float) -> tuple[float, float, float]:
    height, width = rgb.shape[:2]
    row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
    part = rgb[max(0, row - EYE) : row + EYE + 1, max(0, column - EYE) : column + EYE + 1]
    mean: Float = part.reshape(-1, 3).mean(0, dtype=np.float32)
    return swatches.lab_of_rgb(mean.reshape(1, 1, 3) / np.float32(255))
