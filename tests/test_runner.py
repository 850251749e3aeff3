"""Folders through the runner: everything told, nothing half done, nobody's failure but one's own."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from colorpipe.batch import runner
from colorpipe.batch.journal import NAME
from colorpipe.batch.output_lock import OutputLock, holder
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import UsageError
from colorpipe.media.inputs import Job
from colorpipe.media.video import segments
from colorpipe.pipeline.frame import Pipeline
from colorpipe.pipeline.session import Session
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Batch, Chroma, Outcome, Recipe, Stage
from tests.helpers import Painter, host_with, write_grey
from tests.test_video import make_clip

PAINTER = Recipe(Stage("painter"))


class Counting(Painter):
    """Counts the pictures it is given."""

    name = "painter"
    seen = 0

    def predict(self, batch: Batch) -> Chroma:
        type(self).seen += len(batch)
        return super().predict(batch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(6):
        write_grey(tmp_path / "in" / f"{index}.png", 20 + 13 * index, 90 - 7 * index, seed=index)
    write_grey(tmp_path / "in" / "deep" / "er" / "photo.jpg", 200, 100, seed=9)
    return tmp_path / "in"


def request(folder: Path, **changes: object) -> RunRequest:
    base = RunRequest(inputs=[folder], recipe=PAINTER, output=folder.parent / "out")
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_folder_is_mirrored_in_colour(folder: Path, batch: int, jobs: int) -> None:
    outcomes = run(request(folder, batch=batch, jobs=jobs), host_with(Painter))
    assert [outcome.status for outcome in outcomes] == ["done"] * 7
    assert files(folder.parent / "out") == files(folder) | {NAME}
    for outcome in outcomes:
        before, after = cv2.imread(str(outcome.input)), cv2.imread(str(outcome.output))
        assert before.shape == after.shape == (outcome.height, outcome.width, 3)
        assert np.ptp(after.astype(int), axis=2).max() > 5
        assert set(outcome.seconds) == {"read", "predict", "write", "total"}


def test_batches_give_the_same_files_as_single_pictures(folder: Path) -> None:
    run(request(folder, output=folder.parent / "one", batch=1), host_with(Painter))
    run(request(folder, output=folder.parent / "many", batch=5, jobs=2), host_with(Painter))
    for name in files(folder):
        one, many = (cv2.imread(str(folder.parent / run_ / name)) for run_ in ("one", "many"))
        assert np.array_equal(one, many)


def test_a_runs_networks_go_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when Python next looks for circles: their memory is not its own, and many runs in one process pile it up."""
    pipelines = list[weakref.ref[Pipeline]]()

    def seen(request: RunRequest, host: PluginHost) -> Session:
        made = session_for(request, host)
        pipelines.append(weakref.ref(made.pipeline))
        return made

    session_for = runner.session_for  # type: ignore[attr-defined]
    monkeypatch.setattr(runner, "session_for", seen)
    gc.collect()
    gc.disable()
    try:
        run(request(folder), host_with(Painter))
        assert [pipeline() for pipeline in pipelines] == [None]
    finally:
        gc.enable()


def test_what_is_done_is_skipped_and_only_that(folder: Path) -> None:
    run(request(folder), host_with(Painter))
    out = folder.parent / "out"
    (out / "2.png").unlink()
    write_grey(folder / "3.png", 50, 50, seed=33)
    Counting.seen = 0
    outcomes = run(request(folder), host_with(Counting))
    assert {outcome.input.name: outcome.status for outcome in outcomes if outcome.status == "done"} == {
        "2.png": "done",
        "3.png": "done",
    }
    assert Counting.seen == 2
    assert run(request(folder), host_with(Counting))[0].output == out / "0.png"


def test_another_recipe_and_overwrite_do_it_again(folder: Path) -> None:
    run(request(folder), host_with(Painter))
    other = dataclasses.replace(PAINTER, settings={"saturation": 0.5})
    assert {outcome.status for outcome in run(request(folder, recipe=other), host_with(Painter))} == {"done"}
    again = run(request(folder, recipe=other, overwrite=True), host_with(Painter))
    assert {outcome.status for outcome in again} == {"done"}


def test_a_file_that_colorpipe_did_not_make_is_left_alone(folder: Path) -> None:
    foreign = folder.parent / "out" / "1.png"
    foreign.parent.mkdir()
    foreign.write_bytes(b"my only copy")
    outcomes = run(request(folder), host_with(Painter))
    assert [outcome.status for outcome in outcomes].count("failed") == 1
    assert "not made by colorpipe" in next(outcome.error for outcome in outcomes if outcome.error)
    assert foreign.read_bytes() == b"my only copy"
    run(request(folder, overwrite=True), host_with(Painter))
    assert cv2.imread(str(foreign)) is not None


def test_broken_inputs_are_named_and_the_rest_is_done(folder: Path) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    whole = (folder / "0.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    outcomes = run(request(folder, batch=3), host_with(Painter))
    failed = {outcome.input.name: outcome for outcome in outcomes if outcome.status == "failed"}
    assert set(failed) == {"empty.png", "text.jpg", "half.png"}
    for name, outcome in failed.items():
        assert name in outcome.error
        assert "\n" not in outcome.error
        assert outcome.output is None
        told = outcome.as_dict()
        assert told["error_type"] == "InputError"
        assert told["hint"] is None or outcome.error.endswith(f"; {told['hint']}")
    assert sum(outcome.status == "done" for outcome in outcomes) == 7
    assert files(folder.parent / "out") == (files(folder) - set(failed)) | {NAME}
    (folder.parent / "out" / NAME).unlink()
    write_grey(folder.parent / "out" / "0.png")  # somebody else has made what is there
    again = {outcome.input.name: outcome.as_dict() for outcome in run(request(folder), host_with(Painter))}
    assert (again["0.png"]["error_type"], again["0.png"]["hint"]) == ("OutputError", "--overwrite replaces it")


def test_fail_fast_stops_and_leaves_whole_files_only(folder: Path) -> None:
    (folder / "+.png").write_bytes(b"")  # sorts first
    outcomes = run(request(folder, fail_fast=True, jobs=1), host_with(Painter))
    assert [outcome.status for outcome in outcomes] == ["failed"]
    assert files(folder.parent / "out") <= files(folder) | {NAME}


class Moody(Painter):
    """Fails on pictures of one size: a bug in a plugin."""

    def predict(self, batch: Batch) -> Chroma:
        if bool((batch.L.amax((1, 2, 3)) - batch.L.amin((1, 2, 3)) < 0.01).any()):
            raise ZeroDivisionError("flat picture")
        return super().predict(batch)


def test_a_plugins_bug_fails_its_picture_and_not_its_neighbours_in_the_batch(folder: Path) -> None:
    cv2.imwrite(str(folder / "flat.png"), np.full((30, 30), 99, np.uint8))
    outcomes = run(request(folder, batch=8), host_with(Moody))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert [outcome.input.name for outcome in failed] == ["flat.png"]
    assert "ZeroDivisionError" in failed[0].error


def test_sources_are_never_overwritten(folder: Path) -> None:
    with pytest.raises(UsageError, match="source"):
        run(request(folder, output=folder), host_with(Painter))


def test_compare_writes_before_and_after(folder: Path) -> None:
    run(request(folder, compare=True), host_with(Painter))
    sheet = cv2.imread(str(folder.parent / "out" / "2.compare.jpg"))
    result = cv2.imread(str(folder.parent / "out" / "2.png"))
    assert sheet.shape == (result.shape[0], 2 * result.shape[1], 3)
    left, right = np.hsplit(sheet.astype(int), 2)
    assert np.ptp(left[:, :-16], axis=2).max() <= 3  # JPEG's blocks straddle the middle
    assert np.abs(right - result).mean() < 4


class Recorder(NullListener):
    def __init__(self) -> None:
        self.events: list[str] = []
        self.inside = threading.Lock()

    def _note(self, event: str) -> None:
        assert self.inside.acquire(blocking=False), "listeners are called one at a time"
        self.events.append(event)
        self.inside.release()

    def started(self, jobs: int) -> None:
        self._note(f"started {jobs}")

    def used(self, device: str, precision: str, weights: str) -> None:
        self._note(f"used {device} {precision} {weights}")

    def frame_skipped(self, job: Job) -> None:
        self._note("skipped frame")

    def frame_done(self, job: Job) -> None:
        self._note("frame")

    def job_done(self, job: Job, outcome: Outcome) -> None:
        self._note(outcome.status)


def test_the_listener_hears_everything_once(folder: Path) -> None:
    recorder = Recorder()
    run(request(folder), host_with(Painter), recorder)
    assert recorder.events[0] == "started 7"
    assert recorder.events[1].endswith("fp32 none")
    assert recorder.events.count("frame") == recorder.events.count("done") == 7


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from pathlib import Path
from tests.helpers import Painter, host_with
from colorpipe.batch.runner import RunRequest, run
from colorpipe.types import Recipe, Stage

class Slow(Painter):
    def predict(self, batch):
        time.sleep(0.05)
        return super().predict(batch)

class Tell:
    def __getattr__(self, name):
        return lambda *a: print(name, flush=True)

recipe = Recipe(Stage("painter"), device=sys.argv[3])
run(RunRequest([sys.argv[1]], recipe, Path(sys.argv[2])), host_with(Slow), Tell())
"""


@pytest.mark.parametrize(
    ("end", "device"),
    [
        (signal.SIGINT, "cpu"),
        (signal.SIGKILL, "cpu"),
        pytest.param(signal.SIGINT, "cpu,cpu", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_stopped_leaves_whole_files_and_the_next_goes_on(
    tmp_path: Path, end: signal.Signals, device: str
) -> None:
    write_grey(tmp_path / "in" / "000.png", 300, 300)
    for index in range(1, 40):
        shutil.copy(tmp_path / "in" / "000.png", tmp_path / "in" / f"{index:03}.png")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "in"), str(tmp_path / "out"), device]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root, text=True)
    done = 0
    for line in process.stdout:
        done += line.strip() == "job_done"
        if done == 5:
            process.send_signal(end)
            break
    process.communicate(timeout=30)
    assert process.returncode != 0
    whole = [name for name in files(tmp_path / "out") if name.endswith(".png") and not Path(name).name.startswith(".")]
    assert 5 <= len(whole) < 40
    for name in whole:
        assert cv2.imread(str(tmp_path / "out" / name)).shape == (300, 300, 3)
    if end == signal.SIGINT:
        assert files(tmp_path / "out") == {*whole, NAME}
    Counting.seen = 0
    outcomes = run(RunRequest([tmp_path / "in"], PAINTER, tmp_path / "out"), host_with(Counting))
    assert len(outcomes) == 40
    assert Counting.seen <= 40 - len(whole) + 1  # one may have been renamed and not yet recorded
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*os.listdir(tmp_path / "in"), NAME}


def test_memory_is_bounded_by_the_queues(tmp_path: Path) -> None:
    """A slow network must hold up the readers: no more frames in flight than the queues have places."""
    for index in range(30):
        write_grey(tmp_path / "in" / f"{index:02}.png", 16, 16, seed=index)
    read = 0
    worst = 0

    class Watching(Painter):
        predicted = 0

        def predict(self, batch: Batch) -> Chroma:
            nonlocal worst
            time.sleep(0.01)
            worst = max(worst, read - Watching.predicted)
            Watching.predicted += 1
            return super().predict(batch)

    class Readers(NullListener):
        def job_started(self, job: Job, frames: int | None) -> None:
            nonlocal read
            read += 1

    asked = RunRequest([tmp_path / "in"], PAINTER, tmp_path / "out", batch=1, jobs=2)
    outcomes = run(asked, host_with(Watching), Readers())
    assert len(outcomes) == 30
    assert worst <= 8  # four in the queue, two readers' own, two on the way


class Hungry(Painter):
    """Runs out of memory above a number of pictures."""

    name = "painter"
    room = 2
    calls: tuple[int, ...] = ()

    def predict(self, batch: Batch) -> Chroma:
        type(self).calls += (len(batch),)
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().predict(batch)


def test_out_of_memory_halves_the_batch_and_the_pictures_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(request(folder, output=folder.parent / "plain"), host_with(Painter))
    monkeypatch.setattr(Hungry, "calls", ())
    outcomes = run(request(folder, batch=8), host_with(Hungry))
    assert [outcome.status for outcome in outcomes] == ["done"] * 7
    assert Hungry.calls[:3] == (8, 4, 2)
    assert set(Hungry.calls[3:]) == {2}
    for name in files(folder):
        assert (folder.parent / "out" / name).read_bytes() == (folder.parent / "plain" / name).read_bytes()


def test_out_of_memory_for_one_picture_is_a_failure_and_never_a_grey_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hungry, "room", 0)
    outcomes = run(request(folder, batch=4), host_with(Hungry))
    assert [outcome.status for outcome in outcomes] == ["failed"] * 7
    for outcome in outcomes:
        assert "cpu has not enough memory for one 256x256 view through painter" in outcome.error
        assert outcome.output is None
    assert files(folder.parent) == {f"in/{name}" for name in files(folder)}


class Greedy(Painter):
    """Has no memory for one frame in the midst of a film, and for none after it."""

    name = "painter"
    seen = 0

    def predict(self, batch: Batch) -> Chroma:
        type(self).seen += 1
        if self.seen > 20:
            raise MemoryError
        return super().predict(batch)


def test_out_of_memory_in_a_film_keeps_its_whole_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(Greedy, "seen", 0)
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "film.mkv", ticks=range(0, 40 * 40, 40))
    (outcome,) = run(request(tmp_path / "in"), host_with(Greedy))
    assert outcome.status == "failed"
    assert "not enough memory for one 256x256 view" in outcome.error
    # The second segment was predicted, but may not have been written yet when memory ran out.
    assert re.fullmatch(r"(8|16) frames are kept: the same command goes on from there", outcome.notes[-1])
    recorder = Recorder()
    kept = int(outcome.notes[-1].partition(" ")[0])
    (outcome,) = run(request(tmp_path / "in"), host_with(Painter), recorder)
    assert (outcome.status, outcome.frames) == ("done", 40)
    assert recorder.events[2:-1] == ["skipped frame"] * kept + ["frame"] * (40 - kept)
    assert files(tmp_path / "out") == {"film.mkv", NAME}


def test_a_film_whose_pictures_change_is_whole_up_to_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)
    parts = [
        make_clip(tmp_path / f"{width}.h264", codec="libx264", size=(width, 48), options={"bf": "0"})
        for width in (64, 96)
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    (outcome,) = run(request(tmp_path / "in", inputs=[tmp_path / "in" / "film.mpg"]), host_with(Painter))
    assert (outcome.status, outcome.frames) == ("done", 12)
    assert any("96x48" in note for note in outcome.notes)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".colorpipe.jsonl", outcome.output.name}


def test_two_claims_on_one_result(tmp_path: Path) -> None:
    result = tmp_path / "new" / "folder" / "photo.png"
    first = OutputLock.take(result)
    assert first is not None
    assert OutputLock.take(result) is None
    assert holder(result) == f"another run (process {os.getpid()})"
    stale = result.with_name(f".photo.png.{os.getpid()}.77.part")
    stale.write_bytes(b"left by a killed process that had the number of this one")
    first.release()
    again = OutputLock.take(result)
    assert again is not None
    assert not stale.exists()
    again.release()
    assert (tmp_path / "new" / "folder").exists()  # made by the first claim, not empty when that ended
    third = OutputLock.take(tmp_path / "other" / "photo.png")
    assert third is not None
    third.release()
    assert not (tmp_path / "other").exists()


def test_no_memory_on_the_processor_names_the_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def merge_chroma(self: Pipeline, frame: object, ab: object, view_size: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Pipeline, "merge_chroma", merge_chroma)
    for outcome in run(request(folder), host_with(Painter)):
        assert outcome.status == "failed"
        assert f"not enough memory for {outcome.width} x {outcome.height} pixels" in outcome.error
