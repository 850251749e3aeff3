"""Files damaged at random: they are read or refused, and nothing but a ``ColorpipeError`` comes out.

The quick pass always tries the same few; ``pytest -m slow`` goes on with other seeds for ``COLORPIPE_FUZZ_SECONDS``
(60) a reader. Hypothesis shrinks and prints what failed; the seed tells how to meet it again.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from colorpipe.errors import ColorpipeError
from colorpipe.media import open_source
from colorpipe.settings import MediaOptions
from colorpipe.verification import verify
from colorpipe.weights.checkpoints import load_strictly, read_tensors
from tests.test_image import exif, save, scene
from tests.test_video import make_clip

SECONDS = float(os.environ.get("COLORPIPE_FUZZ_SECONDS", "60"))
LIMITS = MediaOptions(max_pixels=1_000_000, max_seconds=60)
"""Small, so that a damaged size is refused rather than decoded."""
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'

Corpus = list[tuple[str, bytes]]
"""Suffix and content of sound files."""

_CUT = st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 64), st.just(b""))
_SET = st.tuples(st.just("set"), st.floats(0, 1), st.just(0), st.binary(min_size=1, max_size=8))
_EDGE = st.tuples(st.just("set"), st.floats(0, 0.2), st.just(0), st.sampled_from([bytes([n] * 4) for n in INTERESTING]))
_ADD = st.tuples(st.just("add"), st.floats(0, 1), st.just(0), st.binary(min_size=1, max_size=32))
_END = st.tuples(st.just("end"), st.floats(0, 1), st.just(0), st.just(b""))
MUTATIONS = st.lists(st.one_of(_EDGE, _SET, _CUT, _ADD, _END), min_size=1, max_size=6)


def mutated(data: bytes, mutations: list[tuple[str, float, int, bytes]]) -> bytes:
    """``data`` with bytes set, cut out and put in, and its end torn off."""
    for kind, place, size, new in mutations:
        at = int(place * max(0, len(data) - 1))
        if kind == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "add":
            data = data[:at] + new + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + size :]
        else:
            data = data[:at]
    return data


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("stills")
    for suffix in (".jpg", ".png", ".tif", ".webp", ".gif", ".avif"):
        blobs = {} if suffix == ".gif" else {"exif_data": exif(6), "xmp_data": XMP}
        save(folder / f"colour{suffix}", scene(), **blobs)
        save(folder / f"grey{suffix}", scene(bands=1))
    save(folder / "deep.png", scene(bands=4, bits=16))
    save(folder / "deep.tif", scene(bands=2, bits=16))
    header = b"BM" + (54 + 8 * 8 * 3).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + (8).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
    (folder / "plain.bmp").write_bytes(header + bytes(range(192)))
    return [(file.suffix, file.read_bytes()) for file in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("films")
    make_clip(folder / "a.mkv", audio="aac", subtitles=True, chapters=True, attachment=True, ticks=[0, 40, 90])
    make_clip(folder / "b.mp4", codec="libx264", audio="aac", ticks=range(0, 240, 40), options={"g": "3"}, rotation=90)
    for name, codec, pixels in (
        ("c.avi", "mjpeg", "yuvj420p"), ("d.mov", "mpeg4", "yuv420p"), ("e.mpg", "mpeg1video", "yuv420p"),
        ("f.ts", "mpeg2video", "yuv420p"),
    ):  # fmt: skip
        make_clip(folder / name, codec=codec, pixels=pixels, ticks=range(5), time_base=Fraction(1, 25))
    return [(file.suffix, file.read_bytes()) for file in sorted(folder.iterdir())]


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("checkpoints")
    state = network().state_dict()
    torch.save(state, folder / "a.pth")
    torch.save({"state_dict": state, "epoch": 3}, folder / "b.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "c.safetensors", {"made": "here"})
    return [(file.suffix, file.read_bytes()) for file in sorted(folder.iterdir())]


def read_media(file: Path) -> None:
    with open_source(file, LIMITS) as source:
        for frame in source:
            assert frame.luma.dtype in (np.uint8, np.uint16)


def read_checkpoint(file: Path) -> None:
    load_strictly(network(), read_tensors(file)[0], file.name)


def hunt(corpus: Corpus, folder: Path, reader: Callable[[Path], None], examples: int | None) -> int:
    """``reader`` over damaged files; how many of them it still could read.

    Args:
        examples: So many, the same ever; None for as many as the time allows.
    """
    sound = 0

    @settings(max_examples=examples or 200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(corpus), MUTATIONS)
    def damage(original: tuple[str, bytes], mutations: list[tuple[str, float, int, bytes]]) -> None:
        nonlocal sound
        file = folder / f"damaged{original[0]}"
        file.write_bytes(mutated(original[1], mutations))
        refusal = None
        try:
            reader(file)
            sound += 1
        except ColorpipeError as error:
            refusal = error.message
        assert refusal is None or ("\n" not in refusal and file.name in refusal)

    until = time.monotonic() + (0 if examples else SECONDS)
    for number in itertools.count():
        seed(number)(damage)()
        if time.monotonic() >= until:
            break
    return sound


@pytest.mark.parametrize("examples", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_damaged_stills(stills: Corpus, tmp_path: Path, examples: int | None) -> None:
    for suffix, data in stills:  # what is whole is read
        (tmp_path / f"whole{suffix}").write_bytes(data)
        read_media(tmp_path / f"whole{suffix}")
    assert hunt(stills, tmp_path, read_media, examples) > 0


@pytest.mark.parametrize("examples", [40, pytest.param(None, marks=pytest.mark.slow)])
def test_damaged_films(films: Corpus, tmp_path: Path, examples: int | None) -> None:
    for suffix, data in films:
        (tmp_path / f"whole{suffix}").write_bytes(data)
        read_media(tmp_path / f"whole{suffix}")
    assert hunt(films, tmp_path, read_media, examples) > 0


@pytest.mark.parametrize("examples", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_damaged_checkpoints(checkpoints: Corpus, tmp_path: Path, examples: int | None) -> None:
    for suffix, data in checkpoints:
        (tmp_path / f"whole{suffix}").write_bytes(data)
        read_checkpoint(tmp_path / f"whole{suffix}")
    hunt(checkpoints, tmp_path, read_checkpoint, examples)


@pytest.mark.parametrize("examples", [25, pytest.param(None, marks=pytest.mark.slow)])
def test_a_damaged_result_is_reported(films: Corpus, tmp_path: Path, examples: int | None) -> None:
    """``verify`` answers with a report, whatever the result is."""
    whole = tmp_path / f"whole{films[0][0]}"
    whole.write_bytes(films[0][1])

    def compare(file: Path) -> None:
        report = verify(whole, file, LIMITS)
        assert report.checks
        assert report.equal == (report.first_difference is None)

    hunt(films[:2], tmp_path, compare, examples)
