"""pixel-mlp: its steps against torch's autograd, and what it learns."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from colorpipe import Batch, Lab, OptionError, Session, UsageError, color
from colorpipe.guidance.reference import tint
from colorpipe_pixel_mlp import PixelMlp
from colorpipe_pixel_mlp.mlp import Mlp
from tests.conftest import Cli
from tests.helpers import write_grey

COFFEE = Path(__file__).parents[1] / "samples" / "colour" / "coffee.jpg"
CPU = torch.device("cpu")


def lab_of(rgb: np.ndarray) -> Lab:
    return color.rgb_to_lab(rgb.astype(np.float32) / np.float32(255))


def luminosity(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = cv2.split(rgb)
    return color.grey((red, green, blue), "luminosity")


def learned(rgb: np.ndarray, **options: object) -> PixelMlp:
    made = PixelMlp(PixelMlp.Options(**options))
    made.learn(lab_of(rgb), CPU)
    return made


def predicted(colorizer: PixelMlp, *greys: np.ndarray) -> np.ndarray:
    """(N, H, W, 2) ab."""
    L = color.lightness_of(np.stack(greys).astype(np.float32) / np.float32(255))
    return colorizer.predict(Batch(torch.from_numpy(L[:, None]))).ab.permute(0, 2, 3, 1).numpy()


def samples(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Patches, and colours that follow them."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 9), dtype=np.uint8)
    grey = patches.mean(1) / 255
    return patches, np.stack([grey, grey**2, 1 - grey], 1).astype(np.float32)


@pytest.mark.parametrize("softmax", [False, True])
def test_steps_are_those_of_autograd(softmax: bool) -> None:
    patches, targets = samples(12)
    if softmax:
        targets = np.eye(3, dtype=np.float32)[targets.argmax(1)]
    mlp = Mlp(9, 20, 3, np.random.default_rng(1), softmax=softmax)
    first, second = (torch.tensor(weights, requires_grad=True) for weights in (mlp.first, mlp.second))
    mlp.learn(patches, targets, 0.1, 30, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    order = np.concatenate([rng.permutation(12) for _ in range(3)])[:30]  # three passes, the last cut short
    one = torch.ones(1, dtype=torch.float64)
    for place in order:
        x = torch.cat([torch.from_numpy(patches[place] / 255), one])
        y = second @ torch.cat([torch.sigmoid(first @ x), one])
        target = torch.from_numpy(targets[place]).double()
        loss = F.cross_entropy(y, target) if softmax else ((torch.sigmoid(y) - target) ** 2).sum()
        gradients = torch.autograd.grad(loss, (first, second))
        with torch.no_grad():
            for weights, gradient in zip((first, second), gradients, strict=True):
                weights -= 0.1 * gradient
    assert np.abs(mlp.first - first.detach().numpy()).max() < 1e-12
    assert np.abs(mlp.second - second.detach().numpy()).max() < 1e-12
    x = torch.cat([torch.from_numpy(patches / 255), torch.ones(12, 1)], 1)
    y = torch.cat([torch.sigmoid(x @ first.T), torch.ones(12, 1)], 1) @ second.T
    expected = (torch.softmax(y, 1) if softmax else torch.sigmoid(y)).detach().numpy()
    assert np.abs(mlp.predict(patches) - expected).max() < 1e-12


def test_portions_do_not_change_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    patches, targets = samples()
    results = []
    for rows in (1 << 16, 7):
        monkeypatch.setattr("colorpipe_pixel_mlp.mlp.ROWS", rows)
        rng = np.random.default_rng(0)
        mlp = Mlp(9, 20, 3, rng)
        mlp.learn(patches, targets, 0.1, 100, rng)
        results.append(mlp.predict(patches))
    assert np.abs(results[0] - results[1]).max() < 1e-12


def test_learning_lowers_the_error() -> None:
    patches, targets = samples(400)
    errors = []
    for steps in (1, 2000, 20_000):
        rng = np.random.default_rng(3)
        mlp = Mlp(9, 20, 3, rng)
        mlp.learn(patches, targets, 0.1, steps, rng)
        errors.append(((mlp.predict(patches) - targets) ** 2).sum(1).mean())
    assert errors[2] < 0.2 * errors[1] < 0.2 * 0.5 * errors[0]


@pytest.mark.parametrize("output", ["rgb", "palette"])
def test_the_largest_learning_rate_stays_finite(output: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    ab = predicted(learned(rgb, output=output, alpha=10, steps=3000), luminosity(rgb))
    assert np.isfinite(ab).all()


def test_a_palette_gives_its_own_colours_alone() -> None:
    flat = np.array([(190, 60, 50), (60, 110, 200), (240, 230, 180)], np.uint8)
    rgb = flat[np.random.default_rng(0).integers(0, 3, (8, 8))].repeat(5, 0).repeat(5, 1)
    grey = luminosity(rgb)
    ab = predicted(learned(rgb, output="palette", k=3, steps=20_000), grey)[0]
    L = color.lightness_of(grey.astype(np.float32) / np.float32(255))[..., None]
    every = tint(flat) * (L[..., None] + 16)  # (H, W, 3, 2)
    assert np.abs(every - ab[:, :, None]).max(3).min(2).max() < 1e-3
    right = np.abs(tint(rgb) * (L + 16) - ab).max(2) < 1e-3
    assert right.mean() > 0.9


@pytest.mark.parametrize("output", ["rgb", pytest.param("palette", marks=pytest.mark.slow)])
def test_half_a_photograph_colours_the_other_half(output: str) -> None:
    rgb = cv2.resize(cv2.imread(str(COFFEE))[..., ::-1], (120, 120), interpolation=cv2.INTER_AREA)
    left, right = np.ascontiguousarray(rgb[:, :60]), np.ascontiguousarray(rgb[:, 60:])
    grey = luminosity(right)
    session = Session("pixel-mlp", device="cpu", reference=lab_of(left), output=output)
    errors = [((x.astype(float) - right) ** 2).sum(2).mean() for x in (session.colorize(grey), np.dstack([grey] * 3))]
    assert errors[0] < 0.15 * errors[1]


def test_it_repeats_itself_and_the_last_reference_counts() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    greys = rng.integers(0, 256, (3, 9, 11), dtype=np.uint8)
    made = learned(first, steps=500)
    before = predicted(made, greys[1])
    assert np.array_equal(predicted(made, *greys)[1], before[0])
    made.learn(lab_of(second), CPU)
    assert not np.array_equal(predicted(made, greys[1]), before)
    assert np.array_equal(predicted(learned(first, steps=500), greys[1]), before)
    assert not np.array_equal(predicted(learned(first, steps=500, seed=1), greys[1]), before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (5, 1)])
@pytest.mark.parametrize("output", ["rgb", "palette"])
def test_a_tiny_reference_is_enough(shape: tuple[int, int], output: str) -> None:
    rgb = np.broadcast_to(np.array((200, 60, 40), np.uint8), (*shape, 3)).copy()
    a, b = np.moveaxis(predicted(learned(rgb, output=output, steps=500, patch=15), luminosity(rgb))[0], -1, 0)
    assert (a > 20).all()
    assert (b > 20).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patch": 4}, "patch is odd, not 4"),
        ({"alpha": 0}, "alpha takes a number in"),
        ({"steps": 0}, "steps takes a whole number"),
        ({"hidden": 0}, r"hidden takes a whole number in 1\.\.256"),
        ({"output": "lab"}, r"output takes a text in rgb\|palette"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        PixelMlp.Options(**options)


def test_the_command_line_learns_from_a_file(workplace: Path, cli: Cli) -> None:
    with pytest.raises(UsageError, match="pixel-mlp learns from a colour picture"):
        Session("pixel-mlp", device="cpu")
    write_grey(workplace / "photo.png", 40, 50)
    rgb = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(workplace / "colour.png"), rgb)
    words = ("run", "photo.png", "-o", "out.png", "--colorizer", "pixel-mlp", "--device", "cpu")
    status, _, told = cli(
        *words, "--reference", "colour.png", "--steps", "2000", "--pixel-mlp-output", "palette", "--k", "8"
    )
    assert status == 0, told
    assert cv2.imread("out.png").shape == (40, 50, 3)
