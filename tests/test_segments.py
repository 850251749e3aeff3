"""Films in segments: joined as one encoder would have made them, taken up as if nothing had happened."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from colorpipe.errors import OutputError
from colorpipe.files import hidden, working_folder
from colorpipe.media.base import Provenance
from colorpipe.media.video.encoder import EncoderPlan
from colorpipe.media.video.segments import Segments, StoredPacket
from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import open_video
from colorpipe.settings import MediaOptions
from tests.test_video import FFV1, frames_of, largest_file, make_clip, packets_of, tinted

X264 = MediaOptions(codec="libx264", preset="veryfast")
X265 = MediaOptions(codec="libx265", preset="ultrafast")
OPTIONS = {"ffv1": FFV1, "libx264": X264, "libx265": X265}
JOB = {"recipe": "r", "size": 1, "sha256": "s"}
UNEVEN = [0, 40, 80, 83, 400, 401, 410, 1000, 1040, 5000, 5001, 5002, 5003, 5040, 9000, 9040, 9041, 9050, 9060, 12_000]
"""Milliseconds: pauses just behind the 8th and inside the 2nd segment."""


def colorize(
    source: Path,
    result: Path,
    options: MediaOptions,
    job: Mapping[str, object] | None = JOB,
    upto: int | None = None,
    segment_frames: int = 8,
) -> VideoSink:
    """Through source and sink as the runner does it, as far as the frame ``upto``, where the run is broken off."""
    with open_video(source, options) as film:
        sink = VideoSink(result, film, options, Provenance("digest", "test"), job, segment_frames)
        try:
            for frame in film:
                if frame.index == upto:
                    sink.abort()
                    return sink
                if frame.index >= sink.start:
                    sink.write(tinted(frame, sink))
            sink.commit()
        except OutputError:
            sink.abort()
            raise
        sink.tidy()
    return sink


def timed(path: Path) -> list[tuple[int, int, int, bool, bytes]]:
    with av.open(str(path)) as film:
        packets = [packet for packet in film.demux(film.streams.video[0]) if packet.size]
        return [(p.pts, p.dts, p.duration, p.is_keyframe, bytes(p)) for p in packets]  # type: ignore[misc]


@pytest.mark.parametrize("codec", OPTIONS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("start", [0, 1234])
def test_a_joined_film_is_timed_as_one_encoder_times_it(tmp_path: Path, codec: str, suffix: str, start: int) -> None:
    ticks = [start + tick for tick in UNEVEN]
    source = make_clip(tmp_path / "in.mkv", ticks=ticks, audio="aac")
    colorize(source, tmp_path / f"out{suffix}", OPTIONS[codec])
    colorize(source, tmp_path / f"one{suffix}", OPTIONS[codec], segment_frames=1000)
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", f"one{suffix}", f"out{suffix}"]
    before, after = frames_of(source)[1], frames_of(tmp_path / f"out{suffix}")[1]
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    if codec == "ffv1":
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a.luma, b.luma)
    packets, single = timed(tmp_path / f"out{suffix}"), timed(tmp_path / f"one{suffix}")
    if suffix == ".mp4":  # whose durations are the steps from one decoding time to the next
        decoded = [dts for _, dts, *_ in packets]
        assert decoded == [dts for _, dts, *_ in single]
        assert decoded == sorted(set(decoded))
        assert all(dts <= pts for pts, dts, *_ in packets)
        assert [length for _, _, length, *_ in packets] == [length for _, _, length, *_ in single]
    else:  # Matroska stores no decoding times, and each frame's own duration
        assert {pts: length for pts, _, length, *_ in packets} == {pts: length for pts, _, length, *_ in single}
    assert all(is_keyframe for _, _, _, is_keyframe, _ in packets[::8])
    assert packets_of(tmp_path / f"out{suffix}", "audio") == packets_of(source, "audio")


@pytest.fixture
def reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    """x264 without its assembler: with AVX-512, one encoding in some twenty differs from the others by itself."""
    original = EncoderPlan._encoder_options

    def without_assembler(plan: EncoderPlan, options: MediaOptions) -> dict[str, str]:
        return {**original(plan, options), **({"x264-params": "asm=0"} if options.codec == "libx264" else {})}

    monkeypatch.setattr(EncoderPlan, "_encoder_options", without_assembler)


@pytest.mark.usefixtures("reproducible")
@pytest.mark.parametrize("codec", OPTIONS)
def test_a_film_that_is_taken_up_is_the_film_that_was_never_stopped(tmp_path: Path, codec: str) -> None:
    source = make_clip(tmp_path / "in.mkv", ticks=UNEVEN, audio="aac", subtitles=True, chapters=True)
    whole, result = tmp_path / "whole.mp4", tmp_path / "result.mp4"
    colorize(source, whole, OPTIONS[codec])
    stopped = [(5, 0), (13, 8), (14, 8), (19, 16)]
    for upto, kept in stopped:
        sink = colorize(source, result, OPTIONS[codec], upto=upto)
        assert sink.kept == kept
        assert not result.exists()
        assert working_folder(result).exists() == bool(kept)
    sink = colorize(source, result, OPTIONS[codec])
    assert sink.start == 16
    assert result.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", "result.mp4", "whole.mp4"]


def test_another_job_or_encoder_begins_anew(tmp_path: Path) -> None:
    source, result = make_clip(tmp_path / "in.mkv", ticks=UNEVEN), tmp_path / "out.mp4"
    colorize(source, result, X264, upto=18)
    assert colorize(source, result, X264, job={**JOB, "recipe": "other"}, upto=18).start == 0
    assert colorize(source, result, X264, job={**JOB, "sha256": "other"}, upto=18).start == 0
    assert colorize(source, result, X265, job={**JOB, "sha256": "other"}, upto=18).start == 0
    assert colorize(source, result, X265, job={**JOB, "sha256": "other"}, upto=18).start == 16


def test_without_a_job_nothing_is_taken_up_and_nothing_stays(tmp_path: Path) -> None:
    source, result = make_clip(tmp_path / "in.mkv", ticks=UNEVEN), tmp_path / "out.mkv"
    colorize(source, result, FFV1, upto=18)
    assert colorize(source, result, FFV1, job=None, upto=18).kept == 0
    assert working_folder(result).exists()  # the other job's is not touched
    shutil.rmtree(working_folder(result))
    colorize(source, result, FFV1, job=None)
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", "out.mkv"]


def _cut(folder: Path) -> None:
    segment = folder / "00000008.segment"
    segment.write_bytes(segment.read_bytes()[:-1])


def _torn(folder: Path) -> None:
    manifest = folder / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-9])


def _garbage(folder: Path) -> None:
    (folder / "manifest.jsonl").write_bytes(os.urandom(300))


def _not_listed(folder: Path) -> None:
    shutil.copy(folder / "00000000.segment", folder / "00000016.segment")
    (folder / "segment.part").write_bytes(b"half")
    (folder / "result.mkv").write_bytes(b"half")


@pytest.mark.parametrize(
    ("damage", "start"),
    [(_cut, 8), (_torn, 8), (_garbage, 0), (_not_listed, 16), (lambda f: (f / "00000000.segment").unlink(), 0)],
    ids=["cut", "torn", "garbage", "not-listed", "missing"],
)
def test_what_is_not_whole_does_not_count(tmp_path: Path, damage: object, start: int) -> None:
    source, result = make_clip(tmp_path / "in.mkv", ticks=UNEVEN), tmp_path / "out.mkv"
    colorize(source, tmp_path / "whole.mkv", FFV1)
    colorize(source, result, FFV1, upto=18)
    damage(working_folder(result))  # type: ignore[operator]
    assert colorize(source, result, FFV1).start == start
    assert [packet[:4] for packet in timed(result)] == [packet[:4] for packet in timed(tmp_path / "whole.mkv")]
    assert packets_of(result, "video") == packets_of(tmp_path / "whole.mkv", "video")
    assert not working_folder(result).exists()


def test_a_segment_that_rotted_on_the_disk_is_told_and_made_again(tmp_path: Path) -> None:
    source, result = make_clip(tmp_path / "in.mkv", ticks=UNEVEN), tmp_path / "out.mkv"
    colorize(source, result, FFV1, upto=18)
    segment = working_folder(result) / "00000008.segment"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(OutputError, match=r"frames from 8 on were damaged.*goes on from there"):
        colorize(source, result, FFV1)
    assert not result.exists()
    assert colorize(source, result, FFV1).start == 8
    assert len(frames_of(result)[1]) == len(UNEVEN)


def test_decoding_times_reach_back_into_the_segment_before(tmp_path: Path) -> None:
    """Two frames of reordering, an uneven clock: what x264 gives for one film of nine frames, from three segments."""
    segments = Segments(tmp_path / "out.mp4", JOB)
    segments.open({})
    shown = [0, 10, 20, 31, 42, 90, 91, 95, 99]
    orders = [[0, 2, 1, 3], [0, 3, 2, 1], [0]]  # of decoding
    for first, order in zip((0, 4, 8), orders, strict=True):
        writer = segments.begin()
        part = shown[first : first + len(order)]
        lead = 2 if len(part) > 2 else 0
        for place, index in enumerate(order):
            dts = part[place - lead] if place >= lead else part[place] - (part[lead] - part[0])
            writer.add(StoredPacket(bytes([first + index]), part[index], dts, 1, place == 0))
        segments.add(writer)
    assert [packet.dts for packet in segments.packets()] == [-20, -10, 0, 10, 20, 31, 42, 90, 91]
    assert [packet.pts for packet in segments.packets()] == [0, 20, 10, 31, 42, 95, 91, 90, 99]
    assert [packet.data[0] for packet in segments.packets()] == [0, 2, 1, 3, 4, 7, 6, 5, 8]


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
def test_a_segment_that_does_not_fit_leaves_those_before_it(tmp_path: Path) -> None:
    source, result = make_clip(tmp_path / "in.mkv", ticks=UNEVEN, size=(320, 240)), tmp_path / "out.mkv"
    colorize(source, result, FFV1, upto=10)
    (segment,) = working_folder(result).glob("*.segment")
    with largest_file(segment.stat().st_size // 2), pytest.raises(OutputError, match=r"cannot write .*out\.mkv"):
        colorize(source, result, FFV1)
    assert sorted(path.name for path in working_folder(result).iterdir()) == ["00000000.segment", "manifest.jsonl"]
    assert colorize(source, result, FFV1).start == 8


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    """A file system of 400 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if not (shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0):
        pytest.skip("no small file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_keeps_what_is_whole_and_says_how_much_is_missing(tmp_path: Path, small_disk: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", ticks=range(0, 4000, 40), size=(256, 192))
    result = small_disk / "out.mkv"
    with pytest.raises(OutputError, match=r"no space left.*free at least (\d+\.\d) MB") as told:
        colorize(source, result, FFV1)
    assert os.listdir(small_disk) == [working_folder(result).name]
    listed = (working_folder(result) / "manifest.jsonl").read_text().splitlines()[1:]
    kept = sum(json.loads(line)["frames"] for line in listed)
    assert 8 <= kept < 100
    needed = float(str(told.value).split("at least ")[1].split()[0]) * 1e6
    colorize(source, tmp_path / "whole.mkv", FFV1)
    size = (tmp_path / "whole.mkv").stat().st_size
    assert 0.8 * size < needed < 2.2 * size  # the rest of the segments, and the joined film
    subprocess.run(["mount", "-o", f"remount,size={400_000 + int(needed * 1.1)}", str(small_disk)], check=True)
    assert colorize(source, result, FFV1).start == kept
    assert packets_of(result, "video") == packets_of(tmp_path / "whole.mkv", "video")
    assert os.listdir(small_disk) == ["out.mkv"]


def test_hidden_names_fit_and_differ(tmp_path: Path) -> None:
    long = "é" * 120
    names = {hidden(tmp_path / f"{long}{end}.mkv", "colorpipe").name for end in ("a", "b")}
    assert len(names) == 2
    for name in names:
        (tmp_path / name).mkdir()


def test_an_interlaced_and_a_turned_film_keep_their_tags_in_every_segment(tmp_path: Path) -> None:
    sar = {"sample_aspect_ratio": Fraction(16, 11), "color_range": 2, "colorspace": 9}
    source = make_clip(tmp_path / "in.mkv", codec="libx264", rotation=90, video=sar, ticks=UNEVEN)
    for codec, options in OPTIONS.items():
        colorize(source, tmp_path / f"{codec}.mkv", options)
        before, after = frames_of(source), frames_of(tmp_path / f"{codec}.mkv")
        assert after[0].tags.display_matrix == before[0].tags.display_matrix
        assert after[0].encoding == before[0].encoding
        with av.open(str(tmp_path / f"{codec}.mkv")) as film:
            assert {frame.color_range for frame in film.decode(video=0)} == {2}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder of this size holds some 30 MB; each must be gone when its segment is whole, collector or not."""

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    source = make_clip(tmp_path / "in.mkv", ticks=range(0, 40 * 80, 40), size=(640, 360))
    with open_video(source, X264) as film, VideoSink(tmp_path / "out.mp4", film, X264, segment_frames=8) as sink:
        gc.disable()
        try:
            for frame in film:
                sink.write(tinted(frame, sink))
                if frame.index == 40:
                    early = resident()
            assert resident() < early + 100
        finally:
            gc.enable()
