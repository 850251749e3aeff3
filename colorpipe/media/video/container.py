"""Opening a file as FFmpeg sees it, and saying in one line why it cannot be."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.container
import av.logging
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from colorpipe.errors import InputError

_NOT_A_FILM = ("hls", "dash", "concat", "sdp", "tty", "lavfi")
"""Demuxers whose file is a list of other files, or text."""
_A_DAY = "86400000000"
"""A day in microseconds."""
_UNKNOWN_SIZE = 0xFFFFFFFF
"""The size in the header of an AVI that was written into a pipe, where the true size could not be filled in later."""
_logging = threading.Lock()


_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof"})
"""Top-level boxes of an ISO base media file whose end a film needs."""


def _numbered(cls: type[Type], value: object) -> Type:
    """A kind of side data that FFmpeg has and PyAV has no name for, as ``KIND_31``."""
    kind = object.__new__(cls)
    told: Any = kind
    told._name_ = f"KIND_{value}"
    told._value_ = value
    return kind


# PyAV 18 knows the kinds up to 27 and raises ValueError on a frame that carries another one, which hides the known ones
# as well. Python asks ``_missing_`` for a value that an enumeration lacks.
Type._missing_ = classmethod(_numbered)  # type: ignore[method-assign, assignment]


def open_container(path: Path, probed: int | None = None) -> av.container.InputContainer:
    """FFmpeg's view of a file, or one line that says why there is none.

    Args:
        probed: Bytes that are looked through for streams; None is FFmpeg's choice, some seconds.

    Raises:
        InputError: it cannot be read or is not a film.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty", hint="copy it again from where it came")
        # The file: prefix and the whitelist keep a name or a playlist from being taken for a network address.
        # Transport streams: programs whose tables come in the middle of a file count from the start.
        options = {"protocol_whitelist": "file", "scan_all_pmts": "1"}
        if probed is not None:
            options |= {"probesize": str(probed), "analyzeduration": _A_DAY}
        container = av.open(f"file:{path}", container_options=options, metadata_errors="replace")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a film") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    name = container.format.name
    if name.endswith("_pipe") or name == "image2":
        container.close()
        raise InputError(
            f"{path}: a picture ({name.removesuffix('_pipe').upper()}) that is named like a film",
            hint="give it the name of its format, and it is read as a picture",
        )
    if name.split(",")[0] in _NOT_A_FILM:
        container.close()
        raise InputError(f"{path}: not a film but a list or text ({name})", hint="give the film itself")
    return container


def packets(container: av.container.InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of some streams in the file's order; none is empty.

    Raises:
        FFmpegError, OSError: the file cannot be read further.
    """
    read = container.demux(*streams)
    while True:
        try:
            packet = next(read, None)
        except IndexError:  # PyAV's way to say at the end that the file had more streams than it knew when opened
            return
        if packet is None:
            return
        if packet.size or packet.dts is not None:  # PyAV ends a file with packets that hold nothing
            yield packet


def described(container: av.container.InputContainer, verbose: bool = False) -> str:
    """FFmpeg's own description of a file and its streams, with what PyAV has no attribute for.

    Args:
        verbose: With the place of the chroma samples.
    """
    with _logging:  # the description goes through FFmpeg's log, which belongs to the whole process
        level = av.logging.get_level()
        try:
            av.logging.set_level(av.logging.VERBOSE)
            av.logging.set_libav_level(av.logging.VERBOSE if verbose else av.logging.INFO)
            return str(container.dumps_format())  # type: ignore[attr-defined]  # PyAV's stubs lack it
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_level(level)


def stream_lines(container: av.container.InputContainer, verbose: bool = False) -> dict[int, list[str]]:
    """The lines for each stream in ``described``; the first one begins with its kind: ``Video: h264 (High) ...``."""
    lines: dict[int, list[str]] = {}
    current: list[str] = []
    for line in described(container, verbose).splitlines():
        match = re.match(r"\s*Stream #0:(\d+)[^:]*: (.*)", line)
        if match:
            current = lines.setdefault(int(match[1]), [])
            current.append(match[2])
        elif current:
            current.append(line.strip())
    return lines


def film_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    """The stream that is colorized: the first video stream that is not a cover picture.

    Raises:
        InputError: there is none, or no decoder for it.
    """
    stream = next((stream for stream in container.streams.video if not is_cover(stream)), None)
    if stream is None:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "damage"
        raise InputError(f"{path}: no video stream, only {kinds}", hint="nothing in it can be colorized")
    if stream.codec_context is None:
        raise InputError(f"{path}: this FFmpeg has no decoder for its video", hint="convert it first, to FFV1 or H.264")
    return stream


def is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def cut_off(path: Path) -> Iterator[str]:
    """A sentence if the file is shorter than its own headers say, for the containers that tell; else nothing."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        start = file.read(64)
        if start[4:8] == b"ftyp":
            # Junk after the last box, which reads as a box of some length, is missed by nobody.
            promised = max((end for name, end in _top_boxes(file) if name in _BOXES), default=0)
        elif start[:4] == b"RIFF":
            told = int.from_bytes(start[4:8], "little")
            promised = 0 if told == _UNKNOWN_SIZE else told + 8
        elif start[:4] == b"\x1aE\xdf\xa3":
            promised = _matroska_size(start)
        else:
            return
    if promised > size:
        yield f"the file is cut off: {size:,} of {promised:,} bytes are there"


def _matroska_size(start: bytes) -> int:
    """The end of the segment (RFC 9559), from the first bytes of the file; 0 where it is not stated."""
    try:
        place = 4
        length, width = _ebml_number(start, place)
        place += width + length
        if start[place : place + 4] != b"\x18\x53\x80\x67":
            return 0
        length, width = _ebml_number(start, place + 4)
    except IndexError:
        return 0
    unknown = length == (1 << 7 * width) - 1
    return 0 if unknown else place + 4 + width + length


def _ebml_number(data: bytes, place: int) -> tuple[int, int]:
    """A variable-size integer (RFC 8794, 4) and the bytes it takes."""
    width = 9 - data[place].bit_length()
    whole = int.from_bytes(data[place : place + width], "big")
    return whole & ((1 << 7 * width) - 1), width


def _unreadable(path: Path, error: Exception) -> InputError:
    with path.open("rb") as file:
        boxes = [name for name, _ in _top_boxes(file)]
    if boxes and boxes[0] == b"ftyp" and b"moov" not in boxes:
        return InputError(
            f"{path}: the film is cut off: its index (the 'moov' box) is missing",
            hint="copy it again, or repair it with a tool that rebuilds the index from a similar film",
        )
    if isinstance(error, av.EOFError):
        return InputError(f"{path}: the film ends before its first frame", hint="copy it again from where it came")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path}: not a film that FFmpeg can read ({reason})", hint="is it complete, and really a film?")


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and end of each top-level box of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    size, place = file.seek(0, os.SEEK_END), 0
    while place + 8 <= size:
        file.seek(place)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: to the end of the file
            yield header[4:8], size
            return
        place += length
        yield header[4:8], place
