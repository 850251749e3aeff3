"""What is found, and where results go."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from colorpipe.errors import UsageError
from colorpipe.media.inputs import DEFAULT_OUTPUT, Found, find_inputs, is_video, plan


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def relatives(found: Iterable[Found]) -> list[str]:
    return [item.relative.as_posix() for item in found]


def outputs(found: list[Found], output: Path | None = None, **more: Any) -> list[str]:
    root = DEFAULT_OUTPUT if output is None else output
    return [job.output.relative_to(root).as_posix() for job in plan(found, output, **more)]


# --- finding ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_down_sorted_and_without_what_is_hidden(tmp_path: Path) -> None:
    tree(
        tmp_path, "b.JPG", "a.png", "deep/er/c.tif", "deep/film.MKV", ".hidden.png", ".colorpipe/d.png", "notes.txt",
        "a.hints.png", "A.Hints.PNG", "no_extension", "folder.jpg/e.webp",
    )  # fmt: skip
    found = find_inputs([tmp_path])
    assert relatives(found) == ["a.png", "b.JPG", "deep/er/c.tif", "deep/film.MKV", "folder.jpg/e.webp"]
    assert found[2].path == tmp_path / "deep/er/c.tif"
    assert all(item.error is None for item in found)


def test_a_named_file_is_always_taken(tmp_path: Path) -> None:
    tree(tmp_path, "scan.dat", ".hidden.png", "a.hints.png", "odd[1].jpg")
    names = ["scan.dat", ".hidden.png", "a.hints.png", "odd[1].jpg"]
    assert relatives(find_inputs([tmp_path / name for name in names])) == names


def test_the_order_named_is_kept_and_nothing_comes_twice(tmp_path: Path) -> None:
    tree(tmp_path, "z/1.png", "a/2.png")
    found = find_inputs([tmp_path / "z", tmp_path / "a/2.png", tmp_path, f"{tmp_path}/z/../z/1.png"])
    assert [item.path.name for item in found] == ["1.png", "2.png"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "p/a.jpg", "p/b.png", "p/sub/c.jpg", "p/sub/.h.jpg", "p/.no/d.jpg", "p/readme.txt")
    assert relatives(find_inputs([f"{tmp_path}/p/*.jpg"])) == ["a.jpg"]
    assert relatives(find_inputs([f"{tmp_path}/p/**/*.jpg"])) == ["a.jpg", "sub/c.jpg"]
    assert relatives(find_inputs([f"{tmp_path}/p/*"])) == ["a.jpg", "b.png", "sub/c.jpg"]
    assert relatives(find_inputs([f"{tmp_path}/*/su?"])) == ["p/sub/c.jpg"]
    monkeypatch.chdir(tmp_path)
    assert relatives(find_inputs(["**/[bc].*"])) == ["p/b.png", "p/sub/c.jpg"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone.jpg", "gone.jpg does not exist"), ("*.tif", r"nothing matches .*\*\.tif"), ("e", "no picture")],
)
def test_what_is_not_there_is_named_before_anything_starts(tmp_path: Path, name: str, said: str) -> None:
    tree(tmp_path, "a.jpg")
    (tmp_path / "e").mkdir()
    with pytest.raises(UsageError, match=said):
        find_inputs([tmp_path / name])


def test_no_argument_at_all() -> None:
    with pytest.raises(UsageError, match="no input"):
        find_inputs([])


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "real/a.png")
    tree(tmp_path / "elsewhere", "b.png")
    (root / "real/up").symlink_to(root, target_is_directory=True)
    (root / "aside").symlink_to(root / "real", target_is_directory=True)
    (root / "outside").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "self.png").symlink_to(root / "self.png")
    (root / "dangling.png").symlink_to(root / "gone.png")
    assert relatives(find_inputs([root])) == ["dangling.png", "outside/b.png", "real/a.png", "self.png"]


def test_the_output_folder_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.png", "colorized/a.png", "colorized/deep/b.png", "other/colorized/c.png")
    monkeypatch.chdir(tmp_path)
    wanted = ["a.png", "other/colorized/c.png"]
    assert relatives(find_inputs(["."], exclude=DEFAULT_OUTPUT)) == wanted
    assert relatives(find_inputs([tmp_path], exclude=Path("other/../colorized"))) == wanted
    assert relatives(find_inputs(["**/*.png"], exclude=DEFAULT_OUTPUT)) == wanted


def test_a_folder_without_permission_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.png", "locked/b.png", "open/c.png")
    look = os.scandir

    def scandir(path: Any) -> Any:
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)  # the superuser who runs the tests may look everywhere
    found = find_inputs([tmp_path])
    assert relatives(found) == ["a.png", "locked", "open/c.png"]
    assert found[1].error == f"cannot look into folder {tmp_path / 'locked'}: permission denied"
    assert [job.error for job in plan(found, tmp_path / "out")] == [None, found[1].error, None]


# --- planning ---------------------------------------------------------------------------------------------------------


def test_results_mirror_the_tree(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "a.jpg", "deep/er/b.TIF")
    jobs = plan(find_inputs([root]), tmp_path / "out")
    assert [(job.input, job.output) for job in jobs] == [
        (root / "a.jpg", tmp_path / "out/a.jpg"),
        (root / "deep/er/b.TIF", tmp_path / "out/deep/er/b.TIF"),
    ]
    assert plan(find_inputs([root / "a.jpg"]), None)[0].output == Path("colorized/a.jpg")


def test_extensions_that_cannot_be_written_change(tmp_path: Path) -> None:
    names = ["a.bmp", "b.gif", "c.heic", "d.JPEG", "e.avif", "f.MP4", "g.wmv", "h.mkv", "photo.5"]
    tree(tmp_path, *names)
    wanted = ["a.png", "b.png", "c.png", "d.JPEG", "e.avif", "f.MP4", "g.mkv", "h.mkv", "photo.5.png"]
    assert outputs(find_inputs([tmp_path / name for name in names])) == wanted
    mine = outputs(find_inputs([tmp_path / "f.MP4"]), video_suffix=lambda path: ".avi")
    assert mine == ["f.avi"]


def test_results_that_would_share_a_name_get_their_own(tmp_path: Path) -> None:
    tree(tmp_path / "x", "a.bmp", "a.gif", "a.png", "b.gif", "film.wmv", "film.mkv")
    tree(tmp_path / "y", "a.png")
    found = find_inputs([tmp_path / "x", tmp_path / "y"])
    assert dict(zip((f"{item.path.parent.name}/{item.path.name}" for item in found), outputs(found), strict=True)) == {
        "x/a.bmp": "a.bmp.png",
        "x/a.gif": "a.gif.png",
        "x/a.png": "a.png",
        "x/b.gif": "b.png",
        "x/film.mkv": "film.mkv",
        "x/film.wmv": "film.wmv.mkv",
        "y/a.png": "a-2.png",
    }


def test_two_that_both_change_their_extension(tmp_path: Path) -> None:
    tree(tmp_path, "a.bmp", "a.gif")
    assert outputs(find_inputs([tmp_path])) == ["a.bmp.png", "a.gif.png"]


def test_one_file_goes_exactly_where_it_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    assert plan(find_inputs([tmp_path / "a.jpg"]), tmp_path / "new.png")[0].output == tmp_path / "new.png"
    assert plan(find_inputs([tmp_path / "a.jpg"]), tmp_path / "v1.2")[0].output == tmp_path / "v1.2/a.jpg"
    (tmp_path / "album.png").mkdir()
    assert plan(find_inputs([tmp_path / "a.jpg"]), tmp_path / "album.png")[0].output == tmp_path / "album.png/a.jpg"


def test_one_file_name_for_several_inputs_or_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(UsageError, match=r"new\.png is one file's name, and there are 2 inputs"):
        plan(find_inputs([tmp_path]), tmp_path / "new.png")


def test_a_file_where_the_output_folder_should_be(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        plan(find_inputs([tmp_path / "a.jpg"]), tmp_path / "out")


def test_a_source_is_never_overwritten_however_it_is_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "in", "a.png", "b.png")
    monkeypatch.chdir(root)
    for output in (root, Path("."), tmp_path / "in/../in"):
        with pytest.raises(UsageError, match=r"would replace the source"):
            plan(find_inputs([root]), output)
    with pytest.raises(UsageError, match="would replace"):
        plan(find_inputs(["a.png"]), Path("a.png"))
    (tmp_path / "alias").symlink_to(root, target_is_directory=True)
    with pytest.raises(UsageError, match="would replace"):
        plan(find_inputs([root]), tmp_path / "alias")
    (tmp_path / "out").mkdir()
    os.link(root / "b.png", tmp_path / "out/a.png")
    with pytest.raises(UsageError, match="would replace"):
        plan(find_inputs([root]), tmp_path / "out")


def test_a_result_that_would_replace_another_input(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "sub/a.png")
    with pytest.raises(UsageError, match="would replace"):
        plan(find_inputs([tmp_path / "a.png", tmp_path / "sub"]), tmp_path / "sub")


@pytest.mark.parametrize(("name", "film"), [("a.MP4", True), ("a.webm", True), ("a.gif", False), ("a", False)])
def test_is_video(name: str, film: bool) -> None:
    assert is_video(Path(name)) is film
