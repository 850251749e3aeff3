"""What a still holds besides its pixels is in the result, as another program reads it, or is said; and what decoders
tell is not believed where they are known to err."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from colorpipe.errors import InputError
from colorpipe.media.still.held import resources, xmp
from colorpipe.media.still.held.ifd import Block
from colorpipe.media.still.source import open_still
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame
from colorpipe.verification import verify
from tests import odd_stills as odd
from tests.conftest import Cli
from tests.test_image import write

TINT = ("--colorizer", "tint", "--plugin")


def read(path: Path, **options: Any) -> tuple[Frame, tuple[str, ...]]:
    with open_still(path, MediaOptions(**options)) as source:
        (frame,) = source
        return frame, source.info.notes


def through(path: Path, name: str = "out.png") -> tuple[Path, tuple[str, ...]]:
    """What the sink makes of a file, uncoloured, and all that was said."""
    frame, notes = read(path)
    target = path.with_name(name)
    return target, (*notes, *write(target, frame))


def opened(path: Path) -> Any:
    """By Pillow, with what stands behind the pixels."""
    picture: Any = Image.open(io.BytesIO(path.read_bytes()))
    picture.load()
    return picture


def grey(path: Path) -> Any:
    return np.asarray(opened(path).convert("L")).astype(int)


# --- decoders that are believed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "pad"), [(45, 48), (46, 48), (47, 48), (48, 48), (41, 44)])
def test_run_length_bitmaps_with_filled_rows(tmp_path: Path, width: int, pad: int) -> None:
    pixels = odd.rle_bmp(tmp_path / "a.bmp", width, pad)
    np.testing.assert_array_equal(read(tmp_path / "a.bmp")[0].luma, pixels)


@pytest.mark.parametrize("tiled", [True, False])
def test_old_style_jpeg_in_tiff_is_a_picture(tmp_path: Path, tiled: bool) -> None:
    pixels = odd.old_jpeg_tiff(tmp_path / "a.tif", tiled)
    frame, _ = read(tmp_path / "a.tif")
    assert frame.alpha is None
    assert np.abs(frame.luma.astype(int) - pixels).mean() < 3


def test_grey_avif_of_limited_range_is_not_washed_out(tmp_path: Path) -> None:
    pixels = odd.limited_avif(tmp_path / "a.avif")
    assert np.abs(read(tmp_path / "a.avif")[0].luma.astype(int) - pixels).mean() < 2
    Image.fromarray(pixels).save(tmp_path / "full.avif", subsampling="4:0:0", range="full", quality=100)
    assert np.abs(read(tmp_path / "full.avif")[0].luma.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("compression", ["zstd", "tiff_lzma", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_rare_compressions_of_tiff_are_read(tmp_path: Path, compression: str) -> None:
    pixels = odd.drawn()
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0].luma, pixels)
    assert verify(tmp_path / "a.tif", through(tmp_path / "a.tif", "b.tif")[0]).complete


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["zstd", "group4", "tiff_deflate"])
def test_tiffs_are_turned_once_whoever_reads_them(tmp_path: Path, compression: str, orientation: int) -> None:
    pixels = (odd.drawn() > 128).astype(np.uint8) * 255
    picture = Image.fromarray(pixels)
    picture = picture.convert("1") if compression == "group4" else picture
    picture.save(tmp_path / "a.tif", compression=compression, tiffinfo={274: orientation})
    frame, _ = read(tmp_path / "a.tif")
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)  # Pillow's own numbers for them
    wanted = pixels if turn is None else Image.fromarray(pixels).transpose(Image.Transpose(turn))
    np.testing.assert_array_equal(frame.luma, wanted)
    assert verify(tmp_path / "a.tif", through(tmp_path / "a.tif", "b.tif")[0]).equal


def test_a_sound_file_of_an_unread_kind_is_not_called_damaged(tmp_path: Path) -> None:
    data = odd.jpeg_bytes()
    frame = data.index(b"\xff\xc0")
    (tmp_path / "twelve.jpg").write_bytes(data[: frame + 4] + b"\x0c" + data[frame + 5 :])
    (tmp_path / "lossless.jpg").write_bytes(data[:frame] + b"\xff\xc3" + data[frame + 2 :])
    tifffile.imwrite(tmp_path / "lab.tif", np.dstack([odd.drawn()] * 3), photometric="cielab", metadata=None)
    with tifffile.TiffWriter(tmp_path / "raw.dng") as file:
        file.write(odd.drawn(bits=16), photometric="cfa", metadata=None)
    for name, said in (
        ("twelve.jpg", "12 bits"),
        ("lossless.jpg", "lossless"),
        ("raw.dng", "camera raw file"),
        ("lab.tif", "LAB values"),
    ):
        with pytest.raises(InputError) as caught:
            read(tmp_path / name)
        assert said in str(caught.value)
        assert "damaged" not in str(caught.value)
        assert "convert it" in caught.value.hint or "develop it" in caught.value.hint


def test_heic_without_its_extra_is_told_apart_from_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # as where it is not installed
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(
        InputError, match=r"is a HEIC picture, which colorpipe reads only with its extra heic"
    ) as caught:
        read(tmp_path / "a.heic")
    assert "damaged" not in str(caught.value)


@pytest.mark.extra
def test_a_heic_file_that_is_no_more_than_its_header_is_damaged(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(InputError, match="damaged or cut-off HEIC"):
        read(tmp_path / "a.heic")


# --- whose complaint --------------------------------------------------------------------------------------------------


def test_sound_pictures_are_done_whatever_happens_beside_them(cli: Cli, tint: Path, workplace: Path) -> None:
    """Stray bytes make libjpeg complain; libvips keeps complaints of all threads in one place."""
    album = workplace / "album"
    album.mkdir()
    data = odd.jpeg_bytes()
    tables = data.index(b"\xff\xdb")
    for number in range(12):
        (album / f"between{number}.jpg").write_bytes(data[:tables] + bytes(16) + data[tables:])
        (album / f"behind{number}.jpg").write_bytes(data[:-2] + bytes(64) + data[-2:])
        (album / f"open{number}.jpg").write_bytes(data[:-2])
        Image.fromarray(odd.drawn()).save(album / f"plain{number}.png")
    for jobs in ("1", "8"):
        status, _, told = cli("run", "album", "-o", f"out{jobs}", "--jobs", jobs, *TINT, tint)
        assert status == 0, told
        assert "48 done" in told


def test_a_reason_belongs_to_its_picture(tmp_path: Path) -> None:
    """While others fail all the time, each refusal tells its own file's fault."""
    (tmp_path / "noise.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    (tmp_path / "cut.jpg").write_bytes(odd.jpeg_bytes()[:-300])
    stop = threading.Event()

    def fail() -> None:
        while not stop.is_set():
            with pytest.raises(InputError):
                read(tmp_path / "noise.png")

    others = [threading.Thread(target=fail) for _ in range(3)]
    for thread in others:
        thread.start()
    try:
        for _ in range(10):
            with pytest.raises(
                InputError, match=r"cut\.jpg is a damaged or cut-off JPEG \(premature end of JPEG image\)"
            ):
                read(tmp_path / "cut.jpg")
    finally:
        stop.set()
        for thread in others:
            thread.join()


# --- which picture, which channel -------------------------------------------------------------------------------------


def test_the_whole_picture_of_a_tiff_is_taken(tmp_path: Path) -> None:
    pixels = odd.thumbnail_first_tiff(tmp_path / "sub.tif")
    frame, notes = read(tmp_path / "sub.tif")
    np.testing.assert_array_equal(frame.luma, pixels)
    assert "the whole picture is taken" in notes[0]
    with tifffile.TiffWriter(
        tmp_path / "chain.tif"
    ) as file:  # the thumbnail on a page of its own, flagged in the old way
        file.write((pixels[::4, ::4] >> 8).astype(np.uint8), extratags=[(255, 3, 1, 2, True)], metadata=None)
        file.write(pixels, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "chain.tif")[0].luma, pixels)
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(pixels, subifds=1, metadata=None)
        file.write(pixels[::2, ::2], subfiletype=1, metadata=None)
    frame, notes = read(tmp_path / "pyramid.tif")
    np.testing.assert_array_equal(frame.luma, pixels)
    assert notes == ("its smaller versions and masks (24 x 18) are left out",)


@pytest.mark.parametrize("kind", ["unspecified", None])
def test_infrared_is_no_transparency(tmp_path: Path, kind: str | None) -> None:
    pixels = odd.infrared_tiff(tmp_path / "a.tif")
    if kind is None:  # not stated at all
        data = bytearray((tmp_path / "a.tif").read_bytes())
        at = data.index(struct.pack("<HHI", 338, 3, 1))
        data[at : at + 2] = struct.pack("<H", 337)
        (tmp_path / "a.tif").write_bytes(data)
    frame, notes = read(tmp_path / "a.tif")
    assert frame.alpha is None
    np.testing.assert_array_equal(frame.luma, pixels)
    assert "extra channel of no stated meaning left out" in notes[0]


def test_transparency_is_found_among_extra_channels_and_divided_out(tmp_path: Path) -> None:
    pixels = np.repeat(odd.drawn()[..., None], 3, axis=2)
    alpha = np.full(pixels.shape[:2], 128, np.uint8)
    infrared = np.full(pixels.shape[:2], 9, np.uint8)
    tifffile.imwrite(
        tmp_path / "two.tif", np.dstack([pixels, infrared, alpha]), photometric="rgb", metadata=None,
        extrasamples=["unspecified", "unassalpha"],
    )  # fmt: skip
    frame, notes = read(tmp_path / "two.tif")
    np.testing.assert_array_equal(frame.alpha, alpha)
    np.testing.assert_array_equal(frame.luma, pixels[..., 0])
    assert "1 extra channel" in notes[0]
    multiplied = np.rint(pixels * (alpha[..., None] / 255)).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "pre.tif",
        np.dstack([multiplied, alpha]),
        photometric="rgb",
        metadata=None,
        extrasamples=["assocalpha"],
    )
    frame, notes = read(tmp_path / "pre.tif")
    assert np.abs(frame.luma.astype(int) - pixels[..., 0]).max() <= 1
    assert "divided" in notes[0]
    assert verify(tmp_path / "pre.tif", through(tmp_path / "pre.tif", "out.tif")[0]).equal


# --- what a file holds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["out.jpg", "out.png", "out.tif", "out.webp", "out.avif"])
@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.tif", "a.bmp"])
def test_resolution_is_kept_everywhere_and_never_invented(tmp_path: Path, source: str, result: str) -> None:
    picture = Image.fromarray(odd.drawn())
    picture.save(tmp_path / source, dpi=(600, 300))
    made, notes = through(tmp_path / source, result)
    assert verify(tmp_path / source, made)["resolution"].status == "equal"
    assert notes == ()
    told = opened(made)
    if result[-4:] in (".jpg", ".png", ".tif"):
        assert told.info["dpi"] == pytest.approx((600, 300), rel=0.001)
    else:
        assert (float(told.getexif()[282]), float(told.getexif()[283])) == pytest.approx((600, 300), rel=0.001)
    picture.save(tmp_path / f"bare{source[1:]}")
    if source != "a.bmp":  # Pillow writes 96 dpi into these
        made, _ = through(tmp_path / f"bare{source[1:]}", result)
        told = opened(made)
        assert told.info.get("jfif_unit", 0) == 0
        assert result == "out.tif" or "dpi" not in told.info
        assert told.getexif().get(296, 1) == 1


def test_jpeg_comments_are_kept(tmp_path: Path) -> None:
    caption = odd.commented(tmp_path / "a.jpg")
    second = "zweite".encode("latin-1") + b"\xe4"
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(odd.after_start(data, odd.segment(0xFE, second)))
    made, notes = through(tmp_path / "a.jpg", "b.jpg")
    kept = [body for name, body in opened(made).applist if name == "COM"]
    assert kept == [second, caption.encode()]  # byte for byte, in order
    assert notes == ()
    made, _ = through(tmp_path / "a.jpg", "b.png")
    picture = opened(made)
    assert caption in picture.text.values() or caption in made.read_bytes().decode("utf-8", "replace")
    assert verify(tmp_path / "a.jpg", made)["comments"].status == "equal"
    for name in ("b.webp", "b.tif", "b.avif"):
        assert "comment" in " ".join(through(tmp_path / "a.jpg", name)[1])


def test_gif_comments_are_kept(tmp_path: Path) -> None:
    Image.fromarray(odd.drawn()).save(tmp_path / "a.gif", comment=b"from an old CD")
    made, _ = through(tmp_path / "a.gif")
    picture = opened(made)
    assert picture.text["Comment"] == "from an old CD"


def test_png_texts_are_kept_chunk_for_chunk(tmp_path: Path) -> None:
    texts = odd.texts_png(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    raw = odd.chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(b"\niptc\n       2\n1c02\n"))
    own = odd.chunk(b"prVt", b"made by another program")
    (tmp_path / "a.png").write_bytes(data[:33] + raw + own + data[33:])
    made, notes = through(tmp_path / "a.png")
    picture = opened(made)
    found = picture.text
    assert {key: str(found[key]) for key in texts} == texts
    assert (found["Description"].lang, found["Description"].tkey) == ("de", "Beschreibung")
    assert raw in made.read_bytes()
    assert own in made.read_bytes()  # its fourth letter is small: safe to copy
    assert notes == ()
    made, notes = through(tmp_path / "a.png", "b.jpg")
    kept = {body.decode() for name, body in opened(made).applist if name == "COM"}
    assert {f"{key}: {text}" for key, text in texts.items()} <= kept
    assert any("prVt" in note for note in notes)
    for name in ("b.webp", "b.avif", "b.tif"):
        assert any("Creation Time" in note and "left out" in note for note in through(tmp_path / "a.png", name)[1])


@pytest.mark.parametrize("gamma", [1.0, 0.55, 1 / 2.8])
@pytest.mark.parametrize("colour", [False, True])
def test_gamma_is_honoured(tmp_path: Path, gamma: float, colour: bool) -> None:
    shown = odd.drawn(bits=8).astype(float) / 255
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    codes = np.rint(light**gamma * 65535).astype(np.uint16)
    pixels = (codes >> 8).astype(np.uint8) if colour else codes
    pixels = np.dstack([pixels] * 3) if colour else pixels
    (tmp_path / "a.png").write_bytes(odd.png_with(pixels, odd.chunk(b"gAMA", struct.pack(">I", round(gamma * 1e5)))))
    frame, notes = read(tmp_path / "a.png")
    peak = frame.encoding.peak
    assert np.abs(frame.luma / peak - shown).max() < (0.05 if colour else 0.001)
    assert "honoured" in notes[0]
    made, _ = through(tmp_path / "a.png")
    assert "gamma" not in opened(made).info
    assert verify(tmp_path / "a.png", made)["luma"].status == "equal"


def test_gamma_of_srgb_and_gamma_beside_a_profile_change_nothing(tmp_path: Path) -> None:
    pixels = odd.drawn()
    plain = odd.chunk(b"gAMA", struct.pack(">I", 45455))
    linear = odd.chunk(b"gAMA", struct.pack(">I", 100000))
    for chunks in ((plain,), (linear, odd.chunk(b"sRGB", b"\0")), (linear, odd.chunk(b"cICP", b"\1\x0d\0\1"))):
        (tmp_path / "a.png").write_bytes(odd.png_with(pixels, *chunks))
        np.testing.assert_array_equal(read(tmp_path / "a.png")[0].luma, pixels)


def test_high_dynamic_range_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(odd.png_with(odd.drawn(), odd.chunk(b"cICP", b"\x09\x10\0\1")))
    with pytest.raises(InputError, match=r"high dynamic range \(PQ\)"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("result", ["out.tif", "out.jpg", "out.png", "out.webp"])
def test_who_when_and_with_what_of_a_tiff(tmp_path: Path, big: bool, result: str) -> None:
    odd.documented_tiff(tmp_path / "a.tif", big)
    made, notes = through(tmp_path / "a.tif", result)
    found = opened(made).getexif()
    assert {tag: found.get(tag) for tag in odd.TAKEN} == odd.TAKEN
    assert found[270] == "A scan"
    assert notes == ()
    assert verify(tmp_path / "a.tif", made)["EXIF"].status == "equal"


def test_exif_goes_into_a_tiff_and_out_again(tmp_path: Path) -> None:
    block = odd.exif(t271="Leica", exif_t36867="1932:05:04 10:00:00", gps_t1="N")
    (tmp_path / "a.jpg").write_bytes(odd.jpeg_bytes(exif=block))
    made, notes = through(tmp_path / "a.jpg", "b.tif")
    assert notes == ()
    for path in (made, through(made, "c.jpg")[0], through(made, "d.tif")[0]):
        found = opened(path).getexif()
        assert found[271] == "Leica"
        assert found.get_ifd(0x8769)[36867] == "1932:05:04 10:00:00"
        assert found.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_of_a_tiff_is_whole_and_crosses_formats(tmp_path: Path, kind: int) -> None:
    block = odd.IPTC + b"\0" * (-len(odd.IPTC) % 4)
    count = len(block) // 4 if kind == 4 else len(block)
    tifffile.imwrite(tmp_path / "a.tif", odd.drawn(), metadata=None, extratags=[(33723, kind, count, block, True)])
    made, notes = through(tmp_path / "a.tif", "b.tif")
    assert notes == ()
    with tifffile.TiffFile(made) as file:
        tag = file.pages[0].tags[33723]
        file.filehandle.seek(tag.valueoffset)
        assert file.filehandle.read(len(block)).rstrip(b"\0") == odd.IPTC
    assert verify(tmp_path / "a.tif", made)["IPTC"].status == "equal"
    made, _ = through(tmp_path / "a.tif", "c.jpg")
    assert resources.iptc(read(made)[0].metadata.iptc[14:]) == odd.IPTC  # type: ignore[index]
    back, _ = through(made, "d.tif")
    assert verify(made, back)["IPTC"].status == "equal"
    assert "IPTC" in " ".join(through(tmp_path / "a.tif", "e.png")[1])


def test_stale_thumbnails_go_and_their_neighbours_stay(tmp_path: Path) -> None:
    thumbnail = odd.photoshopped(tmp_path / "a.jpg")
    made, _ = through(tmp_path / "a.jpg", "b.jpg")
    found = opened(made).info["photoshop"]
    assert set(found) == {0x0404, 0x0421}
    assert found[0x0404] == odd.IPTC
    assert thumbnail not in made.read_bytes()
    made, _ = through(tmp_path / "a.jpg", "b.tif")
    assert thumbnail[-200:] not in made.read_bytes()
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="3"><xmp:Thumbnails><rdf:Alt>'
        "<rdf:li>AAAA</rdf:li>"
        "</rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    odd.faces(tmp_path / "c.jpg", 1, packet)
    kept = read(through(tmp_path / "c.jpg", "d.jpg")[0])[0].metadata.xmp or b""
    assert b"AAAA" not in kept
    assert b"Rating" in kept


# --- what points into the picture -------------------------------------------------------------------------------------

CORNER = {
    1: (0.7, 0.55),
    2: (0.3, 0.55),
    3: (0.3, 0.45),
    4: (0.7, 0.45),
    5: (0.55, 0.7),
    6: (0.45, 0.7),
    7: (0.45, 0.3),
    8: (0.55, 0.3),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_face_regions_turn_with_the_picture(tmp_path: Path, orientation: int) -> None:
    odd.faces(tmp_path / "a.jpg", orientation)
    made, _ = through(tmp_path / "a.jpg", "b.jpg")
    told = xmp.properties(read(made)[0].metadata.xmp or b"")
    xs = [float(value) for path, value in told.items() if path.endswith("Area#}x")]
    ys = [float(value) for path, value in told.items() if path.endswith("Area#}y")]
    widths = [float(value) for path, value in told.items() if path.endswith("Area#}w")]
    assert (xs[0], ys[0]) == pytest.approx(CORNER[orientation])
    assert widths[0] == pytest.approx(0.14 if orientation < 5 else 0.18)
    sizes = {path[-1]: value for path, value in told.items() if "Dimensions#}" in path and path[-1] in "wh"}
    assert sizes == ({"w": "48", "h": "36"} if orientation < 5 else {"w": "36", "h": "48"})
    report = verify(tmp_path / "a.jpg", made)
    assert report["regions"].status == "equal"
    assert report["XMP"].status == "equal"


def test_other_programs_regions_turn_too() -> None:
    packet = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
     xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" MPReg:Rectangle="0.1, 0.2, 0.3, 0.4">
    <Iptc4xmpExt:RegionBoundary rdf:parseType="Resource"><Iptc4xmpExt:rbShape>rectangle</Iptc4xmpExt:rbShape>
    <Iptc4xmpExt:rbUnit>pixel</Iptc4xmpExt:rbUnit><Iptc4xmpExt:rbX>10</Iptc4xmpExt:rbX><Iptc4xmpExt:rbY>20</Iptc4xmpExt:rbY>
    <Iptc4xmpExt:rbW>30</Iptc4xmpExt:rbW><Iptc4xmpExt:rbH>5</Iptc4xmpExt:rbH></Iptc4xmpExt:RegionBoundary>
    </rdf:Description></rdf:RDF></x:xmpmeta>"""
    turned = xmp.properties(xmp.upright(packet.encode(), xmp.Change(6, (60, 100))))
    told = {path.rpartition("}")[2]: value for path, value in turned.items()}
    assert told["Rectangle"] == "0.4, 0.1, 0.4, 0.3"  # right of the stored top edge, by its bottom
    assert [told[name] for name in ("rbX", "rbY", "rbW", "rbH")] == ["35", "10", "5", "30"]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_in_xmp_and_sizes_follow(tmp_path: Path, orientation: int) -> None:
    odd.faces(tmp_path / "a.jpg", orientation, odd.TURNED.replace('Orientation="6"', f'Orientation="{orientation}"'))
    made, _ = through(tmp_path / "a.jpg", "b.jpg")
    told = {path.rpartition("}")[2]: value for path, value in xmp.properties(read(made)[0].metadata.xmp or b"").items()}
    assert told["Orientation"] == "1"
    wide = ["48", "36"] if orientation < 5 else ["36", "48"]
    assert [told[name] for name in ("ImageWidth", "ImageLength")] == wide
    assert [told[name] for name in ("PixelXDimension", "PixelYDimension")] == wide
    assert opened(made).getexif()[0x0112] == 1


def test_places_in_exif_turn(tmp_path: Path) -> None:
    block = odd.exif(t274=6, exif_t40962=48, exif_t40963=36, exif_t37396=(10, 20, 8, 4))
    (tmp_path / "a.jpg").write_bytes(odd.jpeg_bytes(exif=block))
    made, _ = through(tmp_path / "a.jpg", "b.jpg")
    found = opened(made).getexif().get_ifd(0x8769)
    assert tuple(found[37396]) == (16, 10, 4, 8)
    assert (found[40962], found[40963]) == (36, 48)


# --- what is left out is said -----------------------------------------------------------------------------------------

PICTURE = Image.fromarray(odd.drawn())
PARTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "moving.png": (odd.animated_png, "first of 2 frames"),
    "gain.jpg": (lambda path: path.write_bytes(odd.jpeg_bytes() + odd.jpeg_bytes()), "further picture behind"),
    "motion.jpg": (lambda path: path.write_bytes(odd.jpeg_bytes() + b"\0\0\0\x18ftypmp42" + bytes(99)), "motion photo"),
    "multi.jpg": (
        lambda path: PICTURE.save(path, "MPO", save_all=True, append_images=[PICTURE]),
        "list of further pictures",
    ),
    "credentials.jpg": (
        lambda path: path.write_bytes(odd.after_start(odd.jpeg_bytes(), odd.segment(0xEB, b"JP\0\1" + bytes(40)))),
        "content credentials",
    ),
    "credentials.png": (
        lambda path: path.write_bytes(odd.png_with(odd.drawn(), odd.chunk(b"caBX", bytes(40)))),
        "credentials",
    ),
    "background.png": (lambda path: path.write_bytes(odd.png_with(odd.drawn(), odd.chunk(b"bKGD", b"\0\0"))), "bKGD"),
    "jfxx.jpg": (
        lambda path: path.write_bytes(odd.after_start(odd.jpeg_bytes(), odd.segment(0xE0, b"JFXX\0\x10" + bytes(20)))),
        "JFXX",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PARTS))
def test_what_is_not_carried_over_is_named(tmp_path: Path, name: str) -> None:
    make, said = PARTS[name]
    make(tmp_path / name)
    made, notes = through(tmp_path / name, "out" + name[-4:])
    assert any(said in note for note in notes), notes
    assert not verify(tmp_path / name, made).complete


def test_segments_of_other_programs_stay_in_a_jpeg(tmp_path: Path) -> None:
    own = odd.segment(0xE4, b"SCANNER\0" + bytes(range(40)))
    (tmp_path / "a.jpg").write_bytes(odd.after_start(odd.jpeg_bytes(), own))
    made, notes = through(tmp_path / "a.jpg", "b.jpg")
    assert own in made.read_bytes()
    assert notes == ()


# --- Netpbm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [255, 15, 1023, 65535])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("bands", [1, 3])
def test_netpbm_of_every_depth(tmp_path: Path, peak: int, plain: bool, bands: int) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, peak + 1, (5, 7, bands))
    kind = (2 if plain else 5) + (bands == 3)
    head = f"P{kind}\n# SANE data follows\n7 5\n{peak}\n".encode()
    raw = codes.astype(">u2" if peak > 255 else np.uint8).tobytes()
    body = "\n".join(" ".join(map(str, row)) for row in codes.reshape(5, -1)).encode() if plain else raw
    (tmp_path / "a.pnm").write_bytes(head + body)
    frame, _ = read(tmp_path / "a.pnm")
    white = 65535 if peak > 255 else 255
    wanted = np.rint(codes * (white / peak)).astype(int)
    planes = frame.colour or (frame.luma,)
    np.testing.assert_array_equal(np.dstack(planes), wanted)
    made, _ = through(tmp_path / "a.pnm")
    picture = opened(made)
    assert picture.text["Comment"] == "SANE data follows"
    assert verify(tmp_path / "a.pnm", made)["luma"].status == "equal"


def test_bitmaps_and_arbitrary_maps(tmp_path: Path) -> None:
    ink = np.array([[1, 0, 1, 1, 0, 0, 1, 0, 1], [0, 1, 0, 0, 1, 1, 0, 1, 0]])
    (tmp_path / "plain.pbm").write_text("P1\n9 2\n101100101\n0 1 0 0 1 1 0 1 0\n")
    (tmp_path / "raw.pbm").write_bytes(b"P4\n9 2\n" + np.packbits(ink.astype(np.uint8), axis=1).tobytes())
    for name in ("plain.pbm", "raw.pbm"):
        np.testing.assert_array_equal(read(tmp_path / name)[0].luma, (1 - ink) * 255)
    head = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n"
    (tmp_path / "a.pam").write_bytes(head + bytes([10, 255, 20, 128]))
    frame, _ = read(tmp_path / "a.pam")
    assert frame.luma.tolist() == [[10, 20]]
    assert frame.alpha is not None
    assert frame.alpha.tolist() == [[255, 128]]
    (tmp_path / "cut.pgm").write_bytes(b"P5\n4 4\n255\n" + bytes(10))
    with pytest.raises(InputError, match=r"cut-off Netpbm picture \(2 of 4 rows\)"):
        read(tmp_path / "cut.pgm")


# --- damage -----------------------------------------------------------------------------------------------------------


def cut(path: Path, make: Callable[[Path], object], share: float = 0.5) -> Path:
    make(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


NOISE = np.random.default_rng(3).integers(0, 256, (120, 160)).astype(np.uint8)
DAMAGED: dict[str, Callable[[Path], object]] = {
    "a.jpg": lambda path: Image.fromarray(NOISE).save(path, quality=95),
    "a.png": lambda path: Image.fromarray(NOISE).save(path),
    "a.tif": lambda path: tifffile.imwrite(path, NOISE, rowsperstrip=8, metadata=None),
    "a.pgm": lambda path: Image.fromarray(NOISE).save(path),
    "a16.png": lambda path: cv2.imwrite(str(path), NOISE.astype(np.uint16) * 257),
}


@pytest.mark.parametrize("name", [name for name in DAMAGED if name != "a.tif"])
def test_a_damaged_picture_goes_on_when_asked(name: str, cli: Cli, tint: Path, workplace: Path) -> None:
    cut(workplace / name, DAMAGED[name])
    status, _, told = cli("run", name, *TINT, tint)
    assert status == 1
    assert "--damaged goes on with what can be decoded" in told
    status, _, told = cli("run", name, "-o", "out.png", "--damaged", *TINT, tint, "--json", "log.jsonl")
    assert status == 0, told
    assert "could not be decoded and are left grey" in told
    assert "could not be decoded" in Path("log.jsonl").read_text()
    made = np.asarray(opened(Path("out.png"))).astype(int)
    assert made.shape == (120, 160, 3)
    lost = made[100:]
    assert np.ptp(lost) <= 1  # one grey, and no colour
    kept = made[:40]
    assert (kept.max(axis=2) - kept.min(axis=2)).mean() > 5  # colour above
    assert np.abs(grey(Path("out.png"))[:40] - NOISE[:40]).mean() < 12
    provenance = (read(Path("out.png"))[0].metadata.xmp or b"").decode()
    assert "colorpipe:Damage>damaged (" in provenance
    assert cli("verify", name, "out.png", "--damaged")[0] == 0
    # what is done is done: the flag changes no recipe
    assert "1 skipped" in cli("run", name, "-o", "out.png", *TINT, tint)[2]


def test_the_grey_part_turns_with_the_picture(tmp_path: Path) -> None:
    path = cut(tmp_path / "a.jpg", lambda path: Image.fromarray(NOISE).save(path, quality=95, exif=odd.exif(t274=6)))
    frame, notes = read(path, damaged=True)
    left, top, right, bottom = frame.metadata.extra["missing"]
    assert (top, bottom) == (0, 160)
    assert left == 0  # the stored bottom is the left side now
    assert 20 < right < 100
    assert np.ptp(frame.luma[:, : right - 1]) <= 2
    assert "stored rows" in notes[-1]


def test_what_holds_no_picture_at_all_is_refused_even_then(tmp_path: Path) -> None:
    for name, data in (("a.png", odd.png_with(NOISE)[:60]), ("a.jpg", odd.jpeg_bytes()[:100])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="damaged or cut-off"):
            read(tmp_path / name, damaged=True)


# --- the parts themselves ---------------------------------------------------------------------------------------------


def test_blocks_of_tags_come_apart_and_together(tmp_path: Path) -> None:
    for order in ("<", ">"):
        block = Block.of(odd.exif(t271="Leica", exif_t36867="1932:05:04 10:00:00", gps_t1="N"))
        assert block is not None
        turned = Block(
            order,
            *(tuple(tag.in_order(block.order, order) for tag in part) for part in (block.first, block.exif, block.gps)),
        )
        again = Image.Exif()
        again.load(b"Exif\0\0" + turned.packed())
        assert again[271] == "Leica"
        assert again.get_ifd(0x8769)[36867] == "1932:05:04 10:00:00"
        assert again.get_ifd(0x8825)[1] == "N"
    assert Block.of(b"no tags at all") is None
    (tmp_path / "a.tif").write_bytes(b"II*\0\xff\xff\xff\x7f")
    with pytest.raises(InputError):
        read(tmp_path / "a.tif")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_nothing_wrong(tmp_path: Path) -> None:
    odd.documented_tiff(tmp_path / "a.tif", big=False)
    odd.photoshopped(tmp_path / "b.jpg")
    odd.texts_png(tmp_path / "c.png")
    for name in ("a.tif", "b.jpg", "c.png"):
        made, _ = through(tmp_path / name, f"out-{name}")
        said = subprocess.run(
            ["exiftool", "-validate", "-warning", "-a", made], capture_output=True, text=True, check=True
        )
        lines = [line for line in said.stdout.splitlines() if line.startswith("Warning") and "minor" not in line]
        assert not [line for line in lines if "Compression" not in line], (
            said.stdout
        )  # it does not know Deflate's number


def test_fuzzed_parts_raise_nothing_unexpected(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    odd.documented_tiff(tmp_path / "a.tif")
    odd.photoshopped(tmp_path / "b.jpg")
    odd.texts_png(tmp_path / "c.png")
    odd.faces(tmp_path / "d.jpg")
    odd.thumbnail_first_tiff(tmp_path / "e.tif")
    for name in ("a.tif", "b.jpg", "c.png", "d.jpg", "e.tif"):
        whole = (tmp_path / name).read_bytes()
        for _ in range(25):
            data = bytearray(whole)
            for _ in range(3):
                data[int(rng.integers(2, min(600, len(data))))] = int(rng.integers(256))
            path = tmp_path / f"fuzzed{name[1:]}"
            path.write_bytes(data)
            try:
                frame, _ = read(path, max_pixels=1_000_000, damaged=bool(rng.integers(2)))
            except InputError:
                continue
            write(tmp_path / f"made{name[1:]}", frame)
