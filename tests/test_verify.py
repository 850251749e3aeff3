"""``verify`` finds every difference that is there, and none that is not."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pyvips

from colorpipe.media.still import vips
from colorpipe.media.still.sink import StillSink
from colorpipe.media.still.source import open_still
from colorpipe.media.video.sink import VideoSink
from colorpipe.media.video.source import open_video
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame, Metadata
from colorpipe.verification import verify
from tests.conftest import Cli
from tests.test_icc import steep_profile
from tests.test_image import exif, save, scene
from tests.test_video import FFV1, X264, colorize, make_clip, tinted

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
P3 = bytes(pyvips.Operation.call("profile_load", "p3"))
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x19\0\x03abc"


def differing(source: Path, result: Path) -> dict[str, str]:
    """What does not hold, and what is said of it."""
    return {check.name: check.says for check in verify(source, result).checks if check.status == "differs"}


# --- films ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("eight.mkv", {"audio": "aac", "subtitles": True, "chapters": True, "attachment": True}),
        ("ten.mp4", {"pixels": "yuv420p10le", "codec": "libx265", "rotation": 90}),
        ("variable.mkv", {"ticks": [0, 40, 55, 200, 201, 900, 1300]}),
        ("late.mp4", {"ticks": [7000, 7512, 8024, 9048], "time_base": Fraction(1, 12800), "codec": "libx264"}),
    ],
)
def test_a_lossless_run_is_proven_equal(name: str, clip: dict[str, Any], cli: Cli, tint: Path, workplace: Path) -> None:
    make_clip(workplace / name, **clip)
    assert cli("run", name, "--codec", "ffv1", "--plugin", tint, "--colorizer", "tint")[0] == 0
    status, out, _ = cli("verify", name, f"colorized/{name}", "--strict")
    assert status == 0, out
    assert out.startswith(f"equal {name} -> colorized/{name}")
    for check in ("luma", "frames", "timestamps", "rotation", "colour tags", "chapters", "tags"):
        assert f"  {check} " in out
    assert "differs" not in out
    assert "left out" not in out.replace("chroma", "")


def rewritten(
    source: Path, result: Path, change: Callable[[Frame], Frame | None], options: MediaOptions = FFV1
) -> Path:
    """The film again, each frame changed or left out."""
    with open_video(source, options) as film, VideoSink(result, film, options) as sink:
        for frame in film:
            changed = change(frame)
            if changed is not None:
                sink.write(tinted(changed, sink))
    return result


def test_one_value_of_one_frame_is_found_and_named(tmp_path: Path, cli: Cli) -> None:
    def change(frame: Frame) -> Frame:
        luma = frame.luma.copy()
        if frame.index == 5:
            luma[31, 17] ^= 1
        return dataclasses.replace(frame, luma=luma)

    source = make_clip(tmp_path / "in.mkv", audio="aac")
    result = rewritten(source, tmp_path / "out.mkv", change)
    report = verify(source, result)
    luma = report["luma"]
    assert (luma.numbers["largest"], luma.numbers["differing"]) == (1, 1)
    first = luma.numbers["first"]
    assert (first["frame"], first["seconds"], first["x"], first["y"]) == (5, 0.2, 17, 31)
    assert abs(first["source"] - first["result"]) == 1
    assert luma.says.startswith("first at frame 5 (0.2 s), x 17, y 31: ")
    assert "codec" not in luma.says
    assert list(differing(source, result)) == ["luma"]
    assert report.first_difference == f"luma: {luma.says}"
    status, out, _ = cli("verify", source, result)
    assert status == 1
    assert out.startswith("differs ")
    assert "frame 5 (0.2 s), x 17, y 31" in " ".join(out.split())


def test_a_missing_frame_is_a_wrong_count_and_named(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv")
    result = rewritten(source, tmp_path / "out.mkv", lambda frame: None if frame.index == 4 else frame)
    found = differing(source, result)
    assert set(found) == {"luma", "frames", "timestamps"}
    assert found["frames"] == "12 in the source, 11 in the result; they are out of step from frame 4 on"
    assert found["timestamps"] == "frame 4 is at 0.16 s in the source, at 0.2 s in the result"
    assert "first at frame 4 " in found["luma"]
    assert "11 in the source, 12 in the result" in differing(result, source)["frames"]


def test_a_timestamp_that_moved_is_found(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", ticks=[0, 40, 80, 120])
    result = make_clip(tmp_path / "out.mkv", ticks=[0, 40, 81, 120])
    found = differing(source, result)
    assert found == {"timestamps": "frame 2 is at 0.08 s in the source, at 0.081 s in the result"}


def test_a_last_frame_that_is_shown_longer_is_found(tmp_path: Path) -> None:
    def change(frame: Frame) -> Frame:
        longer = Metadata(extra={"duration": Fraction(1, 5)}) if frame.index == 11 else frame.metadata
        return dataclasses.replace(frame, metadata=longer)

    source = make_clip(tmp_path / "in.mp4", codec="libx264")
    found = differing(source, rewritten(source, tmp_path / "out.mp4", change))
    assert found == {"timestamps": "the last frame is shown for 0.04 s in the source, for 0.2 s in the result"}


def test_a_coarser_clock_is_allowed_half_a_tick_and_said(tmp_path: Path) -> None:
    ticks = [0, 1001, 2002, 3003]
    clock = Fraction(1, 30000)
    source = make_clip(tmp_path / "in.mp4", codec="libx264", ticks=ticks, time_base=clock)
    result = colorize(source, tmp_path / "out.mkv", FFV1).path
    times = verify(source, result)["timestamps"]
    assert times.status == "equal"
    assert "within half a tick of the result's clock, which counts 1/1000 s" in times.says
    assert 0 < times.numbers["largest"] <= times.numbers["tolerance"] == 0.0005
    moved = make_clip(tmp_path / "moved.mkv", ticks=[0, 33, 67, 101])
    assert "frame 3 is at 0.1001 s" in differing(source, moved)["timestamps"]


def test_a_lossy_codec_is_measured_and_the_rest_still_holds(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mp4", codec="libx264", audio="aac", time_base=Fraction(1, 12800), ticks=range(0, 6144, 512)
    )
    result = colorize(source, tmp_path / "out.mp4", X264).path
    report = verify(source, result)
    luma = report["luma"]
    assert luma.status == "lossy"
    assert 30 < luma.numbers["psnr"] < 60
    assert 0 < luma.numbers["mean"] < luma.numbers["largest"]
    assert luma.numbers["first"]["frame"] == 0
    assert "PSNR" in luma.says
    assert "--codec ffv1 is exact" in luma.says
    assert [check.name for check in report.checks if check.status != "equal"] == ["luma"]


@pytest.mark.parametrize(
    ("there", "here", "check", "says"),
    [
        ({"audio": "aac"}, {}, "stream 1", "audio, aac, deu: not in the result"),
        ({"subtitles": True}, {}, "stream 1", "subtitle, subrip, eng: not in the result"),
        ({"audio": "aac"}, {"audio": "aac", "seed": 8}, "stream 1", "holds other bytes"),
        ({"chapters": True}, {}, "chapters", "2 in the source, 0 in the result"),
        ({"metadata": {"title": "A"}}, {"metadata": {"title": "B"}}, "tags", "title is 'A' in the source, 'B' in"),
        ({"video": {"color_range": 2}}, {"video": {"color_range": 1}}, "colour tags", "range full in the source, lim"),
        ({"video": {"color_trc": 16}}, {"video": {"color_trc": 1}}, "colour tags", "transfer 16 in the source, 1 in"),
        ({"size": (64, 48)}, {"size": (66, 48)}, "size", "64x48 in the source, 66x48 in the result"),
        ({"pixels": "yuv420p10le"}, {}, "depth", "10 bits in the source, 8 bits in the result"),
        ({"rotation": 90, "suffix": ".mp4"}, {"suffix": ".mp4"}, "rotation", "in the source, none in the result"),
        (
            {"video": {"sample_aspect_ratio": Fraction(4, 3)}, "suffix": ".mp4"}, {"suffix": ".mp4"},
            "pixel aspect", "4/3 in the source, 1 in the result",
        ),
    ],
)  # fmt: skip
def test_what_was_lost_is_named(
    tmp_path: Path, there: dict[str, Any], here: dict[str, Any], check: str, says: str
) -> None:
    files = []
    for name, clip in (("in", there), ("out", here)):
        clip = dict(clip)
        files.append(make_clip(tmp_path / f"{name}{clip.pop('suffix', '.mkv')}", **clip))
    found = differing(*files)
    assert says in found[check]
    unrelated = {"stream 1", "chapters", "tags", "colour tags", "size", "depth", "rotation", "pixel aspect"} - {check}
    assert unrelated.isdisjoint(found)
    assert verify(files[0], files[0]).complete


def test_what_the_container_cannot_hold_is_left_out_which_strict_refuses(tmp_path: Path, cli: Cli) -> None:
    source = make_clip(tmp_path / "in.mkv", attachment=True)
    result = make_clip(tmp_path / "out.mkv")
    report = verify(source, result)
    assert report["stream 1"].status == "left out"
    assert "font.ttf: not in the result" in report["stream 1"].says
    assert (report.equal, report.complete) == (True, False)
    assert cli("verify", source, result)[0] == 0
    assert cli("verify", source, result, "--strict")[0] == 1


def test_a_result_that_is_cut_off_does_not_pass(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", size=(160, 120))
    result = colorize(source, tmp_path / "out.mkv", FFV1).path
    result.write_bytes(result.read_bytes()[: result.stat().st_size * 2 // 3])
    report = verify(source, result)
    assert "frames" in differing(source, result)
    assert any(note.startswith("result: the file is cut off") for note in report.notes)


def test_a_long_film_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mkv", size=(320, 240), ticks=range(0, 40 * 80, 40), codec="mpeg4", time_base=Fraction(1, 25) / 40
    )
    tracemalloc.start()
    try:
        assert verify(source, source).complete
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 320 * 240 * 1.5  # the film's frames are 80 times 320 x 240 x 1.5 bytes, twice


# --- stills -----------------------------------------------------------------------------------------------------------


def album(folder: Path) -> int:
    """A picture of every kind that holds its values exactly; how many there are."""
    folder.mkdir()
    alpha = scene(bands=1)
    for bits in (8, 16):
        grey, colour = scene(bands=1, bits=bits), scene(bits=bits)
        save(folder / f"grey{bits}.png", grey)
        save(folder / f"colour{bits}.tif", colour, exif_data=exif(1), xmp_data=XMP)
        save(folder / f"dark{bits}.png", grey // 12)
        clear = np.dstack([colour, np.flip(grey, 1)])
        save(folder / f"clear{bits}.png", clear, exif_data=exif(1), xmp_data=XMP)
        save(folder / f"greyclear{bits}.tif", np.dstack([grey, np.flip(grey, 0)]))
        for name, profile in (("p3", P3), ("steep", steep_profile())):
            save(folder / f"{name}-{bits}.png", colour, icc_profile_data=profile)
            save(folder / f"{name}-grey-{bits}.tif", np.dstack([grey] * 3), icc_profile_data=profile)
    image = pyvips.Image.new_from_array(scene()).copy(interpretation="srgb").cast("uchar")
    image.pngsave(str(folder / "palette.png"), palette=True)
    pyvips.Image.new_from_array((alpha > 128).astype(np.uint8) * 255).cast("uchar").pngsave(
        str(folder / "onebit.png"), bitdepth=1
    )
    assert cv2.imwrite(str(folder / "bitmap.bmp"), scene())
    pages = pyvips.Image.arrayjoin([image, image.rot180()], across=1).copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", image.height)
    pages.tiffsave(str(folder / "pages.tif"))
    pages.gifsave(str(folder / "moving.gif"))
    return len(list(folder.iterdir()))


@pytest.mark.parametrize("keep", ["lightness", "luma"])
def test_every_kind_of_still_keeps_its_grey(keep: str, cli: Cli, tint: Path, workplace: Path) -> None:
    count = album(workplace / "album")
    words = ["--plugin", tint, "--colorizer", "tint", "--strength", "60", "--keep", keep]
    assert cli("run", "album", *words)[0] == 0
    status, out, told = cli("verify", "album", "colorized", "--json", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, told, len(rows)) == (0, "", count)
    left_out = set()
    for row in rows:
        luma = row["checks"]["luma"]
        assert luma["kept"] == keep or not row["source"].endswith("grey8.png")  # elsewhere both may hold
        assert luma[keep]["largest"] <= luma[keep]["tolerance"]
        left_out |= {(Path(row["source"]).name, name) for name, c in row["checks"].items() if c["status"] == "left out"}
    assert left_out >= {("pages.tif", "pages"), ("moving.gif", "pages")}
    assert {name for _, name in left_out} <= {"pages", "not read"}


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_becomes_an_exact_png_upright_with_all_it_says(
    orientation: int, cli: Cli, tint: Path, workplace: Path
) -> None:
    save(workplace / "in.jpg", scene(), exif_data=exif(orientation), xmp_data=XMP)
    assert cli("run", "in.jpg", "-o", "out.png", "--plugin", tint, "--colorizer", "tint")[0] == 0
    report = verify(workplace / "in.jpg", workplace / "out.png")
    assert report.complete, report
    assert report["size"].says == ("37x24" if orientation == 1 else "24x37")
    assert {"EXIF", "XMP"} <= {check.name for check in report.checks}


def test_ink_and_inverted_ink_are_compared_as_they_are_shown(cli: Cli, tint: Path, workplace: Path) -> None:
    ink = vips.from_pixels(scene(bands=4))
    ink.copy(interpretation="cmyk").jpegsave(str(workplace / "in.jpg"), keep="none")  # libjpeg writes Adobe's inversion
    assert cli("run", "in.jpg", "-o", "out.tif", "--plugin", tint, "--colorizer", "tint")[0] == 0
    report = verify(workplace / "in.jpg", workplace / "out.tif")
    assert report.equal, report
    assert any("CMYK converted to sRGB" in note for note in report.notes)


def pair(tmp_path: Path, bits: int = 8, name: str = "out.png", **blobs: bytes) -> tuple[Path, Path, Frame]:
    """A grey source, the place for its result, and the frame for it."""
    source = save(tmp_path / "in.png", scene(bands=1, bits=bits), **blobs)
    with open_still(source, MediaOptions()) as still:
        (frame,) = still
    return source, tmp_path / name, dataclasses.replace(frame, colour=(frame.luma,) * 3)


def put(path: Path, frame: Frame) -> Path:
    with StillSink(path, MediaOptions()) as sink:
        sink.write(frame)
    return path


@pytest.mark.parametrize("bits", [8, 16])
def test_two_codes_off_in_one_pixel_is_found_and_named(tmp_path: Path, bits: int) -> None:
    source, place, frame = pair(tmp_path, bits)
    assert verify(source, put(place, frame)).complete
    changed = frame.luma.copy()
    changed[11, 23] -= 2
    report = verify(source, put(place, dataclasses.replace(frame, colour=(changed,) * 3)))
    first = report["luma"].numbers["lightness"]["first"]
    assert (first["x"], first["y"], first["source"]) == (23, 11, frame.luma[11, 23])
    assert first["result"] == pytest.approx(frame.luma[11, 23] - 2, abs=1e-6)
    assert "first at x 23, y 11: " in str(report.first_difference)
    assert report["luma"].numbers["lightness"]["differing"] == 1


def test_a_clipped_gamut_shows(cli: Cli, tint: Path, workplace: Path) -> None:
    save(workplace / "in.png", scene(bands=1))
    words = ["--plugin", tint, "--colorizer", "tint", "--strength", "60", "--saturation", "4", "--gamut"]
    for gamut, status in (("fit", 0), ("clip", 1)):
        assert cli("run", "in.png", "-o", f"{gamut}.png", *words, gamut)[0] == 0
        assert cli("verify", "in.png", f"{gamut}.png")[0] == status


def test_a_lossy_format_is_measured_and_told_so(tmp_path: Path) -> None:
    source, place, frame = pair(tmp_path, name="out.jpg")
    noise = np.random.default_rng(0).integers(0, 99, frame.luma.shape).astype(np.uint8)
    luma = verify(source, put(place, dataclasses.replace(frame, colour=(noise, frame.luma, frame.luma))))["luma"]
    assert luma.status == "differs"
    assert "was changed, by more than JPEG does at this quality" in luma.says
    luma = verify(source, put(place, frame))["luma"]
    assert luma.status == "lossy"
    assert "a .png or .tif result is exact" in luma.says


def test_metadata_that_is_gone_or_changed_is_named(tmp_path: Path) -> None:
    blobs = {"exif_data": exif(1), "xmp_data": XMP, "icc_profile_data": P3}
    source, place, frame = pair(tmp_path, **blobs)
    assert verify(source, put(place, frame)).complete
    kept = frame.metadata
    gone = dataclasses.replace(frame, metadata=dataclasses.replace(kept, exif=None, xmp=None))
    report = verify(source, put(place, gone))
    assert {check.name for check in report.checks if check.status == "left out"} == {"EXIF", "XMP"}
    other = dataclasses.replace(kept, exif=exif(1, ">"), xmp=XMP.replace(b"/></x:x", b">x</rdf:RDF></x:x"))
    report = verify(source, put(place, dataclasses.replace(frame, metadata=other)))
    assert {check.name for check in report.checks if check.status == "differs"} == {"EXIF", "XMP"}


def test_comments_are_compared(tmp_path: Path) -> None:
    files = []
    for name, text in (("in", "Nadar"), ("same", "Nadar"), ("other", "Daguerre"), ("none", "")):
        image = vips.from_pixels(scene(bands=1))
        if text:
            image.set_type(pyvips.GValue.gstr_type, "png-comment-0-Author", text)
        image.write_to_file(str(tmp_path / f"{name}.png"))
        files.append(tmp_path / f"{name}.png")
    found = [verify(files[0], file)["comments"] for file in files]
    assert [check.status for check in found] == ["equal", "equal", "differs", "left out"]
    assert "Author" in found[2].says


def test_size_depth_and_transparency(tmp_path: Path) -> None:
    source = save(tmp_path / "in.png", np.dstack([scene(bands=1, bits=16)] * 2))
    turned = save(tmp_path / "turned.png", scene(bands=1, bits=16).T)
    assert differing(source, turned)["size"] == "37x24 in the source, 24x37 in the result"
    plain = verify(source, save(tmp_path / "plain.png", scene(bands=1, bits=16)))
    assert (plain.equal, plain["transparency"].status) == (True, "left out")
    eight = verify(
        source, save(tmp_path / "eight.png", np.dstack([(scene(bands=1, bits=16) / 257).round().astype(np.uint8)] * 2))
    )
    assert (eight.equal, eight["depth"].says) == (True, "16 bits in the source, 8 bits in the result")
    veiled = verify(
        source, save(tmp_path / "veiled.png", np.dstack([scene(bands=1, bits=16), scene(bands=1, bits=16) // 2]))
    )
    assert veiled["transparency"].status == "differs"


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_folder_is_paired_as_run_named_it_and_a_missing_one_differs(cli: Cli, tint: Path, workplace: Path) -> None:
    for name in ("a.png", "deep/b.tif", "c.gif"):
        (workplace / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        save(workplace / "album" / name, scene(bands=1))
    make_clip(workplace / "album" / "d.avi", codec="mpeg4", time_base=Fraction(1, 25), ticks=range(5))
    assert cli("run", "album", "--codec", "ffv1", "--plugin", tint, "--colorizer", "tint")[0] == 0
    status, out, _ = cli("verify", "album", "colorized")
    assert status == 0
    assert "equal album/c.gif -> colorized/c.png" in out
    assert "equal album/d.avi -> colorized/d.mp4" in out
    assert out.splitlines()[-1] == "4 equal, 0 not, of 4"
    (workplace / "colorized" / "deep" / "b.tif").unlink()
    (workplace / "colorized" / "a.png").write_bytes(b"")
    status, out, _ = cli("verify", "album", "colorized", "-q")
    assert status == 1
    assert "colorized/deep/b.tif is missing" in out
    assert "colorized/a.png is empty" in out
    assert "equal" not in out
    status, out, _ = cli("verify", "album", "colorized", "--json", "log.jsonl")
    rows = {row["source"]: row for row in map(json.loads, (workplace / "log.jsonl").read_text().splitlines())}
    assert rows["album/deep/b.tif"]["checks"]["readable"]["says"] == "colorized/deep/b.tif is missing"
    assert out.splitlines()[-1] == "2 equal, 2 not, of 4"
    # one file of the folder against the folder
    assert cli("verify", "album/c.gif", "colorized")[0] == 0


def test_a_film_is_no_picture(tmp_path: Path, cli: Cli) -> None:
    still = save(tmp_path / "in.png", scene())
    status, out, _ = cli("verify", still, make_clip(tmp_path / "out.mkv"))
    assert status == 1
    assert "a still in the source, a video in the result" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["in.png"], "Missing argument 'RESULT'"),
        (["in.png", "nothing.png"], "nothing.png does not exist; "),
        (["nothing.png", "in.png"], "nothing.png does not exist"),
        ([".", "in.png"], ". is a folder and in.png is a file"),
        (["in.png", "in.png", "-q", "-v"], "exclude each other"),
        (["in.png", "in.png", "--max-pixels", "0"], "max_pixels takes a whole number"),
        (["in.png", "in.png", "--json", "no/such/folder.json"], "--json no/such/folder.json"),
    ],
)
def test_a_wrong_call_is_status_2(words: list[str], says: str, cli: Cli, workplace: Path) -> None:
    save(workplace / "in.png", scene())
    status, out, told = cli("verify", *words)
    assert (status, out) == (2, "")
    assert says.rstrip("; ") in told


def test_limits_hold_for_verify_too(cli: Cli, workplace: Path) -> None:
    save(workplace / "in.png", scene())
    status, out, _ = cli("verify", "in.png", "in.png", "--max-pixels", "100")
    assert status == 1
    assert "--max-pixels 888 lets it in" in " ".join(out.split())
