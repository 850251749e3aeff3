"""What a network is given with its pictures, for methods that ask for it: companions, and neighbouring frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from colorpipe.types import Batch, Companion, Frame, Lab

if TYPE_CHECKING:
    import torch

    from colorpipe.color import Float
    from colorpipe.plugins.interfaces import Colorizer


@dataclass(frozen=True)
class Neighbours:
    """The frames around one of a film."""

    L: Float
    """(2k, h, w) 0..100: k before, oldest first, and k after."""
    in_shot: tuple[bool, ...]
    """2k: whether there is such a frame in the shot."""


@dataclass(frozen=True)
class Extra:
    """Companions and clips of N pictures; empty for methods that ask for none."""

    companions: tuple[Companion, ...] = ()
    clips: tuple[Neighbours, ...] = ()

    def part(self, part: slice) -> Extra:
        """Those of some of the pictures."""
        return Extra(self.companions[part], self.clips[part])

    def batch(
        self,
        colorizer: Colorizer,
        L: torch.Tensor,
        hints: torch.Tensor | None,
        reference: Lab | None,
        tensor: Callable[[Float, int], torch.Tensor],
    ) -> Batch:
        """The batch of these pictures, filled up to the length of ``L`` by repeating the last.

        Args:
            reference: The run's, for pictures without one of their own.
            tensor: Moves values to the device, filled up to so many.
        """
        size = len(L)
        companions = _filled(self.companions or (Companion(),) * asks(colorizer), size)
        companions = tuple(one if one.reference else replace(one, reference=reference) for one in companions)
        if not self.clips:
            return Batch(L, hints, reference, companions)
        clip = tensor(np.stack([one.L for one in self.clips]), size)
        in_shot = tensor(np.array([one.in_shot for one in self.clips])[..., None, None], size)[..., 0, 0]
        return Batch(L, hints, reference, companions, clip, in_shot)


def asks(colorizer: Colorizer) -> bool:
    """Whether a method is given companions."""
    return bool(colorizer.looks_at) or colorizer.results > 1


def _filled(companions: tuple[Companion, ...], size: int) -> tuple[Companion, ...]:
    return companions + companions[-1:] * (size - len(companions)) if companions else ()


def gathered(companions: Sequence[Companion | None], clips: Sequence[Neighbours | None]) -> Extra:
    """Of pictures of one call: all have them or none."""
    return Extra(tuple(one for one in companions if one is not None), tuple(clip for clip in clips if clip is not None))


def companion_of(
    colorizer: Colorizer, frame: Frame, *, prompt: str, reference: Lab | None, result: int
) -> Companion | None:
    """What belongs to a picture, for a method that asks for any of it; None for others.

    Args:
        frame: The picture, or a film's first frame.
        reference: Its own.
    """
    if not asks(colorizer):
        return None
    seed = seed_of(frame) if "seed" in colorizer.looks_at else 0
    return Companion(reference, prompt, seed, result)


def seed_of(frame: Frame) -> int:
    """A number 0..2**63-1 made of a picture's luma."""
    digest = hashlib.blake2b(np.ascontiguousarray(frame.luma).data, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
