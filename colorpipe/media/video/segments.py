"""A film in the making, on disk in segments that a killed run leaves whole, so that the next one goes on after them.

A segment is ``FRAMES`` frames or a few more that were encoded by themselves: it starts with a key frame, nothing in it
refers to another. Where segments begin depends on the film alone (on the frames' numbers; where colour is carried from
frame to frame, on what they show), so that a film that was interrupted is cut, and encoded, exactly as one that was
not. What goes over from one segment to the next besides, the colour that is carried, stands at the end of its file.
They lie in a hidden folder beside the result::

    .film.mkv.colorpipe/
        manifest.jsonl         first line: what the job is; then a line for each whole segment
        00000000.segment       its packets
        00000250.segment
        result.mkv             header and, while the film is joined, all the rest; renamed when it is whole
    .film.mkv.1f0c9a5b7e42.kept/   those of another job that was to have this name: ``half_made``

Packets are stored as the encoder gave them, between fixed headers, and not in a container: Matroska rounds times to
milliseconds, MP4 moves negative decoding times into an edit list, NUT and MPEG-TS parse packets anew when they are
read. What a container would add, the encoder's parameters, is the same for all segments and stands in the result's own
header.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from colorpipe.errors import OutputError
from colorpipe.files import BINARY, partial_path, place, remove, working_folder
from colorpipe.media.video.half_made import MANIFEST as MANIFEST
from colorpipe.media.video.half_made import make_room, plain, remove_kept

FRAMES = 250
"""Frames a segment. libx264 and libx265 put key frames at most 250 apart of their own accord, so that cutting there
adds the fewest; it is ten seconds of film, and the most that a kill costs."""
LEAST_FRAMES = 8
"""More than any encoder reorders: the joined decoding times need the first few frames of a whole segment."""
_FORMAT = 2
"""Format of the folder; one of another format is not resumed."""
_HEADER = struct.Struct("<qqqBI")
"""A packet's header: pts, dts and duration in the film's time base, 1 for a key frame, bytes that follow."""


@dataclass(frozen=True)
class StoredPacket:
    """One packet of encoded video; times in the film's time base."""

    data: bytes
    pts: int
    dts: int
    duration: int
    is_keyframe: bool


@dataclass(frozen=True)
class Segment:
    """A whole segment, as the manifest lists it."""

    first: int
    """Number of its first frame."""
    frames: int
    last_pts: int
    lead: int
    """Packets that are decoded before the time at which the first frame is shown: how far the encoder reorders."""
    size: int
    """Bytes."""
    crc: int
    """CRC-32 of the file."""
    state: int
    """Bytes at the file's end that are not packets: the state that the next segment needs."""
    state_crc: int
    """CRC-32 of those alone."""

    @property
    def name(self) -> str:
        return f"{self.first:08}.segment"


class SegmentWriter:
    """A segment in the making, in a file that does not count yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("wb")
        self._times: list[tuple[int, int]] = []
        self._crc = self.size = 0

    def add(self, packet: StoredPacket) -> None:
        head = _HEADER.pack(packet.pts, packet.dts, packet.duration, packet.is_keyframe, len(packet.data))
        for part in (head, packet.data):
            self._file.write(part)
            self._crc = zlib.crc32(part, self._crc)
            self.size += len(part)
        self._times.append((packet.pts, packet.dts))

    def finish(self, first: int, state: bytes) -> Segment:
        """The file, durable on disk."""
        self._file.write(state)
        self._crc = zlib.crc32(state, self._crc)
        self.size += len(state)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        shown = sorted(pts for pts, _ in self._times)
        lead = sum(dts < shown[0] for _, dts in self._times)
        return Segment(first, len(shown), shown[-1], lead, self.size, self._crc, len(state), zlib.crc32(state))

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # unwritten data cannot be flushed either
            self._file.close()
        remove(self.path)


class Segments:
    """The working folder of one film.

    Args:
        result: Where the film will be; its folder is made where it is missing.
        job: What decides the result: recipe and source. None: nothing is taken up, and nothing stays behind. What
            another job left under this name is kept beside it; what this job left under another name is taken up.
        source: The path of the source, for a person.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, result: Path, job: Mapping[str, Any] | None = None, source: str = "") -> None:
        self._job, self._source = job, source
        self._result = result
        self.note, self.note_passes = "", False
        """A remark for a person, and whether it is no longer true once the film is finished."""
        self._opened = False
        self._whole: list[Segment] = []
        result.parent.mkdir(parents=True, exist_ok=True)
        self.folder = partial_path(result) if job is None else working_folder(result)
        if job is not None:
            self.note, self.note_passes = make_room(result, job)
        self.folder.mkdir(exist_ok=True)
        self.joined = self.folder / f"result{result.suffix}"
        """The path of the joined film."""

    @property
    def frames(self) -> int:
        """The number of frames in whole segments."""
        return sum(segment.frames for segment in self._whole)

    @property
    def size(self) -> int:
        """Bytes of the whole segments."""
        return sum(segment.size for segment in self._whole)

    @property
    def state(self) -> bytes:
        """The state that was given with the last whole segment.

        Raises:
            OSError: it cannot be read.
        """
        return self._state_of(self._whole[-1]) if self._whole else b""

    @property
    def last_pts(self) -> int | None:
        return self._whole[-1].last_pts if self._whole else None

    def open(self, encoder: Mapping[str, Any]) -> None:
        """Take up the segments of the same job and encoder, and delete all others.

        Raises:
            OSError: the manifest cannot be written.
        """
        identity = {"format": _FORMAT, "encoder": dict(encoder), "job": self._job}
        self._whole = self._listed(identity) if self._job is not None else []
        keep = {self.joined.name, MANIFEST, *(segment.name for segment in self._whole)}
        for path in self.folder.iterdir():
            if path.name not in keep:
                remove(path)
        # Written anew in one go: a line that a kill cut short must not stand before those that follow.
        head = json.dumps({**identity, "source": self._source})
        lines = [head, *(json.dumps(asdict(segment)) for segment in self._whole)]
        part = self.folder / f"{MANIFEST}.part"
        _write(part, "".join(line + "\n" for line in lines), os.O_CREAT | os.O_TRUNC)
        place(part, self.folder / MANIFEST)
        self._opened = True

    def begin(self) -> SegmentWriter:
        """The next segment.

        Raises:
            OSError: its file cannot be made.
        """
        return SegmentWriter(self.folder / "segment.part")

    def add(self, writer: SegmentWriter, state: bytes = b"") -> None:
        """Make a segment count: renamed, then listed. A kill in between costs the segment and nothing else.

        Args:
            state: What must be known to make the next one.

        Raises:
            OSError: it cannot be finished.
        """
        segment = writer.finish(self.frames, state)
        place(writer.path, self.folder / segment.name)
        _write(self.folder / MANIFEST, json.dumps(asdict(segment)) + "\n", os.O_APPEND)
        self._whole.append(segment)

    def packets(self) -> Iterator[StoredPacket]:
        """All packets in the order of decoding, with decoding times that rise from the first to the last.

        An encoder's decoding times are the times of its frames in the order in which they are shown, set back by as
        many packets as it reorders; at each of its starts they reach back into the segment before. Here they are the
        film's times, set back likewise: those that one encoder of the whole film would have given.

        Raises:
            OutputError: a segment is not as it was written. It is thrown away with those after it; the next run makes
                them again.
        """
        if len(self._whole) == 1 and self._sound(self._whole[0]):
            yield from self._stored(self._whole[0])
            return
        lead = max(self._lead(segment) for segment in self._whole)
        earlier: list[int] = []
        for segment in self._whole:
            shown = sorted(pts for pts, _ in self._times(segment))
            due = earlier + shown
            if segment.first == 0:
                due = [pts - (shown[lead] - shown[0]) for pts in shown[:lead]] + due
            for packet, dts in zip(self._stored(segment), due, strict=False):
                yield StoredPacket(packet.data, packet.pts, dts, packet.duration, packet.is_keyframe)
            earlier = due[len(due) - lead :]

    def discard(self) -> None:
        """Remove the folder."""
        remove(self.folder)

    def finish(self) -> None:
        """The film is there: remove the folder, and what was kept of the same source."""
        self.discard()
        if self._job is not None:
            remove_kept(self._result, self._job)

    def leave(self) -> None:
        """Stop: whole segments stay for the next run where there is a job to take up; else nothing does."""
        remove(self.joined)
        if self._job is None or (self._opened and not self._whole):
            self.discard()
        elif not self._opened:
            with contextlib.suppress(OSError):  # an earlier run's segments, which were not looked at
                self.folder.rmdir()

    def _listed(self, identity: Mapping[str, Any]) -> list[Segment]:
        """The manifest's segments that lie there in full, up to the first that does not."""
        whole: list[Segment] = []
        try:
            lines = (self.folder / MANIFEST).read_text("utf-8").splitlines()
            told = json.loads(lines[0]) if lines else {}
            if {key: told.get(key) for key in identity} != plain(identity):
                return []
            for line in lines[1:]:
                segment = Segment(**json.loads(line))
                gap = segment.first != sum(earlier.frames for earlier in whole)
                if gap or (self.folder / segment.name).stat().st_size != segment.size:
                    break
                whole.append(segment)
            while whole and zlib.crc32(self._state_of(whole[-1])) != whole[-1].state_crc:
                whole.pop()
        except (OSError, ValueError, TypeError):  # no manifest, or what a power cut left of it
            pass
        return whole

    def _state_of(self, segment: Segment) -> bytes:
        with (self.folder / segment.name).open("rb") as file:
            file.seek(segment.size - segment.state)
            return file.read()

    def _sound(self, segment: Segment) -> bool:
        """Whether the encoder's decoding times can be taken as they are. Of films that are over before its first
        picture comes out, libx265's are numbers that mean nothing."""
        times = list(self._times(segment))
        first = min(pts for pts, _ in times)
        farthest = first - (segment.last_pts - first + 1) * LEAST_FRAMES
        rising = all(before[1] < after[1] for before, after in itertools.pairwise(times))
        return rising and all(farthest < dts <= pts for pts, dts in times)

    def _lead(self, segment: Segment) -> int:
        """Packets before the first frame is shown; counted where so few came that the encoder's times are no help."""
        if segment.frames >= LEAST_FRAMES:
            return segment.lead
        decoded = [pts for pts, _ in self._times(segment)]
        place = {pts: number for number, pts in enumerate(sorted(decoded))}
        return max(number - place[pts] for number, pts in enumerate(decoded))

    def _times(self, segment: Segment) -> Iterator[tuple[int, int]]:
        """The times at which its packets are shown and decoded, as they were stored, in the order of decoding."""
        with self._readable(segment), (self.folder / segment.name).open("rb") as file:
            for _ in range(segment.frames):
                pts, dts, _, _, size = _HEADER.unpack(file.read(_HEADER.size))
                file.seek(size, os.SEEK_CUR)
                yield pts, dts

    def _stored(self, segment: Segment) -> Iterator[StoredPacket]:
        crc = 0
        with self._readable(segment), (self.folder / segment.name).open("rb") as file:
            for _ in range(segment.frames):
                head = file.read(_HEADER.size)
                pts, dts, duration, is_keyframe, size = _HEADER.unpack(head)
                data = file.read(size)
                crc = zlib.crc32(data, zlib.crc32(head, crc))
                yield StoredPacket(data, pts, dts, duration, bool(is_keyframe))
            if zlib.crc32(file.read(segment.state), crc) != segment.crc:
                raise struct.error("the checksum differs")

    @contextlib.contextmanager
    def _readable(self, segment: Segment) -> Iterator[None]:
        try:
            yield
        except (struct.error, FileNotFoundError):
            self._forget_from(segment)
            raise OutputError(
                f"cannot write {self._result}: the frames from {segment.first} on were damaged on the disk since they "
                f"were encoded ({self.folder / segment.name})",
                hint="the same command makes them again and goes on from there",
            ) from None

    def _forget_from(self, segment: Segment) -> None:
        for late in self._whole[self._whole.index(segment) :]:
            remove(self.folder / late.name)
        self._whole = self._whole[: self._whole.index(segment)]


def _write(path: Path, text: str, flags: int) -> None:
    """Text in one call, durable; a kill leaves all of it or nothing."""
    file = os.open(path, os.O_WRONLY | BINARY | flags, 0o666)
    try:
        data = text.encode()
        if os.write(file, data) != len(data):
            raise OSError(28, os.strerror(28), str(path))
        os.fsync(file)
    finally:
        os.close(file)
