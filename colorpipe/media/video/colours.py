"""Whether a film has colours already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colorpipe.media.video.layout import PixelLayout

EVERY = 12
"""Frames between looks: a title stays longer."""
NOISE = 16
"""Codes of 255 that chroma of a grey film may be off: noise of tapes, rounding of codecs."""
LEAST = 1 / 2000
"""Share of a frame's places from which on colour counts: a line of a title."""


class ColourWatch:
    """Looks at a film's frames now and then."""

    def __init__(self, layout: PixelLayout) -> None:
        self._layout = layout
        self._looks = self._found = 0

    @property
    def found(self) -> bool:
        """Whether places were not grey: in two frames, since one may be damaged, or in the only one looked at."""
        return self._found >= 2 or self._found == self._looks == 1

    def look(self, index: int, planes: Sequence[np.ndarray]) -> None:
        """Look at the planes of frame ``index``: Y, U, V."""
        if self._layout.subsampling is not None and index % EVERY == 0 and not self.found:
            self._looks += 1
            self._found += any(self._is_coloured(plane) for plane in planes[1:3])

    def _is_coloured(self, plane: np.ndarray) -> bool:
        bits = self._layout.bits
        seen = plane[::2, ::2].astype(np.int32)
        beyond = np.count_nonzero(np.abs(seen - (1 << (bits - 1))) > NOISE << (bits - 8))
        return bool(beyond > seen.size * LEAST)
