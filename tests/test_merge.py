"""``colorpipe merge``: another's chroma under one's own grey."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from benchmarks import copies
from colorpipe import verification
from colorpipe.cli.app import main
from colorpipe.color import grey_of, rgb_to_lab
from colorpipe.errors import InputError
from colorpipe.media.still.jpeg_tables import chroma_step
from colorpipe.pipeline import merging
from colorpipe.settings import MediaOptions, MergeOptions

SAMPLES = Path(__file__).parent.parent / "samples"


def truth(name: str, side: int = 400) -> np.ndarray:
    picture = cv2.imread(str(SAMPLES / "colour" / name))
    assert picture is not None
    scale = side / max(picture.shape)
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def write_grey_of(path: Path, bgr: np.ndarray) -> Path:
    grey = grey_of(rgb_to_lab((bgr[..., ::-1] / 255).astype(np.float32)).L)
    assert cv2.imwrite(str(path), np.rint(grey * 255).astype(np.uint8))
    return path


def worn(path: Path, bgr: np.ndarray, scale: float = 0.8, crop: float = 0.05, turn: float = 0.0) -> Path:
    """A copy that is resized, cropped, sharpened, turned, and a JPEG of quality 50."""
    height, width = bgr.shape[:2]
    around = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    bgr = cv2.warpAffine(bgr, around, (width, height), borderMode=cv2.BORDER_REFLECT)
    rows, columns = round(height * crop / 2), round(width * crop / 2)
    cut = bgr[rows : height - rows, columns : width - columns].astype(np.float32)
    cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cut += 0.5 * (cut - cv2.GaussianBlur(cut, (0, 0), 1))
    assert cv2.imwrite(str(path), np.clip(cut, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 50])
    return path


def psnr(path: Path, bgr: np.ndarray) -> float:
    made = cv2.imread(str(path))
    assert made is not None
    return float(10 * np.log10(255**2 / np.mean((made.astype(float) - bgr) ** 2)))


@pytest.mark.parametrize(("scale", "turn"), [(0.8, 0), (1.4, 0), (0.6, 3)])
@pytest.mark.parametrize("name", ["coffee.jpg", pytest.param("astronaut.jpg", marks=pytest.mark.slow)])
def test_a_worn_copy_gives_back_the_true_picture(name: str, scale: float, turn: float, tmp_path: Path) -> None:
    bgr = truth(name)
    original = write_grey_of(tmp_path / "grey.png", bgr)
    copy = worn(tmp_path / "copy.jpg", bgr, scale, turn=turn)
    result = tmp_path / "result.png"
    assert main(["merge", str(original), str(copy), "-o", str(result)]) == 0
    assert psnr(result, bgr) > 30
    assert verification.verify(original, result).equal


def test_the_measure_of_copies_gives_back_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("astronaut.jpg", "chelsea.png", "coffee.jpg", "rocket.jpg"):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), truth(name, 256))
    copies.main(["--pictures", str(tmp_path), "--original", "jpg"])
    *each, last = capsys.readouterr().out.splitlines()
    assert len(each) == 4
    assert last.endswith("the grey is kept in 4")
    assert float(last.partition("least ")[2].partition(";")[0]) > 30


def test_a_jpeg_tells_how_coarse_its_colours_are(tmp_path: Path) -> None:
    steps = []
    for quality in (50, 80, 95):
        file = tmp_path / f"{quality}.jpg"
        assert cv2.imwrite(str(file), truth("coffee.jpg", 64), [cv2.IMWRITE_JPEG_QUALITY, quality])
        steps.append(chroma_step(file))
    assert steps == pytest.approx([27.1, 10.9, 2.7], abs=1)
    grey = tmp_path / "grey.jpg"
    assert cv2.imwrite(str(grey), truth("coffee.jpg", 64)[..., 0])
    assert chroma_step(grey) == 0
    assert chroma_step(write_grey_of(tmp_path / "grey.png", truth("coffee.jpg", 64))) == 0
    whole = (tmp_path / "50.jpg").read_bytes()
    for length in (0, 2, 3, 30, 90):  # before its tables, a file tells nothing
        (tmp_path / "cut.jpg").write_bytes(whole[:length])
        assert chroma_step(tmp_path / "cut.jpg") == 0


def test_another_picture_is_refused_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = write_grey_of(tmp_path / "grey.png", truth("coffee.jpg"))
    copy = worn(tmp_path / "copy.jpg", truth("astronaut.jpg"))
    assert main(["merge", str(original), str(copy), "-o", str(tmp_path / "result.png")]) == 2
    assert "is no copy of" in capsys.readouterr().err
    grey = write_grey_of(tmp_path / "other.png", truth("coffee.jpg"))
    with pytest.raises(InputError, match="is grey"):
        merging.merge(original, grey, tmp_path / "result.png", MediaOptions(), MergeOptions())
    assert not (tmp_path / "result.png").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_source_and_what_is_there_are_not_written_over(tmp_path: Path) -> None:
    bgr = truth("coffee.jpg", 200)
    original, copy = write_grey_of(tmp_path / "grey.png", bgr), worn(tmp_path / "copy.jpg", bgr)
    before = original.read_bytes()
    assert main(["merge", str(original), str(copy), "-o", str(original), "--overwrite"]) == 2
    assert original.read_bytes() == before
    (tmp_path / "there.png").write_bytes(b"mine")
    assert main(["merge", str(original), str(copy), "-o", str(tmp_path / "there.png")]) == 2
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_as_hints_it_leads_a_method(tmp_path: Path) -> None:
    bgr = truth("coffee.jpg", 300)
    original, copy = write_grey_of(tmp_path / "grey.png", bgr), worn(tmp_path / "copy.jpg", bgr)
    assert main(["merge", str(original), str(copy), "-o", str(tmp_path / "grey.hints.png"), "--as-hints"]) == 0
    hints = cv2.imread(str(tmp_path / "grey.hints.png"), cv2.IMREAD_UNCHANGED)
    assert hints is not None
    assert 0.005 < (hints[..., 3] == 255).mean() < 0.3
    assert main(["run", str(original), "-o", str(tmp_path / "led.png"), "--colorizer", "levin"]) == 0
    assert psnr(tmp_path / "led.png", bgr) > 24


def test_films_are_merged_frame_by_frame_by_time(tmp_path: Path) -> None:
    bgr = truth("coffee.jpg", 240)[:144, :200]
    original, copy = tmp_path / "grey.mkv", tmp_path / "copy.mkv"
    with av.open(str(original), "w") as film:
        stream = film.add_stream("ffv1", rate=20, width=200, height=144)
        stream.pix_fmt = "yuv444p"
        for _ in range(6):
            grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "gray").reformat(format="yuv444p")))
        film.mux(stream.encode(None))
    with av.open(str(copy), "w") as film:
        stream = film.add_stream("ffv1", rate=10, width=160, height=116)
        stream.pix_fmt = "yuv444p"
        for number in range(3):
            shown = bgr if number < 2 else bgr[..., ::-1]  # red and blue exchanged in the last
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(cv2.resize(shown, (160, 116))), "bgr24")
            film.mux(stream.encode(frame.reformat(format="yuv444p")))
        film.mux(stream.encode(None))
    result = tmp_path / "result.mkv"
    assert main(["merge", str(original), str(copy), "-o", str(result), "--codec", "ffv1"]) == 0
    report = verification.verify(original, result)
    assert report.equal, report.first_difference
    with av.open(str(result)) as film:
        made = [frame.to_ndarray(format="bgr24").astype(int) for frame in film.decode(video=0)]
    redder = [float((frame[..., 2] - frame[..., 0]).mean()) for frame in made]
    assert min(redder[:4]) > 10 > -10 > max(redder[4:])
