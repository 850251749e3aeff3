"""What is bad gets its own clear line, hurts nobody else, and the exit status says so: the whole path, by group."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import pyvips
import torch

from colorpipe.batch.output_lock import OutputLock
from colorpipe.errors import InputError, LimitError
from colorpipe.media import open_source
from colorpipe.media.still import vips
from colorpipe.media.video.source import open_video
from colorpipe.plugins.host import PluginHost
from colorpipe.settings import MediaOptions
from colorpipe.verification import verify
from colorpipe.weights.checkpoints import read_tensors
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_image import save, scene
from tests.test_video import AUDIO_RATE, largest_file, make_clip


def encoded(suffix: str, pixels: np.ndarray | None = None) -> bytes:
    done, data = cv2.imencode(suffix, scene(60, 80) if pixels is None else pixels)
    assert done
    return bytes(data)


def bomb(side: int = 30_000) -> bytes:
    """A whole, valid PNG of a few kilobytes: ``side`` x ``side`` black pixels of one bit."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("aac", rate=AUDIO_RATE)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate, silence.pts = AUDIO_RATE, 0
        film.mux(stream.encode(silence))
        film.mux(stream.encode(None))


def no_frames(path: Path) -> None:
    """A film with a video stream that has nothing in it."""
    with av.open(str(path), "w") as film:
        film.add_stream("ffv1", rate=25, width=64, height=48).pix_fmt = "yuv420p"
        film.start_encoding()


def without_index(path: Path) -> None:
    make_clip(path, codec="libx264")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    # files that are not there in full, or not what they are called
    "empty.jpg": (lambda path: path.write_bytes(b""), "is empty"),
    "empty.mp4": (lambda path: path.write_bytes(b""), "is empty"),
    "text.jpg": (lambda path: path.write_text("Dear diary,\n" * 99), "is a text, not a picture or film"),
    "text.mp4": (lambda path: path.write_text("Dear diary,\n" * 99), "is a text, not a picture or film"),
    "page.png": (lambda path: path.write_text("<!DOCTYPE html><html></html>"), "is a text, not a picture"),
    "noise.png": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(999)), "neither a picture nor a film"),
    "archive.tif": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "is a ZIP archive, which colorpipe does"),
    "paper.png": (lambda path: path.write_bytes(b"%PDF-1.7\n" + bytes(99)), "is a PDF document, which colorpipe does"),
    "cut.jpg": (lambda path: path.write_bytes(encoded(".jpg")[:-700]), r"damaged or cut-off JPEG \(.*premature"),
    "cut.png": (lambda path: path.write_bytes(encoded(".png")[:-700]), "damaged or cut-off PNG"),
    "cut.tif": (lambda path: path.write_bytes(encoded(".tif")[:-700]), "damaged or cut-off TIFF"),
    "cut.webp": (lambda path: path.write_bytes(encoded(".webp")[:-300]), "damaged or cut-off WebP"),
    "cut.bmp": (lambda path: path.write_bytes(encoded(".bmp")[:-700]), r"cut-off BMP \(\d+ of \d+ bytes\)"),
    # files that would fill the memory
    "bomb.png": (lambda path: path.write_bytes(bomb()), "30000 x 30000 pixels, more .* --max-pixels 900000000 lets"),
    # films without a picture
    "sound.mp4": (sound_only, "no video stream, only audio"),
    "none.mkv": (no_frames, "the film ends before its first frame"),
    "index.mp4": (without_index, r"cut off: its index \(the 'moov' box\) is missing"),
    "still.mp4": (lambda path: path.write_bytes(encoded(".jpg")), "is a picture, and .*still.mp4 is a film's name"),
    # things that are no files
    "link.jpg": (lambda path: os.symlink("/nowhere/at/all", path), "cannot read .*: no such file or directory"),
}
"""Name -> how it is made, and what is said of it."""


def _inverted(path: Path) -> None:
    """CMYK with Adobe's marker: libjpeg stores the inks inverted, as Photoshop does."""
    vips.from_pixels(scene(60, 80, bands=4)).copy(interpretation="cmyk").jpegsave(str(path), keep="none")
    assert b"Adobe" in path.read_bytes()


def _plain_ink(path: Path) -> None:
    """The same without the marker: its APP14 segment is taken out."""
    _inverted(path)
    data = path.read_bytes()
    at = data.index(b"\xff\xee")
    path.write_bytes(data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :])


def _moving(path: Path) -> None:
    image = vips.from_pixels(scene(60, 80))
    pages = pyvips.Image.arrayjoin([image, image.rot180()], across=1).copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", 60)
    pages.write_to_file(str(path))


ODD: dict[str, tuple[Callable[[Path], object], tuple[int, int], str]] = {
    "one.png": (lambda path: save(path, scene(1, 1)), (1, 1), ""),
    "thin.png": (lambda path: save(path, scene(4000, 1, bands=1)), (1, 4000), ""),
    "wide.png": (lambda path: save(path, scene(1, 4000, bands=1)), (4000, 1), ""),
    "ink.jpg": (_plain_ink, (80, 60), "CMYK converted to sRGB"),
    "inverted.jpg": (_inverted, (80, 60), "CMYK converted to sRGB"),
    "veil.png": (lambda path: save(path, scene(60, 80, bands=2)), (80, 60), ""),
    "moving.gif": (_moving, (80, 60), "first of 2 frames"),
    "moving.webp": (_moving, (80, 60), "first of 2 frames"),
    "film.mkv": (lambda path: make_clip(path, ticks=[0, 40]), (64, 48), ""),
    "broken-off.mkv": (lambda path: _broken_off(path), (64, 48), "the file is cut off"),  # noqa: PLW0108 - it is defined below
    "good.png": (lambda path: save(path, scene(60, 80)), (80, 60), ""),
}
"""What is unusual and yet is a picture: name -> how it is made, its size, and what is noted."""


def _broken_off(path: Path) -> None:
    make_clip(path)
    path.write_bytes(path.read_bytes()[:-2000])


def test_each_bad_file_has_its_line_and_the_others_are_done(cli: Cli, tint: Path, workplace: Path) -> None:
    album = workplace / "album"
    album.mkdir()
    for name, (make, *_) in {**BAD, **ODD}.items():
        make(album / name)
    words = ["run", "album", "--codec", "ffv1", "--plugin", tint, "--colorizer", "tint"]
    status, out, told = cli(*words, "--json", "-")
    assert status == 1
    assert "Traceback" not in told
    rows = {Path(row["input"]).name: row for row in map(json.loads, out.splitlines())}
    assert set(rows) == {*BAD, *ODD}

    lines = told.splitlines()
    for name, (_, says) in BAD.items():
        row = rows[name]
        assert (row["status"], row["output"]) == ("failed", None), name
        assert "\n" not in row["error"]
        (line,) = [line for line in lines if line.startswith("failed ") and f"album/{name}" in line]
        assert re.search(says, line), line
        assert line.count(f"album/{name}") <= 2  # named, and told shortly
        assert "; " in line or ": " in line  # with a next step or a reason
    for name, (_, (width, height), note) in ODD.items():
        row = rows[name]
        assert (row["status"], row["width"], row["height"]) == ("done", width, height), row
        assert note in "; ".join(row["notes"])
        report = verify(album / name, row["output"])
        assert report["size"].status == "equal"
        with open_source(Path(row["output"]), MediaOptions()) as result:
            frame = next(iter(result))
        assert frame.colour is not None  # colour, not a grey picture that pretends to be done
        if not name.endswith((".jpg", ".webp")):
            assert report["luma"].status == "equal", (name, report.first_difference)
    shown = []
    for name in ("ink.jpg", "inverted.jpg"):  # the same inks: without the marker, too, files hold them inverted
        with open_source(Path(rows[name]["output"]), MediaOptions()) as result:
            shown.append(float(next(iter(result)).luma.mean()))
    assert shown[0] == shown[1] > 40
    assert f"{len(ODD)} done, {len(BAD)} failed in " in lines[-1]
    # and nothing else lies about: no half-written file, no result of a bad one
    made = {path.relative_to(workplace / "colorized").name for path in (workplace / "colorized").rglob("*")}
    assert {name for name in made if not name.startswith(".colorpipe")} == {
        Path(rows[name]["output"]).name for name in ODD
    }
    # a second run does the bad ones again only, with the same lines
    status, _, again = cli(*words)
    assert status == 1
    assert f"0 done, {len(ODD)} skipped, {len(BAD)} failed in " in again.splitlines()[-1]


@pytest.mark.parametrize("name", ["text.jpg", "bomb.png", "sound.mp4"])
def test_a_bad_file_alone_is_status_1(name: str, cli: Cli, tint: Path, workplace: Path) -> None:
    BAD[name][0](workplace / name)
    status, _, told = cli("run", name, "--plugin", tint, "--colorizer", "tint", "-q")
    assert status == 1
    assert re.search(BAD[name][1], told)
    assert len(told.splitlines()) == 1
    assert not (workplace / "colorized").exists()


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_bomb_is_let_in_only_when_asked(cli: Cli, tint: Path, workplace: Path) -> None:
    (workplace / "bomb.png").write_bytes(bomb(1600))
    words = ["run", "bomb.png", "--plugin", tint, "--colorizer", "tint", "-q", "--max-pixels"]
    status, _, told = cli(*words, "2559999")
    assert status == 1
    assert (
        "1600 x 1600 pixels, more than the limit of 2,559,999; if the file can be trusted, --max-pixels 2560000" in told
    )
    assert cli(*words, "2560000")[0] == 0


def test_large_frames_and_long_films_need_an_option(cli: Cli, tint: Path, workplace: Path) -> None:
    make_clip(workplace / "long.mkv", ticks=[0, 1000, 2000, 3000])
    words = ["run", "long.mkv", "--plugin", tint, "--colorizer", "tint", "--codec", "ffv1", "-q"]
    status, _, told = cli(*words, "--max-seconds", "2")
    assert status == 1
    assert re.search(r"long.mkv lasts [34] seconds, more than the limit of 2; .* --max-seconds [34] lets it in", told)
    status, _, told = cli(*words, "--max-pixels", "3071")
    assert status == 1
    assert "has frames of 64 x 48 pixels, more than the limit of 3,071" in told
    assert cli(*words, "--max-seconds", "4", "--max-pixels", "3072")[0] == 0


def test_a_film_whose_header_tells_no_duration_is_stopped_by_its_timestamps(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.h264", codec="libx264", ticks=range(0, 70 * 40, 40), options={"bf": "0"})
    with open_video(clip, MediaOptions(max_seconds=1)) as film, pytest.raises(LimitError, match="--max-seconds 2"):
        list(film)
    with open_video(clip, MediaOptions(max_seconds=3)) as film:
        assert len(list(film)) == 70


def test_limits_do_not_change_a_recipe() -> None:
    from colorpipe.types import Recipe, Stage

    plain, raised = (
        Recipe(Stage("zhang"), settings=MediaOptions(**limits).as_dict())  # type: ignore[arg-type]
        for limits in ({}, {"max_pixels": 10**10, "max_seconds": 10**7})
    )
    assert plain.digest() == raised.digest()


@pytest.mark.parametrize(
    ("loader", "content"),
    [
        ("csvload", b"1,2\n3,4\n"),
        ("ppmload", b"P5 2 2 255\n\0\0\0\0"),
        ("svgload", b"<svg xmlns='http://www.w3.org/2000/svg' width='2' height='2'/>"),
        ("vipsload", b"\x08\xf2\xa6\xb6" + bytes(200)),
    ],
)
def test_loaders_that_libvips_does_not_trust_are_out_of_reach(loader: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    if loader != "ppmload":  # which is read, but not by that
        with pytest.raises(InputError, match=r"picture\.png"), open_source(file, MediaOptions()) as source:
            list(source)
    if pyvips.type_find("VipsOperation", loader):
        with pytest.raises(pyvips.Error, match="blocked"):
            pyvips.Operation.call(loader, str(file))


# --- places that cannot be read or written ----------------------------------------------------------------------------


@pytest.fixture
def mortal() -> Iterator[Path]:
    """A folder of a user who is not root, as whom the test runs, since root may read everything."""
    if sys.platform == "win32":
        pytest.skip("permissions are of another kind there")
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    before = Path.cwd()
    try:
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        os.chdir(folder)
        yield folder
    finally:
        os.chdir(before)
        if root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


def test_what_may_not_be_read_or_written_is_said(cli: Cli, tint: Path, mortal: Path) -> None:
    plugin = mortal / "tint.py"
    if os.getuid() == 0:
        os.seteuid(0)
        text = tint.read_text()
        os.seteuid(65534)
    else:
        text = tint.read_text()
    plugin.write_text(text)
    for name in ("album/a.png", "album/locked/b.png", "album/secret.png"):
        write_grey(mortal / name)
    (mortal / "album" / "secret.png").chmod(0)
    (mortal / "album" / "locked").chmod(0)
    words = ["--plugin", plugin, "--colorizer", "tint"]
    status, _, told = cli("run", "album", *words)
    assert status == 1
    assert "failed cannot look into folder album/locked: permission denied" in told
    assert "failed cannot read album/secret.png: permission denied" in told
    assert "1 done, 2 failed in " in told
    assert (mortal / "colorized" / "a.png").is_file()
    # and `verify` does not pass over them
    status, out, _ = cli("verify", "album", "colorized", "-q")
    assert status == 1
    assert "cannot look into folder album/locked" in " ".join(out.split())
    (mortal / "shut").mkdir()
    (mortal / "shut").chmod(0o500)
    status, _, told = cli("run", "album/a.png", "-o", "shut/out.png", *words)
    assert status == 2
    assert "permission denied" in told.lower()
    assert "choose a folder that you may write to with -o" in told
    (mortal / "away").mkdir()
    (mortal / "away").chmod(0)
    for place in ("away/out", "away/out.png", "shut/deep/er"):
        status, _, told = cli("run", "album/a.png", "-o", place, *words)
        assert (status, told.count("\n")) == (2, 2), told
        assert told.startswith(f"colorpipe: cannot write {place.removesuffix('.png')}")
    (mortal / "away").chmod(0o700)
    assert not list((mortal / "away").iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a place where nobody can make a folder")
def test_an_unreachable_folder_is_one_line_at_once(cli: Cli, tint: Path, workplace: Path) -> None:
    for index in range(3):
        write_grey(workplace / "album" / f"{index}.png")
    (workplace / "file").write_text("")
    (workplace / "circle").symlink_to("circle")
    for place in ("/proc/x", "file/out", "circle"):
        status, _, told = cli("run", "album", "-o", place, "--plugin", tint, "--colorizer", "tint")
        assert status == 2, told
        assert told.startswith(f"colorpipe: cannot write {place}"), told
        assert "choose another" in told
    lock = OutputLock.take(Path("/proc/x/a.png"))  # and what does not look first ends too
    assert lock is not None
    lock.release()


def test_a_disk_without_room_for_the_first_result_is_told_before_the_start(
    cli: Cli, tint: Path, workplace: Path, disk: Path
) -> None:
    noisy(workplace / "album", 3)
    (disk / "full").write_bytes(bytes(370_000))
    words = ["run", "album", "-o", disk / "out", "--plugin", tint, "--colorizer", "tint"]
    status, _, told = cli(*words)
    assert status == 2, told
    assert f"cannot write {disk}/out: no space left on device" in " ".join(told.split())
    assert "free at least 0.0 MB" not in told
    assert not (disk / "out").exists()
    (disk / "full").unlink()
    assert cli(*words)[0] in (0, 1)
    made = sorted((disk / "out").glob("*.png"))
    assert made
    (disk / "full").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize))
    status, _, told = cli("run", *(workplace / "album" / path.name for path in made), *words[2:])
    assert status == 0, told  # all are there: nothing is written
    assert f"{len(made)} skipped" in told


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB of its own; skipped where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def noisy(folder: Path, count: int = 6) -> None:
    """Pictures whose results are near 150 kB each, since noise does not pack."""
    folder.mkdir()
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 256, (220, 220), np.uint8)
        assert cv2.imwrite(str(folder / f"{index}.png"), noise)


def test_a_full_disk_fails_what_does_not_fit_and_the_rest_resumes(
    cli: Cli, tint: Path, workplace: Path, disk: Path
) -> None:
    noisy(workplace / "album")
    words = ["run", "album", "-o", str(disk), "--jobs", "1", "--plugin", tint, "--colorizer", "tint"]
    status, _, told = cli(*words)
    assert status == 1
    failed = [line for line in told.splitlines() if line.startswith("failed ")]
    assert 1 <= len(failed) < 6
    assert all(os.strerror(errno.ENOSPC).lower() in line.lower() for line in failed)
    assert any("or choose another disk with -o" in line for line in failed)
    assert f"{6 - len(failed)} done, {len(failed)} failed in " in told
    assert not [path.name for path in disk.iterdir() if path.name.endswith(".part")]
    done = [path for path in disk.glob("*.png") if verify(workplace / "album" / path.name, path).equal]
    assert len(done) == 6 - len(failed)
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    status, _, told = cli(*words)
    assert status == 0, told
    assert f"{len(failed)} done, {len(done)} skipped in " in told
    assert cli("verify", "album", disk)[0] == 0


def test_a_film_that_does_not_fit_fails_and_a_photo_beside_it_does_not(
    cli: Cli, tint: Path, workplace: Path, disk: Path
) -> None:
    write_grey(workplace / "album" / "photo.png")
    make_clip(workplace / "album" / "film.mkv", size=(320, 240), ticks=range(0, 1600, 40))
    words = ["--codec", "ffv1", "--plugin", tint, "--colorizer", "tint", "--jobs", "1"]
    status, _, told = cli("run", "album", "-o", disk, *words)
    assert status == 1
    (failed,) = [line for line in told.splitlines() if line.startswith("failed ")]
    assert "film.mkv" in failed
    assert os.strerror(errno.ENOSPC).lower() in failed.lower()
    assert "1 done, 1 failed in " in told
    assert verify(workplace / "album" / "photo.png", disk / "photo.png").complete
    assert not (disk / "film.mkv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
def test_a_file_that_may_not_grow_fails_alone(cli: Cli, tint: Path, workplace: Path) -> None:
    noisy(workplace / "album", 2)
    write_grey(workplace / "album" / "small.png")
    with largest_file(60_000):
        status, _, told = cli("run", "album", "--plugin", tint, "--colorizer", "tint")
    assert status == 1
    assert told.count("file too large") == 2
    assert "1 done, 2 failed in " in told
    assert sorted(path.name for path in (workplace / "colorized").glob("*.png")) == ["small.png"]
    assert not list((workplace / "colorized").glob(".*.part"))


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Trap:
    """Would make a file if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def _bundled() -> dict[str, torch.Tensor]:
    host = PluginHost.load()
    default = host.colorizer("zhang").default_weights
    assert default is not None
    file = host.models[default].bundled
    assert file is not None
    return read_tensors(file)[0]


def _code(folder: Path) -> str:
    torch.save({"state_dict": Trap(folder / "sprung")}, folder / "w.pth")
    return "contains code or objects, not plain tensors; nothing of it was run"


def _bare_pickle(folder: Path) -> str:
    (folder / "w.pth").write_bytes(pickle.dumps(Trap(folder / "sprung"), protocol=2))
    return "contains code or objects, not plain tensors; nothing of it was run"


def _missing(folder: Path) -> str:
    tensors = _bundled()
    name = sorted(tensors)[3]
    torch.save({key: value for key, value in tensors.items() if key != name}, folder / "w.pth")
    return rf"1 missing \({re.escape(name)}\)"


def _extra(folder: Path) -> str:
    torch.save({**_bundled(), "one.too.many": torch.zeros(3)}, folder / "w.pth")
    return r"1 unknown \(one\.too\.many\)"


def _misshapen(folder: Path) -> str:
    tensors = _bundled()
    name = max(tensors, key=lambda key: tensors[key].ndim)
    torch.save({**tensors, name: tensors[name][:1]}, folder / "w.pth")
    return r"1 of another shape"


def _foreign(folder: Path) -> str:
    torch.save({"layer.weight": torch.zeros(3, 3)}, folder / "w.pth")
    return "w.pth"


def _damaged(folder: Path) -> str:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(999)}, buffer)
    (folder / "w.pth").write_bytes(buffer.getvalue()[:-500])
    return "w.pth is damaged"


@pytest.mark.parametrize("make", [_code, _bare_pickle, _missing, _extra, _misshapen, _foreign, _damaged])
def test_a_bad_checkpoint_is_a_wrong_call_and_nothing_starts(
    make: Callable[[Path], str], cli: Cli, workplace: Path
) -> None:
    write_grey(workplace / "g.png")
    says = make(workplace)
    status, out, told = cli("run", "g.png", "--weights", "w.pth")
    assert (status, out) == (2, "")
    assert re.search(says, told), told
    assert told.startswith("colorpipe: ")
    assert "w.pth" in told
    assert len(told.splitlines()) <= 2  # the error, and the next step
    assert not (workplace / "sprung").exists()
    assert not (workplace / "colorized").exists()


def test_weights_with_another_hash_are_not_used(cli: Cli, workplace: Path) -> None:
    write_grey(workplace / "g.png")
    model = PluginHost.load().models["eccv16"]
    file = workplace.parent / "cache" / "weights" / model.filename
    file.parent.mkdir(parents=True)
    torch.save({"layer": torch.zeros(3)}, file)
    status, out, told = cli("run", "g.png", "--weights", "eccv16")
    assert (status, out) == (2, "")
    assert re.search(rf"is damaged: its SHA-256 is \w+\.\., eccv16's is {model.sha256[:12]}", told)
    assert "`colorpipe models pull eccv16` fetches it again" in told
