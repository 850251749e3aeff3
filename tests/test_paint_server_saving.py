"""What a page saves: files that ``colorpipe run`` makes the same result of, and nothing else."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colorpipe.cli.app import main
from colorpipe.errors import ColorpipeError, InputError, UsageError
from colorpipe.guidance import colours
from colorpipe.guidance.strokes import read_strokes
from colorpipe.media import open_source
from colorpipe.media.video.seeking import frame_at, frames_from
from colorpipe.settings import MediaOptions
from colorpipe.types import Recipe, Stage
from colorpipe.web import items, saving
from colorpipe.web.album import Album
from colorpipe.web.work import BusyError, Work
from tests.paint_page import decoded, files, film, photo, stroke

RECIPE = Recipe(Stage("zhang"), weights="zhang-compact")


def finished(album: Album) -> dict[str, Any]:
    assert album.bench.wait(240)
    assert album.bench.last is not None
    return album.bench.last.told()


def states(album: Album) -> list[str]:
    return [item["state"] for item in album.state()["items"]]


def test_a_saved_photo_comes_out_of_run_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "coat.jpg", side=320)
    source = Path("coat.jpg").read_bytes()
    album = Album(["coat.jpg"], recipe=RECIPE)
    album.paint(1, 0, [stroke(0.2, 0.2, 0.03), stroke(0.7, 0.8, kind="keep", lab=None)])
    album.set(1, {"options": {"decoder": {"T": 0.2}, "merge": {"temperature": 8, "hint_reach": 0.4}}})
    album.save([1])
    assert finished(album)["state"] == "done"
    assert states(album) == ["saved"]
    names = {"coat.jpg", "coat.hints.json", "colorized/coat.jpg", "colorized/coat.jpg.recipe.json"}
    assert set(files(tmp_path)) == {*names, "colorized/.colorpipe.jsonl"}
    assert Path("coat.jpg").read_bytes() == source
    saved = Path("colorized/coat.jpg").read_bytes()
    recipe = "colorized/coat.jpg.recipe.json"
    assert main(["run", "coat.jpg", "-o", "again/", "--recipe", recipe]) == 0
    assert Path("again/coat.jpg").read_bytes() == saved
    assert main(shlex.split(album.item_told(1)["command"])[1:]) == 0
    assert Path("colorized/coat.jpg").read_bytes() == saved
    # and the picture of the page is that of the file
    shown = decoded(album.studio.picture(album.item(1), 0, "result", fine=True).data).astype(int)
    assert np.abs(shown - decoded(saved)).mean() < 4
    quick = decoded(album.studio.picture(album.item(1), 0, "result").data).astype(int)
    assert np.abs(shown - quick).mean() < 1.5
    # it is known again, with strokes and settings
    again = Album(["coat.jpg"], recipe=RECIPE)
    told = again.item_told(1)
    assert (told["state"], told["painted"]) == ("made", 2)
    assert told["settings"] == album.item_told(1)["settings"]
    assert told["strokes"] == album.item_told(1)["strokes"]
    # what it was made with was not touched: a second save passes it over
    before = files(tmp_path)
    again.save("all")
    finished(again)
    assert files(tmp_path) == before


def test_a_saved_film_comes_out_of_run_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "film.mp4", (8, 7))
    album = Album(["film.mp4"], Path("out"), RECIPE)
    with pytest.raises(InputError, match="not looked through"):
        album.studio.picture(album.item(1), 5, "grey")
    album.scan(1)
    assert finished(album)["state"] == "done"
    told = album.item_told(1)["film"]
    assert [(shot["first"], shot["last"]) for shot in told["shots"]] == [(0, 7), (8, 14)]
    assert {0, 8} <= set(told["keys"])
    album.paint(1, 10, [stroke(0.5, 0.5, 0.1)])
    album.paint(1, 3, [stroke(0.2, 0.2, 0.1, name="door")])
    album.preview(1, 1)
    assert finished(album)["state"] == "done"
    preview = album.films.preview_told(album.item(1))
    assert (preview["first"], preview["count"], preview["current"]) == (8, 7, True)
    shown = decoded(album.films.preview_frame(album.item(1), 3)).astype(int)
    album.save("changed")
    assert finished(album)["state"] == "done", finished(album)
    assert read_strokes(Path("film.000010.hints.json")).strokes[0].frame == 0
    assert Path("film.000003.hints.json").is_file()
    assert colours.read(Path()) == {"door": (-40.0, 35.0)}
    assert main(["run", "film.mp4", "-o", "again/", "--recipe", "out/film.mp4.recipe.json"]) == 0
    assert Path("again/film.mp4").read_bytes() == Path("out/film.mp4").read_bytes()
    # the preview is what the film became
    made = list(open_source(Path("out/film.mp4"), MediaOptions()))
    from colorpipe import color

    assert np.abs(shown - color.rgb(made[11]) * 255).mean() < 6
    greenness = [color.rgb(frame)[48, 64, 1] - color.rgb(frame)[48, 64, 0] for frame in (made[7], made[10], made[14])]
    assert greenness[1] > greenness[0] + 0.1
    album.paint(1, 10, [])
    assert album.films.preview_told(album.item(1))["current"] is False
    album.save("all")
    finished(album)
    assert not Path("film.000010.hints.json").exists()


def test_every_frame_of_a_film_is_found_by_seeking(tmp_path: Path) -> None:
    path, options = film(tmp_path / "film.mp4", (40, 30)), MediaOptions()
    with open_source(path, options) as source:
        frames = list(source)
    for number in (0, 1, 17, 39, 40, 69):
        assert np.array_equal(frame_at(path, number, frames[number].pts, options).luma, frames[number].luma)
    with frames_from(path, 35, frames[35].pts, options) as sought:
        found = list(sought.frames)
    assert [frame.index for frame in found] == list(range(35, 70))
    assert all(np.array_equal(a.luma, b.luma) for a, b in zip(found, frames[35:], strict=True))
    # a time that the film does not have: read from the beginning
    assert np.array_equal(frame_at(path, 17, frames[17].pts + frames[1].pts / 3, options).luma, frames[17].luma)  # type: ignore[operator]
    with pytest.raises(InputError, match="no frame 70"):
        frame_at(path, 70, None, options)


def test_a_folder_keeps_each_picture_s_own_settings_and_a_bad_one_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "below/b.png", "c.jpg"):
        photo(tmp_path / "album" / name, side=128)
    (tmp_path / "album" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    album = Album(["album"], Path("out"), RECIPE)
    numbers = {item["name"]: item["id"] for item in album.told()["items"]}
    assert set(numbers) == {"a.jpg", "b.png", "c.jpg", "broken.jpg"}
    album.set(numbers["a.jpg"], {"options": {"merge": {"saturation": 2}}})
    album.spread(numbers["a.jpg"], [numbers["b.png"]])
    album.paint(numbers["c.jpg"], 0, [stroke(0.5, 0.5)])
    album.save("all")
    assert finished(album)["done"] == 4
    told = {item["name"]: item for item in album.told()["items"]}
    assert {name: item["state"] for name, item in told.items()} == {
        "a.jpg": "saved",
        "b.png": "saved",
        "c.jpg": "saved",
        "broken.jpg": "failed",
    }
    assert "broken.jpg" in told["broken.jpg"]["error"]
    for name, saturation in (("a.jpg", 2.0), ("below/b.png", 2.0), ("c.jpg", 1.0)):
        recipe = json.loads(Path(f"out/{name}.recipe.json").read_text())
        assert recipe["settings"]["saturation"] == saturation
        assert main(["run", f"album/{name}", "-o", f"again/{name}", "--recipe", f"out/{name}.recipe.json"]) == 0
        assert Path(f"again/{name}").read_bytes() == Path(f"out/{name}").read_bytes()
    with pytest.raises(UsageError, match="nothing to save"):
        album.save([])


def test_a_named_colour_is_the_album_s_and_every_picture_follows_it(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        photo(tmp_path / name, side=128)
    album = Album([tmp_path], tmp_path / "out", RECIPE)
    album.name_colour(1, "coat", [-40, 30])
    assert colours.read(tmp_path) == {"coat": (-40.0, 30.0)}
    for number in (1, 2):
        album.paint(number, 0, [stroke(0.5, 0.5, 0.1, lab=None, name="coat")])
    before = album.studio.picture(album.item(2), 0, "result").data
    album.name_colour(1, "coat", [40, 30])
    after = album.studio.picture(album.item(2), 0, "result").data
    place = [decoded(data)[64, 50].astype(int) for data in (before, after)]
    assert place[0][1] > place[0][0]
    assert place[1][0] > place[1][1] + 20
    album.save("all")
    finished(album)
    assert read_strokes(tmp_path / "b.hints.json").strokes[0].ab is None  # the album's, in the file too
    for name, ab in (("", [1, 2]), ("x" * 101, [1, 2]), ("x", [1]), ("x", [1, 200]), ("x", "12"), (3, [1, 2])):
        with pytest.raises(InputError):
            album.name_colour(1, name, ab)
    assert colours.read(tmp_path) == {"coat": (40.0, 30.0)}


def test_a_painted_png_counts_and_lies_under_the_strokes(tmp_path: Path) -> None:
    import cv2

    photo(tmp_path / "a.png", side=128)
    painted = np.zeros((128, 99, 4), np.uint8)
    painted[20:40, 20:40] = (0, 0, 255, 255)
    assert cv2.imwrite(str(tmp_path / "a.hints.png"), painted)
    album = Album([tmp_path / "a.png"], tmp_path / "out", RECIPE)
    assert album.item_told(1)["painting"] == ["a.hints.png"]
    shown = decoded(album.studio.picture(album.item(1), 0, "result").data).astype(int)
    assert shown[30, 30, 0] > shown[30, 30, 1] + 15
    album.paint(1, 0, [stroke(0.3, 0.23, 0.05, kind="neutral", lab=None)])
    shown = decoded(album.studio.picture(album.item(1), 0, "result").data).astype(int)
    assert np.ptp(shown[30, 30]) < 8


def test_strokes_of_another_file_are_told(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", side=96)
    told = {"version": 1, "size": [96, 96], "source_sha256": "0" * 64, "strokes": [stroke(0.5, 0.5)]}
    photo(tmp_path / "a.jpg", side=96)
    (tmp_path / "a.hints.json").write_text(json.dumps({**told, "size": [74, 96]}))
    album = Album([tmp_path / "a.jpg"], tmp_path / "out", RECIPE)
    assert "painted on another file" in " ".join(album.item_told(1)["notes"])
    album.paint(1, 0, [stroke(0.4, 0.4)])
    album.save("all")
    finished(album)
    assert Album([tmp_path / "a.jpg"], tmp_path / "out", RECIPE).item_told(1)["notes"] == []


def test_a_result_that_is_somebody_s_is_not_replaced_unasked(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", side=96)
    photo(tmp_path / "out" / "a.jpg", "einstein-1947.jpg", 96)
    theirs = (tmp_path / "out" / "a.jpg").read_bytes()
    album = Album([tmp_path / "a.jpg"], tmp_path / "out", RECIPE)
    album.save("all")
    finished(album)
    told = album.told()["items"][0]
    assert told["state"] == "failed"
    assert "was not made by colorpipe" in told["error"]
    assert "--overwrite" in told["hint"]
    assert (tmp_path / "out" / "a.jpg").read_bytes() == theirs
    album.save("all", overwrite=True)
    finished(album)
    assert states(album) == ["saved"]
    assert (tmp_path / "out" / "a.jpg").read_bytes() != theirs


def test_nothing_is_written_over_a_source_or_another_s_file(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", side=96)
    with pytest.raises(UsageError, match="would replace the source"):
        Album([tmp_path / "a.jpg"], tmp_path, RECIPE)
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.jpg.recipe.json").write_text("my own notes")
    album = Album([tmp_path / "a.jpg"], out, RECIPE)
    album.save("all")
    finished(album)
    assert (out / "a.jpg.recipe.json").read_text() == "my own notes"
    assert "the recipe was not written" in " ".join(album.told()["items"][0]["notes"])


def test_links_in_the_folder_of_results_lead_nowhere(tmp_path: Path) -> None:
    photo(tmp_path / "album" / "below" / "a.jpg", side=96)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "below").symlink_to(tmp_path / "elsewhere")
    album = Album([tmp_path / "album"], tmp_path / "out", RECIPE)
    album.paint(1, 0, [stroke(0.5, 0.5)])
    album.save("all")
    finished(album)
    assert "leads out of the folder of the results" in album.told()["items"][0]["error"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_hint_file_that_is_a_link_is_refused_and_one_that_is_damaged_is_left(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(tmp_path / name, side=96)
    (tmp_path / "mine.json").write_text('{"version": 1, "size": [96, 96], "strokes": []}')
    (tmp_path / "a.hints.json").symlink_to(tmp_path / "mine.json")
    (tmp_path / "b.hints.json").write_text("{")
    album = Album([tmp_path], tmp_path / "out", RECIPE)
    told = {item["name"]: item for item in album.told()["items"]}
    assert "leads out of its folder" in told["a.jpg"]["error"]
    assert "is not JSON" in told["b.jpg"]["error"]
    assert told["c.jpg"]["state"] == "new"
    album.save("all")
    finished(album)
    assert (tmp_path / "b.hints.json").read_text() == "{"


def test_where_the_source_s_folder_is_read_only_hints_lie_beside_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "archive" / "a.jpg", side=96)
    monkeypatch.setattr(items, "can_write", lambda folder: folder != Path("archive"))
    album = Album(["archive/a.jpg"], Path("out"), RECIPE)
    album.paint(1, 0, [stroke(0.5, 0.5, name="sky")])
    album.save("all")
    finished(album)
    assert states(album) == ["saved"]
    assert os.listdir("archive") == ["a.jpg"]
    told = shlex.split(album.item_told(1)["command"])
    assert told[told.index("--hints") + 1] == "out/a.hints.json"
    saved = Path("out/a.jpg").read_bytes()
    assert main(told[1:]) == 0
    assert Path("out/a.jpg").read_bytes() == saved
    assert Album(["archive/a.jpg"], Path("out"), RECIPE).item_told(1)["painted"] == 1


def test_work_comes_one_at_a_time_and_can_be_stopped(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", (60, 60))
    album = Album([path], tmp_path / "out", RECIPE)
    album.save("all")
    with pytest.raises(BusyError):
        album.scan(1)
    album.bench.stop()
    assert finished(album)["state"] == "stopped"
    assert states(album)[0] in ("changed", "failed")
    assert not (tmp_path / "out" / "film.mp4").exists()
    album.save("all")
    assert finished(album)["state"] == "done"
    assert states(album) == ["saved"]
    album.close()


def test_what_is_painted_while_it_is_saved_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "a.jpg", side=96)
    album = Album([tmp_path / "a.jpg"], tmp_path / "out", RECIPE)
    album.paint(1, 0, [stroke(0.5, 0.5)])
    before = saving.Saver.save

    def late(self: saving.Saver, *arguments: Any) -> None:
        album.paint(1, 0, [stroke(0.5, 0.5), stroke(0.2, 0.2)])
        before(self, *arguments)

    monkeypatch.setattr(saving.Saver, "save", late)
    album.save("all")
    finished(album)
    assert states(album) == ["changed"]
    assert len(read_strokes(tmp_path / "a.hints.json").strokes) == 1
    monkeypatch.undo()
    album.save("changed")
    finished(album)
    assert states(album) == ["saved"]
    assert len(read_strokes(tmp_path / "a.hints.json").strokes) == 2


def test_a_method_that_takes_hints_itself_is_asked_anew_for_each_stroke(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", side=128)
    album = Album([tmp_path / "a.png"], tmp_path / "out", Recipe(Stage("levin")))
    album.paint(1, 0, [stroke(0.2, 0.2, 0.03)])
    first = decoded(album.studio.picture(album.item(1), 0, "result").data).astype(int)
    album.paint(1, 0, [stroke(0.2, 0.2, 0.03), stroke(0.7, 0.7, 0.03, lab=[None, 40, 40])])
    second = decoded(album.studio.picture(album.item(1), 0, "result").data).astype(int)
    assert np.abs(first - second)[80:100, 60:80].mean() > 5
    assert np.ptp(decoded(album.studio.picture(album.item(1), 0, "method").data), axis=2).mean() < 3


def test_an_unexpected_error_is_told_and_ends_only_its_work(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", side=96)
    album = Album([tmp_path / "a.jpg"], tmp_path / "out", RECIPE)

    def fail(work: Work) -> None:
        raise RuntimeError("a bug")

    album.bench.start("save", [1], fail)
    told = finished(album)
    assert (told["state"], told["error"]) == ("failed", "unexpected RuntimeError: a bug")
    album.save("all")
    assert finished(album)["state"] == "done"


def test_no_such_item_shot_or_frame(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    photo(tmp_path / "a.jpg", side=96)
    album = Album([tmp_path], tmp_path / "out", RECIPE)
    numbers = {item["name"]: item["id"] for item in album.told()["items"]}
    with pytest.raises(KeyError):
        album.item(99)
    with pytest.raises(UsageError, match="is a photo"):
        album.scan(numbers["a.jpg"])
    with pytest.raises(InputError, match="not looked through"):
        album.preview(numbers["film.mp4"], 0)
    album.scan(numbers["film.mp4"])
    finished(album)
    for shot, most in ((2, None), (-1, None), ("0", None), (0, 0), (0, 1000)):
        with pytest.raises(ColorpipeError):
            album.preview(numbers["film.mp4"], shot, most)
    with pytest.raises(InputError, match="no frame 26"):
        album.paint(numbers["film.mp4"], 26, [])
