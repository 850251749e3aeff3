"""The life of a frame."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from colorpipe.color import GREY_WEIGHTS, rgb_to_lab
from colorpipe.errors import InputError
from colorpipe.guidance import hint_files
from colorpipe.inference.runtime import Runtime
from colorpipe.pipeline.frame import HintSource, Pipeline
from colorpipe.plugins.interfaces import Colorizer, Preprocessor
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Batch, Chroma, Encoding, Frame, InputSize, Lab
from tests.helpers import Painter

STILL = Encoding("rgb", 8)
RNG = np.random.default_rng(0)


def pipeline(colorizer: Colorizer | None = None, *preprocessors: Preprocessor, **merge: object) -> Pipeline:
    runtime = Runtime(colorizer or Painter(), device="cpu")
    return Pipeline(preprocessors, runtime, MergeOptions(**merge), MediaOptions())  # type: ignore[arg-type]


def through(pipe: Pipeline, frame: Frame, target: Encoding | None = None) -> Frame:
    prepared = pipe.prepare(frame, target)
    return pipe.finish(prepared, pipe.predict([prepared])[0])


def ab_of(frame: Frame) -> np.ndarray:
    return rgb_to_lab((np.dstack(frame.colour) / 255).astype(np.float32)).ab


def picture(height: int = 120, width: int = 90) -> np.ndarray:
    cells = RNG.integers(40, 216, (8, 6)).astype(np.uint8)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (37, 53)])
def test_a_still_of_any_size_keeps_luma_and_alpha_and_gains_colour(shape: tuple[int, int]) -> None:
    luma = picture(*shape)
    alpha = np.full(shape, 7, np.uint8)
    result = through(pipeline(), Frame(luma, STILL, alpha=alpha))
    assert result.luma is luma
    assert result.alpha is alpha
    assert [plane.shape for plane in result.colour] == [shape] * 3
    assert len({plane.tobytes() for plane in result.colour}) > 1


def test_saturation_scales_chroma_and_zero_leaves_grey() -> None:
    luma = picture()
    chroma = {}
    for saturation in (0.0, 0.5, 1.0):
        result = through(pipeline(saturation=saturation), Frame(luma, STILL))
        chroma[saturation] = np.abs(ab_of(result)).mean()
    assert chroma[0.0] < 0.1
    assert chroma[0.5] == pytest.approx(chroma[1.0] / 2, rel=0.1)


def test_a_film_frame_is_made_in_the_sinks_layout_with_its_y_plane_untouched() -> None:
    luma = picture(33, 47)
    source = Encoding("yuv", 8, full_range=False, matrix="bt601", subsampling=(1, 1))
    target = Encoding("yuv", 8, full_range=False, matrix="bt601", subsampling=(0, 0))
    result = through(pipeline(), Frame(luma, source, index=3), target)
    assert result.luma is luma
    assert result.index == 3
    assert [plane.shape for plane in result.colour] == [(33, 47)] * 2


class Sides(Colorizer):
    """Red where the view's left half is, blue on its right; the size of the picture is the network's."""

    name, summary, licence = "sides", "left red, right blue", "Apache-2.0"
    input_size = InputSize(None, multiple=8)

    def predict(self, batch: Batch) -> Chroma:
        import torch

        ab = torch.zeros(len(batch), 2, *batch.L.shape[2:])
        half = ab.shape[3] // 2
        ab[:, 0, :, :half], ab[:, 1, :, half:] = 40, -40
        return Chroma(ab)


class Padded(Preprocessor):
    """The picture in the right quarter of a wider one."""

    name, summary, licence = "padded", "pads on the left", "Apache-2.0"

    def apply(self, lab: Lab) -> Lab:
        return Lab(np.pad(lab.L, ((0, 0), (3 * lab.L.shape[1], 0)), constant_values=100))

    def locate(self, height: int, width: int) -> tuple[float, float, float, float]:
        return 0.0, 0.75, 1.0, 1.0


class Brighter(Preprocessor):
    name, summary, licence = "brighter", "adds 10 to L", "Apache-2.0"
    restores = True

    def apply(self, lab: Lab) -> Lab:
        return Lab(np.minimum(lab.L + 10, 100).astype(np.float32))


def test_chroma_over_padding_is_dropped_and_the_rest_lies_over_the_picture() -> None:
    luma = np.full((64, 64), 128, np.uint8)
    plain = ab_of(through(pipeline(Sides(), upsample="bilinear"), Frame(luma, STILL)))
    assert plain[32, 5, 0] > 30 > plain[32, 60, 0]
    padded = through(pipeline(Sides(), Padded(), upsample="bilinear"), Frame(luma, STILL))
    ab = ab_of(padded)
    assert padded.colour[0].shape == (64, 64)
    assert (ab[..., 1] < -30).all()  # the picture lies in the view's right half: all of it blue


def test_a_restoring_preprocessor_shows_in_the_result_and_another_does_not() -> None:
    luma = picture()
    restored = through(pipeline(None, Brighter()), Frame(luma, STILL))
    assert restored.luma.mean() > luma.mean() + 15
    assert through(pipeline(None, Padded()), Frame(luma, STILL)).luma is luma


class HintPainter(Painter):
    """Gives back the hints it is given."""

    name = "hint-painter"
    takes_hints = True

    def predict(self, batch: Batch) -> Chroma:
        assert batch.hints is not None
        return Chroma(batch.hints[:, :2])


def painted(file: Path) -> HintSource:
    return functools.partial(hint_files.load, file, options=MediaOptions())


def test_hints_reach_the_network_where_they_were_painted(tmp_path: Path) -> None:
    hints = np.zeros((120, 90, 4), np.uint8)
    hints[:60] = (0, 0, 255, 255)  # OpenCV's order: opaque red over the upper half
    cv2.imwrite(str(tmp_path / "h.png"), hints)
    pipe = pipeline(HintPainter())
    prepared = pipe.prepare(Frame(picture(), STILL), hinted=painted(tmp_path / "h.png"))
    assert prepared.hints.shape == (3, 256, 256)
    assert prepared.hints[2, :127].min() == 1
    assert prepared.hints[2, 129:].max() == 0
    assert prepared.hints[0, 10, 10] == pytest.approx(80.1, abs=0.5)  # a of sRGB red
    ab = pipe.predict([prepared])[0]
    assert ab[10, 10, 0] > 60 > 1 > abs(ab[200, 10, 0])


def test_a_repair_named_after_padding_still_works_on_the_picture_at_its_own_size() -> None:
    luma = picture(120, 90)
    both = through(pipeline(None, Padded(), Brighter()), Frame(luma, STILL))
    assert both.luma.shape == luma.shape
    assert np.array_equal(both.luma, through(pipeline(None, Brighter()), Frame(luma, STILL)).luma)


def test_hints_lie_over_the_picture_where_the_view_is_padded(tmp_path: Path) -> None:
    hints = np.full((64, 64, 4), (0, 0, 255, 255), np.uint8)
    cv2.imwrite(str(tmp_path / "h.png"), hints)
    prepared = pipeline(HintPainter(), Padded()).prepare(
        Frame(picture(64, 64), STILL), hinted=painted(tmp_path / "h.png")
    )
    assert prepared.hints[2, :, 192:].min() == 1
    assert prepared.hints[2, :, :192].max() == 0


@pytest.mark.parametrize(("shape", "words"), [((120, 90, 3), "transparency"), ((120, 200, 4), "another aspect")])
def test_hint_files_that_do_not_fit_are_refused(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    file = tmp_path / "h.png"
    pixels = np.full(shape, 200, np.uint8)
    pixels[0, 0] = 10
    cv2.imwrite(str(file), pixels)
    with pytest.raises(InputError, match=words):
        pipeline(HintPainter()).prepare(Frame(picture(), STILL), hinted=painted(file))


def test_grey_weights_sum_to_one() -> None:
    for name, weights in GREY_WEIGHTS.items():
        assert sum(weights) == pytest.approx(1), name


def test_bilinear_stills_are_clipped_as_the_published_scripts_do_and_all_else_keeps_its_lightness() -> None:
    dark = Frame(np.full((64, 64), 12, np.uint8), STILL)
    made = {
        name: np.dstack(through(pipeline(Sides(), **options), dark).colour)
        for name, options in {
            "bilinear": {"upsample": "bilinear"},
            "clip": {"upsample": "bilinear", "gamut": "clip"},
            "fit": {"upsample": "bilinear", "gamut": "fit"},
            "guided": {"upsample": "guided"},
        }.items()
    }
    assert np.array_equal(made["bilinear"], made["clip"])
    assert np.abs(made["bilinear"].astype(int) - made["fit"]).max() > 5
    assert np.abs(made["guided"].astype(int) - made["fit"])[:, 4:28].max() <= 2
