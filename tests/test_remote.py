"""Inputs and results behind URLs, on fsspec's store in memory: staged, and whole or not at all there too."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from colorpipe.batch import remote
from colorpipe.batch.remote_store import RemotePath, Store, url_of
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.batch.shard import Shard
from colorpipe.errors import OutputError, UsageError
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome, Recipe, Stage
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_video import make_clip

fsspec = pytest.importorskip("fsspec")
IN, OUT = "memory://prints", "memory://colour/run 1"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The store, empty."""
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


@pytest.fixture
def album(tmp_path: Path, memory: Any) -> Path:
    """On this machine and in the store."""
    folder = tmp_path / "album"
    for index in range(10):
        write_grey(folder / f"{index % 2}" / f"{index}.png", 12, 16, seed=index)
    write_grey(folder / "0" / "0.bmp", 12, 16, seed=99)
    make_clip(folder / "reel.mkv")
    (folder / "notes.txt").write_text("x")
    memory.put(str(folder) + "/", "/prints/", recursive=True)
    return folder


def colorized(source: str | Path, output: str | Path, tint: Path, **more: Any) -> list[Outcome]:
    recipe = Recipe(Stage("tint"), settings={"codec": "ffv1"})
    request = RunRequest([source], recipe, Path(output), **more)
    return run(request, PluginHost.load([tint]))


def fates(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.status for outcome in outcomes)


def stored(memory: Any, root: str = "/colour/run 1") -> dict[str, bytes]:
    names = (name for name in memory.find(root) if "/.colorpipe/" not in name)
    return {name[len(root) + 1 :]: memory.cat_file(name) for name in names}


def local(folder: Path) -> dict[str, bytes]:
    names = (path for path in folder.rglob("*") if path.is_file() and "/." not in f"/{path.relative_to(folder)}")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def same(ours: dict[str, bytes], theirs: dict[str, bytes]) -> bool:
    """Films aside, whose container has numbers drawn by chance, of one length."""
    still = [{name: data for name, data in one.items() if not name.endswith(".mkv")} for one in (ours, theirs)]
    return ours.keys() == theirs.keys() and still[0] == still[1]


def test_names() -> None:
    assert url_of(Path("s3://bucket/a b/c.png")) == "s3://bucket/a b/c.png"
    assert url_of("gs://bucket/") == "gs://bucket"
    assert [url_of(name) for name in ("a/b", "C:/photos", "file:///a", None, "a:b")] == [None] * 5
    assert str(RemotePath("s3://bucket/a.png")) == f"{RemotePath('s3://bucket/a.png')}" == "s3://bucket/a.png"


def test_a_store_gets_what_a_folder_gets(album: Path, tmp_path: Path, tint: Path, memory: Any) -> None:
    plain = colorized(album, tmp_path / "plain", tint)
    outcomes = colorized(IN, OUT, tint)
    assert fates(outcomes) == fates(plain) == {"done": 12}
    assert same(stored(memory), local(tmp_path / "plain"))
    told = {str(outcome.input): str(outcome.output) for outcome in outcomes}
    assert told[f"{IN}/0/0.bmp"] == f"{OUT}/0/0.bmp.png"
    assert fates(colorized(IN, OUT, tint)) == {"skipped": 12}
    assert not list((tmp_path / "cache" / "stage").glob("*/*")), "the stage was left"


def test_either_side_may_be_a_folder(album: Path, tmp_path: Path, tint: Path, memory: Any) -> None:
    colorized(album, tmp_path / "plain", tint)
    assert fates(colorized(IN, tmp_path / "here", tint)) == {"done": 12}
    assert same(local(tmp_path / "here"), local(tmp_path / "plain"))
    assert fates(colorized(album, OUT, tint)) == {"done": 12}
    assert same(stored(memory), local(tmp_path / "plain"))
    assert fates(colorized(IN, tmp_path / "here", tint)) == {"skipped": 12}


def test_what_has_changed_is_made_again_and_nothing_else(album: Path, tmp_path: Path, tint: Path, memory: Any) -> None:
    colorized(IN, OUT, tint)
    write_grey(album / "1" / "1.png", 30, 30)
    memory.put_file(str(album / "1" / "1.png"), "/prints/1/1.png")
    dab = np.zeros((12, 16, 4), np.uint8)
    dab[4:8, 4:8] = (40, 40, 200, 255)
    assert cv2.imwrite(str(tmp_path / "dab.png"), dab)
    memory.put_file(str(tmp_path / "dab.png"), "/prints/1/3.hints.png")
    made = {str(outcome.input) for outcome in colorized(IN, OUT, tint) if outcome.status == "done"}
    assert made == {f"{IN}/1/1.png", f"{IN}/1/3.png"}


def test_a_strangers_object_is_left_alone(album: Path, tint: Path, memory: Any) -> None:
    memory.pipe_file("/colour/run 1/1/1.png", b"somebody's")
    outcomes = colorized(IN, OUT, tint)
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert "was not made by colorpipe" in str(failed.error)
    assert memory.cat_file("/colour/run 1/1/1.png") == b"somebody's"
    assert fates(colorized(IN, OUT, tint, overwrite=True)) == {"done": 12}


def test_what_a_person_changed_is_left_and_told(album: Path, tint: Path, memory: Any) -> None:
    colorized(IN, OUT, tint)
    memory.pipe_file("/colour/run 1/1/1.png", b"retouched")
    outcomes = colorized(IN, OUT, tint)
    assert fates(outcomes) == {"skipped": 12}
    assert [str(outcome.input) for outcome in outcomes if outcome.notes] == [f"{IN}/1/1.png"]


@pytest.mark.parametrize("sent", [0, 4, 13, *(pytest.param(more, marks=pytest.mark.slow) for more in (1, 9))])
def test_a_run_that_ends_at_any_object_is_taken_up(
    album: Path, tmp_path: Path, tint: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    colorized(album, tmp_path / "plain", tint)
    monkeypatch.setattr(remote, "BATCH", 5)
    with monkeypatch.context() as patch:
        put, count = Store.send, [0]

        def send(self: Store, source: Path, name: str) -> None:
            if count[0] == sent:
                raise KeyboardInterrupt
            count[0] += 1
            put(self, source, name)

        patch.setattr(Store, "send", send)
        with pytest.raises(KeyboardInterrupt):
            colorized(IN, OUT, tint)
    there, wanted = stored(memory), local(tmp_path / "plain")
    assert {name: data for name, data in there.items() if name != "reel.mkv"}.items() <= wanted.items()
    assert fates(colorized(IN, OUT, tint)).keys() <= {"done", "skipped"}
    assert same(stored(memory), wanted)


def test_shards_together_are_the_whole(album: Path, tmp_path: Path, tint: Path, memory: Any) -> None:
    colorized(album, tmp_path / "plain", tint)
    counts = [fates(colorized(IN, OUT, tint, shard=Shard(number, 3)))["done"] for number in range(3)]
    assert sum(counts) == 12
    assert same(stored(memory), local(tmp_path / "plain"))


def test_sidecars_and_comparisons_are_sent_too(album: Path, tint: Path, memory: Any) -> None:
    colorized(f"{IN}/1/1.png", OUT, tint, sidecar=True, compare=True)
    there = stored(memory)
    assert there.keys() == {"1.png", "1.png.colorpipe.json", "1.compare.jpg"}
    record = json.load(io.BytesIO(there["1.png.colorpipe.json"]))
    assert record["source"]["path"] == "1.png"


def test_one_that_cannot_be_fetched_fails_alone(
    album: Path, tint: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = type(memory).get_file

    def get_file(self: Any, path: str, target: str, **more: Any) -> Any:
        if path.endswith("1/3.png"):
            raise PermissionError("no")
        return get(self, path, target, **more)

    monkeypatch.setattr(type(memory), "get_file", get_file)
    outcomes = colorized(IN, OUT, tint)
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed.error == f"{IN}/1/3.png: cannot be fetched: no"
    assert fates(outcomes)["done"] == 11


def test_a_store_that_cannot_be_written_is_one_line(
    album: Path, tint: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_file(self: Any, *_: Any, **__: Any) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(type(memory), "put_file", put_file)
    with pytest.raises(OutputError, match=r"cannot write memory://colour/run 1/\.colorpipe/.*: denied"):
        colorized(IN, OUT, tint)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["memory://gone", "-o", "out"], "memory://gone does not exist"),
        (["memory://prints", "-o", "out", "--bag"], "--bag does not go with"),
        (["memory://prints", "-o", "out", "--dry-run"], "--dry-run does not go with"),
        (["nosuch://prints", "-o", "out"], "nosuch://prints"),
    ],
)
def test_what_cannot_be_is_one_line(album: Path, cli: Cli, words: list[str], said: str) -> None:
    status, _, told = cli("run", *words)
    assert status == 2
    assert said in told


def test_without_fsspec_it_is_one_line(album: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    status, _, told = cli("run", IN, "-o", "out")
    assert status == 2
    assert "pip install 'colorpipe[remote]'" in told
    with pytest.raises(UsageError, match="fsspec is not installed"):
        Store(IN)


@pytest.mark.slow
@pytest.mark.extra
def test_s3_itself(tmp_path: Path, tint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks S3, on this machine."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        store = fsspec.filesystem("s3")
        for bucket in ("prints", "colour"):
            store.mkdir(bucket)
        for index in range(6):
            write_grey(tmp_path / "album" / f"{index % 2}" / f"{index}.png", 12, 16, seed=index)
        make_clip(tmp_path / "album" / "reel.mkv")
        store.put(f"{tmp_path}/album/", "prints/1931/", recursive=True)
        colorized(tmp_path / "album", tmp_path / "plain", tint)
        outcomes = colorized("s3://prints/1931", "s3://colour/1931", tint)
        assert fates(outcomes) == {"done": 7}
        assert same(stored(store, "colour/1931"), local(tmp_path / "plain"))
        assert fates(colorized("s3://prints/1931", "s3://colour/1931", tint)) == {"skipped": 7}
        store.rm("colour/1931/1/1.png")
        assert fates(colorized("s3://prints/1931", "s3://colour/1931", tint)) == {"skipped": 6, "done": 1}
    finally:
        server.stop()
