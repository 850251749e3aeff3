"""Which container holds which streams, and how: tested before any work is done, by writing and reading back."""

from __future__ import annotations

import functools
import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.container
from av.format import ContainerFormat
from av.packet import Packet
from av.stream import Disposition, Stream

from colorpipe.errors import InputError, UsageError
from colorpipe.media.video.container import film_stream, packets
from colorpipe.media.video.convert import DISC_PCM, Repacked, Rewritten, rewritten_as
from colorpipe.media.video.survey import open_film

SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes that a film can be written as -> FFmpeg's muxer. AVI is not among them: it has no timestamps, and H.264 with
B-frames needs them. WebM is not either: it takes other codecs."""
ISO = ("mp4", "mov")
"""Muxers of the ISO base media family."""
FAILURES = (av.FFmpegError, OSError, ValueError)
"""Errors that PyAV raises when a muxer or an encoder refuses."""
Way = Literal["copied", "passed", "repacked", "rewritten"]
"""How a stream gets into a result: packet by packet; likewise, past PyAV's table of what the container holds; as the
same samples in another packing; as the same text in another notation."""
_WORTH: dict[Way, Fraction] = {
    "copied": Fraction(1), "passed": Fraction(1), "repacked": Fraction(9, 10), "rewritten": Fraction(8, 10),
}  # fmt: skip
_NONSTRICT = 0x20000
"""FFmpeg's AVFMT_TS_NONSTRICT."""


def output_suffix(path: Path, codec: str) -> str:
    """The suffix for the result of colorizing ``path``: a container that holds the codec and the most of its streams.

    Among equals the first wins: the source's own container where the codec fits, then one whose time base is as fine
    as the source's. Matroska counts whole milliseconds, so that it comes last unless the source is Matroska. PCM is at
    home in QuickTime: few players know it in MP4.
    """
    suffix = path.suffix.lower()
    if suffix in (".mkv", ".mka", ".webm"):
        return ".mkv"
    try:
        with open_film(path) as film:
            colorized = film_stream(path, film).index
            # Data tracks do not decide: they are time codes and sensors' tracks that only QuickTime's own tools read.
            copied = [stream for stream in film.streams if stream.index != colorized and stream.type != "data"]
            own = [suffix] if suffix in SUFFIXES else []
            pcm = suffix == ".avi" or any(_codec(stream).startswith("pcm_") for stream in copied)
            choices = own + ([".mov", ".mp4", ".mkv"] if pcm else [".mp4", ".mov", ".mkv"])
            choices = [choice for choice in dict.fromkeys(choices) if holds_codec(SUFFIXES[choice], codec)]
            worth = [sum(_worth(path, choice, stream, suffix) for stream in copied) for choice in choices]
    except InputError:  # it is told when the film is opened for its frames
        return next(choice for choice in (".mp4", ".mkv") if holds_codec(SUFFIXES[choice], codec))
    return choices[worth.index(max(worth))]


def _worth(path: Path, choice: str, stream: Stream, own: str) -> Fraction:
    found = way(path, SUFFIXES[choice], stream)
    if found is None or (own not in SUFFIXES and few_play(SUFFIXES[choice], stream)):
        return Fraction(0)
    return _WORTH[found]


def few_play(muxer: str, stream: Stream) -> bool:
    """Whether a container takes a sound that players do not expect there."""
    name = _codec(stream)
    return (name.startswith("pcm_") and muxer == "mp4") or (name.startswith(("wma", "adpcm_")) and muxer in ISO)


def muxer_of(path: Path) -> str:
    muxer = SUFFIXES.get(path.suffix.lower())
    if muxer is None:
        raise UsageError(
            f"{path}: films are not written as {path.suffix or 'a file without suffix'}",
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    return muxer


def holds_codec(muxer: str, codec: str) -> bool:
    try:
        av.open(io.BytesIO(), "w", format=muxer).add_stream(codec)
    except FAILURES:
        return False
    return True


def takes_equal_times(muxer: str) -> bool:
    """Whether a stream's packets may be decoded at the same time, as the muxer itself states."""
    return bool(ContainerFormat(muxer, "w").flags & _NONSTRICT)


def way(path: Path, muxer: str, stream: Stream) -> Way | None:
    """The way in which a container takes a stream of ``path``; None if it does not. Tried once for each file state."""
    status = path.stat()
    return _way(path, status.st_mtime_ns, status.st_size, muxer, stream.index)


@functools.lru_cache(maxsize=256)
def _way(path: Path, _changed: int, _size: int, muxer: str, index: int) -> Way | None:
    with open_film(path) as film:
        return _tried(path, muxer, film.streams[index])


def _tried(path: Path, muxer: str, stream: Stream) -> Way | None:
    if holds(path, muxer, stream):
        return "copied"
    if not _codec(stream):
        return None
    if muxer == "matroska" and stream.type == "audio" and _passes(path, stream):
        return "passed"
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as scratch:
            if _codec(stream) in DISC_PCM:
                Repacked(stream, scratch)
                scratch.start_encoding()
                return "repacked"
            codec = rewritten_as(muxer, stream)
            if codec is not None:
                Rewritten(stream, scratch, codec)
                scratch.start_encoding()
                return "rewritten"
    except FAILURES:
        pass
    return None


def holds(path: Path, muxer: str, stream: Stream) -> bool:
    """Whether a container takes a stream of ``path`` as it is.

    Tried in memory, with a header and for sound the first packet, since muxers' tables do not tell it all.
    """
    if stream.type == "attachment" and muxer != "matroska":
        return False
    if stream.disposition & Disposition.attached_pic and muxer == "mov":
        return False  # the muxer takes it and writes nothing
    try:
        with open_film(path) as film, av.open(io.BytesIO(), "w", format=muxer) as scratch:
            target = scratch.add_stream_from_template(stream, opaque=True)
            scratch.start_encoding()
            packet = next(packets(film, film.streams[stream.index]), None) if stream.type == "audio" else None
            if packet is not None and packet.dts is not None:
                packet.stream = target
                scratch.mux(packet)
    except FAILURES:
        return False
    return True


def open_passing(path: Path, muxer: str, options: dict[str, str]) -> av.container.OutputContainer:
    """A result whose muxer is asked itself what it takes. PyAV asks FFmpeg's table, which has a codec only under its
    official name; Matroska takes any that has a number in WAV.

    FFmpeg's ``tee``, which has no table, stands in between; it hands on all but chapters.
    """
    told = ":".join([f"f={muxer}", *(f"{name}={value}" for name, value in options.items())])
    place = "".join(rf"\{letter}" if letter in "\\'| " else letter for letter in f"file:{path}")
    return av.open(f"[{told}]{place}", "w", format="tee")


def _passes(path: Path, stream: Stream) -> bool:
    """Whether Matroska takes a sound despite PyAV's table, and the same is read back from it."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.mkv"
        try:
            with open_film(path) as film, open_passing(trial, "matroska", {}) as scratch:
                target = scratch.add_stream_from_template(stream, opaque=True)
                scratch.start_encoding()
                packet: Packet[Any] | None = next(packets(film, film.streams[stream.index]), None)
                if packet is None:
                    return False
                wanted = bytes(packet)
                packet.stream = target
                scratch.mux(packet)
            with av.open(f"file:{trial}") as written:
                read = written.streams[0]
                return _codec(read) == _codec(stream) and bytes(next(packets(written, read))) == wanted
        except (*FAILURES, StopIteration, IndexError):
            return False


def _codec(stream: Stream) -> str:
    return str(stream.codec_context.codec.canonical_name if stream.codec_context else "")
