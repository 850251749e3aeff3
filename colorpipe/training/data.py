"""Pictures for training: found, decoded once, split, augmented and put in an order that a restart can pick up.

Everything random is drawn from the seed and the number of the sample, never from a running generator: sample 70,000
is the same picture, cropped and aged the same way, whether or not the run was killed in between.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.color import GREY_WEIGHTS, encode, lightness_of, linear, rgb_to_lab
from colorpipe.errors import TrainingError, UsageError
from colorpipe.files import write_whole
from colorpipe.media.inputs import find_inputs
from colorpipe.training.holdout import is_held_out

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif"))
FEWEST = 16
"""Pictures below which training is refused."""

RGB = NDArray[np.uint8]
Float = NDArray[np.float32]
Rng = np.random.Generator


def find_pictures(folder: Path) -> list[Path]:
    """Picture files under ``folder``, recursively, sorted by their path: those that ``colorpipe run`` would find there.
    Hidden files, thumbnails and bins, hint files and results that a journal of colorpipe records are left out.

    Raises:
        TrainingError: ``folder`` is no folder, or cannot be looked into.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder", hint="give a folder of colour pictures")
    try:
        found = find_inputs([folder])
    except UsageError:  # nothing at all
        return []
    for one in found:
        if one.error:
            raise TrainingError(one.error, hint="training needs all pictures of a folder")
    return sorted(one.path for one in found if one.path.suffix.lower() in SUFFIXES)


def load_square(path: Path, side: int, pad: bool = False) -> RGB:
    """The picture squashed to ``side`` x ``side``, as a network sees it at inference: (side, side, 3) uint8 sRGB.

    With ``pad`` it keeps its proportions and lies in the middle of a white square.
    Raises whatever libvips does for a file that is no picture.
    """
    import pyvips  # only training reads this way; frames of a run go through colorpipe.media

    size = "both" if pad else "force"
    image = pyvips.Image.thumbnail(str(path), side, height=side, size=size, export_profile="srgb", fail_on="error")
    image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    if pad:
        image = image.gravity("centre", side, side, extend="white")
    return np.ascontiguousarray(image.cast("uchar").numpy()[..., :3])


class Pictures:
    """Decoded pictures in a memory map: ``pictures[i]`` is (side, side, 3) uint8 sRGB.

    Decoding happens once; the map lies in ``folder`` and is taken up again if the same files are given again.
    """

    def __init__(
        self,
        files: list[Path],
        side: int,
        folder: Path,
        warn: Callable[[str], None],
        pad: bool = False,
        purpose: Literal["train on", "score by"] = "train on",
    ) -> None:
        stamp = hashlib.sha256(f"{side}{' padded' if pad else ''}".encode())
        for file in files:
            status = file.stat()
            stamp.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        folder.mkdir(parents=True, exist_ok=True)
        data, index = folder / "pictures.u8", folder / "pictures.json"
        known = json.loads(index.read_text()) if index.exists() and data.exists() else {}
        if known.get("stamp") != stamp.hexdigest():
            index.unlink(missing_ok=True)
            names = _decode(files, side, data, warn, pad)
            known = {"stamp": stamp.hexdigest(), "names": names}
            # The index is written last: a map without one was cut short and is made again.
            write_whole(index, json.dumps(known).encode())
        self.names: list[str] = known["names"]
        fewest = FEWEST if purpose == "train on" else 1
        if len(self.names) < fewest:
            raise TrainingError(
                f"{len(self.names)} readable pictures are too few to {purpose}", hint=f"give at least {fewest}"
            )
        self._data = np.memmap(data, np.uint8, "r", shape=(len(self.names), side, side, 3))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> RGB:
        return np.asarray(self._data[index])

    def chroma(self, index: int, side: int) -> Float:
        """ab (side, side, 2) of a picture, CIE units, averaged over areas."""
        return _chroma(self[index], side)


def _decode(files: list[Path], side: int, data: Path, warn: Callable[[str], None], pad: bool) -> list[str]:
    """Write the readable ones of ``files`` to ``data`` one after the other; returns their paths."""
    from concurrent.futures import ThreadPoolExecutor

    def load(path: Path) -> RGB | str:
        try:
            return load_square(path, side, pad)
        except Exception as error:  # whatever a decoder raises: the file is named and the others go on
            return f"skipped {path}: {str(error).strip().splitlines()[0] if str(error).strip() else type(error)}"

    names = []
    with data.open("wb") as sink, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), 256):  # in slices, so that decoded pictures do not pile up
            part = files[start : start + 256]
            for path, picture in zip(part, pool.map(load, part), strict=True):
                if isinstance(picture, str):
                    warn(picture)
                else:
                    sink.write(picture.tobytes())
                    names.append(str(path))
    return names


def split(names: Sequence[str], held_out: int, share: float | None = None) -> tuple[list[int], list[int]]:
    """Indices for training and for validation: which pictures are held out depends on their file names only.

    ``held_out`` pictures, or a tenth of all where that is fewer; with ``share``, about that part of them, those that a
    protocol of ``colorpipe eval`` with the same share scores. Adding pictures moves few from one side to the other.
    """

    def key(index: int) -> tuple[bool, bytes]:
        name = Path(names[index]).name
        return share is not None and not is_held_out(name, share), hashlib.sha256(name.encode()).digest()

    order = sorted(range(len(names)), key=key)
    if share is None:
        count = min(held_out, len(names) // 10)
    else:
        count = sum(is_held_out(Path(name).name, share) for name in names)
    count = min(max(1, count), len(names) - 1)
    return sorted(order[count:]), order[:count]


def repeated(file: Path, names: Sequence[str], training: Sequence[int]) -> list[int]:
    """Indices of the training pictures that ``file`` names, once for each line that names them.

    Held-out pictures and names of none are passed over, so that one list serves any split.

    Raises:
        TrainingError: ``file`` cannot be read, or names no picture of ``training``.
    """
    try:
        wanted = Counter(line.strip() for line in file.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"cannot read the list {file}: {error}") from error
    found = [index for index in training for _ in range(wanted[Path(names[index]).name])]
    if not found:
        raise TrainingError(f"{file} names none of the training pictures", hint="one file name a line")
    return found


@dataclass(frozen=True)
class Draw:
    """One sample to make: which picture, at what size, and the number that its randomness is drawn from."""

    index: int
    side: int
    number: int


@dataclass
class BatchOrder:
    """Endless batches of draws, starting after ``step`` of them: a pure function of the seed and the step.

    Each pass over the pictures is a new permutation; a batch may span two of them.
    """

    indices: list[int]
    batch: int
    seed: int
    step: int
    side: Callable[[int], int]
    """Step -> side of that batch's crops."""

    def __iter__(self) -> Iterator[list[Draw]]:
        step, epoch, order = self.step, -1, np.empty(0, np.int64)
        while True:
            draws = []
            for number in range(step * self.batch, (step + 1) * self.batch):
                if number // len(self.indices) != epoch:
                    epoch = number // len(self.indices)
                    order = np.random.default_rng((self.seed, epoch)).permutation(self.indices)
                draws.append(Draw(int(order[number % len(order)]), self.side(step), number))
            yield draws
            step += 1


@dataclass
class Samples:
    """A data set for torch's DataLoader: ``samples[draw]`` is one augmented picture.

    L (1, side, side) float32 0..100 as a network would be given it, ab (2, side/stride, side/stride) float32 CIE
    units, averaged over the area of a network's output pixel.
    """

    pictures: Pictures
    seed: int
    stride: int
    age: float
    """Share of samples whose L imitates an old photograph, 0..1."""
    see: Callable[[Float], Float] = lambda L: L
    """The last change of L (h,w), before the network sees it."""

    def __getitem__(self, draw: Draw) -> tuple[Float, Float]:
        rng = np.random.default_rng((self.seed, 1 << 32, draw.number))
        rgb = crop(self.pictures[draw.index], draw.side, rng)
        grey = to_grey(rgb, rng)
        if rng.random() < self.age:
            grey = imitate_age(grey, rng)
        ab = _chroma(rgb, draw.side // self.stride)
        return self.see(_LIGHTNESS[grey])[None], np.ascontiguousarray(ab.transpose(2, 0, 1))


def _chroma(rgb: RGB, side: int) -> Float:
    small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    ab = rgb_to_lab(small.astype(np.float32) / np.float32(255)).ab
    assert ab is not None
    return ab


def crop(rgb: RGB, side: int, rng: Rng) -> RGB:
    """A random part of 70 to 100% of each side, resized to ``side``, mirrored half of the time."""
    full = rgb.shape[0]
    height, width = np.rint(full * np.clip(rng.uniform(0.7, 1) * rng.uniform(0.93, 1.07, 2), 0.7, 1)).astype(int)
    top, left = rng.integers(0, full - height + 1), rng.integers(0, full - width + 1)
    part = rgb[top : top + height, left : left + width]
    shrinks = min(height, width) >= side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    part = np.asarray(cv2.resize(part, (side, side), interpolation=method), np.uint8)
    return part[:, ::-1].copy() if rng.random() < 0.5 else part


def to_grey(rgb: RGB, rng: Rng) -> RGB:
    """(h, w, 3) -> (h, w) uint8 grey: by CIE lightness, by BT.601, or by the weights of some unknown film.

    Early film hardly saw red (orthochromatic), so one in five samples mixes the channels at random.
    """
    kind = rng.random()
    if kind < 0.5:
        luminance = np.array([GREY_WEIGHTS["rec709"]], np.float32)  # applied to linear light, these weights give CIE Y
        return _FROM_LINEAR[np.rint(cv2.transform(_TO_LINEAR[rgb], luminance)).astype(np.uint16)]
    weights = np.array(GREY_WEIGHTS["rec601"]) if kind < 0.8 else rng.dirichlet((2.0, 4.0, 2.0))
    return np.asarray(cv2.transform(rgb, weights[None].astype(np.float32)), np.uint8)


_CODES = np.arange(256, dtype=np.float32) / np.float32(255)
_LIGHTNESS = lightness_of(_CODES)
"""Grey code value -> L, as :func:`colorpipe.color.lightness` gives it."""
_TO_LINEAR = linear(_CODES) * np.float32(4095)
_FROM_LINEAR = np.rint(255 * encode(np.arange(4096, dtype=np.float32) / np.float32(4095))).astype(np.uint8)
"""sRGB code value -> linear light in 0..4095, and back."""


def imitate_age(grey: RGB, rng: Rng) -> RGB:
    """Some of what time, old cameras and scanners do to a picture.

    Soft focus or few pixels, another gradation, fading, grain, JPEG blocks.
    """
    softness = rng.random()
    if softness < 0.4:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 1.8)), np.uint8)
    elif softness < 0.6:
        few = tuple(int(side * rng.uniform(0.35, 0.8)) for side in grey.shape[::-1])
        small = cv2.resize(grey, few, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    value = np.arange(256, dtype=np.float32) / 255
    curve = value ** np.exp(rng.uniform(-0.35, 0.35))
    curve = 0.5 + (curve - 0.5) * rng.uniform(0.75, 1.2)
    black, white = rng.uniform(0, 0.12), rng.uniform(0.85, 1)  # faded: neither quite black nor quite white
    codes = np.clip((black + np.clip(curve, 0, 1) * (white - black)) * 255, 0, 255)
    grey = np.rint(codes).astype(np.uint8)[grey]
    if rng.random() < 0.5:
        size = grey.shape[0] if rng.random() < 0.5 else grey.shape[0] // 2
        grain = rng.standard_normal((size, size), np.float32) * np.float32(rng.uniform(2, 9))
        grain = cv2.resize(grain, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        grey = np.clip(grey + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, code = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))])
        grey = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
    return grey


def collate(samples: list[tuple[Float, Float]]) -> tuple[Any, Any]:
    """Samples -> torch tensors L (N,1,side,side) and ab (N,2,side/stride,side/stride)."""
    import torch

    L, ab = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(L)), torch.from_numpy(np.stack(ab))
