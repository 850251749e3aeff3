"""What the table of the benchmarks says of what was measured. The measuring itself is not a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import rows, run, table
from tests.checkpoints import picture


def measured(theirs: list[float], ours: list[float], dE: float = 0.1, peak: float = 400) -> dict[str, Any]:
    def side(wall: list[float], peak_mb: float) -> dict[str, Any]:
        answers = [{"seconds": 2 * seconds, "cpu": 2 * seconds, "peak_mb": peak_mb} for seconds in wall]
        return run._rates(answers, 2)

    return {"reference": side(theirs, 1000), "ours": side(ours, peak), "precision": "bf16", "dE": dE}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (measured([1.0] * 5, [0.1] * 5), "| 10.0x | 10.0x | 0.1000 | 0.40x | met |"),
        (measured([1.0] * 5, [0.25] * 5), "not met: 80% of the speed |"),
        (measured([1.0] * 5, [0.1] * 5, dE=0.31), "not met: colour |"),
        (measured([1.0] * 5, [0.1] * 5, peak=700), "not met: memory |"),
        (measured([0.7, 1, 1, 1, 1], [0.1] * 5), "not judged, unsteady |"),
        (measured([1.0] * 5, [0.1, 0.1, 0.13, 0.13, 0.13]), "not judged, unsteady |"),
    ],
)
def test_a_row_is_judged_by_what_was_measured(result: dict[str, Any], words: str) -> None:
    page = table.page({"eccv16-png": result}, 5, 2)
    row = next(line for line in page.splitlines() if line.startswith("| eccv16, 1080p JPEG -> PNG |"))
    assert row.endswith(words)


@pytest.mark.parametrize(
    ("name", "none", "auto", "words"),
    [
        ("film-eccv16", [0.5] * 3, [0.09, 0.1, 0.1], "| 0.50 | 2.00 | 10.00 | 5.0x | 5.0x | 20x | 10.0% | met |"),
        ("film-eccv16", [0.4] * 3, [0.1] * 3, "| 20x | 10.0% | not met: 80% of the ratio |"),
        ("film-eccv16", [0.5] * 3, [0.05, 0.1, 0.1], "not judged, unsteady |"),
        ("film-compact", [0.1] * 3, [0.05] * 3, "not met: 80% of the speed |"),
        ("film-compact", [0.1] * 3, [0.04] * 3, "| 25 frames/s | 0.50 | 10.00 | 25.00 | 2.5x |"),
    ],
)
def test_a_film_is_judged_by_its_medians(name: str, none: list[float], auto: list[float], words: str) -> None:
    def side(wall: list[float]) -> dict[str, Any]:
        return run._rates([{"seconds": 5 * seconds, "cpu": 10 * seconds, "peak_mb": 400} for seconds in wall], 5)

    stages = {stage: {"wall": 0.01, "cpu": 0.02} for stage in rows.STAGES}
    result = {"reference": side([2.0] * 3), "none": side(none), "auto": side(auto), "network": 0.1, "stages": stages}
    page = table.page({name: result}, 3, 2)
    assert any(words in line for line in page.splitlines()), page
    assert "| 120.0 |" in page
    assert f"| 17% | 17% | 17% | 17% | 17% | 17% | 100 | 100 | {0.01 / sorted(auto)[1]:.0%} |" in page


def test_memory_and_start_up_are_judged() -> None:
    found = {"memory-film": {"peaks": [400, 420]}, "help": {"seconds": [0.3, 0.15]}, "one-picture": {"seconds": [2.6]}}
    page = table.page(found, 5, 2)
    assert "| 400 to 420 MB, +5.0%: not met |" in page
    assert "| 0.15 s (median 0.22): met |" in page
    assert "| 2.60 s (median 2.60): not met |" in page
    strokes = {"page-stroke": {"seconds": [0.2, 0.9, 0.25], "cpu": [0.1] * 3}}
    assert "| 0.3 s | median 0.25 s (least 0.20, CPU 0.10): met |" in table.page(strokes, 5, 2)


def test_spreading_is_told_by_medians_with_how_far_it_is_off() -> None:
    def side(wall: list[float], peak: float) -> dict[str, Any]:
        return run._rates([{"seconds": seconds, "cpu": 2 * seconds, "peak_mb": peak} for seconds in wall], 1)

    sides = {"reference": side([50.0, 60.0, 90.0], 5000), "ours": side([0.6, 0.5, 0.9], 400)}
    page = table.page({"levin-hints": {**sides, "side": 1920, "rounds": 3, "missed": 1.234, "signal": 20.0}}, 5, 2)
    row = "| 1920x1080 | 3 | 60.00 | 120.00 | 5000 | 0.60 | 1.20 | 400 | 100x | 100x | 1.23 (20.0) |"
    assert row in page.splitlines()


def test_rows_have_names_of_their_own_and_shipped_checkpoints_none() -> None:
    assert len(set(rows.EVERY)) == len(rows.EVERY)
    assert {row.network for row in rows.ROWS} == {"eccv16", "siggraph17", "ddcolor-tiny", "deoldify-artistic"}


@pytest.mark.parametrize(
    ("name", "size"), [("ddcolor-mini", (64, 96)), ("deoldify-mini", (80, 112)), ("deoldify-wide", (80, 112))]
)
def test_the_plain_networks_equal_the_originals(name: str, size: tuple[int, int]) -> None:
    """What the benchmarks run against, from the goldens that the plugins are tested with."""
    from benchmarks.plain_ddcolor import PlainDDColor
    from benchmarks.plain_deoldify import DEVIATION, MEAN, PlainDeOldify
    from tests import test_ddcolor, test_deoldify

    grey = torch.from_numpy(picture(*size))[None, None].expand(1, 3, -1, -1)
    expected = np.load(test_ddcolor.GOLDEN / f"{name}.npy").astype(np.float32)
    with torch.inference_mode():
        if name.startswith("ddcolor"):
            found = PlainDDColor(test_ddcolor.state_of(test_ddcolor.MINI))(grey)
        else:
            config = test_deoldify.MINI if name == "deoldify-mini" else test_deoldify.MINI_WIDE
            found = PlainDeOldify(test_deoldify.state_of(config))((grey - MEAN) / DEVIATION) * DEVIATION + MEAN
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
