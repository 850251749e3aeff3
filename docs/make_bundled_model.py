"""Measure the bundled network on pictures that it has not seen, and draw its contact sheet.

    python docs/make_bundled_model.py training-collection/ old-photographs/

Writes docs/bundled-model.md, the figures, and docs/bundled-model.jpg, the first 12 held-out photographs by file name
(grey, result, truth) and the first 12 old ones (before, after). Which pictures are held out is what ``colorpipe train``
holds out.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage
from make_samples_sheet import GAP, ROW, Group, Image, draw, encode, grey, read_still
from skimage.color import deltaE_ciede2000
from skimage.feature import Cascade

import colorpipe
from colorpipe.color import Float, rgb_to_lab
from colorpipe.evaluation.records import GREY
from colorpipe.training.data import find_pictures, split

HERE = Path(__file__).resolve().parent
HELD_OUT, SHOWN = 500, 12
METHODS = ("zhang:T=0.09", "zhang", "zhang:T=1")
MEASURES = ("psnr", "ssim", "de00", "colourfulness", "auc")
WIDTH = 1500
GROUPS = ((41.0, 90.0, "light"), (10.0, 41.0, "tan"), (-90.0, 10.0, "brown and dark"))
"""Individual typology angle, degrees, atan((L - 50) / b) (Chardon et al. 1991; bounds of Del Bino and Bernerd 2013): of
skin as it is lit in the photograph, so that a face in the shade counts as darker than it is."""


@dataclass(frozen=True)
class Face:
    """The skin of one face, truth and result: medians of Lab, and their mean CIEDE2000."""

    truth: Float
    result: Float
    difference: float

    @property
    def angle(self) -> float:
        return float(np.degrees(np.arctan2(self.truth[0] - 50, max(self.truth[2], 1e-3))))


@functools.cache
def cascade() -> Cascade:
    return Cascade(skimage.data.lbp_frontal_face_cascade_filename())


def faces(path: Path, session: colorpipe.Session) -> list[Face]:
    """Faces seen from the front that scikit-image's cascade finds, where much of them is of a skin's hue."""
    truth = native(path)
    boxes = cascade().detect_multi_scale(
        img=cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(26, 26),
        max_size=(200, 200),
        min_neighbor_number=4,
    )
    result = session.colorize(path) if boxes else truth
    found = []
    for box in boxes:
        side = box["width"]
        rows = slice(box["r"] + side // 5, box["r"] + side - side // 6)
        columns = slice(box["c"] + side // 5, box["c"] + side - side // 5)
        codes = cv2.cvtColor(truth[rows, columns], cv2.COLOR_RGB2YCrCb)
        skin = (codes[..., 1] >= 133) & (codes[..., 1] <= 180) & (codes[..., 2] >= 75) & (codes[..., 2] <= 130)
        if skin.mean() < 0.4:
            continue
        labs = [lab_of(picture[rows, columns])[skin] for picture in (truth, result)]
        difference = float(deltaE_ciede2000(labs[0], labs[1]).mean())
        found.append(Face(np.median(labs[0], 0), np.median(labs[1], 0), difference))
    return found


def lab_of(rgb: Image) -> Float:
    lab = rgb_to_lab(rgb.astype(np.float32) / 255)
    return np.dstack([lab.L, np.asarray(lab.ab)])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def figures(files: Sequence[Path]) -> str:
    """The measures of the whole split, through ``colorpipe.evaluate``."""
    evaluation = colorpipe.evaluate(files, METHODS, MEASURES, "whole-256.v1")
    columns = {column.label: column for column in evaluation.columns}
    values = {
        row.label: {label: evaluation.summary(row, column).value for label, column in columns.items()}
        for row in evaluation.rows
    }
    base = values[GREY]
    # The truth's colourfulness, from a picture's own and its share of the truth's; means are compared, not shares.
    vivid = [scored.scores for scored in evaluation.rows[-1].results.values()]
    truth = float(np.mean([scores["colourfulness"] / scores["colourfulness-share"] for scores in vivid]))
    rows = []
    for label, scores in values.items():
        psnr, de00 = (float(scores[name] or 0) for name in ("psnr", "de00"))
        gain, less = psnr - float(base["psnr"] or 0), de00 / float(base["de00"] or 1) - 1
        rows.append(
            [
                f"**{label}**" if label == "zhang" else label,
                f"{psnr:.2f}",
                f"{gain:+.2f}",
                f"{float(scores['ssim'] or 0):.4f}",
                f"{de00:.2f}",
                f"{100 * less:+.1f}%",
                f"{float(scores['colourfulness'] or 0):.1f}",
                f"{100 * float(scores['colourfulness'] or 0) / truth:.1f}%",
                f"{100 * float(scores['auc'] or 0):.2f}%",
            ]
        )
    heads = ("", "PSNR, dB", "over grey", "SSIM", "dE00", "against grey", "colourfulness", "of the truth's", "AuC")
    return table(heads, [*rows, ["the truth", *[""] * 5, f"{truth:.1f}", "100%", ""]])


def skin(files: Sequence[Path], session: colorpipe.Session) -> str:
    """Of the faces in ``files``, by how light their skin is in the photograph."""
    found = [face for path in files for face in faces(path, session)]
    rows = []
    for low, high, name in GROUPS:
        group = [face for face in found if low <= face.angle < high]
        if not group:
            rows.append([name, "0", *[""] * 5])
            continue
        truth, result = (np.array([getattr(face, kind) for face in group])[:, 1:] for kind in ("truth", "result"))
        chroma = [float(np.median(np.linalg.norm(ab, axis=1))) for ab in (truth, result)]
        hue = [float(np.degrees(np.arctan2(*np.median(ab, 0)[::-1]))) for ab in (truth, result)]
        rows.append(
            [
                f"{name}, {low:.0f} to {high:.0f}",
                str(len(group)),
                *(f"{before:.0f} -> {after:.0f}" for before, after in (chroma, hue)),
                f"{np.mean([face.difference for face in group]):.1f}",
                str(sum(face.result[2] < 0 or face.result[1] < -2 for face in group)),
            ]
        )
    heads = (
        "typology angle, degrees",
        "faces",
        "chroma, true -> given",
        "hue, degrees, true -> given",
        "dE00",
        "bluish or greenish",
    )
    return table(heads, rows)


def native(path: Path) -> Image:
    """The picture in its own size, 8-bit sRGB."""
    import pyvips

    image = pyvips.Image.new_from_file(str(path)).autorot().colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    return np.asarray(image.cast("uchar").numpy()[..., :3], np.uint8)


def sheet(colour: Sequence[Path], old: Sequence[Path], session: colorpipe.Session) -> Image:
    """Triples of grey, result, truth; below, pairs of old photographs and results."""
    with tempfile.TemporaryDirectory() as scratch:

        def result(path: Path) -> Image:
            file = Path(scratch) / "result.png"
            cv2.imwrite(str(file), cv2.cvtColor(session.colorize(path), cv2.COLOR_RGB2BGR))
            return read_still(file)

        triples: list[Group] = [[grey(read_still(path)), result(path), read_still(path)] for path in colour]
        pairs: list[Group] = [[grey(read_still(path)), result(path)] for path in old]
    parts = [draw(groups, WIDTH, ROW * 3 // 4) for groups in (triples, pairs)]
    return np.concatenate([parts[0], np.full((3 * GAP, WIDTH, 3), 255, np.uint8), parts[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("pictures", type=Path, help="the training collection: its held-out part is measured")
    parser.add_argument("old", type=Path, help="a folder of old black-and-white photographs")
    given = parser.parse_args()
    files = find_pictures(given.pictures)
    training, validation = split([str(path) for path in files], HELD_OUT)
    held = sorted((files[index] for index in validation), key=lambda path: path.name)
    old = sorted(find_pictures(given.old), key=lambda path: path.name)[:SHOWN]

    session = colorpipe.Session()
    (HERE / "bundled-model.jpg").write_bytes(encode(sheet(held[:SHOWN], old, session)))
    listed = set((HERE.parent / "plugins/colorpipe_zhang/more-often.txt").read_text().split())
    darker = [files[index] for index in training if files[index].name in listed]
    weights = HERE.parent / "plugins/colorpipe_zhang/weights/compact.safetensors"
    page = f"""# The bundled network, measured

By `python docs/make_bundled_model.py`, colorpipe {colorpipe.__version__}, {platform.machine()}, on a CPU. Weights:
SHA-256 `{hashlib.sha256(weights.read_bytes()).hexdigest()[:16]}..`. What the network is, was trained on and does badly:
[its card](../plugins/colorpipe_zhang/README.md).

## {len(held)} held-out photographs, protocol `whole-256.v1`

{figures(held)}

## Skin

Faces seen from the front that scikit-image's LBP cascade finds, grouped by the typology angle of their skin as it is
lit in the photograph. Medians; dE00 is the mean over the skin.

Held-out photographs:

{skin(held, session)}

The {len(darker)} photographs of dark-skinned people that were shown more often in training, so that the network knows
them:

{skin(darker, session)}

## The first {SHOWN} held-out photographs and the first {SHOWN} old ones, by file name

Grey, result, truth; then before, after.

![contact sheet](bundled-model.jpg)
"""
    (HERE / "bundled-model.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
