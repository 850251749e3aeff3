"""One picture at a page's size, ready to be drawn again with other strokes and settings."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.guidance import hint_files
from colorpipe.guidance.correction import Corrector, working_size
from colorpipe.guidance.hint_files import Hints
from colorpipe.guidance.solver import ITERATIONS
from colorpipe.guidance.strokes import Stroke
from colorpipe.pipeline.frame import OWN_COLOUR, Pipeline
from colorpipe.types import Encoding, Frame

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.web.networks import Prediction

DRAFT_SIDE = 320
"""Longer side at which a correction is worked out while somebody paints: with ``DRAFT_ITERATIONS`` in a fifth of the
time."""
DRAFT_ITERATIONS = 5
SNAPSHOTS = 24
"""Drawn states that are kept for undo, at each size."""
QUALITY = (
    cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)  # fmt: skip
Pixels = NDArray[np.uint8]


class Drawing:
    """Strokes drawn at one size. What a longer list has in common with an earlier one is not drawn again.

    Args:
        picture: Height and width of the picture.
        size: h and w of the hints.
        under: What lies under the strokes: painted in a file.
    """

    def __init__(self, picture: tuple[int, int], size: tuple[int, int], under: Hints | None) -> None:
        self._picture, self._size, self._under = picture, size, under
        self._strokes: Sequence[Stroke] = ()
        self._states: OrderedDict[int, Hints] = OrderedDict()
        """Number of strokes -> these drawn."""

    def hints(self, strokes: Sequence[Stroke]) -> Hints:
        """All of them, the later over the earlier."""
        common = 0
        for before, now in zip(self._strokes, strokes, strict=False):
            if before != now:
                break
            common += 1
        for count in [count for count in self._states if count > common]:
            del self._states[count]
        start = max(self._states, default=0)
        made = hint_files.drawn(strokes[start:], self._picture, self._size, self._states.get(start))
        self._strokes, self._states[len(strokes)] = strokes, made
        while len(self._states) > SNAPSHOTS:
            self._states.popitem(last=False)
        return made if self._under is None else made.over(self._under)


@dataclass
class _Working:
    """What is kept of a picture at one working size."""

    drawing: Drawing
    corrector: Corrector
    reach: float
    prediction: Prediction
    """The one whose features the corrector compares places by."""


@dataclass
class Canvas:
    """A frame at a page's size. One thread at a time."""

    frame: Frame
    """Its luma in 8 bits."""
    full: tuple[int, int]
    """Height and width of the frame at its own size."""
    own: Pixels | None
    """(H, W, 3) RGB: the source's own colours; None where it is grey."""
    predictions: OrderedDict[str, Prediction] = field(default_factory=OrderedDict)
    """By ``networks.network_key`` and, for a method that takes hints, by these."""
    last: dict[str, tuple[int, Pixels]] = field(default_factory=dict)
    """Kind of picture -> its look and its pixels (H, W, 3) RGB."""
    _working: dict[int, _Working] = field(default_factory=dict)

    def draw(
        self,
        pipeline: Pipeline,
        prediction: Prediction,
        ab: Float,
        strokes: Sequence[Stroke] | None,
        under: HintsAt,
        fine: bool,
    ) -> Pixels:
        """(H, W, 3) RGB with the network's chroma, corrected by strokes.

        Args:
            ab: (h', w', 2), decoded.
            strokes: Each with its colour; None leaves out every hint.
            under: Size -> what is painted in a file at that size.
            fine: As in a saved result, and not as quick as it goes.
        """
        frame = self.frame if pipeline.merge.keep_colour else _without_own(self.frame)
        prepared = dataclasses.replace(prediction.prepared, frame=frame, painted=None)
        corrector = None
        if strokes is not None:
            working = self._at(pipeline, prediction, under, fine)
            painted = working.drawing.hints(strokes)
            if painted.any:
                prepared, corrector = dataclasses.replace(prepared, painted=painted), working.corrector
        chroma, view = pipeline.crop_chroma(prepared, ab, corrector)
        return pixels(pipeline.merge_chroma(frame, chroma, view))

    def _at(self, pipeline: Pipeline, prediction: Prediction, under: HintsAt, fine: bool) -> _Working:
        height, width = working_size(*self.full)
        side = max(height, width)
        wanted = side if fine else min(side, DRAFT_SIDE)
        size = max(1, round(height * wanted / side)), max(1, round(width * wanted / side))
        found, reach = self._working.get(wanted), pipeline.merge.hint_reach
        if found is None or found.reach != reach or found.prediction is not prediction:
            drawing = Drawing(self.full, size, under(size)) if found is None else found.drawing
            small = np.asarray(cv2.resize(self.frame.luma, size[::-1], interpolation=cv2.INTER_AREA))
            L = color.lightness(Frame(small, self.frame.encoding)).L
            corrector = Corrector(L, reach, ITERATIONS if fine else DRAFT_ITERATIONS, prediction.features(pipeline))
            found = self._working[wanted] = _Working(drawing, corrector, reach, prediction)
        return found


HintsAt = Callable[[tuple[int, int]], Hints | None]


def canvas_of(frame: Frame, restored: Frame, side: int) -> Canvas:
    """A frame shrunk to a page's size.

    Args:
        frame: As it was read.
        restored: What will be written, without its colour.
        side: Longer side of the result, at most.
    """
    page = shrunk(restored, side)
    own = None
    if frame.colour is not None:
        small = shrunk(dataclasses.replace(restored, luma=frame.luma, colour=frame.colour), side)
        own = pixels(small)
    return Canvas(page, (frame.height, frame.width), own)


def _without_own(frame: Frame) -> Frame:
    extra = {key: value for key, value in frame.metadata.extra.items() if key != OWN_COLOUR}
    return dataclasses.replace(frame, metadata=dataclasses.replace(frame.metadata, extra=extra))


def shrunk(frame: Frame, side: int) -> Frame:
    """A frame with its longer side at most ``side``, in 8 bits, without alpha."""
    scale = min(1.0, side / max(frame.height, frame.width))
    size = max(1, round(frame.height * scale)), max(1, round(frame.width * scale))
    encoding = dataclasses.replace(frame.encoding, bits=8)
    shift = frame.encoding.bits - 8
    planes = [frame.luma, *(frame.colour or ())]
    extra = dict(frame.metadata.extra)
    own = extra.pop(OWN_COLOUR, None)
    small = [_plane(plane, _shape(encoding, size, number), shift) for number, plane in enumerate(planes)]
    if own is not None:
        extra[OWN_COLOUR] = tuple(
            _plane(plane, _shape(encoding, size, number), shift) for number, plane in enumerate(own, 1)
        )
    return dataclasses.replace(
        frame,
        luma=small[0],
        encoding=encoding,
        colour=tuple(small[1:]) or None,
        alpha=None,
        metadata=dataclasses.replace(frame.metadata, extra=extra),
    )


def _shape(encoding: Encoding, size: tuple[int, int], number: int) -> tuple[int, int]:
    return encoding.chroma_shape(*size) if number and encoding.family == "yuv" else size


def _plane(plane: NDArray[np.integer], size: tuple[int, int], shift: int) -> NDArray[np.uint8]:
    if plane.shape != size:
        plane = np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA))
    if shift:
        plane = np.minimum((plane.astype(np.uint32) + (1 << (shift - 1))) >> shift, 255)
    return np.ascontiguousarray(plane, np.uint8)


def pixels(frame: Frame) -> Pixels:
    """(H, W, 3) RGB codes of an 8-bit frame; three times its grey where it has no colour."""
    if frame.encoding.family == "rgb" and frame.colour is not None:
        return np.asarray(color.interleaved(frame.colour), np.uint8)
    return np.asarray(np.rint(color.rgb(frame) * 255), np.uint8)


def encoded(rgb: Pixels, side: int | None = None) -> bytes:
    """JPEG without subsampled chroma.

    Args:
        side: Longer side, at most.
    """
    height, width = rgb.shape[:2]
    if side is not None and max(height, width) > side:
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    made, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), QUALITY)
    assert made
    return data.tobytes()
