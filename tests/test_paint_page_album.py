"""The page of ``colorpipe paint`` with a folder of three and with a film, in a real Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser import Browser
from tests.conftest import Cli
from tests.paint_browser import CTRL, Tab, film_of_two_shots, needs_browser, opened
from tests.paint_page import photo

pytest.importorskip("starlette", reason="the page needs the extra [web]")
pytest.importorskip("uvicorn", reason="the page needs the extra [web]")
pytestmark = needs_browser

STATE = "[...document.querySelectorAll('.thumb')].map((one) => one.querySelector('.mark').textContent)"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from opened(tmp_path_factory.mktemp("profile"))


def served(*inputs: Path, output: Path) -> Any:
    from colorpipe.web.server import serve_in_thread

    return serve_in_thread(list(inputs), output=output)


def test_a_folder_of_three_and_a_file_that_is_none(window: Browser, tmp_path: Path) -> None:
    album, output = tmp_path / "album", tmp_path / "out"
    for name, sample in (
        ("a.jpg", "einstein-1947.jpg"),
        ("b.jpg", "louis-armstrong-1946.jpg"),
        ("c.png", "cameraman.png"),
    ):
        photo(album / name, sample)
    (album / "damaged.jpg").write_bytes(b"no picture")
    with served(album, output=output) as server:
        page = Tab(window)
        page.open(server.address)
        page.until("document.querySelector('#file-name').innerText === 'a.jpg'")
        page.settled()
        assert page.count(".thumb") == 4
        assert page.js(f"{STATE}.slice(0, 3)") == ["untouched"] * 3
        page.js("document.querySelector('#picture').focus()")
        page.key("PageDown")
        page.until("document.querySelector('#file-name').innerText === 'b.jpg'")
        page.settled()
        page.type(".control:has([data-scale=saturation]) input[type=number]", "0")
        page.settled()
        assert page.js(STATE)[1] == "edited"
        page.click("#apply-all")
        page.until("document.querySelector('#ask-dialog').open")
        page.click("#ask-dialog .primary")
        page.until(f"{STATE}.slice(0, 3).every((state) => state === 'edited')")
        page.key("PageUp")
        page.until("document.querySelector('#file-name').innerText === 'a.jpg'")
        page.settled()
        page.click('[data-mode="colour"]')
        page.settled()
        seen = page.picture()
        assert np.abs(seen[..., 0] - seen[..., 2]).mean() < 1.5, "the settings of b.jpg took all colour away"
        page.stroke((0.5, 0.8))
        page.click("#save-all")
        page.until(f"{STATE}.slice(0, 3).every((state) => state === 'saved')", "all are saved")
        assert sorted(path.name for path in output.glob("*.[jp][pn]g")) == ["a.jpg", "b.jpg", "c.png"]
        assert (album / "a.hints.json").is_file()
        page.show("damaged.jpg", settled=False)
        page.until("document.querySelector('#banner').innerText.includes('damaged.jpg')", "why it is not shown")
        page.window.events.clear()
        page.show("c.png")


def test_a_film_of_two_shots(window: Browser, tmp_path: Path, cli: Cli) -> None:
    output = tmp_path / "out"
    film = film_of_two_shots(tmp_path / "two.mp4")
    with served(film, output=output) as server:
        page = Tab(window)
        page.open(server.address)
        page.until("document.querySelectorAll('.shot').length === 2", "two shots are found")
        page.settled()
        assert page.text("#tab-dock") in ("", "Film")
        assert page.text(".timecode").startswith("Frame 0 of 24")
        page.click('[data-mode="colour"]')
        page.settled()
        first = page.picture()
        page.js("document.querySelector('#picture').focus()")
        page.key(">")
        page.until("document.querySelector('.timecode').innerText.startsWith('Frame 12')")
        page.until("document.querySelector('#stage').dataset.settled === 'true'")
        page.settled()
        before = page.picture()
        assert np.abs(before - first).mean() > 20, "another shot is shown"
        page.type('[aria-label^="Colour as red"]', "#3060c0")
        page.stroke((0.72, 0.84))
        after = page.picture()
        assert after[..., 2].mean() - before[..., 2].mean() > 0.5
        assert page.count(".ticks .painted") == 1
        page.js("document.querySelector('#picture').focus()")
        page.key("r")
        page.until("document.querySelector('#preview').innerText.includes('Stop')")
        page.until("document.querySelector('.timecode').innerText.startsWith('Frame 2')", "the preview plays")
        page.key("r")
        page.settled()
        page.key("s", hold=CTRL)
        page.until("document.querySelector('#file-state').innerText === 'saved'")
        assert page.problems == []
    hints = json.loads((tmp_path / "two.000012.hints.json").read_text())
    assert len(hints["strokes"]) == 1
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for name in ("two.mp4", "two.000012.hints.json"):
        shutil.copy(tmp_path / name, fresh / name)
    recipe = output / "two.mp4.recipe.json"
    status, _, told = cli("run", fresh / "two.mp4", "-o", tmp_path / "again.mp4", "--recipe", recipe)
    assert status == 0, told
    assert (tmp_path / "again.mp4").read_bytes() == (output / "two.mp4").read_bytes()


def test_places_that_look_alike_are_confirmed_by_a_click(window: Browser, tmp_path: Path) -> None:
    album = tmp_path / "album"
    photo(album / "mother.jpg", "migrant-mother-1936.jpg", side=384)
    with served(album, output=tmp_path / "out") as server:
        page = Tab(window)
        page.open(server.address)
        page.until("document.querySelector('#stage').dataset.settled === 'true'")
        page.type('[aria-label^="Colour as red"]', "#c09070")
        page.type('[aria-label="Name for this colour"]', "skin")
        page.until("document.querySelector('.named button') !== null")
        assert json.loads((album / "colours.json").read_text())["colours"]["skin"][0] is None
        page.stroke((0.55, 0.30))
        page.until("document.querySelector('.swatch') !== null")
        page.click(".similar button")
        page.until("document.querySelectorAll('.ring').length > 0", "places that look alike")
        found = page.count(".ring")
        page.click(".ring")
        page.settled()
        assert page.count(".ring") == found - 1
        assert page.text("#stroke-count") in ("2", "3", "4")  # a place is one dab to three
        assert "Skin" in page.text(".strokes-list")
        assert page.problems == []
