"""Films whose pictures become others: the result ends where they do.

A recording that goes from one channel's size to another's, or two films joined without encoding them anew. A player
scales the rest; here that would change the luma, which is never done (docs/explanation/frame.md). What comes before the
change is a whole film, with its sound up to there.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """What all frames of a film have in common."""

    width: int
    height: int
    pixel_format: str
    """FFmpeg's name."""


def told(index: int, end: Fraction, before: Kind, now: Kind) -> str:
    """A note on a film that ends before a frame, at ``end`` seconds."""
    change = f"{now.pixel_format}, those before it {before.pixel_format}"
    if now[:2] != before[:2]:
        change = f"{now.width}x{now.height}, those before it {before.width}x{before.height}"
    return (
        f"the result ends before frame {index} ({float(end):.3f} s): that one is {change}, and its grey would have to "
        "be changed to stand beside theirs; cut the source there and colorize the rest by itself"
    )


def foretold(path: Path, sizes: Sequence[tuple[int, int, int]], size: tuple[int, int]) -> str:
    """A warning of the same before the work, where the headers of a recording were looked through; or nothing.

    Args:
        sizes: ``Survey.sizes``.
        size: Width and height of the first frame.
    """
    if not sizes:
        return ""
    number, width, height = sizes[0]
    return (
        f"{path}: about frame {number} is {width}x{height}, those before it {size[0]}x{size[1]}: the result will end "
        "there; to have all of it, cut the source there and colorize the parts"
    )
