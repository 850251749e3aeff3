"""A protocol's fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colorpipe.training.holdout import is_held_out

Region = tuple[float, float, float, float]
"""Top, left, bottom, right as fractions of the picture's sides."""
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Protocol:
    """How a colour picture or film becomes a grey one to be colorized, and a truth to score the result against.

    Pictures are taken upright, in sRGB, in 8 bits, over white where they are transparent; then resized; then made grey.
    A method sees the grey of ``score`` and nothing else of the picture, but for the colours of ``learn``. Of a film
    each plane is resized, as it was decoded; result and truth are scored in sRGB, their chroma of the film's own depth.
    """

    name: str
    """The name that ``--protocol`` takes, with its version."""
    summary: str
    """One line for a person."""
    source: str = ""
    """The source of the protocol, where it follows somebody else's."""
    medium: Literal["still", "video"] = "still"
    """The medium of its inputs."""
    frames: int | None = None
    """The number of frames compared, from a film's first frame on; None compares all."""
    side: int | None = 256
    """Pictures are squashed to a square of this side, whatever their shape; None keeps their size. Films are shrunk,
    never enlarged, until the shorter side is this, and keep their shape."""
    resampling: Literal["bicubic", "area"] = "bicubic"
    """Bicubic with antialiasing over 8-bit codes, as Pillow resizes; or the mean of the area, as OpenCV does."""
    grey: Literal["lightness", "luminosity", "luma"] = "lightness"
    """``lightness``: the grey of the same CIE lightness, so that the right chroma gives the true picture back.
    ``luminosity``: 0.21 R + 0.72 G + 0.07 B over sRGB codes. Either is rounded to 8 bits. ``luma``: a film's Y
    plane."""
    learn: Region | None = None
    """The region whose colours a method receives as its reference, picture by picture; None gives none."""
    score: Region = WHOLE
    """The region that is colorized and scored."""
    share: float = 1.0
    """Part of the inputs that is scored, 0..1; the rest is for training. Which, depends on the file's name alone."""
    seed: int = 0
    """Decides that choice."""

    @property
    def unit(self) -> str:
        """The word for one input."""
        return "clip" if self.medium == "video" else "picture"

    def is_scored(self, path: Path) -> bool:
        """Whether a picture is among those that are scored; the others are left for training."""
        return is_held_out(path.name, self.share, self.seed)
