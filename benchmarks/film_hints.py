"""Painted colours followed through real films: how much stays where it belongs, and how much is carried elsewhere.

``python -m benchmarks.film_hints FILM...``: films in colour. Points of the true colour, every fourth pixel of the small
luma, are followed by ``HintTracker`` from several frames on. 10, 20 and 40 frames later the film's own colour where
each has got to tells whether it is still on its thing: it is where it misses that by less than 8 CIE units, and is not
where it misses it by more than 15. Both are shares of all points: as they are followed, and by the weight that is left
of them (``hint_tracker.AGAIN``).
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.settings import MediaOptions
from colorpipe.temporal import HintTracker, Planner, small_luma
from colorpipe.temporal.hint_tracker import _looks, _unanchored

NEAR, OFF = 8.0, 15.0
LATER = (10, 20, 40)
FRAMES, EVERY, DISTANCE = 75, 15, 6
"""Of a film that are read, from one start to the next, and between key frames."""
Pair = tuple[NDArray[np.uint8], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="+")
    told: dict[int, NDArray[np.float64]] = defaultdict(lambda: np.zeros(5))
    for film in parser.parse_args().films:
        frames = read(film)
        for start in range(0, max(1, len(frames) - LATER[-1]), EVERY):
            for later, found in followed(frames[start : start + LATER[-1] + DISTANCE]).items():
                told[later] += found
    print("frames later | on its thing: followed, by weight | on another: followed, by weight")
    for later, (points, right, right_left, wrong, wrong_left) in sorted(told.items()):
        print(
            f"{later} | {right / points:.1%}, {right_left / points:.1%} ({right_left / right:.0%} of it) | "
            f"{wrong / points:.2%}, {wrong_left / points:.2%} ({wrong_left / max(wrong, 1):.0%} of it)"
        )


def read(film: str) -> list[Pair]:
    """The small luma and the true ab of each frame, of one size."""
    frames: list[Pair] = []
    with av.open(film) as container:
        for image in container.decode(video=0):
            luma = small_luma(image.to_ndarray(format="gray"), 8)
            rgb = image.to_ndarray(format="rgb24").astype(np.float32) / 255
            small = cv2.resize(rgb, luma.shape[::-1], interpolation=cv2.INTER_AREA)
            ab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB)[..., 1:], (0, 0), 1.0)
            frames.append((luma, np.asarray(ab, np.float32)))
            if len(frames) == FRAMES:
                break
    return frames


def followed(frames: list[Pair]) -> dict[int, list[float]]:
    """For each of ``LATER``: points, those on their colour, their weight, those on another, their weight."""
    planner, found = Planner(DISTANCE), {}
    steps = [step for luma, _ in frames for step in planner.push(luma)] + planner.finish()
    tracker, count = HintTracker(SidecarFiles(), MediaOptions()), 0
    for number, (step, (luma, ab)) in enumerate(zip(steps, frames, strict=True)):
        height, width = luma.shape
        if not number:
            y, x = (places.ravel() for places in np.mgrid[3:height:4, 3:width:4])
            own = [(x + 0.5) / width, (y + 0.5) / height, *ab[y, x].T, np.ones(len(x)), np.zeros(len(x))]
            points = _unanchored(np.stack(own, 1).astype(np.float32))
            points[:, 6:] = _looks(luma, tracker._at(points, luma))
            tracker._points, count = points, len(points)
            tracker.begin(step)
            continue
        if step.first:
            break
        tracker.follow(step)
        if number in LATER:
            tracker._luma = luma
            told = [float(count)]
            sides = [_off(points, ab) for points in (tracker._points, tracker._seen())]
            for wanted in (lambda off: off < NEAR, lambda off: off > OFF):
                told += [float(weight[wanted(off)].sum()) for off, weight in sides]
            found[number] = told
    return found


def _off(points: NDArray[np.float32], ab: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far each point's colour is from the true one where it is, and its weight."""
    height, width = ab.shape[:2]
    x = np.clip((points[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip((points[:, 1] * height).astype(int), 0, height - 1)
    return np.linalg.norm(ab[y, x] - points[:, 2:4], axis=1), points[:, 4]


if __name__ == "__main__":
    main()
