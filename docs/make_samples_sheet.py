"""Draw the before/after sheet of the samples.

    colorpipe run samples/ -o out
    python docs/make_samples_sheet.py samples out docs/samples.jpg

Each photograph stands beside its result, the film is shown by one frame of each, and each picture of
``samples/colour`` is a triple: its grey, what was made of that grey, and its true colours. Groups are set in
rows like words in a paragraph: the breaks are chosen so that every row, filled from edge to edge, is as near
as can be to one height. A result may have another suffix than its source, but lies at the same place in OUT.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pyvips
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Group = list[Image]

STILLS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
FILMS = {".mp4", ".mkv", ".mov", ".webm", ".avi"}
WIDTH, ROW, MAX_BYTES, QUALITY = 1600, 240, 600_000, 85
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # tried in turn until the file is small enough
GUTTER, GAP = 3, 12  # white pixels between the pictures of one group, and between groups
READ_HEIGHT = 2 * ROW  # pictures are read at this height, then set at the height of their row


def read_still(path: Path) -> Image:
    """The picture as upright 8-bit sRGB, READ_HEIGHT pixels high; transparency lies on white."""
    image = pyvips.Image.thumbnail(str(path), 100_000, height=READ_HEIGHT, export_profile="srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    array: Image = image.colourspace("srgb").cast("uchar").numpy()
    return array


def count_frames(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(packet.size > 0 for packet in film.demux(video=0))


def read_frame(path: Path, index: int) -> Image:
    """One frame of a film, counted from 0 in the order of display, as RGB."""
    with av.open(str(path)) as film:
        for at, frame in enumerate(film.decode(video=0)):
            if at == index:
                picture: Image = frame.to_ndarray(format="rgb24")
                return picture
    raise SystemExit(f"{path}: no frame {index}; it ends before its source does")


def read_frames(source: Path, result: Path) -> Group:
    """The middle frame of both, without the black bars at the sides of the source."""
    middle = count_frames(source) // 2
    before, after = read_frame(source, middle), read_frame(result, middle)
    lit = np.flatnonzero((before.max(axis=2) > 40).mean(axis=0) > 0.02)
    if lit.size and before.shape == after.shape:
        before, after = (frame[:, lit[0] : lit[-1] + 1] for frame in (before, after))
    return [before, after]


def grey(image: Image) -> Image:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)


def result_of(source: Path, samples: Path, out: Path) -> Path:
    """Where colorpipe put the result of this source."""
    expected = out / source.relative_to(samples)
    if expected.is_file():
        return expected
    kinds = FILMS if source.suffix.lower() in FILMS else STILLS
    others = [path for path in sorted(expected.parent.glob("*")) if path.stem == source.stem]
    for path in others:
        if path.suffix.lower() in kinds:
            return path
    raise SystemExit(f"no result for {source} in {out}; first: colorpipe run {samples} -o {out}")


def sources(folder: Path, suffixes: set[str]) -> list[Path]:
    """The files of these kinds directly in the folder; pictures of hints are not samples of their own."""
    found = [path for path in folder.glob("*") if path.suffix.lower() in suffixes]
    return sorted(path for path in found if not path.stem.endswith(".hints"))


def groups_of(samples: Path, out: Path) -> list[Group]:
    """Everything to be shown: pairs of photographs, pairs of film frames, triples of colour pictures."""
    groups: list[Group] = []
    for path in sources(samples, STILLS):
        groups.append([read_still(path), read_still(result_of(path, samples, out))])
    for path in sources(samples, FILMS):
        groups.append(read_frames(path, result_of(path, samples, out)))
    for path in sources(samples / "colour", STILLS):
        truth = read_still(path)
        groups.append([grey(truth), read_still(result_of(path, samples, out)), truth])
    if not groups:
        raise SystemExit(f"no samples in {samples}")
    return groups


def aspect(group: Group) -> float:
    total = 0.0
    for image in group:
        total += image.shape[1] / image.shape[0]
    return total


def row_height(groups: Sequence[Group], width: int) -> float:
    """The height at which these groups fill one row."""
    white = GAP * (len(groups) - 1) + GUTTER * sum(len(group) - 1 for group in groups)
    across = sum(aspect(group) for group in groups)
    return (width - white) / across


def break_rows(groups: list[Group], width: int, height: int) -> list[list[Group]]:
    """Cut the sequence into rows whose heights deviate least from `height`, as a whole."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # of the first n groups: cost, and where the last row starts
    for end in range(1, len(groups) + 1):
        costs = [
            (best[start][0] + float(np.log(row_height(groups[start:end], width) / height)) ** 2, start)
            for start in range(end)
        ]
        best.append(min(costs))
    rows: list[list[Group]] = []
    end = len(groups)
    while end:
        start = best[end][1]
        rows.insert(0, groups[start:end])
        end = start
    return rows


def draw_row(groups: list[Group], width: int, highest: int) -> Image:
    """One row on white; a row too short to fill the width within `highest` is centred."""
    height = min(round(row_height(groups, width)), highest)
    parts: list[Image] = []
    for group in groups:
        if parts:
            parts.append(np.full((height, GAP, 3), 255, np.uint8))
        for at, image in enumerate(group):
            if at:
                parts.append(np.full((height, GUTTER, 3), 255, np.uint8))
            across = max(1, round(height * image.shape[1] / image.shape[0]))
            parts.append(cv2.resize(image, (across, height), interpolation=cv2.INTER_AREA).astype(np.uint8))
    drawn = np.concatenate(parts, axis=1)[:, :width]
    left = (width - drawn.shape[1]) // 2
    sides = ((0, 0), (left, width - drawn.shape[1] - left), (0, 0))
    return np.pad(drawn, sides, constant_values=255)


def draw(groups: list[Group], width: int, height: int) -> Image:
    rows: list[Image] = []
    for row in break_rows(groups, width, height):
        if rows:
            rows.append(np.full((GAP, width, 3), 255, np.uint8))
        rows.append(draw_row(row, width, round(height * 1.3)))
    return np.concatenate(rows, axis=0)


def encode(sheet: Image) -> bytes:
    image = pyvips.Image.new_from_array(sheet).copy(interpretation="srgb")
    data: bytes = image.jpegsave_buffer(Q=QUALITY, optimize_coding=True, interlace=True, keep="none")
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("samples", type=Path, help="the folder of samples")
    parser.add_argument("out", type=Path, help="the folder of their results")
    parser.add_argument("sheet", type=Path, help="the JPEG to write")
    given = parser.parse_args(arguments)

    groups = groups_of(given.samples, given.out)
    for scale in SCALES:
        sheet = draw(groups, round(WIDTH * scale), round(ROW * scale))
        data = encode(sheet)
        if len(data) < MAX_BYTES:
            break
    given.sheet.parent.mkdir(parents=True, exist_ok=True)
    given.sheet.write_bytes(data)
    print(f"{given.sheet}: {len(groups)} groups, {sheet.shape[1]}x{sheet.shape[0]}, {len(data) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
