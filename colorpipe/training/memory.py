"""The C library's memory, for a process that trains on a CPU."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_MALLOC = ((-4, 0), (-1, 2**31 - 1), (-2, 256 << 20), (-8, 1))
"""Parameters from glibc's malloc.h: M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD in bytes, M_ARENA_MAX."""


def keep_memory() -> None:
    """Make glibc's malloc keep what it has, for the rest of the process: large arrays in the heap, nothing given back.

    By default each large array is pages of its own, which the kernel clears when they are first touched and takes back
    when the array is freed: a step of training frees and asks for the same sizes each time. Up to half of the time
    went there.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such settings, nor the habit
            library = ctypes.CDLL(None)
            for name, value in _MALLOC:
                library.mallopt(name, value)
