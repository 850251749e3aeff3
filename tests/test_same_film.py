"""A film is encoded to the same bytes, whatever lay in memory before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paint_page import film

ENCODE = """
import dataclasses, hashlib, sys
from pathlib import Path
import cv2, numpy as np
from colorpipe import media
from colorpipe.settings import MediaOptions

options = MediaOptions(codec=sys.argv[3], preset="medium" if sys.argv[3] == "libx264" else "ultrafast")
noise = np.random.default_rng(0).integers(0, 255, (180, 368)).astype(np.uint8)
noise = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 5), None, 20, 235, cv2.NORM_MINMAX)
with media.open_source(Path(sys.argv[1]), options) as source:
    frames = list(source)
    sink = media.open_sink(Path(sys.argv[2]), source, options)
    for frame in frames:
        luma = np.ascontiguousarray(noise[:, 2 * frame.index : 2 * frame.index + 320])
        grey = tuple(np.full_like(plane, 128) for plane in frame.colour)
        sink.write(dataclasses.replace(frame, luma=luma, colour=grey))
    sink.commit()
    sink.tidy()
print(hashlib.sha256(Path(sys.argv[2]).read_bytes()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc fills memory with what is asked for")
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_lay_in_memory_does_not_count(tmp_path: Path, codec: str) -> None:
    source = film(tmp_path / "film.mp4", (24,), (180, 320))
    made = set()
    for fill in ("0", "85", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        command = [sys.executable, "-c", ENCODE, str(source), str(tmp_path / "made.mp4"), codec]
        made.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(made) == 1
