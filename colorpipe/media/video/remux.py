"""Copying a film's other streams, packet by packet, and choosing the container that can hold them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from colorpipe.errors import InputError, UsageError
from colorpipe.media.base import Provenance
from colorpipe.media.video.container import film_stream, open_container

SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffix of a result -> FFmpeg's muxer. AVI is not among them: it has no timestamps, and H.264 with
B-frames needs them; nor is WebM, whose codecs are others."""
ISO = ("mp4", "mov")
"""Muxers of the ISO base media family."""
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a picture to which a trained model added something."""
_STALE_TAGS = re.compile(
    "encoder|major_brand|minor_version|compatible_brands|duration|number_of_(frames|bytes)|bps|_statistics_.*"
)
"""Metadata that describes the source file's own bytes and would be false in the result."""
FAILURES = (av.FFmpegError, OSError, ValueError)
"""Exceptions of PyAV when a muxer or an encoder refuses."""


def output_suffix(path: Path, codec: str) -> str:
    """The suffix for the result of colorizing ``path``: a container that holds the codec and the most of its streams.

    Among equals the first wins: the source's own container where the codec fits, then one whose time base is as fine
    as the source's. Matroska counts whole milliseconds, so that it comes last unless the source is Matroska.
    """
    suffix = path.suffix.lower()
    if suffix in (".mkv", ".mka", ".webm"):
        return ".mkv"
    choices = [suffix] if suffix in SUFFIXES else []
    choices += [".mov", ".mp4", ".mkv"] if suffix == ".avi" else [".mp4", ".mov", ".mkv"]  # PCM is at home in mov
    choices = [choice for choice in dict.fromkeys(choices) if holds_codec(SUFFIXES[choice], codec)]
    try:
        with open_container(path) as film:
            colorized = film_stream(path, film).index
            # Data tracks do not decide: they are time codes and sensors' tracks that only QuickTime's own tools read.
            copied = [stream for stream in film.streams if stream.index != colorized and stream.type != "data"]
            counts = [sum(holds(path, SUFFIXES[choice], stream) for stream in copied) for choice in choices]
    except InputError:  # it is told when the film is opened for its frames
        return choices[0]
    return choices[counts.index(max(counts))]


class CopiedStreams:
    """Everything of a film but the video that is colorized, carried over packet by packet, nothing re-encoded.

    Args:
        alone: Nothing is carried over: the video is not the whole film.
    """

    def __init__(
        self, path: Path, video_index: int, output: av.container.OutputContainer, muxer: str, alone: bool = False
    ) -> None:
        self.notes: list[str] = []
        self._output, self._muxer, self._video_index = output, muxer, video_index
        self._path, self._alone = path, alone
        self.input = open_container(path)
        self._targets: dict[int, Stream] = {}
        self._last: dict[int, int] = {}
        self._moved = self._refused = 0
        self._broken = False
        self._pending: Packet[Any] | None = None
        self._packets: Iterator[Packet[Any]] = iter(())

    def add_streams(self, add_video: Callable[[Stream], None]) -> None:
        """Add the output's streams in the source's order; ``add_video`` adds the encoded one in its place."""
        for stream in self.input.streams:
            if stream.index == self._video_index:
                add_video(stream)
            elif self._alone or self._is_regenerated(stream):
                pass
            elif stream.disposition & Disposition.attached_pic and self._muxer == "matroska":
                self._attach_picture(stream)
            elif holds(self._path, self._muxer, stream):
                self._targets[stream.index] = self._add(stream)
            else:
                name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown format"
                self.notes.append(
                    f"stream {stream.index} ({stream.type}, {name}) is left out: {self._muxer} cannot hold it"
                )
        for stream in self.input.streams:
            if stream.index not in self._targets:
                stream.discard = Discard.all
        wanted = [stream for stream in self.input.streams if stream.index in self._targets]
        if wanted:
            self._packets = self.input.demux(wanted)

    def pump(self, until: Fraction | None) -> None:
        """Write every packet that is due by ``until`` seconds; all that are left for None."""
        while True:
            packet = self._pending or self._next()
            self._pending = None
            if packet is None:
                return
            time = packet.dts * packet.time_base  # type: ignore[operator]  # _next gives packets with both
            if until is not None and time > until:
                self._pending = packet
                return
            packet.stream = self._targets[packet.stream.index]
            try:
                self._output.mux(packet)
            except ValueError:  # the muxer cannot parse this packet; a disk that fails raises OSError
                self._refused += 1

    def late_notes(self) -> Iterator[str]:
        """Remarks that are known only at the end."""
        if self._moved:
            yield f"packets of copied streams whose time did not advance, set one tick later: {self._moved}"
        if self._refused:
            yield f"damaged packets of copied streams, left out: {self._refused}"
        if self._broken:
            yield "the copied streams cannot be read to their end"

    def close(self) -> None:
        self._packets = iter(())
        self.input.close()

    def _next(self) -> Packet[Any] | None:
        while True:
            try:
                packet = next(self._packets, None)
            except (av.FFmpegError, OSError):
                self._broken = True
                self._packets = iter(())
                return None
            if packet is None:
                return None
            if packet.size == 0 and packet.dts is None:
                continue  # the empty packets with which PyAV ends a file
            self._order(packet)
            return packet

    def _order(self, packet: Packet[Any]) -> None:
        """Muxers refuse a stream whose decoding times do not rise."""
        index = packet.stream.index
        last = self._last.get(index)
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else (0 if last is None else last + 1)
        if last is not None and packet.dts <= last:
            self._moved += 1
            packet.dts = last + 1
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last[index] = packet.dts

    def _add(self, stream: Stream) -> Stream:
        target = self._output.add_stream_from_template(stream, opaque=True)
        target.metadata.update(kept_metadata(stream.metadata))
        target.disposition = stream.disposition
        return target

    def _is_regenerated(self, stream: Stream) -> bool:
        """Tracks that the mov muxer makes itself: QuickTime chapters, and a time code that the video's tags hold."""
        if stream.type != "data":
            return False
        chapters = stream.name == "bin_data" and bool(self.input.chapters())
        return chapters or (self._muxer in ISO and "timecode" in stream.metadata)

    def _attach_picture(self, stream: Stream) -> None:
        """A cover picture, which Matroska keeps as an attachment, in the header."""
        with open_container(self._path) as film:
            packet = next(film.demux(film.streams[stream.index]), None)
            data = bytes(packet) if packet is not None and packet.size else b""
        codec = stream.codec_context.name if stream.codec_context else ""
        kind = {"mjpeg": "jpeg", "png": "png"}.get(codec)
        if not data or kind is None:
            self.notes.append(f"stream {stream.index} (cover picture, {codec or 'unknown format'}) is left out")
            return
        name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        self._output.add_attachment(name, f"image/{kind}", data)


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


def holds(path: Path, muxer: str, stream: Stream) -> bool:
    """Whether a container takes a stream of ``path`` as it is.

    Tried in memory, with a header and for sound the first packet, since muxers' tables do not tell it all.
    """
    if stream.type == "attachment" and muxer != "matroska":
        return False
    if stream.disposition & Disposition.attached_pic and muxer == "mov":
        return False  # the muxer takes it and writes nothing
    try:
        with open_container(path) as film, av.open(io.BytesIO(), "w", format=muxer) as scratch:
            target = scratch.add_stream_from_template(stream, opaque=True)
            scratch.start_encoding()
            packet = next(film.demux(film.streams[stream.index]), None) if stream.type == "audio" else None
            if packet is not None and packet.dts is not None:
                packet.stream = target
                scratch.mux(packet)
    except FAILURES:
        return False
    return True


def kept_metadata(source: dict[str, str]) -> dict[str, str]:
    """The tags that are still true of the result."""
    return {key: value for key, value in source.items() if not _STALE_TAGS.fullmatch(key.lower())}


def with_provenance(tags: dict[str, str], provenance: Provenance | None, any_key: bool) -> dict[str, str]:
    """The tags and where the colours come from: under keys of its own, or as comment where only known keys are kept."""
    if provenance is None:
        return tags
    made = {
        "DigitalSourceType": SOURCE_TYPE,
        "colorpipe_recipe": provenance.recipe_digest,
        "colorized_with": provenance.software,
    }
    if any_key:
        return {**tags, **made}
    comment = "; ".join(f"{key}={value}" for key, value in made.items())
    return {**tags, "comment": f"{tags['comment']}; {comment}" if tags.get("comment") else comment}


def lost(result: Path, wanted: av.container.OutputContainer, streams: int) -> Iterator[str]:
    """The parts that a muxer left out without a word: read back from the finished file, one sentence each."""
    with open_container(result) as film:
        found = {key.lower() for key in film.metadata}
        missing = [key for key in wanted.metadata if key.lower() not in found]
        if missing:
            yield f"{film.format.name.split(',')[0]} did not keep the tags {', '.join(missing)}"
        if len(film.streams) < streams:
            yield f"only {len(film.streams)} of {streams} streams can be read back from the result"
        if len(film.chapters()) < len(wanted.chapters()):
            yield f"only {len(film.chapters())} of {len(wanted.chapters())} chapters were kept"
