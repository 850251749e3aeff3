"""Measures of steadiness, against an independent library and against changes that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from colorpipe.color import lab_to_rgb
from colorpipe.types import Encoding, Frame, Lab
from colorpipe_video_metrics import Cdc, Flicker, WarpError
from tests.test_temporal import pan, texture

SIZE = (120, 160)


def frame(luma: np.ndarray, ab: tuple[float, float]) -> Frame:
    """A frame of this light, in one hue."""
    chroma = np.tile(np.float32(ab), (*luma.shape, 1))
    rgb = np.rint(lab_to_rgb(Lab((40 + luma / 8).astype(np.float32), chroma)) * 255).astype(np.uint8)
    return Frame(luma, Encoding("rgb", 8), colour=tuple(np.moveaxis(rgb, -1, 0)))


def test_cdc_is_the_published_one() -> None:
    chance = np.random.default_rng(1)
    clip = [
        Frame(planes[0], Encoding("rgb", 8), colour=tuple(planes))
        for planes in (chance.normal(90 + 9 * n, 30, (3, 40, 50)).clip(0, 255).astype(np.uint8) for n in range(7))
    ]
    shares = [[np.bincount(plane.reshape(-1), minlength=256) / plane.size for plane in f.colour or ()] for f in clip]
    wanted = np.mean(
        [
            np.mean(
                [
                    jensenshannon(p, q) ** 2
                    for a, b in zip(shares, shares[step:], strict=False)
                    for p, q in zip(a, b, strict=True)
                ]
            )
            for step in (1, 2, 4)
        ]
    )
    measure = Cdc()
    for picture in clip:
        measure.update(picture, picture)
    assert measure.finish()["cdc"] == pytest.approx(wanted, rel=1e-4)
    assert measure.finish() == {}


def test_flicker_and_warp_error_tell_the_change_of_chroma_where_the_camera_moves() -> None:
    hues = [(10.0, 5.0), (14.0, 5.0), (14.0, 3.0), (14.0, 3.0)]
    flicker, warp = Flicker(), WarpError()
    each = []
    for luma, ab in zip(pan(texture(), 4), hues, strict=True):
        picture = frame(luma, ab)
        each.append(flicker.update(picture, picture))
        warp.update(picture, picture)
    assert [round(scores.get("flicker", -1), 0) for scores in each] == [-1, 2, 1, 0]
    assert flicker.finish()["flicker"] == pytest.approx((4 + 2 + 0) / 2 / 3, abs=0.15)
    errors = warp.finish()
    assert errors["warp-error-chroma"] == pytest.approx((16 + 4 + 0) / 3, rel=0.1)
    assert 0 < errors["warp-error"] < 0.01


def test_frames_on_either_side_of_a_cut_are_not_compared() -> None:
    flicker = Flicker()
    for luma, ab in ((texture(), (30.0, 0.0)), (texture("cameraman.png"), (-30.0, 0.0))):
        picture = frame(np.asarray(cv2.resize(luma, SIZE[::-1])), ab)
        assert flicker.update(picture, picture) == {}
    assert flicker.finish() == {}


def test_a_grey_result_is_steady() -> None:
    luma = pan(texture(), 3)
    grey = [Frame(plane, Encoding("rgb", 8)) for plane in luma]
    measure = Flicker()
    for result in grey:
        measure.update(result, result)
    assert measure.finish()["flicker"] == pytest.approx(0, abs=1e-3)
