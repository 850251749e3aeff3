"""Protocols: what exactly is measured. Each is data, in a file of its own, under a name with a version.

What a name stands for never changes: another size, formula or region is another version, so that figures under one name
can be compared, whoever measured them and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from colorpipe.errors import UsageError
from colorpipe.evaluation.protocol import Protocol
from colorpipe.evaluation.protocols import (
    left_right_120_v1,
    left_right_256_v1,
    native_v1,
    split_70_30_v1,
    video_v1,
    whole_256_v1,
)
from colorpipe.media.inputs import is_video

DEFAULT_PROTOCOL = "whole-256.v1"
_FILES = (whole_256_v1, native_v1, left_right_120_v1, left_right_256_v1, split_70_30_v1, video_v1)
PROTOCOLS: dict[str, Protocol] = {file.PROTOCOL.name: file.PROTOCOL for file in _FILES}


def usual(paths: Sequence[Path]) -> str:
    """The name of the protocol where none was named: that of films where all are, by their names."""
    return video_v1.PROTOCOL.name if paths and all(map(is_video, paths)) else DEFAULT_PROTOCOL


def get(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"there is no protocol {name!r}", hint=f"protocols: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
