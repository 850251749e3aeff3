"""Memory of a run is bounded by the size of its frames, not by their number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_temporal import panning_film

RATE = 10
"""Frames a second."""
PEAK = """
import resource, sys
from colorpipe.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_of(film: Path, output: Path) -> int:
    """Of ``colorpipe run`` with its defaults, in a process of its own; kB."""
    command = [sys.executable, "-c", PEAK, "run", str(film), "-o", str(output), "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert list(output.iterdir()), done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_minutes_take_the_memory_of_one(tmp_path: Path) -> None:
    one, twenty = (
        peak_of(
            panning_film(tmp_path / f"{minutes}.mkv", minutes * 60 * RATE, lambda number: 1000 // RATE * number),
            tmp_path / f"out{minutes}",
        )
        for minutes in (1, 20)
    )
    assert twenty < 1.1 * one
