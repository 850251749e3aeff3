"""A film's other streams, chapters and tags against its source's, packet by packet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import av.container
import numpy as np
from av.stream import Discard, Disposition, Stream

from colorpipe.verification.difference import seconds
from colorpipe.verification.reading import Film, opened, read
from colorpipe.verification.report import Check
from colorpipe.verification.times import Times, tolerance

_ESSENTIAL = ("video", "audio", "subtitle")
"""Kinds whose loss is a difference. Data tracks, attachments and covers may be left out; they are then named."""
_LAYERS = {"mp1": "mp3", "mp2": "mp3"}
"""MP4 has one code for the layers of MPEG-1 audio; their packets tell which."""
_TEXTS = ("subrip", "mov_text", "webvtt", "ass", "ssa", "text", "sami", "microdvd", "realtext", "stl", "subviewer")
"""Subtitles that are one text in several notations."""
_OWN = re.compile(
    r"encoder|(major|compatible)_brands?|minor_version|duration(-.*)?|number_of_(bytes|frames)|bps|_statistics_.*"
)
"""Tags that are about a file's own bytes."""
_UNPACKED = Fraction(1, 20)
"""Seconds by which the ends of two packings of one sound may differ: less than a packet of either."""
_Packet = tuple[Fraction, bytes]
"""Time in seconds, payload."""


def compare_streams(source: Film, result: Film, times: Times) -> Iterator[Check]:
    """Every stream of the source but the colorized one, then chapters and tags.

    Args:
        times: How the pictures' times were moved.
    """
    before, after = source.container, result.container
    free = [stream for stream in after.streams if stream.index != result.index]
    pairs: list[tuple[Stream, Stream]] = [(source.stream, result.stream)]
    for stream in before.streams:
        if stream.index == source.index:
            continue
        name = f"stream {stream.index}"
        match = next((other for other in free if _kind(other) == _kind(stream)), None)
        if match is None:
            yield _missing(name, stream, source, result)
            continue
        free.remove(match)
        if stream.type != "data":  # muxers write their own there
            pairs.append((stream, match))
        yield _compare(name, source.path, result.path, stream, match, times)
    yield _chapters(before, after)
    yield _tags(before, after, pairs)


def _kind(stream: Stream) -> tuple[str, ...]:
    """The facts that two streams must share to count as the same."""
    if stream.type == "attachment":
        return "attachment", stream.metadata.get("filename", "")
    cover = "cover" if stream.disposition & Disposition.attached_pic else stream.type
    name = _LAYERS.get(_codec(stream), _codec(stream))
    if stream.type == "audio" and name.startswith(("pcm_", "s302m")):
        name = "pcm"
    return cover, "text" if name in _TEXTS else name


def _codec(stream: Stream) -> str:
    return str(stream.codec_context.codec.canonical_name if stream.codec_context else "unknown format")


def _describe(stream: Stream) -> str:
    kind = "cover picture" if stream.disposition & Disposition.attached_pic else stream.type
    what = stream.metadata.get("filename") if stream.type == "attachment" else _codec(stream)
    language = stream.metadata.get("language", "und")
    return f"{kind}, {what}" + ("" if language == "und" else f", {language}")


def _missing(name: str, stream: Stream, source: Film, result: Film) -> Check:
    text = _describe(stream)
    if stream.type == "data":
        code = stream.metadata.get("timecode")
        if code is not None:
            held = result.timecode == code
            return Check(
                name, "equal" if held else "differs", f"time code {code}: {'' if held else 'not '}held as a tag"
            )
        if source.container.chapters():
            return Check(name, "equal", f"{text}: the chapters' titles, see chapters")
    essential = stream.type in _ESSENTIAL and not stream.disposition & Disposition.attached_pic
    return Check(name, "differs" if essential else "left out", f"{text}: not in the result")


def _compare(name: str, source: Path, result: Path, stream: Stream, match: Stream, times: Times) -> Check:
    text = _describe(stream)
    if stream.type == "attachment":
        same = stream.data == match.data  # type: ignore[attr-defined]
        return Check(name, "equal" if same else "differs", f"{text}: {'' if same else 'not '}the same bytes")
    if stream.type == "subtitle" and _codec(stream) != _codec(match):
        return _compare_texts(name, text, source, result, stream, match, times)
    both = _PacketComparison(stream, match, times)
    both.run(source, result)
    numbers = {"packets": both.count}
    if both.late:
        return Check(name, "differs", f"{text}: {both.late}", numbers)
    if not both.fault:
        late = f", at most {seconds(both.moved)} apart" if both.moved else ""
        return Check(
            name, "equal", f"{text}: {both.count} packet{'' if both.count == 1 else 's'}, byte for byte{late}", numbers
        )
    if both.same_start and both.same_bytes and both.same_end:
        return Check(name, "equal", f"{text}: the same bytes, cut into packets differently", numbers)
    framed = stream.type == "audio" and both.same_start and both.same_end
    if framed and _sound(source, stream.index) == _sound(result, match.index):
        how = "packed" if _codec(stream) != _codec(match) else "framed"
        return Check(name, "equal", f"{text}: the same samples, {how} differently", numbers)
    return Check(name, "differs", f"{text}: {both.fault}", numbers)


def _compare_texts(
    name: str, text: str, source: Path, result: Path, stream: Stream, match: Stream, times: Times
) -> Check:
    """Subtitles in two notations: compares the text shown, and its times."""
    wanted, got = list(_texts(source, stream.index)), list(_texts(result, match.index))
    text = f"{text} as {_codec(match)}"
    if [line for _, line in wanted] != [line for _, line in got]:
        return Check(name, "differs", f"{text}: {len(wanted)} texts in the source, {len(got)} in the result, not equal")
    shifts = times.shifts or [Fraction(0)]
    for (there, line), (here, _) in zip(wanted, got, strict=True):
        if min(abs(there + shift - here) for shift in shifts) > Fraction(1, 500):
            return Check(name, "differs", f"{text}: {line!r} is at {seconds(there)}, in the result at {seconds(here)}")
    return Check(name, "equal", f"{text}: {len(wanted)} texts, the same words", {"packets": len(wanted)})


def _texts(path: Path, index: int) -> Iterator[tuple[Fraction, str]]:
    """The time at which each text is shown, and its words without mark-up."""
    with opened(path) as film:
        stream = film.streams[index]
        for packet in read(film, stream):
            try:
                shown = packet.decode()
            except (av.FFmpegError, ValueError):
                continue
            lines = [bytes(getattr(part, "ass", b"")).decode("utf-8", "replace") for part in shown]
            words = " ".join(re.sub(r"\{[^}]*\}", "", line.split(",", 8)[-1]) for line in lines)
            words = re.sub(r"\\[Nnh]|\s+", " ", words).strip()
            if words and packet.pts is not None:
                yield packet.pts * packet.time_base, words


class _PacketComparison:
    """Two streams' packets in lockstep, one of each in memory."""

    def __init__(self, stream: Stream, match: Stream, times: Times) -> None:
        assert stream.time_base is not None  # told for every stream that has packets
        assert match.time_base is not None
        clocks = stream.time_base, match.time_base
        self.indices = stream.index, match.index
        self.allowed = max(tolerance(*clocks), tolerance(*reversed(clocks)))
        self._shifts = times.shifts or [Fraction(0)]
        if times.recorded:  # their shift was taken from the pictures' times, which were rounded too
            self.allowed += times.tolerance + clocks[1] + Fraction(1, 10_000)
        if _codec(stream) != _codec(match):  # packed anew: by the count of samples, not by the packets' times
            self.allowed += _UNPACKED
        self._epoch = 0
        self.count, self.moved, self.fault, self.late = 0, Fraction(0), "", ""
        self.same_start = self.same_bytes = self.same_end = False

    def run(self, source: Path, result: Path) -> None:
        digests = hashlib.sha256(), hashlib.sha256()
        counts, ends, late = [0, 0], [Fraction(0), Fraction(0)], ""
        paths = zip((source, result), self.indices, strict=True)
        for wanted, got in zip_longest(*(_packets(path, index) for path, index in paths)):
            for place, packet in enumerate((wanted, got)):
                if packet is not None:
                    digests[place].update(packet[1])
                    counts[place] += 1
                    ends[place] = packet[0]
            if wanted is not None and got is not None:
                off = self._off(wanted[0], got[0])
                if self.count == 0:
                    self.same_start = off <= self.allowed
                self.moved = max(self.moved, off)
                if off > self.allowed and not late:
                    late = (
                        f"packet {self.count} is at {seconds(wanted[0])} in the source, {seconds(got[0])} in the result"
                    )
            self.fault = self.fault or self._fault(wanted, got)
            self.count += wanted is not None
        if counts[0] == counts[1]:
            self.late = late
            self.fault = self.fault or late
        self.same_bytes = digests[0].digest() == digests[1].digest()
        self.same_end = self._off(*ends) <= self.allowed + _UNPACKED

    def _off(self, wanted: Fraction, got: Fraction) -> Fraction:
        """Seconds between two packets' times, as the pictures' were moved; a later clock's shift is not taken back."""
        epochs = range(self._epoch, len(self._shifts))
        near = min(epochs, key=lambda epoch: (abs(wanted + self._shifts[epoch] - got), epoch))
        off = abs(wanted + self._shifts[near] - got)
        if off <= self.allowed:
            self._epoch = near
        return off

    def _fault(self, wanted: _Packet | None, got: _Packet | None) -> str:
        if wanted is None or got is None:
            return f"{'more' if wanted is None else 'fewer'} packets in the result than in the source"
        if wanted[1] != got[1]:
            return f"packet {self.count} ({seconds(wanted[0])}) holds other bytes"
        return ""


def _packets(path: Path, index: int) -> Iterator[_Packet]:
    """Time and payload of one stream's packets, up to where the file can be read."""
    with opened(path) as film:
        wanted = film.streams[index]
        for stream in film.streams:
            if stream.index != index:
                stream.discard = Discard.all
        for packet in read(film, wanted):
            ticks = packet.pts if packet.pts is not None else packet.dts
            yield (ticks or 0) * packet.time_base, bytes(packet)


def _sound(path: Path, index: int) -> bytes:
    """SHA-256 over the decoded samples; undecodable packets are skipped."""
    digest = hashlib.sha256()
    with opened(path) as film:
        for packet in read(film, film.streams[index]):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                values = frame.to_ndarray()
                if frame.format.is_planar:  # one order for all packings: sample by sample, channels beside each other
                    values = values.T
                digest.update(np.ascontiguousarray(values).tobytes())
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
        for key, value in wanted.items():
            if (key.lower(), value) == ("language", "und"):
                continue  # undetermined: what a file says that says nothing
            if _OWN.fullmatch(key.lower()) or (owner and key.lower() in ("alpha_mode", "timecode")):
                continue  # statements on transparency and time codes are checked separately
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
