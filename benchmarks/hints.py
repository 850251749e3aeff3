"""What hints gain: colour photographs, made grey, colorized with and without a few points of their true colours.

``python -m benchmarks.hints --pictures FOLDER``: for each method the gain in PSNR, the change far from every point, and
how well a correction finds its own surface. docs/hints.md has the last figures.

    --methods zhang zhang:zhang-compact gan fcn    colorizers, with a name or file of weights after a colon
    --seed 7 --skip 160 --count 20                 which pictures: of the folder's in an order drawn by the seed
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import Session
from colorpipe.color import grey_of, rgb_to_lab
from colorpipe.guidance.hint_files import drawn
from colorpipe.guidance.strokes import Stroke, StrokeFile, write_strokes
from colorpipe.plugins.host import PluginHost

Picture = NDArray[np.uint8]
Values = NDArray[np.floating]
RADIUS = 0.012
"""Of a point, as a share of the longer side."""
FAR = 0.5
"""Share of the longer side beyond which a place is far."""
NEAR = 0.04
"""Share of the longer side within which a place is not counted for fill and leak: it is nearly painted."""
STRONG = 10.0
"""Least correction at a point, CIE units, for which fill and leak are told."""


@dataclass(frozen=True)
class Score:
    """One picture's."""

    before: float
    """PSNR without hints, dB."""
    after: float
    far: float
    """Mean change beyond ``FAR`` of every point, CIE units; NaN where no place is that far."""
    fill: float
    """Mean share of the nearest point's correction, at places that need just that; NaN where there are none."""
    leak: float
    """The same at places that need none."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of colour photographs")
    parser.add_argument("--methods", nargs="+", default=["zhang"], help="NAME or NAME:WEIGHTS")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--points", type=int, default=3)
    parser.add_argument("--radius", type=float, default=RADIUS)
    parser.add_argument("--reach", type=float, default=0.6)
    asked = parser.parse_args(arguments)
    files = sorted(path for path in asked.pictures.iterdir() if path.suffix.lower() in (".webp", ".jpg", ".png"))
    order = np.random.default_rng(asked.seed).permutation(len(files))[asked.skip : asked.skip + asked.count]
    print(f"{len(order)} pictures, {asked.points} points each, radius {asked.radius}, seed {asked.seed}")
    for method in asked.methods:
        session = session_of(method, asked.reach)
        drawing = np.random.default_rng([asked.seed, 1])
        scores = [score(session, read(files[number]), drawing, asked.points, asked.radius) for number in order]
        print(f"{method}: {told(scores)}", flush=True)


def session_of(method: str, reach: float = 0.6) -> Session:
    """``NAME`` or ``NAME:WEIGHTS``, with colours as the network states them."""
    name, _, weights = method.partition(":")
    plain = {"vibrance": 1.0} if PluginHost.load().colorizer(name).default_decoder == "annealed-mean" else {}
    return Session(name, weights=weights or None, device="cpu", precision="fp32", hint_reach=reach, **plain)


def read(path: Path) -> Picture:
    """(H, W, 3) R, G, B."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} is no picture that OpenCV reads")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def score(session: Session, rgb: Picture, drawing: np.random.Generator, points: int, radius: float) -> Score:
    """A picture colorized without hints, then with points of its true colours at places that are drawn."""
    lab = rgb_to_lab((rgb / 255).astype(np.float32))
    assert lab.ab is not None
    size = rgb.shape[0], rgb.shape[1]
    places = drawing.uniform(0.02, 0.98, (points, 2))
    strokes = []
    for x, y in places:
        point = Stroke(((float(x), float(y)),), radius, ab=(0, 0))
        a, b = lab.ab[drawn([point], size, size).weight > 0].mean(0)
        strokes.append(Stroke(point.points, radius, ab=(float(a), float(b))))
    with tempfile.TemporaryDirectory() as folder:
        grey, hints = Path(folder, "picture.png"), Path(folder, "picture.hints.json")
        cv2.imwrite(str(grey), np.rint(grey_of(lab.L) * 255).astype(np.uint8))
        write_strokes(hints, StrokeFile(size[::-1], tuple(strokes)))
        before, after = session.colorize(grey), session.colorize(grey, hints)
    return Score(psnr(before, rgb), psnr(after, rgb), *_spread(before, after, lab.ab, places, radius))


def _spread(
    before: Picture, after: Picture, truth: Values, places: Values, radius: float
) -> tuple[float, float, float]:
    """Change far away, fill and leak."""
    ab, changed = (np.asarray(rgb_to_lab((one / 255).astype(np.float32)).ab) for one in (before, after))
    change, needed = changed - ab, truth - ab
    height, width = change.shape[:2]
    y, x = np.mgrid[:height, :width]
    longer = max(height, width)
    away = np.stack([np.hypot(x + 0.5 - px * width, y + 0.5 - py * height) / longer for px, py in places])
    own = np.stack([needed[one <= max(radius, one.min())].mean(0) for one in away])  # of each point
    nearest = own[away.argmin(0)]
    strength = np.linalg.norm(nearest, axis=-1)
    away = away.min(0)
    counted = (strength > STRONG) & (away > NEAR) & (away < FAR)
    alike = counted & (np.linalg.norm(needed - nearest, axis=-1) < 0.35 * strength)
    unlike = counted & (np.linalg.norm(needed, axis=-1) < 0.3 * strength)
    along = (change * nearest).sum(-1) / np.maximum(strength, 1e-6) ** 2
    length = np.linalg.norm(change, axis=-1)
    return (
        _mean(length[away > FAR]),
        _mean(along[alike]),
        _mean((length / np.maximum(strength, 1e-6))[unlike]),
    )


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")


def _known(values: Sequence[float]) -> float:
    """The mean of those that a picture has; NaN where none has."""
    return _mean(np.array([value for value in values if not np.isnan(value)]))


def psnr(made: Picture, truth: Picture) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((made.astype(np.float64) - truth) ** 2), 1e-9)))


def told(scores: Sequence[Score]) -> str:
    """One line: means over pictures."""
    gains = np.array([one.after - one.before for one in scores])
    far, fill, leak = (_known([getattr(one, name) for one in scores]) for name in ("far", "fill", "leak"))
    error = gains.std() / np.sqrt(len(gains))
    return (
        f"PSNR {np.mean([one.before for one in scores]):.2f} -> {np.mean([one.after for one in scores]):.2f} dB, "
        f"gain {gains.mean():+.2f} (standard error {error:.2f}, least {gains.min():+.2f}); "
        f"far {far:.2f} CIE units; fill {fill:.2f}, leak {leak:.2f}"
    )


if __name__ == "__main__":
    main()
