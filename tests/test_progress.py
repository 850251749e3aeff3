"""What a person sees of a film in work."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from colorpipe.cli import console
from colorpipe.cli.progress import Reporter
from colorpipe.media.inputs import Job

NAMES = ("film.mp4", "The Adventures of Prince Achmed, restored, reel 1.mkv")


def reporter(monkeypatch: pytest.MonkeyPatch, width: int) -> Reporter:
    terminal = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "stderr", lambda: terminal)
    return Reporter(None)


def seen(reporter: Reporter) -> list[str]:
    terminal = reporter._console
    with terminal.capture() as captured:
        terminal.print(reporter._progress.get_renderable())
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_shots_key_frames_speed_and_time_left_have_room(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    told = reporter(monkeypatch, width)
    jobs = [Job(Path(name), Path("out") / name) for name in NAMES]
    told.started(len(jobs))
    for job in jobs:
        told.job_started(job, 180_000)
    for _ in range(12):
        for job in jobs:
            told.film_told(job, 12, 0.123)
            told.frame_done(job)
        time.sleep(0.002)
    first, film, shots, other, _ = seen(told)
    assert re.match(r"film\.mp4 .* 12/180000 +\d+\.\d frames/s \d+:\d\d:\d\d$", film)
    assert shots.strip() == "12 shots, 12% key frames"
    assert re.match(r"The Adv.*eel 1\.mkv .* 12/180000 +\d+\.\d frames/s \d+:\d\d:\d\d$", other)
    assert re.search(r"0/2 +\d+:\d\d:\d\d$", first)  # both that are left are in work
    told.comparison_started(jobs[0], 180_000)
    assert "side by side" in "".join(seen(told))


def test_frames_of_an_earlier_run_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    told = reporter(monkeypatch, 100)
    job = Job(Path("film.mp4"), Path("out/film.mp4"))
    told.started(1)
    told.job_started(job, 2000)
    for _ in range(1000):
        told.frame_skipped(job)
    _, film, why = seen(told)
    assert re.search(r"1000/2000 +-:--:--$", film)
    assert why.strip() == "made by an earlier run"
    for _ in range(4):
        told.frame_done(job)
        time.sleep(0.02)
    _, film = seen(told)
    speed = re.search(r"1004/2000 +(\d+\.\d) frames/s 0:0[0-5]:\d\d$", film) or re.search(
        r"1004/2000 +(\d+\.\d) frames/s (?!0:00:0)\d+:\d\d:\d\d$", film
    )
    assert speed
    assert float(speed[1]) < 60  # the thousand took no time at all
