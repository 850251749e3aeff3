"""``--compare`` for films: grey beside colour, made of the finished result."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from colorpipe.batch.journal import NAME
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import UsageError
from colorpipe.media.inputs import Job
from colorpipe.types import Outcome, Recipe, Stage
from tests.helpers import Painter, host_with, write_grey
from tests.test_video import frames_of, make_clip, packets_of

RECIPE = Recipe(Stage("painter"), settings={"codec": "ffv1", "temporal": "none"})


def compare(source: Path, listener: NullListener | None = None, **more: object) -> list[Outcome]:
    asked = {"output": source.parent / "out", "compare": True, **more}
    return run(RunRequest([source], RECIPE, **asked), host_with(Painter), listener)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pixels", "size", "rotation"),
    [
        ("yuv420p", (64, 48), 0),
        ("yuv420p", (63, 47), 0),
        ("yuv422p10le", (63, 48), 180),
        ("yuv420p", (64, 47), 90),
        ("yuva420p", (61, 48), -90),
    ],
)
def test_grey_is_left_and_colour_right(tmp_path: Path, pixels: str, size: tuple[int, int], rotation: int) -> None:
    """As shown: what a player turns is put together so that it is right when it is turned."""
    source = make_clip(
        tmp_path / "film.mkv", pixels=pixels, size=size, rotation=rotation, audio="flac", subtitles=True, chapters=True
    )
    (outcome,) = compare(source)
    assert outcome.status == "done"
    assert "compare" in outcome.seconds
    result, comparison = tmp_path / "out" / "film.mkv", tmp_path / "out" / "film.compare.mkv"
    for before, after in zip(frames_of(result)[1], frames_of(comparison)[1], strict=True):
        assert (after.pts, after.encoding) == (before.pts, before.encoding)
        axis = 0 if rotation in (90, -90) else 1
        planes = [after.luma, *after.colour, *([] if after.alpha is None else [after.alpha])]
        halves = [np.split(plane, 2, axis) for plane in planes]
        if rotation in (180, -90):  # counted against the clock: what is stored last is shown at the left
            halves = [half[::-1] for half in halves]
        height, width = before.luma.shape
        for half in halves[0]:
            np.testing.assert_array_equal(half[:height, :width], before.luma)
        for (grey, colour), plane in zip(halves[1:], before.colour, strict=False):
            assert (grey == 1 << (before.encoding.bits - 1)).all()
            np.testing.assert_array_equal(colour, plane)
    for kind in ("audio", "subtitle"):
        assert packets_of(comparison, kind) == packets_of(result, kind)
    with av.open(str(result)) as before, av.open(str(comparison)) as after:
        assert after.chapters() == before.chapters()
        assert after.metadata["DIGITALSOURCETYPE"] == before.metadata["DIGITALSOURCETYPE"]
        assert next(after.decode(video=0)).rotation in (rotation, -180 if rotation == 180 else rotation)


def test_it_is_encoded_as_the_film_is(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", codec="libx264", size=(66, 46))
    recipe = Recipe(Stage("painter"), settings={"codec": "libx265", "crf": 30, "preset": "ultrafast"})
    run(RunRequest([source], recipe, tmp_path / "out", compare=True), host_with(Painter))
    with av.open(str(tmp_path / "out" / "film.compare.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.name, context.width, context.height) == ("hevc", 132, 46)


def test_a_film_that_is_done_gets_the_comparison_that_is_missing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv")
    comparison = tmp_path / "out" / "film.compare.mkv"
    assert compare(source, compare=False)[0].status == "done"
    assert not comparison.exists()
    (outcome,) = compare(source)
    assert (outcome.status, outcome.notes) == ("skipped", ())
    made = comparison.stat()
    assert compare(source)[0].status == "skipped"
    assert comparison.stat().st_mtime_ns == made.st_mtime_ns
    assert compare(source, overwrite=True)[0].status == "done"
    assert comparison.stat().st_mtime_ns != made.st_mtime_ns
    assert {path.name for path in comparison.parent.iterdir()} == {"film.mkv", "film.compare.mkv", NAME}


def test_that_it_cannot_be_made_is_a_note(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv")
    comparison = tmp_path / "out" / "film.compare.mkv"
    comparison.parent.mkdir()
    comparison.write_bytes(b"mine")
    (outcome,) = compare(source)
    assert outcome.status == "done"
    assert "no comparison was made" in outcome.notes[-1]
    assert "was not made by colorpipe" in outcome.notes[-1]
    assert comparison.read_bytes() == b"mine"
    comparison.unlink()
    comparison.mkdir()
    (comparison / "file").touch()
    (outcome,) = compare(source, overwrite=True)
    assert outcome.status == "done"
    assert "a folder has that name" in outcome.notes[-1]


class Watcher(NullListener):
    """Presses Ctrl-C in the midst of the comparison."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.events: list[str] = []
        self.stop_at = stop_at

    def comparison_started(self, job: Job, frames: int | None) -> None:
        self.events.append(f"comparison of {frames}")

    def frame_done(self, job: Job) -> None:
        self.events.append("frame")
        if self.stop_at and len(self.events) == self.stop_at:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.3)  # a few frames are made in no time

    def job_done(self, job: Job, outcome: Outcome) -> None:
        self.events.append(outcome.status)


@pytest.fixture
def interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals to a thread")
def test_it_is_told_and_can_be_interrupted(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", ticks=range(0, 1200, 40))
    watcher = Watcher(stop_at=35)
    with pytest.raises(KeyboardInterrupt):
        compare(source, watcher)
    assert watcher.events[30] == "comparison of 30"
    assert len(watcher.events) < 60
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"film.mkv", NAME}
    watcher = Watcher()
    assert compare(source, watcher)[0].status == "skipped"
    assert watcher.events == ["comparison of 30", *["frame"] * 30, "skipped"]


def test_of_a_preview(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", ticks=range(0, 1200, 40))
    compare(source, preview=0.4)
    film, frames = frames_of(tmp_path / "out" / "film.preview.compare.mkv")
    assert (film.info.width, len(frames)) == (128, 10)


def test_a_comparison_never_replaces_a_source_or_a_result(tmp_path: Path) -> None:
    write_grey(tmp_path / "photo.compare.jpg")
    kept = (tmp_path / "photo.compare.jpg").read_bytes()
    with pytest.raises(UsageError, match=r"the comparison of .* would replace the source"):
        compare(tmp_path / "photo.compare.jpg", output=tmp_path / "photo.jpg")
    assert (tmp_path / "photo.compare.jpg").read_bytes() == kept
    (tmp_path / "in").mkdir()
    for name in ("film.mkv", "film.compare.mkv"):
        make_clip(tmp_path / "in" / name)
    with pytest.raises(UsageError, match=r"would replace the result of .*film\.compare\.mkv"):
        compare(tmp_path / "in")
