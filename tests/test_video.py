"""Films: what goes in comes out, value for value and tick for tick. Every clip is made here, by FFmpeg, and is tiny."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from colorpipe.errors import InputError, LimitError, OutputError, UsageError
from colorpipe.media.base import Provenance
from colorpipe.media.video.remux import output_suffix
from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import VideoSource, open_video
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame

FFV1 = MediaOptions(codec="ffv1")
X264 = MediaOptions(codec="libx264", preset="veryfast")
LOSSLESS_X264 = MediaOptions(codec="libx264", preset="ultrafast", crf=0)
AUDIO_RATE = 48_000


def make_clip(
    path: Path,
    *,
    codec: str = "ffv1",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    ticks: Sequence[int] = tuple(range(0, 12 * 40, 40)),
    time_base: Fraction = Fraction(1, 1000),
    audio: str | None = None,
    subtitles: bool = False,
    muxer: str | None = None,
    options: dict[str, str] | None = None,
    video: Mapping[str, object] | None = None,
    metadata: dict[str, str] | None = None,
    chapters: bool = False,
    attachment: bool = False,
    rotation: int = 0,
    seed: int = 7,
) -> Path:
    """A clip of random blocks, so that no two frames or rows are alike."""
    random = np.random.default_rng(seed)
    width, height = size
    with av.open(str(path), "w", format=muxer) as film:
        film.metadata.update(metadata or {})
        stream = film.add_stream(codec, rate=25, options=options or {}, width=width, height=height, time_base=time_base)
        stream.pix_fmt = pixels
        for name, value in (video or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        stream.metadata["language"] = "fra"
        sound = film.add_stream(audio, rate=AUDIO_RATE) if audio else None
        if sound is not None:
            sound.metadata["language"] = "deu"
            sound.disposition = av.stream.Disposition.default
        text = film.add_mux_stream("subrip") if subtitles else None
        if text is not None:
            text.time_base = Fraction(1, 1000)
            text.metadata["language"] = "eng"
        if attachment:
            film.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font" * 9)
        if chapters:
            chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
            film.set_chapters([chapter, {**chapter, "id": 2, "start": 200, "end": 480, "metadata": {"title": "Two"}}])
        for tick in ticks:
            frame = av.VideoFrame(width, height, pixels)
            bits = frame.format.components[0].bits
            for plane in frame.planes:
                item = np.dtype(np.uint8 if bits == 8 else "<u2")
                rows = np.frombuffer(memoryview(plane), item).reshape(plane.height, -1)
                blocks = random.integers(0, 1 << bits, (plane.height // 4 + 1, rows.shape[1] // 4 + 1))
                rows[:] = np.kron(blocks, np.ones((4, 4)))[: plane.height, : rows.shape[1]].astype(item)
            frame.pts, frame.time_base = tick, time_base
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if sound is not None:
            wave = random.standard_normal((1, AUDIO_RATE // 2)).astype(np.float32) * 0.1
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = AUDIO_RATE, 0
            film.mux(sound.encode(av.AudioResampler(sound.format, sound.layout, AUDIO_RATE).resample(samples)[0]))
            film.mux(sound.encode(None))
        if text is not None:
            for start in (0, 240):
                packet = av.Packet(f"line at {start}".encode())
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = start
                packet.duration = 100
                film.mux(packet)
    return path


def colorize(source: Path, result: Path, options: MediaOptions, provenance: Provenance | None = None) -> VideoSink:
    """Runs a film through source and sink with one colour everywhere."""
    with open_video(source, options) as film, VideoSink(result, film, options, provenance) as sink:
        for frame in film:
            sink.write(tinted(frame, sink))
    return sink


def tinted(frame: Frame, sink: VideoSink) -> Frame:
    planes = [
        np.full(sink.encoding.chroma_shape(frame.height, frame.width), level << (frame.encoding.bits - 8))
        for level in (90, 160)
    ]
    colour = tuple(plane.astype(frame.luma.dtype) for plane in planes)
    return dataclasses.replace(frame, encoding=sink.encoding, colour=colour)


def frames_of(path: Path) -> tuple[VideoSource, list[Frame]]:
    with open_video(path, MediaOptions()) as film:
        return film, list(film)


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as film:
        stream = next(stream for stream in film.streams if stream.type == kind)
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in film.demux(stream) if packet.size]


def shown_width(path: Path) -> int:
    """Width in square pixels, as a player works it out: from the container, else from the frame."""
    with av.open(str(path)) as film:
        graph = av.filter.Graph()
        source = graph.add_buffer(template=film.streams.video[0])
        scale, end = graph.add("scale", "iw*sar:ih:eval=frame"), graph.add("buffersink")
        source.link_to(scale)
        scale.link_to(end)
        graph.configure()
        graph.push(next(film.decode(video=0)))
        return graph.vpull().width


def assert_same_luma_and_time(source: Path, result: Path) -> None:
    before, after = frames_of(source)[1], frames_of(result)[1]
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    assert len(after) > 0
    for a, b in zip(before, after, strict=True):
        assert a.luma.dtype == b.luma.dtype
        np.testing.assert_array_equal(a.luma, b.luma)


@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuv422p10le", "yuv444p", "yuv420p12le", "yuv411p", "yuv440p", "gray", "gray10le", "gray16le"]
)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_ffv1_keeps_each_value_of_the_luma(tmp_path: Path, pixels: str, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels=pixels, size=size, ticks=[0, 40, 80])
    sink = colorize(source, tmp_path / "out.mkv", FFV1)
    assert_same_luma_and_time(source, tmp_path / "out.mkv")
    film, frames = frames_of(tmp_path / "out.mkv")
    assert film.encoding == sink.encoding
    chroma = tinted(frames[0], sink).colour
    assert frames[0].colour is not None
    assert chroma is not None
    np.testing.assert_array_equal(frames[0].colour[0], chroma[0])
    np.testing.assert_array_equal(frames[0].colour[1], chroma[1])


def test_the_luma_read_is_the_luma_decoded(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels="yuv420p10le", size=(50, 34))
    with av.open(str(source)) as film:
        truth = [frame.to_ndarray()[:34].astype(np.uint16) for frame in film.decode(video=0)]
    film, frames = frames_of(source)
    assert film.encoding.bits == 10
    assert all(frame.luma.dtype == np.uint16 and not frame.luma.flags.writeable for frame in frames)
    for frame, luma in zip(frames, truth, strict=True):
        np.testing.assert_array_equal(frame.luma, luma)


@pytest.mark.parametrize("size", [(64, 48), (33, 48), (64, 17), (33, 17)])
def test_x264_is_given_the_luma_untouched_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.mkv", size=size)
    sink = colorize(source, tmp_path / "out.mp4", LOSSLESS_X264)
    assert_same_luma_and_time(source, tmp_path / "out.mp4")
    odd = size[0] % 2, size[1] % 2
    assert sink.encoding.subsampling == {(0, 0): (1, 1), (1, 0): (0, 0), (0, 1): (1, 0), (1, 1): (0, 0)}[odd]
    assert bool(sink.notes) == any(odd)


def test_a_grey_film_becomes_420_and_keeps_its_range(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels="gray")
    sink = colorize(source, tmp_path / "out.mp4", LOSSLESS_X264)
    assert sink.encoding.subsampling == (1, 1)
    assert any("grey" in note for note in sink.notes)
    assert_same_luma_and_time(source, tmp_path / "out.mp4")
    before, after = frames_of(source)[0], frames_of(tmp_path / "out.mp4")[0]
    assert before.encoding.full_range
    assert after.encoding.full_range


@pytest.mark.parametrize("options", [FFV1, X264], ids=["ffv1", "x264"])
@pytest.mark.parametrize(
    ("time_base", "ticks"),
    [
        (Fraction(1, 30_000), [1001 * n for n in range(20)]),
        (Fraction(1, 90_000), [0, 3003, 6006, 7000, 40_000, 40_001, 90_000, 93_003]),
        (Fraction(1, 15_360), [127_995 + 512 * n for n in range(12)]),
        # beyond 2**32 ticks, 13 hours and a quarter of the clock that broadcasts and DVDs have
        (Fraction(1, 90_000), [1700 * 90_000 * n + 7 * n * n for n in range(30)]),
    ],
    ids=["ntsc", "vfr", "late-start", "14-hours"],
)
def test_each_timestamp_is_kept(tmp_path: Path, options: MediaOptions, time_base: Fraction, ticks: list[int]) -> None:
    source = make_clip(
        tmp_path / "in.mp4",
        codec="libx264",
        options={"bf": "3", "g": "6"},
        time_base=time_base,
        ticks=ticks,
        audio="aac",
    )
    suffix = output_suffix(source, options.codec)
    colorize(source, tmp_path / f"out{suffix}", options)
    before, after = frames_of(source)[1], frames_of(tmp_path / f"out{suffix}")[1]
    assert [frame.pts for frame in before] == [tick * time_base for tick in ticks]
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    assert packets_of(tmp_path / f"out{suffix}", "audio") == packets_of(source, "audio")
    with av.open(str(source)) as a, av.open(str(tmp_path / f"out{suffix}")) as b:
        x, y = a.streams.video[0], b.streams.video[0]
        assert y.start_time * y.time_base == x.start_time * x.time_base


def test_the_last_frame_lasts_as_long_as_before(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", codec="mpeg4", time_base=Fraction(1, 12_800), ticks=[0, 512, 1024, 2048])
    colorize(source, tmp_path / "out.mp4", FFV1)
    before, after = frames_of(source)[1], frames_of(tmp_path / "out.mp4")[1]
    assert before[-1].metadata.extra["duration"] > 0
    assert [f.metadata.extra["duration"] for f in after] == [f.metadata.extra["duration"] for f in before]


def test_streams_chapters_and_metadata_are_copied(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mkv",
        codec="libx264",
        audio="aac",
        subtitles=True,
        chapters=True,
        attachment=True,
        metadata={"title": "La sortie", "comment": "reel 3"},
    )
    sink = colorize(source, tmp_path / "out.mkv", X264, Provenance("d1ge57", "colorpipe 1.0"))
    assert sink.notes == ()
    for kind in ("audio", "subtitle"):
        assert packets_of(tmp_path / "out.mkv", kind) == packets_of(source, kind)
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mkv")) as b:
        assert [stream.type for stream in b.streams] == [stream.type for stream in a.streams]
        assert [stream.language for stream in b.streams] == ["fra", "deu", "eng", None]
        assert [stream.disposition for stream in b.streams] == [stream.disposition for stream in a.streams]
        assert b.chapters() == a.chapters()
        assert len(b.chapters()) == 2
        assert b.streams[3].data == a.streams[3].data
        assert (b.metadata["title"], b.metadata["COMMENT"]) == ("La sortie", "reel 3")
        assert b.metadata["DIGITALSOURCETYPE"].endswith("compositeWithTrainedAlgorithmicMedia")
        assert b.metadata["COLORPIPE_RECIPE"] == "d1ge57"


def test_provenance_and_tags_in_mp4(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mp4",
        codec="libx264",
        metadata={"title": "La sortie", "artist": "Lumiere"},
        chapters=True,
        rotation=90,
        video={
            "sample_aspect_ratio": Fraction(16, 11),
            "color_range": 1,
            "colorspace": 6,
            "color_primaries": 5,
            "color_trc": 6,
        },
    )
    colorize(source, tmp_path / "out.mp4", X264, Provenance("d1ge57", "colorpipe 1.0"))
    before, after = frames_of(source)[0].tags, frames_of(tmp_path / "out.mp4")[0].tags
    assert before.display_matrix is not None
    assert dataclasses.replace(before, time_base=after.time_base) == after
    assert (after.sample_aspect_ratio, after.matrix, after.primaries, after.transfer) == (Fraction(16, 11), 6, 5, 6)
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert film.metadata["DigitalSourceType"].endswith("compositeWithTrainedAlgorithmicMedia")
        assert film.metadata["colorpipe_recipe"] == "d1ge57"
        assert (film.metadata["title"], film.metadata["artist"]) == ("La sortie", "Lumiere")
        assert [chapter["metadata"]["title"] for chapter in film.chapters()] == ["One", "Two"]
        assert film.streams.video[0].language == "fra"


@pytest.mark.parametrize("options", [FFV1, X264], ids=["ffv1", "x264"])
def test_rotation_and_aspect_in_matroska(tmp_path: Path, options: MediaOptions) -> None:
    sar = {"sample_aspect_ratio": Fraction(16, 11), "color_range": 2, "colorspace": 9}
    source = make_clip(tmp_path / "in.mkv", codec="libx264", pixels="yuv420p10le", rotation=90, video=sar)
    colorize(source, tmp_path / "out.mkv", options)
    before, after = frames_of(source)[0], frames_of(tmp_path / "out.mkv")[0]
    assert before.tags.display_matrix is not None
    assert after.tags.display_matrix == before.tags.display_matrix
    assert shown_width(tmp_path / "out.mkv") == 64 * 16 // 11
    assert after.encoding == before.encoding
    assert (after.encoding.matrix, after.encoding.full_range) == ("bt2020", True)


def test_hdr_mastering_data_is_kept(tmp_path: Path) -> None:
    display, light = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400"
    source = make_clip(
        tmp_path / "in.mp4",
        codec="libx265",
        pixels="yuv420p10le",
        options={"x265-params": f"log-level=error:master-display={display}:max-cll={light}"},
        video={"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1},
    )
    colorize(source, tmp_path / "out.mp4", X264)
    tags = frames_of(tmp_path / "out.mp4")[0].tags
    assert (tags.mastering_display, tags.content_light) == (display, light)
    assert (tags.matrix, tags.primaries, tags.transfer) == (9, 9, 16)


@pytest.mark.parametrize(("flags", "order"), [("tff", 2), ("bff", 3)])
def test_interlaced_stays_interlaced(tmp_path: Path, flags: str, order: int) -> None:
    source = make_clip(tmp_path / "in.mkv", video={"field_order": order})
    sink = colorize(source, tmp_path / "out.mkv", X264)
    assert sink.notes == ()
    film, _ = frames_of(tmp_path / "out.mkv")
    assert film.tags.field_order == order
    with av.open(str(tmp_path / "out.mkv")) as result:
        assert all(frame.interlaced_frame for frame in result.decode(video=0))


def test_sound_that_starts_before_the_picture_does_not_move_it(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", codec="libx264", audio="aac")
    assert packets_of(source, "audio")[0][0] < 0
    colorize(source, tmp_path / "out.mkv", X264)
    assert [f.pts for f in frames_of(tmp_path / "out.mkv")[1]] == [f.pts for f in frames_of(source)[1]]
    assert [data for _, data in packets_of(tmp_path / "out.mkv", "audio")] == [
        data for _, data in packets_of(source, "audio")
    ]


def test_matroska_says_that_it_rounds(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", codec="libx264", time_base=Fraction(1, 30_000), ticks=[0, 1001, 2002, 3003])
    sink = colorize(source, tmp_path / "out.mkv", X264)
    assert any("milliseconds" in note for note in sink.notes)
    for a, b in zip(frames_of(source)[1], frames_of(tmp_path / "out.mkv")[1], strict=True):
        assert a.pts is not None
        assert b.pts is not None
        assert abs(a.pts - b.pts) <= Fraction(1, 2000)


def test_a_text_that_does_not_fit_is_rewritten_and_named(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="libx264", audio="aac", subtitles=True)
    sink = colorize(source, tmp_path / "out.mp4", X264)
    assert sink.notes == ("stream 2 (subtitle, subrip) is rewritten as mov_text, the same text",)
    assert [data for _, data in packets_of(tmp_path / "out.mp4", "audio")] == [
        data for _, data in packets_of(source, "audio")
    ]


def test_a_cover_picture_is_kept(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", codec="libx264", metadata={"title": "La sortie"})
    cover = make_clip(tmp_path / "cover.mjpeg", codec="mjpeg", pixels="yuvj420p", ticks=[0])
    source = tmp_path / "in.mp4"
    with av.open(str(film)) as a, av.open(str(cover)) as b, av.open(str(source), "w") as joined:
        for container, disposition in ((a, 1), (b, 1 << 10)):
            stream = joined.add_stream_from_template(container.streams.video[0], opaque=True)
            stream.disposition = disposition
        joined.metadata["title"] = "La sortie"
        for index, container in enumerate((a, b)):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = joined.streams[index]
                    joined.mux(packet)
    picture = cover.read_bytes()
    for name in ("out.mp4", "out.mkv"):
        colorize(source, tmp_path / name, X264, Provenance("d1ge57", "colorpipe 1.0"))
        with av.open(str(tmp_path / name)) as result:
            stream = result.streams.video[1]
            assert stream.disposition & av.stream.Disposition.attached_pic
            assert bytes(next(result.demux(stream))) == picture
            assert result.metadata["title"] == "La sortie"
            assert "d1ge57" in str(result.metadata)
        assert len(frames_of(tmp_path / name)[1]) == 12
    assert any("left out" in note for note in colorize(source, tmp_path / "out.mov", X264).notes)


def test_transparency_is_kept_where_the_codec_has_it(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels="yuva420p", ticks=[0, 40])
    assert colorize(source, tmp_path / "out.mkv", FFV1).notes == ()
    before, after = frames_of(source)[1][0], frames_of(tmp_path / "out.mkv")[1][0]
    assert before.alpha is not None
    np.testing.assert_array_equal(before.alpha, after.alpha)
    assert "transparency" in colorize(source, tmp_path / "out.mp4", X264).notes[0]


def test_rgb_becomes_full_range_yuv(tmp_path: Path) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (16, 1, 3))
    path = tmp_path / "in.mov"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("png", rate=25, width=256, height=16)
        stream.pix_fmt = "rgb24"
        film.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        film.mux(stream.encode(None))
    film, frames = frames_of(path)
    assert (film.encoding.full_range, film.encoding.subsampling) == (True, (0, 0))
    assert "rgb24 was converted" in film.info.notes[0]
    assert np.abs(frames[0].luma.astype(int) - grey[:, :, 0]).max() <= 1


def test_packed_yuv_is_rearranged_not_recomputed(tmp_path: Path) -> None:
    packed = np.random.default_rng(1).integers(0, 256, (16, 32, 2), dtype=np.uint8)
    path = tmp_path / "in.avi"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("rawvideo", rate=25, width=32, height=16)
        stream.pix_fmt = "yuyv422"
        film.mux(stream.encode(av.VideoFrame.from_ndarray(packed, format="yuyv422")))
    film, frames = frames_of(path)
    assert film.encoding.subsampling == (1, 0)
    np.testing.assert_array_equal(frames[0].luma, packed[:, :, 0])
    assert frames[0].colour is not None
    np.testing.assert_array_equal(frames[0].colour[0], packed[:, ::2, 1])


def test_a_depth_that_the_encoder_lacks_is_refused_before_work(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels="yuv420p12le", ticks=[0])
    with open_video(source, X264) as film, pytest.raises(OutputError, match=r"12 bits.*ffv1 or --codec libx265"):
        VideoSink(tmp_path / "out.mp4", film, X264)
    assert os.listdir(tmp_path) == ["in.mkv"]


def test_twelve_bits_through_x265(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", pixels="yuv420p12le", ticks=[0, 40, 80])
    colorize(source, tmp_path / "out.mp4", MediaOptions(codec="libx265", preset="ultrafast"))
    film, frames = frames_of(tmp_path / "out.mp4")
    assert (film.encoding.bits, len(frames)) == (12, 3)


@pytest.mark.parametrize("name", ["out.avi", "out.webm", "out"])
def test_containers_that_would_lose_something_are_refused(tmp_path: Path, name: str) -> None:
    source = make_clip(tmp_path / "in.mkv", ticks=[0])
    with open_video(source, X264) as film, pytest.raises(UsageError, match=r"\.mkv"):
        VideoSink(tmp_path / name, film, X264)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_what_breaks_off_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mkv", audio="aac")

    def break_off() -> None:
        with open_video(source, X264) as film, VideoSink(tmp_path / "to" / f"out{suffix}", film, X264) as sink:
            sink.write(tinted(next(iter(film)), sink))
            assert len(os.listdir(tmp_path / "to")) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert os.listdir(tmp_path / "to") == []


def test_a_result_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv")
    (tmp_path / "out.mp4").write_bytes(b"the result of an earlier run")
    with open_video(source, X264) as film:
        sink = VideoSink(tmp_path / "out.mp4", film, X264)
        for frame in film:
            sink.write(tinted(frame, sink))
        assert (tmp_path / "out.mp4").read_bytes() == b"the result of an earlier run"
        sink.commit()
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", "out.mp4"]
    assert len(frames_of(tmp_path / "out.mp4")[1]) == 12


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mkv", size=(320, 240))
    with largest_file(30_000), pytest.raises(OutputError, match=f"cannot write .*out{suffix}"):
        colorize(source, tmp_path / f"out{suffix}", FFV1)
    assert os.listdir(tmp_path) == ["in.mkv"]


def test_damage_is_survived_and_told(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="libx264", options={"g": "4", "bf": "0"}, ticks=range(0, 1600, 40))
    data = bytearray(source.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = bytes(400)
    source.write_bytes(data)
    film, frames = frames_of(source)
    assert 20 < len(frames) <= 40
    assert any("damaged" in note for note in film.info.notes)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_film_that_is_cut_off_is_told(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / f"whole{suffix}", codec="mpeg4", time_base=Fraction(1, 25), ticks=range(40))
    if suffix == ".mp4":  # with its index in front, as it is when a download breaks off
        source = colorize(source, tmp_path / "front.mp4", X264).path
    assert not any("cut off" in note for note in frames_of(source)[0].info.notes)
    data = source.read_bytes()
    (tmp_path / f"in{suffix}").write_bytes(data[: len(data) * 2 // 3])
    film, frames = frames_of(tmp_path / f"in{suffix}")
    assert 10 < len(frames) < 40
    assert film.info.frames == len(frames)
    assert any("cut off" in note for note in film.info.notes)


@pytest.mark.parametrize("junk", [b"\xff" * 5000, bytes(5000), b"\x7f\xff\xff\xffJUNKrest of something else"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi"])
def test_junk_after_the_end_is_no_missing_frame(tmp_path: Path, suffix: str, junk: bytes) -> None:
    source = make_clip(tmp_path / f"whole{suffix}", codec="mpeg4", time_base=Fraction(1, 25), ticks=range(12))
    (tmp_path / f"in{suffix}").write_bytes(source.read_bytes() + junk)
    film, frames = frames_of(tmp_path / f"in{suffix}")
    assert len(frames) == 12
    assert not any("cut off" in note for note in film.info.notes)


def test_a_film_that_changes_size_ends_where_it_does(tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / f"{width}.h264", codec="libx264", size=(width, 48), options={"bf": "0"})
        for width in (64, 96)
    ]
    (tmp_path / "in.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(tmp_path / "in.h264", FFV1) as film:
        frames = list(film)
    assert len(frames) == 12
    assert {frame.luma.shape for frame in frames} == {(48, 64)}


def test_frames_without_timestamps_get_them_from_the_rate(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.h264", codec="libx264", options={"bf": "0"})
    film, frames = frames_of(source)
    assert len(frames) == 12
    first = frames[0].pts or Fraction(0)
    assert [frame.pts for frame in frames] == [first + index / film.tags.rate for index in range(12)]


def test_too_many_pixels(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", ticks=[0])
    with pytest.raises(LimitError, match="--max-pixels"):
        open_video(source, MediaOptions(max_pixels=64 * 48 - 1))


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("aac", rate=AUDIO_RATE)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate, silence.pts = AUDIO_RATE, 0
        film.mux(stream.encode(silence))
        film.mux(stream.encode(None))


def _without_index(path: Path) -> None:
    make_clip(path, codec="libx264")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def _picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(200))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_text("Once upon a time\n" * 50), "not a film"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: None, "no such file"),
        (_audio_only, "no video stream, only audio"),
        (_without_index, "cut off: its index"),
        (_picture, "a picture|not a film"),
    ],
    ids=["empty", "text", "folder", "absent", "audio", "no-moov", "picture"],
)
def test_what_is_no_film_is_told_in_one_line(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "in.mp4"
    make(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        open_video(path, FFV1)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "audio", "codec", "suffix"),
    [
        ("a.mp4", "aac", "libx264", ".mp4"),
        ("a.mp4", "aac", "ffv1", ".mp4"),
        ("a.mov", "pcm_s16le", "libx264", ".mov"),
        ("a.mov", "pcm_s16le", "ffv1", ".mp4"),
        ("a.avi", "pcm_s16le", "libx264", ".mov"),
        ("a.ts", "mp2", "libx264", ".mp4"),
        ("a.mkv", "aac", "libx264", ".mkv"),
        ("a.mkv", "aac", "ffv1", ".mkv"),
    ],
)
def test_the_container_holds_codec_and_streams(tmp_path: Path, name: str, audio: str, codec: str, suffix: str) -> None:
    source = make_clip(tmp_path / name, codec="mpeg4", time_base=Fraction(1, 25), ticks=range(5), audio=audio)
    assert output_suffix(source, codec) == suffix


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    make_clip(tmp_path / "secret.ts", codec="mpeg2video", time_base=Fraction(1, 25), ticks=range(5))
    listing = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(listing)
    with pytest.raises(InputError, match=r"list\.m3u8"):
        open_video(tmp_path / "list.m3u8", FFV1)
