"""A film's other streams, chapters and tags against its source's, packet by packet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import av.container
import numpy as np
from av.stream import Discard, Disposition, Stream

from colorpipe.media.video.container import open_container
from colorpipe.media.video.remux import kept_metadata
from colorpipe.verification.difference import seconds
from colorpipe.verification.films import tolerance
from colorpipe.verification.report import Check

_ESSENTIAL = ("video", "audio", "subtitle")
"""Kinds whose loss is a difference. Data tracks, attachments and covers may be left out, which is named."""
_LAYERS = {"mp1": "mp3", "mp2": "mp3"}
"""MP4 has one code for the layers of MPEG-1 audio; their packets tell which."""
_Packet = tuple[Fraction, bytes]
"""Time in seconds, payload."""


def compare_streams(source: Path, result: Path, ours: int, theirs: int) -> Iterator[Check]:
    """Every stream of the source but the colorized one, then chapters and tags.

    Args:
        ours, theirs: Index of the colorized video stream in source and result.
    """
    with open_container(source) as before, open_container(result) as after:
        free = [stream for stream in after.streams if stream.index != theirs]
        pairs: list[tuple[Stream, Stream]] = [(before.streams[ours], after.streams[theirs])]
        for stream in before.streams:
            if stream.index == ours:
                continue
            name = f"stream {stream.index}"
            match = next((other for other in free if _kind(other) == _kind(stream)), None)
            if match is None:
                yield _missing(name, stream, before)
                continue
            free.remove(match)
            pairs.append((stream, match))
            yield _compare(name, source, result, stream, match)
        yield _chapters(before, after)
        yield _tags(before, after, pairs)


def _kind(stream: Stream) -> tuple[str, ...]:
    """The facts that two streams must share to count as the same."""
    if stream.type == "attachment":
        return "attachment", stream.metadata.get("filename", "")
    cover = "cover" if stream.disposition & Disposition.attached_pic else stream.type
    return cover, _LAYERS.get(_codec(stream), _codec(stream))


def _codec(stream: Stream) -> str:
    return str(stream.codec_context.codec.canonical_name if stream.codec_context else "unknown format")


def _describe(stream: Stream) -> str:
    kind = "cover picture" if stream.disposition & Disposition.attached_pic else stream.type
    what = stream.metadata.get("filename") if stream.type == "attachment" else _codec(stream)
    language = stream.metadata.get("language", "und")
    return f"{kind}, {what}" + ("" if language == "und" else f", {language}")


def _missing(name: str, stream: Stream, film: av.container.InputContainer) -> Check:
    text = _describe(stream)
    if stream.type == "data":
        if "timecode" in stream.metadata:
            return Check(name, "equal", f"time code {stream.metadata['timecode']}: held as a tag, see tags")
        if film.chapters():
            return Check(name, "equal", f"{text}: the chapters' titles, see chapters")
    essential = stream.type in _ESSENTIAL and not stream.disposition & Disposition.attached_pic
    return Check(name, "differs" if essential else "left out", f"{text}: not in the result")


def _compare(name: str, source: Path, result: Path, stream: Stream, match: Stream) -> Check:
    text = _describe(stream)
    if stream.type == "attachment":
        same = stream.data == match.data  # type: ignore[attr-defined]
        return Check(name, "equal" if same else "differs", f"{text}: {'' if same else 'not '}the same bytes")
    both = _PacketComparison(stream, match)
    both.run(source, result)
    numbers = {"packets": both.count}
    if not both.fault:
        late = f", at most {seconds(both.moved)} apart" if both.moved else ""
        return Check(
            name, "equal", f"{text}: {both.count} packet{'' if both.count == 1 else 's'}, byte for byte{late}", numbers
        )
    if both.same_start and both.same_bytes:
        return Check(name, "equal", f"{text}: the same bytes, cut into packets differently", numbers)
    samples = stream.type == "audio" and both.same_start and _sound(source, stream.index) == _sound(result, match.index)
    if samples:
        return Check(name, "equal", f"{text}: the same samples, framed differently", numbers)
    return Check(name, "differs", f"{text}: {both.fault}", numbers)


class _PacketComparison:
    """Two streams' packets in lockstep, one of each in memory."""

    def __init__(self, stream: Stream, match: Stream) -> None:
        assert stream.time_base is not None  # told for every stream that has packets
        assert match.time_base is not None
        clocks = stream.time_base, match.time_base
        self.indices = stream.index, match.index
        self.allowed = max(tolerance(*clocks), tolerance(*reversed(clocks)))
        self.count, self.moved, self.fault = 0, Fraction(0), ""
        self.same_start = self.same_bytes = False

    def run(self, source: Path, result: Path) -> None:
        digests = hashlib.sha256(), hashlib.sha256()
        paths = zip((source, result), self.indices, strict=True)
        for wanted, got in zip_longest(*(_packets(path, index) for path, index in paths)):
            for digest, packet in zip(digests, (wanted, got), strict=True):
                if packet is not None:
                    digest.update(packet[1])
            if self.count == 0 and wanted is not None and got is not None:
                self.same_start = abs(wanted[0] - got[0]) <= self.allowed
            self.fault = self.fault or self._fault(wanted, got)
            self.count += wanted is not None
        self.same_bytes = digests[0].digest() == digests[1].digest()

    def _fault(self, wanted: _Packet | None, got: _Packet | None) -> str:
        if wanted is None or got is None:
            return f"{'more' if wanted is None else 'fewer'} packets in the result than in the source"
        if wanted[1] != got[1]:
            return f"packet {self.count} ({seconds(wanted[0])}) holds other bytes"
        self.moved = max(self.moved, abs(wanted[0] - got[0]))
        if self.moved > self.allowed:
            return f"packet {self.count} is at {seconds(wanted[0])} in the source, {seconds(got[0])} in the result"
        return ""


def _packets(path: Path, index: int) -> Iterator[_Packet]:
    """Time and payload of one stream's packets, up to where the file can be read."""
    with open_container(path) as film:
        wanted = film.streams[index]
        for stream in film.streams:
            if stream.index != index:
                stream.discard = Discard.all
        packets = film.demux(wanted)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                return
            if packet is None:
                return
            if packet.size:
                ticks = packet.pts if packet.pts is not None else packet.dts
                yield (ticks or 0) * packet.time_base, bytes(packet)


def _sound(path: Path, index: int) -> bytes:
    """SHA-256 over the decoded samples; what cannot be decoded is passed over."""
    digest = hashlib.sha256()
    with open_container(path) as film:
        for packet in film.demux(film.streams[index]):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                digest.update(np.ascontiguousarray(frame.to_ndarray()).tobytes())
    return digest.digest()


def _chapters(before: av.container.InputContainer, after: av.container.InputContainer) -> Check:
    both = before.chapters(), after.chapters()
    if len(both[0]) != len(both[1]):
        return Check("chapters", "differs", f"{len(both[0])} in the source, {len(both[1])} in the result")
    for number, (wanted, got) in enumerate(zip(*both, strict=True), 1):
        clocks = wanted["time_base"] or Fraction(1), got["time_base"] or Fraction(1)  # FFmpeg gives every chapter one
        starts = wanted["start"] * clocks[0], got["start"] * clocks[1]
        titles = wanted["metadata"].get("title", ""), got["metadata"].get("title", "")
        if titles[0] != titles[1] or abs(starts[0] - starts[1]) > tolerance(*clocks):
            there, here = (f"{title!r} at {seconds(start)}" for title, start in zip(titles, starts, strict=True))
            return Check("chapters", "differs", f"number {number} is {there} in the source, {here} in the result")
    return Check("chapters", "equal", str(len(both[0])) if both[0] else "none")


def _tags(
    before: av.container.InputContainer, after: av.container.InputContainer, pairs: list[tuple[Stream, Stream]]
) -> Check:
    """Metadata of the file and of each stream: what is still true of the result must stand there."""
    changed, lost, kept = [], [], 0
    sets = [("", before.metadata, after.metadata)]
    sets += [(f"stream {ours.index}'s ", ours.metadata, theirs.metadata) for ours, theirs in pairs]
    for owner, wanted, got in sets:
        found = {key.lower(): value for key, value in got.items()}
        for key, value in kept_metadata(wanted).items():
            now = found.get(key.lower())
            if now is None:
                lost.append(owner + key)
            elif now != value and not (key == "comment" and now.startswith(f"{value}; ")):  # provenance joins it
                changed.append(f"{owner}{key} is {value!r} in the source, {now!r} in the result")
            else:
                kept += 1
    if changed:
        return Check("tags", "differs", "; ".join(changed))
    if lost:
        return Check("tags", "left out", f"{kept} kept; not in the result: {', '.join(lost)}")
    return Check("tags", "equal", f"{kept} kept" if kept else "none")
