"""Other people's films: what their tools and tapes do to a file. Each test names the kind of what went wrong once."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import Flags
from av.packet import Packet
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from colorpipe.media.video import survey
from colorpipe.media.video.inventory import side_data_of
from colorpipe.media.video.source import open_video
from colorpipe.media.video.ways import output_suffix
from colorpipe.settings import MediaOptions
from colorpipe.types import Recipe, Stage
from colorpipe.verification import verify
from tests.conftest import Cli
from tests.test_video import FFV1, colorize, make_clip

RATE = 48_000
X265 = MediaOptions(codec="libx265", preset="ultrafast")
FAST = MediaOptions(codec="libx264", preset="ultrafast")
WRONG = Path(__file__).parent / "data" / "wrong_films"
CALM = {"luma", "frames"}
"""Checks that a lossy codec, or nothing at all, changes."""


def pictures(count: int, size: tuple[int, int] = (64, 48), first: int = 0, level: int = 0) -> Iterator[VideoFrame]:
    """Grey frames: a bar that moves over a slope."""
    width, height = size
    for number in range(first, first + count):
        luma = np.tile(np.linspace(40 + level, 180 + level, width).astype(np.uint8), (height, 1))
        luma[:, (number * 3) % width : (number * 3) % width + 6] = 220
        image = VideoFrame(width, height, "yuv420p")
        for plane, values in zip(image.planes, (luma, 128, 128), strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            rows[:, : plane.width] = values
        image.pts, image.time_base = number - first, Fraction(1, 25)
        yield image


def film(
    path: Path,
    *,
    codec: str = "mpeg2video",
    muxer: str | None = None,
    frames: Sequence[VideoFrame] | None = None,
    count: int = 15,
    size: tuple[int, int] = (64, 48),
    audio: str | None = None,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    change: Callable[[Any], None] | None = None,
    touched: Callable[[bytes, int], bytes] | None = None,
    rate: Fraction | int = 25,
    sound: tuple[float, float] | None = None,
    pixels: str = "yuv420p",
    tags: dict[str, str] | None = None,
) -> Path:
    """A short film.

    Args:
        change: Is given the video stream before it is opened.
        touched: Is given each video packet's bytes and number.
        sound: Begin and end of the sound, in seconds.
    """
    with av.open(str(path), "w", format=muxer, container_options=container or {}) as output:
        stream = output.add_stream(
            codec, rate=rate, options=options or {}, width=size[0], height=size[1], time_base=1 / Fraction(rate)
        )
        stream.pix_fmt = pixels
        stream.metadata.update(tags or {})
        if change is not None:
            change(stream)
        voice = output.add_stream(audio, rate=RATE, layout=layout) if audio else None
        images = list(frames if frames is not None else pictures(count, size))
        packets = [packet for image in [*images, None] for packet in stream.encode(image)]
        if touched is not None:
            packets = [_rewritten(packet, touched(bytes(packet), number)) for number, packet in enumerate(packets)]
        if voice is not None:
            begin, end = sound or (0, len(images) / float(rate))
            packets += tones(voice, begin, end, layout)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            output.mux(packet)
    return path


def _rewritten(packet: Any, data: bytes) -> Packet:
    made: Any = Packet(data)
    made.pts, made.dts, made.time_base, made.duration = packet.pts, packet.dts, packet.time_base, packet.duration
    made.is_keyframe, made.stream = packet.is_keyframe, packet.stream
    return made


def tones(voice: Any, begin: float, end: float, layout: str = "mono") -> list[Any]:
    if voice.codec_context.name == "wmav2":
        voice.codec_context.bit_rate = 32_000
    channels = {"mono": 1, "stereo": 2}[layout]
    first, last = round(begin * RATE), round(end * RATE)
    wave = np.sin(np.arange(first, last) * 0.06)
    samples = np.repeat((wave * 9000).astype(np.int16)[:, None], channels, 1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
    resampler = av.AudioResampler(voice.format, voice.layout, RATE, voice.codec_context.frame_size or None)
    voice.codec_context.open(strict=False)
    resampler = av.AudioResampler(voice.format, voice.layout, RATE, voice.codec_context.frame_size or None)
    made = []
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        made += voice.encode(part)
    return [*made, *voice.encode(None)]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def with_fields(images: Iterator[VideoFrame], order: str) -> list[VideoFrame]:
    """The frames, marked: ``tff``, ``bff`` or ``prog``."""
    marked = []
    graph = None
    for image in images:
        if graph is None:
            graph = av.filter.Graph()
            steps = [
                graph.add_buffer(
                    width=image.width, height=image.height, format=VideoFormat("yuv420p"), time_base=Fraction(1, 25)
                ),
                graph.add("setfield", order),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*steps).configure()
        graph.push(image)
        marked.append(graph.vpull())
    return marked


def fields_of(path: Path) -> list[str | None]:
    """Of each decoded frame, by two of FFmpeg's filters: one lets top-first frames pass, one the others."""
    orders: list[str | None] = []
    with av.open(str(path)) as result:
        for image in result.decode(video=0):
            order = None
            for kind, number in (("top", 1), ("bottom", 2)):
                graph = av.filter.Graph()
                steps = [
                    graph.add_buffer(
                        width=image.width, height=image.height, format=image.format, time_base=Fraction(1, 25)
                    ),
                    graph.add("select", rf"eq(interlace_type\,{number})"),
                    graph.add("buffersink"),
                ]
                graph.link_nodes(*steps).configure()
                graph.push(image)
                try:
                    graph.vpull()
                    order = kind
                except BlockingIOError:
                    pass
            orders.append(order)
    return orders


def times_of(path: Path, kind: str = "video", index: int = 0) -> list[Fraction]:
    """When a stream's packets are shown, in order."""
    with av.open(str(path)) as result:
        stream = [stream for stream in result.streams if stream.type == kind][index]
        return sorted(packet.pts * packet.time_base for packet in result.demux(stream) if packet.size)


def probed(path: Path, entries: str) -> str:
    """What another FFmpeg says, where its command is there."""
    if shutil.which("ffprobe") is None:
        pytest.skip("the command ffprobe is not installed: no second reader")
    words = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=p=0", str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def unequal(source: Path, result: Path) -> dict[str, str]:
    """What ``verify`` finds, but for what a lossy codec does to the luma."""
    return {check.name: check.says for check in verify(source, result).checks if check.status != "equal"} | {
        check.name: check.says for check in verify(source, result).checks if check.status == "differs"
    }


def nothing_lost(source: Path, result: Path) -> None:
    found = unequal(source, result)
    assert set(found) <= {"luma"}, found


# --- verify finds what an earlier version made wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "check", "says"),
    [
        ("equal-times", "stream 1", "in the result"),
        ("clock-begins-again", "timestamps", "clock begins again at frame 10"),
        ("clock-of-the-sender", "timestamps", "of nothing come before"),
        ("times-of-decoding", "timestamps", "in the source"),
        ("bottom-field-first", "first field", "bottom"),
        ("fields-into-ffv1", "first field", "top in the source, progressive in the result"),
        ("captions", "closed captions", "not in the result"),
        ("alpha-flag", "transparency flag", "has none"),
        ("drop-frame", "time code", "01:00:00;02 in the source, none in the result"),
        ("chroma-location", "chroma location", "topleft in the source, left in the result"),
        ("aspect-changes", "pixel aspect", "on 32/27 in the source"),
        ("sound-left-out", "stream 1", "wmav2: not in the result"),
    ],
)
def test_verify_finds_what_an_earlier_version_lost(kind: str, check: str, says: str) -> None:
    source, result = (next((WRONG / kind).glob(f"{name}.*")) for name in ("source", "result"))
    report = verify(source, result)
    assert report[check].status == "differs", report
    assert says in report[check].says


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_equal_times_stay_where_the_muxer_takes_them(tmp_path: Path) -> None:
    source = next((WRONG / "equal-times").glob("source.*"))
    sink = colorize(source, tmp_path / "out.mkv", FAST)
    assert times_of(tmp_path / "out.mkv", "audio") == times_of(source, "audio")
    assert sink.notes == ()
    nothing_lost(source, tmp_path / "out.mkv")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("muxer", ["mpegts", "vob"])
def test_a_clock_that_begins_again_is_one_map_for_all_streams(tmp_path: Path, suffix: str, muxer: str) -> None:
    parts = [film(tmp_path / f"{n}.ts", muxer=muxer, audio="mp2", count=25) for n in range(2)]
    source = joined(tmp_path / ("in.ts" if muxer == "mpegts" else "in.vob"), *parts)
    result = tmp_path / f"out{suffix}"
    with open_video(source, FAST) as read:
        shown = [frame.pts for frame in read]
        assert [note for note in read.info.notes if "begins again at frame 25" in note]
        assert len(read.info.notes) == 1
    assert all(0 < after - before < Fraction(3, 50) for before, after in pairwise(shown))
    colorize(source, result, FAST)
    assert max(times_of(result)) - min(times_of(result)) == pytest.approx(49 / 25, abs=0.03)
    sounds = len(times_of(parts[0], "audio"))
    heard = times_of(result, "audio")
    assert len(heard) == 2 * sounds
    step = (shown[25] or 0) - (shown[0] or 0)
    assert heard[sounds] - heard[0] == pytest.approx(float(step), abs=0.002)
    nothing_lost(source, result)


def test_a_clock_that_jumps_ahead_is_joined(tmp_path: Path) -> None:
    first = film(tmp_path / "a.ts", muxer="mpegts", audio="mp2")
    later = film(tmp_path / "b.ts", muxer="mpegts", audio="mp2", container={"output_ts_offset": "4000"})
    source = joined(tmp_path / "in.ts", first, later)
    colorize(source, tmp_path / "out.mp4", FAST)
    assert max(times_of(tmp_path / "out.mp4")) < 2
    nothing_lost(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("start", ["36000", "95443.2"])
def test_a_film_begins_where_its_recording_does(tmp_path: Path, start: str) -> None:
    """Ten hours on the broadcaster's clock, and a clock of 33 bits that wraps."""
    source = film(tmp_path / "in.ts", muxer="mpegts", audio="mp2", container={"output_ts_offset": start})
    colorize(source, tmp_path / "out.mp4", FAST)
    assert times_of(tmp_path / "out.mp4")[0] < Fraction(1, 10)
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert result.duration < 2 * av.time_base
    nothing_lost(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_container_without_times_is_counted_by_decoding(tmp_path: Path, codec: str) -> None:
    options = {"bf": "3"} if codec == "libx264" else {"bf": "2"}
    source = film(tmp_path / "in.avi", codec=codec, options=options, audio="mp2", count=30)
    colorize(source, tmp_path / "out.mkv", FAST)
    shown = times_of(tmp_path / "out.mkv")
    assert {after - before for before, after in pairwise(shown)} == {Fraction(1, 25)}
    nothing_lost(source, tmp_path / "out.mkv")


def test_a_packed_bitstream_is_timed_frame_by_frame(tmp_path: Path) -> None:
    """As DivX wrote AVIs: two pictures in a chunk, then one that is none."""
    encoder: Any = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 25), Fraction(25), 100
    encoder.options = {"bf": "1", "b_strategy": "0"}
    coded = [bytes(packet) for image in [*pictures(20), None] for packet in encoder.encode(image)]
    kinds = [data[data.index(b"\0\0\1\xb6") + 4] >> 6 for data in coded]
    assert set(kinds) == {0, 1, 2}  # I, P and B
    text = coded[0].index(b"\0\0\1\xb2")
    coded[0] = coded[0][:text] + b"\0\0\1\xb2DivX503b1394p" + coded[0][coded[0].index(b"\0\0\1", text + 4) :]
    nothing = b"\0\0\1\xb6" + bytes([0b01010000, 0b00101111])  # P, at the same time, not coded
    chunks = []
    while coded:
        pair = len(coded) > 1 and (kinds[0], kinds[1]) == (1, 2)
        chunks += [coded[0] + coded[1], nothing] if pair else coded[:1]
        coded, kinds = coded[1 + pair :], kinds[1 + pair :]
    source = tmp_path / "in.avi"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("mpeg4", rate=25, width=64, height=48)
        stream.codec_context.time_base = Fraction(1, 25)
        output.start_encoding()
        for number, chunk in enumerate(chunks):
            packet: Any = Packet(chunk)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, number == 0
            output.mux(packet)
    assert colorize(source, tmp_path / "out.mkv", FAST).notes == ()
    shown = times_of(tmp_path / "out.mkv")
    assert len(shown) == 20
    assert {after - before for before, after in pairwise(shown)} == {Fraction(1, 25)}
    nothing_lost(source, tmp_path / "out.mkv")


def test_frames_that_repeat_are_no_damage(tmp_path: Path) -> None:
    nulls = {5, 6, 7, 14, 15, 21}
    source = film(tmp_path / "in.avi", codec="mjpeg", pixels="yuvj420p", count=30)
    _emptied(source, nulls)
    with open_video(source, FAST) as read:
        assert len(list(read)) == 30 - len(nulls)
        assert read.info.notes == ("frames that only repeat the one before, which is shown for as long: 6",)


def _emptied(path: Path, numbers: set[int]) -> None:
    """Video chunks of an AVI without anything in them, as VirtualDub writes frames that it dropped."""
    data = path.read_bytes()
    movi = data.find(b"movi")
    place, end = movi + 4, movi + struct.unpack("<I", data[movi - 4 : movi])[0]
    out, index, number = bytearray(data[:place]), [], 0
    while place < end - 4 and data[place : place + 4] != b"idx1":
        name, size = data[place : place + 4], struct.unpack("<I", data[place + 4 : place + 8])[0]
        body = data[place + 8 : place + 8 + size]
        place += 8 + size + (size & 1)
        if name == b"00dc":
            body = b"" if number in numbers else body
            number += 1
        index.append((name, 0x10 if body else 0, len(out) - movi, len(body)))
        out += name + struct.pack("<I", len(body)) + body + (b"\0" if len(body) & 1 else b"")
    out[movi - 4 : movi] = struct.pack("<I", len(out) - movi)
    out += b"idx1" + struct.pack("<I", 16 * len(index)) + b"".join(struct.pack("<4sIII", *entry) for entry in index)
    out[4:8] = struct.pack("<I", len(out) - 8)
    path.write_bytes(out)


def test_an_avi_from_a_pipe_is_not_cut_off(tmp_path: Path) -> None:
    source = film(tmp_path / "in.avi", codec="mjpeg", pixels="yuvj420p")
    data = bytearray(source.read_bytes())
    data[4:8] = b"\xff\xff\xff\xff"
    source.write_bytes(data)
    with open_video(source, FAST) as read:
        list(read)
        assert read.info.notes == ()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_film_of_a_few_frames_is_written(tmp_path: Path, count: int) -> None:
    source = film(tmp_path / "in.mp4", codec="libx264", count=count)
    colorize(source, tmp_path / "out.mp4", X265)
    assert len(times_of(tmp_path / "out.mp4")) == count
    nothing_lost(source, tmp_path / "out.mp4")


def test_the_rate_of_raw_dv_is_that_of_its_times(tmp_path: Path) -> None:
    frames = [image.reformat(format="yuv411p") for image in pictures(2, (720, 480))]
    raw = bytearray()
    encoder: Any = av.CodecContext.create("dvvideo", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 720, 480, "yuv411p"
    encoder.time_base, encoder.framerate = Fraction(1001, 30000), Fraction(30000, 1001)
    for number, image in enumerate(frames):
        image.pts, image.time_base = number, Fraction(1001, 30000)
        raw += b"".join(bytes(packet) for packet in encoder.encode(image))
    source = tmp_path / "in.dv"
    source.write_bytes(raw)
    for name in ("out.mp4", "out.mkv"):
        colorize(source, tmp_path / name, FAST)
        with av.open(str(tmp_path / name)) as result:
            assert result.streams.video[0].average_rate == pytest.approx(29.97, abs=0.05)


def test_what_a_muxer_refuses_is_known_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from colorpipe.errors import OutputError
    from colorpipe.media.video.sink import VideoSink

    source = film(tmp_path / "in.mp4", codec="libx264")

    def with_an_option_that_fails_late(self: VideoSink, _source: object) -> dict[str, str]:
        return {"movflags": "+faststart", "write_tmcd": "1", "use_editlist": "1", "frag_size": "x"}

    monkeypatch.setattr(VideoSink, "_muxer_options", with_an_option_that_fails_late)
    with open_video(source, FAST) as read, pytest.raises(OutputError, match=r"cannot write .*out\.mp4"):
        VideoSink(tmp_path / "out.mp4", read, FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_that_comes_late_is_carried_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.vob"
    noise = np.random.default_rng(0)
    with av.open(str(source), "w", format="vob") as output:
        video = output.add_stream("mpeg2video", rate=25, width=64, height=48, options={"qmin": "2", "b": "4M"})
        voices = [output.add_stream("mp2", rate=RATE, layout="mono") for _ in range(2)]
        packets = []
        for number, image in enumerate([*pictures(400), None]):
            if image is not None and number > 330:  # bits enough to come to the next pack
                rows = np.frombuffer(memoryview(image.planes[0]), np.uint8)
                rows[:] = noise.integers(16, 235, rows.size)
            packets += video.encode(image)
        packets += tones(voices[0], 0, 16) + tones(voices[1], 12, 13)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    with av.open(str(source)) as plain:
        assert len(plain.streams) == 2  # else this shows nothing
    sink = colorize(source, tmp_path / "out.mp4", FAST)
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert [stream.type for stream in result.streams] == ["video", "audio", "audio"]
    assert times_of(tmp_path / "out.mp4", "audio", 1)[0] == pytest.approx(12, abs=0.05)
    assert not [note for note in sink.notes if "left out" in note]
    nothing_lost(source, tmp_path / "out.mp4")
    monkeypatch.setattr(survey, "MOST_PROBED", 1000)
    monkeypatch.setattr(survey, "_survey", survey._survey.__wrapped__)
    with open_video(source, FAST) as read:
        assert len(list(read)) == 400
        (note,) = [note for note in read.info.notes if "left out" in note]
    assert note.startswith("stream 2 (audio, mp2) is left out: it begins only after ")
    colorize(source, tmp_path / "short.mp4", FAST)
    assert verify(source, tmp_path / "short.mp4")["stream 2"].status == "differs"


def test_a_sound_that_only_the_second_recording_has_is_carried(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{n}.ts", muxer="mpegts", audio=audio, count=25) for n, audio in enumerate((None, "mp2"))]
    source = joined(tmp_path / "in.ts", *parts)
    colorize(source, tmp_path / "out.mp4", FAST)
    assert times_of(tmp_path / "out.mp4", "audio")[0] == pytest.approx(1, abs=0.1)
    nothing_lost(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("codec", ["wmav2", "adpcm_ms"])
def test_a_sound_that_only_matroska_takes_stays(tmp_path: Path, codec: str) -> None:
    suffix = ".wmv" if codec == "wmav2" else ".avi"
    source = film(tmp_path / f"in{suffix}", codec="mpeg4", muxer="asf" if codec == "wmav2" else None, audio=codec)
    assert output_suffix(source, "libx264") == ".mkv"
    sink = colorize(source, tmp_path / "out it's.mkv", FAST)
    assert sink.notes == () or "Matroska counts milliseconds" in sink.notes[0]
    with av.open(str(source)) as before, av.open(str(tmp_path / "out it's.mkv")) as after:
        assert after.streams.audio[0].codec_context.name == codec
        sounds = [[bytes(packet) for packet in one.demux(audio=0) if packet.size] for one in (before, after)]
    assert sounds[0] == sounds[1]
    assert sounds[0]
    nothing_lost(source, tmp_path / "out it's.mkv")


def test_the_sound_of_discs_is_repacked_without_loss(tmp_path: Path) -> None:
    source = film(tmp_path / "in.vob", audio="pcm_dvd", layout="stereo")
    suffix = output_suffix(source, "libx264")
    assert suffix == ".mov"
    sink = colorize(source, tmp_path / "out.mov", FAST)
    assert "stream 1 (audio, pcm_dvd) is repacked as pcm_s16le, the same samples" in sink.notes
    heard = []
    for path in (source, tmp_path / "out.mov"):
        with av.open(str(path)) as read:
            heard.append(np.concatenate([frame.to_ndarray().ravel() for frame in read.decode(audio=0)]))
    np.testing.assert_array_equal(*heard)
    nothing_lost(source, tmp_path / "out.mov")


def test_pcm_goes_where_players_expect_it(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mxf", audio="pcm_s24le", size=(176, 144))
    assert output_suffix(source, "libx264") == ".mov"
    assert colorize(source, tmp_path / "out.mov", FAST).notes == ()
    told = colorize(source, tmp_path / "out.mp4", FAST).notes
    assert any("few players play audio, pcm_s24le in .mp4" in note for note in told)


@pytest.mark.parametrize(("there", "here", "codec"), [(".mkv", ".mp4", "mov_text"), (".mp4", ".mkv", "subrip")])
def test_a_text_is_rewritten_in_the_notation_of_the_container(
    tmp_path: Path, there: str, here: str, codec: str
) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="libx264", subtitles=True)
    if there == ".mp4":
        colorize(source, tmp_path / "in.mp4", FAST)
        source = tmp_path / "in.mp4"
    sink = colorize(source, tmp_path / f"out{here}", FAST)
    assert any(f"is rewritten as {codec}, the same text" in note for note in sink.notes)
    with av.open(str(tmp_path / f"out{here}")) as result:
        stream = result.streams.subtitles[0]
        assert stream.codec_context.codec.canonical_name == codec
        texts = [bytes(packet) for packet in result.demux(stream) if packet.size > 2]
    assert [text.lstrip(b"\0\x09\x0b") for text in texts] == [b"line at 0", b"line at 240"]
    report = verify(source, tmp_path / f"out{here}")
    assert report["stream 1"].status == "equal", report["stream 1"]


# --- fields -----------------------------------------------------------------------------------------------------------


def interlaced(stream: Any) -> None:
    stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(("options", "suffix"), [(FAST, ".mp4"), (FFV1, ".mkv")])
def test_the_order_of_fields_is_kept_in_each_frame(
    tmp_path: Path, order: str, options: MediaOptions, suffix: str
) -> None:
    frames = with_fields(pictures(10, (64, 64)), order)
    source = film(tmp_path / "in.ts", muxer="mpegts", frames=frames, size=(64, 64), change=interlaced)
    word = {"tff": "top", "bff": "bottom"}[order]
    assert set(fields_of(source)) == {word}
    colorize(source, tmp_path / f"out{suffix}", options)
    assert fields_of(tmp_path / f"out{suffix}") == [word] * 10
    report = verify(source, tmp_path / f"out{suffix}")
    assert (report["first field"].status, report["first field"].says) == ("equal", word)


@pytest.mark.parametrize(("options", "suffix"), [(FAST, ".mp4"), (FFV1, ".mkv")])
def test_a_film_that_is_interlaced_from_the_middle_on(tmp_path: Path, options: MediaOptions, suffix: str) -> None:
    first = film(tmp_path / "a.ts", muxer="mpegts", size=(64, 64), count=10)
    frames = with_fields(pictures(10, (64, 64)), "tff")
    second = film(tmp_path / "b.ts", muxer="mpegts", frames=frames, size=(64, 64), change=interlaced)
    source = joined(tmp_path / "in.ts", first, second)
    colorize(source, tmp_path / f"out{suffix}", options)
    assert fields_of(tmp_path / f"out{suffix}") == [None] * 10 + ["top"] * 10
    assert verify(source, tmp_path / f"out{suffix}")["first field"].status == "equal"


def test_fields_that_begin_in_the_middle_of_a_file_with_a_header(tmp_path: Path) -> None:
    late = with_fields(pictures(20, (64, 64)), "tff")
    for number, image in enumerate(late, 20):
        image.pts = number
    source = film(tmp_path / "in.mkv", codec="ffv1", frames=[*pictures(20, (64, 64)), *late], size=(64, 64))
    colorize(source, tmp_path / "out.mp4", FAST)
    assert fields_of(tmp_path / "out.mp4") == [None] * 20 + ["top"] * 20


# --- what lies beside the pixels --------------------------------------------------------------------------------------


def with_captions(data: bytes, number: int) -> bytes:
    """User data of ATSC captions before the first slice of an MPEG-2 picture."""
    slice_at = data.find(b"\0\0\1\x01")
    block = b"\0\0\1\xb2GA94\x03" + bytes([0x41, 0xFF, 0xFC, 0x80 | number, 0x20 + number, 0xFF])
    return data[:slice_at] + block + data[slice_at:]


def captions_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as read:
        found = []
        for image in read.decode(video=0):
            items: Any = image.side_data
            found += [bytes(item) for item in items if item.type.name == "A53_CC"]
        return found


@pytest.mark.parametrize("options", [FAST, X265])
def test_closed_captions_are_carried(tmp_path: Path, options: MediaOptions) -> None:
    source = film(tmp_path / "in.ts", muxer="mpegts", touched=with_captions, options={"bf": "0"})
    wanted = captions_of(source)
    assert len(wanted) == 15
    colorize(source, tmp_path / "out.mp4", options)
    assert captions_of(tmp_path / "out.mp4") == wanted
    nothing_lost(source, tmp_path / "out.mp4")


def test_captions_that_find_no_place_are_named(tmp_path: Path) -> None:
    source = film(tmp_path / "in.ts", muxer="mpegts", touched=with_captions, options={"bf": "0"})
    notes = colorize(source, tmp_path / "out.mkv", FFV1).notes
    assert "frames with closed captions, which are left out: FFV1 has no place for them: 15" in notes
    assert verify(source, tmp_path / "out.mkv")["closed captions"].status == "left out"


def test_side_data_without_a_name_is_passed_over(tmp_path: Path, cli: Cli, tint: Path, workplace: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x08\0\0\0\x1a\0\0\0\0\0\0\0Scanner\0"
    block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    source = film(
        workplace / "in.avi", codec="mjpeg", pixels="yuvj420p", touched=lambda data, _: data[:2] + block + data[2:]
    )
    with av.open(str(source)) as read:
        assert list(next(read.decode(video=0)).side_data)  # else this shows nothing
    words = ("--plugin", tint, "--colorizer", "tint")
    assert cli("run", source, *words)[0] == 0
    assert "EXIF of single frames (15 frames have it)" in cli("run", source, *words, "--overwrite")[2]
    assert cli("verify", source, *(workplace / "colorized").glob("in.m*"))[0] == 3
    assert cli("run", source, *words, "--preview", "1")[0] == 0


@pytest.mark.parametrize(
    ("codec", "lossless"), [("libvpx-vp9", {"lossless": "1"}), ("libvpx", {"qmin": "0", "qmax": "4", "b": "1M"})]
)
def test_webm_keeps_its_transparency_or_says_so(tmp_path: Path, codec: str, lossless: dict[str, str]) -> None:
    frames = []
    for image in pictures(4):
        clear = image.reformat(format="yuva420p")
        rows = np.frombuffer(memoryview(clear.planes[3]), np.uint8)
        rows[:] = 90
        clear.pts, clear.time_base = image.pts, image.time_base
        frames.append(clear)
    source = film(
        tmp_path / "in.webm", codec=codec, frames=frames, pixels="yuva420p",
        options={"auto-alt-ref": "0", **lossless},
    )  # fmt: skip
    sink = colorize(source, tmp_path / "lossy.mkv", FAST)
    assert any("transparency is left out" in note for note in sink.notes)
    with av.open(str(tmp_path / "lossy.mkv")) as result:
        assert "alpha_mode" not in {key.lower() for key in result.streams.video[0].metadata}
    colorize(source, tmp_path / "kept.mkv", FFV1)
    with open_video(tmp_path / "kept.mkv", FFV1) as read:
        assert all(frame.alpha is not None and abs(int(np.median(frame.alpha)) - 90) < 4 for frame in read)
    assert verify(source, tmp_path / "kept.mkv")["transparency"].status == "equal"


def test_the_place_of_chroma_is_kept(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", codec="libx264", options={"chroma_sample_location": "topleft"})
    for options, name in ((FAST, "out.mp4"), (X265, "x265.mp4"), (FFV1, "out.mkv")):
        colorize(source, tmp_path / name, options)
        nothing_lost(source, tmp_path / name)
    assert "topleft" in probed(tmp_path / "out.mp4", "stream=chroma_location")


def test_drop_frame_time_code_at_a_changing_rate(tmp_path: Path) -> None:
    images = list(pictures(20))
    for number, image in enumerate(images):
        image.pts, image.time_base = number if number < 8 else round(number * 1.37), Fraction(1001, 30000)
    source = film(
        tmp_path / "in.mov", codec="libx264", frames=images, rate=Fraction(30000, 1001),
        tags={"timecode": "01:00:00;02"},
    )  # fmt: skip
    sink = colorize(source, tmp_path / "out.mov", FAST)
    with av.open(str(tmp_path / "out.mov")) as result:
        told = [held.metadata for held in (result, *result.streams)]
    kept = any(code == "01:00:00;02" for tags in told for code in tags.values())
    assert kept, sink.notes
    nothing_lost(source, tmp_path / "out.mov")
    colorize(source, tmp_path / "out.mkv", FAST)
    assert verify(source, tmp_path / "out.mkv")["time code"].status == "equal"


def test_a_time_code_that_the_muxer_refuses_stays_as_a_tag(tmp_path: Path) -> None:
    """Drop-frame at 25 frames a second."""
    source = film(tmp_path / "in.mkv", codec="libx264", tags={"timecode": "01:00:00;02"})
    sink = colorize(source, tmp_path / "out.mp4", FAST)
    assert any("01:00:00;02 is kept as the tag original_timecode" in note for note in sink.notes)
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert result.metadata["original_timecode"] == "01:00:00;02"
    assert verify(source, tmp_path / "out.mp4")["time code"].status == "equal"


@pytest.mark.parametrize("aspects", [("4:3", "16:9"), ("16:9", "4:3")])
def test_a_shape_of_pixels_that_changes_is_told_with_its_frame(tmp_path: Path, aspects: Sequence[str]) -> None:
    parts = [film(tmp_path / f"{n}.ts", muxer="mpegts", options={"aspect": a}) for n, a in enumerate(aspects)]
    source = joined(tmp_path / "in.ts", *parts)
    with open_video(source, FAST) as read:
        list(read)
        assert [note for note in read.info.notes if "the shape of the pixels changes at frame 15, from" in note]


def test_frames_that_are_missing_are_counted(tmp_path: Path) -> None:
    whole = film(tmp_path / "in.ts", muxer="mpegts", codec="libx264", count=50, options={"bf": "0", "g": "5"})
    data = whole.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    video = [n for n, p in enumerate(packets) if p[1] & 0x1F == 1 and p[2] == 0]
    starts = [n for n in video if packets[n][1] & 0x40]
    gone = {n for n in video if starts[20] <= n < starts[23]}
    whole.write_bytes(b"".join(packet for n, packet in enumerate(packets) if n not in gone))
    with open_video(whole, FAST) as read:
        shown = len(list(read))
        assert shown <= 48
        told = [note for note in read.info.notes if note.startswith("frames that are missing")]
    assert told
    assert f": {50 - shown}, first before frame" in told[0]


# --- known by what they hold ------------------------------------------------------------------------------------------


def test_a_film_is_known_by_its_content(tmp_path: Path, cli: Cli, tint: Path, workplace: Path) -> None:
    folder = workplace / "reels"
    folder.mkdir()
    film(folder / "tape.m2t", muxer="mpegts", audio="mp2")
    film(folder / "camera.MOD", muxer="vob", audio="mp2")
    film(folder / "recorder.vro", muxer="vob")
    film(folder / "bare.h264", codec="libx264", muxer="h264")
    film(folder / "bare.hevc", codec="libx265", muxer="hevc", options={"x265-params": "log-level=none"})
    film(folder / "pipe.y4m", codec="wrapped_avframe", muxer="yuv4mpegpipe")
    (folder / "music.mod").write_bytes(b"a song of four channels" + bytes(1061) + b"M.K.")
    status, _, told = cli("run", folder, "--plugin", tint, "--colorizer", "tint", "--preset", "ultrafast")
    assert status == 0, told
    made = {path.stem for path in (workplace / "colorized").iterdir() if not path.name.startswith(".")}
    assert {"tape", "camera", "recorder", "bare", "pipe"} <= {name.split(".")[0] for name in made}
    named = film(workplace / "film.of.anna", muxer="mpegts")
    assert cli("run", named, "--plugin", tint, "--colorizer", "tint", "--preset", "ultrafast")[0] == 0
    assert (workplace / "colorized" / "film.of.anna.mp4").exists()


# --- colours that were there ------------------------------------------------------------------------------------------


def coloured(count: int = 26) -> list[VideoFrame]:
    """Grey frames with a red title."""
    images = list(pictures(count))
    for image in images:
        for plane, value in ((1, 90), (2, 230)):
            rows = np.frombuffer(memoryview(image.planes[plane]), np.uint8).reshape(24, -1)
            rows[4:10, 6:20] = value
    return images


def test_colours_that_are_there_are_told_once_or_kept(cli: Cli, tint: Path, workplace: Path) -> None:
    film(workplace / "in.mkv", codec="ffv1", frames=coloured())
    film(workplace / "grey.mkv", codec="ffv1", count=26)
    words = ("--plugin", tint, "--colorizer", "tint", "--codec", "ffv1")
    told = cli("run", "in.mkv", *words)[2]
    assert told.count("it has colours already: they are replaced") == 1
    assert "colours already" not in cli("run", "grey.mkv", *words)[2]
    told = cli("run", "in.mkv", *words, "--keep-colour", "--overwrite")[2]
    assert "they stay where they are" in " ".join(told.split())
    with av.open("in.mkv") as before, av.open("colorized/in.mkv") as after:
        for wanted, got in zip(before.decode(video=0), after.decode(video=0), strict=True):
            for plane in (1, 2):
                there, here = (
                    np.frombuffer(memoryview(image.planes[plane]), np.uint8).reshape(24, -1)[:, :32]
                    for image in (wanted, got)
                )
                np.testing.assert_array_equal(here[4:10, 6:20], there[4:10, 6:20])
                assert abs(int(here[20, 30]) - 128) > 3  # the tint


def test_a_still_keeps_its_colour_too(cli: Cli, tint: Path, workplace: Path) -> None:
    import cv2

    picture = np.full((40, 60, 3), 120, np.uint8)
    picture[8:20, 10:30] = (30, 40, 200)
    cv2.imwrite("in.png", picture)
    assert cli("run", "in.png", "--plugin", tint, "--colorizer", "tint", "--keep-colour")[0] == 0
    result = cv2.imread("colorized/in.png")
    np.testing.assert_array_equal(result[8:20, 10:30], picture[8:20, 10:30])
    assert int(np.ptp(result[35, 50])) > 10


def test_keeping_colour_is_another_recipe_and_not_keeping_is_the_old_one() -> None:
    before = Recipe(Stage("tint", {}, "1"), settings={"saturation": 1.0})
    off, on = (dataclasses.replace(before, settings={**before.settings, "keep_colour": told}) for told in (False, True))
    assert before.digest() == off.digest() != on.digest()


def test_what_a_header_holds_and_a_result_does_not_is_named(tmp_path: Path) -> None:
    """As FFmpeg describes streams; and Matroska's cropping, in a real file."""
    told = ["Video: hevc", "Side data:", "DOVI configuration record: version: 1.0", "stereo3D: side by side"]
    assert side_data_of(told) == ["Dolby Vision configuration", "how two views are packed (3D)"]
    told = ["Video: h264", "Side data:", "CPB properties: bitrate max", "unknown side data type 99 (4 bytes)"]
    assert side_data_of(told) == ["side data of its stream (unknown side data type 99 (4 bytes))"]
    source = film(tmp_path / "in.mkv", codec="ffv1")
    data = source.read_bytes()
    assert data.count(b"\x54\xb2\x81\x04") == 1  # DisplayUnit: unknown
    source.write_bytes(data.replace(b"\x54\xb2\x81\x04", b"\x54\xaa\x81\x06"))  # PixelCropBottom: 6
    with open_video(source, FAST) as read:
        list(read)
        assert any(note.startswith("left out: what players are to crop (") for note in read.info.notes), read.info.notes
    colorize(source, tmp_path / "out.mkv", FFV1)
    assert verify(source, tmp_path / "out.mkv")["side data"].status == "left out"
