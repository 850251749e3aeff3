"""``verify`` tells what a lossy format does from a change of the picture: the same files, honest and doctored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from colorpipe import color
from colorpipe.media.still.sink import StillSink
from colorpipe.media.still.source import open_still
from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import open_video
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame
from colorpipe.verification import verify
from colorpipe.verification.lossy_stills import jpeg_quality
from tests.conftest import Cli
from tests.test_pages import SAMPLES, small, small_film
from tests.test_video import tinted

Grey = np.ndarray


def patched(L: Grey) -> Grey:
    """A retouched place: 24 pixels square, a little brighter."""
    height, width = L.shape
    L = L.copy()
    L[height // 2 : height // 2 + 24, width // 2 : width // 2 + 24] += 6
    return L


def cleaned(L: Grey) -> Grey:
    """A speck of dust, taken out: 4 pixels square."""
    height, width = L.shape
    L = L.copy()
    speck = L[height // 2 : height // 2 + 4, width // 2 + 2 : width // 2 + 6]
    speck[:] = np.where(speck > 128, speck - 70, speck + 70)
    return L


DOCTORED: dict[str, Callable[[Grey], Grey]] = {
    "a code brighter": lambda L: L + 1,
    "more contrast": lambda L: (L - 128) * 1.02 + 128,
    "another gamma": lambda L: 255 * (L / 255) ** 0.97,
    "limited range for full": lambda L: 16 + L * (219 / 255),
    "retouched": patched,
    "a speck taken out": cleaned,
    "sharpened": lambda L: L + 0.5 * (L - cv2.GaussianBlur(L, (0, 0), 1.2)),
    "blurred": lambda L: cv2.GaussianBlur(L, (0, 0), 0.8),
}


LONG = {(".avif", name) for name in ("another gamma", "blurred", "limited range for full", "sharpened")}
"""Changes whose search takes long in an AVIF; under the other formats they are looked for each time."""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Frame, Grey]:
    """A photograph, small, its frame, and chroma for it."""
    source = tmp_path_factory.mktemp("scan") / "mother.png"
    small("migrant-mother-1936.jpg", source, 320)
    with open_still(source, MediaOptions()) as still:
        (frame,) = still
    colours = cv2.imread(str(SAMPLES / "colour" / "coffee.jpg"))[..., ::-1]
    colours = cv2.resize(colours, (frame.width, frame.height), interpolation=cv2.INTER_AREA)
    return source, frame, color.rgb_to_lab(colours.astype(np.float32) / 255).ab


def stored(place: Path, scan: tuple[Path, Frame, Grey], quality: int, doctor: Callable[[Grey], Grey] | None) -> Path:
    _, frame, ab = scan
    grey = frame.luma.astype(np.float32)
    if doctor is not None:
        grey = np.clip(np.rint(doctor(grey)), 0, 255)
    made = color.merge(dataclasses.replace(frame, luma=grey.astype(np.uint8), colour=None), ab)
    with StillSink(place, MediaOptions(quality=quality)) as sink:
        sink.write(made)
    return place


@pytest.mark.parametrize(
    ("suffix", "quality"),
    [
        (".jpg", 95),
        (".jpg", 100),
        (".jpg", 80),
        (".jpg", 40),
        (".webp", 95),
        (".webp", 70),
        (".avif", 95),
        (".avif", 60),
    ],
)
def test_what_a_format_does_at_its_quality_is_no_broken_promise(
    suffix: str, quality: int, scan: tuple[Path, Frame, Grey], tmp_path: Path
) -> None:
    report = verify(scan[0], stored(tmp_path / f"out{suffix}", scan, quality, None))
    name = {".jpg": "JPEG", ".webp": "WebP", ".avif": "AVIF"}[suffix]
    assert report.verdict == "lossy", report.first_difference
    assert not report.equal
    assert f"{name}: lightness differs by " in report.summary
    assert report.summary.endswith(f" codes on average, as {name} does; nothing else was changed")
    assert [check.name for check in report.checks if check.status != "equal"] == ["luma"]
    drift, most = report["luma"].numbers["drift"], report["luma"].numbers["most"]
    assert all(abs(drift[name]) <= most[name] for name in most)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        pytest.param(suffix, name, marks=[pytest.mark.slow] if (suffix, name) in LONG else [])
        for suffix in (".jpg", ".webp", ".avif")
        for name in sorted(DOCTORED)
    ],
)
def test_a_changed_lightness_is_found_under_any_format(
    name: str, suffix: str, scan: tuple[Path, Frame, Grey], tmp_path: Path
) -> None:
    report = verify(scan[0], stored(tmp_path / f"out{suffix}", scan, 95, DOCTORED[name]))
    assert report.verdict == "broken"
    assert report["luma"].status == "differs"
    assert "was changed, by more than" in report.summary


@pytest.mark.parametrize("name", ["a code brighter", "more contrast", "retouched", "a speck taken out"])
def test_a_changed_lightness_is_found_at_a_lower_quality_too(
    name: str, scan: tuple[Path, Frame, Grey], tmp_path: Path
) -> None:
    assert verify(scan[0], stored(tmp_path / "out.jpg", scan, 80, DOCTORED[name])).verdict == "broken"


def test_the_place_of_a_change_is_named(scan: tuple[Path, Frame, Grey], tmp_path: Path) -> None:
    says = verify(scan[0], stored(tmp_path / "out.jpg", scan, 95, patched)).summary
    height, width = scan[1].luma.shape
    x, y = (int(word.strip(",")) for word in (says.split(" x ")[1].split()[0], says.split(" y ")[1].split()[0]))
    assert abs(x - width // 2) <= 32
    assert abs(y - height // 2) <= 32
    assert "codes brighter" in says


def test_a_lossless_file_of_a_lossy_format_is_exact_or_broken(scan: tuple[Path, Frame, Grey], tmp_path: Path) -> None:
    import pyvips

    stored(tmp_path / "out.png", scan, 95, None)
    picture = pyvips.Image.new_from_file(str(tmp_path / "out.png"))
    picture.webpsave(str(tmp_path / "same.webp"), lossless=True, keep="none")
    (picture + 2).cast("uchar").webpsave(str(tmp_path / "other.webp"), lossless=True, keep="none")
    report = verify(scan[0], tmp_path / "same.webp")
    assert report.verdict == "exact", report.first_difference
    assert verify(scan[0], tmp_path / "other.webp").verdict == "broken"


@pytest.mark.parametrize("quality", [30, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_told_from_its_tables(
    quality: int, scan: tuple[Path, Frame, Grey], tmp_path: Path
) -> None:
    assert jpeg_quality(stored(tmp_path / "out.jpg", scan, quality, None)) == quality


def test_a_picture_in_a_wide_profile_and_one_with_transparency(tmp_path: Path, cli: Cli, tint: Path) -> None:
    import pyvips

    grey = cv2.resize(cv2.imread(str(SAMPLES / "cameraman.png"), 0), (200, 200), interpolation=cv2.INTER_AREA)
    wide = pyvips.Image.new_from_array(np.dstack([grey] * 3)).copy(interpretation="srgb").copy()
    wide.set_type(pyvips.GValue.blob_type, "icc-profile-data", bytes(pyvips.Operation.call("profile_load", "p3")))
    wide.pngsave(str(tmp_path / "wide.png"), keep=8)
    clear = np.dstack([grey, np.tile(np.linspace(0, 255, 200).astype(np.uint8), (200, 1))])
    pyvips.Image.new_from_array(clear).copy(interpretation="b-w").pngsave(str(tmp_path / "clear.png"))
    for name, suffix in (("wide", "jpg"), ("wide", "avif"), ("clear", "webp"), ("clear", "avif")):
        source, result = tmp_path / f"{name}.png", tmp_path / f"{name}.{suffix}"
        assert cli("run", source, "-o", result, "--plugin", tint, "--colorizer", "tint")[0] == 0
        report = verify(source, result)
        assert report.verdict == "lossy", (name, suffix, report.summary)
        assert cli("verify", source, result)[0] == 3


# --- films ------------------------------------------------------------------------------------------------------------

HONEST = [
    MediaOptions(crf=10, preset="veryfast"),
    MediaOptions(),
    MediaOptions(crf=23, preset="ultrafast"),
    MediaOptions(crf=35, preset="fast"),
    MediaOptions(codec="libx265", preset="ultrafast"),
    MediaOptions(codec="libx265", crf=28, preset="fast"),
]


def again(source: Path, result: Path, options: MediaOptions, doctor: Callable[[Frame, Grey], Grey] | None) -> Path:
    """The film encoded, each frame's luma changed on the way."""
    with open_video(source, options) as film, VideoSink(result, film, options) as sink:
        for frame in film:
            luma = frame.luma.astype(np.float32)
            if doctor is not None:
                luma = np.clip(np.rint(doctor(frame, luma)), 0, 255)
            sink.write(tinted(dataclasses.replace(frame, luma=luma.astype(np.uint8)), sink))
    return result


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of an old film without loss."""
    folder = tmp_path_factory.mktemp("reel")
    small_film(folder / "reel.mp4", 24, (192, 108))
    with av.open(str(folder / "reel.mp4")) as source, av.open(str(folder / "reel.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 108, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 25), 0
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return folder / "reel.mkv"


@pytest.mark.parametrize("options", HONEST, ids=lambda options: f"{options.codec}-{options.crf}")
def test_what_a_video_codec_does_is_no_broken_promise(options: MediaOptions, reel: Path, tmp_path: Path) -> None:
    report = verify(reel, again(reel, tmp_path / "out.mkv", options, None))
    assert report.verdict == "lossy", report.first_difference
    name = {"libx264": "H.264", "libx265": "H.265"}[options.codec]
    assert report["luma"].numbers["crf"] == options.crf
    assert f"as {name} does at crf {options.crf}" in report["luma"].says
    assert report.summary.startswith(f"an {name} film: brightness differs by ")
    assert report.summary.endswith(f"as {name} does; nothing else was changed")


FILMS: dict[str, Callable[[Frame, Grey], Grey]] = {
    "a code brighter": lambda frame, Y: Y + 1,
    "more contrast": lambda frame, Y: (Y - 128) * 1.06 + 128,
    "full range": lambda frame, Y: (Y - 16) * (255 / 219),
    "one frame brighter": lambda frame, Y: Y + 3 * (frame.index == 11),
    "one frame retouched": lambda frame, Y: patched(Y) if frame.index == 17 else Y,
    "one frame of another film": lambda frame, Y: np.flip(Y, 1) if frame.index == 5 else Y,
}


@pytest.mark.parametrize("name", sorted(FILMS))
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_changed_film_is_found_under_any_codec(name: str, codec: str, reel: Path, tmp_path: Path) -> None:
    options = MediaOptions(codec=codec, preset="veryfast")  # type: ignore[arg-type]
    report = verify(reel, again(reel, tmp_path / "out.mkv", options, FILMS[name]))
    assert report.verdict == "broken"
    assert "changed by more than" in report.summary
    number = {"one frame brighter": 11, "one frame retouched": 17, "one frame of another film": 5}.get(name)
    if number is not None:
        assert f"in frame {number} " in report.summary


def test_x264_without_loss_has_no_such_excuse(reel: Path, tmp_path: Path) -> None:
    exact = again(reel, tmp_path / "exact.mkv", MediaOptions(crf=0, preset="ultrafast"), None)
    assert verify(reel, exact).verdict == "exact"
    one = again(
        reel, tmp_path / "one.mkv", MediaOptions(crf=0, preset="ultrafast"), lambda frame, Y: Y + (frame.index == 3)
    )
    assert verify(reel, one).verdict == "broken"


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_exit_status_and_the_first_lines(cli: Cli, tint: Path, workplace: Path) -> None:
    for name in ("a.jpg", "b.png"):
        small("einstein-1947.jpg", workplace / "album" / name)
    small_film(workplace / "album" / "film.mp4", 6)
    assert cli("run", "album", "--plugin", tint, "--colorizer", "tint")[0] == 0
    assert cli("verify", "album/b.png", "colorized/b.png")[0] == 0
    status, out, _ = cli("verify", "album/a.jpg", "colorized/a.jpg")
    first, second, *_ = out.splitlines()
    assert (status, first) == (3, "kept album/a.jpg -> colorized/a.jpg")
    assert second.startswith("  a JPEG: lightness differs by 0.")
    assert second.endswith(" codes on average, as JPEG does; nothing else was changed")
    status, out, _ = cli("verify", "album", "colorized")
    assert status == 3
    assert out.splitlines()[-1] == "1 equal, 2 kept as their lossy formats can, 0 not, of 3"
    assert "an H.264 film: brightness differs by " in out
    rows = [json.loads(line) for line in cli("verify", "album", "colorized", "--json", "-")[1].splitlines()]
    assert {Path(row["source"]).name: row["verdict"] for row in rows} == {
        "a.jpg": "lossy",
        "b.png": "exact",
        "film.mp4": "lossy",
    }
    assert cli("verify", "album", "colorized", "-q")[1] == ""
    bright = cv2.imread("colorized/a.jpg") * 0.95
    assert cv2.imwrite("colorized/a.jpg", bright)
    status, out, _ = cli("verify", "album", "colorized")
    assert status == 1
    assert out.splitlines()[-1] == "1 equal, 1 kept as their lossy formats can, 1 not, of 3"
