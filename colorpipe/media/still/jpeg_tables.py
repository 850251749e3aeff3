"""How coarsely a JPEG file keeps its colours, told from its quantisation tables (ITU-T T.81, B.2.4.1)."""

from __future__ import annotations

import struct
from pathlib import Path

FIRST = 10
"""Coefficients that are looked at, from the mean of a block upwards: those that photographs have in their chroma."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DQT, _SOS = 0xDB, 0xDA


def chroma_step(path: Path) -> float:
    """Mean step in which the first coefficients of a block of chroma are rounded: 2 to 3 at the usual quality of 95, 27
    at 50. 0 for a file of another kind, and for a JPEG without chroma.

    Raises:
        OSError: it cannot be read.
    """
    tables: dict[int, tuple[int, ...]] = {}
    used: list[int] = []
    with path.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return 0.0
        while True:
            head = file.read(4)
            if len(head) < 4 or head[0] != 0xFF or head[1] == _SOS:
                break
            marker, length = head[1], struct.unpack(">H", head[2:])[0]
            body = file.read(max(0, length - 2))
            if marker == _DQT:
                tables |= _tables(body)
            elif marker in _FRAMES and len(body) >= 6:
                used = [body[8 + 3 * number] for number in range(body[5]) if 8 + 3 * number < len(body)]
    table = tables.get(used[1], ()) if len(used) == 3 else ()
    return sum(table[:FIRST]) / FIRST if len(table) == 64 else 0.0


def _tables(body: bytes) -> dict[int, tuple[int, ...]]:
    """Number -> the 64 steps, in the order of the zigzag."""
    found: dict[int, tuple[int, ...]] = {}
    while body:
        wide, number = body[0] >> 4, body[0] & 15
        length = 128 if wide else 64
        if len(body) < 1 + length:
            break
        found[number] = struct.unpack(">64H" if wide else "64B", body[1 : 1 + length])
        body = body[1 + length :]
    return found
