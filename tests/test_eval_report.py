"""The HTML report, in a real browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from colorpipe import Evaluation, evaluate
from colorpipe.evaluation.report import page as make_page
from colorpipe.evaluation.report.plots import nice_ticks
from colorpipe.plugins.host import PluginHost
from tests import browser
from tests.browser import Browser
from tests.conftest import TINT
from tests.test_cli_eval import PLUGIN, write

HOSTILE = (
    '"><img src=x onerror=window.hacked=1>.png',
    "x</script><svg onload=window.hacked=2>.png",  # "x<" is a folder here
    "<!--style-->{{7*7}}'; window.hacked=3; '.png",
    "http:..example.com.png",
)
METHODS = ["tint", "tint:strength=5", "tint:cool=yes"]
needs_browser = pytest.mark.skipif(
    browser.find() is None, reason=f"no browser on this machine: install one of {', '.join(browser.NAMES)}"
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Of five pictures, most with names that try to become more than text, and one that is no picture."""
    folder = tmp_path_factory.mktemp("report")
    host = PluginHost.load()
    for name, text in (("tint.py", TINT), ("distance.py", PLUGIN)):
        (folder / name).write_text(text)
        host.add_file(folder / name)
    album = folder / "album"
    write(album / "plain.png", (200, 100, 50))
    for number, name in enumerate(HOSTILE):
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        write(album / name, (90 + 40 * number, 160 - 30 * number, 90))
    (album / "<b>broken<b>.png").write_text("no picture")
    return evaluate(album, METHODS, ["distance"], host=host, images=10)


@pytest.fixture(scope="module")
def report(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(make_page(evaluation), "utf-8")
    return file


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(window: Browser, report: Path) -> Browser:
    """The report, opened anew in a desktop's window."""
    window.size(1280, 900)
    window.open(report)
    window.events.clear()
    return window


def choose(page: Browser, select: str, value: str) -> None:
    """As a person does in a list."""
    page.js(f"s = document.getElementById({select!r}), s.value = {value!r}, s.dispatchEvent(new Event('change'))")


def test_nothing_in_the_file_leads_elsewhere(report: Path) -> None:
    text = report.read_text("utf-8")
    for word in ('src="http', 'href="http', "url(", "@import", "<img src=x", "<svg onload", "<b>broken"):
        assert word not in text
    assert text.count("</script>") == 2  # the data's and the script's own


@needs_browser
def test_it_loads_without_a_complaint_or_a_request(window: Browser, report: Path) -> None:
    window.events.clear()
    window.open(report)
    window.js("Promise.all([...document.images].map(image => image.decode()))")
    assert window.problems == []
    assert {url for url in window.requests if not url.startswith("data:")} == {report.as_uri()}


@needs_browser
def test_names_are_text(page: Browser) -> None:
    names = page.js("[...document.querySelectorAll('#picture option')].map(option => option.textContent)")
    assert sorted(names) == sorted(["plain.png", *HOSTILE])
    for index in range(len(names)):
        choose(page, "picture", str(index))
    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('img[src=x], svg[onload], td i, li b').length") == 0
    assert "album/<b>broken<b>.png" in page.js("document.querySelector('.failures').textContent")
    assert page.js("document.querySelector('td.remarks').textContent") == "seen <i>markup</i> & more"


@needs_browser
def test_the_slider_moves_by_keyboard_and_pointer(page: Browser) -> None:
    clip = "getComputedStyle(document.getElementById('over')).clipPath"
    assert page.js(clip) == "inset(0px 0px 0px 50%)"
    page.js("document.getElementById('slider').focus()")
    page.press("ArrowRight", 7)
    assert page.js(clip) == "inset(0px 0px 0px 57%)"
    page.press("Home")
    assert page.js(clip) == "inset(0px 0px 0px 0%)"
    page.js("document.getElementById('compare').scrollIntoView({block: 'center'})")
    x, y, width, height = page.js(
        "b = document.getElementById('compare').getBoundingClientRect(), [b.x, b.y, b.width, b.height]"
    )
    assert width >= 300
    assert width == pytest.approx(height, rel=0.01)  # as the pictures are
    at = {"x": x + width * 0.8, "y": y + height / 3, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, **at)
    assert page.js("Number(document.getElementById('slider').value)") == pytest.approx(80, abs=1)
    told = page.js("document.getElementById('slider').getAttribute('aria-valuetext')")
    assert told == "80 per cent grey, the rest tint"


@needs_browser
def test_both_sides_show_what_was_chosen(page: Browser) -> None:
    choose(page, "left", "(truth)")
    page.js("document.querySelectorAll('#variants button')[3].click()")
    alts = page.js("['under', 'over'].map(id => document.getElementById(id).alt)")
    assert [alt.rpartition(", ")[2] for alt in alts] == ["truth", "tint:strength=5"]
    data = "JSON.parse(document.getElementById('data').textContent).pictures[0].images"
    for image, label in (("under", "(truth)"), ("over", "tint:strength=5")):
        assert page.js(f"document.getElementById({image!r}).src === {data}[{label!r}]")
    page.js("document.getElementById('next').click()")
    assert page.js("document.getElementById('picture').selectedIndex") == 1
    page.js("document.getElementById('previous').click(), document.getElementById('previous').click()")
    assert page.js("document.getElementById('picture').selectedIndex") == len(HOSTILE)


@needs_browser
def test_tables_sort_the_best_first_and_can_be_filtered(page: Browser) -> None:
    order = "[...document.querySelectorAll('#scores tbody tr')].map(row => Number(row.cells[1].dataset.value))"
    head = "document.querySelectorAll('#scores thead button')[1]"
    page.js(f"{head}.focus()")
    page.press("Enter")
    values = page.js(order)
    assert values == sorted(values)
    assert len(set(values)) == 4
    assert page.js(f"{head}.parentElement.getAttribute('aria-sort')") == "ascending"
    page.press("Enter")
    assert page.js(order) == sorted(values, reverse=True)
    choose(page, "filter", "tint:cool=yes")
    rows = "[...document.querySelectorAll('#pictures tbody tr')].filter(row => !row.hidden)"
    assert page.js(f"{rows}.map(row => row.cells[1].textContent)") == ["tint:cool=yes"] * 5
    page.js(f"{rows}.pop().querySelector('button').click()")
    assert page.js("document.getElementById('right').value") == "tint:cool=yes"
    assert page.js("document.activeElement.id") == "slider"


@needs_browser
def test_plots_have_a_dot_for_each_picture_and_words(page: Browser, evaluation: Evaluation) -> None:
    assert page.js("document.querySelectorAll('svg circle').length") == 5 * 4
    assert "tint: median" in page.js("document.querySelector('svg').getAttribute('aria-label')")
    places = page.js(
        "[...document.querySelectorAll('svg .strip:last-of-type circle')].map(c => parseFloat(c.getAttribute('cx')))"
    )
    scores = [scored.scores["distance"] for scored in evaluation.rows[-1].results.values()]
    assert sorted(range(5), key=places.__getitem__) == sorted(range(5), key=scores.__getitem__)
    assert all(0 <= place <= 100 for place in places)


@needs_browser
def test_a_phone_and_the_dark(page: Browser, report: Path, tmp_path: Path) -> None:
    page.size(390, 844, "dark")
    page.open(report)
    assert page.js("document.documentElement.scrollWidth") == 390
    assert page.js("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 23)"
    page.screenshot(tmp_path / "phone.png")
    assert (tmp_path / "phone.png").stat().st_size > 20_000


@needs_browser
def test_the_policy_stops_what_would_leave_the_page(page: Browser) -> None:
    page.js("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/pixel.png'}))")
    page.js("document.body.insertAdjacentHTML('beforeend', '<button onclick=\"window.hacked=9\">x</button>')")
    page.js("document.body.lastChild.click()")
    page.js("new Promise(done => setTimeout(done, 100))")
    assert page.js("window.hacked") is None
    assert len(page.problems) == 2  # each refused by the page's own policy, aloud
    assert all("Content Security Policy" in problem for problem in page.problems)


def test_names_where_one_path_is_absolute_and_another_is_not(evaluation: Evaluation) -> None:
    paths = (Path("/a/x.png"), Path("b/y.png"))
    mixed = dataclasses.replace(evaluation, pictures=paths)
    assert mixed.names == ("/a/x.png", "b/y.png")
    assert dataclasses.replace(evaluation, pictures=paths[1:]).names == ("y.png",)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (17.2, 29.9), (-3, 2), (0.00123, 0.00131), (999, 1001), (0, 30000)])
def test_ticks_are_few_round_and_hold_all(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 8
    step = ticks[1] - ticks[0]
    assert any(abs(step / 10.0**power - factor) < 1e-6 for power in range(-8, 8) for factor in (1, 2, 5))
