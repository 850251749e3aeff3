"""What a colorizer may ask for besides: the plugins of docs/howto/plugins/more.md, held to what that page says."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import colorpipe
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import UsageError, WeightsError
from colorpipe.inference.runtime import Runtime
from colorpipe.media.video import segments
from colorpipe.media.video.source import open_video
from colorpipe.plugins.host import PluginHost
from colorpipe.settings import MediaOptions
from colorpipe.testing import check
from colorpipe.types import Batch, Chroma, Outcome, Recipe, Stage
from colorpipe.verification import verify
from colorpipe.weights import read_tensors
from colorpipe.weights.registry import Model, Part, together
from colorpipe.weights.store import ModelStore
from tests.conftest import Cli
from tests.helpers import Painter, host_with, write_grey
from tests.test_film_hints import Stopper
from tests.test_pages import ROOT, blocks, small

PAGE = ROOT / "docs" / "howto" / "plugins" / "more.md"


@pytest.fixture
def page(workplace: Path) -> Path:
    """The page's plugins as files, in the current folder."""
    for block in blocks(PAGE):
        if block["title"]:
            Path(block["title"]).write_text(block["text"])
    return workplace


@pytest.mark.parametrize("name", ["told", "around", "proposals", "halves"])
def test_they_pass_the_conformance_suite(name: str, page: Path) -> None:
    host = PluginHost.load([Path(f"{name}.py")])
    results = list(check(host.colorizer(name), host))
    assert not [result for result in results if result.status != "passed"]


# --- what belongs to each picture -------------------------------------------------------------------------------------


def tint_of(path: Path) -> np.ndarray:
    """Mean a and b of a result."""
    from colorpipe.color import rgb_to_lab

    picture = cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255
    return rgb_to_lab(picture).ab.mean((0, 1))


def test_each_picture_takes_its_own_words_and_reference(page: Path, cli: Cli) -> None:
    Path("album").mkdir()
    for name in ("a", "b", "c", "d"):
        write_grey(Path(f"album/{name}.png"))
    Path("album/a.prompt.txt").write_text("A red coat.\n")
    Path("album/b.prompt.txt").write_text("the blue sea")
    green = np.zeros((20, 20, 3), np.uint8)
    green[...] = (60, 160, 60)
    assert cv2.imwrite("album/c.0.reference.png", green)
    words = ("run", "album", "--plugin", "told.py", "--colorizer", "told")
    assert cli(*words)[0] == 0
    a, b, c, d = (tint_of(Path(f"colorized/{name}.png")) for name in "abcd")
    assert a[0] > 35
    assert b[1] < -30
    assert c[0] < -20
    assert np.abs(d).max() < 6
    assert sorted(path.name for path in Path("colorized").glob("*.png")) == ["a.png", "b.png", "c.png", "d.png"]
    # the same alone as in the company of the others
    assert cli(*words[:1], "album/c.png", *words[2:], "-o", "alone")[0] == 0
    assert Path("alone/c.png").read_bytes() == Path("colorized/c.png").read_bytes()
    # who changes a text makes that picture anew
    Path("album/a.prompt.txt").write_text("green")
    told = cli(*words)[2]
    assert "1 done" in told
    assert "3 skipped" in told
    assert tint_of(Path("colorized/a.png"))[0] < -20


def test_the_run_s_reference_counts_where_a_picture_has_none(page: Path) -> None:
    host = PluginHost.load([Path("told.py")])
    told = host.colorizer("told")
    told.takes_reference = True  # type: ignore[misc]
    try:
        blue = np.full((8, 8, 3), (20, 40, 200), np.uint8)
        cv2.imwrite("blue.png", blue[..., ::-1])
        session = colorpipe.Session("told", host=host, reference="blue.png", device="cpu")
        made = session.colorize(np.full((30, 30), 120, np.uint8))
        assert made[..., 2].mean() > made[..., 0].mean() + 20
    finally:
        told.takes_reference = False  # type: ignore[misc]


def test_python_takes_them_too(page: Path) -> None:
    write_grey(Path("a.png"))
    Path("a.prompt.txt").write_text("red")
    session = colorpipe.Session("told", host=PluginHost.load([Path("told.py")]), device="cpu")
    red = session.colorize("a.png")
    assert red[..., 0].mean() > red[..., 1].mean() + 20
    assert np.array_equal(red, session.colorize("a.png"))


def test_words_that_nobody_takes_or_reads_are_told(page: Path, cli: Cli, tint: Path) -> None:
    write_grey(Path("a.png"))
    Path("a.prompt.txt").write_bytes(b"\xff\xfe\xff")
    told = cli("run", "a.png", "--plugin", tint, "--colorizer", "tint")[2]
    assert "a.prompt.txt was not used: tint takes no words" in told
    status, _, told = cli("run", "a.png", "--plugin", "told.py", "--colorizer", "told", "-o", "out")
    assert status == 1
    assert "a.prompt.txt: no text in UTF-8" in told


# --- neighbouring frames ----------------------------------------------------------------------------------------------

SHOTS = (9, 14, 7)
"""Frames of each shot of the film."""
SIZE = (96, 64)


def level(number: int) -> int:
    """The grey of a frame, which names it: 60, 62, 64 ... in the first shot, others in the next."""
    shot, at = 0, number
    while at >= SHOTS[shot]:
        at -= SHOTS[shot]
        shot += 1
    return (60, 180, 110)[shot] + (2, -2, 3)[shot] * at


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three shots; each frame has a grey of its own, over a pattern of its shot."""
    path = tmp_path / "in" / "film.mkv"
    path.parent.mkdir()
    patterns = [
        cv2.resize(np.random.default_rng(shot).integers(-45, 45, (8, 12)).astype(np.float32), SIZE) for shot in range(3)
    ]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(sum(SHOTS)):
            shot = sum(number >= first for first in (SHOTS[0], SHOTS[0] + SHOTS[1]))
            planes = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
            planes[: SIZE[1]] = level(number) + patterns[shot]
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


class Watcher(Painter):
    """Notes what it is given; its colour is the mean of all of it."""

    name = "watcher"
    neighbours = 2
    seen: list[tuple[float, list[float], list[bool]]]

    def predict(self, batch: Batch) -> Chroma:
        if batch.clip is None or batch.in_shot is None:
            return super().predict(batch)
        for L, clip, there in zip(batch.L, batch.clip, batch.in_shot, strict=True):
            self.seen.append((float(L.mean()), [float(one.mean()) for one in clip], there.tolist()))
        shade = torch.cat([batch.L, batch.clip], 1).mean(1, keepdim=True)
        return Chroma(torch.cat([shade * 0.3, 15 - shade * 0.3], 1))


def colorize(film: Path, output: Path, temporal: str = "1", stop_after: int = 0) -> Outcome:
    recipe = Recipe(Stage("watcher"), settings={"codec": "ffv1", "temporal": temporal}, precision="fp32")
    (outcome,) = run(RunRequest([film], recipe, output, batch=1), host_with(Watcher), Stopper(stop_after))
    assert outcome.error is None
    return outcome


def chroma(outcome: Outcome) -> np.ndarray:
    assert outcome.output is not None
    with open_video(outcome.output, MediaOptions()) as made:
        return np.stack([np.stack(frame.colour) for frame in made if frame.colour is not None])


def test_a_clip_has_the_frames_around_and_never_reaches_over_a_cut(film: Path, tmp_path: Path) -> None:
    Watcher.seen = []
    outcome = colorize(film, tmp_path / "out")
    assert (outcome.frames, outcome.shots, outcome.key_frames) == (30, 3, 30)
    own = [L for L, _, _ in Watcher.seen]
    assert len(own) == 30
    starts = [0, SHOTS[0], SHOTS[0] + SHOTS[1], sum(SHOTS)]
    for number, (_, clip, there) in enumerate(Watcher.seen):
        first = max(start for start in starts if start <= number)
        last = min(start for start in starts if start > number) - 1
        wanted = [number - 2, number - 1, number + 1, number + 2]
        assert there == [first <= one <= last for one in wanted], number
        for place, one in enumerate(wanted):
            assert clip[place] == pytest.approx(own[min(max(one, first), last)], abs=1e-3), (number, place)


def test_key_frames_have_neighbours_that_are_none(film: Path, tmp_path: Path) -> None:
    Watcher.seen = []
    outcome = colorize(film, tmp_path / "out", temporal="6")
    assert len(Watcher.seen) == outcome.key_frames < 30
    whole = [there for _, _, there in Watcher.seen if all(there)]
    assert whole


def test_every_frame_on_its_own_has_no_clip(film: Path, tmp_path: Path) -> None:
    Watcher.seen = []
    colorize(film, tmp_path / "out", temporal="none")
    assert not Watcher.seen


@pytest.mark.parametrize(("temporal", "stop_after"), [("1", 12), ("1", 19), ("4", 22)])
def test_a_film_that_goes_on_has_the_same_clips(
    temporal: str, stop_after: int, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "FRAMES", 4)
    Watcher.seen = []
    whole = chroma(colorize(film, tmp_path / "whole", temporal))
    with pytest.raises(KeyboardInterrupt):
        colorize(film, tmp_path / "out", temporal, stop_after)
    outcome = colorize(film, tmp_path / "out", temporal)
    assert "went on from there" in outcome.notes[0]
    assert (chroma(outcome) == whole).all()
    assert outcome.output is not None
    assert verify(film, outcome.output).verdict == "exact"


# --- several results --------------------------------------------------------------------------------------------------


def test_each_result_is_a_file_of_its_own(page: Path, cli: Cli) -> None:
    Path("album").mkdir()
    for name in ("a.jpg", "b.png"):
        small("einstein-1947.jpg", Path("album") / name)
    words = ("run", "album", "--plugin", "proposals.py", "--colorizer", "proposals")
    told = cli(*words, "--dry-run")[1]
    assert "6 pictures would be made" in told
    assert not Path("colorized").exists()
    status, out, _ = cli(*words, "--json", "-")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    wanted = ["a-2.jpg", "a-3.jpg", "a.jpg", "b-2.png", "b-3.png", "b.png"]
    assert sorted(Path(row["output"]).name for row in rows) == wanted
    assert sorted(path.name for path in Path("colorized").glob("*.*g")) == wanted
    tints = [tint_of(Path(f"colorized/b{end}.png")) for end in ("", "-2", "-3")]
    angles = [np.degrees(np.arctan2(b, a)) % 360 for a, b in tints]
    assert np.diff(angles) % 360 == pytest.approx([120, 120], abs=6)
    # journal: all are skipped, one that is gone is made again
    Path("colorized/a-2.jpg").unlink()
    told = cli(*words)[2]
    assert "1 done" in told
    assert "5 skipped" in told
    assert Path("colorized/a-2.jpg").exists()
    Path("colorized/a.jpg").unlink()
    assert "1 picture would be made" in cli(*words, "--dry-run")[1]
    assert "1 done" in cli(*words)[2]
    # verify finds each of them
    status, out, _ = cli("verify", "album", "colorized")
    assert status == 3
    assert out.splitlines()[-1] == "3 equal, 3 kept as their lossy formats can, 0 not, of 6"
    bright = cv2.imread("colorized/b-3.png") // 2
    assert cv2.imwrite("colorized/b-3.png", bright)
    status, out, _ = cli("verify", "album", "colorized", "-q")
    assert status == 1
    assert "album/b.png -> colorized/b-3.png" in out
    # which a person has touched: it is left
    told = cli(*words)[2]
    assert "b-3.png" in told
    assert (cv2.imread("colorized/b-3.png") == bright).all()


def test_a_picture_that_has_such_a_name_keeps_its_place(page: Path, cli: Cli) -> None:
    for name in ("a.png", "a-2.png"):
        small("einstein-1947.jpg", page / name, 40)
    words = ("run", "a.png", "a-2.png", "--plugin", "proposals.py", "--colorizer", "proposals", "--proposals", "2")
    assert cli(*words, "--jobs", "1")[0] == 0
    found = sorted(path.name for path in Path("colorized").glob("*.png"))
    assert found == ["a-2-2.png", "a-2.png", "a-3.png", "a.png"]
    rows = [json.loads(line) for line in cli(*words, "--json", "-")[1].splitlines()]
    assert [row["status"] for row in rows] == ["skipped"] * 4
    assert {(row["input"], Path(row["output"]).name) for row in rows} == {
        ("a.png", "a.png"),
        ("a.png", "a-3.png"),
        ("a-2.png", "a-2.png"),
        ("a-2.png", "a-2-2.png"),
    }


def test_a_named_result_and_films_and_python(page: Path, cli: Cli, film: Path) -> None:
    small("einstein-1947.jpg", page / "a.jpg", 40)
    words = ("--plugin", "proposals.py", "--colorizer", "proposals", "--proposals", "2")
    assert cli("run", "a.jpg", "-o", "made.png", *words)[0] == 0
    assert Path("made-2.png").exists()
    assert cli("run", film, "--codec", "ffv1", "-o", "films", *words)[0] == 0
    first, second = (chroma(Outcome(film, "done", Path(f"films/{name}.mkv"))) for name in ("film", "film-2"))
    assert abs(first.mean((0, 2, 3)) - second.mean((0, 2, 3))).max() > 10
    outcomes = colorpipe.run("a.jpg", output="py", colorizer="proposals", plugins=["proposals.py"], proposals=2)
    assert [(outcome.status, outcome.output) for outcome in outcomes] == [
        ("done", Path("py/a.jpg")),
        ("done", Path("py/a-2.jpg")),
    ]
    session = colorpipe.Session("proposals", host=PluginHost.load([Path("proposals.py")]), proposals=2, device="cpu")
    assert session.results == 2
    assert not np.array_equal(session.colorize("a.jpg"), session.colorize("a.jpg", result=1))


def test_no_result_replaces_an_input(page: Path, cli: Cli) -> None:
    for name in ("a.png", "a-2.png"):
        small("einstein-1947.jpg", page / name, 40)
    before = Path("a-2.png").read_bytes()
    words = ("--plugin", "proposals.py", "--colorizer", "proposals")
    status, _, told = cli("run", "a.png", "a-2.png", "-o", ".", *words)
    assert status == 2, told
    assert Path("a-2.png").read_bytes() == before


# --- weights in several files -----------------------------------------------------------------------------------------


@pytest.fixture
def halves(page: Path) -> PluginHost:
    return PluginHost.load([Path("halves.py")])


def test_a_digest_over_all_files_is_in_the_recipe(halves: PluginHost, page: Path) -> None:
    session = colorpipe.Session("halves", host=halves, device="cpu")
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in Path("halves").iterdir()}
    assert session.recipe.weights_sha256 == together(digests) == halves.models["halves"].sha256
    assert len(digests) == 2
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    assert together(digests) == hashlib.sha256(lines.encode()).hexdigest()


def test_another_folder_of_such_weights(halves: PluginHost, page: Path, cli: Cli) -> None:
    write_grey(Path("a.png"))
    shutil.copytree("halves", "mine")
    tensors, _ = read_tensors(Path("mine/decoder.safetensors"))
    save_file({name: value + 1 for name, value in tensors.items()}, "mine/decoder.safetensors")
    words = ("run", "a.png", "--plugin", "halves.py", "--colorizer", "halves")
    assert cli(*words, "-o", "own")[0] == 0
    assert cli(*words, "-o", "other", "--weights", "mine")[0] == 0
    assert Path("own/a.png").read_bytes() != Path("other/a.png").read_bytes()
    Path("mine/encoder.safetensors").unlink()
    status, _, told = cli(*words, "-o", "third", "--weights", "mine")
    assert status == 2
    assert "encoder.safetensors of halves's weights are not in it" in told
    with pytest.raises(UsageError, match="no such file"):
        colorpipe.Session("zhang", weights="mine", device="cpu")


def test_a_damaged_part_is_named(halves: PluginHost, page: Path, cli: Cli) -> None:
    model = halves.models["halves"]
    Path("halves/decoder.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"decoder\.safetensors is damaged"):
        ModelStore({"halves": model}).path("halves")
    assert "decoder.safetensors" in ModelStore({"halves": model}).verify()["halves"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(page: Path) -> Iterator[str]:
    """The current folder, on this machine alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_parts_are_pulled_checked_and_imported(halves: PluginHost, served: str, tmp_path: Path) -> None:
    own = halves.models["halves"]
    parts = [Part(part.name, part.sha256, part.size, f"{served}/halves/{part.name}") for part in own.parts]
    model = Model.in_parts(parts, name="far", colorizer="halves", licence="CC0-1.0", summary="far")
    store = ModelStore({"far": model}, tmp_path / "store")
    assert store.status("far") == "absent"
    with pytest.raises(WeightsError, match="the weights far are not on this machine") as absent:
        store.path("far")
    assert "models import far FOLDER" in absent.value.hint
    told: list[tuple[int, int]] = []
    folder = store.pull("far", lambda done, total: told.append((done, total)))
    assert told[-1] == (model.size, model.size)
    assert sorted(file.name for file in folder.iterdir()) == ["decoder.safetensors", "encoder.safetensors"]
    assert store.path("far") == folder
    (folder / "encoder.safetensors").unlink()  # what is there is not fetched again
    stamp = (folder / "decoder.safetensors").stat().st_mtime_ns
    assert store.status("far") == "absent"
    assert store.begun("far") == parts[0].size
    store.pull("far")
    assert (folder / "decoder.safetensors").stat().st_mtime_ns == stamp
    other = ModelStore({"far": model}, tmp_path / "imported")
    assert other.import_file("far", Path("halves")) == other.path("far")
    with pytest.raises(WeightsError, match=r"is no folder, and far are 2 files: decoder\.safetensors, encoder"):
        other.import_file("far", Path("halves/encoder.safetensors"))
    runtime = Runtime(halves.colorizer("halves")(), weights=folder, device="cpu", precision="fp32")
    assert runtime.sample().shape[-1] == 2
