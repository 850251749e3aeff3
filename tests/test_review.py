"""``colorpipe review``: what journals and results tell, what stands out, and a page that is made step by step."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from colorpipe import Session, pages
from colorpipe.batch.journal import NAME, Journal
from colorpipe.cli.app import main
from colorpipe.media import open_source
from colorpipe.plugins.host import PluginHost
from colorpipe.review import gather, page, reasons, records, small
from colorpipe.review.measures import Measurer
from colorpipe.review.reasons import Seen
from colorpipe.temporal.flicker import FlickerMeter
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_pages import small_film

SAMPLES = Path(__file__).parents[1] / "samples"
UNSURE = """
import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl


class Unsure(Colorizer):
    name = "unsure"
    summary = "sure of light pictures"
    licence = "Apache-2.0"

    def predict(self, batch):
        import torch

        return Chroma(torch.cat([batch.L * 0.2, batch.L * 0.2], 1), batch.L / 100)


@hookimpl
def colorpipe_colorizers():
    return [Unsure]
"""


RUN = ("run", "album", "-o", "out", "--colorizer", "unsure", "--plugin", "unsure.py")


def lay_album(folder: Path) -> None:
    """Nine pictures, a film, and a file that is no picture."""
    (folder / "unsure.py").write_text(UNSURE)
    for number in range(9):
        write_grey(folder / "album" / f"{number}.png", seed=number)
    (folder / "album" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    small_film(folder / "album" / "film.mkv", 8)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album, run into ``out``."""
    folder = tmp_path_factory.mktemp("run")
    lay_album(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*RUN]) == 1
    return folder


@pytest.fixture
def results(run_once: Path, workplace: Path) -> Path:
    """A copy of that run, as somebody moves a folder with all that belongs to it."""
    shutil.copytree(run_once, workplace, dirs_exist_ok=True)
    return workplace / "out"


@pytest.fixture
def made_here(workplace: Path, cli: Cli) -> Path:
    """The same, not moved: another run takes it up."""
    lay_album(workplace)
    again(cli, status=1)
    return workplace / "out"


def again(cli: Cli, *words: str, status: int = 0) -> str:
    done, _, told = cli(*RUN, *words)
    assert done == status, told
    return told


def lines(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (results / NAME).read_text().splitlines()]


def data_of(file: Path) -> dict[str, Any]:
    """What the page tells its script."""
    text = file.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    return dict(json.loads(text))


def entries(file: Path) -> dict[str, dict[str, Any]]:
    return {entry["n"]: entry for entry in data_of(file)["entries"]}


# --- what is kept of a run --------------------------------------------------------------------------------------------


def test_the_journal_keeps_what_nobody_could_measure_later(results: Path) -> None:
    done = {entry["output"]: entry for entry in lines(results) if entry["event"] == "done"}
    assert len(done) == 10
    for number in range(9):
        grey = cv2.imread(f"album/{number}.png", cv2.IMREAD_GRAYSCALE)
        told = done[f"{number}.png"]["facts"]["confidence"]
        assert told == pytest.approx(np.mean(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)) / 255, abs=0.1)
    film = done["film.mkv"]["facts"]
    assert film["frames"] == 8
    assert film["shots"] == 1
    assert 0 < film["confidence"] < 1
    assert film["flicker"]["mean"] < 1
    (failed,) = [entry for entry in lines(results) if entry["event"] == "failed"]
    assert failed["result"] == "broken.png"
    assert "album/broken.png" in failed["error"]
    assert "output" not in failed  # readers of before pass over it


def test_a_failure_decides_nothing(results: Path) -> None:
    journal = Journal(results, "any")
    source, output = Path("album/broken.png"), results / "broken.png"
    assert journal.state(source, output) == "new"
    output.write_bytes(b"somebody's")
    assert journal.state(source, output) == "foreign"


def test_a_folder_without_a_result_gets_no_journal(workplace: Path, cli: Cli) -> None:
    Path("unsure.py").write_text(UNSURE)
    (workplace / "album").mkdir()
    (workplace / "album" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    again(cli, status=1)
    assert not Path("out", NAME).exists()


def test_records_tell_each_fate(made_here: Path, cli: Cli) -> None:
    (made_here / "1.png").unlink()
    with (made_here / NAME).open("a") as file:
        file.write('{"event": "begun", "output": "x.png", "source": {"path": "album/x.png"}}\n{"event": "done", "outp')
    found = {record.output.name: record for record in records.read(made_here)}
    fates = {name: record.status for name, record in found.items()}
    assert fates == {
        **{f"{number}.png": "done" for number in range(9)},
        "1.png": "missing",
        "broken.png": "failed",
        "x.png": "unfinished",
        "film.mkv": "done",
    }
    assert found["broken.png"].source == Path(os.path.abspath("album/broken.png"))
    write_grey(Path("album/broken.png"))
    again(cli)
    assert {record.output.name: record.status for record in records.read(made_here)}["broken.png"] == "done"


def test_a_result_whose_next_run_failed_is_told(made_here: Path, cli: Cli) -> None:
    Path("album/3.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    again(cli, status=1)
    record = next(record for record in records.read(made_here) if record.output.name == "3.png")
    assert record.status == "failed"
    assert record.output.exists()


def test_folders_below_and_results_without_a_journal(results: Path) -> None:
    (results / "inner").mkdir()
    (results / "0.png").rename(results / "inner" / "0.png")
    journal = (results / NAME).read_text().replace('"output": "0.png"', '"output": "inner/0.png"')
    (results / NAME).write_text(journal)
    assert [record.output.name for record in records.read(results / "inner")] == ["0.png"]
    (results / NAME).unlink()
    marked = records.read(results)
    assert len(marked) == 10
    assert all(record.source is None and len(record.recipe) == 64 for record in marked)


# --- what stands out --------------------------------------------------------------------------------------------------


def kinds(found: tuple[reasons.Reason, ...]) -> list[str]:
    return [reason.kind for reason in found]


def batch(count: int = 20, **odd: float) -> list[Seen]:
    """Like pictures, and a last one that differs."""
    usual = {"a": 4.0, "b": 8.0, "chroma": 12.0, "confidence": 0.5, "patchiness": 2.0}
    some = [
        Seen("r", "done", {key: value * (1 + 0.02 * (n % 5)) for key, value in usual.items()}) for n in range(count)
    ]
    return [*some, Seen("r", "done", {**usual, **odd})]


@pytest.mark.parametrize(
    ("odd", "kind", "words"),
    [
        ({"patchiness": 9.0}, "patchiness", "patchiness 9, usually 2.08"),
        ({"confidence": 0.2}, "unsure", "confidence 0.20, usually 0.52"),
        ({"b": -30.0}, "colour", "bluer than usual: b −30, usually 8"),
        ({"chroma": 60.0}, "colour", "more colourful than usual"),
        ({"chroma": 0.5}, "grey", "mean chroma 0.5"),
        ({"face_chroma": 60.0, "face_hue": 40.0}, "face", "a face with chroma 60"),
        ({"face_chroma": 20.0, "face_hue": 150.0}, "face", "a face that is green"),
        ({"spike": 9.0, "spike_frame": 213.0}, "flicker", "jumps by 9.0 at frame 213"),
    ],
)
def test_what_is_far_from_the_usual_stands_out(odd: dict[str, float], kind: str, words: str) -> None:
    found = reasons.find(batch(**odd), {"patchiness": 1})
    assert [kinds(one) for one in found[:-1]] == [[]] * 20
    assert kinds(found[-1]) == [kind]
    assert words in found[-1][0].text
    assert 0.15 <= reasons.weight(found[-1]) <= 1


def test_few_results_have_no_usual_and_settings_are_told_apart() -> None:
    assert kinds(reasons.find(batch(5, patchiness=9.0), {"patchiness": 1})[-1]) == []
    others = [Seen("s", "done", {**one.measures, "b": 30.0}) for one in batch()]
    assert all(not one for one in reasons.find([*batch(), *others], {}))


def test_less_patchy_is_no_reason_and_failures_come_first() -> None:
    assert kinds(reasons.find(batch(patchiness=0.0), {"patchiness": 1})[-1]) == []
    failed = Seen("r", "failed", {}, "it is gone")
    found = reasons.find([*batch(patchiness=9.0), failed], {"patchiness": 1})
    assert reasons.weight(found[-1]) == 1 > reasons.weight(found[-2]) > 0


def test_a_face_that_is_too_strong_is_found() -> None:
    rgb = small.still(SAMPLES / "colour" / "astronaut.jpg", 320).rgb
    grey = small.without_colour(rgb)
    measurer = Measurer(PluginHost.load(), ())
    natural = measurer.measure(grey, rgb)
    assert 8 < natural["face_chroma"] < reasons.SKIN
    vivid = np.clip(grey + 3.0 * (rgb.astype(float) - grey), 0, 255).astype(np.uint8)
    assert measurer.measure(grey, vivid)["face_chroma"] > reasons.SKIN
    assert "face_chroma" not in measurer.measure(grey[:100], rgb[:100])
    assert measurer.measure(grey, grey)["chroma"] < 0.1


def test_a_jump_of_colour_is_found_and_a_cut_is_none() -> None:
    random = np.random.default_rng(0)
    scenes = [(random.random((40, 60)) * 200).astype(np.uint8) for _ in range(2)]
    meter = FlickerMeter()
    for frame in range(30):
        ab = np.full((20, 30, 2), 5.0, np.float32) + random.normal(0, 0.1, (20, 30, 2)).astype(np.float32)
        ab[..., 0] += 12 if frame >= 20 else 0  # the cut is at 20
        ab[:10] += 16 if frame == 13 else 0
        meter.add(ab, scenes[frame >= 20], 8, frame)
    found = meter.found()
    assert found is not None
    assert found.frame in (13, 14)
    assert found.spike == pytest.approx(0.5 * 16 * 2**0.5, rel=0.05)
    deep = FlickerMeter()
    deep.add(ab, scenes[0].astype(np.uint16) << 2, 10, 0)
    deep.add(ab, scenes[0].astype(np.uint16) << 2, 10, 1)
    assert deep.found().spike == 0  # type: ignore[union-attr]


def test_a_film_without_facts_is_measured_from_its_result(results: Path) -> None:
    told = [json.dumps({key: value for key, value in entry.items() if key != "facts"}) for entry in lines(results)]
    (results / NAME).write_text("\n".join(told) + "\n")
    found = small.film(results / "film.mkv", 200)
    assert len(found.colour) == len(found.grey) >= 1
    assert found.flicker is not None
    assert found.flicker.spike < reasons.JUMP
    assert np.ptp(found.grey[0].astype(int), axis=2).max() <= 1
    assert np.ptp(found.colour[0].astype(int), axis=2).max() > 10


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_each_result_with_its_pictures(results: Path, cli: Cli) -> None:
    status, out, told = cli("review", "out")
    assert status == 0, told
    assert "of 11 results stand out, in" in out
    file = Path("out-review/index.html")
    found = entries(file)
    assert len(found) == 11
    folder = page.folder_of(file)
    for name, entry in found.items():
        if name == "broken.png":
            assert "k" not in entry
            assert entry["r"][0][0] == "failed"
            continue
        picture = cv2.imread(str(gather.file_of(folder, entry["k"])))
        assert picture.shape[:2] == (entry["z"][1], 2 * entry["z"][0])
        before, after = (half.astype(int) for half in np.hsplit(picture, 2))
        assert np.ptp(before, axis=2).max() <= 6
        assert np.ptp(after, axis=2).max() > 10
        assert ("v" in entry) == (name == "film.mkv")
    text = file.read_text("utf-8")
    for word in ('src="http', 'href="http', "url(", "@import", "<script src"):
        assert word not in text


def test_a_second_page_is_made_from_what_is_known(made_here: Path, cli: Cli) -> None:
    cli("review", "out")
    file = Path("out-review/index.html")
    first, folder = entries(file), page.folder_of(file)
    times = {path: path.stat().st_mtime_ns for path in folder.glob("??/*.jpg")}
    status, out, _ = cli("review", "out")
    assert status == 0
    assert "11 of them looked at before" in out
    assert {path: path.stat().st_mtime_ns for path in folder.glob("??/*.jpg")} == times
    assert entries(file) == first
    write_grey(Path("album/4.png"), seed=77)
    again(cli, status=1)
    assert "10 of them looked at before" in cli("review", "out")[1]
    second = entries(file)
    assert {name for name in first if first[name].get("k") != second[name].get("k")} == {"4.png"}
    assert not gather.file_of(folder, first["4.png"]["k"]).exists()


class Listener:
    """Stops after some results."""

    def __init__(self, after: int) -> None:
        self.left, self.known, self.told = after, 0, []  # type: ignore[var-annotated]

    def started(self, total: int, known: int) -> None:
        self.known = known

    def advanced(self) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def failed(self, path: Path, error: str) -> None:
        self.told.append(error)


def test_a_stopped_review_goes_on(results: Path) -> None:
    measurer = Measurer(PluginHost.load())
    stopped, whole = Path("stopped/index.html"), Path("whole/index.html")
    with pytest.raises(KeyboardInterrupt):
        page.review(results, stopped, measurer, Listener(4))
    assert not stopped.exists()
    with (page.folder_of(stopped) / gather.KEPT).open("a") as file:
        file.write('{"key": "torn')
    goes_on = Listener(0)
    page.review(results, stopped, measurer, goes_on)
    assert goes_on.known >= 3
    known = Listener(0)
    page.review(results, stopped, measurer, known)
    assert known.known == 11
    page.review(results, whole, measurer, Listener(0))
    assert entries(stopped) == entries(whole)


def test_a_bad_file_is_one_line_and_the_others_go_on(results: Path, cli: Cli) -> None:
    (results / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n somebody was here")
    (results / "film.mkv").write_bytes(b"\x1aE\xdf\xa3 nor is this a film")
    status, _, told = cli("review", "out", "-o", "look.html")
    assert status == 1
    failed = [line for line in told.splitlines() if line.startswith("failed ")]
    assert len(failed) == 2
    assert any("2.png" in line for line in failed)
    assert any("film.mkv" in line for line in failed)
    assert "Traceback" not in told
    found = entries(Path("look.html"))
    assert {name for name, entry in found.items() if entry["r"] and entry["r"][0][0] == "failed"} == {
        "2.png", "film.mkv", "broken.png",
    }  # fmt: skip
    assert Path("look_files").is_dir()


@pytest.mark.parametrize("name", ["Gro\udcdfmutter.png", "a[1].png", "b[shrink=2].jpg", "- 100% #?.png"])
def test_odd_names(workplace: Path, cli: Cli, tint: Path, name: str) -> None:
    write_grey(workplace / "plain.png")
    (workplace / "album").mkdir()
    try:
        cv2.imwrite("plain.jpg", cv2.imread("plain.png"))
        Path("plain" + name[-4:]).rename(workplace / "album" / name)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    assert cli("run", "album", "-o", "out", "--colorizer", "tint", "--plugin", tint, "--report", "rep")[0] == 0
    status, _, told = cli("review", "out")
    assert (status, told) == (0, "")
    (entry,) = entries(Path("out-review/index.html")).values()
    assert entry["z"] == [64, 48]
    assert len(list(Path("rep").rglob("*.jpg"))) == 2
    (Path("out") / NAME).unlink()
    assert len(records.read(Path("out"))) == 1  # by its mark


def test_a_damaged_source_and_one_that_is_gone(workplace: Path, cli: Cli, tint: Path) -> None:
    for number in range(3):
        write_grey(workplace / "album" / f"{number}.jpg", 200, 300, seed=number)
    data = Path("album/0.jpg").read_bytes()
    Path("album/0.jpg").write_bytes(data[: len(data) * 2 // 3])
    write_grey(workplace / "album" / "scan.tif")
    words = ("--damaged", "--colorizer", "tint", "--plugin", tint)
    assert cli("run", "album", "-o", "out", *words)[0] == 0
    Path("album/1.jpg").unlink()
    assert cli("review", "out", "-o", "page")[0] == 0
    found = entries(Path("page/index.html"))
    assert [reason[0] for reason in found["0.jpg"]["r"]] == ["damaged"]
    assert "could not be decoded" in found["0.jpg"]["r"][0][2]
    assert found["0.jpg"]["v"] == ["before"]  # a browser would show it as it likes
    assert found["1.jpg"]["k"]
    assert found["scan.tif"]["v"] == ["before", "after"]
    assert found["2.jpg"].get("v") is None


def test_a_result_that_a_person_changed(results: Path, cli: Cli) -> None:
    picture = cv2.imread(str(results / "5.png"))
    assert cv2.imwrite(str(results / "5.png"), 255 - picture)
    os.utime(results / "6.png", ns=(1, 1))  # the same bytes
    cli("review", "out")
    found = entries(Path("out-review/index.html"))
    assert "changed" in [reason[0] for reason in found["5.png"]["r"]]
    assert "changed" not in [reason[0] for reason in found["6.png"]["r"]]


def test_a_colorizer_is_asked_where_the_run_kept_nothing(made_here: Path, cli: Cli) -> None:
    kept = entries_by_confidence(made_here, cli, "kept.html")
    told = [json.dumps({key: value for key, value in entry.items() if key != "facts"}) for entry in lines(made_here)]
    (made_here / NAME).write_text("\n".join(told) + "\n")
    asked = entries_by_confidence(made_here, cli, "asked.html", "--colorizer", "unsure", "--plugin", "unsure.py")
    pictures = [name for name in kept if name.endswith(".png")]
    assert len(pictures) == 10
    assert [asked[name] for name in pictures] == pytest.approx([kept[name] for name in pictures], abs=1e-3)
    assert cli("review", "out", "--colorizer", "levin")[0] == 2


@pytest.mark.slow
@pytest.mark.extra
def test_another_engine_tells_the_same_confidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    told: list[float] = []
    for engine in ("torch", "openvino"):
        session = Session("zhang", weights="zhang-compact", engine=engine, precision="fp32", device="cpu")  # type: ignore[arg-type]
        with open_source(SAMPLES / "einstein-1947.jpg", session.media) as source:
            session.pipeline.predict([session.pipeline.prepare(next(iter(source)))], sure=told)
    assert told[1] == pytest.approx(told[0], abs=1e-3)


def entries_by_confidence(results: Path, cli: Cli, name: str, *words: str) -> dict[str, float]:
    write_grey(Path("album/broken.png"))
    again(cli)
    status, _, told = cli("review", "out", "-o", name, *words)
    assert status == 0, told
    place = [label for label, _ in data_of(Path(name))["measures"]].index("confidence")
    return {key: entry["m"][place] for key, entry in entries(Path(name)).items()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["album/0.png"], "album/0.png is a file"),
        (["album"], "album has no results of colorpipe"),
        (["out", "--evaluator", "nonsense"], "there is no evaluator 'nonsense'"),
        (["out", "--evaluator", "psnr"], "--evaluator psnr does not measure a result by itself"),
        (["out", "-o", "/proc/x/page.html"], "--output: cannot write"),
    ],
)
def test_a_wrong_call_is_one_line(results: Path, cli: Cli, words: list[str], said: str) -> None:
    status, _, told = cli("review", *words)
    assert status == 2
    assert said in told
    assert "Traceback" not in told


def test_other_measures_can_be_asked(results: Path, cli: Cli) -> None:
    assert cli("review", "out", "-o", "p.html", "--evaluator", "colourfulness", "--evaluator", "patchiness")[0] == 0
    assert {"colourfulness", "patchiness"} <= {name for name, _ in data_of(Path("p.html"))["measures"]}


def test_small_pictures_of_pages_are_no_inputs(results: Path, cli: Cli) -> None:
    """The pages may lie in the very folder that is run again."""
    cli("review", "out", "-o", "album/look.html")
    again(cli, "--report", "album/rep", status=1)
    assert len(list(Path("album").rglob("*.jpg"))) > 20
    words = ("-o", "out", "--colorizer", "unsure", "--plugin", "unsure.py", "--dry-run")
    for inputs in ("album", "album/**", "album/**/*.jpg", "album/look_files"):
        status, out, _ = cli("run", inputs, *words)
        assert ".jpg" not in out, (inputs, out)
        assert status == (1 if inputs in ("album", "album/**") else 2)


def test_a_film_that_jumps_is_found_with_its_frame(workplace: Path, cli: Cli) -> None:
    """A colorizer that changes its mind at a grey that hardly changes."""
    flip = UNSURE.replace("batch.L * 0.2, batch.L * 0.2", "*[torch.where(batch.L > 50, 25.0, -25.0)] * 2")
    Path("unsure.py").write_text(flip)
    (workplace / "album").mkdir()
    with av.open("album/film.mkv", "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(20):
            planes = np.full((96, 96), 128, np.uint8)
            planes[:64] = 122 if number == 13 else 116  # L 50 is between them
            film.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        film.mux(stream.encode())
    again(cli, "--temporal", "none")
    cli("review", "out")
    (reason,) = [reason for reason in entries(Path("out-review/index.html"))["film.mkv"]["r"] if reason[0] == "flicker"]
    assert reason[2].endswith(("at frame 13", "at frame 14"))


def test_where_the_page_goes(tmp_path: Path) -> None:
    assert page.place_of(tmp_path / "out", None) == tmp_path / "out-review" / "index.html"
    assert page.place_of(Path("out"), Path("x/look.html")) == Path("x/look.html")
    assert page.place_of(Path("out"), Path("x")) == Path("x/index.html")
    assert page.folder_of(Path("x/look.html")) == Path("x/look_files")


def test_both_pages_share_one_slider() -> None:
    from colorpipe.evaluation import report as evaluated

    here = Path(page.__file__).parent
    slider = pages.part("slider.js")
    assert "clipPath" not in slider
    for folder in (here, Path(evaluated.__file__).parent):
        for file in folder.glob("*.js"):
            assert "aria-valuetext" not in file.read_text()  # the slider's own; nobody has another
