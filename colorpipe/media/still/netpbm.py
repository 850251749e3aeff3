"""Netpbm's plain and raw bitmaps, greymaps, pixmaps and arbitrary maps, P1 to P7 (netpbm.sourceforge.net, pbm(5) to
pam(5)); what ``scanimage`` writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorpipe.errors import InputError

_TOKEN = re.compile(rb"(?:[ \t\r\n\v\f]|#[^\n\r]*[\n\r])*([^ \t\r\n\v\f#]+)")
_COMMENT = re.compile(rb"#([^\n\r]*)[\n\r]")
_KINDS = {
    b"GRAYSCALE": 1,
    b"BLACKANDWHITE": 1,
    b"RGB": 3,
    b"GRAYSCALE_ALPHA": 2,
    b"BLACKANDWHITE_ALPHA": 2,
    b"RGB_ALPHA": 4,
}
_HEAD = 64 << 10
"""Bytes that a header and its comments are looked for in."""


@dataclass(frozen=True)
class Netpbm:
    """A header."""

    path: Path
    kind: int
    """The digit behind P."""
    width: int
    height: int
    bands: int
    peak: int
    """The value of white."""
    start: int
    """Where the pixels begin."""
    comments: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, path: Path) -> Netpbm:
        """The first picture of a file.

        Raises:
            InputError: it is damaged.
        """
        with open(path, "rb") as file:
            head = file.read(_HEAD)
        kind = head[1] - 48
        try:
            if kind == 7:
                return cls._of_pam(path, head)
            at, numbers = 2, []
            for _ in range(2 if kind in (1, 4) else 3):
                match = _TOKEN.match(head, at)
                if match is None:
                    raise ValueError("its header is incomplete")
                numbers.append(int(match[1]))
                at = match.end()
            peak = numbers[2] if len(numbers) == 3 else 1
            comments = tuple(match[1].strip() for match in _COMMENT.finditer(head[:at]))
            bands = 3 if kind in (3, 6) else 1
            return cls._checked(cls(path, kind, numbers[0], numbers[1], bands, peak, at + 1, comments))
        except ValueError as error:
            raise _damaged(path, str(error)) from None

    @classmethod
    def _of_pam(cls, path: Path, head: bytes) -> Netpbm:
        top, mark, _ = head.partition(b"ENDHDR\n")
        fields = dict(re.findall(rb"(?m)^(WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)[ \t]+(\S+)", top))
        if not mark or not {b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"} <= fields.keys():
            raise ValueError("its header is incomplete")
        width, height, depth, peak = (int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
        bands = _KINDS.get(fields.get(b"TUPLTYPE", b""), depth)
        if bands != depth or not 1 <= depth <= 4:
            raise ValueError(f"{depth} channels of {fields.get(b'TUPLTYPE', b'no').decode('latin-1')} kind")
        comments = tuple(match[1].strip() for match in _COMMENT.finditer(top))
        return cls._checked(cls(path, 7, width, height, depth, peak, len(top) + len(mark), comments))

    @classmethod
    def _checked(cls, header: Netpbm) -> Netpbm:
        if not (header.width > 0 and header.height > 0 and 0 < header.peak < 65536):
            raise ValueError(f"it claims {header.width} x {header.height} pixels up to {header.peak}")
        return header

    def pixels(self, partial: bool = False) -> tuple[NDArray[Any], int]:
        """(H, W, C) uint8, or uint16 where white is above 255, scaled to the full range; and rows that are there.

        Args:
            partial: A file that is cut off is read as far as it goes, the rest is zero.

        Raises:
            InputError: it is cut off, or holds what is no number.
        """
        count = self.width * self.height * self.bands
        with open(self.path, "rb") as file:
            file.seek(self.start if self.kind > 3 else self.start - 1)
            data = file.read()
        if self.kind <= 3:
            values = self._plain(data, count)
        elif self.kind == 4:
            row = -(-self.width // 8)
            whole = np.frombuffer(data[: row * self.height], np.uint8)
            whole = whole[: len(whole) // row * row].reshape(-1, row)
            values = np.unpackbits(whole, axis=1)[:, : self.width].ravel()
        elif self.peak > 255:
            values = np.frombuffer(data[: min(2 * count, len(data) // 2 * 2)], ">u2")
        else:
            values = np.frombuffer(data[:count], np.uint8)
        rows = min(self.height, len(values) // (self.width * self.bands))
        if rows < self.height and not partial:
            raise _damaged(self.path, f"{rows} of {self.height} rows", "cut-off")
        full = np.zeros(count, np.uint16 if self.peak > 255 else np.uint8)
        taken = rows * self.width * self.bands
        full[:taken] = self._scaled(values[:taken])
        return full.reshape(self.height, self.width, self.bands), rows

    def _scaled(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.kind in (1, 4):  # a bit that is set is ink
            return np.asarray((1 - values) * 255, np.uint8)
        white = 65535 if self.peak > 255 else 255
        table = np.minimum(np.rint(np.arange(65536 if self.peak > 255 else 256) * (white / self.peak)), white)
        return np.asarray(table.astype(np.uint16 if self.peak > 255 else np.uint8)[values])

    def _plain(self, data: bytes, count: int) -> NDArray[Any]:
        text = re.sub(rb"#[^\n\r]*", b"", data)
        digits = [bytes([byte]) for byte in text if byte in b"01"] if self.kind == 1 else text.split()
        try:
            values = np.array([int(digit) for digit in digits[:count]], np.int64)
        except ValueError:
            raise _damaged(self.path, "something in it is no number") from None
        if len(values) and (values.min() < 0 or values.max() > 65535):
            raise _damaged(self.path, "a number is out of range")
        return values


def _damaged(path: Path, reason: str, how: str = "damaged or cut-off") -> InputError:
    return InputError(
        f"{path} is a {how} Netpbm picture ({reason})",
        hint="restore it from a backup, or scan it again; --damaged goes on with what can be decoded",
    )
