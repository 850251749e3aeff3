"""Jobs that are killed at any moment, and what the next run makes of what they left.

Each job runs in a process of its own, forked from a server that has imported everything, so that kills cost no more
than the job. Half of the kills come at a random time; half at a random step of the file system, the moments where a
program that is careless loses or doubles something.
"""

from __future__ import annotations

import functools
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from colorpipe.batch.journal import NAME, Journal
from colorpipe.batch.output_lock import OutputLock
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.files import hidden, working_folder
from colorpipe.media.video import segments
from colorpipe.types import Batch, Chroma, Outcome, Recipe, Stage
from colorpipe.verification import verify
from tests.helpers import Painter, host_with, write_grey
from tests.test_video import make_clip, packets_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

FILM_FRAMES = 90
SEGMENT = 10
STEPS = ("open", "write", "replace", "fsync", "unlink", "rmdir", "mkdir", "truncate")
"""Functions of ``os`` through which files come and go."""


class Slow(Painter):
    """So slow that another run comes upon it at work."""

    name = "painter"

    def predict(self, batch: Batch) -> Chroma:
        time.sleep(0.02)
        return super().predict(batch)


def job(source: Path, output: Path, report: Path, die_at: int = 0, slow: bool = False, temporal: str = "none") -> None:
    """A run in a process of its own; at the file-system step ``die_at`` it kills itself."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    segments.FRAMES = SEGMENT
    steps = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return step

    host = host_with(Slow if slow else Painter)
    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    outcomes = run(request(source, output, temporal), host)
    told = {"outcomes": [outcome.as_dict() for outcome in outcomes], "steps": steps}
    report.write_text(json.dumps(told))


def request(source: Path, output: Path, temporal: str = "none") -> RunRequest:
    settings = {"codec": "ffv1", "temporal": temporal}
    return RunRequest([source], Recipe(Stage("painter"), settings=settings), output, jobs=3)


@pytest.fixture(scope="module")
def start() -> Callable[..., BaseProcess]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "cv2", "av", "tests.test_kill"])

    def start(*arguments: Any, **named: Any) -> BaseProcess:
        process = context.Process(target=job, args=arguments, kwargs=named)
        process.start()
        return process

    warm_up = context.Process(target=str)
    warm_up.start()
    finish(warm_up)  # the server has imported everything by now
    return start


def finish(process: BaseProcess) -> int | None:
    process.join(240)
    status = process.exitcode
    process.close()
    return status


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def content(path: Path) -> object:
    """Of a picture its bytes; of a film, whose container has numbers drawn by chance, everything that is in it."""
    if path.suffix != ".mkv":
        return path.read_bytes()
    with av.open(str(path)) as film:
        kinds = sorted({stream.type for stream in film.streams})
        return [packets_of(path, kind) for kind in kinds], film.metadata, film.duration


class Hunt:
    """One job, killed again and again; what must hold is looked at after every kill."""

    def __init__(self, start: Callable[..., BaseProcess], source: Path, seed: int, temporal: str = "none") -> None:
        self.start, self.source = functools.partial(start, temporal=temporal), source
        self.work = source.parent
        self.output, self.report = self.work / "out", self.work / "report.json"
        self.random = random.Random(seed)
        began = time.monotonic()
        assert finish(self.start(source, self.work / "whole", self.report)) == 0
        self.duration = time.monotonic() - began
        told = json.loads(self.report.read_text())
        self.steps, self.jobs = told["steps"], len(told["outcomes"])
        assert [outcome["status"] for outcome in told["outcomes"]] == ["done"] * self.jobs
        self.whole = {name: content(self.work / "whole" / name) for name in self.results(self.work / "whole")}
        assert len(self.whole) == self.jobs
        self.kept: dict[str, int] = {}
        self.segments = self.survived = self.frames = 0
        """Whole segments of the film after the last kill; kills that they survived."""

    @staticmethod
    def results(folder: Path) -> list[str]:
        return sorted(name for name in tree(folder) if (folder / name).is_file() and "/." not in f"/{name}")

    def kill(self, number: int) -> bool:
        """False where the job was faster."""
        self.report.unlink(missing_ok=True)
        if number % 2:
            status = finish(self.start(self.source, self.output, self.report, self.random.randint(1, self.steps)))
        else:
            process = self.start(self.source, self.output, self.report)
            process.join(self.random.uniform(0.02, 1) * self.duration)
            process.kill()
            status = finish(process)
        return status == -signal.SIGKILL

    def look(self) -> None:
        """Whatever can be seen is whole; whatever was recorded is still there, untouched."""
        for name in self.results(self.output):
            assert content(self.output / name) == self.whole[name], name
        journal = Journal(self.output, "any recipe")
        done = {
            name: (self.output / name).stat().st_mtime_ns
            for name in self.results(self.output)
            if journal._entries.get(name, {}).get("event") == "done"
        }
        assert done.items() >= self.kept.items(), "finished, and made again"
        self.kept = done
        manifest = working_folder(self.output / "reel.mkv") / "manifest.jsonl"
        lines = manifest.read_text().splitlines()[1:] if manifest.exists() else []
        listed = len(lines)
        self.frames = sum(json.loads(line)["frames"] for line in lines)
        assert listed >= self.segments or "reel.mkv" in done, "a whole segment was lost"
        self.segments, self.survived = listed, self.survived + (listed > 0)

    def settle(self) -> None:
        """The last run, which nobody kills."""
        assert finish(self.start(self.source, self.output, self.report)) == 0
        outcomes = json.loads(self.report.read_text())["outcomes"]
        assert len(outcomes) == self.jobs
        assert {outcome["status"] for outcome in outcomes} <= {"done", "skipped"}
        skipped = {os.path.relpath(o["output"], self.output) for o in outcomes if o["status"] == "skipped"}
        assert skipped == set(self.kept)
        notes = [note for outcome in outcomes for note in outcome["notes"] if "earlier run" in note]
        assert all(note.startswith(f"an earlier run had made {self.frames} frames") for note in notes)
        assert len(notes) == (self.segments > 0 and "reel.mkv" not in self.kept)
        assert tree(self.output) == tree(self.work / "whole")
        self.look()
        shutil.rmtree(self.output)
        self.kept, self.segments = {}, 0


def hunt(start: Callable[..., BaseProcess], source: Path, kills: int, seed: int, temporal: str = "none") -> Hunt:
    prey, killed, tried = Hunt(start, source, seed, temporal), 0, 0
    while killed < kills:
        tried += 1
        assert tried < 10 * kills
        if prey.kill(tried):
            killed += 1
            prey.look()
        else:
            prey.look()
            prey.settle()
    prey.settle()
    return prey


def photos(folder: Path, count: int) -> Path:
    chance = random.Random(count)
    for index in range(count):
        suffix = chance.choice(["png", "png", "jpg", "tif"])
        place = folder / chance.choice(["", "a", "a/b"]) / f"{index:03}.{suffix}"
        write_grey(place, chance.randint(5, 160), chance.randint(5, 160), seed=index)
    return folder


def film(folder: Path) -> Path:
    folder.mkdir()
    make_clip(folder / "reel.mkv", ticks=[40 * n + 7 * (n % 3) for n in range(FILM_FRAMES)], audio="aac", chapters=True)
    return folder


def moving_film(folder: Path) -> Path:
    """Two shots of a camera that moves, 90 frames: what the colour of a frame is depends on many before it."""
    folder.mkdir()
    with av.open(str(folder / "reel.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=25, width=96, height=72, time_base=Fraction(1, 1000))
        stream.pix_fmt = "yuv420p"
        cells = np.random.default_rng(1).random((2, 20, 24)).astype(np.float32)
        scenes = [cv2.resize(scene, (360, 300), interpolation=cv2.INTER_CUBIC) for scene in cells]
        for number in range(FILM_FRAMES):
            scene = np.clip(scenes[number // 53] * (40 if number >= 53 else 220), 16, 235).astype(np.uint8)
            frame = av.VideoFrame(96, 72, "yuv420p")
            top, left = number, 2 * (number % 53)
            for plane, values in zip(frame.planes, (scene[top : top + 72, left : left + 96], 128, 128), strict=True):
                np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width] = values
            frame.pts, frame.time_base = 40 * number, Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return folder


def whole_segments(result: Path) -> int:
    """Those that the manifest lists, below its head: a segment that it does not list yet is made again."""
    manifest = working_folder(result) / "manifest.jsonl"
    return max(0, manifest.read_text().count("\n") - 1) if manifest.exists() else 0


def test_a_folder_survives_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    hunt(start, photos(tmp_path / "in", 24), kills=3, seed=3)


def test_a_film_survives_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    assert hunt(start, film(tmp_path / "in"), kills=3, seed=4).survived >= 1


def test_a_film_with_carried_colour_survives_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    prey = hunt(start, moving_film(tmp_path / "in"), kills=3, seed=5, temporal="6")
    assert prey.survived >= 1
    assert verify(tmp_path / "in" / "reel.mkv", prey.work / "whole" / "reel.mkv").complete


@pytest.mark.slow
def test_a_film_with_carried_colour_survives_20_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    assert hunt(start, moving_film(tmp_path / "in"), kills=20, seed=6, temporal="6").survived >= 5


@pytest.mark.slow
def test_a_folder_of_200_photos_survives_20_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    hunt(start, photos(tmp_path / "in", 200), kills=20, seed=1)


@pytest.mark.slow
def test_a_film_survives_20_kills(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    assert hunt(start, film(tmp_path / "in"), kills=20, seed=2).survived >= 5


@pytest.mark.slow
def test_a_film_and_photos_survive_a_kill_at_every_step(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    source = film(tmp_path / "in")
    photos(source, 3)
    prey = Hunt(start, source, 0)
    killed = 0
    for step in range(1, prey.steps + 1, 3):
        status = finish(start(source, prey.output, prey.report, step))
        # How many steps a run takes depends a little on how its threads meet: the last ones are not always reached.
        assert status == -signal.SIGKILL or (status == 0 and step > 0.8 * prey.steps)
        killed += status == -signal.SIGKILL
        prey.look()
        prey.settle()
    assert killed >= 0.25 * prey.steps


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_next_run_goes_on_after_the_last_whole_segment(
    tmp_path: Path, start: Callable[..., BaseProcess], end: signal.Signals
) -> None:
    source, output, report = film(tmp_path / "in"), tmp_path / "out", tmp_path / "report.json"
    result = output / "reel.mkv"
    process = start(source, output, report, slow=True)
    wait_for(lambda: whole_segments(result) >= 3)
    assert process.pid is not None
    os.kill(process.pid, end)
    assert finish(process) != 0
    kept = whole_segments(result) * SEGMENT
    if end == signal.SIGINT:
        names = {"manifest.jsonl", *(f"{first:08}.segment" for first in range(0, kept, SEGMENT))}
        folder = working_folder(result).name
        assert tree(output) == {folder, *(f"{folder}/{name}" for name in names)}
    assert finish(start(source, output, report)) == 0
    (outcome,) = json.loads(report.read_text())["outcomes"]
    assert (outcome["status"], outcome["frames"]) == ("done", FILM_FRAMES)
    assert f"an earlier run had made {kept} frames" in outcome["notes"][0]
    assert tree(output) == {NAME, "reel.mkv"}
    assert [pts for pts, _ in packets_of(result, "video")] == [
        pts for pts, _ in packets_of(source / "reel.mkv", "video")
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def test_two_runs_at_once_share_the_work(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    source, output = film(tmp_path / "in"), tmp_path / "out"
    photos(source, 12)
    assert finish(start(source, tmp_path / "whole", tmp_path / "report.json")) == 0
    reports = [tmp_path / f"{name}.json" for name in "ab"]
    runs = [start(source, output, report, slow=True) for report in reports]
    assert [finish(process) for process in runs] == [0, 0]
    fates = [[outcome["status"] for outcome in json.loads(path.read_text())["outcomes"]] for path in reports]
    assert [set(pair) for pair in zip(*fates, strict=True)] == [{"done", "skipped"}] * 13
    assert tree(output) == tree(tmp_path / "whole")
    for name in Hunt.results(output):
        assert content(output / name) == content(tmp_path / "whole" / name)
    for line in (output / NAME).read_text().splitlines():
        json.loads(line)


def test_who_waits_for_a_run_that_is_killed_takes_its_place(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    source, output, report = film(tmp_path / "in"), tmp_path / "out", tmp_path / "report.json"
    result = output / "reel.mkv"
    first = start(source, output, report, slow=True)
    wait_for(lambda: whole_segments(result) >= 1)
    second = start(source, output, report, slow=True)
    wait_for(lambda: whole_segments(result) >= 3)
    assert first.pid is not None
    assert hidden(result, "lock").read_text() == str(first.pid)
    first.kill()
    finish(first)
    assert finish(second) == 0
    (outcome,) = json.loads(report.read_text())["outcomes"]
    assert (outcome["status"], outcome["frames"]) == ("done", FILM_FRAMES)
    assert "an earlier run had made" in outcome["notes"][0]
    assert len(packets_of(result, "video")) == FILM_FRAMES
    assert tree(output) == {NAME, "reel.mkv"}


def test_who_waits_is_told_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, output = film(tmp_path / "in"), tmp_path / "out"
    claim = OutputLock.take(output / "reel.mkv")
    assert claim is not None
    outcomes: list[Outcome] = []
    waiting = threading.Thread(target=lambda: outcomes.extend(run(request(source, output), host_with(Painter))))
    with caplog.at_level(logging.WARNING):
        waiting.start()
        wait_for(lambda: f"reel.mkv is being made by another run (process {os.getpid()})" in caplog.text)
        assert not outcomes
        claim.release()
        waiting.join()
    assert [outcome.status for outcome in outcomes] == ["done"]
    assert tree(output) == {NAME, "reel.mkv"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if not (shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0):
        pytest.skip("no small file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_fails_what_does_not_fit_and_the_next_run_goes_on(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "FRAMES", SEGMENT)
    source = tmp_path / "in"
    source.mkdir()
    make_clip(source / "reel.mkv", ticks=range(0, 40 * FILM_FRAMES, 40), size=(192, 160))
    write_grey(source / "small.png", 20, 20)
    asked = request(source, small_disk / "out")
    reel, small = run(asked, host_with(Painter))
    assert (reel.status, small.status) == ("failed", "done")
    assert reel.error is not None
    assert "no space left on device; free at least" in reel.error
    (kept,) = (int(note.split()[0]) for note in reel.notes if "frames are kept" in note)
    assert 0 < kept < FILM_FRAMES
    subprocess.run(["mount", "-o", "remount,size=3m", str(small_disk)], check=True)
    reel, small = run(asked, host_with(Painter))
    assert (reel.status, small.status) == ("done", "skipped")
    assert reel.notes[0] == f"an earlier run had made {kept} frames: this one went on from there"
    assert len(packets_of(small_disk / "out" / "reel.mkv", "video")) == FILM_FRAMES
    assert tree(small_disk / "out") == {NAME, "reel.mkv", "small.png"}


def test_a_source_that_was_exchanged_is_begun_anew(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    source, output, report = film(tmp_path / "in"), tmp_path / "out", tmp_path / "report.json"
    process = start(source, output, report, slow=True)
    wait_for(lambda: whole_segments(output / "reel.mkv") >= 2)
    process.kill()
    finish(process)
    make_clip(source / "reel.mkv", ticks=range(0, 40 * 33, 40))
    assert finish(start(source, output, report)) == 0
    (outcome,) = json.loads(report.read_text())["outcomes"]
    assert outcome["frames"] == 33
    assert not any("earlier run" in note for note in outcome["notes"])
    (kept,) = output.glob(".reel.mkv.*.kept")  # a copy that was put in by mistake costs nothing
    assert any(str(kept) in note for note in outcome["notes"])
    assert {path for path in tree(output) if not path.startswith(kept.name)} == {NAME, "reel.mkv"}
