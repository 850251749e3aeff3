"""``--shard I/N``: the shards together are a plain run, whoever makes which, at once or one after the other."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from colorpipe import files
from colorpipe.batch.journal import NAME, Journal
from colorpipe.batch.journal_index import Index
from colorpipe.batch.output_lock import OutputLock
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.batch.shard import Shard
from colorpipe.errors import UsageError
from colorpipe.types import Outcome, Recipe, Stage
from tests.conftest import Cli
from tests.helpers import Painter, host_with, write_grey


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for index in range(24):
        write_grey(tmp_path / "album" / f"{index % 3}" / f"{index}.png", 12, 16, seed=index)
    write_grey(tmp_path / "album" / "0" / "0.bmp", 12, 16, seed=99)  # wants the name of another's result
    return tmp_path / "album"


def colorized(album: Path, output: Path, shard: Shard | None = None) -> list[Outcome]:
    return run(RunRequest([album], Recipe(Stage("painter")), output, shard=shard), host_with(Painter))


def results(folder: Path) -> dict[str, bytes]:
    names = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


@pytest.mark.parametrize(("text", "number", "of"), [("1/3", 1, 3), ("3/3", 0, 3), ("0/3", 0, 3), ("0/1", 0, 1)])
def test_what_it_is_called(text: str, number: int, of: int) -> None:
    assert Shard.parse(text) == Shard(number, of)


@pytest.mark.parametrize("text", ["4/3", "1", "a/b", "-1/3", "1/0", "1/3/4", ""])
def test_what_it_is_not_called(text: str) -> None:
    with pytest.raises(UsageError, match="--shard takes I/N"):
        Shard.parse(text)


def test_the_hash_is_the_documented_one() -> None:
    """The rule may never change, or machines of two versions would leave inputs out."""
    # printf 1931/river.jpg | sha256sum: d11138e71244372e3b59..
    taken = [Shard.parse(f"{number}/10").takes("1931/river.jpg") for number in range(10)]
    assert taken.index(True) == 0xD11138E71244372E % 10 == 0
    names = [f"{box}/{number:05}.jpg" for box in "abc" for number in range(2000)]
    counts = Counter(next(i for i in range(7) if Shard(i, 7).takes(name)) for name in names)
    assert all(abs(count - len(names) / 7) < 100 for count in counts.values())


@pytest.mark.parametrize("first", [0, 1])
def test_the_shards_together_are_a_plain_run(album: Path, tmp_path: Path, first: int) -> None:
    colorized(album, tmp_path / "plain")
    made: list[Path] = []
    for number in range(first, first + 3):
        outcomes = colorized(album, tmp_path / "out", Shard.parse(f"{number}/3"))
        assert {outcome.status for outcome in outcomes} == {"done"}
        made += [outcome.input for outcome in outcomes]
    assert sorted(made) == sorted(path for path in album.rglob("*") if path.is_file())
    assert results(tmp_path / "out") == results(tmp_path / "plain")
    assert {outcome.status for outcome in colorized(album, tmp_path / "out")} == {"skipped"}


def shard_of(album: Path, output: Path, number: int) -> None:
    colorized(album, output, Shard(number, 4))


def test_shards_share_a_folder_at_once(album: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "cv2", "tests.test_shards"])
    processes = [context.Process(target=shard_of, args=(album, tmp_path / "out", number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    colorized(album, tmp_path / "plain")
    assert results(tmp_path / "out") == results(tmp_path / "plain")
    lines = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()]
    assert Counter(line["event"] for line in lines) == {"begun": 25, "done": 25}


def test_a_shard_without_inputs_is_no_error(tmp_path: Path, cli: Cli) -> None:
    write_grey(tmp_path / "a.png")
    fates = []
    for number in range(5):
        status, _, told = cli("run", tmp_path / "a.png", "-o", tmp_path / "out", "--shard", f"{number}/5")
        assert status == 0
        fates.append("1 done" in told)
    assert sorted(fates) == [False, False, False, False, True]


def test_a_hint_file_of_another_shards_picture_is_no_stray(tmp_path: Path, cli: Cli) -> None:
    for name in "abcd":
        write_grey(tmp_path / "in" / f"{name}.png")
        write_grey(tmp_path / "in" / f"{name}.hints.png")
    write_grey(tmp_path / "in" / "gone.hints.png")
    for number in (1, 2):
        told = cli("run", tmp_path / "in", "-o", tmp_path / "out", "--shard", f"{number}/2", "--dry-run")[2]
        assert told.count("was not used") == 1
        assert "gone.hints.png was not used" in told


def test_a_wrong_shard_is_told_before_anything_starts(tmp_path: Path, cli: Cli) -> None:
    write_grey(tmp_path / "a.png")
    status, _, told = cli("run", tmp_path / "a.png", "-o", tmp_path / "out", "--shard", "6/5")
    assert status == 2
    assert "--shard takes I/N" in told
    assert not (tmp_path / "out").exists()


def test_threads_of_several_writers_lose_no_line(tmp_path: Path) -> None:
    """Each with a view of its own, as on several machines."""

    def write(writer: int) -> None:
        index = Index(tmp_path / NAME)
        for number in range(100):
            source = {"path": f"{writer}/{number}", "place": f"/{writer}/{number}"}
            index.append({"event": "begun", "output": f"{writer}-{number}", "source": source})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / NAME).read_text().splitlines()
    assert len({json.loads(line)["output"] for line in lines if line}) == 400
    fresh = Index(tmp_path / NAME)
    assert all(
        fresh.get(f"{writer}-{number}")["output"] == f"{writer}-{number}"
        for writer in range(4)
        for number in range(100)
    )


def test_what_one_process_has_read_another_need_not(tmp_path: Path) -> None:
    source, output = tmp_path / "in.png", tmp_path / "out" / "in.png"
    source.write_bytes(b"source")
    output.parent.mkdir()
    journal = Journal(output.parent, "recipe")
    journal.begin(source, output)
    output.write_bytes(b"result")
    journal.done(source, output)
    read = Index(output.parent / NAME)
    late = Index(output.parent / NAME, read.seen)
    assert Journal(output.parent, "recipe", late).state(source, output) == "foreign"
    late.take(list(read.lines(str(source), "in.png")))
    assert Journal(output.parent, "recipe", late).state(source, output) == "done"
    assert Journal(output.parent, "recipe", late).result_of(source, output) == output


def test_parts_of_results_whose_long_names_begin_alike_are_left(tmp_path: Path) -> None:
    """The first 40 characters of two results may be the same, and somebody may be writing the other one."""
    start = "the-collection-of-the-photographer-of-the-town"
    other = files.partial_path(tmp_path / f"{start}-1.png")
    other.write_bytes(b"in the making")
    lock = OutputLock.take(tmp_path / f"{start}-2.png")
    assert lock is not None
    lock.release()
    assert other.exists()


def test_what_is_left_in_a_large_folder_goes_when_its_result_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MANY", 3)
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    left = tmp_path / ".a.png.999999999.0.part"
    left.write_bytes(b"left by a killed run")
    scans: list[str] = []
    look = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scans.append(str(path)), look(path))[1])
    for name in ("b.png", "c.png", "a.png", "d.png"):
        lock = OutputLock.take(tmp_path / name)
        assert lock is not None
        assert left.exists() == (name in ("b.png", "c.png"))
        lock.release()
    assert len(scans) == 1
    late = tmp_path / ".d.png.999999999.0.part"
    late.write_bytes(b"by a run that was killed meanwhile")
    (tmp_path / ".d.png.lock").write_bytes(b"999999999")
    assert OutputLock.take(tmp_path / "d.png") is not None
    assert not late.exists()
