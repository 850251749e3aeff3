"""The documentation's pages: each command in them is run, each example is executed, what is generated is current.

A page is read from top to bottom, in a folder of its own with the files that the pages speak of, all of them small. A
fenced block with a ``title`` is written to that file; other Python blocks are executed; each line of a ``sh`` block
that calls colorpipe is run, in this process. What a test lacks (a second GPU, a network) is parsed only.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from colorpipe.cli.app import main

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if not page.read_text("utf-8").startswith("<!-- Made by")),
]
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
PARSED_ONLY = (
    ("models pull", "downloads"),
    ("paint ", "serves a page until it is stopped"),
    ("models import", "needs the published file"),
    ("cuda:", "needs GPUs"),
    ("--cluster", "needs Ray"),
    ("s3://", "needs a store"),
    ("--engine openvino", "needs an extra"),
    ("--precision int8", "needs an extra"),
)
"""Part of a command, and why it is not run here. Each still has to parse."""
TRAINING = shlex.split(
    "--steps 1 --batch 2 --side 32 --final-side 32 --held-out 2 --validate-every 1 --workers 0 --device cpu"
)
"""Cuts a training to one step; the last of two equal flags counts."""
SLOW = ("training", "index")
"""Pages whose commands take long, however small the files are, or are those of the README."""
NOT_BUNDLED = frozenset({"siggraph17"})
"""Methods that run with random weights, in the place of those that are downloaded."""
ALBUM = {
    "mother.jpg": "migrant-mother-1936.jpg",
    "1931/river.jpg": "new-york-riverfront-1931.jpg",
    "1946/trumpet.jpg": "louis-armstrong-1946.jpg",
}


def small(source: str, target: Path, side: int = 96) -> None:
    picture = cv2.imread(str(SAMPLES / source), cv2.IMREAD_UNCHANGED)
    scale = side / max(picture.shape[:2])
    target.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(target), cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def small_film(
    target: Path, frames: int = 16, size: tuple[int, int] = (96, 54), tint: tuple[int, int] = (128, 128)
) -> None:
    """The first frames of the sample film, small, as H.264; ``tint`` is U and V of all."""
    width, height = size
    with av.open(str(SAMPLES / "chaplin.mp4")) as source, av.open(str(target), "w") as film:
        stream = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "8"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in zip(range(frames), source.decode(video=0), strict=False):
            planes = frame.reformat(width, height, "yuv420p").to_ndarray()
            planes[height : height * 5 // 4], planes[height * 5 // 4 :] = tint
            shrunk = av.VideoFrame.from_ndarray(planes, "yuv420p")
            shrunk.pts, shrunk.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(shrunk))
        film.mux(stream.encode())


def coloured_copies(shelf: Path) -> None:
    """What another program made of our pictures, large enough to be registered, and a dab of green."""
    colour = cv2.resize(cv2.imread(str(SAMPLES / "colour" / "astronaut.jpg")), (256, 256), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    dab = np.zeros((256, 256, 4), np.uint8)
    dab[150:160, 100:110] = (40, 160, 40, 255)
    pictures = {"coat.jpg": grey, "original.tif": grey, "others.jpg": colour, "coloured.jpg": colour}
    for name, picture in {**pictures, "green.png": dab}.items():
        assert cv2.imwrite(str(shelf / name), picture)
    small_film(shelf / "film.mkv", 6, (256, 144))
    small_film(shelf / "coloured.mp4", 6, (256, 144), tint=(110, 150))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of."""
    shelf = tmp_path_factory.mktemp("shelf")
    small("cameraman.png", shelf / "photo.jpg")
    for name, sample in ALBUM.items():
        small(sample, shelf / "album" / name)
    for name in ("astronaut.jpg", "coffee.jpg"):
        small(f"colour/{name}", shelf / "photos" / name)
    for number in range(18):  # as few as a training takes, and two more
        small("colour/coffee.jpg", shelf / "pictures" / f"{number:02}.jpg", 64 + number)
    small_film(shelf / "film.mp4")
    painted = np.zeros((96, 96, 4), np.uint8)
    painted[40:48, 40:48] = (40, 40, 200, 255)
    assert cv2.imwrite(str(shelf / "photo.hints.png"), painted)
    shutil.copytree(SAMPLES / "colour", shelf / "samples" / "colour")
    coloured_copies(shelf)
    return shelf


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Files of the published networks' keys, made when one is asked for; removed, for they are large."""
    folder = tmp_path_factory.mktemp("weights")

    class Made(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            from safetensors.torch import save_file

            from colorpipe.plugins.host import PluginHost

            network = PluginHost.load().colorizer(name)().untrained()
            assert network is not None
            file = folder / f"{name}.safetensors"
            save_file({key: value.contiguous() for key, value in network.state_dict().items()}, file)
            self[name] = file
            return file

    yield Made()
    shutil.rmtree(folder)


def blocks(page: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(page.read_text("utf-8")))


def commands(text: str) -> list[tuple[list[str], int]]:
    """The calls of colorpipe in a block, as words; and the exit status that a comment tells, 0 without one."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    told = [(line, re.search(r"# exit status (\d)", line)) for line in lines]
    parts = [(part, int(status[1]) if status else 0) for line, status in told for part in line.split("&&")]
    split = [(shlex.split(part, comments=True), status) for part, status in parts]
    return [(words[1:], status) for words, status in split if words[:1] == ["colorpipe"]]


def shortened(words: list[str], weights: dict[str, Path]) -> list[str]:
    """A command with what makes it quick, or possible here."""
    if words[0] == "train":
        return [*words, *TRAINING]
    if words[0] == "run" and "--weights" not in words:
        for method in set(words) & NOT_BUNDLED:
            return [*words, "--weights", str(weights[method])]
    return words


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page.stem in SLOW else page for page in PAGES],
    ids=[page.relative_to(ROOT).as_posix() for page in PAGES],
)
def test_a_page_can_be_followed(
    page: Path,
    shelf: Path,
    random_weights: dict[str, Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    to_do = [block for block in blocks(page) if block["language"] in ("sh", "python", "text")]
    if not to_do:
        pytest.skip("nothing to run")
    folder = tmp_path / "here"
    shutil.copytree(shelf, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("COLORPIPE_CACHE", str(shelf.parent / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    names: dict[str, object] = {"paths": ["photo.jpg"]}
    for block in to_do:
        if block["title"]:
            (folder / block["title"]).write_text(block["text"], "utf-8")
        elif block["language"] == "python":
            exec(compile(block["text"], f"{page.name}:{block.start()}", "exec"), names)
        elif block["language"] == "sh":
            for words, wanted in commands(block["text"]):
                line = " ".join(words)
                if any(part in line for part, _ in PARSED_ONLY):
                    assert main([*words, "--help"]) == 0, line
                else:
                    status = main(shortened(words, random_weights))
                    assert status == wanted, f"{line}\n{capfd.readouterr().err[-2000:]}"
        capfd.readouterr()


def test_every_titled_example_is_loaded_by_a_command() -> None:
    """A file that no command names would prove nothing."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in blocks(page):
            if block["title"] and page.parent.name == "plugins":
                assert f"--plugin {block['title']}" in text, f"{page}: {block['title']}"


def generator() -> object:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_reference_is_current() -> None:
    for path, text in generator().pages().items():  # type: ignore[attr-defined]
        assert path.read_text("utf-8") == text, f"{path} is stale: run python docs/make_reference.py"


def test_every_hook_has_a_section_with_its_signature() -> None:
    from colorpipe.plugins import hookspecs

    page = (ROOT / "docs/reference/hooks.md").read_text("utf-8")
    for name in (name for name in vars(hookspecs) if name.startswith("colorpipe_")):
        assert re.search(rf"^## {name}$\n\n`{name}\(.*\) -> .+`$", page, re.MULTILINE), name


def test_every_public_name_has_its_place_in_the_reference() -> None:
    import colorpipe

    page = (ROOT / "docs/reference/python.md").read_text("utf-8")
    for name in colorpipe.__all__:
        if not name.startswith("_"):
            assert re.search(rf"^::: colorpipe\.{name}$|`colorpipe\.{name}`", page, re.MULTILINE), name


def test_every_page_is_reached_from_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").as_posix() in navigation, page


def test_the_sites_sources_name_no_other_host() -> None:
    for path in [*(ROOT / "docs/assets").iterdir(), *(ROOT / "docs").rglob("*.svg")]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL), path
