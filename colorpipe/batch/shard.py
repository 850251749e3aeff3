"""One of N equal parts of the inputs, chosen by a hash of each path, so that N machines share a job without talking."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from colorpipe.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """``I/N``: I counts from 1 to N, or from 0 to N - 1, since 0/N and N/N are the same shard.

    So an array of jobs may be numbered either way. The N shards have every input once, whatever the order in which
    folders are listed and whatever inputs come or go.
    """

    number: int
    """0 to ``of - 1``."""
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``I/N``.

        Raises:
            UsageError: it is no such pair, or I is not in 0..N.
        """
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        number, of = (int(match[1]), int(match[2])) if match else (1, 0)
        if number > of or of < 1:
            raise UsageError(
                f"--shard takes I/N, as 3/10, with I in 1..N or in 0..N-1, not {text!r}",
                hint="N is the number of shards, the same for all of them",
            )
        return cls(number % of, of)

    def takes(self, relative: str) -> bool:
        """Whether an input is of this shard.

        Args:
            relative: ``Job.relative``: its path inside the folder that was named, with ``/`` between the parts. Where
                that folder lies does not count. SHA-256 of its bytes, the first 8 as a number, modulo N.
        """
        return int.from_bytes(hashlib.sha256(os.fsencode(relative)).digest()[:8], "big") % self.of == self.number
