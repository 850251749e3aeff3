"""Names that systems allow and programs stumble over; what folders hold besides photographs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_whose_results import TINT, names


def test_a_name_that_begins_with_a_tilde(cli: Cli, tint: Path, workplace: Path) -> None:
    for name in ("~anna.jpg", "berta.jpg", "~"):
        write_grey(workplace / f"{name}.jpg").tofile(workplace / "x.bin")
        (workplace / f"{name}.jpg").rename(workplace / name)
    status, _, told = cli("run", "~anna.jpg", "berta.jpg", "~", "-o", "out", *TINT, tint)
    assert status == 0, told
    assert {"~anna.jpg", "berta.jpg"} <= names(workplace / "out")
    assert cli("eval", "~anna.jpg", "--colorizer", "tint", "--plugin", tint)[0] in (0, 1)
    status, _, told = cli("run", "~nobody-of-this-name.jpg", *TINT, tint)
    assert status == 2
    assert "~nobody-of-this-name.jpg does not exist" in told
    assert cli("run", "berta.jpg", "--weights", "~nobody-of-this-name.pth")[0] == 2


@pytest.fixture
def latin(workplace: Path) -> Path:
    """An album with a name in Latin-1, as old CDs leave it."""
    names = (b"a.jpg", b"Gro\xdfmutter.jpg", b"z.jpg")
    (workplace / "album").mkdir()
    for number, name in enumerate(names):
        try:
            path = workplace / "album" / os.fsdecode(name)
            colours = [Image.fromarray(write_grey(workplace / "plain.jpg", seed=number + k)) for k in range(3)]
            Image.merge("RGB", colours).save("plain.jpg")
            (workplace / "plain.jpg").rename(path)
        except OSError as error:
            pytest.skip(f"this file system has no such names: {error}")
    return workplace / "album"


def test_a_name_in_latin_1_and_json(latin: Path, cli: Cli, tint: Path) -> None:
    odd = os.fsdecode(b"Gro\xdfmutter.jpg")
    for target in ("log.jsonl", "-"):
        status, out, told = cli("run", "album", "-o", "out", "--overwrite", "--json", target, *TINT, tint)
        assert status == 0, told
        text = out if target == "-" else Path(target).read_text("utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        assert {Path(row["input"]).name for row in rows} == {"a.jpg", odd, "z.jpg"}
    assert names(Path("out")) == {"a.jpg", odd, "z.jpg"}
    for words in (["--json", "proof.jsonl"], ["-v"], ["--json", "-"]):
        assert cli("verify", "album", "out", *words)[0] in (0, 3)  # JPEG is lossy; no traceback
    assert len(Path("proof.jsonl").read_text("utf-8").splitlines()) == 3
    words = ["--json", "scores.json", "--csv", "scores.csv", "--html", "report"]
    status, _, told = cli("eval", "album", "--colorizer", "tint", "--plugin", tint, *words)
    assert "Traceback" not in told
    assert "Gro\ufffdmutter.jpg" in Path("scores.json").read_text("utf-8")


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".png"])
def test_names_of_250_bytes(suffix: str, cli: Cli, tint: Path, workplace: Path) -> None:
    long = "ü" * ((250 - len(suffix)) // 2) + suffix
    write_grey(workplace / "a.png")
    Image.open("a.png").save("plain" + suffix)
    try:
        Path("plain" + suffix).rename(long)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    for words in (["run", long, "--compare", *TINT, tint], ["run", long, "--colorizer", "siggraph17", "--json", "-"]):
        _, _, told = cli(*words)
        assert "unexpected" not in told, told
        assert "too long" not in told, told
    assert "1 done" in cli("run", ".", "-o", "out", "--compare", *TINT, tint, "--overwrite")[2].replace(
        "2 done", "1 done"
    )
    (made,) = [name for name in names(workplace / "colorized") if ".compare" not in name and "~" not in name] or [
        next(name for name in names(workplace / "colorized") if not name.endswith("compare.jpg"))
    ]
    assert cli("verify", long, f"colorized/{made}")[0] in (0, 3)


def test_a_folder_says_what_it_passed_over(cli: Cli, tint: Path, workplace: Path) -> None:
    album = workplace / "album"
    album.mkdir()
    scene = Image.radial_gradient("L").resize((40, 40))
    for name in ("a.jpg", "b.jp2", "c.tga", "d.tga", "e.pdf", "f.pgm"):
        scene.save(album / name)
    scene.save(album / "g", "PNG")
    (album / "notes.txt").write_text("not a picture")
    (album / "list.csv").write_text("1;2")
    status, out, told = cli("run", "album", "-o", "out", "--json", "-", *TINT, tint)
    assert status == 0
    (line,) = [line for line in told.splitlines() if "passed over" in line]
    assert line.endswith("5 files of other kinds were passed over: 1 .jp2, 1 .pdf, 2 .tga, 1 without a suffix")
    rows = [json.loads(line) for line in out.splitlines()]
    passed = {Path(row["input"]).name for row in rows if row["status"] == "passed over"}
    assert passed == {"b.jp2", "c.tga", "d.tga", "e.pdf", "g"}
    assert names(workplace / "out") == {"a.jpg", "f.png"}
    status, _, told = cli("run", "album/b.jp2", "album/c.tga", "-o", "out", *TINT, tint)
    assert "is a JPEG 2000 picture, which colorpipe does not read; convert it" in told
    assert "is named as a Targa picture, which colorpipe does not read" in told
    assert "damaged" not in told


@pytest.mark.parametrize("name", ["colour.bmp", "colour.GIF", "colour.jp2", "colour.heic", "colour.tga", "-"])
def test_an_output_of_another_format_is_no_folder(name: str, cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.jpg")
    status, _, told = cli("run", "a.jpg", "-o", name, *TINT, tint)
    assert status == 2
    assert f"cannot write {'to -' if name == '-' else name}" in told
    assert name == "-" or "no such format; use one of .avif, .jpeg, .jpg" in told
    assert not Path(name).exists()


def test_thumbnails_and_bins_of_storages_are_left_out(cli: Cli, tint: Path, workplace: Path) -> None:
    picture = workplace / "album" / "a.jpg"
    write_grey(picture)
    for place in ("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/old.jpg", "$RECYCLE.BIN/$R1.jpg", "@Recycle/b.jpg"):
        write_grey(workplace / "album" / place)
    for argument in ("album", "album/**/*.jpg"):
        assert cli("run", argument, "-o", "out", *TINT, tint)[0] == 0
    assert names(workplace / "out") == {"a.jpg"}
    assert "1 done" in cli("run", "album/#recycle", "-o", "bin", *TINT, tint)[2]  # named itself
