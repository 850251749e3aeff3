"""What hints gain on the samples: a guard of the measure that ``benchmarks/hints.py`` takes on more pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import hints as measure
from benchmarks.hints import Picture, Score, main, score, session_of
from benchmarks.pictures import checkpoint

SAMPLES = Path(__file__).parent.parent / "samples" / "colour"
NAMES = ("astronaut.jpg", "chelsea.png", "coffee.jpg", "rocket.jpg")


def small(name: str, side: int = 256) -> Picture:
    picture = measure.read(SAMPLES / name)
    scale = side / max(picture.shape)
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def scores_of(method: str) -> list[Score]:
    session = session_of(method)
    return [score(session, small(name, 192), np.random.default_rng(4), 3, 0.016) for name in NAMES]


@pytest.mark.parametrize(
    "method",
    ["zhang", "gan", *(pytest.param(more, marks=pytest.mark.slow) for more in ("zhang:zhang-compact", "fcn"))],
)
def test_three_points_of_the_true_colours_bring_a_picture_nearer_and_leave_far_places_alone(method: str) -> None:
    scores = scores_of(method)
    gains = [one.after - one.before for one in scores]
    assert np.mean(gains) > 0.8
    assert min(gains) > -0.5  # points of a picture that is right already may take more than they give
    assert np.nanmean([one.far for one in scores]) < 1
    fill, leak = (np.nanmean([getattr(one, name) for one in scores]) for name in ("fill", "leak"))
    assert fill > leak + 0.05  # the point's own surface takes its colour, others less


@pytest.mark.slow
def test_a_network_of_random_weights_is_led_as_well(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "eccv16.pth", "eccv16")
    session, drawing = session_of(f"zhang:{file}"), np.random.default_rng(3)
    one = score(session, small(NAMES[0], 128), drawing, 3, 0.02)
    assert one.after > one.before


def test_the_measure_runs_over_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES[:2]:
        cv2.imwrite(str(tmp_path / f"{name}.png"), small(name, 96)[..., ::-1])
    main(["--pictures", str(tmp_path), "--methods", "zhang:zhang-compact", "--count", "2"])
    told = capsys.readouterr().out
    assert told.startswith("2 pictures, 3 points each")
    assert "gain" in told
    assert "far" in told
