"""Copying a film's other streams, packet by packet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from colorpipe.media.base import Provenance
from colorpipe.media.video.container import open_container, packets
from colorpipe.media.video.convert import Repacked, Rewritten, rewritten_as
from colorpipe.media.video.survey import Survey, open_film, survey
from colorpipe.media.video.ways import ISO, Way, few_play, takes_equal_times, way
from colorpipe.media.video.ways import SUFFIXES as SUFFIXES
from colorpipe.media.video.ways import output_suffix as output_suffix

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a picture to which a trained model added something."""
_STALE_TAGS = re.compile(
    "encoder|major_brand|minor_version|compatible_brands|duration|number_of_(frames|bytes)|bps|_statistics_.*"
)
"""Metadata that describes the source file's own bytes and would be false in the result."""


class CopiedStreams:
    """Everything of a film but the video that is colorized, carried over packet by packet, nothing re-encoded.

    Args:
        alone: Nothing is carried over: the video is not the whole film.
    """

    def __init__(self, path: Path, video_index: int, muxer: str, alone: bool = False) -> None:
        self.notes: list[str] = []
        self._muxer, self._video_index = muxer, video_index
        self._path, self._alone = path, alone
        self.input = open_container(path) if alone else open_film(path)
        self._survey = Survey() if alone else survey(path)
        self._equal_times = takes_equal_times(muxer)
        self._ways: dict[int, Way | None] = {}
        if not alone:
            self._ways = {
                stream.index: way(path, muxer, stream)
                for stream in self.input.streams
                if stream.index != video_index and not self._is_regenerated(stream) and not self._is_picture(stream)
            }
        self._targets: dict[int, Stream] = {}
        self._turning: dict[int, Repacked | Rewritten] = {}
        self._last: dict[int, int] = {}
        self._moved = self._refused = self._disturbed = 0
        self._broken = False
        self._pending: Packet[Any] | None = None
        self._packets: Iterator[Packet[Any]] = iter(())

    @property
    def passes(self) -> bool:
        """Whether a stream can only be written by ``ways.open_passing``."""
        return "passed" in self._ways.values()

    def add_streams(self, output: av.container.OutputContainer, add_video: Callable[[Stream], None]) -> None:
        """Add the output's streams in the source's order; ``add_video`` adds the encoded one in its place."""
        self._output = output
        for stream in self.input.streams:
            found = self._ways.get(stream.index)
            if stream.index == self._video_index:
                add_video(stream)
            elif self._alone or self._is_regenerated(stream):
                pass
            elif self._is_picture(stream):
                self._attach_picture(stream)
            elif found is None:
                self.notes.append(f"stream {stream.index} ({_of(stream)}) is left out: {self._muxer} cannot hold it")
            else:
                self._targets[stream.index] = self._add(stream, found)
        for stream in self.input.streams:
            if stream.index not in self._targets:
                stream.discard = Discard.all
        wanted = [stream for stream in self.input.streams if stream.index in self._targets]
        if wanted:
            self._packets = self._survey.timed(packets(self.input, *wanted))

    def pump(self, until: Fraction | None) -> None:
        """Write every packet that is due by ``until`` seconds; all that are left for None."""
        while True:
            packet = self._pending or self._next()
            self._pending = None
            if packet is None:
                return
            if until is not None and _time(packet) > until:
                self._pending = packet
                return
            index = packet.stream.index
            turning = self._turning.get(index)
            for ready in [packet] if turning is None else turning.turned(packet):
                self._order(ready, index)
                ready.stream = self._targets[index]
                try:
                    self._output.mux(ready)
                except ValueError:  # the muxer cannot parse this packet; a disk that fails raises OSError
                    self._refused += 1

    def late_notes(self) -> Iterator[str]:
        """Remarks that are known only at the end."""
        if self._moved:
            yield f"packets of copied streams whose time did not advance, set one tick later: {self._moved}"
        if self._disturbed > len(self._targets) * max(1, len(self._survey.joins) // 2):  # where recordings are joined
            yield f"packets of copied streams that were damaged on their way: {self._disturbed}"
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
            self._disturbed += packet.is_corrupt
            return packet

    def _order(self, packet: Packet[Any], index: int) -> None:
        """Muxers refuse a stream whose decoding times do not rise; some take equal ones.

        What is put right is counted in the result's own ticks, which are the finer ones where times are equal since the
        source's are coarse.
        """
        base = self._targets[index].time_base or packet.time_base
        last = self._last.get(index)
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.time_base != base:
            shown, decoded = (
                None if ticks is None else round(ticks * packet.time_base / base) for ticks in (packet.pts, packet.dts)
            )
            packet.duration = round((packet.duration or 0) * packet.time_base / base)
            packet.pts, packet.dts, packet.time_base = shown, decoded, base
        if packet.dts is None:
            packet.dts = 0 if last is None else last + 1
        least = None if last is None else last + (0 if self._equal_times else 1)
        if least is not None and packet.dts < least:
            self._moved += 1
            packet.dts = least
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last[index] = packet.dts

    def _add(self, stream: Stream, found: Way) -> Stream:
        if found == "repacked":
            repacked = self._turning[stream.index] = Repacked(stream, self._output)
            target: Stream = repacked.target
            self.notes.append(
                f"stream {stream.index} ({_of(stream)}) is repacked as {repacked.codec}, the same samples"
            )
        elif found == "rewritten":
            codec = rewritten_as(self._muxer, stream) or ""
            rewritten = self._turning[stream.index] = Rewritten(stream, self._output, codec)
            target = rewritten.target
            self.notes.append(f"stream {stream.index} ({_of(stream)}) is rewritten as {codec}, the same text")
        else:
            target = self._output.add_stream_from_template(stream, opaque=True)
        if self._muxer == "mp4" and few_play("mp4", stream) and self.input.format.name.split(",")[0] not in ISO:
            self.notes.append(f"few players play {_of(stream)} in .mp4; name the result .mov or .mkv")
        target.metadata.update(kept_metadata(stream.metadata))
        target.disposition = stream.disposition
        return target

    def _is_picture(self, stream: Stream) -> bool:
        """A cover picture, which Matroska keeps as an attachment."""
        return bool(stream.disposition & Disposition.attached_pic) and self._muxer == "matroska"

    def _is_regenerated(self, stream: Stream) -> bool:
        """Tracks that the mov muxer makes itself: QuickTime chapters, and a time code that the video's tags hold."""
        if stream.type != "data":
            return False
        chapters = stream.name == "bin_data" and bool(self.input.chapters())
        return chapters or (self._muxer in ISO and "timecode" in stream.metadata)

    def _attach_picture(self, stream: Stream) -> None:
        """A cover picture, which Matroska keeps as an attachment, in the header."""
        with open_film(self._path) as film:
            packet = next(film.demux(film.streams[stream.index]), None)
            data = bytes(packet) if packet is not None and packet.size else b""
        codec = stream.codec_context.name if stream.codec_context else ""
        kind = {"mjpeg": "jpeg", "png": "png"}.get(codec)
        if not data or kind is None:
            self.notes.append(f"stream {stream.index} (cover picture, {codec or 'unknown format'}) is left out")
            return
        name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        self._output.add_attachment(name, f"image/{kind}", data)


def _time(packet: Packet[Any]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-1) if ticks is None else ticks * packet.time_base


def _of(stream: Stream) -> str:
    """A stream's kind and codec, for a sentence."""
    name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown format"
    return f"{stream.type}, {name}"


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
    """Notes on parts that a muxer left out silently: read back from the finished file, one sentence each."""
    with open_film(result) as film:
        found = {key.lower() for key in film.metadata}
        missing = [key for key in wanted.metadata if key.lower() not in found]
        if missing:
            yield f"{film.format.name.split(',')[0]} did not keep the tags {', '.join(missing)}"
        if len(film.streams) < streams:
            yield f"only {len(film.streams)} of {streams} streams can be read back from the result"
        if len(film.chapters()) < len(wanted.chapters()):
            yield f"only {len(film.chapters())} of {len(wanted.chapters())} chapters were kept"
