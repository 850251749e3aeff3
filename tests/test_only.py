"""``run --only LIST``: what a list names is worked on, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import colorpipe
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_pages import small_film
from tests.test_whose_results import TINT, names


@pytest.fixture
def album(workplace: Path) -> Path:
    for name in ("a.png", "1931/river.png", "1931/boat.png", "1946/river.png"):
        write_grey(workplace / "album" / name)
    return workplace / "album"


LISTS = {
    "plain.txt": "album/a.png\n\n1931/boat.png\r\n",
    "table.csv": '\ufeffinput,output,look\r\nalbum/a.png,x,1\r\n"{here}/album/1931/boat.png","y, z",0.5\r\n',
    "names.json": '["a.png", "{here}/album/1931/boat.png"]',
    "objects.json": '[{{"input": "album/a.png"}}, {{"input": "1931/boat.png", "reasons": "x"}}]',
    "lines.jsonl": '{{"input": "album/a.png", "status": "failed"}}\n{{"input": "album/1931/boat.png"}}\n',
    "no-suffix": "input,why\nalbum/a.png,x\n1931/boat.png,y\n",
}


@pytest.mark.parametrize("form", LISTS)
def test_each_form_of_a_list(album: Path, cli: Cli, tint: Path, form: str) -> None:
    text = LISTS[form].format(here=album.parent) if "{" in LISTS[form] else LISTS[form]
    Path(form).write_bytes(text.encode())
    status, _, told = cli("run", "album", "-o", "out", "--only", form, *TINT, tint)
    assert status == 0, told
    assert names(Path("out")) == {"a.png", "1931/boat.png"}
    assert "2 done" in told
    assert "--only" not in told


def test_names_that_are_not_found_are_told(album: Path, cli: Cli, tint: Path) -> None:
    Path("list.txt").write_text("a.png\nriver.png\nnobody.png\n/elsewhere/1946/river.png\n")
    status, _, told = cli("run", "album", "-o", "out", "--only", "list.txt", *TINT, tint)
    assert status == 0
    assert "--only list.txt: not among the inputs: nobody.png\n" in told
    assert "several inputs' paths, and passed over: give more of the path: river.png\n" in told
    assert names(Path("out")) == {"a.png", "1946/river.png"}  # the second was moved with its folder


def test_only_those_are_made_again(album: Path, cli: Cli, tint: Path) -> None:
    assert cli("run", "album", "-o", "out", *TINT, tint)[0] == 0
    before = {name: (Path("out") / name).read_bytes() for name in names(Path("out"))}
    Path("list.txt").write_text("1931/river.png\n")
    words = ["--only", "list.txt", "--overwrite", "--strength", "50"]
    status, out, told = cli("run", "album", "-o", "out", *words, "--dry-run", *TINT, tint)
    assert status == 0
    assert "1 picture would be replaced" in out
    assert "boat" not in out + told
    assert cli("run", "album", "-o", "out", *words, *TINT, tint)[0] == 0
    changed = {name for name, data in before.items() if (Path("out") / name).read_bytes() != data}
    assert changed == {"1931/river.png"}


def test_results_keep_the_names_that_they_have_among_all(album: Path, cli: Cli, tint: Path) -> None:
    write_grey(album / "a.bmp", seed=5)
    Path("list.txt").write_text("a.bmp\n")
    assert cli("run", "album", "-o", "out", "--only", "list.txt", *TINT, tint)[0] == 0
    assert names(Path("out")) == {"a.bmp.png"}  # a.png is the place of a.png


def test_films_and_stray_hints(album: Path, cli: Cli, tint: Path) -> None:
    small_film(album / "film.mkv", 6)
    write_grey(album / "a.hints.png")
    Path("list.txt").write_text("film.mkv\n")
    status, _, told = cli("run", "album", "-o", "out", "--only", "list.txt", *TINT, tint)
    assert status == 0, told
    assert names(Path("out")) == {"film.mkv"}
    assert "was not used" not in told  # the hints are of a picture that is there, and is left out now


def test_shards_share_what_the_list_names(album: Path, cli: Cli, tint: Path) -> None:
    Path("list.txt").write_text("a.png\n1931/river.png\n1931/boat.png\n")
    for part in ("1/2", "2/2"):
        assert cli("run", "album", "-o", "out", "--only", "list.txt", "--shard", part, *TINT, tint)[0] == 0
    assert names(Path("out")) == {"a.png", "1931/river.png", "1931/boat.png"}


def test_a_name_that_looks_like_json(album: Path, cli: Cli, tint: Path) -> None:
    write_grey(album / "[1931] boat.png")
    Path("list").write_text("[1931] boat.png\n")
    assert cli("run", "album", "-o", "out", "--only", "list", *TINT, tint)[0] == 0
    assert names(Path("out")) == {"[1931] boat.png"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.txt", "nobody.png\n", "nobody.png is not among the inputs"),
        ("two.txt", "x.png\ny.png\n", "2 names"),
        ("empty.txt", "\n\n", "it names nothing"),
        ("bad.json", "[1, 2", "this is no JSON"),
        ("number.json", "[1, 2]", "1 is no path"),
        ("keys.json", '[{"colour": "red"}]', "has no key 'input'"),
        ("columns.csv", "colour,size\nred,2\n", "names no column of paths"),
        ("binary.txt", "\0\1", "this is no list"),
        (None, "", "no such file"),
    ],
)
def test_a_list_that_cannot_be_used(album: Path, cli: Cli, tint: Path, name: str, text: str, said: str) -> None:
    if name:
        Path(name).write_text(text)
    status, _, told = cli("run", "album", "-o", "out", "--only", name or "missing.txt", *TINT, tint)
    assert status == 2
    assert said in told
    assert "Traceback" not in told
    assert not Path("out").exists()


def test_from_python(album: Path, tint: Path) -> None:
    Path("list.json").write_text(json.dumps(["1931/boat.png"]))
    outcomes = colorpipe.run("album", output="out", colorizer="tint", plugins=[tint], only="list.json")
    assert [outcome.input for outcome in outcomes] == [Path("album/1931/boat.png")]
