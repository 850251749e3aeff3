"""A million inputs in little memory, scaled down: what each one costs. ``benchmarks/million.py`` measures it whole."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colorpipe.batch import journal_index
from colorpipe.batch.journal import NAME
from colorpipe.batch.journal_index import Index
from colorpipe.batch.preparation import prepare
from colorpipe.batch.request import RunRequest
from colorpipe.types import Recipe, Stage

COUNT = 4000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(COUNT):
        path = tmp_path / "archive" / f"box-{number // 500:03}" / f"print-{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "archive"


def journal_of(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    with (folder / NAME).open("w") as file:
        for number in range(count):
            name = f"box-{number // 500:03}/print-{number:07}.jpg"
            source = {"path": f"archive/{name}", "place": f"/mnt/archive/{name}"}
            file.write(json.dumps({"event": "begun", "output": name, "source": source}) + "\n")
            done = {"event": "done", "output": name, "size": 1, "mtime_ns": 1, "sha256": "0" * 64, "recipe": "1" * 64}
            file.write(json.dumps({**done, "source": source}) + "\n")
    return folder / NAME


def kept(make: Callable[[], Any]) -> float:
    """Bytes for each input that what is made keeps."""
    tracemalloc.start()
    try:
        made = make()
        size = tracemalloc.get_traced_memory()[0]
        assert made is not None
        return size / COUNT
    finally:
        tracemalloc.stop()


def test_a_plan_keeps_little_for_each_input(archive: Path, tmp_path: Path) -> None:
    request = RunRequest([archive], Recipe(Stage("zhang")), tmp_path / "out")
    prepare(request)  # imports, and what is made once
    assert kept(lambda: prepare(request)) < 400


def test_a_journal_keeps_little_for_each_entry(tmp_path: Path) -> None:
    file = journal_of(tmp_path / "out", COUNT)
    assert kept(lambda: Index(file)) < 400


def test_a_look_up_and_an_append_touch_what_they_are_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the journal's length: every line that is parsed is counted."""
    parsed = []
    loads = json.loads
    monkeypatch.setattr(journal_index.json, "loads", lambda text: (parsed.append(1), loads(text))[1])
    counts = []
    for length in (10, COUNT):
        index = Index(journal_of(tmp_path / f"{length}", length))
        assert len(parsed) == 2 * length
        parsed.clear()
        index.read()
        assert index.get("box-000/print-0000007.jpg")["event"] == "done"
        source = {"path": "x", "place": "/x"}
        index.append({"event": "begun", "output": "new.jpg", "source": source})
        index.read()
        counts.append(len(parsed))
        parsed.clear()
    assert counts == [2, 2]


def test_outcomes_are_told_and_not_kept_where_nobody_wants_them(tmp_path: Path) -> None:
    from colorpipe.batch.request import NullListener
    from colorpipe.batch.runner import run
    from tests.helpers import Painter, host_with, write_grey

    told = []

    class Listener(NullListener):
        def job_done(self, job: Any, outcome: Any) -> None:
            told.append(outcome.status)

    for name in "abc":
        write_grey(tmp_path / "in" / f"{name}.png")
    request = RunRequest([tmp_path / "in"], Recipe(Stage("painter")), tmp_path / "out", forget=True)
    assert run(request, host_with(Painter), Listener()) == []
    assert told == ["done"] * 3
