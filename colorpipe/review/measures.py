"""What small copies of a picture before and after tell of its colour."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from colorpipe import color
from colorpipe.color import Float
from colorpipe.errors import ColorpipeError, UsageError
from colorpipe.media import open_source
from colorpipe.types import Encoding, Frame

if TYPE_CHECKING:
    from colorpipe.pipeline.session import Session
    from colorpipe.plugins.host import PluginHost
    from colorpipe.plugins.interfaces import Evaluator
    from colorpipe.review.small import RGB

log = logging.getLogger(__name__)
SIDE = 320
"""Longer side at which is measured, pixels: a face of a thirteenth of it is found."""
LEAST_FACE = 24
"""Pixels of a face: the size of the detector's own window."""
FACE_INSIDE = 0.25
"""Share of a face's box that is left out at each border, where hair, hat and background are."""
COLOURED = 6.0
"""Chroma, CIE units, from which a place is seen as coloured beside grey."""
DEFAULT_EVALUATORS = ("patchiness",)
"""Measures that are asked where they are installed."""
_EIGHT_BITS = Encoding("rgb", 8)


class Measurer:
    """Measures pictures, in several threads at once.

    Args:
        evaluators: Names of measures that need no true colours; None takes ``DEFAULT_EVALUATORS``.
        colorizer: Is asked how sure it is of a picture where the run has not kept that; None asks nobody.

    Raises:
        UsageError: a measure that was named is unknown, or needs more than two pictures; a colorizer tells no
            confidence.
    """

    def __init__(self, host: PluginHost, evaluators: Sequence[str] | None = None, colorizer: str | None = None) -> None:
        installed = host.classes("evaluator")
        names = evaluators if evaluators is not None else [name for name in DEFAULT_EVALUATORS if name in installed]
        self._classes = [host.evaluator(name) for name in names]
        for cls in self._classes:
            if not cls.without_truth or cls.of_films or cls.needs_distribution or cls.uses_weights():
                raise UsageError(f"--evaluator {cls.name} does not measure a result by itself")
        self._own = threading.local()
        self._asked = None if colorizer is None else _session(host, colorizer)
        self._turn = threading.Lock()

    @property
    def identity(self) -> list[str]:
        """What decides the measures, besides the pictures."""
        return [*sorted(self.worse), *([self._asked.digest] if self._asked else [])]

    @property
    def worse(self) -> dict[str, int]:
        """Score -> the direction that deserves a look: 1 more, -1 less, 0 both."""
        found = {}
        for cls in self._classes:
            for name in cls.without_truth:
                higher = cls.higher_is_better[name]
                found[name] = 1 if not higher else 0 if name in cls.describes else -1
        return found

    def measure(self, before: RGB, after: RGB) -> dict[str, float]:
        """The measures of a picture: ``a``, ``b`` and ``chroma``, means; ``coloured``, a share; ``face_chroma`` and
        ``face_hue`` (degrees) of the most colourful face, where there is one; and the scores of the evaluators.

        Args:
            before, after: Of one size, the longer side ``SIDE`` at most.
        """
        grey = np.asarray(cv2.cvtColor(before, cv2.COLOR_RGB2GRAY))
        ab = np.asarray(color.rgb_to_lab(after.astype(np.float32) / np.float32(255)).ab, np.float32)
        chroma = np.hypot(ab[..., 0], ab[..., 1])
        found = {
            "a": float(ab[..., 0].mean()),
            "b": float(ab[..., 1].mean()),
            "chroma": float(chroma.mean()),
            "coloured": float((chroma > COLOURED).mean()),
            **self._of_faces(grey, ab),
            **self._scores(grey, after),
        }
        return {name: round(value, 4) for name, value in found.items() if np.isfinite(value)}

    def confidence(self, source: Path) -> float | None:
        """How sure the colorizer is of a picture, 0..1; None where none is asked, or the picture cannot be read.

        Raises:
            UsageError: it tells no confidence.
        """
        if self._asked is None:
            return None
        try:
            with open_source(source, self._asked.media) as opened:
                if opened.info.medium != "still":
                    return None
                frame = next(iter(opened))
        except (ColorpipeError, OSError):
            return None
        sure: list[float] = []
        with self._turn:
            self._asked.pipeline.predict([self._asked.pipeline.prepare(frame)], sure=sure)
        if not sure:
            name = self._asked.recipe.colorizer.name
            raise UsageError(
                f"--colorizer {name} does not tell how sure it is", hint="ask one that predicts a distribution"
            )
        return sure[0]

    def _of_faces(self, grey: Any, ab: Float) -> dict[str, float]:
        most: dict[str, float] = {}
        for top, left, side in self._faces(grey):
            border = round(side * FACE_INSIDE)
            inside = ab[top + border : top + side - border, left + border : left + side - border].reshape(-1, 2)
            a, b = (float(value) for value in np.median(inside, 0))
            strength = float(np.hypot(a, b))
            if strength >= most.get("face_chroma", 0.0):
                most = {"face_chroma": strength, "face_hue": float(np.degrees(np.arctan2(b, a)))}
        return most

    def _faces(self, grey: Any) -> list[tuple[int, int, int]]:
        """Top, left and side of the boxes of frontal faces."""
        if min(grey.shape) <= LEAST_FACE:
            return []
        if not hasattr(self._own, "cascade"):
            from skimage.data import lbp_frontal_face_cascade_filename
            from skimage.feature import Cascade

            # Local binary patterns in a cascade (Liao et al. 2007), trained by OpenCV, as scikit-image ships it.
            self._own.cascade = Cascade(lbp_frontal_face_cascade_filename())
        found = self._own.cascade.detect_multi_scale(
            img=grey,
            scale_factor=1.2,
            step_ratio=1.5,
            min_size=(LEAST_FACE, LEAST_FACE),
            max_size=(min(grey.shape), min(grey.shape)),
        )
        return [(int(one["r"]), int(one["c"]), int(one["width"])) for one in found]

    def _scores(self, grey: Any, after: RGB) -> Mapping[str, float]:
        if not hasattr(self._own, "evaluators"):
            self._own.evaluators = [cls() for cls in self._classes]
        truth = Frame(grey, _EIGHT_BITS, colour=(grey,) * 3)
        planes = tuple(np.ascontiguousarray(after[..., channel]) for channel in range(3))
        result = Frame(grey, _EIGHT_BITS, colour=planes)
        scores: dict[str, float] = {}
        evaluator: Evaluator
        for evaluator in self._own.evaluators:
            found = evaluator.update(result, truth)
            evaluator.finish()  # it keeps the scores of a set, which nobody asks for here
            scores |= {name: float(found[name]) for name in evaluator.without_truth if name in found}
        return scores


def _session(host: PluginHost, colorizer: str) -> Session:
    from colorpipe.pipeline.session import Session  # torch takes a second or two, and most reviews ask nobody

    return Session(colorizer, host=host, engine="torch")  # converting takes longer than most albums
