"""``run --report DIR``: a page of before and after that grows with a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.browser import Browser
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_eval_report import needs_browser
from tests.test_pages import small_film

HOSTILE = "x<img src=x onerror=window.hacked=1>.png"


@pytest.fixture
def album(workplace: Path) -> Path:
    for number, name in enumerate(("a.png", "b.jpg", "c.tif", HOSTILE)):
        write_grey(workplace / "album" / name, seed=number)
    small_film(workplace / "album" / "film.mkv", 8)
    (workplace / "album" / "broken<b>.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return workplace / "album"


def data_of(file: Path) -> dict[str, Any]:
    text = file.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    return dict(json.loads(text))


def test_each_result_is_on_the_page(album: Path, cli: Cli, tint: Path) -> None:
    words = ("--colorizer", "tint", "--plugin", tint, "--report", "rep")
    assert cli("run", "album", "-o", "out", *words)[0] == 1
    file = Path("rep/index.html")
    pictures = data_of(file)["pictures"].values()
    assert {one["name"] for one in pictures} == {"a.png", "b.jpg", "c.tif", HOSTILE, "film.mkv"}
    for one in pictures:
        before, after = (cv2.imread(str(file.parent / one["images"][side])) for side in ("before", "after"))
        assert before.shape == after.shape
        assert np.ptp(before.astype(int), axis=2).max() <= 6
        assert np.ptp(after.astype(int), axis=2).max() > 10
    text = file.read_text("utf-8")
    assert "broken&lt;b&gt;.png" in text
    assert "<img src=x" not in text
    assert "broken<b>" not in text


def test_the_same_run_again_makes_no_copy_twice_and_drops_what_is_gone(album: Path, cli: Cli, tint: Path) -> None:
    words = ("--colorizer", "tint", "--plugin", tint, "--report", "rep")
    cli("run", "album", "-o", "out", *words)
    file = Path("rep/index.html")
    first = data_of(file)
    times = {path: path.stat().st_mtime_ns for path in Path("rep").rglob("*.jpg")}
    cli("run", "album", "-o", "out", *words)
    assert data_of(file) == first
    assert {path: path.stat().st_mtime_ns for path in Path("rep").rglob("*.jpg")} == times
    (album / "a.png").unlink()
    cli("run", "album", "-o", "out", *words, "--overwrite", "--strength", "40")
    assert len(data_of(file)["pictures"]) == 4
    assert len(list(Path("rep").rglob("*.jpg"))) == 8
    assert not times.keys() & set(Path("rep").rglob("*.jpg"))


def test_nothing_of_a_dry_run_and_one_line_where_it_cannot_be(album: Path, cli: Cli, tint: Path) -> None:
    words = ("--colorizer", "tint", "--plugin", tint, "--report")
    cli("run", "album", "-o", "out", *words, "rep", "--dry-run")
    assert not Path("rep").exists()
    Path("file").write_text("x")
    status, _, told = cli("run", "album", "-o", "out", *words, "file")
    assert status == 2
    assert "--report: cannot write" in told
    assert not Path("out").exists()


SLOW = """
import os
import time
import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl


class Slow(Colorizer):
    name = "slow"
    summary = "takes its time"
    licence = "Apache-2.0"

    def predict(self, batch):
        import torch

        time.sleep(float(os.environ.get("SECONDS", 0)))
        return Chroma(torch.full((len(batch), 2, 4, 4), 20.0))


@hookimpl
def colorpipe_colorizers():
    return [Slow]
"""


def test_a_killed_run_leaves_a_whole_page_and_the_next_one_completes_it(workplace: Path, cli: Cli) -> None:
    for number in range(24):
        write_grey(workplace / "album" / f"{number:02}.png", seed=number)
    Path("slow.py").write_text(SLOW)
    command = ["run", "album", "-o", "out", "--colorizer", "slow", "--plugin", "slow.py", "--report", "rep"]
    start = "import sys; from colorpipe.review import report; report.PAUSE = 0.2; "
    start += "from colorpipe.cli.app import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "SECONDS": "0.3"}
    run = subprocess.Popen([sys.executable, "-c", start, *command], stderr=subprocess.DEVNULL, env=environment)
    file, end = Path("rep/index.html"), time.monotonic() + 120
    while not (file.exists() and len(data_of(file)["pictures"]) >= 3):  # whole whenever it is looked at
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert 3 <= len(data_of(file)["pictures"]) < 24
    assert cli(*command)[0] == 0
    assert len(data_of(file)["pictures"]) == 24


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@needs_browser
def test_in_a_browser(album: Path, cli: Cli, tint: Path, window: Browser) -> None:
    cli("run", "album", "-o", "out", "--colorizer", "tint", "--plugin", tint, "--report", "rep")
    file = Path("rep/index.html").absolute()
    window.size(1280, 900)
    window.events.clear()
    window.open(file)
    window.js("Promise.all(['under', 'over'].map((id) => document.getElementById(id).decode()))")
    assert window.problems == []
    requests = {url for url in window.requests if not url.startswith("data:")}
    assert len(requests) == 3  # the page, and the one picture that is looked at
    assert all(url.startswith((file.parent.as_uri(), file.as_uri())) for url in requests)
    assert (
        window.js("[...document.querySelectorAll('#left, #right')].map((list) => list.checkVisibility())")
        == [False] * 2
    )
    assert window.js("document.getElementById('left-chip').textContent") == "before"
    first = window.js("document.getElementById('over').src")
    window.js("document.getElementById('next').click()")
    assert window.js("document.getElementById('over').src") != first
    clip = "getComputedStyle(document.getElementById('over')).clipPath"
    window.js("document.getElementById('slider').focus()")
    window.press("ArrowRight", 5)
    assert window.js(clip) == "inset(0px 0px 0px 55%)"
    assert window.js("window.hacked") is None
    window.size(375, 812, "dark")
    window.open(file)
    assert window.js("document.documentElement.scrollWidth") == 375
