"""``verify`` finds each fault in results that an earlier version made and took for right."""

from __future__ import annotations

from pathlib import Path

import pytest

from colorpipe.verification import verify

HERE = Path(__file__).parent / "wrong_results"
FOUND = {
    "bmp-rle.bmp": ("luma", "differs"),
    "old-jpeg-tiled.tif": ("transparency", "differs"),
    "limited.avif": ("tones", "differs"),
    "iptc.tif": ("IPTC", "differs"),
    "infrared.tif": ("transparency", "differs"),
    "thumbnail-first.tif": ("size", "differs"),
    "resolution.jpg": ("resolution", "differs"),
    "comment.jpg": ("comments", "left out"),
    "gamma.png": ("luma", "differs"),
    "texts.png": ("comments", "differs"),
    "faces.jpg": ("regions", "differs"),
    "xmp-orientation.jpg": ("orientation", "differs"),
    "thumbnail.jpg": ("thumbnail", "differs"),
    "bigtiff.tif": ("EXIF", "differs"),
    "animated.png": ("pages", "left out"),
}
"""Source -> the check that finds its fault."""


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_result_of_the_version_before_is_found_out(name: str) -> None:
    report = verify(HERE / "source" / name, HERE / "result" / name.replace(".bmp", ".png"))
    check, status = FOUND[name]
    assert report[check].status == status, report
    assert not report.complete
    assert "by another library than run's" in report["reader"].says
    if status == "differs":
        assert not report.equal


def test_every_fixture_is_looked_at() -> None:
    assert {path.name for path in (HERE / "source").iterdir()} == set(FOUND)
