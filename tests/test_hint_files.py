"""Hint files: formats, checks, drawing; and that none is passed over in silence."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import InputError
from colorpipe.files import sha256
from colorpipe.guidance import colours
from colorpipe.guidance.hint_files import drawn, load
from colorpipe.guidance.strokes import Stroke, StrokeFile, read_strokes, write_strokes
from colorpipe.settings import MediaOptions
from colorpipe.types import Outcome, Recipe, Stage
from tests.helpers import Painter, host_with, write_grey

STROKE: dict[str, Any] = {"kind": "paint", "points": [[0.5, 0.5]], "radius": 0.05, "lab": [None, -30, 20]}
WHOLE: dict[str, Any] = {"version": 1, "size": [64, 48], "source_sha256": None, "strokes": [STROKE]}


def write(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({**WHOLE, **changes}))
    return path


def colorize(inputs: Path, output: Path, **request: Any) -> Outcome:
    recipe = request.pop("recipe", Recipe(Stage("painter")))
    return run(RunRequest([inputs], recipe, output, **request), host_with(Painter))[0]


def rgb(path: Path) -> np.ndarray:
    made = cv2.imread(str(path))
    assert made is not None
    return made[..., ::-1].astype(int)


# --- the JSON format --------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    strokes = (
        Stroke(((0.1, 0.2), (0.9, 1.0)), 0.02, ab=(-30.5, 20.0), name="coat", frame=7),
        Stroke(((0.0, 0.0),), 1.0, "neutral", strength=0.25),
        Stroke(((1.0, 0.5),), 0.01, "keep"),
        Stroke(((1.0, 0.5),), 0.01, name="album's green"),
    )
    file = StrokeFile((640, 480), strokes, "ab" * 32)
    write_strokes(tmp_path / "a.hints.json", file)
    assert read_strokes(tmp_path / "a.hints.json") == file
    assert json.loads((tmp_path / "a.hints.json").read_text())["version"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.hints.json"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version 2 is not known"),
        ({"version": True}, "version true"),
        ({"size": [64]}, r"size is \[width, height\]"),
        ({"size": [0, 48]}, r"size is \[width, height\]"),
        ({"source_sha256": "abc"}, "64 hexadecimal"),
        ({"strokes": {}}, "strokes is a list"),
        ({"paint": 1}, '"paint" is not known'),
        ({"strokes": [{**STROKE, "kind": "spray"}]}, "stroke 1: kind is one of paint, neutral, keep"),
        ({"strokes": [STROKE, {**STROKE, "radius": 0}]}, "stroke 2: radius is above 0"),
        ({"strokes": [{**STROKE, "radius": "big"}]}, "radius is above 0 and at most 1"),
        ({"strokes": [{**STROKE, "lab": [50, 1, 2]}]}, r"lab is \[null, a, b\]"),
        ({"strokes": [{**STROKE, "lab": [None, 1, 200]}]}, r"-128\.\.127"),
        ({"strokes": [{**STROKE, "points": []}]}, r"points is a list"),
        ({"strokes": [{**STROKE, "points": [[0.5, 1.5]]}]}, r"each in 0\.\.1"),
        ({"strokes": [{**STROKE, "frame": -1}]}, "frame is a whole number"),
        ({"strokes": [{**STROKE, "frame": 1.5}]}, "frame is a whole number"),
        ({"strokes": [{**STROKE, "strength": 2}]}, "strength is above 0"),
        ({"strokes": [{**STROKE, "name": 5}]}, "name is a text"),
        ({"strokes": [{**STROKE, "lab": None}]}, "paint needs a colour"),
        ({"strokes": ["x"]}, "an object is needed"),
    ],
)
def test_a_field_that_is_wrong_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = write(tmp_path / "a.hints.json", **changes)
    with pytest.raises(InputError, match=words) as raised:
        read_strokes(file)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", '{"version": NaN}', "[" * 100_000, "\xff"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.hints.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="is not JSON"):
        read_strokes(file)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.hints.json"
    file.write_text('{"version": 1, "size": [4, 4]}')
    with pytest.raises(InputError, match="strokes is missing"):
        read_strokes(file)


def test_a_brush_is_round_on_the_picture_and_later_strokes_lie_over_earlier_ones() -> None:
    line = Stroke(((0.25, 0.5), (0.75, 0.5)), 0.1, ab=(10.0, 0.0))
    hints = drawn([line, Stroke(((0.5, 0.5),), 0.05, "keep")], (100, 200), (100, 200))
    assert hints.weight[50, 40] == 1
    assert hints.weight[32, 100] == 1
    assert hints.weight[28, 100] == 0
    assert hints.weight[50, 28] == 0
    assert hints.keep[50, 100]
    assert hints.weight[50, 100] == 0
    squeezed = drawn([line], (100, 200), (100, 100))
    assert np.flatnonzero(squeezed.weight[:, 50]).tolist() == list(range(30, 70))
    assert np.flatnonzero(squeezed.weight[50]).tolist() == list(range(15, 85))
    dot = drawn([Stroke(((1.0, 1.0),), 1e-6, ab=(5.0, 5.0))], (100, 200), (10, 20))
    assert dot.weight.sum() == dot.weight[9, 19] == 1


# --- PNG --------------------------------------------------------------------------------------------------------------


def test_alpha_is_the_weight_and_the_thin_edge_of_a_brush_is_no_hint(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 4), np.uint8)
    picture[10:20, 10:30] = (0, 0, 255, 255)
    picture[20, 10:30] = (0, 0, 255, 40)
    picture[30:35, 10:30] = (0, 0, 255, 128)
    cv2.imwrite(str(tmp_path / "a.hints.png"), picture)
    hints = load(tmp_path / "a.hints.png", (80, 120), (40, 60), MediaOptions())
    assert hints.weight[15, 20] == 1
    assert hints.weight[20].max() == 0
    assert hints.weight[32, 20] == pytest.approx(0.5, abs=0.01)
    assert hints.ab[32, 20] == pytest.approx([80.1, 67.2], abs=0.3)
    assert hints.weight[:9].max() == 0


# --- named colours ----------------------------------------------------------------------------------------------------


def test_a_stroke_takes_the_album_s_colour_by_its_name(tmp_path: Path) -> None:
    colours.keep(tmp_path, [Stroke(((0.5, 0.5),), 0.1, ab=(-30.0, 20.0), name="coat")])
    colours.keep(tmp_path, [Stroke(((0.5, 0.5),), 0.1, ab=(1.0, 2.0), name="hat"), Stroke(((0.5, 0.5),), 0.1, "keep")])
    assert colours.read(tmp_path) == {"coat": (-30.0, 20.0), "hat": (1.0, 2.0)}
    file = write(tmp_path / "a.hints.json", strokes=[{"points": [[0.5, 0.5]], "radius": 0.1, "name": "coat"}])
    hints = load(file, (48, 64), (48, 64), MediaOptions())
    assert hints.ab[24, 32].tolist() == [-30, 20]
    write(file, strokes=[{"points": [[0.5, 0.5]], "radius": 0.1, "name": "glove"}])
    with pytest.raises(InputError, match=r"'glove' is not in .*colours\.json; there are coat, hat"):
        load(file, (48, 64), (48, 64), MediaOptions())
    (tmp_path / "colours.json").write_text('{"version": 3, "colours": {}}')
    with pytest.raises(InputError, match="version 3 is not known"):
        colours.read(tmp_path)


# --- a run ------------------------------------------------------------------------------------------------------------


def test_both_kinds_lead_a_method_that_takes_no_hints_and_a_change_makes_the_result_anew(tmp_path: Path) -> None:
    write_grey(tmp_path / "in" / "a.png", 48, 64)
    out = tmp_path / "out"
    plain = colorize(tmp_path / "in", out)
    assert not plain.notes
    before = rgb(out / "a.png")
    write(tmp_path / "in" / "a.hints.json")
    led = colorize(tmp_path / "in", out)
    assert (led.status, led.notes) == ("done", ())
    after = rgb(out / "a.png")
    assert after[24, 32, 1] - after[24, 32, 0] > before[24, 32, 1] - before[24, 32, 0] + 15
    assert colorize(tmp_path / "in", out).status == "skipped"
    painted = np.zeros((48, 64, 4), np.uint8)
    painted[4:9, 4:9] = (255, 0, 0, 255)
    cv2.imwrite(str(tmp_path / "in" / "a.hints.png"), painted)
    assert colorize(tmp_path / "in", out).status == "done"
    both = rgb(out / "a.png")
    assert both[6, 6, 2] > both[6, 6, 0] + 30
    assert np.abs(both[24, 32] - after[24, 32]).max() < 12


def test_the_recipe_in_a_result_knows_its_hint_files(tmp_path: Path) -> None:
    write_grey(tmp_path / "a.png", 48, 64)
    colorize(tmp_path / "a.png", tmp_path / "plain.png")
    write(tmp_path / "a.hints.json")
    colorize(tmp_path / "a.png", tmp_path / "led.png")
    assert len({(tmp_path / name).read_bytes().split(b"ecipe", 1)[1][:120] for name in ("plain.png", "led.png")}) == 2
    told = {"strokes 0": sha256(tmp_path / "a.hints.json")}
    made = colorize(tmp_path / "a.png", tmp_path / "again.png", recipe=Recipe(Stage("painter"), guides=told))
    assert made.error is None
    write(tmp_path / "a.hints.json", source_sha256="00" * 32)
    made = colorize(tmp_path / "a.png", tmp_path / "third.png", recipe=Recipe(Stage("painter"), guides=told))
    assert "hint files are not the recipe's" in str(made.error)


def test_a_hint_file_that_is_not_used_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_grey(folder / "a.png", 48, 64)
    told = write(folder / "a.hints.json", source_sha256=sha256(folder / "a.png"))
    assert not colorize(folder, out).notes
    write(told, source_sha256="0" * 64, strokes=[STROKE, {**STROKE, "frame": 3}])
    cv2.imwrite(str(folder / "a.hints.png"), np.zeros((48, 64, 4), np.uint8))
    cv2.imwrite(str(folder / "a.hints.tif"), np.zeros((48, 64, 4), np.uint8))
    cv2.imwrite(str(folder / "a.0004.hints.png"), np.zeros((48, 64, 4), np.uint8))
    write(folder / "b.hints.json")
    with caplog.at_level(logging.WARNING):
        notes = " | ".join(colorize(folder, out).notes)
    assert "a.hints.tif was not used: hint files are .hints.png or .hints.json" in notes
    assert "a.0004.hints.png was not used: a photo's hints name no frame" in notes
    assert "strokes of a.hints.json on frame 3 were not used" in notes
    assert "painted on another file than a.png is now" in notes
    assert "b.hints.json was not used: no picture or film there has its name" in caplog.text
    other = write(tmp_path / "other.json")
    notes = " | ".join(colorize(folder / "a.png", tmp_path / "o.png", hints=other).notes)
    assert "a.hints.json was not used: --hints names another file" in notes
    told.unlink()
    notes = " | ".join(colorize(folder / "a.png", tmp_path / "p.png").notes)
    assert "a.hints.png changed nothing: nothing is painted there" in notes


def test_a_bad_hint_file_fails_its_input_alone(tmp_path: Path) -> None:
    for name in "ab":
        write_grey(tmp_path / "in" / f"{name}.png", 48, 64)
    write(tmp_path / "in" / "a.hints.json", size=[64, 64])
    write(tmp_path / "in" / "b.hints.json")
    recipe = Recipe(Stage("painter"))
    made = run(RunRequest([tmp_path / "in"], recipe, tmp_path / "out"), host_with(Painter))
    assert [outcome.status for outcome in made] == ["failed", "done"]
    assert "another aspect" in str(made[0].error)
    assert not (tmp_path / "out" / "a.png").exists()


def test_what_is_painted_is_what_is_seen_whatever_the_saturation(tmp_path: Path) -> None:
    write_grey(tmp_path / "a.png", 48, 64)
    write(tmp_path / "a.hints.json")
    seen = []
    for saturation in (1.0, 2.0):
        recipe = Recipe(Stage("painter"), settings={"saturation": saturation})
        colorize(tmp_path / "a.png", tmp_path / f"{saturation}.png", recipe=recipe)
        seen.append(rgb(tmp_path / f"{saturation}.png")[24, 32])
    assert np.abs(seen[0] - seen[1]).max() <= 2
