"""DDColor: the published keys, the original's numbers, the original script's picture, and files that are refused."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from colorpipe import Batch, OptionError, Session, WeightsError
from colorpipe_ddcolor import DDColor
from colorpipe_ddcolor.fold import fold
from colorpipe_ddcolor.layout import LARGE, MINI, TINY, Config, shapes
from tests.checkpoints import picture, random_state
from tests.conftest import Cli

GOLDEN = Path(__file__).parent / "golden"
SCALES = {MINI: 8.0, TINY: 0.4, LARGE: 0.4}
"""Of the last layer of the colour embedding, which decides how strong the colours are."""


def state_of(config: Config) -> dict[str, Tensor]:
    """The checkpoint that the goldens were made with: seed 11, gain 3."""
    state = random_state(shapes(config), 11, gain=3.0)
    for leaf in ("weight", "bias"):
        state[f"decoder.color_decoder.color_embed.layers.2.{leaf}"] *= SCALES[config]
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return state_of(MINI)


@pytest.fixture
def checkpoint(state: dict[str, Tensor], tmp_path: Path) -> Path:
    file = tmp_path / "mini.pth"
    torch.save({"params": state}, file)
    return file


@pytest.mark.parametrize(("config", "keys", "parameters"), [(TINY, 440, 55_006_640), (LARGE, 602, 227_869_328)])
def test_keys_and_size_are_the_published(config: Config, keys: int, parameters: int) -> None:
    found = shapes(config)
    assert len(found) == keys
    beside = ("weight_u", "weight_v", "running_mean", "running_var", "num_batches_tracked", "mean", "std")
    counted = sum(math.prod(shape) for key, shape in found.items() if not key.endswith(beside))
    assert counted == parameters


@torch.inference_mode()
def golden(name: str, config: Config, height: int, width: int) -> None:
    """The original's output on ``picture``, in float16, against the plugin's."""
    expected = np.load(GOLDEN / f"{name}.npy").astype(np.float32)
    ours = fold(state_of(config), config)(torch.from_numpy(picture(height, width))[None, None])[0].numpy()
    assert expected.std(axis=(1, 2)).min() > 5, "a flat picture would prove nothing"
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_a_small_network_equals_the_original() -> None:
    golden("ddcolor-mini", MINI, 64, 96)


@pytest.mark.slow
def test_a_published_size_equals_the_original() -> None:
    golden("ddcolor-tiny", TINY, 96, 96)


def test_the_original_scripts_picture_is_reproduced(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    codes = np.rint(picture(70, 90) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "g.png"), codes)
    words = ["run", tmp_path / "g.png", "-o", tmp_path / "o.png", "--colorizer", "ddcolor", "--weights", checkpoint]
    words += ["--precision", "fp32", "--input-size", "64", "--upsample", "nearest", "--gamut", "clip"]
    status, _, told = cli(*words)
    assert status == 0, told
    ours, theirs = (
        rgb2lab(cv2.imread(str(file))[..., ::-1]) for file in (tmp_path / "o.png", GOLDEN / "ddcolor-mini-script.png")
    )
    assert np.hypot(theirs[..., 1], theirs[..., 2]).mean() > 10
    assert deltaE_ciede2000(ours, theirs).mean() < 0.5


def test_input_size_is_what_the_network_sees(checkpoint: Path, tmp_path: Path) -> None:
    session = Session("ddcolor", weights=checkpoint, device="cpu", precision="fp32", input_size=96)
    cv2.imwrite(str(tmp_path / "g.png"), np.rint(picture(50, 300) * 255).astype(np.uint8))
    seen: list[tuple[int, ...]] = []
    network = session.runtimes[0].colorizer.network
    assert network is not None
    network.register_forward_hook(lambda module, given, result: seen.append(tuple(result.shape)))
    assert session.colorize(tmp_path / "g.png").shape == (50, 300, 3)
    assert seen == [(1, 2, 96, 96)]
    with pytest.raises(OptionError, match="multiple of 32, not 100"):
        DDColor.Options(input_size=100)


def test_a_picture_does_not_change_with_its_neighbours_or_the_strips(state: dict[str, Tensor]) -> None:
    colorizer = DDColor()
    colorizer.network = fold(state, MINI)
    L = torch.from_numpy(np.stack([picture(64, 96) * 100, picture(64, 96)[::-1] * 60]))[:, None].contiguous()
    with torch.inference_mode():
        together = colorizer.predict(Batch(L)).ab
        alone = colorizer.predict(Batch(L[1:])).ab
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("refine_net.0.0.bias"), r"1 missing \(refine_net\.0\.0\.bias\)"),
        (lambda state: state.update(extra=torch.zeros(2)), r"1 unknown \(extra\)"),
        (
            lambda state: state.update({"decoder.layers.1.bn.weight": torch.zeros(3)}),
            r"decoder\.layers\.1\.bn\.weight is \(3,\), not \(16,\)",
        ),
        (lambda state: state.pop("encoder.arch.downsample_layers.0.0.weight"), "no network of DDColor's"),
    ],
)
def test_another_networks_keys_are_one_line(
    cli: Cli, state: dict[str, Tensor], tmp_path: Path, change: object, message: str
) -> None:
    changed = dict(state)
    change(changed)  # type: ignore[operator]
    torch.save({"params": changed}, tmp_path / "changed.pth")
    with pytest.raises(WeightsError, match=message):
        DDColor().build(tmp_path / "changed.pth")
    cv2.imwrite(str(tmp_path / "g.png"), np.full((8, 8), 90, np.uint8))
    words = ("run", tmp_path / "g.png", "-o", tmp_path / "out", "--colorizer", "ddcolor")
    status, _, told = cli(*words, "--weights", tmp_path / "changed.pth")
    assert status == 2
    assert sum(line.startswith("colorpipe: ") for line in told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_counters_may_be_absent_and_half_a_file_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    torch.save({"params": {key: value for key, value in state.items() if not key.endswith("tracked")}}, file)
    assert DDColor().build(file) is not None
    file.write_bytes(file.read_bytes()[:40_000])
    with pytest.raises(WeightsError, match="damaged"):
        DDColor().build(file)


@pytest.mark.slow
@torch.inference_mode()
def test_bfloat16_stays_close(state: dict[str, Tensor]) -> None:
    network = fold(state, MINI)
    grey = torch.from_numpy(picture(64, 96))[None, None]
    exact = network(grey)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = network(grey)
    assert (narrow - exact).abs().mean() < 0.05 * exact.abs().mean()


@pytest.mark.slow
def test_a_film_is_previewed(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    film = Path(__file__).parents[1] / "samples" / "chaplin.mp4"
    words = ["run", film, "-o", tmp_path / "out", "--colorizer", "ddcolor", "--weights", checkpoint, "--preview", "1"]
    status, _, told = cli(*words, "--input-size", "128", "--precision", "fp32")
    assert status == 0, told
    assert (tmp_path / "out" / "chaplin.preview.mp4").stat().st_size > 10_000
