"""The C library's memory, for a process that trains on a CPU."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Mapping

_KEEP = {-4: 0, -1: 2**31 - 1, -2: 256 << 20, -8: 1}
"""Parameters from glibc's malloc.h: M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD in bytes, M_ARENA_MAX."""
_USUAL = {-4: 65_536, -3: 32 << 20, -1: 64 << 20, -2: 128 << 10}
"""What glibc comes to by itself in a program of large arrays; M_MMAP_THRESHOLD too: it adapts until one is set."""


def keep_memory() -> None:
    """Make glibc's malloc keep what it has, until ``release_memory``: large arrays in the heap, nothing given back.

    By default each large array is pages of its own, which the kernel clears when they are first touched and takes back
    when the array is freed: a step of training frees and asks for the same sizes each time. Up to half of the time
    went there.
    """
    _set(_KEEP)


def release_memory() -> None:
    """The network, its optimizer and all that a run made refer to each other: collect them, and give the pages back."""
    gc.collect()
    _set(_USUAL, trim=True)


def _set(parameters: Mapping[int, int], *, trim: bool = False) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such settings, nor the habit
            library = ctypes.CDLL(None)
            for name, value in parameters.items():
                library.mallopt(name, value)
            if trim:
                library.malloc_trim(0)
