"""Hint and reference files of films: colour that follows what it was painted on, from its frame to its shot's end."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import UsageError
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.guidance.strokes import Stroke, StrokeFile, write_strokes
from colorpipe.media.inputs import Job, find_inputs
from colorpipe.media.video import segments
from colorpipe.media.video.source import open_video
from colorpipe.pipeline.session import Session
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.settings import MediaOptions
from colorpipe.temporal import (
    ChromaPropagator,
    HintTracker,
    Planner,
    SpanMerger,
    SpanPlanner,
    SpanStep,
    hint_tracker,
    small_luma,
    unpacked,
)
from colorpipe.types import Batch, Chroma, InputSize, Outcome, Recipe, Stage
from tests.helpers import Learner, Painter, host_with, write_grey

SAMPLES = Path(__file__).parent.parent / "samples"
HEIGHT, WIDTH, FRAMES, CUT = 96, 160, 26, 20
SIDE, SPEED = 36, 3
"""Of the thing that moves over the background, and pixels that it moves a frame."""
Colour = tuple[int, int, int]
RED, BLUE = (230, 30, 30), (30, 60, 230)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a run."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def texture(name: str, size: tuple[int, int]) -> np.ndarray:
    picture = cv2.imread(str(SAMPLES / name), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))


def middle(number: int) -> tuple[int, int]:
    """Row and column of the thing's middle."""
    return 48, 24 + SPEED * number


def lumas() -> list[np.ndarray]:
    """A thing that moves over a background, then a cut."""
    back, thing = texture("migrant-mother-1936.jpg", (HEIGHT, WIDTH)), texture("cameraman.png", (SIDE, SIDE))
    frames = []
    for number in range(CUT):
        frame, (row, column) = back.copy(), middle(number)
        left = column - SIDE // 2
        frame[row - SIDE // 2 : row + SIDE // 2, left : left + SIDE] = thing
        frames.append(frame)
    other = texture("einstein-1947.jpg", (HEIGHT, WIDTH + FRAMES))
    return frames + [other[:, n : n + WIDTH] for n in range(FRAMES - CUT)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "film.mkv"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=25, width=WIDTH, height=HEIGHT)
        stream.pix_fmt = "yuv444p"
        for luma in lumas():
            film.mux(stream.encode(av.VideoFrame.from_ndarray(luma, "gray").reformat(format="yuv444p")))
        film.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def plain(clip: Path) -> np.ndarray:
    """What becomes of it without hints."""
    return frames_of(colorize(clip, clip.parent / "plain"))


@pytest.fixture(scope="module")
def painted(clip: Path) -> np.ndarray:
    """The same, by the method that takes no hints."""
    return frames_of(colorize(clip, clip.parent / "painted", Painter))


@pytest.fixture
def film(clip: Path, tmp_path: Path) -> Path:
    """In a folder of its own."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(clip, tmp_path / "in" / "film.mkv"))


def paint(path: Path, place: tuple[int, int], rgb: Colour, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A hint file with a spot of one colour."""
    picture = np.zeros((*size, 4), np.uint8)
    row, column = place
    picture[row - 4 : row + 5, column - 4 : column + 5] = (*rgb[::-1], 255)
    assert cv2.imwrite(str(path), picture)
    return path


class Spreader(Painter):
    """Lightness gives a colour; near hints it is theirs."""

    name = "spreader"
    takes_hints = True
    input_size = InputSize(side=None)

    def predict(self, batch: Batch) -> Chroma:
        plain = super().predict(batch).ab
        if batch.hints is None:
            return Chroma(plain)
        made = []
        for hints, ab in zip(batch.hints.numpy(), plain.numpy(), strict=True):
            near = cv2.GaussianBlur(np.dstack([hints[0] * hints[2], hints[1] * hints[2], hints[2]]), (0, 0), 9)
            share = np.clip(near[..., 2:] * 10, 0, 1)
            led = near[..., :2] / np.maximum(near[..., 2:], 1e-6)
            made.append((share * led + (1 - share) * ab.transpose(1, 2, 0)).transpose(2, 0, 1))
        return Chroma(torch.from_numpy(np.stack(made)).float())


class Stopper(NullListener):
    """Ends a run after so many frames."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    def frame_done(self, job: Job) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def colorize(
    film: Path,
    output: Path,
    colorizer: type[Colorizer] = Spreader,
    temporal: str = "6",
    stop_after: int = 0,
    **request: object,
) -> Outcome:
    recipe = Recipe(Stage(colorizer.name), settings={"codec": "ffv1", "temporal": temporal}, precision="fp32")
    asked = RunRequest([film], recipe, output, batch=1, **request)  # type: ignore[arg-type]
    (outcome,) = run(asked, host_with(colorizer), Stopper(stop_after))
    return outcome


def stopped(film: Path, output: Path, colorizer: type[Colorizer], frames: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        colorize(film, output, colorizer, stop_after=frames)


def frames_of(outcome: Outcome) -> np.ndarray:
    """(frames, 2, H, W), U and V."""
    assert outcome.error is None
    assert outcome.output is not None
    with open_video(outcome.output, MediaOptions()) as made:
        return np.stack([np.stack(frame.colour) for frame in made if frame.colour is not None])


def redness(planes: np.ndarray, place: tuple[int, int]) -> float:
    """V of a film's frame around a place, above grey."""
    row, column = place
    return float(planes[1, row - 3 : row + 4, column - 3 : column + 4].mean()) - 128


def changed(a: np.ndarray, b: np.ndarray) -> list[int]:
    return [number for number, (one, other) in enumerate(zip(a, b, strict=True)) if (one != other).any()]


# --- hints ------------------------------------------------------------------------------------------------------------


def test_a_painted_colour_follows_its_thing_to_the_cut_and_nothing_before_it_changes(
    film: Path, tmp_path: Path, plain: np.ndarray
) -> None:
    paint(film.with_name("film.0009.hints.png"), middle(9), RED)
    outcome = colorize(film, tmp_path / "led")
    led = frames_of(outcome)
    assert outcome.shots == 2
    assert not outcome.notes
    assert changed(plain, led) == list(range(9, CUT))
    for number in range(9, CUT):
        assert redness(led[number], middle(number)) > 35, number
        assert redness(led[number], middle(number)) > redness(plain[number], middle(number)) + 30, number
    # where it was at first lies the background by now
    assert abs(redness(led[CUT - 1], middle(7)) - redness(plain[CUT - 1], middle(7))) < 12


def test_a_film_s_own_hints_and_those_that_are_named_are_for_its_first_frame(film: Path, tmp_path: Path) -> None:
    beside = paint(film.with_name("film.hints.png"), middle(0), RED)
    made = frames_of(colorize(film, tmp_path / "beside"))
    assert min(redness(made[number], middle(number)) for number in range(CUT)) > 35
    moved = beside.rename(tmp_path / "painted.png")
    paint(film.with_name("film.0.hints.png"), middle(0), BLUE)
    assert (frames_of(colorize(film, tmp_path / "named", hints=moved)) == made).all()


def test_a_second_file_adds_to_the_first_and_replaces_it_where_it_paints(film: Path, tmp_path: Path) -> None:
    paint(film.with_name("film.2.hints.png"), middle(2), RED)
    first = frames_of(colorize(film, tmp_path / "first"))
    second = film.with_name("film.7.hints.png")
    aside = (82, 140)
    paint(second, aside, RED)
    added = frames_of(colorize(film, tmp_path / "added"))
    assert changed(first, added) == list(range(7, CUT))
    assert redness(added[CUT - 1], aside) > 35 > redness(first[CUT - 1], aside) + 30
    assert redness(added[CUT - 1], middle(CUT - 1)) > 35
    paint(second, middle(7), BLUE)
    replaced = frames_of(colorize(film, tmp_path / "replaced"))
    assert changed(first, replaced) == list(range(7, CUT))
    assert redness(replaced[CUT - 1], middle(CUT - 1)) < 0


def test_without_steady_colour_hints_are_for_their_frame_alone_and_that_is_said(film: Path, tmp_path: Path) -> None:
    plain = colorize(film, tmp_path / "plain", temporal="none")
    paint(film.with_name("film.9.hints.png"), middle(9), RED)
    led = colorize(film, tmp_path / "led", temporal="none")
    assert changed(frames_of(plain), frames_of(led)) == [9]
    assert not plain.notes
    assert led.notes == ("with --temporal none, a hint or reference file affects only the frame that it names",)


@pytest.mark.parametrize("temporal", ["6", "none"])
def test_a_session_takes_the_files_beside_a_film_as_a_run_does(film: Path, tmp_path: Path, temporal: str) -> None:
    paint(film.with_name("film.9.hints.png"), middle(9), RED)
    paint(film.with_name("film.99.hints.png"), middle(9), RED)
    outcome = colorize(film, tmp_path / "run", temporal=temporal)
    recipe = Recipe(Stage("spreader"), settings={"temporal": temporal}, precision="fp32")
    session = Session(recipe, host=host_with(Spreader), batch=1)

    def made(sidecars: SidecarFiles | None) -> tuple[np.ndarray, tuple[str, ...]]:
        with open_video(film, session.media) as frames:
            coloured = session.film(frames, sidecars)
            return np.stack([np.stack(frame.colour or ()) for frame in coloured]), coloured.notes

    led, notes = made(None)
    assert (led == frames_of(outcome)).all()
    assert notes == outcome.notes
    assert "film.99.hints.png names frame 99 and was not used: the film's last frame is 25" in notes
    plain, _ = made(SidecarFiles())
    assert changed(plain, led) == ([9] if temporal == "none" else list(range(9, CUT)))


def test_hints_lead_a_method_that_takes_none(film: Path, tmp_path: Path, painted: np.ndarray) -> None:
    film.with_name("film.9.reference.png").write_text("no picture")
    paint(film.with_name("film.0009.hints.png"), middle(9), RED)
    led = frames_of(colorize(film, tmp_path / "led", Painter))
    assert changed(painted, led) == list(range(9, CUT))
    for number in range(9, CUT):
        assert redness(led[number], middle(number)) > redness(painted[number], middle(number)) + 30, number


def test_hints_on_two_frames_both_hold_to_the_end_of_the_shot(film: Path, tmp_path: Path, painted: np.ndarray) -> None:
    drawn = film.with_name("film.hints.json")
    aside = (82, 140)
    strokes = [
        Stroke((((column + 0.5) / WIDTH, (row + 0.5) / HEIGHT),), 0.025, ab=(65.0, 50.0), frame=frame)
        for (row, column), frame in ((middle(4), 4), (aside, 9))
    ]
    write_strokes(drawn, StrokeFile((WIDTH, HEIGHT), tuple(strokes)))
    led = frames_of(colorize(film, tmp_path / "led", Painter))
    assert changed(painted, led) == list(range(4, CUT))
    for number in range(9, CUT):
        assert redness(led[number], middle(number)) > redness(painted[number], middle(number)) + 25, number
        assert redness(led[number], aside) > redness(painted[number], aside) + 25, number


# --- going on, and beginning anew -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "kept"), [(11, 9), pytest.param(22, 17, marks=pytest.mark.slow)])
def test_who_goes_on_makes_the_same_film(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int, kept: int
) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)
    paint(film.with_name("film.3.hints.png"), middle(3), RED)
    paint(film.with_name("film.17.hints.png"), (82, 40), BLUE)
    stopped(film, tmp_path / "out", Spreader, frames)
    outcome = colorize(film, tmp_path / "out")
    assert outcome.notes == (f"an earlier run had made {kept} frames: this one went on from there",)
    assert (frames_of(outcome) == frames_of(colorize(film, tmp_path / "whole"))).all()


def test_another_hint_file_begins_a_half_done_film_anew(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)
    stopped(film, tmp_path / "out", Spreader, 20)
    paint(film.with_name("film.3.hints.png"), middle(3), RED)
    outcome = colorize(film, tmp_path / "out")
    assert not outcome.notes
    assert redness(frames_of(outcome)[3], middle(3)) > 35


def test_a_hint_file_that_comes_changes_or_goes_makes_the_result_anew(film: Path, tmp_path: Path) -> None:
    write_grey(film.with_name("photo.png"), HEIGHT, WIDTH)
    for source, name in ((film, "film.7.hints.png"), (film.with_name("photo.png"), "photo.hints.png")):
        hints = source.with_name(name)
        made = functools.partial(colorize, source, tmp_path / "out", temporal="none")
        statuses = [made().status]
        for colour in (RED, BLUE):
            paint(hints, (40, 40), colour)
            statuses += [made().status for _ in range(2)]
        hints.unlink()
        statuses.append(made().status)
        assert statuses == ["done", "done", "skipped", "done", "skipped", "done"]


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_files_for_frames_that_are_not_there_are_told(film: Path, tmp_path: Path) -> None:
    paint(film.with_name("film.25.hints.png"), (40, 40), RED)
    paint(film.with_name("film.000026.hints.png"), (40, 40), RED)
    assert colorize(film, tmp_path / "out").notes == (
        "film.000026.hints.png names frame 26 and was not used: the film's last frame is 25",
    )


def test_files_that_cannot_be_used_fail_the_film_before_it_begins(film: Path, tmp_path: Path) -> None:
    hints = paint(film.with_name("film.24.hints.png"), (40, 40), RED, (96, 96))
    outcome = colorize(film, tmp_path / "out")
    assert (
        outcome.error
        == f"{hints}: 96x96 has another aspect than its picture, 160x96; paint on the upright picture itself"
    )
    assert outcome.frames == 0
    missing = tmp_path / "missing.png"
    assert str(colorize(film, tmp_path / "out", hints=missing).error).startswith(f"cannot read {missing}")
    paint(film.with_name("film.024.hints.png"), (40, 40), RED)
    assert "film.024.hints.png both name frame 24; keep one" in str(colorize(film, tmp_path / "out").error)


def test_files_of_a_film_are_no_inputs(film: Path) -> None:
    beside = ("film.5.hints.png", "film.hints.png", "film.000005.reference.png", "film.5.REFERENCE.JPG")
    for name in (*beside, "film.mkv.png", "reference.jpg", "my.reference.jpg"):
        film.with_name(name).write_bytes(b"")
    found = {item.path.name for item in find_inputs([film.parent])}
    assert found == {"film.mkv", "film.mkv.png", "reference.jpg", "my.reference.jpg"}
    guides = SidecarFiles.of(film, Spreader)
    assert {number: path.name for number, path in guides.hints.items()} == {0: "film.hints.png", 5: "film.5.hints.png"}
    assert not guides.references


# --- references -------------------------------------------------------------------------------------------------------


class Taker(Painter):
    """Every place gets the reference's mean colour."""

    name = "taker"
    takes_reference = True

    def predict(self, batch: Batch) -> Chroma:
        ab = (0.0, 0.0) if batch.reference is None else batch.reference.ab.mean((0, 1))
        return Chroma(torch.tensor(ab).float().view(1, 2, 1, 1).expand(len(batch), 2, 4, 4))


def picture(path: Path, rgb: Colour) -> Path:
    assert cv2.imwrite(str(path), np.full((24, 40, 3), rgb[::-1], np.uint8))
    return path


@pytest.mark.parametrize("colorizer", [Taker, Learner])
def test_a_reference_of_a_frame_holds_to_the_end_of_its_shot(
    film: Path, tmp_path: Path, colorizer: type[Colorizer]
) -> None:
    Learner.made.clear()
    blue = picture(tmp_path / "blue.png", BLUE)
    plain = frames_of(colorize(film, tmp_path / "plain", colorizer, reference=blue))
    picture(film.with_name("film.010.reference.png"), RED)
    outcome = colorize(film, tmp_path / "led", colorizer, reference=blue)
    led = frames_of(outcome)
    assert changed(plain, led) == list(range(10, CUT))
    assert all(redness(planes, (40, 40)) > 30 for planes in led[10:CUT])
    assert all(redness(planes, (40, 40)) < 10 for planes in (*led[:10], *led[CUT:]))
    if colorizer is Learner:
        assert len(Learner.made) == 1 + 2  # the plain film's; the run's and the shot's
        gc.collect()
        assert not any(learner() for learner in Learner.made)


def test_without_steady_colour_a_reference_is_for_its_frame_alone(film: Path, tmp_path: Path) -> None:
    blue = picture(tmp_path / "blue.png", BLUE)
    picture(film.with_name("film.10.reference.jpg"), RED)
    made = frames_of(colorize(film, tmp_path / "led", Learner, temporal="none", reference=blue))
    assert [number for number, planes in enumerate(made) if redness(planes, (40, 40)) > 30] == [10]


def test_who_goes_on_keeps_to_the_reference(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)
    picture(film.with_name("film.2.reference.png"), RED)
    stopped(film, tmp_path / "out", Taker, 12)
    outcome = colorize(film, tmp_path / "out", Taker)
    assert outcome.notes[0].startswith("an earlier run had made")
    made = frames_of(outcome)
    assert redness(made[CUT - 1], (40, 40)) > 30 > redness(made[CUT], (40, 40))
    assert (made == frames_of(colorize(film, tmp_path / "whole", Taker))).all()


def test_a_method_that_needs_a_reference_says_that_a_shot_s_own_is_not_enough(film: Path, tmp_path: Path) -> None:
    picture(film.with_name("film.10.reference.png"), RED)
    with pytest.raises(UsageError, match=r"give --reference FILE; files beside a film .* are for single shots"):
        colorize(film, tmp_path / "out", Learner)


def test_a_grey_reference_fails_the_film_before_it_begins(film: Path, tmp_path: Path) -> None:
    write_grey(film.with_name("film.24.reference.png"))
    outcome = colorize(film, tmp_path / "out", Taker)
    assert "film.24.reference.png: the reference is grey" in str(outcome.error)
    assert outcome.frames == 0


# --- spans ------------------------------------------------------------------------------------------------------------


def chance(number: int, led: bool = False) -> np.ndarray:
    """What a network that flickers says of a frame."""
    return np.random.default_rng([number, led]).normal(0, 20, (6, 8, 2)).astype(np.float32)


def plainly(frames: Sequence[np.ndarray], first: int = 0, distance: int = 6) -> list[np.ndarray]:
    planner, carrier = Planner(distance), ChromaPropagator()
    steps = [step for frame in frames[first:] for step in planner.push(frame)] + planner.finish()
    pairs = enumerate(steps, first)
    return [ab for n, step in pairs for ab in carrier.push(step, chance(n) if step.key else None)] + carrier.finish()


def woven(
    frames: Sequence[np.ndarray], named: Collection[int], first: int = 0, state: bytes = b"", distance: int = 6
) -> list[tuple[np.ndarray, bytes | None]]:
    tracker = HintTracker(SidecarFiles(), MediaOptions(), unpacked(state)[1] if state else b"")
    planner, merger = SpanPlanner(distance, named, tracker, bool(state)), SpanMerger(state)
    span_steps: list[list[SpanStep]] = []
    for number, frame in enumerate(frames[first:], first):
        span_steps += planner.push(frame, number)
    made = []
    for of_frame in span_steps + planner.finish():
        for span_step in of_frame:
            planner.tracker(span_step)
            made += merger.push(span_step, chance(first + span_step.frame) if span_step.asked else None, b"")
    return made + merger.finish()


@pytest.mark.parametrize(
    "named",
    [(), (1, 2, 3, 17), (CUT, FRAMES - 1), *(pytest.param(x, marks=pytest.mark.slow) for x in ((0, 6), (5, CUT - 1)))],
)
def test_each_strand_is_what_a_film_from_there_on_would_be(named: tuple[int, ...]) -> None:
    small = [small_luma(luma, 8) for luma in lumas()]
    made = woven(small, named)
    assert len(made) == FRAMES
    bounds = [*sorted({0, *named}), FRAMES]
    for start, stop in itertools.pairwise(bounds):
        alone = plainly(small, start)
        assert all((made[n][0] == alone[n - start]).all() for n in range(start, stop)), (start, stop)
    states = [(number, state) for number, (_, state) in enumerate(made) if state]
    assert len(states) >= 3
    for number, state in states[:: len(states) // 2]:
        rest = woven(small, named, number + 1, state)
        assert len(rest) == FRAMES - number - 1
        assert all((a[0] == b[0]).all() for a, b in zip(rest, made[number + 1 :], strict=True)), number


def test_strands_do_not_pile_up() -> None:
    small = [small_luma(luma, 8) for luma in lumas()][: CUT - 1]
    planner = SpanPlanner(6, range(0, 100, 4), HintTracker(SidecarFiles(), MediaOptions()), False)
    for number in range(3 * len(small)):
        decided = planner.push(small[number % 2], number)
        for span_steps in decided:
            assert len(span_steps) <= 4
            assert [span_step.newest for span_step in span_steps] == [False] * (len(span_steps) - 1) + [True]
            for span_step in span_steps:
                planner.tracker(span_step)
    assert len(planner._trackers) <= 6


# --- points -----------------------------------------------------------------------------------------------------------


def followed(folder: Path, frames: Sequence[np.ndarray], hints: np.ndarray) -> list[np.ndarray]:
    """What is painted over the first frame, at each frame, (3, H, W)."""
    file = folder / "hints.png"
    assert cv2.imwrite(str(file), hints)
    planner, size = SpanPlanner(24, {0}, HintTracker(SidecarFiles({0: file}), MediaOptions()), False), frames[0].shape
    decided = [span_steps for number, frame in enumerate(frames) for span_steps in planner.push(frame, number)]
    views = []
    for (span_step,) in decided + planner.finish():
        view = planner.tracker(span_step).hints(size, size)
        views.append(np.zeros((3, *size), np.float32) if view is None else view.for_network())
    return views


def test_a_plain_wall_keeps_its_paint_though_no_flow_is_sure_there(tmp_path: Path) -> None:
    back, grain = texture("migrant-mother-1936.jpg", (HEIGHT, 300)), np.random.default_rng(1)
    back[:, 100:240] = 140
    frames = [back[:, 2 * n : 2 * n + WIDTH] + grain.normal(0, 3, (HEIGHT, WIDTH)) for n in range(30)]
    hints = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    hints[40:50, 125:135] = (*RED[::-1], 255)
    views = followed(tmp_path, [np.clip(frame, 0, 255).astype(np.uint8) for frame in frames], hints)
    rows, columns = np.nonzero(views[-1][2])
    assert len(rows) > 60
    assert abs(rows.mean() - 44.5) < 6
    assert abs(columns.mean() - (129.5 - 58)) < 12  # nothing in it tells where exactly


def test_painted_places_are_found_again_and_dropped_where_they_are_hidden(tmp_path: Path) -> None:
    """A camera pans over a picture while something comes in from the right."""
    back, thing = texture("migrant-mother-1936.jpg", (120, 300)), texture("cameraman.png", (HEIGHT, 120))
    frames = []
    for number in range(25):
        frame = back[12:108, 20 + 2 * number : 180 + 2 * number].copy()
        inside = min(3 * number, 60)
        if inside:
            frame[:, WIDTH - inside :] = thing[:, :inside]
        frames.append(frame)
    hints = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    hints[30:34, 60:64] = (*RED[::-1], 255)
    hints[60:64, 150:154] = (*BLUE[::-1], 255)
    views = followed(tmp_path, frames, hints)
    rows, columns = np.nonzero(views[0][2])
    assert len(rows) == 32
    for number, view in enumerate(views):
        red = (view[2] > 0) & (view[0] > 40) & (view[1] > 0)
        rows, columns = np.nonzero(red)
        assert len(rows) >= 12, number
        assert abs(rows.mean() - 31.5) < 1.5, number
        assert abs(columns.mean() - (61.5 - 2 * number)) < 1.5, number
        assert (view[:2, view[2] == 0] == 0).all()
    assert (views[-1][2] > 0).sum() <= 20  # the other spot lies behind the thing


def covered(brighter: float) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    """A thing that moves to the right over a background, and another that comes over it from there, with grain; and the
    columns that the other one takes."""
    chance, back = np.random.default_rng(1), texture("migrant-mother-1936.jpg", (HEIGHT, 300))
    thing, other = (
        cv2.GaussianBlur(texture(name, size), (0, 0), 1).astype(float)
        for name, size in (("cameraman.png", (40, 60)), ("einstein-1947.jpg", (60, 70)))
    )
    thing, other = ((one - one.mean()) * 0.8 + level for one, level in ((thing, 120), (other, 120 + brighter)))
    frames, places = [], []
    for number in range(30):
        frame = back[:, 20 : 20 + WIDTH].astype(float)
        frame[30:70, 50 + number : 110 + number] = thing
        left = WIDTH - 2 * number
        frame[20:80, left : left + 70] = other[:, : WIDTH - left]
        frames.append(np.clip(frame + chance.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
        places.append((left, min(WIDTH, left + 70)))
    return frames, places


@pytest.mark.parametrize("brighter", [0, 30])
def test_a_stroke_fades_on_what_comes_to_cover_its_thing(
    tmp_path: Path, brighter: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, places = covered(brighter)
    hints = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    hints[40:60, 80:100] = (*RED[::-1], 255)

    def weights() -> list[tuple[float, float]]:
        """Of each frame, on the other thing and elsewhere."""
        found = []
        for view, (left, right) in zip(weighed(tmp_path, frames, hints), places, strict=True):
            on = float(view[20:80, left:right].sum())
            found.append((on, float(view.sum()) - on))
        return found

    now = weights()
    monkeypatch.setattr(hint_tracker, "AGAIN", 1e9)  # nothing fades
    without = weights()
    assert max(on for on, _ in without) > 30  # the motion alone leaves them there
    assert sum(on for on, _ in now) < 0.5 * sum(on for on, _ in without)
    for number in range(15):  # nobody is near it yet
        assert now[number][1] > 0.97 * without[number][1], number


def weighed(folder: Path, frames: Sequence[np.ndarray], hints: np.ndarray) -> list[np.ndarray]:
    """As ``followed``, the weights at the frames' size."""
    folder = folder / f"{len(list(folder.iterdir()))}"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "film.hints.png"), hints)
    guides = SidecarFiles(hints={0: folder / "film.hints.png"})
    planner = SpanPlanner(6, [0], HintTracker(guides, MediaOptions()), False)
    steps = [one for number, frame in enumerate(frames) for one in planner.push(small_luma(frame, 8), number)]
    size, views = frames[0].shape, []
    for (step,) in steps + planner.finish():
        view = planner.tracker(step).hints(size, size)
        views.append(np.zeros(size, np.float32) if view is None else view.weight)
    return views


FILMS = os.environ.get("COLORPIPE_FILMS", "")


@pytest.mark.skipif(not FILMS, reason="COLORPIPE_FILMS names no folder of films in colour")
@pytest.mark.slow
def test_on_real_films_strokes_stay_on_their_colour_and_fade_on_others() -> None:
    from benchmarks import film_hints

    told = np.zeros(5)
    for film in sorted(Path(FILMS).glob("sam2*.mp4")):
        told += film_hints.followed(film_hints.read(str(film))[:46])[40]
    points, right, right_left, wrong, wrong_left = told
    assert right > 0.7 * points
    assert right_left > 0.85 * right
    assert wrong_left < 0.6 * wrong
