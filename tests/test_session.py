"""colorpipe from Python."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import colorpipe
from colorpipe import OptionError, Recipe, Session, UsageError
from colorpipe.types import Batch, Chroma, Lab
from tests.helpers import Painter, host_with, write_grey
from tests.test_video import make_clip


def test_every_public_name_can_be_imported() -> None:
    for name in colorpipe.__all__:
        assert getattr(colorpipe, name) is not None
    with pytest.raises(AttributeError, match="colourize"):
        colorpipe.colourize  # noqa: B018


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_in_an_array_of_the_same_depth_out(dtype: type) -> None:
    grey = np.linspace(0, np.iinfo(dtype).max, 60 * 40).reshape(60, 40).astype(dtype)
    result = Session("painter", host=host_with(Painter)).colorize(grey)
    assert result.shape == (60, 40, 3)
    assert result.dtype == dtype
    colour = np.dstack([grey] * 3)
    assert np.array_equal(Session("painter", host=host_with(Painter)).colorize(colour), result)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(OptionError, match="a picture is"):
        Session("painter", host=host_with(Painter)).colorize(array)


def test_a_recipe_repeats_its_session(tmp_path: Path) -> None:
    picture = write_grey(tmp_path / "a.png")
    host = host_with(Painter)
    first = Session("painter", host=host, saturation=0.5, preprocessors=["greyscale"], formula="rec709")
    text = first.recipe.to_json()
    again = Session(Recipe.from_json(text), host=host)
    assert again.recipe == first.recipe
    assert again.recipe.digest() == first.recipe.digest()
    assert np.array_equal(first.colorize(picture), again.colorize(picture))
    assert first.recipe.preprocessors[0].options == {"formula": "rec709"}


def test_the_digest_tells_recipes_apart_and_devices_not() -> None:
    host = host_with(Painter)
    base = Session("painter", host=host).recipe
    assert Session("painter", host=host, saturation=0.9).recipe.digest() != base.digest()
    assert dataclasses.replace(base, device="cuda:1").digest() == base.digest()
    assert dataclasses.replace(base, precision="bf16").digest() != base.digest()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"colorizer": "zang"}, "no colorizer 'zang'"),
        ({"colorizer": "greyscale"}, "is a preprocessor, not a colorizer"),
        ({"colorizer": "painter", "vividness": 3}, "none of painter has an option 'vividness'"),
        ({"colorizer": "painter", "saturation": 9}, "saturation takes a number in 0..4"),
        ({"colorizer": "painter", "decoder": "mode"}, "takes no decoder"),
        ({"colorizer": "painter", "weights": "eccv16"}, "works without weights"),
        ({"colorizer": "painter", "reference": "x.png"}, "does not use a reference"),
        ({"colorizer": "painter", "device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_wrong_calls_say_what_is_wrong(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Session(**arguments, host=host_with(Painter))  # type: ignore[arg-type]


def test_a_text_that_is_no_recipe_is_refused() -> None:
    for text in ("", "[]", "{}", '{"colorizer": {"nom": "zhang"}}'):
        with pytest.raises(ValueError, match="not a recipe"):
            Recipe.from_json(text)


def test_a_precision_left_to_the_machine_does_not_decide_what_is_done_already() -> None:
    host = host_with(Painter)
    auto, exact = (Session("painter", host=host, precision=precision) for precision in ("auto", "fp32"))
    assert auto.recipe.precision == "fp32"
    assert auto.recipe.digest() == exact.recipe.digest() == exact.digest
    assert auto.digest != exact.digest


class Copyist(Painter):
    """Every place gets the reference's mean colour."""

    name = "painter"
    learns_from_reference = True

    def learn(self, reference: Lab, device: torch.device) -> None:
        assert reference.ab is not None
        self.mean = torch.from_numpy(reference.ab.mean((0, 1))).to(device)

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(self.mean.view(1, 2, 1, 1).expand(len(batch), 2, 4, 4))


def test_a_method_learns_from_a_reference_and_the_recipe_knows_which(tmp_path: Path) -> None:
    host, grey = host_with(Copyist), np.full((6, 8), 120, np.uint8)
    with pytest.raises(UsageError, match="learns from a colour picture"):
        Session("painter", host=host)
    for name, colour in (("red", (200, 90, 90)), ("green", (90, 200, 90))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((5, 7, 3), colour[::-1], np.uint8))
    red, green = (Session("painter", host=host, reference=tmp_path / f"{name}.png") for name in ("red", "green"))
    assert red.colorize(grey)[0, 0, 0] > 130 > 110 > red.colorize(grey)[0, 0, 1]
    assert green.colorize(grey)[0, 0, 1] > green.colorize(grey)[0, 0, 0]
    assert red.digest != green.digest
    recipe = Recipe.from_json(red.recipe.to_json())
    with pytest.raises(UsageError, match=f"give it: its SHA-256 is {red.recipe.reference_sha256}"):
        Session(recipe, host=host)
    with pytest.raises(UsageError, match=r"green\.png is not the recipe's reference"):
        Session(recipe, host=host, reference=tmp_path / "green.png")
    assert Session(recipe, host=host, reference=tmp_path / "red.png").recipe == red.recipe


def test_a_session_learns_anew_and_its_recipe_knows(tmp_path: Path) -> None:
    host, grey = host_with(Copyist), np.full((6, 8), 120, np.uint8)
    red, green = (
        Lab(np.full((3, 4), 50, np.float32), np.tile(np.float32(ab), (3, 4, 1))) for ab in ((60, 30), (-60, 30))
    )
    session = Session("painter", host=host, reference=red)
    first, digest = session.colorize(grey), session.digest
    session.learn(green)
    assert np.array_equal(session.colorize(grey), Session("painter", host=host, reference=green).colorize(grey))
    assert session.digest == Session("painter", host=host, reference=green).digest != digest
    session.learn(red)
    assert np.array_equal(session.colorize(grey), first)
    assert session.digest == digest
    with pytest.raises(UsageError, match="the reference is grey"):
        session.learn(Lab(np.zeros((3, 3), np.float32)))
    with pytest.raises(UsageError, match="does not use a reference"):
        Session("zhang").learn(red)


def test_a_reference_without_colour_is_refused(tmp_path: Path) -> None:
    write_grey(tmp_path / "grey.png")
    with pytest.raises(UsageError, match=r"grey\.png: the reference is grey"):
        Session("painter", host=host_with(Copyist), reference=tmp_path / "grey.png")
    with pytest.raises(UsageError, match="the reference is grey"):
        Session("painter", host=host_with(Copyist), reference=Lab(np.zeros((3, 3), np.float32)))


def test_a_film_is_not_taken_for_a_picture(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv")
    with pytest.raises(UsageError, match=r"is a film.*colorpipe\.run\('.*film\.mkv'\).*Session\.film"):
        Session("painter", host=host_with(Painter)).colorize(film)
