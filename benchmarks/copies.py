"""What ``colorpipe merge`` gives back: colour photographs, each merged from a worn copy of itself under its grey.

``python -m benchmarks.copies --pictures FOLDER``: PSNR to the true picture, and what ``colorpipe verify`` says, for a
copy that is cropped, resized, sharpened and saved as a JPEG of low quality. docs/hints.md has the last figures.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.hints import psnr, read
from colorpipe import verification
from colorpipe.color import grey_of, rgb_to_lab
from colorpipe.pipeline import merging
from colorpipe.settings import MediaOptions, MergeOptions

Picture = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of colour photographs")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=0.8, help="of the copy's sides")
    parser.add_argument("--crop", type=float, default=0.05, help="share of the sides that the copy lacks")
    parser.add_argument("--quality", type=int, default=50, help="of the copy's JPEG")
    parser.add_argument("--original", choices=["png", "jpg"], default="png", help="format of the original")
    asked = parser.parse_args(arguments)
    files = sorted(path for path in asked.pictures.iterdir() if path.suffix.lower() in (".webp", ".jpg", ".png"))
    order = np.random.default_rng(asked.seed).permutation(len(files))[asked.skip : asked.skip + asked.count]
    found = []
    for number in order:
        rgb = read(files[number])
        worn = worn_copy(rgb, asked.scale, asked.crop)
        found.append((*merged(rgb, worn, asked.quality, asked.original), files[number].name))
        print("{3}: {0:.2f} dB, doubt {1:.2f}, {2}".format(*found[-1]), flush=True)
    values = np.array([one[0] for one in found])
    kept = sum(one[2] == "grey kept" for one in found)
    print(f"{len(values)} pictures: mean {values.mean():.2f} dB, least {values.min():.2f}; the grey is kept in {kept}")


def worn_copy(rgb: Picture, scale: float = 0.8, crop: float = 0.05) -> Picture:
    """Cropped on all sides alike, resized and sharpened."""
    height, width = rgb.shape[:2]
    rows, columns = round(height * crop / 2), round(width * crop / 2)
    cut = rgb[rows : height - rows, columns : width - columns].astype(np.float32)
    cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cut += 0.5 * (cut - cv2.GaussianBlur(cut, (0, 0), 1))
    return np.clip(cut, 0, 255).astype(np.uint8)


def merged(rgb: Picture, worn: Picture, quality: int = 50, suffix: str = "png") -> tuple[float, float, str]:
    """PSNR of the merged picture to the true one, doubt, and what ``verify`` finds.

    The result is a PNG: a lossy one is never exactly its source's grey, which ``verify`` says.
    """
    with tempfile.TemporaryDirectory() as folder:
        original, copy, result = (Path(folder, name) for name in (f"grey.{suffix}", "copy.jpg", "result.png"))
        grey = grey_of(rgb_to_lab((rgb / 255).astype(np.float32)).L)
        best = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix == "jpg" else []
        cv2.imwrite(str(original), np.rint(grey * 255).astype(np.uint8), best)
        cv2.imwrite(str(copy), np.ascontiguousarray(worn[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
        told = merging.merge(original, copy, result, MediaOptions(), MergeOptions())
        report = verification.verify(original, result)
        return psnr(read(result), rgb), told.doubt, "grey kept" if report.equal else str(report.first_difference)


if __name__ == "__main__":
    main()
