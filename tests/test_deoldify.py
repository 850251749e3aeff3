"""DeOldify: the published keys, the original's numbers, the original script's picture, and files that are refused."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from colorpipe import Encoding, Frame, Session, WeightsError
from colorpipe.color import published
from colorpipe_deoldify import DeOldify
from colorpipe_deoldify.chroma import chroma, grey_of
from colorpipe_deoldify.fold import fold
from colorpipe_deoldify.layout import ARTISTIC, MINI, MINI_WIDE, VIDEO, Config, shapes
from tests.checkpoints import picture, random_state
from tests.conftest import Cli

GOLDEN = Path(__file__).parent / "golden"


def state_of(config: Config) -> dict[str, Tensor]:
    """The checkpoint that the goldens were made with: seed 11."""
    return random_state(shapes(config), 11)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return state_of(MINI)


@pytest.fixture
def checkpoint(state: dict[str, Tensor], tmp_path: Path) -> Path:
    file = tmp_path / "mini.pth"
    torch.save({"model": state, "opt": {"state": {}, "param_groups": []}}, file)
    return file


@pytest.mark.parametrize(("config", "keys", "parameters"), [(ARTISTIC, 378, 63_646_881), (VIDEO, 754, 218_222_197)])
def test_keys_and_size_are_the_published(config: Config, keys: int, parameters: int) -> None:
    found = shapes(config)
    assert len(found) == keys
    beside = ("weight_u", "running_mean", "running_var", "num_batches_tracked")
    counted = sum(
        math.prod(shape)
        for key, shape in found.items()
        if not key.endswith(beside) and not (key.endswith("weight_v") and len(shape) == 1)
    )
    assert counted == parameters


@torch.inference_mode()
def golden(name: str, config: Config, height: int, width: int) -> None:
    """The original's RGB of ``picture``, in float16, against the plugin's."""
    expected = np.load(GOLDEN / f"{name}.npy").astype(np.float32)
    ours = fold(state_of(config), config)(torch.from_numpy(picture(height, width))[None, None])[0].numpy()
    assert expected.std(axis=(1, 2)).max() > 0.05, "a flat picture would prove nothing"
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "config"), [("deoldify-mini", MINI), ("deoldify-wide", MINI_WIDE)])
def test_a_small_network_equals_the_original(name: str, config: Config) -> None:
    """80x112: the deepest maps have odd sizes, and the last layers go over two strips of rows and more."""
    golden(name, config, 80, 112)


@pytest.mark.slow
def test_a_published_size_equals_the_original() -> None:
    golden("deoldify-artistic", ARTISTIC, 80, 80)


@torch.inference_mode()
def test_strips_are_the_whole(state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    network = fold(state, MINI)
    grey = torch.from_numpy(picture(112, 80))[None, None]
    whole = network(grey)
    monkeypatch.setattr("colorpipe_deoldify.network.STRIP", 80 * 17)
    torch.testing.assert_close(network(grey), whole, rtol=0, atol=1e-5)


def test_chroma_over_its_lightness_has_the_networks_u_and_v_again() -> None:
    generator = torch.Generator().manual_seed(3)
    L = torch.rand(1, 1, 40, 50, generator=generator) * 90 + 5
    rgb = torch.randint(0, 256, (1, 3, 40, 50), generator=generator) / 255
    ab = chroma(rgb + 1e-4, grey_of(L))[0].permute(1, 2, 0).numpy()
    found = published.differences(L[0, 0].numpy(), ab)
    luma = rgb[0, 0] * 0.299 + rgb[0, 1] * 0.587 + rgb[0, 2] * 0.114
    blue, red = (rgb[0, 2] - luma).numpy(), (rgb[0, 0] - luma).numpy()
    red = red.clip(-128 / 255 / 0.877, 127 / 255 / 0.877)
    np.testing.assert_allclose(found, np.stack([blue, red], -1), atol=2e-3)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_the_original_scripts_picture_is_reproduced(cli: Cli, checkpoint: Path, tmp_path: Path, upsample: str) -> None:
    codes = np.rint(picture(70, 90) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "g.png"), codes)
    words = ["run", tmp_path / "g.png", "-o", tmp_path / "o.png", "--colorizer", "deoldify", "--weights", checkpoint]
    words += ["--precision", "fp32", "--render-factor", "5", "--upsample", upsample, "--gamut", "clip"]
    status, _, told = cli(*words)
    assert status == 0, told
    ours, theirs = (
        rgb2lab(cv2.imread(str(file))[..., ::-1]) for file in (tmp_path / "o.png", GOLDEN / "deoldify-mini-script.png")
    )
    assert np.hypot(theirs[..., 1], theirs[..., 2]).mean() > 10
    assert deltaE_ciede2000(ours, theirs).mean() < 0.5


def test_films_are_seen_smaller_than_photographs(checkpoint: Path) -> None:
    assert (DeOldify().input_size.side, DeOldify().film_input_size.side) == (560, 336)  # type: ignore[union-attr]
    pipeline = Session("deoldify", weights=checkpoint, device="cpu", precision="fp32").pipeline
    codes = np.rint(picture(36, 64) * 255).astype(np.uint8)
    assert pipeline.network_view(Frame(codes, Encoding("rgb", 8))).L.shape == (560, 560)
    assert pipeline.network_view(Frame(codes, Encoding("yuv", 8, full_range=False, subsampling=(1, 1)))).L.shape == (
        336,
        336,
    )
    chosen = DeOldify(DeOldify.Options(render_factor=10))
    assert chosen.input_size == chosen.film_input_size
    assert chosen.input_size.side == 160


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layers.11.0.weight_u"), r"1 missing \(layers\.11\.0\.weight_u\)"),
        (lambda state: state.update(extra=torch.zeros(2)), r"1 unknown \(extra\)"),
        (lambda state: state.update({"layers.1.bias": torch.zeros(3)}), r"layers\.1\.bias is \(3,\), not \(64,\)"),
        (lambda state: state.pop("layers.0.0.weight"), "no network of DeOldify's"),
    ],
)
def test_another_networks_keys_are_one_line(
    state: dict[str, Tensor], tmp_path: Path, change: object, message: str
) -> None:
    changed = dict(state)
    change(changed)  # type: ignore[operator]
    torch.save({"model": changed}, tmp_path / "changed.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        DeOldify().build(tmp_path / "changed.pth")
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self) -> object:
        return (print, ("this must never be printed",))


def test_a_pickle_with_code_is_refused_and_not_run(
    state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bomb.pth"
    torch.save({"model": state, "opt": Bomb()}, file)
    with pytest.raises(WeightsError, match="contains code or objects"):
        DeOldify().build(file)
    file.write_bytes(pickle.dumps({"model": state, "opt": Bomb()}))
    with pytest.raises(WeightsError):
        DeOldify().build(file)
    assert "never" not in capsys.readouterr().out


def test_the_default_picture_keeps_the_source_lightness(checkpoint: Path, tmp_path: Path) -> None:
    codes = np.rint(picture(60, 60) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "g.png"), codes)
    session = Session("deoldify", weights=checkpoint, device="cpu", precision="fp32", render_factor=4)
    ours = rgb2lab(session.colorize(tmp_path / "g.png"))
    grey = rgb2lab(np.repeat(codes[..., None], 3, 2))
    assert np.abs(ours[..., 0] - grey[..., 0]).max() < 1
    assert np.hypot(ours[..., 1], ours[..., 2]).mean() > 5
