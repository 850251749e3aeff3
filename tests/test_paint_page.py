"""The page of ``colorpipe paint``, driven in a real Chromium against the real server with the bundled network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser import Browser
from tests.conftest import Cli
from tests.paint_browser import CTRL, SHIFT, Rgb, Tab, labelled, needs_browser, opened
from tests.paint_page import photo

pytest.importorskip("starlette", reason="the page needs the extra [web]")
pytest.importorskip("uvicorn", reason="the page needs the extra [web]")
pytestmark = needs_browser

PHOTOS = {
    "armstrong.jpg": "louis-armstrong-1946.jpg",
    "boy.jpg": "london-boy-1945.jpg",
    "einstein.jpg": "einstein-1947.jpg",
    "farm.jpg": "nypl-717810f-dyckman-farmhouse-1923.jpg",
    "mother.jpg": "migrant-mother-1936.jpg",
    "river.jpg": "new-york-riverfront-1931.jpg",
    "street.jpg": "saratoga-springs-1900s.jpg",
}
HEX = '[aria-label^="Colour as red"]'


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    for name, sample in PHOTOS.items():
        photo(folder / name, sample, side=384)
    return folder


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def served(album: Path, output: Path) -> Iterator[Any]:
    from colorpipe.web.server import serve_in_thread

    with serve_in_thread([album], output=output) as server:
        yield server


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from opened(tmp_path_factory.mktemp("profile"))


@pytest.fixture
def page(window: Browser, served: Any) -> Iterator[Tab]:
    """A fresh tab; at the end nothing was complained of, and nothing was asked of anyone else."""
    tab = Tab(window)
    tab.open(served.address)
    yield tab
    assert tab.problems == []
    assert all(address.startswith(f"http://127.0.0.1:{served.port}/") for address in window.requests)


def near(picture: Rgb, x: float, y: float, share: float = 0.02) -> np.ndarray:
    """Mean colour around a place."""
    height, width = picture.shape[:2]
    reach = max(2, round(share * max(height, width)))
    row, column = round(y * height), round(x * width)
    part = picture[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
    return np.asarray(part.reshape(-1, 3).mean(0))


def colour_of(picture: Rgb) -> float:
    """How far red and blue are apart, on average."""
    return float(np.abs(picture[..., 0] - picture[..., 2]).mean())


def paint_with(page: Tab, colour: str, reach: str = "0.1") -> None:
    """The brush has a colour, dabs go a tenth of the picture, and the canvas shows the result alone."""
    page.type(HEX, colour)
    page.type('#reach input[type="number"]', reach)
    page.click('[data-mode="colour"]')
    page.settled()


def test_a_stroke_changes_the_colour_there_and_not_elsewhere_and_can_be_undone(page: Tab) -> None:
    page.show("street.jpg")
    paint_with(page, "#2a8a3c")
    before = page.picture()
    page.stroke((0.30, 0.80), (0.36, 0.80))
    after = page.picture()
    assert page.text("#stroke-count") == "1"
    red, green, blue = near(after, 0.33, 0.80) - near(before, 0.33, 0.80)
    assert green - (red + blue) / 2 > 12, (red, green, blue)
    far = np.abs(after - before)[:, int(0.7 * after.shape[1]) :].mean()
    assert far < 0.5, far
    page.until("!document.querySelector('#undo').disabled")
    page.click("#undo")
    page.settled()
    assert np.abs(page.picture() - before).max() <= 2
    page.key("Z", hold=CTRL | SHIFT)
    page.settled()
    assert np.abs(page.picture() - after).mean() < 0.2, "a draft begins where the last one ended"


def test_a_point_takes_a_swatch_and_each_stroke_can_be_deleted(page: Tab) -> None:
    page.show("mother.jpg")
    paint_with(page, "#3050c0")
    page.key("p")
    page.stroke((0.55, 0.30))
    page.until("document.querySelectorAll('.swatch').length > 0", "no swatch of the network")
    assert page.text("#colour-for") == "of stroke 1"
    blue = near(page.picture(), 0.55, 0.30)
    page.click(".swatch")
    page.settled()
    taken = near(page.picture(), 0.55, 0.30)
    assert blue[2] > blue[0]
    assert taken[0] > taken[2], "skin is not blue"
    page.stroke((0.30, 0.85))
    assert page.text("#stroke-count") == "2"
    page.click(".strokes-list .quiet")
    page.settled()
    assert page.text("#stroke-count") == "1"
    page.key("z", hold=CTRL)
    page.settled()
    assert page.text("#stroke-count") == "2"


def test_the_eraser_cuts_a_stroke_and_the_eyedropper_takes_a_colour(page: Tab) -> None:
    page.show("boy.jpg")
    paint_with(page, "#a03020")
    page.stroke((0.2, 0.85), (0.8, 0.85))
    assert page.text("#stroke-count") == "1"
    page.key("e")
    page.stroke((0.5, 0.75), (0.5, 0.95))
    assert page.text("#stroke-count") == "2", "one stroke in two pieces"
    page.key("i")
    page.type(HEX, "#0080ff")
    page.stroke((0.25, 0.85))
    taken = page.js(f"document.querySelector('{HEX}').value")
    assert int(taken[1:3], 16) > int(taken[5:7], 16), "the red that was painted, not the blue that was typed"


def test_settings_change_the_picture_at_once_and_the_last_value_wins(page: Tab, served: Any) -> None:
    page.show("river.jpg")
    page.click('[data-mode="colour"]')
    page.settled()
    before = page.picture()
    slider = f"{labelled('Saturation')}.querySelector('input[type=range]')"
    page.js(f"{slider}.scrollIntoView()")
    box = page.js(f"{slider}.getBoundingClientRect().toJSON()")
    page.window.events.clear()
    middle = box["top"] + box["height"] / 2
    page.drag([(box["left"] + box["width"] * share, middle) for share in (0.5, 0.9, 0.1, 0.7, 0.02)])
    page.settled()
    left = page.picture()
    assert colour_of(left) < 0.35 * colour_of(before)
    asked = [address for address in page.window.requests if "kind=result" in address]
    assert len(asked) < 12, "an answer for each step of the drag is awaited before the next is asked for"
    page.key("z", hold=CTRL)
    page.settled()
    assert np.abs(page.picture() - before).max() <= 2, "one drag is one step"
    page.type(".control:has([data-scale=T]) input[type=number]", "0.05")
    page.settled()
    assert np.abs(page.picture() - before).mean() > 0.2


def test_proposals_are_six_ways_to_begin(page: Tab) -> None:
    page.show("farm.jpg")
    page.click('[data-mode="colour"]')
    page.settled()
    page.until("document.querySelectorAll('.proposal').length === 6")
    before = page.picture()
    page.click(".proposal", 5)
    page.settled()
    assert np.abs(page.picture() - before).mean() > 0.3
    assert page.js("document.querySelectorAll('.proposal')[5].getAttribute('aria-pressed')") == "true"
    page.click(".proposal", 0)
    page.settled()
    assert np.abs(page.picture() - before).max() <= 2


def test_what_is_saved_comes_out_of_run_again_byte_for_byte(
    page: Tab, album: Path, output: Path, tmp_path: Path, cli: Cli
) -> None:
    page.show("armstrong.jpg")
    paint_with(page, "#305a9a", reach="0.3")
    page.stroke((0.55, 0.80), (0.62, 0.84))
    page.type(".control:has([data-scale=T]) input[type=number]", "0.3")
    page.settled()
    assert page.text("#file-state") == "edited"
    page.key("s", hold=CTRL)
    page.until("document.querySelector('#file-state').innerText === 'saved'")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for name in ("armstrong.jpg", "armstrong.hints.json"):
        shutil.copy(album / name, fresh / name)
    recipe = output / "armstrong.jpg.recipe.json"
    status, _, told = cli("run", fresh / "armstrong.jpg", "-o", tmp_path / "again.jpg", "--recipe", recipe)
    assert status == 0, told
    assert (tmp_path / "again.jpg").read_bytes() == (output / "armstrong.jpg").read_bytes()


def test_who_clicks_while_the_page_opens_paints_on_one_and_the_same_picture(window: Browser, served: Any) -> None:
    """The first picture is opened by the page and by a click, both at once."""
    tab = Tab(window)
    tab.open(served.address)
    tab.until("document.querySelectorAll('.thumb').length > 0")
    for _ in range(3):
        tab.js("document.querySelector('.thumb').click()")
    tab.until("document.querySelector('#file-name').innerText !== ''")
    tab.settled()
    before = int(tab.text("#stroke-count") or 0)
    tab.stroke((0.7, 0.9))
    tab.until("document.querySelector('#file-state').innerText === 'edited'")
    assert int(tab.text("#stroke-count")) == before + 1
    assert not tab.js("document.querySelector('#empty').innerText")


def test_what_is_not_saved_is_warned_about(page: Tab) -> None:
    page.show("einstein.jpg")
    page.stroke((0.4, 0.85))
    assert page.text("#file-state") == "edited"
    page.window.events.clear()
    page.window.call("Runtime.evaluate", expression="setTimeout(() => { location.href = 'about:blank'; }, 0)")
    end = time.monotonic() + 20
    while not (asked := [event for event in page.window.events if event["method"] == "Page.javascriptDialogOpening"]):
        assert time.monotonic() < end, "the browser asks nothing"
        page.window.call("Target.getTargets")
        time.sleep(0.05)
    assert asked[0]["params"]["type"] == "beforeunload"
    page.window.call("Page.handleJavaScriptDialog", accept=False)


def test_a_lost_connection_is_shown_and_nothing_is_lost(page: Tab) -> None:
    page.show("einstein.jpg")
    strokes = int(page.text("#stroke-count") or 0)
    offline: dict[str, Any] = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.window.call("Network.emulateNetworkConditions", offline=True, **offline)
    page.drag([page.point_of((0.6, 0.9))])
    page.until("!document.querySelector('#banner').hidden")
    assert "does not answer" in page.text("#banner")
    page.window.call("Network.emulateNetworkConditions", offline=False, **offline)
    page.until("document.querySelector('#banner').hidden")
    page.settled()
    assert int(page.text("#stroke-count")) == strokes + 1
    page.until("document.querySelector('#file-state').innerText === 'edited'")
    page.window.events.clear()  # the browser noted that the network was away


def test_a_foreign_address_says_what_to_do(window: Browser, served: Any) -> None:
    tab = Tab(window)
    tab.open(f"http://127.0.0.1:{served.port}/#token=wrong")
    tab.until("!document.querySelector('#banner').hidden")
    assert "Open the address" in tab.text("#banner")


def test_the_keyboard_alone_paints_changes_and_saves(page: Tab, output: Path) -> None:
    page.show("boy.jpg")
    page.js("document.activeElement.blur()")
    page.key("Tab", "Enter")  # "To the picture"
    assert page.js("document.activeElement.id") == "picture"
    assert page.js("getComputedStyle(document.querySelector('#picture')).outlineStyle") == "solid"
    strokes = int(page.text("#stroke-count") or 0)
    page.key("v", "b", "c", "ArrowDown", "ArrowDown", "ArrowLeft", "Enter")
    page.settled()
    page.press("Shift")
    page.key("ArrowRight", "ArrowRight", "ArrowRight", hold=SHIFT)
    page.press("Shift", up=True)
    page.settled()
    assert int(page.text("#stroke-count")) == strokes + 2
    assert page.js("[...document.querySelectorAll('.strokes-list li')].at(-1).innerText.includes('stroke')")
    page.key("?")
    assert page.js("document.querySelector('#help-dialog').open")
    page.key("Escape")
    assert page.js("document.activeElement.id") == "picture", "the focus returns"
    page.key("z", hold=CTRL)
    page.settled()
    assert int(page.text("#stroke-count")) == strokes + 1
    seen = set()
    for _ in range(12):
        page.key("F6")
        seen.add(page.js("document.activeElement.closest('[id]').id"))
    assert {"picture", "plane"} <= seen
    page.js("document.querySelector('#plane').focus()")
    colour = page.text(".colour-words b")
    page.key(*["ArrowRight"] * 20)
    assert page.text(".colour-words b") != colour
    page.settled()
    page.key("s", hold=CTRL)
    page.until("document.querySelector('#file-state').innerText === 'saved'")
    assert (output / "boy.jpg").is_file()


def test_a_phone_has_all_of_it_and_fingers_paint_and_pinch(window: Browser, served: Any) -> None:
    tab = Tab(window)
    tab.open(served.address, 375, 667, touch=True)
    tab.until("document.querySelector('#stage').dataset.settled === 'true'")
    assert tab.js("document.documentElement.scrollWidth") == 375
    for name in ("picture", "start", "strokes", "dock", "colour"):
        tab.js(f"document.querySelector('#tab-{name}').click()")
        assert tab.js(TOO_WIDE) == []
    strokes = int(tab.js("document.querySelector('#stroke-count').textContent") or 0)
    left, top = tab.point_of((0.6, 0.8))
    tab.touch([(left, top), (left + 10, top), (left + 20, top + 4)])
    tab.settled()
    assert int(tab.js("document.querySelector('#stroke-count').textContent")) == strokes + 1
    before = tab.js("document.querySelector('#zoom-actual').textContent")
    x, y = tab.point_of((0.75, 0.6))
    tab.touch([(x - 15, y), (x - 30, y), (x - 60, y)], [(x + 15, y), (x + 30, y), (x + 60, y)])
    time.sleep(0.2)
    after = tab.js("document.querySelector('#zoom-actual').textContent")
    assert float(after[:-1]) > 2 * float(before[:-1])
    assert int(tab.js("document.querySelector('#stroke-count').textContent")) == strokes + 1, "a pinch paints nothing"
    assert tab.js(TOO_SMALL) == [], "fingers need room"
    assert tab.problems == []


INTERACTIVE = {
    "application", "button", "checkbox", "combobox", "link", "listbox", "radio", "searchbox", "slider", "spinbutton",
    "switch", "tab", "textbox",
}  # fmt: skip
CONTRAST = """(() => {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.8) return colour;
    }
    return [29, 29, 29];
  };
  const poor = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.offsetParent || one.closest(':disabled, .unseen, .skip, .swatch, option')) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    const name = `${one.className || one.tagName}: ${one.textContent.trim().slice(0, 30)}`;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(name);
  }
  return poor;
})()"""
"""Text whose contrast with its ground is below 4.5 (WCAG 2.2, 1.4.3)."""
TWICE = """[...document.querySelectorAll('[id]')].map((one) => one.id)
  .filter((id, at, all) => all.indexOf(id) !== at)"""
NOWHERE = """[...document.querySelectorAll('*')]
  .flatMap((one) => ['aria-controls', 'aria-labelledby', 'aria-describedby', 'for'].map((id) => one.getAttribute(id)))
  .filter((id) => id && !document.getElementById(id))"""
"""What names another element that is not there."""
TOO_WIDE = """[...document.querySelectorAll('main *')]
  .filter((one) => one.offsetParent && !one.closest('.strip-list, .options, .tabs, .stage'))
  .filter((one) => one.getBoundingClientRect().right > 375.5).map((one) => one.outerHTML.slice(0, 90))"""
TOO_SMALL = """[...document.querySelectorAll('.tools button, .tabs button, .actions button')]
  .filter((one) => one.offsetParent && Math.min(one.offsetWidth, one.offsetHeight) < 38).map((one) => one.outerHTML)"""


def test_every_control_has_a_name_a_role_and_enough_contrast(page: Tab) -> None:
    page.show("street.jpg")
    page.stroke((0.5, 0.5))
    page.js("document.querySelector('.more').open = true")
    nodes = page.window.call("Accessibility.getFullAXTree")["nodes"]
    nameless, names = [], []
    for node in nodes:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "").strip()
        if role in INTERACTIVE and not node.get("ignored"):
            (names if name else nameless).append(f"{role} {name or node.get('backendDOMNodeId')}")
    assert nameless == []
    assert len(names) > 60, "the tree is the whole page"
    assert page.js(TWICE) == []
    assert page.js(NOWHERE) == []
    assert page.js(CONTRAST) == []


def test_the_page_keeps_to_its_policy(page: Tab) -> None:
    """No inline script or style is there to be allowed: the policy has no exception."""
    source = page.js("fetch('/').then((answer) => answer.text())")
    assert " style=" not in source
    assert "<script>" not in source
    assert " onclick=" not in source
    policy = page.js("fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))")
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.js("location.hash + location.search") == "", "the token has left the address"
