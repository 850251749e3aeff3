"""Films compared: protocol ``video.v1``, and ``Session.film``, which colours as a run does."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from colorpipe import Evaluation, Evaluator, Frame, OptionError, Session, UsageError, evaluate
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.evaluation import clips, export, protocols
from colorpipe.evaluation.report import page
from colorpipe.evaluation.table import notes
from colorpipe.media.video.source import open_video
from colorpipe.plugins.host import PluginHost
from colorpipe.settings import MediaOptions
from colorpipe.types import Batch, Chroma, Recipe, Stage
from tests import browser
from tests.browser import Browser
from tests.conftest import Cli
from tests.helpers import Painter, plugin
from tests.test_evaluation import drawn, flat, value
from tests.test_temporal import HEIGHT, WIDTH, pan, texture

PROTOCOL = protocols.get("video.v1")
STEADINESS = ["cdc", "flicker", "warp-error"]


class Restless(Painter):
    """Another hue for every lightness that it is shown: wild, and the same again each time."""

    name = "restless"

    def predict(self, batch: Batch) -> Chroma:
        import torch

        angle = batch.L.mean((1, 2, 3)) * 400
        return Chroma((torch.stack([angle.cos(), angle.sin()], 1) * 25)[:, :, None, None].expand(-1, -1, 8, 8))


class Brightness(Evaluator):
    """Tells each frame's own score, and nothing of all."""

    name = "brightness"
    summary = "mean red code"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"brightness": True}
    asked: ClassVar[int] = 0

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        type(self).asked += 1
        return {"brightness": float((result.colour or (result.luma,))[0].mean())}

    def finish(self) -> Mapping[str, float]:
        return {}


class Entropic(Brightness):
    """Wants a distribution."""

    name = "entropic"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"entropic": True}
    needs_distribution = True


@pytest.fixture(scope="module")
def host() -> PluginHost:
    host = PluginHost.load()
    made = plugin([Painter, Restless], colorpipe_evaluators=[Brightness, Entropic])
    host.register(made, name="throwaway", source="the test")
    return host


def film(path: Path, frames: int = 10, *, grey: bool = False, cut: bool = False, format: str = "yuv420p") -> Path:
    """A pan over a photograph, lossless, under colour that lies still."""
    lumas = pan(texture(), frames)
    if cut:
        lumas[frames // 2 :] = pan(texture("cameraman.png"), frames)[frames // 2 :]
    rows, columns = np.mgrid[: HEIGHT // 2, : WIDTH // 2]
    u, v = (np.full(rows.shape, 128) if grey else 128 + 30 * np.sin(lines / 9) for lines in (rows, columns))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=WIDTH, height=HEIGHT)
        stream.pix_fmt = format
        for luma in lumas:
            planes = np.concatenate([plane.ravel() for plane in (luma, u, v)]).astype(np.uint8)
            image = av.VideoFrame.from_ndarray(planes.reshape(-1, WIDTH), "yuv420p")
            container.mux(stream.encode(image.reformat(format=format)))
        container.mux(stream.encode(None))
    return path


def row(evaluation: Evaluation, label: str) -> dict[str, Any]:
    """A method's part of the JSON."""
    return next(row for row in evaluation.as_dict()["methods"] if row["method"] == label)


# --- colouring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temporal", ["auto", "3", "none"])
def test_a_session_colours_a_film_as_a_run_does(temporal: str, tmp_path: Path, host: PluginHost) -> None:
    source = film(tmp_path / "a.mkv", 14, cut=True)
    settings = {"codec": "ffv1", "temporal": temporal}
    (outcome,) = run(RunRequest([source], Recipe(Stage("restless"), settings=settings), tmp_path / "out"), host)
    assert outcome.output is not None
    with open_video(outcome.output, MediaOptions()) as made:
        wanted = [frame.colour for frame in made]
    with open_video(source, MediaOptions()) as frames:
        coloured = Session("restless", host=host, temporal=temporal).film(frames)
        found = list(coloured)
    assert [frame.index for frame in found] == list(range(14))
    for frame, planes in zip(found, wanted, strict=True):
        assert np.array_equal(np.stack(frame.colour or ()), np.stack(planes or ()))
    if temporal != "none":
        assert (coloured.shots, coloured.key_frames) == (outcome.shots, outcome.key_frames)
        assert coloured.shots == 2


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_what_the_name_stands_for_never_changes() -> None:
    assert (PROTOCOL.medium, PROTOCOL.frames, PROTOCOL.side, PROTOCOL.grey) == ("video", 100, 256, "luma")
    assert (PROTOCOL.resampling, PROTOCOL.learn, PROTOCOL.share) == ("area", None, 1.0)


def test_a_clip_is_the_first_frames_shrunk_with_the_luma_that_was_given(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=400, height=320)
        stream.pix_fmt = "yuv420p10le"
        picture = np.zeros((320, 400, 3), np.uint8)
        picture[:, :200], picture[:, 200:] = (200, 100, 50), (30, 60, 120)
        for _ in range(102):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p10le")))
        container.mux(stream.encode(None))
    clip = clips.read(path, PROTOCOL, MediaOptions())
    assert len(clip.greys) == len(clip.truths) == 100
    assert {frame.luma.shape for frame in (*clip.greys, *clip.truths)} == {(256, 320)}
    assert (clip.greys[0].encoding.bits, clip.greys[0].colour, clip.greys[-1].index) == (10, None, 99)
    colour = clips.in_rgb(clip.truths[0]).colour
    assert colour is not None
    assert np.abs(np.dstack(colour)[:, :150] / 257 - (200, 100, 50)).max() <= 2
    assert np.abs(np.dstack(colour)[:, 170:] / 257 - (30, 60, 120)).max() <= 2
    assert all(frame.colour is None and np.array_equal(frame.luma, clip.truths[0].luma) for frame in clip.greys)


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p", "yuv422p10le"])
def test_the_truth_of_any_format_is_the_same(format: str, tmp_path: Path) -> None:
    plain = clips.read(film(tmp_path / "a.mkv", 1), PROTOCOL, MediaOptions())
    other = clips.read(film(tmp_path / "b.mkv", 1, format=format), PROTOCOL, MediaOptions())
    assert other.has_colour
    found, wanted = (np.stack(clips.in_rgb(clip.truths[0]).colour or ()) / 257 for clip in (other, plain))
    assert np.abs(found - wanted).mean() < 1.5


def test_films_alone_have_their_own_protocol(tmp_path: Path, host: PluginHost) -> None:
    clip, photo = film(tmp_path / "a.mkv", 3), flat(tmp_path / "b.png", (200, 100, 50))
    assert evaluate(clip, [], ["brightness"], host=host).protocol.name == "video.v1"
    both = evaluate([clip, photo], [], ["brightness"], host=host)
    assert both.protocol.name == "whole-256.v1"
    assert [str(failure) for failure in both.failures] == [
        f"{clip} is a film; whole-256.v1 compares pictures; --protocol video.v1 takes it"
    ]


def test_a_photograph_among_films_is_named_and_the_films_are_compared(tmp_path: Path, host: PluginHost) -> None:
    clip, photo = film(tmp_path / "a.mkv", 3), flat(tmp_path / "b.png", (200, 100, 50))
    evaluation = evaluate([photo, clip], ["painter"], ["psnr"], "video.v1", host=host)
    [failure] = evaluation.failures
    assert str(failure).startswith(f"{photo} is a picture; video.v1 compares films")
    assert evaluation.pictures == (clip,)
    assert value(evaluation, "painter", "psnr").mean > 0


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"evaluators": ["flicker"], "protocol": "native.v1"}, UsageError, "flicker compares the frames of a film"),
        ({"evaluators": ["entropic"]}, UsageError, "entropic looks at what is predicted for a picture"),
        ({"colorizers": ["painter:temporal=often"]}, OptionError, "temporal takes auto, none or a whole number in"),
        ({"colorizers": ["patch-knn"]}, UsageError, "learns from a colour picture, and video.v1 gives it none"),
    ],
)  # fmt: skip
def test_wrong_calls(arguments: dict[str, Any], kind: type[Exception], words: str, tmp_path: Path) -> None:
    host = PluginHost.load()
    host.register(plugin([Painter], colorpipe_evaluators=[Entropic]), name="throwaway", source="the test")
    with pytest.raises(kind, match=words):
        evaluate(film(tmp_path / "a.mkv", 2), **{"colorizers": ["painter"], **arguments}, host=host)


# --- scores -----------------------------------------------------------------------------------------------------------


def test_steadiness_is_told_beside_colourfulness_and_the_truth(tmp_path: Path, host: PluginHost) -> None:
    clip = film(tmp_path / "a.mkv", 24)
    methods = ["restless", "restless:temporal=none", "restless:temporal=8"]
    evaluation = evaluate(clip, methods, host=host)
    assert evaluation.failures == ()
    assert list(evaluation.measures) == ["psnr", "de00", "colourfulness", *STEADINESS]
    assert [made.label for made in evaluation.rows] == ["(grey)", "(truth)", *methods]
    steady, alone, nearer = (row(evaluation, label) for label in methods)
    assert steady["scores"]["flicker"]["mean"] < alone["scores"]["flicker"]["mean"] / 3
    assert steady["scores"]["warp-error"]["mean"] < alone["scores"]["warp-error"]["mean"] / 2
    assert steady["network_share"] < nearer["network_share"] < alone["network_share"] == 1
    assert alone["frames_per_second"] == pytest.approx(24 / alone["seconds"]["mean"], rel=1e-3)
    truth, grey = row(evaluation, "(truth)"), row(evaluation, "(grey)")
    assert set(truth["scores"]) == {"colourfulness", *STEADINESS, "warp-error-chroma"}
    assert (truth["frames_per_second"], grey["network_share"]) == (None, None)
    assert grey["scores"]["flicker"]["mean"] == pytest.approx(0, abs=1e-4)
    assert truth["scores"]["colourfulness"] == grey["scores"]["colourfulness-truth"]
    columns = {column.label: column for column in evaluation.columns}
    assert evaluation.best(columns["flicker"]) <= {"restless", "restless:temporal=8"}  # grey is no method


def test_a_clip_s_score_is_the_measure_s_own_or_the_mean_over_its_frames(tmp_path: Path, host: PluginHost) -> None:
    path = film(tmp_path / "a.mkv", 4)
    evaluation = evaluate(path, [], ["psnr", "brightness", "auc-rebalanced"], host=host)
    clip = clips.read(path, PROTOCOL, MediaOptions())
    each = []
    for frame in map(clips.in_rgb, clip.truths):
        error = (np.stack(frame.colour or ()).astype(float) - frame.luma) / 65535
        each.append(-10 * math.log10((error**2).mean()))
    assert value(evaluation, "(grey)", "psnr").mean == pytest.approx(fmean(each), abs=1e-4)
    assert value(evaluation, "(grey)", "brightness").mean == fmean(
        float(clips.in_rgb(frame).luma.mean()) for frame in clip.greys
    )
    [scored] = evaluation.rows[0].results.values()
    assert 0 < scored.scores["auc-rebalanced"] < 1
    assert evaluation.rows[0].over_all == {}


def test_a_grey_film_has_the_scores_that_need_no_truth(tmp_path: Path, host: PluginHost) -> None:
    grey = film(tmp_path / "old.mkv", 8, grey=True)
    evaluation = evaluate(grey, ["restless:temporal=none"], host=host)
    assert evaluation.failures == ()
    assert [made.label for made in evaluation.rows] == ["(grey)", "restless:temporal=none"]
    told = ["colourfulness", *STEADINESS, "warp-error-chroma"]
    assert [column.label for column in evaluation.shown_columns] == told
    [line] = [line for line in notes(evaluation) if "old.mkv" in line]
    assert line.startswith("grey, so that nothing is compared with true colours: ")
    assert evaluation.as_dict()["colourless"] == [str(grey)]
    colour = film(tmp_path / "new.mkv", 8)
    both = evaluate([grey, colour], ["restless:temporal=none"], host=host)
    assert value(both, "restless:temporal=none", "flicker").pictures == 2
    assert value(both, "restless:temporal=none", "psnr").pictures == 1
    [line] = [line for line in notes(both) if line.endswith(": means over 1 of 2 clips")]
    assert line.startswith("psnr, de00, colourfulness-truth, ")
    bare = clips.read(film(tmp_path / "gray.mkv", 2, format="gray"), PROTOCOL, MediaOptions())
    assert not bare.has_colour


def test_a_measure_that_fails_on_one_clip_begins_the_next_anew(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colorpipe_video_metrics import Flicker

    first, second = film(tmp_path / "a.mkv", 4), film(tmp_path / "b.mkv", 4)
    update, calls = Flicker.update, []

    def fails(self: Any, result: Frame, truth: Frame) -> Mapping[str, float]:
        calls.append(truth)
        if len(calls) == 3:
            raise ValueError("no more")
        return update(self, result, truth)

    alone = evaluate(second, ["restless"], ["flicker"], baseline=False, host=host)
    monkeypatch.setattr(Flicker, "update", fails)
    evaluation = evaluate([first, second], ["restless"], ["flicker"], baseline=False, host=host)
    assert [str(failure) for failure in evaluation.failures] == [f"flicker: {first}: unexpected ValueError: no more"]
    assert value(evaluation, "restless", "flicker").mean == value(alone, "restless", "flicker").mean


# --- showing ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Evaluation:
    """Of a colour clip and a grey one."""
    folder = tmp_path_factory.mktemp("films")
    found = [film(folder / "a.mkv", 12), film(folder / "old.mkv", 3, grey=True)]
    return evaluate(found, ["painter", "restless:temporal=none"], ["psnr", "flicker"], host=host, images=2)


def test_the_table_has_speed_and_share(evaluation: Evaluation) -> None:
    lines = drawn(evaluation).splitlines()
    assert lines[0].startswith("video.v1, 2 clips")
    assert lines[1].split() == ["psnr", "↑", "flicker", "↓", "frames/s", "network"]
    last = {line.split()[0]: line.split()[-2:] for line in lines[2:]}
    assert last["(grey)"] == ["-", "-"]
    assert float(last["painter"][0]) > 0
    assert last["restless:temporal=none"][1] == "100.0%"


def test_csv_and_json_have_the_frames_of_each_clip(evaluation: Evaluation) -> None:
    lines = list(csv.DictReader(io.StringIO(export.csv_text(evaluation))))
    assert [(line["method"], line["frames"], line["key_frames"]) for line in lines] == [
        ("(grey)", "12", "0"), ("painter", "12", "2"), ("restless:temporal=none", "12", "12"),
        ("(grey)", "3", "0"), ("painter", "3", "1"), ("restless:temporal=none", "3", "3"),
    ]  # fmt: skip
    assert lines[3]["psnr"] == ""
    found = json.loads(export.json_text(evaluation))
    assert found["pictures"][0]["methods"]["painter"]["shots"] == 1
    assert found["protocol"]["frames"] == 100
    assert set(found["meaning"]) >= {"frames_per_second", "network_share"}


@pytest.mark.skipif(browser.find() is None, reason="no browser on this machine")
def test_the_page_shows_strips_of_frames(evaluation: Evaluation, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text(page(evaluation), "utf-8")
    with Browser(tmp_path / "profile") as window:
        window.size(1280, 900)
        window.open(file)
        window.js("Promise.all([...document.images].map(image => image.decode()))")
        assert window.problems == []
        strips = "[...document.querySelectorAll('.strips button')]"
        assert window.js(f"{strips}.map(b => b.querySelector('b').textContent)") == [
            "grey", "truth", "painter", "restless:temporal=none",
        ]  # fmt: skip
        shapes = window.js(f"{strips}.map(b => [b.firstChild.naturalWidth, b.firstChild.naturalHeight])")
        assert shapes == [[5 * WIDTH, HEIGHT]] * 4
        widths = window.js(f"{strips}.map(b => b.firstChild.width / b.firstChild.height)")
        assert widths == pytest.approx([5 * WIDTH / HEIGHT] * 4, rel=0.02)
        heads = window.js("[...document.querySelectorAll('#pictures thead button')].map(b => b.textContent)")
        assert heads == ["clip", "method", "psnr ↑", "flicker ↓", "frames/s", "network"]
        window.js("document.getElementById('next').click()")
        assert window.js(f"{strips}.length") == 3  # nobody knows the old film's colours
        window.size(390, 844)
        assert window.js("document.documentElement.scrollWidth") == 390


def test_the_command_line_chooses_the_protocol(cli: Cli, tint: Path, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", 4)
    words = ["eval", clip, "--plugin", tint, "--colorizer", "tint", "--colorizer", "tint:temporal=none"]
    status, out, told = cli(*words, "--evaluator", "flicker", "--evaluator", "colourfulness")
    assert status == 0, told
    assert out.startswith("video.v1, 1 clip ")
    assert "the first 100 frames of a film" in out
