"""``--sidecar`` and ``--bag``: what an archive keeps beside the results, read back by other readers."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import bagit
import pytest

from colorpipe.batch import bag
from colorpipe.types import Recipe
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_video import make_clip


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.png", "1931/b.jpg", "1931/50%.png", "c c.tif"):
        write_grey(tmp_path / "album" / name, 12, 16, seed=len(name))
    return tmp_path / "album"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        str(path.relative_to(folder)).removesuffix(".colorpipe.json"): json.loads(path.read_text())
        for path in folder.rglob("*.colorpipe.json")
    }


def words(tint: Path, *more: str | Path) -> list[str | Path]:
    return ["--plugin", tint, "--colorizer", "tint", *more]


def test_a_sidecar_has_what_its_result_was_made_of(album: Path, tmp_path: Path, tint: Path, cli: Cli) -> None:
    saved = tmp_path / "recipe.json"
    status, _, said = cli("run", album, "-o", tmp_path / "out", "--sidecar", "--save-recipe", saved, *words(tint))
    assert status == 0, said
    told = records(tmp_path / "out")
    assert sorted(told) == ["1931/50%.png", "1931/b.jpg", "a.png", "c c.tif"]
    for name, record in told.items():
        assert record["source"]["path"] == name
        assert record["source"]["sha256"] == sha256(album / name)
        assert record["result"]["sha256"] == sha256(tmp_path / "out" / name)
        assert record["result"]["size"] == (tmp_path / "out" / name).stat().st_size
        assert record["label"]["DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
        recipe = Recipe.from_json(json.dumps(record["recipe"]))
        assert recipe.digest() == record["recipe_digest"] == Recipe.from_json(saved.read_text()).digest()
        assert recipe.colorizer.options["strength"] == 20


def test_weights_are_named(album: Path, tmp_path: Path, cli: Cli) -> None:
    assert cli("run", album / "a.png", "-o", tmp_path / "out", "--sidecar", "--precision", "fp32")[0] == 0
    (record,) = records(tmp_path / "out").values()
    assert record["weights"]["name"] == "zhang-base"
    assert len(record["weights"]["sha256"]) == 64


def test_results_of_an_earlier_run_get_theirs(album: Path, tmp_path: Path, tint: Path, cli: Cli) -> None:
    call = ["run", album, "-o", tmp_path / "out", *words(tint)]
    assert cli(*call)[0] == 0
    assert not records(tmp_path / "out")
    touched = tmp_path / "out" / "a.png"
    write_grey(touched, 30, 30)
    assert "4 skipped" in cli(*call, "--sidecar")[2]
    late = records(tmp_path / "out")
    assert sorted(late) == ["1931/50%.png", "1931/b.jpg", "c c.tif"], "what a person changed is no longer the result"
    assert cli(*call, "--sidecar", "--overwrite")[0] == 0
    again = records(tmp_path / "out")
    assert {name: again[name] for name in late} == late


def test_another_programs_file_is_left(album: Path, tmp_path: Path, tint: Path, cli: Cli) -> None:
    other = tmp_path / "out" / "a.png.colorpipe.json"
    other.parent.mkdir()
    other.write_text("{}")
    status, _, said = cli("run", album / "a.png", "-o", tmp_path / "out", "--sidecar", *words(tint))
    assert (status, other.read_text()) == (1, "{}")
    assert "is no sidecar of colorpipe" in said


def test_a_bag_validates_and_grows(album: Path, tmp_path: Path, tint: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    call = ["run", album, "-o", out, "--bag", "--sidecar", *words(tint)]
    (album / "1931" / "50%.png").rename(album / "1931" / "50.png")  # the other reader knows no %25
    make_clip(album / "reel.mkv")
    for number in (1, 2):  # shards, one after the other: each leaves a whole bag
        assert cli(*call, "--shard", f"{number}/2")[0] == 0
        bagit.Bag(str(out)).validate()
    made = bagit.Bag(str(out))
    assert made.version_info == (1, 0)
    names = ["1931/50.png", "1931/b.jpg", "a.png", "c c.tif", "reel.mkv"]
    wanted = sorted(f"data/{name}{end}" for name in names for end in ("", ".colorpipe.json"))
    assert sorted(made.payload_entries()) == wanted
    size = sum((out / name).stat().st_size for name in wanted)
    assert made.info["Payload-Oxum"] == f"{size}.{len(wanted)}"
    manifest = (out / "manifest-sha256.txt").read_bytes()
    assert "5 skipped" in cli(*call)[2]
    bagit.Bag(str(out)).validate()
    assert (out / "manifest-sha256.txt").read_bytes() == manifest
    write_grey(album / "new.png")
    assert "1 done, 5 skipped" in cli(*call)[2]
    bagit.Bag(str(out)).validate()
    assert "data/new.png" in bagit.Bag(str(out)).payload_entries()


def test_damage_in_a_bag_is_found_though_the_journal_knew_it(album: Path, tmp_path: Path, tint: Path, cli: Cli) -> None:
    call = ["run", album / "a.png", "-o", tmp_path / "out", "--bag", *words(tint)]
    assert cli(*call)[0] == 0
    result = tmp_path / "out" / "data" / "a.png"
    status, data = result.stat(), bytearray(result.read_bytes())
    data[-20] ^= 1
    result.write_bytes(data)
    os.utime(result, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(bagit.BagValidationError, match=r"a\.png"):
        bagit.Bag(str(tmp_path / "out")).validate()


def test_names_are_encoded_as_the_rfc_says(tmp_path: Path) -> None:
    """Its section 2.1.3: line breaks and the percent sign, and nothing else."""
    for name in ("50%.png", "two\nlines.png", "ä ö.png", "carriage\rreturn.png"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"x")
    bag.close_bag(tmp_path)
    lines = (tmp_path / "manifest-sha256.txt").read_bytes().split(b"\n")
    digest = hashlib.sha256(b"x").hexdigest()
    wanted = ["data/50%25.png", "data/carriage%0Dreturn.png", "data/two%0Alines.png", "data/ä ö.png", None]
    assert lines == [b"" if name is None else f"{digest}  {name}".encode() for name in wanted]
    (tmp_path / "data" / "50%.png").unlink()
    bag.close_bag(tmp_path)
    bagit.Bag(str(tmp_path)).validate()


def test_an_unfinished_film_keeps_a_bag_open(
    album: Path, tmp_path: Path, tint: Path, cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    call = ["run", album / "a.png", "-o", tmp_path / "out", "--bag", *words(tint)]
    left = tmp_path / "out" / "data" / ".reel.mkv.colorpipe"
    left.mkdir(parents=True)
    (left / "manifest.jsonl").write_text("{}\n")
    assert cli(*call)[0] == 0
    assert "is not closed" in caplog.text
    assert not (tmp_path / "out" / "manifest-sha256.txt").exists()


@pytest.mark.parametrize(("output", "said"), [("out.png", "--bag makes a folder"), ("full", "has other files (x.txt)")])
def test_where_no_bag_can_be(album: Path, tmp_path: Path, tint: Path, cli: Cli, output: str, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("x")
    status, _, told = cli("run", album / "a.png", "-o", tmp_path / output, "--bag", *words(tint))
    assert status == 2
    assert said in told
