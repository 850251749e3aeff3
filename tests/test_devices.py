"""Several devices in one run: the results, the order and the failures of one. Here they are the CPU, named twice."""

from __future__ import annotations

import gc
import itertools
import json
import threading
import time
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest
import torch

from colorpipe.batch.request import Listener, NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import DeviceError, UsageError
from colorpipe.inference.runtime import choose_devices
from colorpipe.media.inputs import Job
from colorpipe.media.video import segments
from colorpipe.media.video.source import open_video
from colorpipe.pipeline.session import Session
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.settings import MediaOptions
from colorpipe.types import Batch, Chroma, InputSize, Lab, Outcome, Recipe, Stage
from tests.conftest import Cli
from tests.helpers import Learner, Painter, host_with, write_grey

SAMPLES = Path(__file__).parent.parent / "samples"
SHOTS = ("migrant-mother-1936.jpg", "cameraman.png", "einstein-1947.jpg", "migrant-mother-1936.jpg")
LENGTH = 7
"""Frames of each shot."""
TWO_GPUS = (
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
)


class Convolved(Painter):
    """Has a network."""

    name = "convolved"
    input_size = InputSize(side=32)

    def build(self, weights: Path | None) -> torch.nn.Module:
        torch.manual_seed(3)
        layers = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(8, 2, 3, padding=1)
        return torch.nn.Sequential(*layers)

    def predict(self, batch: Batch) -> Chroma:
        assert self.network is not None
        return Chroma(60 * self.network(batch.L / 50 - 1))


class Together(Convolved):
    """The first two calls wait for each other; the object that was made first is the slower one."""

    both: ClassVar[threading.Barrier]
    calls: ClassVar[itertools.count[int]]
    callers: ClassVar[list[Together]]

    @classmethod
    def expect(cls) -> type[Together]:
        cls.both, cls.calls, cls.callers = threading.Barrier(2), itertools.count(), []
        return cls

    def predict(self, batch: Batch) -> Chroma:
        self.callers.append(self)
        if next(self.calls) < 2:
            self.both.wait(20)
        if self is self.callers[0]:
            time.sleep(0.03)
        return super().predict(batch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(9):
        write_grey(tmp_path / "in" / f"{index}.png", 20 + 9 * index, 90 - 7 * index, seed=index)
    return tmp_path / "in"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shots of a moving camera."""
    path = tmp_path_factory.mktemp("films") / "film.mkv"
    with av.open(str(path), "w") as made:
        stream = made.add_stream("ffv1", rate=25, width=96, height=64)
        stream.pix_fmt = "yuv444p"
        for name in SHOTS:
            picture = cv2.resize(cv2.imread(str(SAMPLES / name), cv2.IMREAD_GRAYSCALE), (128, 96))
            for shift in range(LENGTH):
                luma = np.ascontiguousarray(picture[16:80, 2 * shift : 2 * shift + 96])
                made.mux(stream.encode(av.VideoFrame.from_ndarray(luma, "gray").reformat(format="yuv444p")))
        made.mux(stream.encode(None))
    return path


def colorize(
    source: Path,
    output: Path,
    colorizer: type[Colorizer],
    device: str,
    temporal: str = "3",
    listener: Listener | None = None,
    **request: object,
) -> list[Outcome]:
    settings = {"codec": "ffv1", "temporal": temporal}
    recipe = Recipe(Stage(colorizer.name), settings=settings, device=device, precision="fp32")
    asked = RunRequest([source], recipe, output, **{"batch": 2, **request})  # type: ignore[arg-type]
    return run(asked, host_with(colorizer), listener)


def frames_of(path: Path) -> np.ndarray:
    """(frames, 3, H, W) of a film."""
    with open_video(path, MediaOptions()) as made:
        return np.stack([np.stack([frame.luma, *(frame.colour or ())]) for frame in made])


def pixels(outcomes: list[Outcome]) -> dict[str, np.ndarray]:
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    paths = [outcome.output for outcome in outcomes if outcome.output is not None]
    return {path.name: frames_of(path) if path.suffix == ".mkv" else cv2.imread(str(path)) for path in paths}


def check_that_two_are_as_one(source: Path, output: Path, devices: str, temporal: str = "3") -> list[Outcome]:
    """And that both work at once."""
    one = pixels(colorize(source, output / "one", Convolved, devices.split(",", maxsplit=1)[0], temporal))
    outcomes = colorize(source, output / "two", Together.expect(), devices, temporal)
    two = pixels(outcomes)
    assert len({id(caller) for caller in Together.callers}) == 2
    assert list(one) == list(two)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert {outcome.device for outcome in outcomes} == {devices}
    return outcomes


BOTH = ["cpu,cpu", pytest.param("cuda:0,cuda:1", marks=TWO_GPUS)]


@pytest.mark.parametrize("devices", BOTH)
def test_photos_are_as_with_one_device_and_in_order(folder: Path, tmp_path: Path, devices: str) -> None:
    outcomes = check_that_two_are_as_one(folder, tmp_path, devices)
    assert [outcome.input.name for outcome in outcomes] == [f"{index}.png" for index in range(9)]


@pytest.mark.parametrize("devices", BOTH)
@pytest.mark.parametrize("temporal", ["3", "none"])
def test_a_film_of_several_shots_is_as_with_one_device(film: Path, tmp_path: Path, devices: str, temporal: str) -> None:
    (outcome,) = check_that_two_are_as_one(film, tmp_path, devices, temporal)
    assert outcome.frames == len(SHOTS) * LENGTH
    assert outcome.shots == (len(SHOTS) if temporal == "3" else 0)
    assert outcome.seconds["predict"] > 0


class Faulty(Together):
    """The object that is called first has a bug."""

    def predict(self, batch: Batch) -> Chroma:
        chroma = super().predict(batch)  # waits until the other one is called, too
        if self is self.callers[0]:
            raise ZeroDivisionError("a bug")
        return chroma


def test_an_error_on_one_device_fails_only_what_it_was_given(folder: Path, tmp_path: Path) -> None:
    outcomes = colorize(folder, tmp_path / "out", Faulty.expect(), "cpu,cpu", batch=1)
    failed = [outcome for outcome in outcomes if outcome.error]
    assert len(outcomes) == 9
    assert 0 < len(failed) < 9
    assert all("failed in predict: ZeroDivisionError: a bug (" in outcome.error for outcome in failed if outcome.error)
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        outcome.input.name for outcome in outcomes if outcome.error is None
    }


class Greedy(Together):
    """No picture has room on the device that is called first."""

    def predict(self, batch: Batch) -> Chroma:
        chroma = super().predict(batch)
        if self is self.callers[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return chroma


def test_a_device_without_memory_is_named(folder: Path, tmp_path: Path) -> None:
    outcomes = colorize(folder, tmp_path / "out", Greedy.expect(), "cpu,cpu", batch=1)
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert 0 < len(errors) < 9
    assert all("cpu has not enough memory for one 32x32 view" in error for error in errors)


def test_memory_does_not_grow_while_one_device_is_slow(tmp_path: Path) -> None:
    """The results of the others wait for it, and the readers for them."""
    for index in range(40):
        write_grey(tmp_path / "in" / f"{index:02}.png", 16, 16, seed=index)
    read: list[Job] = []
    seen: list[int] = []

    class Stuck(Painter):
        def predict(self, batch: Batch) -> Chroma:
            if not seen:
                seen.append(0)
                time.sleep(0.7)
                seen[0] = len(read)
            return super().predict(batch)

    class Reading(NullListener):
        def job_started(self, job: Job, frames: int | None) -> None:
            read.append(job)

    recipe = Recipe(Stage("painter"), device="cpu,cpu")
    asked = RunRequest([tmp_path / "in"], recipe, tmp_path / "out", batch=1, jobs=2)
    outcomes = run(asked, host_with(Stuck), Reading())
    assert [outcome.error for outcome in outcomes] == [None] * 40
    assert seen[0] <= 9  # four in the queue, two readers' own, three calls


class SlowLearner(Learner):
    """So slow that both devices get work."""

    def predict(self, batch: Batch) -> Chroma:
        time.sleep(0.02)
        return super().predict(batch)


def test_every_device_learns_and_what_a_shot_was_led_by_is_freed(film: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "film.mkv"
    source.write_bytes(film.read_bytes())
    for name, bgr in (("blue.png", (230, 60, 30)), ("in/film.010.reference.png", (30, 30, 230))):
        assert cv2.imwrite(str(tmp_path / name), np.full((24, 40, 3), bgr, np.uint8))
    blue = tmp_path / "blue.png"
    one = pixels(colorize(source, tmp_path / "one", SlowLearner, "cpu", "1", reference=blue))
    Learner.made.clear()
    two = pixels(colorize(source, tmp_path / "two", SlowLearner, "cpu,cpu", "1", reference=blue))
    assert np.array_equal(one["film.mkv"], two["film.mkv"])
    redness = two["film.mkv"][:, 2].mean((1, 2))
    assert redness[10:14].min() > 128 + 30 > 128 + 10 > max(redness[:10].max(), redness[14:].max())
    assert len(Learner.made) == 2 + 2  # the run's, and the shot's
    gc.collect()
    assert not any(learner() for learner in Learner.made)


def test_a_session_learns_on_every_device_and_its_digest_knows_none() -> None:
    host = host_with(Learner)
    blue, red = (np.full((4, 4, 2), ab, np.float32) for ab in ((10, -60), (60, 40)))
    L = np.full((4, 4), 50, np.float32)
    two = Session("learner", host=host, device="cpu,cpu", reference=Lab(L, blue))
    assert two.recipe.device == "cpu,cpu"
    assert two.digest == Session("learner", host=host, device="cpu", reference=Lab(L, blue)).digest
    two.learn(Lab(L, red))
    for runtime in two.runtimes:
        assert np.allclose(runtime.predict(L[None, None])[0], (60, 40))
    assert Recipe.from_json(two.recipe.to_json()) == two.recipe


def test_what_one_device_made_is_not_made_again_with_two(folder: Path, tmp_path: Path) -> None:
    colorize(folder, tmp_path / "out", Convolved, "cpu")
    again = colorize(folder, tmp_path / "out", Convolved, "cpu,cpu")
    assert {outcome.status for outcome in again} == {"skipped"}


class Interrupted(NullListener):
    """Ends a run after so many frames."""

    left = 17

    def frame_done(self, job: Job) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_what_two_devices_began_one_finishes(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES", 6)
    with pytest.raises(KeyboardInterrupt):
        colorize(film, tmp_path / "out", Convolved, "cpu,cpu", listener=Interrupted())
    (outcome,) = colorize(film, tmp_path / "out", Convolved, "cpu")
    assert outcome.notes[0].startswith("an earlier run had made")
    whole = pixels(colorize(film, tmp_path / "whole", Convolved, "cpu"))
    assert np.array_equal(pixels([outcome])["film.mkv"], whole["film.mkv"])


def test_the_command_line_names_them(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.png")
    words = ("run", "a.png", "--plugin", tint, "--colorizer", "tint", "--json", "-", "--device")
    status, out, told = cli(*words, "cpu, cpu")
    assert status == 0
    assert json.loads(out)["device"] == "cpu,cpu"
    assert "device cpu, cpu, precision" in told
    for bad, line in (
        ("cpu,", "--device cpu,: a name is missing beside a comma"),
        ("cpu,gpu", "there is no device 'gpu'"),
        ("cuda:99", "--device cuda:99: "),
        ("cpu,cuda:99", "--device cuda:99: "),
    ):
        status, out, told = cli(*words, bad)
        assert (status, out) == (2, "")
        assert told.startswith(f"colorpipe: {line}")


def test_devices_of_two_kinds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(device) for device in choose_devices("cuda:0, cuda:1")] == ["cuda:0", "cuda:1"]
    assert [str(device) for device in choose_devices("cuda")] == ["cuda"]  # one, however many there are
    with pytest.raises(UsageError, match="cpu,cuda:1: these are of several kinds"):
        choose_devices("cpu,cuda:1")
    with pytest.raises(DeviceError, match="cuda:2: this machine has 2"):
        choose_devices("cuda:0,cuda:2")
