"""Write docs/reports.md: what five course reports measured, beside the same methods and measures here.

    python docs/make_reports.py

One call of ``colorpipe.evaluate`` for each section, on the pictures of ``samples/colour``, which are named in the page.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

import colorpipe
from colorpipe.evaluation.records import Row
from colorpipe.evaluation.results import Evaluation

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples" / "colour"


@dataclass(frozen=True)
class Section:
    """One report's experiment, done again."""

    title: str
    told: str
    """What the report did and found."""
    protocol: str
    methods: Mapping[str, str]
    """As ``colorpipe eval --colorizer`` takes them -> what the report measured for it."""
    measures: Sequence[str]
    notes: str
    """What differs, and what to think of the figures."""
    columns: Sequence[str] = field(default=())
    """Of the measures' scores, those to show; none: all."""


SECTIONS = (
    Section(
        "000: nearest patches and a small network, 120x120",
        "Learned from a picture's left half, measured on its right half: squared error summed over R, G and B.",
        "left-right-120.v1",
        {
            "patch-knn": "3978 to 4152 in 139 to 151 s",
            "patch-knn:k=30": "2557",
            "pixel-mlp": "3256 in 26 s",
            "pixel-mlp:output=palette": "proposed, not done",
        },
        ("mse",),
        "The report painted the palette's colours, their lightness included; here only their chroma is taken, over "
        "the picture's own lightness, so that errors are smaller by what lightness would add. The order is what can "
        "be compared, on these four pictures: [patch-knn](../plugins/colorpipe_patch_knn/README.md) has it painted as "
        "in the report, and on a hundred others.",
    ),
    Section(
        "001: a palette of 32, 64x64",
        "Pictures padded to a square with white, a convolution and dense layers choosing one of 32 colours, judged by "
        "eye.",
        "whole-256.v1",
        {"palette-cnn": "by eye"},
        ("psnr", "ssim", "de00", "colourfulness"),
        "The bundled weights have the fully convolutional head: the report's dense one has 1.07 thousand million "
        "parameters.",
        ("psnr", "ssim", "de00", "colourfulness-share"),
    ),
    Section(
        "002: classes from a grid, annealed mean",
        "Zhang's formulation on a grid of 16x16 cells, decoded at T = 0.09. Its measure was the class and confidence "
        "of VGG-16: .992 on the original of its one picture, .996 at T = 0.09, .953 at T -> 0 and .977 on the grey.",
        "whole-256.v1",
        {"lab-grid": "VGG-16: .996", "lab-grid:T=0": "VGG-16: .953", "zhang": "not in the report"},
        ("psnr", "de00", "colourfulness", "auc"),
        "VGG-16's weights are not bundled (528 MB). With them, `colorpipe eval samples/colour --colorizer lab-grid "
        "--colorizer lab-grid:T=0 --evaluator vgg16` prints its classes and confidences.",
        ("psnr", "de00", "colourfulness-share", "auc"),
    ),
    Section(
        "003: adversarial and variational, 224x224",
        "Shares of pixels: those whose largest channel is the original's, and those whose grey, by OpenCV's weights, "
        "is the original's within a threshold.",
        "whole-256.v1",
        {
            "gan": "91% OpenCV grey",
            "vae": "71% OpenCV grey",
            "zhang": "91% largest channel, 89% OpenCV grey",
        },
        ("max-channel", "grey-backtrack", "grey-backtrack-opencv", "psnr"),
        "The threshold of the report is not known; here it is 10 of 255. Lightness is kept by every method here, so "
        "that the grey comes back nearly everywhere, as it does for pictures left grey: the share says how far grey "
        "by weights is from lightness, not how good the colours are.",
    ),
    Section(
        "004: nearest patches and four convolutions, 256x256",
        "Learned from the left half, scored on the right: PSNR in dB and SSIM.",
        "left-right-256.v1",
        {"patch-knn": "17.06 / .65", "fcn": "18.99 / .83"},
        ("psnr", "ssim", "mse"),
        "As in 000, here the lightness is the picture's own, which lifts both figures for every method, grey included.",
    ),
)


def number(value: float, beside: float) -> str:
    """Three or four digits that say something, as many after the point as for the value that it stands beside."""
    return f"{value:.{0 if abs(beside) >= 100 else 2 if abs(beside) >= 10 else 3}f}"


def cells(found: Evaluation, row: Row, columns: Sequence[str]) -> list[str]:
    """Mean and spread of each column, then seconds."""
    texts = []
    for column in found.columns:
        if column.label in columns:
            summary = found.summary(row, column)
            spread = "" if summary.spread is None else f" ± {number(summary.spread, summary.mean or 0)}"
            texts.append("" if summary.mean is None else number(summary.mean, summary.mean) + spread)
    seconds = found.seconds(row)
    return [*texts, f"{statistics.median(seconds):.2f}" if seconds else ""]


def table(section: Section, found: Evaluation) -> list[str]:
    columns = section.columns or [column.label for column in found.columns]
    shown = [column for column in found.columns if column.label in columns]
    head = ["method", "the report", *(f"{column.label} {column.arrow}".strip() for column in shown), "s a picture"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in found.rows:
        told = section.methods.get(row.label, "")
        lines.append(f"| {' | '.join([f'`{row.label}`' if told else row.label, told, *cells(found, row, columns)])} |")
    return lines


def page(pictures: Sequence[Path]) -> str:
    """The whole page, evaluated section by section."""
    lines = [
        "# Five course reports, done again",
        "",
        "Made by `python docs/make_reports.py`. The reports' own pictures are not at hand, so that their figures, in "
        "the second column, are of other pictures than ours: orders can be compared, values cannot. Ours are means "
        "over " + ", ".join(f"`{path.name}`" for path in pictures) + " of [`samples/colour`](../samples/README.md) "
        "with the standard deviation over them; (grey) is the picture left grey. Seconds are learning, predicting "
        "and merging for one picture, the median, without start-up.",
        "",
        f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"colorpipe {colorpipe.__version__}.",
    ]
    for section in SECTIONS:
        print(section.title, flush=True)
        found = colorpipe.evaluate(pictures, list(section.methods), list(section.measures), section.protocol)
        if found.failures:
            raise SystemExit("\n".join(str(failure) for failure in found.failures))
        lines += [
            "",
            f"## {section.title}",
            "",
            section.told,
            "",
            f"Protocol `{section.protocol}`: {found.protocol.summary}.",
        ]
        lines += ["", *table(section, found), "", section.notes]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path, default=sorted(SAMPLES.iterdir()))
    parser.add_argument("-o", "--output", type=Path, default=HERE / "reports.md")
    given = parser.parse_args()
    given.output.write_text(page(given.pictures), "utf-8")


if __name__ == "__main__":
    main()
