"""Choice of the pictures kept from training, by their file names alone."""

from __future__ import annotations

import hashlib


def is_held_out(name: str, share: float, seed: int = 0) -> bool:
    """Whether a picture of this file name is among the ``share`` (0..1) that is not trained on.

    By the SHA-256 of seed and name: a picture stays on its side when others come or go, or it is moved. Training with
    ``held_out_share`` asks here too, so that a protocol with the same share scores what was not trained on.
    """
    digest = hashlib.sha256(f"{seed}:".encode() + name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
