"""What a person does with an album over the weeks: retouch, try other settings, lose files, ask before, repeat."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

import colorpipe
from colorpipe import OutputError, Recipe, Session, UsageError
from colorpipe.batch.journal import NAME
from colorpipe.media.provenance import recipe_of
from colorpipe.plugins.host import PluginHost
from colorpipe.weights import read_tensors
from colorpipe_zhang import BUNDLED
from tests.conftest import Cli
from tests.helpers import Painter, host_with, write_grey
from tests.test_pages import small
from tests.test_video import make_clip


@pytest.fixture
def album(workplace: Path) -> Path:
    for index in range(3):
        write_grey(workplace / "album" / f"{index}.png", seed=index)
    return workplace / "album"


@pytest.fixture
def words(tint: Path) -> list[str | Path]:
    return ["--plugin", tint, "--colorizer", "tint", "--device", "cpu"]


def retouch(path: Path) -> bytes:
    """As a person does, in another program: some pixels, saved under the same name."""
    picture = cv2.imread(str(path))
    picture[4:9, 4:9] = (0, 0, 255)
    assert cv2.imwrite(str(path), picture)
    return path.read_bytes()


def said(text: str) -> str:
    return " ".join(text.split())


# --- results that a person has touched --------------------------------------------------------------------------------


def test_a_retouched_picture_is_never_replaced_without_a_word(album: Path, words: list, cli: Cli) -> None:
    assert cli("run", album, *words)[0] == 0
    result = album.parent / "colorized" / "1.png"
    mine = retouch(result)
    for more in ([], ["--strength", "40"]):
        status, _, told = cli("run", album, *words, *more)
        assert status == 0
        assert result.read_bytes() == mine
        assert "1.png was changed since colorpipe made it: left as it is; --overwrite replaces it" in said(told)
        assert told.count("was changed since") == 1
    status, _, told = cli("run", album, *words, "--overwrite")
    assert (status, "was changed since" in told) == (0, False)
    assert result.read_bytes() != mine


def test_a_retouched_picture_of_the_same_size_is_seen(album: Path, words: list, cli: Cli) -> None:
    cli("run", album, *words)
    result = album.parent / "colorized" / "1.png"
    data = bytearray(result.read_bytes())
    data[-20] ^= 1
    result.write_bytes(data)
    assert "1.png was changed since" in said(cli("run", album, *words, "--strength", "40")[2])
    assert result.read_bytes() == bytes(data)


def test_a_result_that_was_copied_back_is_as_it_was(album: Path, words: list, cli: Cli) -> None:
    """Only its time differs: it is what colorpipe wrote."""
    cli("run", album, *words)
    result = album.parent / "colorized" / "1.png"
    os.utime(result, (1, 1))
    _, _, told = cli("run", album, *words)
    assert "3 skipped" in told
    assert "was changed" not in told
    assert "3 done" in cli("run", album, *words, "--strength", "40")[2]


def test_a_film_that_was_cut_by_hand_is_left(workplace: Path, words: list, cli: Cli) -> None:
    make_clip(workplace / "film.mkv")
    asked = ["run", "film.mkv", *words, "--codec", "ffv1"]
    assert cli(*asked)[0] == 0
    result = workplace / "colorized" / "film.mkv"
    make_clip(result, ticks=range(0, 160, 40))
    mine = result.read_bytes()
    status, _, told = cli(*asked, "--strength", "40")
    assert status == 0
    assert "film.mkv was changed since colorpipe made it" in said(told)
    assert result.read_bytes() == mine


def test_a_journal_of_before_knows_the_size_alone(album: Path, words: list, cli: Cli) -> None:
    cli("run", album, *words)
    journal = album.parent / "colorized" / NAME
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    for entry in entries:
        entry.pop("sha256", None)
        entry.pop("mtime_ns", None)
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert "3 skipped" in cli("run", album, *words)[2]
    mine = retouch(album.parent / "colorized" / "2.png") + b"more"
    (album.parent / "colorized" / "2.png").write_bytes(mine)
    assert "2.png was changed since" in said(cli("run", album, *words, "--strength", "40")[2])
    assert (album.parent / "colorized" / "2.png").read_bytes() == mine


def test_other_settings_are_told_before_the_start(album: Path, words: list, cli: Cli) -> None:
    cli("run", album, *words)
    retouch(album.parent / "colorized" / "0.png")
    status, _, told = cli("run", album, *words, "--strength", "40")
    warned = "2 results in colorized made with other settings will be replaced; to keep both, give another folder to -o"
    assert status == 0
    assert warned in said(told)
    assert said(told).index(warned) < said(told).index("2 done")
    assert "will be replaced" not in cli("run", album, *words, "--strength", "40")[2]
    assert "will be replaced" not in cli("run", album, *words, "--strength", "30", "-o", "other")[2]


def test_own_results_are_known_without_the_journal(album: Path, words: list, cli: Cli) -> None:
    make_clip(album / "film.mkv")
    cli("run", album, *words)
    made = {path.name: path.read_bytes() for path in (album.parent / "colorized").iterdir() if path.name != NAME}
    (album.parent / "colorized" / NAME).unlink()
    status, _, told = cli("run", album, *words, "--strength", "40")
    assert status == 1
    assert told.count("was made by colorpipe with other settings") == 4
    assert "not made by colorpipe" not in told
    status, _, told = cli("run", album, *words)
    assert status == 0
    assert "4 skipped" in told
    assert told.count("is known by its mark") == 4
    assert {
        path.name: path.read_bytes() for path in (album.parent / "colorized").iterdir() if path.name != NAME
    } == made
    assert "known by its mark" not in cli("run", album, *words)[2]
    (album.parent / "colorized" / "0.png").unlink()
    write_grey(album.parent / "colorized" / "0.png")
    (album.parent / "colorized" / NAME).unlink()
    assert "0.png exists and was not made by colorpipe" in said(cli("run", album, *words)[2])


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "film.mkv", "film.mp4"])
def test_the_mark_is_read_back_from_each_format(workplace: Path, tint: Path, name: str) -> None:
    if name.startswith("film"):
        make_clip(workplace / name, codec="mpeg4")
    else:
        write_grey(workplace / name)
    (outcome,) = colorpipe.run(workplace / name, colorizer="tint", plugins=[tint], output=workplace / "out")
    assert outcome.output is not None
    host = PluginHost.load([tint])
    assert recipe_of(outcome.output) == Session("tint", host=host).digest
    assert recipe_of(workplace / name) is None
    assert recipe_of(workplace / "nothing.png") is None


def test_a_dry_run_tells_what_a_run_does(album: Path, words: list, cli: Cli) -> None:
    cli("run", album / "0.png", *words, "--strength", "40")
    cli("run", album / "1.png", *words)
    (album / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    make_clip(album / "film.mkv")
    write_grey(album.parent / "colorized" / "2.png")
    before = {path: path.read_bytes() for path in album.parent.rglob("*") if path.is_file()}
    status, out, _ = cli("run", album, *words, "--dry-run")
    out = said(out)
    assert status == 1
    assert "1 film would be made" in out
    assert "1 picture would be replaced:" in out
    assert "0.png -> colorized/0.png: made with other settings" in out
    assert "1 input would be skipped" in out
    assert "2 inputs would fail" in out
    assert "2.png exists and was not made by colorpipe" in out
    assert "broken.png" in out
    assert "by a trial on this computer" in out
    assert " are free in colorized" in out
    assert {path: path.read_bytes() for path in album.parent.rglob("*") if path.is_file()} == before
    (album / "broken.png").unlink()
    (album.parent / "colorized" / "2.png").unlink()
    assert "3 pictures and 1 film would be made" in said(cli("run", album, *words, "--dry-run", "-o", "new")[1])
    assert not (album.parent / "new").exists()
    status, _, told = cli("run", album, *words)
    assert (status, "3 done, 1 skipped" in told) == (0, True)


# --- from Python ------------------------------------------------------------------------------------------------------


def test_run_means_what_the_command_means(album: Path, tint: Path, words: list, cli: Cli) -> None:
    outcomes = colorpipe.run(album, output="python", colorizer="tint", plugins=[tint], device="cpu", strength=40)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert cli("run", album, "-o", "command", *words, "--strength", "40")[0] == 0
    for outcome in outcomes:
        assert outcome.output is not None
        assert outcome.output.read_bytes() == (Path("command") / outcome.output.name).read_bytes()
    again = colorpipe.run(album, output="python", colorizer="tint", plugins=[tint], device="cpu", strength=40)
    assert [outcome.status for outcome in again] == ["skipped"] * 3
    assert "3 skipped" in cli("run", album, "-o", "python", *words, "--strength", "40")[2]


def test_run_gives_failures_as_outcomes_and_wrong_calls_as_errors(album: Path) -> None:
    (album / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    host = host_with(Painter)
    outcomes = colorpipe.run(album, colorizer="painter", host=host)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3 + ["failed"]
    assert "broken.png" in str(outcomes[3].error)
    with pytest.raises(UsageError, match="does not exist"):
        colorpipe.run(album / "nothing.png", colorizer="painter", host=host)
    with pytest.raises(UsageError, match="has an option 'strenght'"):
        colorpipe.run(album, colorizer="painter", host=host, strenght=3)
    if Path("/proc/self").exists():
        with pytest.raises(OutputError, match="cannot write /proc/x"):
            colorpipe.run(album, colorizer="painter", host=host, output="/proc/x")


def test_run_makes_a_film(workplace: Path) -> None:
    make_clip(workplace / "film.mkv")
    (outcome,) = colorpipe.run(
        "film.mkv", output="made.mkv", colorizer="painter", host=host_with(Painter), codec="ffv1"
    )
    assert (outcome.status, outcome.output) == ("done", Path("made.mkv"))
    assert outcome.frames > 1


# --- recipes ----------------------------------------------------------------------------------------------------------


def _save_recipe(album: Path, cli: Cli) -> None:
    """``r.json`` of one picture's run, whose result is in ``first``."""
    device = ("--weights", "zhang-compact", "--device", "cpu")
    status, _, told = cli("run", album / "0.png", *device, "--save-recipe", "r.json", "-o", "first")
    assert status == 0, told


def test_a_saved_recipe_pins_what_was_in_effect(album: Path, cli: Cli) -> None:
    _save_recipe(album, cli)
    recipe = Recipe.from_json(Path("r.json").read_text())
    assert len(str(recipe.weights_sha256)) == 64
    effect = recipe.in_effect
    assert effect["precision"] in ("fp32", "bf16")
    stated = read_tensors(BUNDLED)[1]
    for name in ("T", "vibrance", "grey_T"):
        assert effect[name] == pytest.approx(float(stated[f"natural_{name}"]))
    assert {"colorpipe", "torch", "numpy"} <= effect["versions"].keys()
    status, _, told = cli("run", album / "0.png", "--recipe", "r.json", "-o", "second")
    assert status == 0
    assert "other bits" not in told
    assert Path("first/0.png").read_bytes() == Path("second/0.png").read_bytes()
    assert "1 skipped" in cli("run", album / "0.png", "--recipe", "r.json", "-o", "first")[2]


def test_what_differs_from_a_recipe_is_said(album: Path, cli: Cli) -> None:
    _save_recipe(album, cli)
    raw = json.loads(Path("r.json").read_text())
    other = "bf16" if raw["in_effect"]["precision"] == "fp32" else "fp32"
    raw["in_effect"]["versions"]["torch"] = "1.0"
    raw["in_effect"]["precision"] = other
    raw["weights_sha256"] = "ab" * 32
    Path("r.json").write_text(json.dumps(raw))
    status, _, told = cli("run", album / "0.png", "--recipe", "r.json", "-o", "second")
    assert status == 0
    assert "it was made with torch 1.0, here is" in said(told)
    assert "its weights had SHA-256 abababababab.., here they have" in said(told)
    assert f"precision {other}" in said(told)  # as it was pinned, whatever is faster here
    told = said(cli("run", album / "0.png", "--recipe", "r.json", "--precision", "fp32", "-o", "third")[2])
    assert "precision fp32" in told


def test_the_pins_do_not_change_a_digest() -> None:
    session = Session("zhang", weights="zhang-compact", device="cpu", precision="fp32")
    pinned = session.pinned()
    assert pinned.in_effect["T"] == pytest.approx(float(read_tensors(BUNDLED)[1]["natural_T"]))
    assert Session(pinned).digest == session.digest
    assert Recipe.from_json(pinned.to_json()) == pinned
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    assert np.array_equal(Session(pinned).colorize(grey), session.colorize(grey))


# --- words and switches -----------------------------------------------------------------------------------------------


def coloured(path: Path) -> None:
    hues = np.zeros((40, 60, 3), np.uint8)
    hues[:, :20], hues[:, 20:40], hues[:, 40:] = (40, 60, 180), (60, 150, 70), (170, 90, 50)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(hues, (0, 0), 3))


def sepia(path: Path) -> None:
    grey = write_grey(path).astype(np.float32)
    assert cv2.imwrite(str(path), np.dstack([grey * 0.72, grey * 0.89, np.minimum(grey * 1.1, 255)]).astype(np.uint8))


def test_colour_pictures_are_told_once_and_may_be_passed_over(album: Path, words: list, cli: Cli) -> None:
    coloured(album / "colour.png")
    coloured(album / "more.jpg")
    sepia(album / "sepia.jpg")
    status, _, told = cli("run", album, *words)
    assert (status, "6 done" in told) == (0, True)
    assert said(told).count("2 pictures were in colour already: given new colours; --only-grey passes over such") == 1
    status, _, told = cli("run", album, *words, "--only-grey", "-o", "grey", "--json", "run.jsonl")
    assert status == 0
    assert "4 done, 2 skipped" in told
    assert said(told).count("2 pictures were in colour already: passed over") == 1
    assert sorted(path.name for path in Path("grey").glob("*.*g")) == ["0.png", "1.png", "2.png", "sepia.jpg"]
    outcomes = {json.loads(line)["input"]: json.loads(line) for line in Path("run.jsonl").read_text().splitlines()}
    assert outcomes[str(album / "colour.png")]["output"] is None


def test_dates_are_kept_where_that_is_asked(album: Path, words: list, cli: Cli) -> None:
    make_clip(album / "film.mkv")
    for path in album.iterdir():
        os.utime(path, (1_000_000_000, 900_000_000))
    assert cli("run", album, *words, "--keep-dates")[0] == 0
    results = [album.parent / "colorized" / path.name for path in album.iterdir()]
    assert {path.stat().st_mtime for path in results} == {900_000_000}
    assert "4 skipped" in cli("run", album, *words, "--keep-dates")[2]
    assert cli("run", album, *words, "-o", "new")[0] == 0
    assert all((album.parent / "new" / path.name).stat().st_mtime > 1_000_000_000 for path in album.iterdir())


def test_help_is_short_and_help_all_is_whole(cli: Cli) -> None:
    status, short, _ = cli("run", "--help")
    assert status == 0
    rows = [line.strip("│ ").split() for line in short.splitlines()]
    flags = {words[0] for words in rows if words and words[0].startswith("--")}
    assert {"--output", "--overwrite", "--dry-run", "--preview", "--colorizer", "--saturation", "--help-all"} <= flags
    assert len(flags - {"--help"}) <= 11
    status, whole, _ = cli("run", "--help-all")
    assert status == 0
    for flag in (
        "--require-gpu",
        "--crf",
        "--T",
        "--only-grey",
        "--keep-dates",
        "--preprocessor",
        "--json",
        "--output",
    ):
        assert flag in whole
    _, named, _ = cli("run", "--help", "--colorizer", "zhang")
    assert "--T" in named
    assert "--crf" not in named
    assert "--crf" in cli("run", "--help-all", "--colorizer", "zhang")[1]


# --- what folders hold besides ----------------------------------------------------------------------------------------


def test_training_finds_what_a_run_finds(workplace: Path, cli: Cli, tint: Path) -> None:
    """Its own results, thumbnails and hint files are no pictures to learn from."""
    from colorpipe.media.inputs import find_inputs
    from colorpipe.training import find_pictures

    for name in ("a.png", "deep/b.png", "@eaDir/a.png", ".hidden/c.png", "b.hints.png"):
        write_grey(workplace / "album" / name)
    assert cli("run", "album/a.png", "-o", "album/made", "--plugin", tint, "--colorizer", "tint")[0] == 0
    found = find_pictures(workplace / "album")
    assert [path.relative_to(workplace / "album").as_posix() for path in found] == ["a.png", "deep/b.png"]
    assert {path.name for path in found} == {item.path.name for item in find_inputs([workplace / "album"])}
    (workplace / "empty").mkdir()
    assert find_pictures(workplace / "empty") == []


def test_an_evaluation_names_what_it_passed_over(workplace: Path, cli: Cli) -> None:
    small("colour/coffee.jpg", workplace / "photos" / "a.jpg", 40)
    (workplace / "photos" / "b.psd").write_bytes(b"8BPS")
    status, _, told = cli("eval", "photos", "--colorizer", "palette-cnn", "--evaluator", "psnr", "--json", "found.json")
    assert status == 0, told
    assert json.loads(Path("found.json").read_text())["passed_over"] == ["photos/b.psd"]
