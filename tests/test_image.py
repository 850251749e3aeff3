"""Stills: what is read is what the file says, what is written keeps it, and nothing bad passes for a picture."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pyvips
from PIL import Image

from colorpipe import color
from colorpipe.errors import InputError, LimitError, OutputError
from colorpipe.media import open_sink, open_source
from colorpipe.media.base import Provenance
from colorpipe.media.still import vips
from colorpipe.media.still.source import open_still
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding, Frame, Metadata

OPTIONS = MediaOptions()
MARK = Provenance("f00d" * 16)


def scene(height: int = 24, width: int = 37, bands: int = 3, bits: int = 8) -> Any:
    """A smooth picture with a little noise: (H, W) for one band, else (H, W, bands)."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (1 + band) / width + y / height) / (2 + band) for band in range(bands)]
    values = (np.stack(planes, -1) + rng.random((height, width, bands)) * 0.05).clip(0, 1)
    codes = np.rint(values * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return codes[:, :, 0] if bands == 1 else codes


def save(path: Path, pixels: Any, **blobs: bytes) -> Path:
    """Written by libvips, with metadata blobs (``exif_data=...``)."""
    image = vips.from_pixels(pixels)
    for name, blob in blobs.items():
        vips.set_blob(image, name.replace("_", "-"), blob)
    image.write_to_file(str(path))
    return path


def read(path: Path, options: MediaOptions = OPTIONS) -> Frame:
    with open_still(path, options) as source:
        (frame,) = source
    assert (frame.width, frame.height) == (source.info.width, source.info.height)
    return frame


def write(path: Path, frame: Frame, provenance: Provenance | None = None, **options: Any) -> tuple[str, ...]:
    from colorpipe.media.still.sink import StillSink

    with StillSink(path, MediaOptions(**options), provenance) as sink:
        sink.write(frame)
    return sink.notes


def tinted(frame: Frame) -> Frame:
    """The frame as a colorizer would leave it."""
    half = frame.encoding.peak // 2
    planes = (frame.luma, frame.luma // 2, np.minimum(frame.luma, half).astype(frame.luma.dtype))
    return Frame(frame.luma, frame.encoding, planes, frame.alpha, origin=frame.origin, metadata=frame.metadata)


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with an orientation, a maker note that libexif does not know, and a link to a thumbnail's IFD."""
    note = b"MAKER\0private bytes"
    entries = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(order + "HHII", 0x8769, 4, 1, 38)
    first = struct.pack(order + "H", 2) + entries + struct.pack(order + "I", 56 + len(note))
    second = struct.pack(order + "H", 1) + struct.pack(order + "HHII", 0x927C, 7, len(note), 56) + b"\0" * 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + first + second + note + struct.pack(order + "HI", 0, 0)


def grey_profile(gamma: float) -> bytes:
    """A minimal ICC v2 grey profile with a power curve (ICC.1:2001-04)."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Test\0" + b"\0" * 78,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0",
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


# --- reading: code values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif"])
def test_grey_code_values_are_untouched(tmp_path: Path, name: str) -> None:
    codes = scene(bands=1)
    path = tmp_path / name
    if name == "a.bmp":
        cv2.imwrite(str(path), codes)
    else:
        save(path, codes)
    frame = read(path)
    np.testing.assert_array_equal(frame.luma, codes)
    assert frame.colour is None
    assert frame.encoding == Encoding("rgb", 8)
    assert frame.origin == path


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, name: str, bands: int) -> None:
    codes = scene(bands=bands, bits=16)
    frame = read(save(tmp_path / name, codes))
    assert frame.encoding.bits == 16
    assert frame.luma.dtype == np.uint16
    if bands < 3:
        np.testing.assert_array_equal(frame.luma, codes.reshape(24, 37, bands)[..., 0])
    else:
        assert frame.colour is not None
        np.testing.assert_array_equal(np.stack(frame.colour, -1), codes[..., :3])
    if bands in (2, 4):
        np.testing.assert_array_equal(frame.alpha, codes[..., -1])
    else:
        assert frame.alpha is None


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_shallow_png_spans_black_to_white(tmp_path: Path, bits: int) -> None:
    steps = np.linspace(0, 255, 1 << bits).round().astype(np.uint8)
    codes = np.tile(steps, (3, 2))
    vips.from_pixels(codes).pngsave(str(tmp_path / "a.png"), bitdepth=bits)
    np.testing.assert_array_equal(read(tmp_path / "a.png").luma, codes)


def test_colour_has_its_planes_and_their_grey_as_luma(tmp_path: Path) -> None:
    codes = scene()
    frame = read(save(tmp_path / "a.png", codes))
    assert frame.colour is not None
    np.testing.assert_array_equal(np.stack(frame.colour, -1), codes)
    red, green, blue = frame.colour
    np.testing.assert_array_equal(frame.luma, color.grey((red, green, blue), "rec601"))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_a_colour_file_with_equal_channels_is_grey(tmp_path: Path, name: str) -> None:
    codes = scene(bands=1)
    path = tmp_path / name
    if name == "a.bmp":
        cv2.imwrite(str(path), np.dstack([codes] * 3))
    else:
        save(path, np.dstack([codes] * 3))
    frame = read(path)
    assert frame.colour is None
    np.testing.assert_array_equal(frame.luma, codes)


def test_one_coloured_pixel_makes_a_colour_picture(tmp_path: Path) -> None:
    codes = np.dstack([scene(bands=1)] * 3)
    codes[5, 7] = (200, 10, 10)
    assert read(save(tmp_path / "a.png", codes)).colour is not None


def test_palette_png(tmp_path: Path) -> None:
    codes = np.zeros((6, 6, 3), np.uint8)
    codes[:3], codes[3:] = (250, 20, 30), (10, 200, 60)
    vips.from_pixels(codes).pngsave(str(tmp_path / "a.png"), palette=True)
    frame = read(tmp_path / "a.png")
    assert frame.colour is not None
    assert np.abs(np.stack(frame.colour, -1).astype(int) - codes).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
def test_thin_pictures(tmp_path: Path, shape: tuple[int, int]) -> None:
    codes = scene(*shape, bands=1)
    np.testing.assert_array_equal(read(save(tmp_path / "a.png", codes)).luma, codes)


def test_bmp_with_transparency_and_upside_down(tmp_path: Path) -> None:
    codes = scene(bands=4)
    cv2.imwrite(str(tmp_path / "a.bmp"), cv2.cvtColor(codes, cv2.COLOR_RGBA2BGRA))
    frame = read(tmp_path / "a.bmp")
    assert frame.colour is not None
    np.testing.assert_array_equal(np.stack(frame.colour, -1), codes[..., :3])
    np.testing.assert_array_equal(frame.alpha, codes[..., 3])


def test_cmyk_jpeg_is_neither_inverted_nor_dark(tmp_path: Path) -> None:
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, 16:, 3] = 255  # paper on the left, black ink on the right
    image = pyvips.Image.new_from_array(ink).copy(interpretation="cmyk")
    image.jpegsave(str(tmp_path / "a.jpg"), Q=100)
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    frame = read(tmp_path / "a.jpg")
    assert frame.luma[:, :12].min() > 240
    assert frame.luma[:, 20:].max() < 70
    assert frame.metadata.icc == vips.srgb_profile()
    assert any("CMYK" in note for note in open_still(tmp_path / "a.jpg", OPTIONS).info.notes)


def test_floating_point_within_range_is_read_and_said(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6)
    pyvips.Image.new_from_array(values).tiffsave(str(tmp_path / "a.tif"))
    frame = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(frame.luma, np.rint(values * 65535))
    assert "floating-point" in open_still(tmp_path / "a.tif", OPTIONS).info.notes[0]


@pytest.mark.parametrize("worst", [1.5, -0.1, float("nan")])
def test_floating_point_without_a_known_meaning_is_refused(tmp_path: Path, worst: float) -> None:
    values = np.full((5, 6), 0.5, np.float32)
    values[2, 3] = worst
    pyvips.Image.new_from_array(values).tiffsave(str(tmp_path / "a.tif"))
    with pytest.raises(InputError, match=r"a\.tif holds floating-point"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(("name", "what"), [("a.tif", "pages"), ("a.gif", "frames"), ("a.webp", "frames")])
def test_the_first_of_several_is_taken_and_said(tmp_path: Path, name: str, what: str) -> None:
    pages = [np.full((20, 30, 3), value, np.uint8) for value in (10, 120, 240)]
    image = vips.from_pixels(np.vstack(pages)).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", 20)
    image.write_to_file(str(tmp_path / name))
    with open_still(tmp_path / name, OPTIONS) as source:
        assert source.info.notes == (f"first of 3 {what}",)
        (frame,) = source
    assert (frame.height, frame.width) == (20, 30)
    assert np.abs(frame.luma.astype(int) - 10).max() <= 2


# --- reading: orientation, names, limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_and_reset(tmp_path: Path, orientation: int, order: str) -> None:
    path = save(tmp_path / "a.png", scene(), exif_data=exif(orientation, order))
    upright = pyvips.Image.new_from_file(str(path)).autorot().numpy()
    frame = read(path)
    assert frame.colour is not None
    np.testing.assert_array_equal(np.stack(frame.colour, -1), upright)
    write(tmp_path / "b.png", frame)
    assert pyvips.Image.new_from_file(str(tmp_path / "b.png")).get("orientation") == 1
    np.testing.assert_array_equal(read(tmp_path / "b.png").luma, frame.luma)


@pytest.mark.parametrize("name", ["photo[1].jpg", "写真 é.jpg", "-o.jpg", os.fsdecode(b"caf\xe9.jpg"), "a%d.jpg"])
def test_awkward_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(vips.from_pixels(scene(bands=1)).jpegsave_buffer()))
    frame = read(path)
    assert frame.luma.shape == (24, 37)
    write(tmp_path / f"out {name}", frame)
    assert (tmp_path / f"out {name}").exists()


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    codes = scene(bands=1)
    (tmp_path / "a.jpg").write_bytes(bytes(vips.from_pixels(codes).pngsave_buffer()))
    with open_source(tmp_path / "a.jpg", OPTIONS) as source:
        np.testing.assert_array_equal(next(iter(source)).luma, codes)


def header_bomb(side: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_pixel_limit_is_checked_on_the_header(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(header_bomb(30_000))
    with pytest.raises(LimitError, match=r"bomb\.png has 30000 x 30000.*--max-pixels 900000000"):
        open_still(tmp_path / "bomb.png", OPTIONS)
    save(tmp_path / "a.png", scene())
    with pytest.raises(LimitError):
        open_still(tmp_path / "a.png", MediaOptions(max_pixels=24 * 37 - 1))
    assert read(tmp_path / "a.png", MediaOptions(max_pixels=24 * 37)).width == 37


# --- reading: bad files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.gif", "a.bmp", "a.avif"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.97])
def test_a_cut_off_file_is_no_picture(tmp_path: Path, name: str, kept: float) -> None:
    codes = np.random.default_rng(1).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    path = tmp_path / name
    if name == "a.bmp":
        cv2.imwrite(str(path), codes)
    else:
        vips.from_pixels(codes).write_to_file(str(path))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_mark_is_read_and_said(tmp_path: Path, missing: int) -> None:
    data = bytes(vips.from_pixels(scene()).jpegsave_buffer())
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "a.jpg").write_bytes(data[:-missing])
    with open_still(tmp_path / "a.jpg", OPTIONS) as source:
        (frame,) = source
        assert source.info.notes == ("its end mark is missing; all of its lines are there",)
    np.testing.assert_array_equal(frame.luma, read(tmp_path / "whole.jpg").luma)


def test_a_jpeg_with_a_hole_is_no_picture(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 256, (120, 160)).astype(np.uint8)
    data = bytes(vips.from_pixels(codes).jpegsave_buffer())
    middle = len(data) // 2
    (tmp_path / "a.jpg").write_bytes(data[:middle] + data[middle + 3000 :])
    with pytest.raises(InputError, match="damaged or cut-off JPEG"):
        read(tmp_path / "a.jpg")


def test_harmless_extra_bytes_do_not_refuse_a_jpeg(tmp_path: Path) -> None:
    data = bytes(vips.from_pixels(scene(bands=1)).jpegsave_buffer())
    (tmp_path / "clean.jpg").write_bytes(data)
    (tmp_path / "padded.jpg").write_bytes(data[:-2] + b"\0" * 64 + data[-2:])
    (tmp_path / "trailer.jpg").write_bytes(data + b"appended by a camera")
    expected = read(tmp_path / "clean.jpg").luma
    np.testing.assert_array_equal(read(tmp_path / "padded.jpg").luma, expected)
    np.testing.assert_array_equal(read(tmp_path / "trailer.jpg").luma, expected)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.gif", "a.bmp"])
def test_a_mutated_file_is_read_or_refused_and_never_crashes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.bmp":
        cv2.imwrite(str(path), scene())
    else:
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
        save(path, scene(), exif_data=exif(6), xmp_data=xmp, icc_profile_data=vips.srgb_profile())
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refusals = []
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(data)))
            data[at : at + int(rng.integers(1, 8))] = rng.bytes(int(rng.integers(0, 8)))
        path.write_bytes(data)
        try:
            frame = read(path, MediaOptions(max_pixels=1_000_000))
            write(tmp_path / "out.png", frame, MARK)
        except InputError as error:
            refusals.append(str(error))
    assert refusals  # the mutations do reach what matters
    assert all(str(path) in line and "\n" not in line for line in refusals)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"dear diary, today\n" * 20, "is a text"),
        (b"BM, said the baker to his wife, is not a header", "is a text"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document, which colorpipe does not read"),
        (bytes(range(1, 200)), "neither a picture nor a film"),
    ],
)
def test_what_is_no_picture_is_told_plainly(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg .*{said}"):
        open_source(tmp_path / "a.jpg", OPTIONS)


def test_a_folder_and_nothing_at_all_named_like_a_picture(tmp_path: Path) -> None:
    (tmp_path / "d.jpg").mkdir()
    with pytest.raises(InputError, match=r"d\.jpg is a folder"):
        open_source(tmp_path / "d.jpg", OPTIONS)
    with pytest.raises(InputError, match=r"cannot read .*gone\.jpg: no such file"):
        open_source(tmp_path / "gone.jpg", OPTIONS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang_the_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="not a regular file"):
        open_source(tmp_path / "a.jpg", OPTIONS)


def test_readers_at_once_do_not_blame_each_other(tmp_path: Path) -> None:
    data = bytes(vips.from_pixels(scene(100, 100)).jpegsave_buffer())
    for index in range(40):
        padded = data[:-2] + b"\0" * 64 + data[-2:]
        (tmp_path / f"{index}.jpg").write_bytes((data, data[:-600], padded, data)[index % 4])

    def outcome(index: int) -> str:
        try:
            return str(read(tmp_path / f"{index}.jpg").luma.shape)
        except InputError as error:
            return error.message.rpartition("/")[2]

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(outcome, range(40)))
    said = "is a damaged or cut-off JPEG (premature end of JPEG image)"
    assert outcomes == [f"{index}.jpg {said}" if index % 4 == 1 else "(100, 100)" for index in range(40)]


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_srgb_and_no_profile_leave_pixels_alone(tmp_path: Path) -> None:
    codes = scene()
    frame = read(save(tmp_path / "a.png", codes, icc_profile_data=vips.srgb_profile()))
    assert frame.colour is not None
    np.testing.assert_array_equal(np.stack(frame.colour, -1), codes)
    write(tmp_path / "b.png", frame)
    assert read(tmp_path / "b.png").metadata.icc == vips.srgb_profile()
    assert read(save(tmp_path / "c.png", codes)).metadata.icc is None


@pytest.mark.parametrize("bits", [8, 16])
def test_another_rgb_profile_is_honoured_and_given_back(tmp_path: Path, bits: int) -> None:
    display_p3 = bytes(pyvips.Operation.call("profile_load", "p3"))
    codes = (scene(bits=bits) // 2 + (1 << bits) // 4).astype(np.uint8 if bits == 8 else np.uint16)  # muted: in gamut
    frame = read(save(tmp_path / "a.png", codes, icc_profile_data=display_p3))
    assert frame.colour is not None
    apart = np.abs(np.stack(frame.colour, -1).astype(int) - codes)
    assert apart.max() > (3 << (bits - 8))  # P3 numbers mean stronger colours in sRGB
    write(tmp_path / "b.png", frame)
    back = pyvips.Image.new_from_file(str(tmp_path / "b.png"))
    assert back.get("icc-profile-data") == display_p3
    assert np.abs(back.numpy().astype(int) - codes).max() <= (1 if bits == 8 else 16)


def test_a_grey_profile_is_honoured_and_replaced(tmp_path: Path) -> None:
    codes = scene(bands=1)
    path = save(tmp_path / "a.png", codes, icc_profile_data=grey_profile(1.8))
    with open_still(path, OPTIONS) as source:
        (frame,) = source
    assert "grey profile 'Test' replaced by sRGB" in source.info.notes[0]
    light = (codes / 255.0) ** 1.8
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255  # IEC 61966-2-1
    assert np.abs(frame.luma - expected).max() <= 1.5
    assert frame.metadata.icc == vips.srgb_profile()


def test_a_profile_that_cannot_be_meant_is_left_out_and_said(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", scene(), icc_profile_data=vips.srgb_profile())
    data = path.read_bytes()
    for right, wrong, note in (
        (b"RGB XYZ ", b"CMYKXYZ ", "its CMYK profile is left out"),
        (b"acsp", b"oops", "its ICC profile is damaged and left out"),
    ):
        path.write_bytes(data.replace(right, wrong))
        with open_still(path, OPTIONS) as source:
            (frame,) = source
        assert source.info.notes == (note,)
        assert frame.metadata.icc is None


# --- writing ----------------------------------------------------------------------------------------------------------


def frame_of(codes: Any, alpha: Any = None, **blobs: Any) -> Frame:
    encoding = Encoding("rgb", 8 if codes.dtype == np.uint8 else 16)
    return tinted(Frame(codes, encoding, alpha=alpha, metadata=Metadata(**blobs)))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_formats_give_every_value_back(tmp_path: Path, name: str, bits: int) -> None:
    codes = scene(bands=1, bits=bits)
    frame = frame_of(codes, alpha=codes[::-1].copy())
    assert write(tmp_path / name, frame) == ()
    back = read(tmp_path / name)
    assert back.colour is not None
    assert frame.colour is not None
    for plane, wanted in zip(back.colour, frame.colour, strict=True):
        np.testing.assert_array_equal(plane, wanted)
    np.testing.assert_array_equal(back.alpha, frame.alpha)


@pytest.mark.parametrize(("name", "tolerance"), [("a.jpg", 3), ("a.webp", 8), ("a.avif", 6)])
def test_lossy_formats_stay_close(tmp_path: Path, name: str, tolerance: int) -> None:
    codes = cv2.GaussianBlur(scene(64, 96, bands=1), (0, 0), 3)
    write(tmp_path / name, frame_of(codes))
    back = read(tmp_path / name)
    assert back.colour is not None
    assert np.abs(back.colour[0].astype(int) - codes).mean() <= tolerance


def test_high_quality_jpeg_keeps_chroma_at_full_size(tmp_path: Path) -> None:
    for quality, subsampling in ((95, "4:4:4"), (80, "4:2:0")):
        write(tmp_path / "a.jpg", frame_of(scene(bands=1)), quality=quality)
        assert pyvips.Image.new_from_file(str(tmp_path / "a.jpg")).get("jpeg-chroma-subsample") == subsampling


def test_a_grey_frame_is_written_as_grey_rgb(tmp_path: Path) -> None:
    codes = scene(bands=1)
    write(tmp_path / "a.png", Frame(codes, Encoding("rgb", 8)))
    image = pyvips.Image.new_from_file(str(tmp_path / "a.png"))
    assert image.bands == 3
    np.testing.assert_array_equal(image.numpy(), np.dstack([codes] * 3))


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    codes = scene(bands=1, bits=16)
    frame = frame_of(codes, alpha=codes)
    notes = write(tmp_path / "a.jpg", frame)
    assert "JPEG has no transparency: it is left out" in notes
    assert "16 bits a channel rounded to the 8 of JPG" in notes
    back = read(tmp_path / "a.jpg")
    assert frame.colour is not None
    assert back.colour is not None
    assert np.abs(back.colour[0].astype(int) - frame.colour[0] / 257).mean() < 3


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("xmp", [None, b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'])
def test_exif_is_kept_byte_for_byte(tmp_path: Path, name: str, xmp: bytes | None) -> None:
    block = exif(1)
    write(tmp_path / name, frame_of(scene(bands=1), exif=block, xmp=xmp))
    assert block in (tmp_path / name).read_bytes()
    back = read(tmp_path / name)  # and every reader finds it
    assert back.metadata.exif is not None
    assert b"MAKER\0private bytes" in back.metadata.exif
    assert back.metadata.xmp == xmp


def test_exif_and_transparency_in_webp(tmp_path: Path) -> None:
    codes = scene(bands=1)
    write(tmp_path / "a.webp", frame_of(codes, alpha=codes, exif=exif(1)))
    back = read(tmp_path / "a.webp")
    assert back.alpha is not None
    assert back.metadata.exif is not None


def test_exif_reaches_avif(tmp_path: Path) -> None:
    write(tmp_path / "a.avif", frame_of(scene(64, 64, bands=1), exif=exif(1)))
    assert pyvips.Image.new_from_file(str(tmp_path / "a.avif")).get_typeof("exif-data")


def test_stale_thumbnail_and_orientation_leave_exif(tmp_path: Path) -> None:
    frame = read(save(tmp_path / "a.jpg", scene(), exif_data=exif(6)))
    assert frame.metadata.exif is not None
    order = "<" if frame.metadata.exif[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", frame.metadata.exif, 4)
    (count,) = struct.unpack_from(order + "H", frame.metadata.exif, start)
    assert struct.unpack_from(order + "I", frame.metadata.exif, start + 2 + 12 * count) == (0,)


def test_tags_of_a_tiff_are_its_exif(tmp_path: Path) -> None:
    save(tmp_path / "plain.tif", scene())
    assert open_still(tmp_path / "plain.tif", OPTIONS).info.notes == ()
    # libvips writes no such tags: its orientation becomes a camera's model.
    data = bytearray((tmp_path / "plain.tif").read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    tags = {struct.unpack_from("<H", data, start + 2 + 12 * entry)[0]: entry for entry in range(count)}
    struct.pack_into("<HHIHH", data, start + 2 + 12 * tags[0x0112], 0x0110, 2, 1, 0x41, 0)
    (tmp_path / "taken.tif").write_bytes(data)
    for name in ("a.tif", "a.jpg", "a.png", "a.webp"):
        write(tmp_path / name, read(tmp_path / "taken.tif"))
        assert Image.open(io.BytesIO((tmp_path / name).read_bytes())).getexif()[0x0110] == "A"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_resolution_is_kept_and_turns_with_the_picture(tmp_path: Path, name: str) -> None:
    image = vips.from_pixels(scene()).copy(xres=300 / 25.4, yres=600 / 25.4)
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.write_to_file(str(tmp_path / name))
    write(tmp_path / f"out {name}", read(tmp_path / name))
    back = pyvips.Image.new_from_file(str(tmp_path / f"out {name}"))
    assert back.xres == pytest.approx(600 / 25.4, rel=0.01)
    assert back.yres == pytest.approx(300 / 25.4, rel=0.01)


@pytest.mark.parametrize(
    "body",
    [b"tEXtCopyright\0\xa9 1931", b"tEXtUrheber\xfc\0me", b"tEXtCopyright\0(c)", b"zTXtA\0\0" + zlib.compress(b"\xfc")],
)  # fmt: skip
def test_comments_in_latin_1_are_kept_as_they_are(tmp_path: Path, body: bytes) -> None:
    data = save(tmp_path / "plain.png", scene()).read_bytes()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "in.png").write_bytes(data[:33] + chunk + data[33:])
    with open_still(tmp_path / "in.png", OPTIONS) as source:
        (frame,) = source
    assert source.info.notes == ()
    assert not write(tmp_path / "out.png", frame)
    assert chunk in (tmp_path / "out.png").read_bytes()


def test_iptc_is_kept(tmp_path: Path) -> None:
    caption = b"\x1c\x02\x78\x00\x05Paris"
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(caption)) + caption
    write(tmp_path / "a.jpg", frame_of(scene(bands=1), iptc=block))
    assert read(tmp_path / "a.jpg").metadata.iptc == block
    assert "IPTC" in write(tmp_path / "a.png", frame_of(scene(bands=1), iptc=block))[0]


# --- provenance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
def test_results_say_that_they_are_colorized(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, frame_of(scene(64, 64, bands=1)), MARK)
    xmp = (read(tmp_path / name).metadata.xmp or b"").decode()
    assert "compositeWithTrainedAlgorithmicMedia" in xmp
    assert "Iptc4xmpExt:DigitalSourceType" in xmp
    assert MARK.recipe_digest in xmp
    assert "colorpipe 0" in xmp


def test_provenance_joins_the_xmp_that_was_there(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    original = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>
      <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
      <rdf:Description rdf:about='uuid:7' xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format='image/jpeg'
        xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' e:DigitalSourceType='digitisedFromNegative'>
      <dc:title>Nadar &amp; son</dc:title></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>\n\0"""
    write(tmp_path / "a.png", frame_of(scene(bands=1), xmp=original), MARK)
    packet = read(tmp_path / "a.png").metadata.xmp or b""
    root = ElementTree.fromstring(packet.strip(b"\0"))
    text = packet.decode()
    assert root.find(".//{http://purl.org/dc/elements/1.1/}title").text == "Nadar & son"  # type: ignore[union-attr]
    assert "dc:format" in text
    assert "digitisedFromNegative" not in text
    assert text.count("DigitalSourceType>") == 2  # one element, opened and closed
    about = {e.get("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about") for e in root.iter() if "Description" in e.tag}
    assert about == {"uuid:7"}
    # Marked again, it still says it once.
    write(tmp_path / "b.png", read(tmp_path / "a.png"), Provenance("beef"))
    again = (read(tmp_path / "b.png").metadata.xmp or b"").decode()
    assert again.count("DigitalSourceType>") == 2
    assert MARK.recipe_digest not in again


@pytest.mark.parametrize("broken", [b"<x:xmpmeta>", b"not xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_xmp_that_cannot_be_read_is_kept_and_said(tmp_path: Path, broken: bytes) -> None:
    notes = write(tmp_path / "a.jpg", frame_of(scene(bands=1), xmp=broken), MARK)
    assert "XMP cannot be read" in notes[0]
    assert read(tmp_path / "a.jpg").metadata.xmp == broken


def test_without_provenance_nothing_is_added(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", frame_of(scene(bands=1)))
    assert read(tmp_path / "a.jpg").metadata.xmp is None


# --- whole or not at all ----------------------------------------------------------------------------------------------


def test_a_result_appears_only_when_committed(tmp_path: Path) -> None:
    source = open_still(save(tmp_path / "a.png", scene()), OPTIONS)
    target = tmp_path / "new" / "folder" / "b.png"
    sink = open_sink(target, source, OPTIONS)
    sink.write(next(iter(source)))
    assert not target.exists()
    sink.commit()
    assert [path.name for path in target.parent.iterdir()] == ["b.png"]
    assert target.stat().st_mode & 0o777 == (tmp_path / "a.png").stat().st_mode & 0o777


def test_an_error_leaves_the_former_result_and_nothing_else(tmp_path: Path) -> None:
    from colorpipe.media.still.sink import StillSink

    path = save(tmp_path / "b.png", scene())
    before = path.read_bytes()

    def stopped_midway() -> None:
        with StillSink(path, OPTIONS) as sink:
            sink.write(frame_of(scene(bands=1)))
            raise RuntimeError("the run was stopped")

    with pytest.raises(RuntimeError):
        stopped_midway()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["b.png"]


def test_no_space_left_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*a\.png: no space left on device.*free at least"):
        write(tmp_path / "a.png", frame_of(scene(bands=1)))
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "file" / "a.png", frame_of(scene(bands=1)))


def test_parts_of_killed_runs_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (tmp_path / f".a.png.{child.pid}.0.part").write_bytes(b"half")
    (tmp_path / f".a.png.{os.getppid()}.0.part").write_bytes(b"another run's")
    (tmp_path / f".other.png.{child.pid}.0.part").write_bytes(b"not ours to judge")
    write(tmp_path / "a.png", frame_of(scene(bands=1)))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.png", f".a.png.{os.getppid()}.0.part", f".other.png.{child.pid}.0.part"}


def test_two_writers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    gate = threading.Barrier(2)

    def one(value: int) -> None:
        from colorpipe.media.still.sink import StillSink

        frame = frame_of(np.full((80, 80), value, np.uint8))
        with StillSink(tmp_path / "a.png", OPTIONS) as sink:
            gate.wait()
            sink.write(frame)
            gate.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, (50, 200)))
    assert os.listdir(tmp_path) == ["a.png"]
    colour = read(tmp_path / "a.png").colour
    assert colour is not None
    assert len(np.unique(colour[0])) == 1


def test_the_source_itself_is_never_written(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", scene())
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is the source itself"):
        write(path, read(path))
    assert path.read_bytes() == before


def test_refusals_of_the_sink(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no such format.*\.png"):
        write(tmp_path / "a.bmp", frame_of(scene(bands=1)))
    with pytest.raises(OutputError, match=r"too large for \.webp"):
        write(tmp_path / "a.webp", frame_of(np.zeros((1, 17000), np.uint8)))
    assert os.listdir(tmp_path) == []


def test_importing_media_is_light() -> None:
    code = "import sys, colorpipe.media; print({'numpy', 'cv2', 'pyvips', 'av'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
