"""Take the picture of ``colorpipe paint`` that the README shows.

    python docs/make_paint_picture.py docs/paint.jpg

A Chromium opens the page on five samples, gives the mother's skin a colour with a name, asks for places that look like
it, and is photographed in a window of 1440 x 900.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from colorpipe.web.server import serve_in_thread  # noqa: E402
from tests.browser import Browser  # noqa: E402
from tests.paint_browser import Tab  # noqa: E402

ALBUM = (
    "migrant-mother-1936.jpg",
    "louis-armstrong-1946.jpg",
    "new-york-riverfront-1931.jpg",
    "saratoga-springs-1900s.jpg",
    "london-boy-1945.jpg",
)
REACH, SKIN, FOREHEAD = "0.15", "#b98a6c", (0.545, 0.27)
DRAWN = """[...document.querySelectorAll('.proposal canvas')].filter((canvas) =>
  canvas.getContext('2d').getImageData(80, 60, 1, 1).data[3] > 0).length === 6"""
MAX_BYTES = 400_000


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("target", type=Path)
    target: Path = words.parse_args().target
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        album = folder / "album"
        album.mkdir()
        for sample in ALBUM:
            shutil.copy(ROOT / "samples" / sample, album)
        with serve_in_thread([album], output=folder / "out") as server, Browser(folder / "profile") as window:
            page = Tab(window)
            page.open(server.address, 1440, 900)
            page.show(ALBUM[0])
            page.type('#reach input[type="number"]', REACH)
            page.click('[data-tool="point"]')
            page.type('[aria-label^="Colour as red"]', SKIN)
            page.stroke(FOREHEAD)
            page.type('[aria-label="Name for this colour"]', "skin")
            page.settled()
            page.click(".similar button")
            page.until("document.querySelectorAll('.ring').length > 0")
            page.until("document.querySelectorAll('.swatch').length > 0")
            page.until(DRAWN)
            page.js("new Promise((go) => setTimeout(go, 8000))")  # until the proposals are drawn with what is painted
            page.until(f"document.querySelector('#toast').hidden && {DRAWN}")
            picture = page.screenshot()
    for quality in (92, 88, 84, 80):
        written, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if written and data.nbytes <= MAX_BYTES:
            target.write_bytes(data.tobytes())
            return
    raise SystemExit(f"{target} is larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
