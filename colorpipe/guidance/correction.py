"""Painted colours laid over what a method predicts, whatever the method.

The difference between hint and prediction, and a membership that is 1 where something was painted, are spread along
lightness (``solver``). Their quotient holds over a whole surface, where the difference alone would fade, and it keeps
the method's own shading of hue. Where the membership is weak, as it soon is on a texture, likeness to what was painted
decides (``likeness``). All of it falls with the distance, and ends where nothing is connected.
"""

from __future__ import annotations

import cv2
import numpy as np

from colorpipe.color import Float
from colorpipe.guidance import likeness
from colorpipe.guidance.hint_files import Hints
from colorpipe.guidance.solver import ITERATIONS, Graph, Spreader

SIDE = 512
"""Pixels of the longer side at which a correction is worked out, at most; the guided filter brings it to full size."""
REACH = 0.6
"""``--hint-reach`` where none is asked for, as a share of the longer side."""

# The constants below were chosen on 40 photographs with three points of the true colours each, three times over;
# docs/hints.md has the figures.
EDGE = 3.0
"""Differences of lightness count in this many times their mean over the picture: a weight is half at 1.18 of them."""
LEAST_EDGE = 1.0
"""Least difference of L that counts as an edge: smaller ones are grain."""
FLOOR = 1e-4
"""Least weight: textures stay connected, and a colour hardly comes through a closed outline on a plain surface."""
RANGE = 0.8
"""Distance, as a share of the reach, over which what is spread falls to 1/e on a plain surface."""
SURE_FROM, SURE_AT = 0.4, 0.8
"""Membership from which on a place begins to count as the painted surface, and where it does wholly."""
FULL_AT = 0.15
"""Membership below which what likeness gives fades: a place that nothing connects with a hint takes none."""
FADE_FROM, FADE_TO = 0.6, 0.9
"""Shares of the reach where a correction begins to fade, and where it ends: farther than half a picture nearly nothing
is to change at the default."""
LIKE = 30.0
"""Difference of L, from what was painted, at which a surface counts 1/e; half as far it is 94%."""
SOFT = 0.005
"""Standard deviation, as a share of the longer side, of the blur under which lightness is compared."""


class Corrector:
    """Corrections of one picture; hints and prediction may change from call to call.

    What hangs on the picture alone, and on where hints lie, is kept, and each solution starts from the last.

    Args:
        L: (h, w) 0..100, at the working size.
        reach: How far a hint goes where nothing stops it, as a share of the longer side, above 0.
        iterations: Steps of each solution.
        features: (C, h', w'): what the method sees at each place of the same picture, as ``Colorizer.features`` gives
            it; None where it does not tell.
    """

    def __init__(
        self, L: Float, reach: float = REACH, iterations: int = ITERATIONS, features: Float | None = None
    ) -> None:
        self._L, self._reach, self._iterations = L, reach, iterations
        self._graph = graph_of(L)
        self._soft = np.asarray(cv2.GaussianBlur(L, (0, 0), max(0.3, SOFT * max(L.shape))), np.float32)
        self._seen = None if features is None else likeness.directions(features)
        self._spreader: Spreader | None = None
        self._fixed = np.zeros(L.shape, np.bool_)
        self._last: Float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """h and w of the working size."""
        return self._L.shape[0], self._L.shape[1]

    def delta(self, ab: Float, hints: Hints) -> Float:
        """The correction to add to a prediction.

        Args:
            ab: (h, w, 2) CIE units, the prediction at the working size.
            hints: At the working size. On painted pixels the sum is the painted colour, as far as its weight says.

        Returns:
            (h, w, 2) CIE units; 0 everywhere where nothing is painted, and beyond the reach.
        """
        fixed = (hints.weight > 0) | hints.keep
        if not fixed.any():
            return np.zeros_like(ab)
        self._fix(fixed, likeness.grouped(hints.weight, hints.keep))
        wanted = np.where(hints.keep[..., None], np.float32(0), (hints.ab - ab) * hints.weight[..., None])
        # d and m of the module's docstring, and the lightness of what was painted
        given = np.stack([wanted[..., 0], wanted[..., 1], np.ones_like(self._L), self._soft]) * fixed
        assert self._spreader is not None
        self._last = spread = self._spreader.solve(given.astype(np.float32), self._last, self._iterations)
        membership = np.clip(spread[2], 0, 1)
        a, b, painted_L = spread[[0, 1, 3]] / np.maximum(membership, np.float32(1e-5))
        sure = _smooth((membership - np.float32(SURE_FROM)) / np.float32(SURE_AT - SURE_FROM))
        sure *= np.exp(-((np.abs(self._soft - painted_L) / np.float32(LIKE)) ** 4))
        like = likeness.shared(self._soft, ab, wanted.astype(np.float32), self._groups, self._seen)
        like *= ((1 - sure) * _smooth(membership / np.float32(FULL_AT)))[..., None]
        surface = np.asarray(cv2.merge([a, b]), np.float32).reshape(ab.shape)
        made = (surface * sure[..., None] + like) * self._near[..., None]
        return np.where(fixed[..., None], wanted, made).astype(np.float32)

    def _fix(self, fixed: np.ndarray, groups: np.ndarray) -> None:
        self._groups = groups
        if self._spreader is not None and np.array_equal(fixed, self._fixed):
            return
        longer = max(self._L.shape)
        screen = (1 / (RANGE * self._reach * longer)) ** 2
        self._fixed, self._spreader = fixed, Spreader(self._graph, screen, fixed)
        away = cv2.distanceTransform((~fixed).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) / np.float32(longer)
        begin, end = FADE_FROM * self._reach, FADE_TO * self._reach
        self._near = _smooth((np.float32(end) - away) / np.float32(end - begin))


def graph_of(L: Float) -> Graph:
    """Weights from lightness (h, w), 0..100: 1 on plain surfaces, ``FLOOR`` across the strongest edges.

    ``exp(-(L_r - L_s)^2 / 2 sigma^2)``, after Levin, Lischinski and Weiss 2004, with one sigma from the picture's own
    gradients.
    """
    across, down = np.diff(L, axis=1), np.diff(L, axis=0)
    count = across.size + down.size
    mean = (float(np.abs(across).sum()) + float(np.abs(down).sum())) / max(count, 1)
    falling = np.float32(-0.5 / max(LEAST_EDGE, EDGE * mean) ** 2)
    right, below = (np.exp(falling * step * step) + np.float32(FLOOR) for step in (across, down))
    return Graph(right.astype(np.float32), below.astype(np.float32))


def working_size(height: int, width: int) -> tuple[int, int]:
    """h and w at which a picture's correction is worked out."""
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _smooth(t: Float) -> Float:
    """0 below 0, 1 above 1, and a smooth step between."""
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
