"""``--cluster``: many workers make what one process makes, to the byte, whatever is killed on the way.

The first tests run workers in this process; the last ones need Ray, and a cluster of two nodes as processes on this
machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from colorpipe.batch.cluster import driver as driver_module
from colorpipe.batch.cluster.driver import Driver
from colorpipe.batch.cluster.film_plan import FilmPlan
from colorpipe.batch.cluster.tasks import Answer, Chunk, JoinFilm, MakePart, PlanFilm, Setup, Task
from colorpipe.batch.cluster.worker import Worker
from colorpipe.batch.journal import NAME
from colorpipe.batch.preparation import prepare
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.files import working_folder
from colorpipe.media.inputs import Job
from colorpipe.media.parts import FilmPart
from colorpipe.media.video import segments
from colorpipe.media.video.half_made import half_made
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome, Recipe, Stage
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_film_cases import film, joined
from tests.test_kill import content

PAINTER = """
import time
from dataclasses import dataclass

import torch

import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl, option
from colorpipe.media.video import segments

segments.FRAMES = 10  # of less than a second, so that small films have many


class Painter(Colorizer):
    name = "painter"
    summary = "chroma follows the lightness"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        sleep: float = option(0.0, "seconds a picture", min=0, max=10)

    def predict(self, batch):
        time.sleep(self.options.sleep * len(batch))
        return Chroma(torch.cat([batch.L * 0.3 - 15, 15 - batch.L * 0.3], 1))


@hookimpl
def colorpipe_colorizers():
    return [Painter]
"""
SHOTS = (27, 11, 17, 24, 4, 20)
"""Frames of each."""


def painter_file(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(segments, "FRAMES", 10)
    file = folder / "painter.py"
    file.write_text(PAINTER)
    return file


@pytest.fixture
def painter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return painter_file(tmp_path, monkeypatch)


def six_shots(path: Path, shots: Sequence[int] = SHOTS) -> Path:
    """A camera that moves over a scene in each: the colour of a frame depends on many before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "6"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 96, 72, "yuv420p", Fraction(1, 25)
        cells = np.random.default_rng(1).random((len(shots), 20, 24)).astype(np.float32)
        number = 0
        for scene_number, frames in enumerate(shots):
            scene = cv2.resize(cells[scene_number], (360, 300), interpolation=cv2.INTER_CUBIC)
            codes = np.clip(scene * (40 if scene_number % 2 else 220), 16, 235).astype(np.uint8)
            for step in range(frames):
                frame = av.VideoFrame(96, 72, "yuv420p")
                top, left = step % 200, 260 - abs(260 - 2 * step % 520)
                view = codes[top : top + 72, left : left + 96]
                for plane, values in zip(frame.planes, (view, 128, 128), strict=True):
                    np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width] = values
                frame.pts, frame.time_base = number, Fraction(1, 25)
                film.mux(stream.encode(frame))
                number += 1
        film.mux(stream.encode(None))
    return path


def album(folder: Path, count: int) -> Path:
    for index in range(count):
        write_grey(folder / f"{index % 3}" / f"{index:03}.png", 12, 16, seed=index)
    return folder


def request(source: Path, output: Path, temporal: str = "6", **more: Any) -> RunRequest:
    recipe = Recipe(Stage("painter"), settings={"temporal": temporal, "preset": "ultrafast"})
    return RunRequest([source], recipe, output, **more)


def results(folder: Path) -> dict[str, object]:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name: content(folder / name) for name in names if "/." not in f"/{name}"}


def whole(folder: Path) -> set[str]:
    """All that is there, for what must not be left behind."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- without Ray ------------------------------------------------------------------------------------------------------


class Inline:
    """A pool whose workers are objects of this process, two at a time. Those in ``deaths`` die, at the start of a task
    or after it, before they can answer.

    Args:
        deaths: Numbers of tasks, counted from 0, and whether their work was done.
    """

    size, cores, where = 2, 1, "this process"

    def __init__(self, setup: Setup, deaths: dict[int, bool] | None = None, crash: str = "") -> None:
        self.setup, self.deaths, self.crash = setup, deaths or {}, crash
        self.worker = Worker(setup)
        self.facts = self.worker.start()
        self.given: list[Task] = []
        self.waiting: list[tuple[Task, Answer | None]] = []

    @property
    def idle(self) -> bool:
        return len(self.waiting) < 2

    @property
    def busy(self) -> int:
        return len(self.waiting)

    def give(self, task: Task) -> None:
        done = self.deaths.get(len(self.given))
        self.given.append(task)
        poison = isinstance(task, Chunk) and any(job.input.name == self.crash for job in task.jobs)
        if done is False or poison:
            self.waiting.append((task, None))
            return
        answer = self.worker.do(task)
        if done:
            self.worker = Worker(self.setup)
            self.worker.start()
        self.waiting.append((task, None if done else answer))

    def wait(self, seconds: float) -> list[tuple[Task, Answer | None]]:
        ended, self.waiting = self.waiting[:1], self.waiting[1:]
        return ended


def drive(asked: RunRequest, painter: Path, deaths: dict[int, bool] | None = None, crash: str = "") -> tuple[Any, Any]:
    host = PluginHost.load([painter])
    jobs, _ = prepare(asked)
    pool = Inline(Setup(asked_of_workers(asked), (painter,), Path.cwd(), 1), deaths, crash)
    return Driver(asked, host, NullListener(), jobs, pool).go(), pool  # type: ignore[arg-type]


def interrupted(asked: RunRequest, painter: Path, end: Callable[[Task, int], bool]) -> None:
    """A driver that ends when it would give a task; ``end`` is told it, and how many it gave before."""

    class Mortal(Inline):
        def give(self, task: Task) -> None:
            if end(task, len(self.given)):
                raise KeyboardInterrupt
            super().give(task)

    jobs, _ = prepare(asked)
    pool = Mortal(Setup(asked_of_workers(asked), (painter,), Path.cwd(), 1))
    with contextlib.suppress(KeyboardInterrupt):
        Driver(asked, PluginHost.load([painter]), NullListener(), jobs, pool).go()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures of two formats and a film, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("made")
    source = album(folder / "in", 30)
    six_shots(source / "reel.mp4")
    write_grey(source / "0" / "000.bmp", 12, 16, seed=77)
    with pytest.MonkeyPatch.context() as patch:
        plain(source, folder / "plain", painter_file(folder, patch))
    return source, folder / "plain"


def asked_of_workers(asked: RunRequest) -> RunRequest:
    """What ``run_on_cluster`` would send."""
    seen: list[RunRequest] = []

    class Seen(Exception):  # noqa: N818 - no error
        pass

    class Watching:
        cores = 1

        def __init__(self, address: str) -> None: ...
        def __enter__(self) -> Watching:
            return self

        def __exit__(self, *_: object) -> None: ...
        def set_up(self, setup: Setup) -> None:
            seen.append(setup.request)
            raise Seen

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Seen):
        patch.setattr(driver_module, "Pool", Watching)
        driver_module.run_on_cluster(
            dataclasses.replace(asked, cluster="auto"), PluginHost.load(), NullListener(), None
        )  # type: ignore[arg-type]
    return seen[0]


def plain(source: Path, output: Path, painter: Path, **more: Any) -> list[Outcome]:
    return run(request(source, output, **more), PluginHost.load([painter]))


@pytest.mark.parametrize("temporal", ["6", "none"])
@pytest.mark.parametrize("shots", [SHOTS, (75,), (5, 5, 5, 5, 5, 5, 5)])
def test_a_film_in_parts_is_the_film_in_one(tmp_path: Path, painter: Path, temporal: str, shots: Sequence[int]) -> None:
    source = six_shots(tmp_path / "in" / "reel.mp4", shots)
    (one,) = plain(source, tmp_path / "plain", painter, temporal=temporal)
    (outcome,), pool = drive(request(source, tmp_path / "out", temporal), painter)
    assert (outcome.status, outcome.frames, outcome.notes) == ("done", sum(shots), one.notes)
    assert (outcome.shots, outcome.key_frames) == ((one.shots, one.key_frames) if temporal == "6" else (0, 0))
    parts = [task for task in pool.given if isinstance(task, MakePart)]
    assert len(parts) >= 2
    assert (tmp_path / "out" / "reel.mp4").read_bytes() == (tmp_path / "plain" / "reel.mp4").read_bytes()
    assert whole(tmp_path / "out") == {NAME, "reel.mp4"}


@pytest.mark.parametrize("temporal", ["6", "none"])
def test_a_film_in_parts_ends_where_its_size_changes(tmp_path: Path, painter: Path, temporal: str) -> None:
    source = tmp_path / "in" / "reel.ts"
    source.parent.mkdir()
    sizes = enumerate(((96, 72), (64, 48)))
    parts = [film(tmp_path / f"{n}.ts", muxer="mpegts", size=size, count=90, audio="mp2") for n, size in sizes]
    joined(source, *parts)
    (one,) = plain(source, tmp_path / "plain", painter, temporal=temporal)
    (outcome,), pool = drive(request(source, tmp_path / "out", temporal), painter)
    assert sum(isinstance(task, MakePart) for task in pool.given) >= 2
    assert (outcome.status, outcome.frames, outcome.notes) == ("done", 90, one.notes), outcome.error
    assert any("the result ends before frame 90" in note for note in outcome.notes)
    assert (tmp_path / "out" / "reel.mp4").read_bytes() == (tmp_path / "plain" / "reel.mp4").read_bytes()
    assert whole(tmp_path / "out") == {NAME, "reel.mp4"}


DREAMER = (
    PAINTER.replace("Painter", "Dreamer")
    .replace('"painter"', '"dreamer"')
    .replace(
        "    def predict(self, batch):",
        """    looks_at = frozenset({"seed"})

    def predict(self, batch):
        drawn = [torch.Generator().manual_seed(one.seed) for one in batch.companions]
        noise = torch.stack([torch.randn(2, 9, 12, generator=one) for one in drawn])
        return Chroma(noise * 20)
        """,
    )
)
"""Colours that are drawn by chance, by the seed that a method is given."""


@pytest.mark.parametrize("temporal", ["6", "none"])
@pytest.mark.parametrize("method", ["dreamer", "vae", "gan"])
def test_chance_is_one_in_all_parts(tmp_path: Path, painter: Path, temporal: str, method: str) -> None:
    """A part that drew other numbers than the part before it would change colour where it begins."""
    painter.write_text(DREAMER)
    source = six_shots(tmp_path / "in" / "reel.mp4", (53, 34))
    drawn = {"sample": 3} if method == "vae" else {}
    recipe = Recipe(Stage(method, drawn), settings={"temporal": temporal, "preset": "ultrafast"}, precision="fp32")
    whole, parted = (RunRequest([source], recipe, tmp_path / name) for name in ("plain", "out"))
    (one,) = run(whole, PluginHost.load([painter]))
    (outcome,), pool = drive(parted, painter)
    assert (one.status, outcome.status) == ("done", "done"), (one.error, outcome.error)
    assert sum(isinstance(task, MakePart) for task in pool.given) >= 2
    assert (tmp_path / "out" / "reel.mp4").read_bytes() == (tmp_path / "plain" / "reel.mp4").read_bytes()


def test_parts_of_another_film_are_kept(tmp_path: Path, painter: Path) -> None:
    first = six_shots(tmp_path / "a" / "reel.mp4")
    second = six_shots(tmp_path / "b" / "reel.mp4", (70, 80))
    interrupted(request(first, tmp_path / "out"), painter, lambda task, given: isinstance(task, JoinFilm))
    there = half_made(working_folder(tmp_path / "out" / "reel.mp4"))
    assert there is not None
    assert there.frames == sum(SHOTS)
    (outcome,), _ = drive(request(second, tmp_path / "out"), painter)
    assert (outcome.status, outcome.output) == ("done", tmp_path / "out" / "reel-2.mp4"), outcome.error
    (outcome,), _ = drive(request(first, tmp_path / "out"), painter)
    assert (outcome.status, outcome.output) == ("done", tmp_path / "out" / "reel.mp4"), outcome.error
    assert whole(tmp_path / "out") == {NAME, "reel.mp4", "reel-2.mp4"}
    plain(first, tmp_path / "plain", painter)
    assert (tmp_path / "out" / "reel.mp4").read_bytes() == (tmp_path / "plain" / "reel.mp4").read_bytes()


def test_parts_are_whole_shots_where_that_can_be(tmp_path: Path, painter: Path) -> None:
    source = six_shots(tmp_path / "in" / "reel.mp4")
    _, pool = drive(request(source, tmp_path / "out"), painter)
    parts = [task.job.part for task in pool.given if isinstance(task, MakePart)]
    assert parts[0].start == 0
    assert [part.stop for part in parts] == [*[part.start for part in parts[1:]], None]
    assert all(0 <= part.start - part.begin <= 20 for part in parts)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(more, marks=pytest.mark.slow) for more in range(2, 8))])
def test_workers_that_die_cost_nothing_but_time(
    tmp_path: Path, painter: Path, made: tuple[Path, Path], seed: int
) -> None:
    source, wanted = made
    chance = random.Random(seed)
    deaths = {number: chance.random() < 0.5 for number in chance.sample(range(14), 7)}
    outcomes, _ = drive(request(source, tmp_path / "out"), painter, deaths)
    assert [outcome.status for outcome in outcomes] == ["done"] * 32
    assert results(tmp_path / "out") == results(wanted)
    assert whole(tmp_path / "out") == whole(wanted)
    done = Counter(line["output"] for line in journal(tmp_path / "out") if line["event"] == "done")
    assert {name for name, count in done.items() if count > 1} == set(), "made twice"


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines() if line]


def test_a_driver_that_dies_is_followed_by_another(tmp_path: Path, painter: Path, made: tuple[Path, Path]) -> None:
    source, wanted = made
    for tasks in (1, 2, 3, 5, 8, 11):
        interrupted(request(source, tmp_path / "out"), painter, lambda task, given, most=tasks: given == most)
    outcomes, _ = drive(request(source, tmp_path / "out"), painter)
    assert {outcome.status for outcome in outcomes} <= {"done", "skipped"}
    assert results(tmp_path / "out") == results(wanted)
    assert whole(tmp_path / "out") == whole(wanted)


def test_a_picture_that_ends_every_worker_fails_alone(tmp_path: Path, painter: Path) -> None:
    source = album(tmp_path / "in", 9)
    outcomes, _ = drive(request(source, tmp_path / "out"), painter, crash="004.png")
    fates = {outcome.input.name: outcome.status for outcome in outcomes}
    assert Counter(fates.values()) == {"done": 8, "failed": 1}
    assert fates["004.png"] == "failed"
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert "10 workers ended while they made it" in str(failed.error)


def test_a_plain_run_takes_up_what_a_cluster_left(tmp_path: Path, painter: Path, made: tuple[Path, Path]) -> None:
    source = Path(shutil.copytree(made[0], tmp_path / "in", ignore=shutil.ignore_patterns("*.png", "*.bmp")))
    interrupted(request(source, tmp_path / "out"), painter, lambda task, given: isinstance(task, JoinFilm))
    assert list(working_folder(tmp_path / "out" / "reel.mp4").glob("part-*.json"))
    assert plain(source, tmp_path / "out", painter)[0].status == "done"
    assert content(tmp_path / "out" / "reel.mp4") == content(made[1] / "reel.mp4")
    assert whole(tmp_path / "out") == {NAME, "reel.mp4"}


def test_a_film_with_hints_or_a_result_is_made_in_one_piece(tmp_path: Path, painter: Path) -> None:
    source = six_shots(tmp_path / "in" / "reel.mp4")
    hints = np.zeros((72, 96, 4), np.uint8)
    hints[30:34, 30:34] = (40, 40, 200, 255)
    assert cv2.imwrite(str(tmp_path / "in" / "reel.000030.hints.png"), hints)
    plain(source, tmp_path / "plain", painter)
    _, pool = drive(request(source, tmp_path / "out"), painter)
    assert [type(task) for task in pool.given] == [PlanFilm, Chunk]
    assert results(tmp_path / "out") == results(tmp_path / "plain")
    (outcome,), pool = drive(request(source, tmp_path / "out"), painter)
    assert (outcome.status, pool.given) == ("skipped", [])


def test_a_plan_that_is_still_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    plan = FilmPlan(Job(Path("a.mp4"), tmp_path / "a.mp4"), file, 1)
    assert plan.look() == []
    known = {"size": 1}
    file.write_text(json.dumps({"source": known, "key": {}, "frames": 60}) + '\n{"start": 0, "begin": 0}\n{"start": 2')
    assert plan.look() == []
    with file.open("a") as more:
        more.write('0, "begin": 20}\n{"start": 41, "begin": 40}\n{"end": 60, "shots": 3, "key_frames": 9}\n')
    plan.look()
    assert plan.complete
    assert plan.parts[-1].stop is None
    assert plan.parts[0] == FilmPart(tmp_path / "a.mp4", 0, 0, plan.parts[0].stop, known)


def test_the_flag_without_ray_is_one_line(
    tmp_path: Path, painter: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    write_grey(tmp_path / "a.png")
    status, _, said = cli("run", tmp_path / "a.png", "-o", tmp_path / "out", "--cluster", "auto")
    assert status == 2
    assert "--cluster needs Ray" in said
    assert "pip install 'colorpipe[ray]'" in said
