"""Measure the bundled network on pictures that it has not seen, and draw its contact sheet.

    python docs/make_bundled_model.py outside-photographs/ training-collection/ old-photographs/

Writes docs/bundled-model.md, the figures, and docs/bundled-model.jpg, the first 12 outside photographs by file name
(grey, result, truth) and the first 12 old ones (before, after). Outside photographs are from other sources than what it
was trained on: they tell what other people's pictures will look like. Beside them stands the part of the training
collection that ``colorpipe train`` holds out. ``--bands FOLDER`` only prints the figures of any folder of colour
photographs, by how colourful they truly are.
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
METHODS = ("zhang", "zhang:vibrance=1", "zhang:weights=zhang-compact")
HELD_OUT_METHODS = METHODS[2:]
"""The base network has seen the held-out pictures."""
MEASURES = ("psnr", "ssim", "de00", "colourfulness", "auc", "patchiness")
BANDS = (
    (0.0, 1e9, "all"),
    (40.0, 1e9, "vivid, 40 or more"),
    (25.0, 40.0, "middling, 25 to 40"),
    (0.0, 25.0, "muted, below 25"),
)
"""By the truth's colourfulness (Hasler and Suesstrunk 2003). A mean of PSNR weighs muted pictures heavily, and what is
truly muted is where painting too much is seen first."""
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


def figures(files: Sequence[Path], methods: Sequence[str] = METHODS) -> str:
    """The measures through ``colorpipe.evaluate``, by how colourful the pictures truly are."""
    evaluation = colorpipe.evaluate(files, methods, MEASURES, "whole-256.v1")
    scored = {row.label: {case: one.scores for case, one in row.results.items()} for row in evaluation.rows}
    base = scored[GREY]
    truth = {case: scores["colourfulness-truth"] for case, scores in base.items()}
    rows = []
    for low, high, band in BANDS:
        cases = [case for case in base if low <= truth[case] < high]
        if not cases:
            continue

        def mean(label: str, name: str, cases: Sequence[str] = cases) -> float:
            values = [scored[label][case][name] for case in cases if name in scored[label].get(case, {})]
            return float(np.mean(values)) if values else float("nan")

        for label in scored:
            gain, less = mean(label, "psnr") - mean(GREY, "psnr"), mean(label, "de00") / mean(GREY, "de00") - 1
            rows.append(
                [
                    f"{band} ({len(cases)})" if label == GREY else "",
                    "left grey" if label == GREY else label,
                    f"{mean(label, 'psnr'):.2f}",
                    "" if label == GREY else f"{gain:+.2f}",
                    f"{mean(label, 'ssim'):.4f}",
                    f"{mean(label, 'de00'):.2f}",
                    "" if label == GREY else f"{100 * less:+.1f}%",
                    f"{mean(label, 'colourfulness'):.1f}",
                    f"{100 * mean(label, 'colourfulness') / mean(label, 'colourfulness-truth'):.0f}%",
                    f"{mean(label, 'auc'):.4f}",
                    f"{mean(label, 'patchiness') / mean(label, 'patchiness-truth'):.2f}",
                ]
            )
    heads = (
        "true colourfulness (pictures)",
        "",
        "PSNR, dB",
        "over grey",
        "SSIM",
        "dE00",
        "against grey",
        "colourfulness",
        "of the truth's",
        "AuC",
        "patchiness / truth's",
    )
    return table(heads, rows)


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


def patches(files: Sequence[Path], weights: Sequence[str]) -> str:
    """Patchiness of the old photographs' results, which needs no truth: plain regions are those of the grey."""
    from colorpipe_metrics.patches import patchiness, plain_regions

    rows = []
    for name in weights:
        session = colorpipe.Session("zhang", weights=name)
        found = []
        for path in files:
            result = frame_of(session.colorize(path))
            regions = plain_regions(result)  # its lightness is the source's
            found += [patchiness(result, regions)] if regions else []
        rows.append([name, f"{np.mean(found):.2f}", f"{np.max(found):.2f}", str(len(found))])
    return table(("weights", "mean patchiness, CIE units", "worst picture", "pictures with plain regions"), rows)


def frame_of(rgb: Image) -> colorpipe.Frame:
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return colorpipe.Frame(luma, colorpipe.Encoding("rgb", 8), colour=tuple(np.moveaxis(rgb, 2, 0)))


def page(given: argparse.Namespace) -> str:
    outside = sorted(find_pictures(given.outside), key=lambda path: path.name)
    files = find_pictures(given.pictures)
    training, validation = split([str(path) for path in files], HELD_OUT)
    held = sorted((files[index] for index in validation), key=lambda path: path.name)
    old = sorted(find_pictures(given.old), key=lambda path: path.name)
    session = colorpipe.Session()
    (HERE / "bundled-model.jpg").write_bytes(encode(sheet(outside[:SHOWN], old[:SHOWN], session)))
    listed = set((HERE.parent / "plugins/colorpipe_zhang/more-often.txt").read_text().split())
    darker = [files[index] for index in training if files[index].name in listed]
    folder = HERE.parent / "plugins/colorpipe_zhang/weights"
    digests = ", ".join(
        f"`{file.name}` {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}.."
        for file in sorted(folder.glob("*.safetensors"))
    )
    return f"""# The bundled networks, measured

By `python docs/make_bundled_model.py`, colorpipe {colorpipe.__version__}, {platform.machine()}, on a CPU.
SHA-256: {digests}.
What the networks are, were trained on and do badly: [their card](../plugins/colorpipe_zhang/README.md).
Protocol `whole-256.v1`; patchiness is the spread of chroma inside regions that are plain in lightness.

## {len(outside)} photographs from elsewhere

None of them, nor of their sources, was trained on. T, grey-T and vibrance were chosen on these.

{figures(outside)}

## {len(held)} held-out photographs of the former training collection

The base network was trained on them, too.

{figures(held, HELD_OUT_METHODS)}

## Skin

Faces seen from the front that scikit-image's LBP cascade finds, grouped by the typology angle of their skin as it is
lit in the photograph. Medians; dE00 is the mean over the skin.

Photographs from elsewhere:

{skin(outside, session)}

Held-out photographs, which the base network was trained on:

{skin(held, session)}

The {len(darker)} photographs of dark-skinned people that were shown more often in training, so that the network knows
them:

{skin(darker, session)}

## {len(old)} old photographs

{patches(old, ("zhang-base", "zhang-compact"))}

## The first {SHOWN} photographs from elsewhere and the first {SHOWN} old ones, by file name

Grey, result, truth; then before, after.

![contact sheet](bundled-model.jpg)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("outside", type=Path, nargs="?", help="colour photographs from elsewhere")
    parser.add_argument("pictures", type=Path, nargs="?", help="the training collection: its held-out part is measured")
    parser.add_argument("old", type=Path, nargs="?", help="a folder of old black-and-white photographs")
    parser.add_argument("--bands", type=Path, help="only print the figures of this folder, by true colourfulness")
    parser.add_argument(
        "--method", action="append", help="with --bands: a method as `colorpipe eval --colorizer` takes it"
    )
    given = parser.parse_args()
    if given.bands is not None:
        print(figures(sorted(find_pictures(given.bands)), given.method or METHODS))
        return
    if given.old is None:
        parser.error("three folders: outside photographs, the training collection, old photographs; or --bands FOLDER")
    text = page(given)
    (HERE / "bundled-model.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
