"""Containers without a header: facts that only a pass through all of a recording's packets reveals.

An MPEG program or transport stream, and FLV, are written as the pictures come. Streams appear in the middle, and the
clock is the broadcaster's: it begins anywhere, begins again where two recordings were joined, and jumps where a signal
was lost. ``Survey`` holds one map from that clock to a film's time, which pictures and copied streams are read through
alike.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.packet import Packet

from colorpipe.media.video.container import film_stream, open_container, packets, stream_lines
from colorpipe.media.video.headers import Headers

HEADERLESS = ("mpeg", "mpegts", "flv")
"""FFmpeg's demuxers of such containers."""
MOST_PROBED = 256 << 20
"""Most bytes that are searched for streams whenever the file is opened: FFmpeg holds them in memory."""
MARGIN = 1 << 20
"""Bytes after a stream's first packet from which FFmpeg finds out what it is."""
SKEW = 200
"""Packets by which streams of a recording may lie apart in the file."""
OUT_OF_STEP = 0.5
"""Most seconds by which streams of one recording may be apart at one place of the file."""
LOOK = 500
"""Packets between checks whether a stream has come."""
BACK, AHEAD = 0.1, 10.0
"""Seconds by which times jump back or ahead where another clock begins (the values of FFmpeg's own command)."""


@dataclass
class _Stretch:
    """One stream's packets of one epoch, in ticks."""

    first: int
    """Number of its first packet in the stream."""
    start: int
    """The earliest time at which something is shown."""
    begin: int
    """Decoding time of its first packet."""
    last: int
    """Decoding time of its last packet."""
    end: int
    """When the last of it is over."""
    met: int
    """Packets of all streams that came before it in the file."""
    clock: float | None
    """The time of the packet before it in the file, seconds."""


@dataclass(frozen=True)
class Jump:
    """A place at which another clock begins in a recording."""

    frame: int
    """About: the number of the video packet."""
    before: Fraction
    after: Fraction
    """Seconds."""

    def __str__(self) -> str:
        what = "begins again" if self.after < self.before else "jumps"
        return (
            f"the clock of the recording {what} at frame {self.frame} (from {float(self.before):.3f} s to "
            f"{float(self.after):.3f} s): what follows is joined to what came before, sound and picture alike"
        )


@dataclass(frozen=True)
class Survey:
    """The findings of one pass through a file; empty for a container with a header."""

    probed: int | None = None
    """Bytes to look through for streams when the file is opened; None for FFmpeg's choice."""
    late: tuple[str, ...] = ()
    """Streams that come too late to be carried, one sentence each."""
    origin: Fraction = Fraction(0)
    """Seconds on the file's clock at which the first of all streams begins: the film's time 0."""
    jumps: tuple[Jump, ...] = ()
    sizes: tuple[tuple[int, int, int], ...] = ()
    """Changes of the picture's size: number of the video packet, width and height."""
    shapes: tuple[tuple[int, Fraction], ...] = ()
    """Changes of the pixels' shape: the frame's time in ticks of the film, and the new shape."""
    joins: frozenset[int] = frozenset()
    """Numbers of the video packets around places where another recording begins."""
    interlaced: bool = False
    """A picture in it has two fields."""
    shifts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """For each stream, pairs of a packet number and the ticks added to the times from that packet on."""

    def shift(self, index: int, number: int) -> int:
        """Ticks that are added to the times of a stream's packet of that number."""
        return next((ticks for first, ticks in reversed(self.shifts.get(index, [])) if first <= number), 0)

    def timed(self, read: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
        """Packets with the film's time in place of the file's. They are all of their streams, from the first on."""
        if not self.shifts:
            yield from read
            return
        counts: dict[int, int] = {}
        for packet in read:
            index = packet.stream.index
            number = counts[index] = counts.get(index, -1) + 1
            if index in self.shifts:
                shift = self.shift(index, number)
                if packet.pts is not None:
                    packet.pts += shift
                if packet.dts is not None:
                    packet.dts += shift
            yield packet


def open_film(path: Path) -> av.container.InputContainer:
    """``open_container``, with the streams that come late.

    Raises:
        InputError: it cannot be read or is not a film.
    """
    container = open_container(path)
    if container.format.name not in HEADERLESS:
        return container
    try:
        probed = survey(path).probed
    except BaseException:
        container.close()
        raise
    if probed is None:
        return container
    container.close()
    return open_container(path, probed)


def survey(path: Path) -> Survey:
    """Look through a film's packets, once for each state of the file.

    Raises:
        InputError: it cannot be read or is not a film.
    """
    status = path.stat()
    return _survey(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _survey(path: Path, _changed: int, size: int) -> Survey:
    probed = None
    for _ in range(4):  # each time with the streams that the last look found
        with open_container(path, probed) as film:
            if film.format.name not in HEADERLESS:
                return Survey()
            known = len(film.streams)
            video = film_stream(path, film)
            clock, headers = _Clock(film.streams), Headers(video)
            reached = _read_through(film, clock, headers, video.index)
            lines = stream_lines(film)
            if reached is None:
                return _with_headers(replace(clock.result(video.index), probed=probed), headers, video.index)
            wanted = min(size, reached + MARGIN)
            if wanted > MOST_PROBED or wanted == probed:
                late = tuple(
                    f"stream {index} ({_kind_and_codec(lines[index][0])}) is left out: it begins only after "
                    f"{reached:,} bytes of the file"
                    for index in sorted(lines)
                    if index >= known
                )
                told = replace(clock.result(video.index), probed=probed, late=late)
                return _with_headers(told, headers, video.index)
            probed = wanted
    return Survey(probed)


def _kind_and_codec(line: str) -> str:
    """``audio, mp2`` of FFmpeg's ``Audio: mp2, 48000 Hz, mono``."""
    kind, _, rest = line.partition(": ")
    return f"{kind.lower()}, {rest.split(',')[0].split(' ')[0]}"


def _read_through(film: av.container.InputContainer, clock: _Clock, headers: Headers, video: int) -> int | None:
    """Distance into the file at which a stream came that the container had not announced; None if there is none."""
    known = len(film.streams)
    reached, position, number = None, 0, 0
    try:
        for count, packet in enumerate(packets(film, *film.streams), 1):
            position = packet.pos or position
            clock.add(packet)
            if packet.stream.index == video:
                headers.add(packet, number)
                number += 1
            if count % LOOK == 0 and reached is None and len(stream_lines(film)) > known:
                reached = position
    except (av.FFmpegError, OSError):  # later reading ends there too, and reports it
        pass
    if reached is None and len(stream_lines(film)) > known:
        reached = position
    return reached


def _with_headers(told: Survey, headers: Headers, video: int) -> Survey:
    joins = {jump.frame + step for jump in told.jumps for step in (-1, 0)}
    return replace(
        told,
        sizes=tuple(headers.sizes),
        shapes=tuple((ticks + told.shift(video, number), shape) for number, ticks, shape in headers.shapes),
        joins=frozenset(headers.joins | joins),
        interlaced=headers.interlaced,
    )


class _Clock:
    """The epochs of a recording, found packet by packet.

    A new epoch begins where a stream's decoding time goes back or far ahead. The other streams follow: each of their
    packets belongs to that epoch whose time it is nearer to, its own or the newest.
    """

    def __init__(self, streams: Any) -> None:
        self._bases = {stream.index: stream.time_base for stream in streams if stream.time_base}
        self._seconds = {index: float(base) for index, base in self._bases.items()}
        self._kinds = {stream.index: stream.type for stream in streams}
        self._durations = {stream.index: 0 for stream in streams}
        self._stretches: dict[int, dict[int, _Stretch]] = {index: {} for index in self._bases}
        self._counts = dict.fromkeys(self._bases, 0)
        self._epochs = dict.fromkeys(self._bases, 0)
        self._packets = 0
        self._clock: float | None = None
        self._now: list[float | None] = [None]
        """Seconds of the newest packet's time in each epoch."""

    def add(self, packet: Packet[Any]) -> None:
        index = packet.stream.index
        if index not in self._bases:
            return
        number = self._counts[index]
        self._counts[index] += 1
        self._packets += 1
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return
        time = ticks * self._seconds[index]
        epoch = self._epoch(index, time)
        shown = packet.pts if packet.pts is not None else ticks
        if packet.duration:
            self._durations[index] = packet.duration
        end = max(shown, ticks) + self._durations[index]
        stretches = self._stretches[index]
        stretch = stretches.get(epoch)
        if stretch is None:
            stretches[epoch] = _Stretch(number, shown, ticks, ticks, end, self._packets, self._clock)
        else:
            stretch.start, stretch.last, stretch.end = min(stretch.start, shown), ticks, max(stretch.end, end)
        self._epochs[index] = epoch
        if self._kinds[index] in ("video", "audio"):
            self._now[epoch] = self._clock = time

    def _epoch(self, index: int, time: float) -> int:
        newest, own = len(self._now) - 1, self._epochs[index]
        now, base = self._now[newest], self._seconds[index]
        stretch = self._stretches[index].get(own)
        if own < newest and now is not None:
            last = time if stretch is None else stretch.last * base
            return newest if stretch is None or abs(time - now) < abs(time - last) else own
        if stretch is None or self._kinds[index] not in ("video", "audio"):
            return own
        step = time - stretch.last * base
        if -BACK < step <= AHEAD or (step > 0 and now is not None and abs(time - now) <= AHEAD):
            return own
        self._now.append(None)
        self._take_along(index, time, newest + 1)
        return newest + 1

    def _take_along(self, index: int, time: float, epoch: int) -> None:
        """Streams that only just began may have begun in the new epoch, before this stream showed that there is one."""
        for other, stretches in self._stretches.items():
            own = self._epochs[other]
            stretch = stretches.get(own)
            if other == index or stretch is None or own != epoch - 1 or self._packets - stretch.met > SKEW:
                continue
            begin = stretch.begin * self._seconds[other]
            off = 0.0 if stretch.clock is None else abs(begin - stretch.clock)
            if off > OUT_OF_STEP and abs(begin - time) < off:
                stretches[epoch] = stretches.pop(own)
                self._epochs[other] = epoch

    def result(self, video: int) -> Survey:
        """The map of time; ``video`` is the stream whose pictures run on without a gap."""
        starts = [
            stretches[0].start * self._bases[index]
            for index, stretches in self._stretches.items()
            if 0 in stretches and self._kinds[index] in ("video", "audio", "subtitle")
        ]
        if not starts:
            return Survey()
        origin = min(starts)
        offsets, jumps = [-origin], []
        for epoch in range(1, len(self._now)):
            offsets.append(offsets[-1] + self._offset(video, epoch))
            stretches = self._stretches[video]
            if epoch in stretches and epoch - 1 in stretches:
                base = self._bases[video]
                jumps.append(
                    Jump(stretches[epoch].first, stretches[epoch - 1].end * base, stretches[epoch].start * base)
                )
        shifts = {
            index: [
                (stretch.first, round(offsets[epoch] / self._bases[index]))
                for epoch, stretch in sorted(stretches.items())
            ]
            or [(0, round(-origin / self._bases[index]))]
            for index, stretches in self._stretches.items()
        }
        for steps in shifts.values():
            steps[0] = (0, steps[0][1])
        return Survey(origin=origin, jumps=tuple(jumps), shifts=shifts)

    def _offset(self, video: int, epoch: int) -> Fraction:
        """Seconds between an epoch's clock and that of the one before: the pictures run on without a gap, and no
        stream's decoding times go back."""
        wanted: dict[int, Fraction] = {}
        least: list[Fraction] = []
        for index, stretches in self._stretches.items():
            before, after, base = stretches.get(epoch - 1), stretches.get(epoch), self._bases[index]
            if before is None or after is None or self._kinds[index] not in ("video", "audio"):
                continue
            wanted[index] = (before.end - after.start) * base
            least.append((before.last + 1 - after.begin) * base)
        if not wanted:
            return Fraction(0)
        return max(wanted.get(video, max(wanted.values())), *least)
