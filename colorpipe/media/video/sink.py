"""Films, written through FFmpeg (PyAV): the video encoded anew around its exact luma, every other stream copied.

The video is encoded in segments, which survive a killed run (``segments``), and joined at the end, packet by packet.
The copying is ``remux.CopiedStreams``; it and ``VideoSink`` meet only there, in the order of time: the sink asks for
everything that is due before its next packet.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.container
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from colorpipe.errors import OutputError, UsageError
from colorpipe.files import place, remove, sync, unwritable
from colorpipe.media.base import Provenance, Sink
from colorpipe.media.video import segments
from colorpipe.media.video.container import open_container
from colorpipe.media.video.encoder import EncoderPlan
from colorpipe.media.video.fields import FIELDS, Order
from colorpipe.media.video.inventory import CAPTIONS, MESSAGES
from colorpipe.media.video.remux import CopiedStreams, kept_metadata, lost, with_provenance
from colorpipe.media.video.segments import Segments, SegmentWriter, StoredPacket
from colorpipe.media.video.ways import FAILURES, holds_codec, muxer_of, open_passing
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame

if TYPE_CHECKING:
    from colorpipe.media.video.source import VideoSource

OTHER_TIME_CODE = "original_timecode"
"""The tag for a time code that a muxer refuses: drop-frame at another rate than 29.97 or 59.94."""
_MAX_MOVIE_TIMESCALE = 2**31 - 1


class VideoSink(Sink):
    """A film in the making.

    Every frame keeps its timestamp and duration; the Y plane given is the Y plane encoded. All parameters are settled
    and the file's header is written when the sink is made: what cannot work fails before any work is done.

    Args:
        job: What decides the result: digests of recipe and source. Whole segments that an earlier run of the same job
            left are taken up: ``start`` tells how many frames they hold, and ``write`` goes on after them. ``abort``
            then leaves whole segments for the next run, and ``commit`` leaves them until ``tidy``. None: nothing is
            taken up, and nothing stays behind. It is asked for the whole film only (``VideoSource.whole``).
        segment_frames: Frames a segment at least, and at least 8; None is ``segments.FRAMES``.

    Raises:
        UsageError: the name asks for a container that cannot be written, or the preset does not exist.
        OutputError: the encoder cannot hold the source's bit depth, or the file cannot be created.
    """

    encoding: Encoding
    """The chroma layout that ``write`` takes, which is not the source's where the encoder cannot hold that."""

    def __init__(
        self,
        path: Path,
        source: VideoSource,
        options: MediaOptions,
        provenance: Provenance | None = None,
        job: Mapping[str, Any] | None = None,
        segment_frames: int | None = None,
    ) -> None:
        self.path, self._source = path, source
        self._notes: list[str] = []
        self._closed = False
        self._durations: dict[int, int] = {}
        self._besides: dict[int, tuple[Order | None, bytes | None, list[bytes]]] = {}
        """Fields, captions and messages of the frames in the encoder, by their time."""
        self._lost: Counter[str] = Counter()
        self._tags = source.tags
        self._size = source.info.width, source.info.height
        self._expected = source.info.frames
        self._muxer = muxer_of(path)
        self._resumable = job is not None
        self._segment_frames = max(segment_frames or segments.FRAMES, segments.LEAST_FRAMES)
        self._writer: SegmentWriter | None = None
        self._encoder: Any = None
        self._in_segment = 0
        if not holds_codec(self._muxer, options.codec):
            raise UsageError(f"{path}: {self._muxer} cannot hold {options.codec}", hint="name it .mkv or .mp4")
        self._plan = EncoderPlan(source, options, self._muxer)
        self._notes += self._plan.notes
        self.encoding = self._plan.encoding
        # An mp4 holds either any tag or, in iTunes' way, known tags and a cover picture.
        self._itunes_tags = self._muxer == "mp4" and source.has_cover and source.whole
        self._counts_time = True
        """Whether the muxer has a place for the time code."""
        self._closing = contextlib.ExitStack()
        try:
            self._segments = Segments(path, job, str(source.path))
            self._notes += filter(None, [self._segments.note])
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            self._rehearse(source, provenance)
            self._begin(source, provenance, self._segments.joined)
            self._notes += self._copied.notes
            self._segments.open(self._encoder_identity())
            self.state = self._segments.state
        except FAILURES as error:
            self.abort()
            raise self._failure(error) from error
        except BaseException:
            self.abort()
            raise
        self._notes = list(dict.fromkeys(self._notes))  # some were told by the rehearsal as well
        self.start = self._written = self._segments.frames

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self._notes)

    def write(self, frame: Frame, state: bytes | None = b"") -> None:
        """Take the next frame; its colour planes have ``encoding.chroma_shape(height, width)``.

        A segment ends with the first frame of at least so many after which another run can go on.
        """
        ticks = round(frame.pts / self._tags.time_base) if frame.pts is not None else self._written
        if self._segments.last_pts is not None and ticks <= self._segments.last_pts:
            raise ValueError(f"{frame} at {ticks} is not later than the segments before it ({self._segments.last_pts})")
        duration = frame.metadata.extra.get("duration")
        if duration is not None:
            self._durations[ticks] = round(duration / self._tags.time_base)
        image = self._image(frame, ticks)
        extra = frame.metadata.extra
        besides = extra.get(FIELDS), extra.get(CAPTIONS), extra.get(MESSAGES, [])
        if any(besides) or self._plan.interlaces:
            self._besides[ticks] = besides
            self._lost.update(self._plan.loses(*besides))
        try:
            if self._writer is None:
                self._writer, self._in_segment = self._segments.begin(), 0
                self._encoder = self._plan.another(self._stream.codec_context)
            self._store(self._encoder.encode(self._plan.marked(image, besides[0])))
            self._in_segment += 1
            if self._in_segment >= self._segment_frames and state is not None:
                self._end_segment(state)
        except FAILURES as error:
            raise self._failure(error) from error
        self._written += 1

    def commit(self) -> None:
        if self._closed:
            return
        try:
            if not self._written:
                raise OutputError(f"{self.path}: no frame was written")
            self._end_segment(b"")
            for packet in self._segments.packets():
                self._mux(packet)
            self._copied.pump(self._source.end)
            streams = len(self._output.streams)
            self._output.close()
            self._copied.close()
            part = self._segments.joined
            self._notes += [f"{what}: {count}" for what, count in self._lost.items()]
            self._notes += [*self._copied.late_notes(), *lost(part, self._output, streams)]
            sync(part)
            place(part, self.path)
        except FAILURES as error:
            self.abort()
            raise self._failure(error) from error
        except BaseException:
            self.abort()
            raise
        self._closed = True
        if self._segments.note_passes:
            self._notes.remove(self._segments.note)
        if not self._resumable:
            self._segments.discard()

    def abort(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.discard()
        self._segments.leave()
        with contextlib.suppress(*FAILURES):  # closing writes the trailer, into a file that is gone by now
            self._closing.close()
        self._segments.leave()

    def tidy(self) -> None:
        self._segments.finish()

    @property
    def kept(self) -> int:  # type: ignore[override]
        return self._segments.frames if self._resumable else 0

    def _store(self, packets: list[Packet[Any]]) -> None:
        assert self._writer is not None
        for packet in packets:
            assert packet.pts is not None  # encoders time every packet, in the time base that they were given
            assert packet.dts is not None
            assert packet.time_base == self._tags.time_base
            duration = self._durations.pop(packet.pts, packet.duration or 0)
            data, besides = bytes(packet), self._besides.pop(packet.pts, None)
            if besides is not None:
                data = self._plan.finished(data, *besides)
            self._writer.add(StoredPacket(data, packet.pts, packet.dts, duration, packet.is_keyframe))

    def _end_segment(self, state: bytes) -> None:
        """Empty the encoder and count the segment; the next segment gets a new encoder."""
        if self._writer is None:
            return
        self._store(self._encoder.encode(None))
        if self._encoder.extradata != self._stream.codec_context.extradata:
            raise ValueError(f"{self._plan.codec} encoded a segment with other parameters than the header has")
        self._segments.add(self._writer, state)
        self._writer = self._encoder = None

    def _mux(self, stored: StoredPacket) -> None:
        packet: Packet[Any] = Packet(stored.data)
        packet.time_base = self._tags.time_base
        packet.pts, packet.dts, packet.duration = stored.pts, stored.dts, stored.duration
        packet.is_keyframe = stored.is_keyframe
        packet.stream = self._stream
        self._copied.pump(stored.dts * self._tags.time_base)
        self._output.mux(packet)

    def _encoder_identity(self) -> dict[str, Any]:
        """The facts that make two segments parts of one stream: another FFmpeg may decode or encode otherwise."""
        extradata = self._stream.codec_context.extradata or b""
        return {
            "codec": self._plan.codec,
            "parameters": hashlib.sha256(extradata).hexdigest(),
            "frames": self._segment_frames,
            "libavcodec": list(av.library_versions["libavcodec"]),
        }

    def _add_video(self, original: Stream) -> None:
        """The encoded stream, in the place that the source's has among the others.

        Its encoder writes the header and encodes nothing: each segment has one of its own.
        """
        self._stream = self._plan.add_to(self._output)
        tags = kept_metadata(original.metadata)
        tags.pop("alpha_mode", None)  # WebM's; muxers say it of pictures that have transparency
        self._stream.metadata.update(tags)
        self._stream.disposition = original.disposition
        if self._muxer == "matroska" and (self._tags.time_base * 1000).denominator != 1:
            self._notes.append(
                "Matroska counts milliseconds: timestamps are within half of one of the source's "
                f"(which count {_reciprocal(self._tags.time_base)} of a second); name the result .mp4 to keep them "
                "exactly"
            )

    def _rehearse(self, source: VideoSource, provenance: Provenance | None) -> None:
        """Write a film of one frame, so that a muxer's refusal comes before any work is done."""
        trial = self._segments.folder / f"trial{self._segments.joined.suffix}"
        try:
            self._begin(source, provenance, trial)
            encoder = self._plan.another(self._stream.codec_context)
            grey = VideoFrame(*self._size, self._plan.pixel_format)
            for plane in grey.planes:
                plane.update(bytes(plane.buffer_size))
            grey.pts, grey.time_base = 0, self._tags.time_base
            order = source.tags.order
            for packet in [*encoder.encode(self._plan.marked(grey, order)), *encoder.encode(None)]:
                packet.pts = packet.dts = 0
                packet.stream = self._stream
                self._output.mux(packet)
            told = next((code for held in (self._stream, self._output) for code in _time_codes(held.metadata)), None)
            self._closing.close()
            with open_container(trial) as film:
                self._counts_time = not told or any(any(_time_codes(held.metadata)) for held in (film, *film.streams))
            if not self._counts_time:
                self._notes.append(
                    f"the time code {told} is kept as the tag {OTHER_TIME_CODE}: {self._muxer} has no track for it at "
                    f"{float(self._tags.nominal_rate):.3f} frames a second"
                )
        finally:
            self._closing.close()
            remove(trial)

    def _begin(self, source: VideoSource, provenance: Provenance | None, place: Path) -> None:
        """The result's header, at a place."""
        copied = CopiedStreams(source.path, source.index, self._muxer, not source.whole)
        self._closing.callback(copied.close)
        options = self._muxer_options(source)
        if copied.passes:
            output = open_passing(place, self._muxer, options)
        else:
            output = av.open(f"file:{place}", "w", format=self._muxer, container_options=options)
        self._closing.callback(output.close)
        self._copied, self._output = copied, output
        copied.add_streams(output, self._add_video)
        tags = kept_metadata(copied.input.metadata)
        if not self._counts_time:
            for held in (self._stream.metadata, tags):
                for key in [key for key in held if key.lower() == "timecode"]:
                    tags[OTHER_TIME_CODE] = held.pop(key)
        output.metadata.update(with_provenance(tags, provenance, not self._itunes_tags))
        if source.whole:
            output.set_chapters(copied.input.chapters())
        output.start_encoding()

    def _muxer_options(self, source: VideoSource) -> dict[str, str]:
        if self._muxer == "matroska":
            # The clock stays the source's, even where an audio track starts a few ms before zero.
            return {"avoid_negative_ts": "disabled", "default_mode": "passthrough"}
        # The movie's own clock times the first frame of each track: as fine as the tracks', or a start gets rounded.
        scale = source.tags.time_base.denominator
        for rate in source.sample_rates:
            if math.lcm(scale, rate) <= _MAX_MOVIE_TIMESCALE:
                scale = math.lcm(scale, rate)
        # write_colr: else a matrix and a range are dropped where the primaries are not told.
        flags = "+faststart+write_colr" + ("" if self._itunes_tags else "+use_metadata_tags")
        return {"movflags": flags, "movie_timescale": str(max(scale, 1000))}

    def _image(self, frame: Frame, ticks: int) -> VideoFrame:
        encoding, (width, height) = self.encoding, self._size
        chroma = encoding.chroma_shape(height, width)
        if frame.colour is None or frame.luma.shape != (height, width) or frame.colour[0].shape != chroma:
            raise ValueError(f"{frame} is not {width}x{height} with chroma planes of {chroma}")
        planes = [frame.luma, *frame.colour]
        if self._plan.has_alpha:
            planes.append(np.full_like(frame.luma, encoding.peak) if frame.alpha is None else frame.alpha)
        dtype = np.dtype(np.uint8 if encoding.bits == 8 else "<u2")
        image = VideoFrame(width, height, self._plan.pixel_format)
        for plane, values in zip(image.planes, planes, strict=True):
            if values.dtype != dtype:
                raise ValueError(f"{frame}: a plane is {values.dtype}, not {dtype}")
            np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width] = values
        image.pts, image.time_base = ticks, self._tags.time_base
        return image

    def _failure(self, error: Exception) -> OutputError:
        if isinstance(error, OSError) and error.errno in errno.errorcode:
            return unwritable(self.path, error, self._space_needed())
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"cannot write {self.path}: {reason}", hint="try another --codec, or another suffix with -o")

    def _space_needed(self) -> int | None:
        """Bytes that the rest of the film and the joined one will take, by what the frames so far took."""
        frames, size = self._segments.frames, self._segments.size
        if self._writer is not None:
            frames, size = frames + self._in_segment, size + self._writer.size
        if not frames or not size:
            return None
        whole = max(size, size * (self._expected or frames) // frames)
        return 2 * whole - self._segments.size


def _time_codes(tags: Mapping[str, str]) -> list[str]:
    """Matroska writes the names of tags in capitals."""
    return [value for key, value in tags.items() if key.lower() == "timecode"]


def _reciprocal(time_base: Fraction) -> str:
    return f"1/{time_base.denominator}" if time_base.numerator == 1 else str(time_base)
