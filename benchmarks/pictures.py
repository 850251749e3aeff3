"""What the benchmarks work on, made here from ``samples/`` and a seed: nothing is downloaded."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"1080p": (1080, 1920), "12mp": (3000, 4000)}
GRAIN = 2.0
"""Standard deviation of the noise, in code values: an enlarged sample alone is smoother than any scan, and compresses
too well."""


def coloured(file: Path | str, size: str) -> Path:
    """A picture in colour, enlarged, with grain. Made once."""
    file, (height, width) = Path(file), SIZES[size]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = cv2.imread(str(ROOT / "samples" / "colour" / "coffee.jpg"))
        scale = 1.001 * max(height / picture.shape[0], width / picture.shape[1])
        wide = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        top, left = (wide.shape[0] - height) // 2, (wide.shape[1] - width) // 2
        noise = np.random.default_rng(0).standard_normal((height, width, 1), np.float32) * GRAIN
        grained = wide[top : top + height, left : left + width] + noise
        cv2.imwrite(str(file), np.clip(np.rint(grained), 0, 255).astype(np.uint8))
    return file


def photographs(folder: Path | str, size: str, count: int) -> list[Path]:
    """Grey JPEG files of one size: the samples, cut to its aspect, enlarged, with grain. Made once."""
    height, width = SIZES[size]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    samples = sorted(path for path in (ROOT / "samples").iterdir() if path.suffix in (".jpg", ".png"))
    files = [folder / f"{index:04}.jpg" for index in range(count)]
    for index, file in enumerate(files):
        if file.exists():
            continue
        grey = cv2.imread(str(samples[index % len(samples)]), cv2.IMREAD_GRAYSCALE)
        scale = max(height / grey.shape[0], width / grey.shape[1])
        wide = cv2.resize(grey, None, fx=scale * 1.001, fy=scale * 1.001, interpolation=cv2.INTER_CUBIC)
        top, left = (wide.shape[0] - height) // 2, (wide.shape[1] - width) // 2
        noise = np.random.default_rng(index).standard_normal((height, width), np.float32) * GRAIN
        picture = wide[top : top + height, left : left + width] + noise
        codes = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        cv2.imwrite(str(file), codes, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return files


def film(file: Path | str, frames: int, height: int = 240, width: int = 320) -> Path:
    """A grey film of a slowly moving sample, H.264."""
    import av

    file = Path(file)
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    grey = cv2.imread(str(ROOT / "samples" / "cameraman.png"), cv2.IMREAD_GRAYSCALE)
    wide = cv2.resize(grey, (width + 64, height + 64), interpolation=cv2.INTER_AREA)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            shift = round(32 + 31 * np.sin(index / 40))
            picture = np.ascontiguousarray(wide[shift : shift + height, shift : shift + width])
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


def old_film(file: Path | str, frames: int) -> Path:
    """The first frames of the sample film at 1080p: enlarged, with grain that is new in each, H.264, silent."""
    import av

    file = Path(file)
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    height, width = SIZES["1080p"]
    chance = np.random.default_rng(0)
    part = file.with_name(f"part-{file.name}")
    with av.open(str(ROOT / "samples" / "chaplin.mp4")) as source, av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in itertools.islice(source.decode(video=0), frames):
            luma = image.to_ndarray(format="gray")
            wide = cv2.resize(luma, (width, height), interpolation=cv2.INTER_CUBIC)
            picture = np.rint(wide + chance.standard_normal((height, width), np.float32) * GRAIN)
            codes = np.clip(picture, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(codes, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    part.rename(file)
    return file


def checkpoint(file: Path | str, network: str) -> Path:
    """Random weights under the published keys of a network, as the tests make them.

    siggraph17's output is damped: random weights are wilder than trained ones, and few of their colours would be inside
    of the gamut.
    """
    file = Path(file)
    if file.exists():
        return file
    sys.path.insert(0, str(ROOT))
    from tests import test_ddcolor, test_deoldify, test_eccv16, test_siggraph17

    state = {
        "eccv16": test_eccv16.random_state,
        "siggraph17": test_siggraph17.random_state,
        "ddcolor-tiny": lambda: test_ddcolor.state_of(test_ddcolor.TINY),
        "deoldify-artistic": lambda: test_deoldify.state_of(test_deoldify.ARTISTIC),
    }[network]()
    if network == "siggraph17":
        state["model_out.0.weight"] *= 0.3
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file)
    return file
