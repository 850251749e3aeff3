"""Nobody's result is replaced or taken for another's, and colorpipe's own results are no inputs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorpipe.batch.journal import NAME
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_video import make_clip

TINT = ("--colorizer", "tint", "--plugin")


def names(folder: Path) -> set[str]:
    """Every file below, hidden ones left out."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def grey_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L")).astype(int)


def albums(root: Path, name: str = "IMG_0001.png") -> tuple[np.ndarray, np.ndarray]:
    """Two folders with a picture of one name, size and date each."""
    first, second = (write_grey(root / year / name, seed=seed) for seed, year in enumerate(("1950", "1960")))
    for year in ("1950", "1960"):
        os.utime(root / year / name, ns=(10**18, 10**18))
    return first, second


@pytest.mark.parametrize("name", ["IMG_0001.png", "scan0001.bmp"])
def test_the_second_album_of_one_output_keeps_the_first(name: str, cli: Cli, tint: Path, workplace: Path) -> None:
    wanted = dict(zip(("1950", "1960"), albums(workplace, name), strict=True))
    first = Path("out", name).with_suffix(".png")
    second = first.with_stem(f"{first.stem}-2")
    for _ in range(2):  # done once, then known
        for year in wanted:
            status, _, told = cli("run", year, "-o", "out", *TINT, tint)
            assert status == 0, told
            last = told
    assert "0 done, 1 skipped" in last
    assert names(workplace / "out") == {first.name, second.name}
    for path, year in ((first, "1950"), (second, "1960")):
        assert np.abs(grey_of(path) - wanted[year]).mean() < 3
        assert cli("verify", year, "out", "-q")[0] == 0  # which finds each under its own name
    assert cli("run", "1960", "-o", "out", "--overwrite", *TINT, tint)[0] == 0
    assert np.abs(grey_of(first) - wanted["1960"]).mean() < 3  # asked for by name: replaced


def test_equal_size_and_date_do_not_make_another_album_done(cli: Cli, tint: Path, workplace: Path) -> None:
    """Uncompressed scans are all of one size, archives give equal dates."""
    wanted = albums(workplace, "scan.bmp")
    sizes = {(workplace / year / "scan.bmp").stat().st_size for year in ("1950", "1960")}
    assert len(sizes) == 1
    cli("run", "1950", "-o", "out", *TINT, tint)
    _, _, told = cli("run", "1960", "-o", "out", *TINT, tint)
    assert "1 done" in told
    assert "scan.png is the result of 1950/scan.bmp: this one is scan-2.png" in told
    assert np.abs(grey_of(Path("out/scan-2.png")) - wanted[1]).mean() < 3


def test_a_named_output_is_refused_when_it_is_anothers(cli: Cli, tint: Path, workplace: Path) -> None:
    albums(workplace)
    assert cli("run", "1950/IMG_0001.png", "-o", "one.png", *TINT, tint)[0] == 0
    before = Path("one.png").read_bytes()
    status, _, told = cli("run", "1960/IMG_0001.png", "-o", "one.png", *TINT, tint)
    assert status == 1
    assert "one.png is the result of 1950/IMG_0001.png, not of 1960/IMG_0001.png" in told
    assert Path("one.png").read_bytes() == before


def test_a_moved_album_is_still_done(cli: Cli, tint: Path, workplace: Path) -> None:
    albums(workplace)
    cli("run", "1950", "-o", "out", *TINT, tint)
    shutil.move("1950", "archive")
    assert "0 done, 1 skipped" in cli("run", "archive", "-o", "out", *TINT, tint)[2]


def test_journals_of_earlier_versions_are_understood(cli: Cli, tint: Path, workplace: Path) -> None:
    albums(workplace)
    cli("run", "1950", "-o", "out", *TINT, tint)
    journal = workplace / "out" / NAME
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        assert line["source"].pop("place") == str(workplace / "1950/IMG_0001.png")
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "0 done, 1 skipped" in cli("run", "1950", "-o", "out", *TINT, tint)[2]
    assert "1 done" in cli("run", "1960", "-o", "out", *TINT, tint)[2]
    assert names(workplace / "out") == {"IMG_0001.png", "IMG_0001-2.png"}


def test_films_and_previews_of_two_sources_keep_apart(cli: Cli, tint: Path, workplace: Path) -> None:
    for year in ("1950", "1960"):
        (workplace / year).mkdir()
        make_clip(workplace / year / "film.mkv", ticks=range(0, 400, 40))
    for words in ((), ("--preview", "0.2")):
        for year in ("1950", "1960"):
            assert cli("run", year, "-o", "out", "--codec", "ffv1", *words, *TINT, tint)[0] == 0
    assert names(workplace / "out") == {
        "film.mkv", "film-2.mkv", "film.preview.mkv", "film.preview-2.mkv",
    }  # fmt: skip


def test_a_film_that_is_whole_but_for_its_last_step_keeps_its_place(cli: Cli, tint: Path, workplace: Path) -> None:
    from colorpipe.batch.journal import Journal
    from colorpipe.files import working_folder

    for year in ("1950", "1960"):
        (workplace / year).mkdir()
        make_clip(workplace / year / "film.mkv", ticks=range(0, 400, 40))
    half = Path("out/film.mkv")
    working_folder(half).mkdir(parents=True)  # as a run that was killed leaves it
    Journal(half.parent, "recipe").begin(Path("1950/film.mkv"), half)
    assert cli("run", "1960", "-o", "out", "--codec", "ffv1", *TINT, tint)[0] == 0
    assert names(workplace / "out") == {"film-2.mkv"}
    assert working_folder(half).is_dir()


def test_a_comparison_replaces_nobodys_file(cli: Cli, tint: Path, workplace: Path) -> None:
    albums(workplace)
    (workplace / "out").mkdir()
    foreign = workplace / "out" / "IMG_0001.compare.jpg"
    write_grey(foreign)
    before = foreign.read_bytes()
    status, _, told = cli("run", "1950", "-o", "out", "--compare", *TINT, tint)
    assert status == 0
    assert "no comparison was made" in told
    assert foreign.read_bytes() == before
    cli("run", "1960", "-o", "out", "--compare", *TINT, tint)
    assert names(workplace / "out") == {
        "IMG_0001.png", "IMG_0001-2.png", "IMG_0001.compare.jpg", "IMG_0001-2.compare.jpg",
    }  # fmt: skip
    assert foreign.read_bytes() == before


def test_earlier_results_are_no_inputs(cli: Cli, tint: Path, workplace: Path) -> None:
    for name in ("a.png", "b.png"):
        write_grey(workplace / name)
    for index, words in enumerate(([], ["-o", "try2"], ["-o", "try3", "--compare"], ["-o", "try4"])):
        _, _, told = cli("run", ".", "--saturation", str(1 + index / 10), *words, *TINT, tint)
        assert "2 done" in told, told
        assert told.count("of colorpipe left out") == (index > 0)
    # beside the sources, too
    cli("run", "a.png", "-o", "a-colour.png", *TINT, tint)
    assert "2 done" in cli("run", ".", "-o", "try5", *TINT, tint)[2]
    # a file that is named is always taken
    assert "1 done" in cli("run", "a-colour.png", "-o", "again", *TINT, tint)[2]


def test_a_picture_that_somebody_put_among_the_results_is_an_input(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.png")
    cli("run", "a.png", *TINT, tint)
    write_grey(workplace / "colorized" / "put-here.png")
    _, _, told = cli("run", ".", "-o", "out", *TINT, tint)
    assert "2 done" in told
    assert names(workplace / "out") == {"a.png", "colorized/put-here.png"}
