"""Blends: members with options and weights of their own, shares, and confidence."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from colorpipe import Chroma, ColorpipeError, Session
from colorpipe_blend import Blend
from colorpipe_blend.members import mixed
from colorpipe_blend.specs import read_members, read_weights
from tests.checkpoints import picture
from tests.conftest import Cli


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("blend") / "g.png"
    cv2.imwrite(str(file), np.rint(picture(256, 256) * 255).astype(np.uint8))
    return file


def predicted(colorizer: str, grey: Path, **options: object) -> np.ndarray:
    """(h, w, 2)"""
    from colorpipe.media import first_frame

    session = Session(colorizer, device="cpu", precision="fp32", **options)
    prepared = session.pipeline.prepare(first_frame(grey, session.media))
    return session.pipeline.predict([prepared])[0]


def test_all_weight_on_one_is_that_one(grey: Path) -> None:
    alone = predicted("zhang", grey, T=0.2)
    blended = predicted("blend", grey, blend="zhang:T=0.2,lab-grid", blend_weights="1,0", blend_confidence=False)
    np.testing.assert_allclose(blended, cv2.resize(alone, blended.shape[1::-1]), atol=1e-2)


def test_shares_are_those_of_the_weights(grey: Path) -> None:
    first, second = predicted("zhang", grey), predicted("lab-grid", grey)
    blended = predicted("blend", grey, blend="zhang+lab-grid", blend_weights="3,1", blend_confidence=False)
    size = blended.shape[1::-1]
    expected = 0.75 * cv2.resize(first, size) + 0.25 * cv2.resize(second, size)
    np.testing.assert_allclose(blended, expected, atol=1e-2)


def test_who_is_sure_counts_for_more_and_over_the_picture_as_much() -> None:
    sure = torch.tensor([0.1, 0.3]).view(1, 1, 1, 2)
    knows = Chroma(torch.tensor([10.0, 10.0]).view(1, 1, 1, 2).expand(1, 2, 1, 2).contiguous(), sure)
    says_nothing = Chroma(torch.zeros(1, 2, 1, 2))
    ab = mixed([(0.5, knows), (0.5, says_nothing)], by_confidence=True).ab[0, 0, 0]
    torch.testing.assert_close(ab, torch.tensor([10 * 0.25 / 0.75, 10 * 0.75 / 1.25]))
    plain = mixed([(0.5, knows), (0.5, says_nothing)], by_confidence=False).ab
    torch.testing.assert_close(plain, torch.full((1, 2, 1, 2), 5.0))


def test_colons_inside_of_values_are_kept() -> None:
    first, second = read_members(r"ddcolor:weights=C:\w.pth:input-size=256,deoldify")
    assert first.values == {"weights": r"C:\w.pth", "input_size": "256"}
    assert (second.name, second.values) == ("deoldify", {})
    assert read_weights("2+6", [first, second]) == [0.25, 0.75]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--blend", "zhang"], "is one method"),
        (["--blend", "zhang,nobody"], "nobody"),
        (["--blend", "zhang,gan:no=1"], "has an option 'no'"),
        (["--blend", "zhang,patch-knn"], "learns from a colour picture"),
        (["--blend", "zhang,gan", "--blend-weights", "1"], "takes 2 numbers"),
        (["--blend", "zhang,gan", "--blend-weights", "0,0"], "takes 2 numbers"),
        (["--blend", "zhang,gan", "--weights", "WEIGHTS"], "no weights of its own"),
        (["--blend", "zhang,ddcolor:weights=/nowhere.pth"], "no such file"),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, grey: Path, tmp_path: Path, flags: list[str], message: str) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    words = [str(tmp_path / "w.pth") if flag == "WEIGHTS" else flag for flag in flags]
    status, _, told = cli("run", grey, "-o", tmp_path / "o.png", "--colorizer", "blend", *words)
    assert status == 2
    assert message in told
    assert not (tmp_path / "o.png").exists()


def test_other_weights_of_a_member_make_another_recipe(tmp_path: Path) -> None:
    from tests.test_ddcolor import MINI, state_of

    digests = []
    for factor in (1.0, 2.0):
        state = state_of(MINI)
        state["mean"] = state["mean"] * factor
        torch.save({"params": state}, tmp_path / "w.pth")
        blend = f"ddcolor:weights={tmp_path / 'w.pth'}:input_size=64,zhang"
        session = Session("blend", device="cpu", precision="fp32", blend=blend)
        assert session.recipe.weights_sha256
        digests.append(session.digest)
    assert digests[0] != digests[1]


def test_it_refuses_before_anything_is_loaded() -> None:
    with pytest.raises(ColorpipeError, match="blends a blend"):
        Blend.Options(blend="blend,zhang")
