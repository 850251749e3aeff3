"""``colorpipe eval`` on the command line."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import Cli
from tests.helpers import write_grey

PLUGIN = """
from dataclasses import dataclass

import colorpipe
from colorpipe import Evaluator, hookimpl, option


class Distance(Evaluator):
    name = "distance"
    summary = "mean absolute difference"
    licence = "Apache-2.0"
    higher_is_better = {"distance": False}

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        loudness: float = option(1.0, "factor", min=0)

    def update(self, result, truth):
        import numpy as np

        found = np.dstack(result.colour or (result.luma,) * 3).astype(float)
        return {"distance": float(np.abs(found - np.dstack(truth.colour)).mean()) * self.options.loudness}

    def remarks(self):
        return {"seen": "<i>markup</i> & more"}

    def finish(self):
        return {}


@hookimpl
def colorpipe_evaluators():
    return [Distance]
"""
Call = list[str | Path]


@pytest.fixture
def call(tint: Path, workplace: Path) -> Call:
    """``eval`` of three colour pictures with a throwaway method and measure, without what follows."""
    measure = tint.with_name("distance.py")
    measure.write_text(PLUGIN)
    for number, rgb in enumerate([(200, 100, 50), (90, 160, 90), (60, 60, 180)]):
        write(workplace / "album" / f"{number}.png", rgb)
    return ["eval", "album", "--plugin", tint, "--plugin", measure, "--evaluator", "distance"]


def write(path: Path, rgb: tuple[int, int, int]) -> None:
    path.parent.mkdir(exist_ok=True)
    picture = np.full((30, 40, 3), rgb[::-1], np.uint8)
    picture[:, :20] //= 2
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # imwrite refuses some names


def test_a_table_on_stdout_and_nothing_failed(cli: Cli, call: Call) -> None:
    status, out, told = cli(*call, "--colorizer", "tint", "--colorizer", "tint:strength=3,cool=yes")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("whole-256.v1, 3 pictures")
    assert lines[1].split() == ["distance", "↓", "s/picture"]
    assert [line.split()[0] for line in lines[2:5]] == ["(grey)", "tint", "tint:strength=3,cool=yes"]
    assert "±" in lines[2]
    assert "the whole picture at 256x256" in lines[5]
    assert "tint: device cpu" in told
    assert "failed" not in told


def test_quiet_is_the_table_alone_and_verbose_a_line_for_each(cli: Cli, call: Call) -> None:
    status, out, told = cli(*call, "--colorizer", "tint", "-q", "--no-baseline")
    assert (status, told) == (0, "")
    assert len(out.splitlines()) == 3
    _, _, told = cli(*call, "--colorizer", "tint", "-v", "--protocol", "native.v1")
    assert sum(line.startswith(("tint album/", "(grey) album/")) for line in told.splitlines()) == 6


def test_json_is_all_that_stdout_gets(cli: Cli, call: Call) -> None:
    status, out, _ = cli(*call, "--colorizer", "tint", "--json", "-", "--protocol", "left-right-120.v1")
    assert status == 0
    found = json.loads(out)
    assert found["protocol"]["name"] == "left-right-120.v1"
    assert [row["method"] for row in found["methods"]] == ["(grey)", "tint"]
    assert [row["input"] for row in found["pictures"]] == [f"album/{n}.png" for n in range(3)]
    assert found["pictures"][0]["methods"]["tint"]["remarks"] == {"seen": "<i>markup</i> & more"}
    assert set(found["meaning"]) >= {"mean", "spread", "set", "seconds"}


def test_all_reports_at_once_and_folders_are_made(cli: Cli, call: Call, workplace: Path) -> None:
    status, out, _ = cli(
        *call, "--colorizer", "tint", "--json", "out/a.json", "--csv", "out/b.csv", "--html", "out/report"
    )
    assert status == 0
    assert out.startswith("whole-256.v1")
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*")) == [
        "a.json", "b.csv", "report/index.html",
    ]  # fmt: skip
    assert len(json.loads(Path("out/a.json").read_text())["pictures"]) == 3
    with open("out/b.csv") as file:
        assert len(list(csv.DictReader(file))) == 6
    assert Path("out/report/index.html").read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_is_told_before_the_work(cli: Cli, call: Call, workplace: Path) -> None:
    (workplace / "file").write_text("")
    for flag in ("--json", "--csv"):
        status, out, told = cli(*call, "--colorizer", "tint", flag, "album")
        assert (status, out) == (2, "")
        assert f"{flag}: it is a folder" in told
        assert "device" not in told  # nothing was started
    status, out, told = cli(*call, "--colorizer", "tint", "--html", "file")
    assert (status, out) == (2, "")
    assert "--html: cannot write file/index.html" in told


def test_a_pipe_is_written_into(cli: Cli, call: Call, workplace: Path) -> None:
    read, write_end = os.pipe()
    try:
        assert cli(*call, "--colorizer", "tint", "-q", "--csv", f"/dev/fd/{write_end}")[0] == 0
        assert os.read(read, 100).startswith(b"protocol,input,method,distance,seconds\n")
    finally:
        os.close(read)
        os.close(write_end)


def test_what_fails_is_named_and_the_status_is_1(cli: Cli, call: Call, workplace: Path) -> None:
    write_grey(workplace / "album" / "[red]grey[red].png")
    (workplace / "album" / "broken.png").write_text("no picture")
    status, out, told = cli(*call, "--colorizer", "tint")
    assert status == 1
    assert "failed album/[red]grey[red].png is grey" in told
    assert "failed album/broken.png" in told
    assert "3 pictures" in out
    status, out, told = cli("eval", "album/broken.png", *call[2:], "--colorizer", "tint")
    assert (status, out) == (1, "")
    assert "no picture could be scored" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--colorizer", "zorn"], "there is no colorizer 'zorn'"),
        (["--colorizer", "tint:strength=99"], "tint:strength=99: tint: strength takes a number in 0..60, not '99'"),
        (["--colorizer", "tint:colour=red"], "has an option 'colour'"),
        (["--colorizer", "tint:strength"], "'strength' is no KEY=VALUE"),
        (["--evaluator", "beauty"], "there is no evaluator 'beauty'"),
        (["--protocol", "whole-512.v1"], "there is no protocol 'whole-512.v1'"),
        (["--protocol", "left-right-120.v1", "--training", "-"], "scores every input"),
        (["-q", "-v"], "exclude each other"),
        (["--device", "tpu"], "there is no device 'tpu'"),
        (["--T", "0.2"], "write --colorizer NAME:T=VALUE"),
        (["--loudness", "2"], "write --evaluator distance:loudness=VALUE"),
        (["no-such-file.png"], "no-such-file.png does not exist"),
        (["--max-pixels", "0"], "max_pixels takes"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(words: list[str], says: str, cli: Cli, call: Call) -> None:
    status, out, told = cli(*call, *([] if "--colorizer" in words else ["--colorizer", "tint"]), *words)
    assert (status, out) == (2, "")
    assert told.startswith("colorpipe: ")
    assert says in " ".join(told.split())
    assert "Traceback" not in told


def test_the_inputs_left_for_training_can_be_listed(cli: Cli, call: Call, workplace: Path) -> None:
    names = [f"{number}.png" for number in range(3, 20)]
    for name in names:
        write(workplace / "album" / name, (1, 2, 3))
    status, out, told = cli(*call, "--protocol", "split-70-30.v1", "--training", "-")
    assert (status, told) == (0, "")
    training = set(out.splitlines())
    _, out, _ = cli(*call, "--protocol", "split-70-30.v1", "--colorizer", "tint", "--json", "-")
    found = json.loads(out)
    scored = {row["input"] for row in found["pictures"]}
    assert set(found["training"]) == training
    assert scored.isdisjoint(training)
    assert len(scored | training) == 20


def test_interrupting_is_status_130_and_leaves_no_report(cli: Cli, call: Call, tint: Path, workplace: Path) -> None:
    tint.write_text(tint.read_text().replace("import torch", "raise KeyboardInterrupt"))
    status, out, told = cli(*call, "--colorizer", "tint", "--json", "a.json", "--html", "report")
    assert (status, out) == (130, "")
    assert "interrupted" in told
    assert "no report was written" in told
    assert not list(workplace.rglob("*.json")) + list(workplace.rglob("*.html")) + list(workplace.rglob("*.part"))


def test_help_lists_the_protocols(cli: Cli) -> None:
    _, out, _ = cli("eval", "--help")
    for name in ("whole-256.v1", "native.v1", "left-right-120.v1", "left-right-256.v1", "split-70-30.v1"):
        assert f"{name}: " in out
    assert "NAME:KEY=VALUE" in out


def test_a_name_that_is_not_utf8_is_no_crash(cli: Cli, call: Call, workplace: Path) -> None:
    try:
        os.link(b"album/0.png", b"album/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    status, _, _ = cli(*call, "--colorizer", "tint", "--json", "a.json", "--csv", "a.csv", "--html", "report")
    assert status == 0
    assert "album/caf\N{REPLACEMENT CHARACTER}.png" in Path("a.json").read_text("utf-8")
    assert "caf\N{REPLACEMENT CHARACTER}.png" in Path("report/index.html").read_text("utf-8")
