"""What is finished of a film stays: whatever takes its name, whatever its pictures turn into, whoever is killed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from colorpipe.batch.runner import run
from colorpipe.files import working_folder
from colorpipe.media.video import segments
from colorpipe.media.video.half_made import half_made
from colorpipe.types import Outcome
from colorpipe.verification import verify
from tests.helpers import Painter, host_with
from tests.test_film_cases import film, joined, pictures
from tests.test_kill import SEGMENT, content, finish, request, wait_for, whole_segments
from tests.test_kill import start as start
from tests.test_video import make_clip, packets_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

FRAMES = 60


def reel(folder: Path, step: int) -> Path:
    """A film of its own for each ``step``, always of one name."""
    folder.mkdir()
    return make_clip(folder / "reel.mkv", ticks=range(0, step * FRAMES, step), audio="aac")


@pytest.fixture
def killed(start: Callable[..., BaseProcess], tmp_path: Path) -> Callable[..., int]:
    def killed(source: Path, output: Path, name: str = "reel.mkv", **more: Any) -> int:
        """Kill a run once it has finished three segments; returns the frames in those that it left."""
        where = output if output.suffix else output / name
        before = half_made(working_folder(where))

        def enough() -> bool:
            there = half_made(working_folder(where))
            return there is not None and there.frames >= 3 * SEGMENT and (before is None or there.job != before.job)

        process = start(source, output, tmp_path / "killed.json", slow=True, **more)
        wait_for(enough)
        process.kill()
        finish(process)
        assert not where.exists()
        return whole_segments(where) * SEGMENT

    return killed


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.setattr(segments, "FRAMES", SEGMENT)

    def go(source: Path, output: Path, temporal: str = "none", **more: Any) -> Outcome:
        asked = request(source, output, temporal)
        for name, value in more.items():
            object.__setattr__(asked, name, value)
        (outcome,) = run(asked, host_with(Painter))
        return outcome

    return go


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".kept", ".colorpipe"))


def had_made(outcome: Outcome, frames: int) -> bool:
    return any(f"an earlier run had made {frames} frames" in note for note in outcome.notes)


def test_a_half_made_film_keeps_its_name_and_its_frames(
    tmp_path: Path, killed: Callable[..., int], go: Callable[..., Outcome]
) -> None:
    first, second = reel(tmp_path / "1950", 40), reel(tmp_path / "1960", 50)
    frames = killed(first.parent, tmp_path / "out")
    other = go(second.parent, tmp_path / "out")
    assert (other.status, other.output) == ("done", tmp_path / "out" / "reel-2.mkv")
    assert any(f"reel.mkv is half made, of {first}: this one is reel-2.mkv" in note for note in other.notes)
    assert not had_made(other, frames)
    outcome = go(first.parent, tmp_path / "out")
    assert (outcome.status, outcome.output) == ("done", tmp_path / "out" / "reel.mkv")
    assert had_made(outcome, frames)
    assert left(tmp_path / "out") == []
    assert verify(first, tmp_path / "out" / "reel.mkv").complete
    assert verify(second, tmp_path / "out" / "reel-2.mkv").complete


@pytest.mark.parametrize("named", [True, False], ids=["named", "overwrite"])
def test_a_film_that_must_have_the_name_puts_the_other_aside(
    tmp_path: Path, killed: Callable[..., int], go: Callable[..., Outcome], named: bool
) -> None:
    first, second = reel(tmp_path / "1950", 40), reel(tmp_path / "1960", 50)
    output = tmp_path / "out" / "reel.mkv" if named else tmp_path / "out"
    frames = killed(first, output)
    outcome = go(second, output, overwrite=not named)
    assert (outcome.status, outcome.output) == ("done", tmp_path / "out" / "reel.mkv")
    (told,) = [note for note in outcome.notes if "are kept in" in note]
    assert told.startswith(f"{frames} frames of {first} are kept in {tmp_path / 'out'}")
    (kept,) = left(tmp_path / "out")
    assert half_made(tmp_path / "out" / kept).frames == frames  # type: ignore[union-attr]
    again = go(second, output)  # which finds its result, and no half-made film of its own
    assert again.status == "skipped"
    assert left(tmp_path / "out") == [kept]
    # The first one's own run finds its frames wherever its result is to go beside them.
    back = go(first, tmp_path / "out" / "first.mkv" if named else tmp_path / "out")
    assert (back.status, back.output is not None and back.output.name) == (
        "done", "first.mkv" if named else "reel-2.mkv",
    )  # fmt: skip
    assert had_made(back, frames)
    assert left(tmp_path / "out") == []
    assert verify(first, back.output).complete  # type: ignore[arg-type]


def test_films_that_take_turns_at_a_name_lose_nothing(
    tmp_path: Path, killed: Callable[..., int], go: Callable[..., Outcome]
) -> None:
    """One place in an inbox, which two films come to in turn."""
    inbox, output = tmp_path / "inbox", tmp_path / "out"
    films = [reel(tmp_path / name, step) for name, step in (("a", 40), ("b", 50))]
    inbox.mkdir()
    made = []
    for one in films:
        shutil.copy(one, inbox / "reel.mkv")
        made.append(killed(inbox / "reel.mkv", output / "reel.mkv"))
    assert len(left(output)) == 2
    for one, frames, result in zip(films, made, ("reel.mkv", "b.mkv"), strict=True):
        shutil.copy(one, inbox / "reel.mkv")
        outcome = go(inbox / "reel.mkv", output / result)
        assert (outcome.status, had_made(outcome, frames)) == ("done", True)
        assert verify(one, output / result).complete
    assert left(output) == []


def test_other_settings_cost_nothing_either(
    tmp_path: Path, killed: Callable[..., int], go: Callable[..., Outcome]
) -> None:
    source = reel(tmp_path / "in", 40)
    frames = killed(source, tmp_path / "out")
    killed(source, tmp_path / "out", temporal="5")
    assert len(left(tmp_path / "out")) == 2
    outcome = go(source, tmp_path / "out")
    assert (outcome.status, had_made(outcome, frames)) == ("done", True)
    assert left(tmp_path / "out") == []  # the film is there
    assert not any("are kept" in note for note in outcome.notes)
    go(source, tmp_path / "whole")
    assert content(tmp_path / "out" / "reel.mkv") == content(tmp_path / "whole" / "reel.mkv")


def test_a_film_that_fails_in_its_middle_keeps_what_is_finished(
    tmp_path: Path, go: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that only the time stamps reach, in a file that does not tell how long it is."""
    from colorpipe.media.video.source import VideoSource

    source, result = reel(tmp_path / "in", 40), tmp_path / "out" / "reel.mkv"
    original = VideoSource._check_duration

    def late(self: VideoSource, seconds: Fraction) -> None:
        if 50 <= seconds * 25 < FRAMES - 1:
            wait_for(lambda: whole_segments(result) >= 3)
            original(self, seconds * 10_000_000)

    with monkeypatch.context() as patch:
        patch.setattr(VideoSource, "_check_duration", late)
        outcome = go(source, tmp_path / "out")
    assert (outcome.status, outcome.error_type) == ("failed", "LimitError")
    kept = whole_segments(result) * SEGMENT
    assert kept >= 30
    assert any(f"{kept} frames are kept" in note for note in outcome.notes)
    assert had_made(go(source, tmp_path / "out"), kept)


# --- pictures that become others --------------------------------------------------------------------------------------


def broadcast(path: Path, sizes: Sequence[tuple[int, int]], codec: str = "mpeg2video") -> Path:
    """A recording that goes from one size to another, with sound."""
    parts = [
        film(path.with_name(f"{number}.ts"), muxer="mpegts", codec=codec, size=size, count=40, audio="mp2")
        for number, size in enumerate(sizes)
    ]
    whole = joined(path, *parts)
    for part in parts:
        part.unlink()
    return whole


def webm(path: Path, kinds: Sequence[tuple[tuple[int, int], str]]) -> Path:
    """One stream of VP9 whose pictures change, 40 frames of each kind, with sound all along."""
    with av.open(str(path), "w") as output:
        packets: list[Packet[Any]] = []
        stream: Any = None
        for number, (size, pixels) in enumerate(kinds):
            if stream is None:
                stream = output.add_stream("libvpx-vp9", rate=25, width=size[0], height=size[1])
            encoder: Any = av.CodecContext.create("libvpx-vp9", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, pixels
            encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
            encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
            for index, image in enumerate([*pictures(40, size, number), None]):
                if image is not None:
                    image = image.reformat(format=pixels)
                    image.pts, image.time_base = 40 * number + index, Fraction(1, 25)
                for packet in encoder.encode(image):
                    packet.time_base = Fraction(1, 25)
                    packets.append(packet)
        stream.pix_fmt, stream.time_base = kinds[0][1], Fraction(1, 25)
        sound: Any = output.add_stream("libopus", rate=48000, layout="mono")
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="flt", layout="mono")
        quiet.sample_rate = 48000
        for number in range(len(kinds) * 80):
            quiet.pts, quiet.time_base = 960 * number, Fraction(1, 48000)
            packets += sound.encode(quiet)
        for packet in packets:
            if packet.time_base == Fraction(1, 25):
                packet.stream = stream
        packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
        for packet in packets:
            output.mux(packet)
    return path


SMALL, LARGE = (64, 48), (96, 64)
CHANGING: dict[str, Callable[[Path], Path]] = {
    "mpeg2.ts": lambda folder: broadcast(folder / "in.ts", (SMALL, LARGE)),
    "h264.ts": lambda folder: broadcast(folder / "in.ts", (LARGE, SMALL), "libx264"),
    "vp9.webm": lambda folder: webm(folder / "in.webm", [(SMALL, "yuv420p"), (LARGE, "yuv420p"), (SMALL, "yuv420p")]),
    "format.webm": lambda folder: webm(folder / "in.webm", [(SMALL, "yuv420p"), (SMALL, "yuv444p")]),
}


def names(source: Path) -> str:
    return "in.mp4" if source.suffix == ".ts" else "in.mkv"


@pytest.mark.parametrize("kind", CHANGING)
@pytest.mark.parametrize("temporal", ["none", "5"])
def test_a_film_ends_where_its_pictures_become_others(
    tmp_path: Path, go: Callable[..., Outcome], kind: str, temporal: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = CHANGING[kind](folder)
    result = tmp_path / "out" / "out.mkv"
    outcome = go(source, result, temporal)
    assert (outcome.status, outcome.frames) == ("done", 40)
    (told,) = [note for note in outcome.notes if "the result ends before frame" in note]
    assert "before frame 40 (1." in told
    assert "yuv444p, those before it yuv420p" in told or "64x48" in told
    # A whole film: each frame with the source's grey and time, and its sound no longer than its pictures.
    with av.open(str(source)) as before, av.open(str(result)) as after:
        wanted, got = list(before.decode(video=0)), list(after.decode(video=0))
    size, layout = (got[0].width, got[0].height), wanted[0].format.name
    wanted = [image for image in wanted if (image.width, image.height, image.format.name) == (*size, layout)][:40]
    assert len(got) == 40
    assert len(wanted) >= 39  # FFmpeg's decoder of MPEG-2 drops the last one of a size; it is not dropped here
    for one, other in zip(wanted, got, strict=False):
        np.testing.assert_array_equal(one.to_ndarray()[: one.height], other.to_ndarray()[: one.height])
    first = wanted[0].pts * wanted[0].time_base  # type: ignore[operator]
    spans = [float((image.pts * image.time_base) - first) for image in wanted]  # type: ignore[operator]
    shown = [float((image.pts - got[0].pts) * image.time_base) for image in got][: len(spans)]  # type: ignore[operator]
    np.testing.assert_allclose(shown, spans, atol=0.001)
    with av.open(str(result)) as after:
        ends = [packet.pts * packet.time_base for packet in after.demux(audio=0) if packet.pts is not None]  # type: ignore[operator]
    assert 1.3 < ends[-1] <= 1.65
    report = verify(source, result)
    assert not report.complete
    assert "40 in the result" in report["frames"].says
    # It is recorded, and known as done.
    entry = [json.loads(line) for line in (tmp_path / "out" / ".colorpipe.jsonl").read_text().splitlines()][-1]
    assert any("the result ends before frame 40" in note for note in entry["facts"]["notes"])
    assert go(source, result, temporal).status == "skipped"


@pytest.mark.parametrize("kind", ["mpeg2.ts", "vp9.webm"])
def test_a_kill_before_the_pictures_change_loses_nothing(
    tmp_path: Path, killed: Callable[..., int], go: Callable[..., Outcome], kind: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = CHANGING[kind](folder)
    frames = killed(source, tmp_path / "out", names(source))
    assert frames >= 30
    outcome = go(source, tmp_path / "out")
    assert (outcome.status, outcome.frames, had_made(outcome, frames)) == ("done", 40, True)
    whole = go(source, tmp_path / "whole")
    ours, theirs = (packets_of(one.output, "video") for one in (outcome, whole))  # type: ignore[arg-type]
    assert ours == theirs
    assert left(tmp_path / "out") == []


def test_the_change_of_a_recordings_size_is_told_before_the_work(
    tmp_path: Path, go: Callable[..., Outcome], caplog: pytest.LogCaptureFixture
) -> None:
    source = broadcast(tmp_path / "in.ts", (SMALL, LARGE))
    go(source, tmp_path / "out")
    assert "about frame 40 is 96x64, those before it 64x48: the result will end there" in caplog.text


def test_a_preview_ends_there_too(tmp_path: Path, go: Callable[..., Outcome]) -> None:
    source = webm(tmp_path / "in.webm", [(SMALL, "yuv420p"), (LARGE, "yuv420p")])
    outcome = go(source, tmp_path / "out", preview=3.2)
    assert (outcome.status, outcome.frames) == ("done", 40)
    assert any("the result ends before frame 40" in note for note in outcome.notes)
    outcome = go(source, tmp_path / "out", preview=0.2)  # from the middle, where the change is
    assert outcome.status == "done", outcome.error
    assert os.listdir(tmp_path / "out")
