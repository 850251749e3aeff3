"""Steady colour: shots, key frames and carried chroma, on pictures that move in a way that is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest

from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import OptionError
from colorpipe.media.video.source import open_video
from colorpipe.settings import KEY_DISTANCE, MediaOptions, MergeOptions
from colorpipe.temporal import ChromaPropagator, Planner, Step, small_luma
from colorpipe.temporal.fill import fill
from colorpipe.temporal.keyframes import FLASH
from colorpipe.temporal.optical_flow import FlowFinder, Small, warp
from colorpipe.temporal.spans import SpanPlanner, SpanStep
from colorpipe.types import Batch, Chroma, Outcome, Recipe, Stage
from colorpipe.verification import verify
from tests.helpers import Painter, host_with, write_grey

SAMPLES = Path(__file__).parent.parent / "samples"
HEIGHT, WIDTH = 120, 160


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a run."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def texture(name: str = "migrant-mother-1936.jpg", size: tuple[int, int] = (400, 480)) -> np.ndarray:
    picture = cv2.imread(str(SAMPLES / name), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))


def window(picture: np.ndarray, y: float, x: float) -> np.ndarray:
    """The part of a picture that a camera sees from ``y``, ``x``."""
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def pan(picture: np.ndarray, frames: int, dy: float = 1.5, dx: float = -2.25) -> list[np.ndarray]:
    return [window(picture, 60 + dy * n, 160 + dx * n) for n in range(frames)]


def painting(picture: np.ndarray) -> np.ndarray:
    """Chroma that belongs to the places of a picture, (H, W, 2)."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    return np.dstack([30 * np.sin(rows / 25), 30 * np.cos(columns / 30)]).astype(np.float32)


def plan(frames: Sequence[Small], distance: int = KEY_DISTANCE) -> list[Step]:
    planner = Planner(distance)
    return [step for frame in frames for step in planner.push(frame)] + planner.finish()


def carry(steps: Sequence[Step], predicted: Sequence[np.ndarray]) -> list[np.ndarray]:
    carrier = ChromaPropagator()
    pairs = zip(steps, predicted, strict=True)
    return [ab for step, chroma in pairs for ab in carrier.push(step, chroma if step.key else None)] + carrier.finish()


def firsts(steps: Sequence[Step]) -> list[int]:
    return [number for number, step in enumerate(steps) if step.first]


def keys(steps: Sequence[Step]) -> list[int]:
    return [number for number, step in enumerate(steps) if step.key]


def flat(a: float, b: float) -> np.ndarray:
    return np.full((4, 4, 2), (a, b), np.float32)


@pytest.fixture(scope="module")
def old_film() -> list[Small]:
    with open_video(SAMPLES / "chaplin.mp4", MediaOptions()) as film:
        return [small_luma(frame.luma, frame.encoding.bits) for frame, _ in zip(film, range(96), strict=False)]


@pytest.fixture(scope="module")
def old_steps(old_film: list[Small]) -> list[Step]:
    return plan(old_film)


def flicker(lumas: Sequence[Small], chroma: Sequence[np.ndarray]) -> float:
    """Mean change of the chroma along the flow, where it leads back, CIE units."""
    finder, changes = FlowFinder(), []
    for n in range(1, len(lumas)):
        motion = finder.between(lumas[n - 1], lumas[n])
        sure = motion.back_trust > 0.5
        changes.append(np.abs(warp(chroma[n - 1], motion.back) - chroma[n])[sure].mean())
    return float(np.mean(changes))


# --- shots ------------------------------------------------------------------------------------------------------------


def test_colour_does_not_cross_a_cut() -> None:
    frames = pan(texture(), 11) + pan(texture("cameraman.png"), 13, dy=-1)
    steps = plan(frames)
    assert firsts(steps) == [0, 11]
    chroma = carry(steps, [flat(40, 10)] * 11 + [flat(-30, -20)] * 13)
    assert all(np.allclose(ab, (40, 10), atol=1e-4) for ab in chroma[:11])
    assert all(np.allclose(ab, (-30, -20), atol=1e-4) for ab in chroma[11:])


def test_a_fast_camera_makes_no_shots() -> None:
    assert firsts(plan(pan(texture(), 12, dy=2, dx=-12))) == [0]


@pytest.mark.parametrize("length", [1, FLASH])
@pytest.mark.parametrize("light", ["bright", "white", "black"])
def test_flashes_are_looked_past(length: int, light: str) -> None:
    frames = pan(texture(), 20, dy=0.5, dx=-1)
    for n in range(9, 9 + length):
        frames[n] = np.asarray(
            cv2.convertScaleAbs(
                frames[n],
                alpha={"bright": 1, "white": 0, "black": 0}[light],
                beta={"bright": 110, "white": 250, "black": 4}[light],
            )
        )
    steps = plan(frames)
    assert firsts(steps) == [0]
    assert keys(steps) == [0, 19]  # the last frame sees what has come in
    true = pan(painting(texture()), 20, dy=0.5, dx=-1)
    chroma = carry(steps, true)
    for n, ab in enumerate(chroma):
        if not 9 <= n < 9 + length:
            assert np.abs(ab - true[n]).mean() < 1, n


def test_a_shot_of_two_frames_is_no_flash() -> None:
    frames = pan(texture(), 20)
    frames[9:11] = pan(texture("cameraman.png"), 2)
    assert firsts(plan(frames)) == [0, 9, 11]


def test_a_light_that_is_switched_on_begins_no_shot() -> None:
    frames = [
        np.asarray(cv2.convertScaleAbs(frame, alpha=0.3 if n < 9 else 1)) for n, frame in enumerate(pan(texture(), 18))
    ]
    assert firsts(plan(frames)) == [0]


def test_fades_make_no_shots_and_are_followed() -> None:
    moving = pan(texture(), 40, dy=0.5, dx=-1)
    levels = np.interp(range(40), [0, 12, 28, 39], [0.25, 1, 1, 0.25])
    frames = [np.asarray(cv2.convertScaleAbs(frame, alpha=level)) for frame, level in zip(moving, levels, strict=True)]
    steps = plan(frames)
    assert firsts(steps) == [0]
    assert min(float(step.path.trust.mean()) for step in steps) > 0.6


# --- key frames -------------------------------------------------------------------------------------------------------


def test_at_most_every_eighth_frame_of_an_old_film_is_a_key_frame(old_steps: list[Step]) -> None:
    assert firsts(old_steps) == [0]
    assert 1 <= len(keys(old_steps)) <= len(old_steps) / 8


@pytest.mark.parametrize("distance", [1, 5, 24])
def test_key_frames_are_no_further_apart_than_asked(distance: int) -> None:
    steps = plan([texture()[:HEIGHT, :WIDTH]] * 60, distance)
    assert keys(steps) == list(range(0, 60, distance))


def test_a_thing_that_comes_in_gets_the_network_s_colour() -> None:
    back, thing = texture(), texture("cameraman.png", (HEIGHT, 100))
    frames, true = [], []
    for n in range(33):
        picture, paint = back[:HEIGHT, :WIDTH].copy(), np.tile(np.float32([20, 0]), (HEIGHT, WIDTH, 1))
        inside = min(5 * n, 100)
        if inside:
            picture[:, :inside], paint[:, :inside] = thing[:, 100 - inside :], (-20, -25)
        frames.append(picture)
        true.append(paint)
    steps = plan(frames)
    assert firsts(steps) == [0]
    for n, (ab, paint) in enumerate(zip(carry(steps, true), true, strict=True)):
        edge = min(5 * n, 100)
        assert np.abs(ab - paint)[:, edge + 12 :].mean() < 2, n
        if edge > 24:
            assert np.abs(ab - paint)[:, : edge - 12].mean() < 3, n


# --- carried chroma ---------------------------------------------------------------------------------------------------


def test_chroma_moves_with_what_it_colours() -> None:
    picture = texture()
    paint = painting(picture)
    steps = plan(pan(picture, 30))
    assert len(keys(steps)) <= 4
    for n, (ab, true) in enumerate(zip(carry(steps, pan(paint, 30)), pan(paint, 30), strict=True)):
        assert np.abs(ab - true).mean() < 0.8, n


@pytest.mark.parametrize("fall", [0, 20, 60])
def test_a_clear_sky_is_trusted_though_nothing_in_it_can_be_followed(fall: int) -> None:
    """A thing in front of a sky with grain, where the flow is noise that leads nowhere."""
    chance, thing = np.random.default_rng(5), texture(size=(30, 60))
    film = []
    for n in range(40):
        sky = 150 + np.linspace(0, fall, 144)[:, None] + chance.normal(0, 2, (144, 256))
        sky[40:70, 20 + 2 * n : 80 + 2 * n] = thing
        film.append(np.clip(sky, 0, 255).astype(np.uint8))
    steps = plan(film)
    assert len(keys(steps)) <= 6
    assert np.mean([step.motion.back_trust.mean() for step in steps]) > 0.8


def test_a_still_scene_has_constant_chroma() -> None:
    chroma = carry(plan([texture()[:HEIGHT, :WIDTH]] * 60), [painting(texture())[:HEIGHT, :WIDTH]] * 60)
    assert all((ab == chroma[0]).all() for ab in chroma)


def test_key_frames_of_a_shot_agree_and_the_network_has_its_way_slowly() -> None:
    still = [texture()[:60, :80]] * 24 * 16
    chroma = carry(plan(still), [flat(20, 0)] * 24 * 4 + [flat(0, 20)] * 24 * 12)
    way = np.array([ab[30, 40, 1] for ab in chroma])
    assert (way[: 24 * 3] == 0).all()
    assert np.abs(np.diff(way)).max() < 0.9  # of 28 at once
    assert np.diff(way).min() > -1e-4
    assert 10 < way[24 * 5] < 15  # the second key frame that says so
    assert way[-1] > 19


def test_a_flickering_colorizer_becomes_steady(old_film: list[Small], old_steps: list[Step]) -> None:
    chance = np.random.default_rng(3)
    size = old_film[0].shape
    paint = np.asarray(cv2.resize(painting(texture()), size[::-1]))
    predicted = [paint + chance.normal(0, 6, (1, 1, 2)).astype(np.float32) for _ in old_film]
    chroma = carry(old_steps, predicted)
    assert flicker(old_film, chroma) < flicker(old_film, predicted) / 10


def test_who_goes_on_at_a_key_frame_makes_the_same(old_film: list[Small], old_steps: list[Step]) -> None:
    chance = np.random.default_rng(4)
    predicted = [chance.normal(0, 20, (8, 8, 2)).astype(np.float32) for _ in old_film]
    steps = old_steps
    whole = carry(steps, predicted)
    start = keys(steps)[2]
    carrier = ChromaPropagator()
    for step, chroma in zip(steps[: start + 1], predicted, strict=False):
        carrier.push(step, chroma)
    rest, again = plan(old_film[start:]), ChromaPropagator(carrier.chroma)
    assert [start + number for number in keys(rest)] == keys(steps)[2:]
    made = [ab for step, chroma in zip(rest, predicted[start:], strict=True) for ab in again.push(step, chroma)]
    assert all((a == b).all() for a, b in zip(made + again.finish(), whole[start:], strict=True))


def test_memory_is_bounded_by_the_distance(old_film: list[Small]) -> None:
    planner, carrier = Planner(12), ChromaPropagator()
    back = 0
    for given, luma in enumerate(old_film, 1):
        for step in planner.push(luma):
            back += len(carrier.push(step, flat(1, 1) if step.key else None))
        assert given - back <= 12 + FLASH + 2


# --- small things -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (500, 2), (17, 33), (1080, 1920)])
@pytest.mark.parametrize("bits", [8, 10])
def test_frames_of_any_size(size: tuple[int, int], bits: int) -> None:
    chance = np.random.default_rng(5)
    dtype = np.uint8 if bits == 8 else np.uint16
    frames = [small_luma(chance.integers(0, 1 << bits, size).astype(dtype), bits) for _ in range(6)]
    assert frames[0].dtype == np.uint8
    assert max(frames[0].shape) <= 320
    chroma = carry(plan(frames), [flat(n, -n) for n in range(6)])
    assert [ab.shape for ab in chroma] == [(*frames[0].shape, 2)] * 6
    assert np.isfinite(chroma).all()


def test_ten_bits_are_shrunk_as_eight_are() -> None:
    luma = texture()
    assert np.abs(small_luma(luma.astype(np.uint16) << 2, 10).astype(int) - small_luma(luma, 8)).max() <= 1


def test_what_is_unknown_is_filled_from_around_it() -> None:
    values = np.dstack([np.where(np.arange(40)[None] < 20, 10, -10) * np.ones((30, 1)), np.full((30, 40), 3.0)])
    weight = np.ones((30, 40), np.float32)
    weight[10:20, 4:14] = 0
    weight[10:20, 26:36] = 0
    spoiled = np.where(weight[..., None] > 0, values, 99).astype(np.float32)
    assert np.abs(fill(spoiled, weight) - values).max() < 1
    assert (fill(spoiled, np.zeros_like(weight)) == 0).all()
    assert fill(spoiled, np.ones_like(weight)) is spoiled


# --- a run ------------------------------------------------------------------------------------------------------------


class Moody(Painter):
    """Another hue for each picture that it is shown."""

    name = "moody"
    shown: ClassVar[list[int]] = []

    def predict(self, batch: Batch) -> Chroma:
        import torch

        type(self).shown.append(len(batch))
        angle = 2.4 * len(self.shown)
        hue = torch.tensor([np.cos(angle), np.sin(angle)]).view(1, 2, 1, 1) * 25
        return Chroma(hue.expand(len(batch), 2, 8, 8).float())


def colorized(source: Path, output: Path, batch: int = 1, **settings: object) -> tuple[Outcome, list[np.ndarray]]:
    """What a run tells, and the U planes that it wrote."""
    Moody.shown.clear()
    recipe = Recipe(Stage("moody"), settings={"codec": "ffv1", **settings})
    (outcome,) = run(RunRequest([source], recipe, output, batch=batch), host_with(Moody))
    assert outcome.status == "done", outcome.error
    assert outcome.output is not None
    assert verify(source, outcome.output).equal
    with open_video(outcome.output, MediaOptions()) as film:
        return outcome, [frame.colour[0] for frame in film if frame.colour is not None]


def panning_film(path: Path, frames: int, ticks: Callable[[int], int] = lambda number: 40 * number) -> Path:
    """The camera goes to and fro; frames at ``ticks`` of their number, milliseconds."""
    picture = texture()
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=25, width=WIDTH, height=HEIGHT, time_base=Fraction(1, 1000))
        stream.pix_fmt = "gray"
        for number in range(frames):
            way = 60 - abs(60 - number % 120)
            frame = av.VideoFrame.from_ndarray(window(picture, 60 + 0.5 * way, 160 - way), "gray")
            frame.pts, frame.time_base = ticks(number), Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def test_a_run_shows_the_network_key_frames_only_and_the_film_is_steady(tmp_path: Path) -> None:
    source = panning_film(tmp_path / "pan.mkv", 40)
    steady, carried = colorized(source, tmp_path / "steady", batch=4)  # each on its own: they come far apart
    assert (steady.frames, steady.shots, steady.key_frames) == (40, 1, sum(Moody.shown))
    assert steady.key_frames <= 40 / 8
    assert {"motion", "carry"} <= steady.seconds.keys()
    each, alone = colorized(source, tmp_path / "alone", temporal="none")
    assert (each.frames, each.key_frames, sum(Moody.shown)) == (40, 0, 40)
    changes = [np.abs(np.diff(np.stack(planes).astype(float), axis=0)).mean() for planes in (carried, alone)]
    assert changes[0] < changes[1] / 5
    nearer, _ = colorized(source, tmp_path / "nearer", temporal="4")
    assert nearer.key_frames >= 10


class Thoughtful(Painter):
    """Waits with its third picture until eight more frames are read: more than the queue to the network holds."""

    name = "thoughtful"
    shown: ClassVar[list[int]] = []
    read: ClassVar[threading.Semaphore] = threading.Semaphore(0)
    went_on: ClassVar[list[bool]] = []

    def predict(self, batch: Batch) -> Chroma:
        type(self).shown.append(len(batch))
        if len(self.shown) == 3:
            while self.read.acquire(blocking=False):
                pass
            self.went_on.extend(self.read.acquire(timeout=10) for _ in range(8))
        return super().predict(batch)


def test_frames_are_read_while_the_network_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push = SpanPlanner.push

    def counted(strands: SpanPlanner, luma: Small, index: int) -> list[list[SpanStep]]:
        Thoughtful.read.release()
        return push(strands, luma, index)

    monkeypatch.setattr(SpanPlanner, "push", counted)
    source = panning_film(tmp_path / "pan.mkv", 80)
    recipe = Recipe(Stage("thoughtful"), settings={"codec": "ffv1", "temporal": "16"})
    (outcome,) = run(RunRequest([source], recipe, tmp_path / "out"), host_with(Thoughtful))
    assert (outcome.status, outcome.frames) == ("done", 80)
    assert Thoughtful.went_on == [True] * 8


def test_timestamps_of_many_hours_are_exact(tmp_path: Path) -> None:
    """A frame every six minutes and a bit, as a camera that waits for something takes them."""
    source = panning_film(tmp_path / "sparse.mkv", 30, lambda number: 360_000 * number + 7 * number**2)
    outcome, _ = colorized(source, tmp_path / "out")
    assert outcome.output is not None
    with av.open(str(outcome.output)) as film:
        times = [packet.pts * packet.time_base for packet in film.demux(video=0) if packet.pts is not None]
    assert times == [Fraction(360_000 * number + 7 * number**2, 1000) for number in range(30)]


def test_photographs_know_nothing_of_it(tmp_path: Path) -> None:
    write_grey(tmp_path / "photo.png")
    for temporal in ("auto", "none"):
        recipe = Recipe(Stage("painter"), settings={"temporal": temporal})
        (outcome,) = run(RunRequest([tmp_path / "photo.png"], recipe, tmp_path / temporal), host_with(Painter))
        assert (outcome.status, outcome.key_frames) == ("done", 0)
    made = [(tmp_path / temporal / "photo.png") for temporal in ("auto", "none")]
    assert (cv2.imread(str(made[0])) == cv2.imread(str(made[1]))).all()


@pytest.mark.parametrize("value", ["0", "251", "-3", "often", "1.5", ""])
def test_a_distance_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(OptionError, match="auto, none or a whole number"):
        MergeOptions(temporal=value)
    assert MergeOptions(temporal="none").key_distance is None
    assert MergeOptions(temporal="12").key_distance == 12
