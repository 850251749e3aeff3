"""The GAN and the VAE: the network and its start, what is trained against what, draws, and the bundled weights."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from colorpipe import Session, WeightsError, training
from colorpipe.cli.app import main
from colorpipe_generative import Gan, Vae
from colorpipe_generative.network import LATENT, Judge, UNet, load_encoder, noise
from colorpipe_generative.options import GanOptions, VaeOptions
from colorpipe_generative.training import FROZEN, GanTask, VaeTask

pytest.importorskip("lightning")

SAMPLES = Path(__file__).parents[1] / "samples"
SMALL: dict[str, Any] = {
    "steps": 4,
    "batch": 2,
    "side": 32,
    "final_side": 32,
    "validate_every": 2,
    "device": "cpu",
    "precision": "fp32",
}


def gan_task(**changes: Any) -> GanTask:
    return GanTask(GanOptions(**{**SMALL, **changes}))


def vae_task(**changes: Any) -> VaeTask:
    return VaeTask(VaeOptions(**{**SMALL, **changes}))


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (GanTask, VaeTask):
        monkeypatch.setattr(task, "picture_side", 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 small pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(20):
        coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index:02d}.png"), cv2.resize(coarse, (60, 40), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published shapes, with random weights in the published range."""
    rng = np.random.default_rng(1)
    arrays = {"conv1/w": rng.normal(0, 0.05, (64, 3, 3, 3)), "conv1/b": rng.normal(0, 1, 64)}
    inputs = 64
    for number, (squeezed, outputs) in enumerate(
        [(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2, 2
    ):
        for name, shape in {
            "squeeze1x1": (squeezed, inputs, 1, 1),
            "expand1x1": (outputs, squeezed, 1, 1),
            "expand3x3": (outputs, squeezed, 3, 3),
        }.items():
            arrays[f"fire{number}/{name}/w"] = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
            arrays[f"fire{number}/{name}/b"] = rng.normal(0, 1, shape[0])
        inputs = 2 * outputs
    file = tmp_path_factory.mktemp("encoder") / "squeezenet.npz"
    np.savez(file, **{name: values.astype(np.float16) for name, values in arrays.items()})  # type: ignore[arg-type]
    return file


def log(output: Path) -> list[dict[str, str]]:
    with training.RunFiles(output).log.open() as handle:
        return list(csv.DictReader(handle))


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, LATENT])
@pytest.mark.parametrize(("height", "width"), [(224, 224), (32, 48)])
def test_ab_comes_at_a_quarter_of_the_size(size: int, height: int, width: int) -> None:
    network = UNet(size).eval()
    assert sum(p.numel() for p in network.parameters()) <= 1.5e6, "3 MB in fp16"
    drawn = torch.randn(2, size) if size else None
    with torch.no_grad():
        ab = network(torch.rand(2, 1, height, width) * 100, drawn)
    assert ab.shape == (2, 2, height // 4, width // 4)
    assert ab.abs().max() <= 110


def test_a_gradient_reaches_every_parameter() -> None:
    network = UNet(LATENT)
    network(torch.rand(2, 1, 64, 64) * 100, torch.randn(2, LATENT)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


def test_the_encoder_sees_what_squeezenet_saw(squeezenet: Path) -> None:
    """Grey through the published arrays, three channels and their means: 32 times what ours gives."""
    network = UNet()
    load_encoder(network, squeezenet)
    grey = torch.rand(1, 1, 64, 64) * 255
    with np.load(squeezenet) as archive:
        arrays = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.files}
    means = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    padded = F.pad(grey, (1, 1, 1, 1), value=127.5).expand(1, 3, 66, 66) - means
    x = F.relu(F.conv2d(padded, arrays["conv1/w"], arrays["conv1/b"], 2))
    taps = []
    for number in range(2, 10):
        if number in (2, 4, 6):
            taps.append(x)
            x = F.max_pool2d(x, 3, 2, padding=1)
        one, three = (
            (arrays[f"fire{number}/expand{k}x{k}/w"], arrays[f"fire{number}/expand{k}x{k}/b"]) for k in (1, 3)
        )
        x = F.relu(F.conv2d(x, arrays[f"fire{number}/squeeze1x1/w"], arrays[f"fire{number}/squeeze1x1/b"]))
        x = F.relu(torch.cat([F.conv2d(x, *one), F.conv2d(x, *three, padding=1)], 1))
    with torch.no_grad():
        found = network.features(grey / 255 * 100)
    for ours, theirs in zip(found, [*taps[1:], x], strict=True):
        torch.testing.assert_close(ours * 32, theirs, rtol=1e-3, atol=1e-2 * float(theirs.max()))


def test_another_networks_encoder_is_refused(squeezenet: Path, tmp_path: Path) -> None:
    with np.load(squeezenet) as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "other.npz", **{**arrays, "fire5/expand3x3/w": np.zeros((128, 32, 1, 1), np.float32)})
    with pytest.raises(WeightsError, match=r"other\.npz: fire5/expand3x3 is \(128, 32, 1, 1\), not \(128, 32, 3, 3\)"):
        load_encoder(UNet(), tmp_path / "other.npz")
    np.savez(tmp_path / "short.npz", **{name: arrays[name] for name in ("conv1/w", "conv1/b")})
    with pytest.raises(WeightsError, match=r"short\.npz.*fire2"):
        load_encoder(UNet(), tmp_path / "short.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(WeightsError, match=r"text\.npz"):
        load_encoder(UNet(), tmp_path / "text.npz")


def test_draws_are_numbered_and_normal() -> None:
    assert torch.equal(noise(0), torch.zeros(1, LATENT))
    before = torch.get_rng_state()
    assert torch.equal(noise(3), noise(3))
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator is left alone"
    draws = torch.cat([noise(number) for number in range(1, 400)])
    assert len(draws.unique(dim=0)) == 399
    assert abs(float(draws.mean())) < 0.05
    assert abs(float(draws.std()) - 1) < 0.05


# --- what is trained --------------------------------------------------------------------------------------------------


def batch() -> tuple[Tensor, Tensor]:
    """L and ab of three pictures."""
    return torch.rand(3, 1, 32, 32) * 100, torch.randn(3, 2, 8, 8) * 20


def test_the_gans_losses_are_bce_and_squared_error() -> None:
    network, (L, ab) = gan_task().network(), batch()
    assert isinstance(network, nn.ModuleDict)
    with torch.no_grad():
        painted = network["unet"](L)
        real, fake = network["judge"](L, ab), network["judge"](L, painted)
    error = ((painted - ab) / 20).square().mean()
    told_apart = -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()) / 2
    for weight in (0.0, 0.1, 2.0):
        discriminator, generator = gan_task(adversarial=weight).losses(network, L, ab, 0)
        torch.testing.assert_close(discriminator, told_apart, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(generator, error - weight * fake.sigmoid().log().mean(), rtol=1e-4, atol=1e-5)


def test_each_turn_teaches_one_of_the_two() -> None:
    """The discriminator's turn reaches no generator; the generator's step moves no discriminator."""
    task = gan_task()
    network, (L, ab) = task.network(), batch()
    assert isinstance(network, nn.ModuleDict)
    judge, generator = task.optimizers(network)
    owned = [{id(p) for group in optimizer.param_groups for p in group["params"]} for optimizer in (judge, generator)]
    assert owned == [{id(p) for p in network[name].parameters()} for name in ("judge", "unet")]
    assert judge.defaults["betas"] == generator.defaults["betas"] == (0.5, 0.999)
    losses = task.losses(network, L, ab, 0)
    next(losses).backward()
    assert all(p.grad is None for p in network["unet"].parameters())
    assert all(p.grad is not None for p in network["judge"].parameters())


@pytest.mark.filterwarnings("ignore:.*autocast")
def test_the_generator_answers_the_discriminator_of_this_step() -> None:
    """The generator must not be shown the discriminator's weights from before its step. Lightning's autocast keeps none
    (test_training.py looks at the loop); plain autocast would."""
    task = gan_task(adversarial=1.0)
    network, (L, ab) = task.network(), batch()
    assert isinstance(network, nn.ModuleDict)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        losses = task.losses(network, L, ab, 0)
        next(losses).backward()
        with torch.no_grad():
            for parameter in network["judge"].parameters():
                parameter.zero_()
        found = next(losses)
        error = ((network["unet"](L) - ab) / 20).square().mean()
    torch.testing.assert_close(found - error, torch.tensor(2.0).log(), rtol=0, atol=1e-2)


def test_the_vaes_loss_is_squared_error_and_the_latent_kl() -> None:
    network, (L, ab) = vae_task().network(), batch()
    assert isinstance(network, nn.ModuleDict)
    unet = network["unet"]
    with torch.no_grad():
        expected, log_spread = unet.expect(unet.features(L))
        prior = torch.distributions.Normal(expected, (log_spread / 2).exp())
        mean, log_variance = network["posterior"](L, ab).mean((2, 3)).chunk(2, 1)
        posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
        kl = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
        torch.manual_seed(5)
        z = posterior.loc + posterior.scale * torch.randn_like(mean)
        error = ((unet.decode(unet.features(L), z) - ab) / 20).square().mean()
        for step, share in ((0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0)):
            torch.manual_seed(5)
            found = vae_task(kl=0.3, kl_steps=10).loss(network, L, ab, step)
            torch.testing.assert_close(found, error + 0.3 * share * kl, rtol=1e-4, atol=1e-5)


def test_scores_are_over_the_true_lightness() -> None:
    """The truth itself: no error; a network that leaves grey: no gain, no chroma."""
    rgb = np.tile(np.array([[200, 90, 60]], np.uint8), (32, 32, 1))[None]
    true = cv2.cvtColor(rgb[0].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0, 1:]

    class Told(GanTask):
        def paint(self, unet: Any, L: Tensor) -> Any:
            return self.told.expand(len(L), 2, 8, 8), {}  # type: ignore[attr-defined]

    task = Told(GanOptions(**SMALL))
    network = task.network()
    task.told = torch.from_numpy(true).view(1, 2, 1, 1)  # type: ignore[attr-defined]
    scores = task.validate(network, torch.from_numpy(rgb))
    assert scores["loss"] < 1e-3
    assert scores["gain"] > 25
    assert scores["vivid"] == pytest.approx(1, abs=0.01)
    task.told = torch.zeros(1, 2, 1, 1)  # type: ignore[attr-defined]
    scores = task.validate(network, torch.from_numpy(rgb))
    assert scores["loss"] == pytest.approx(np.square(true / 20).mean(), rel=0.01)
    assert scores["gain"] == pytest.approx(0, abs=1e-6)
    assert scores["vivid"] == 0


@pytest.mark.parametrize(("make", "name"), [(gan_task, "gan"), (vae_task, "vae")])
def test_a_trained_file_runs_and_an_interrupted_run_goes_on(
    make: Any, name: str, data: Path, squeezenet: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    training.fit(make(encoder=squeezenet), data, whole)
    rows = log(whole)
    assert [row["step"] for row in rows if row["val_gain"]] == ["0", "2", "4"]
    if name == "gan":
        assert all(float(row["loss_discriminator"]) > 0 for row in rows if row.get("loss"))
    else:
        assert all(float(row["val_spread"]) > 0 for row in rows if row["val_spread"])

    start = UNet()
    load_encoder(start, squeezenet)
    with safe_open(whole, "pt") as file:
        assert set(file.keys()) == set(UNet(LATENT if name == "vae" else 0).state_dict())  # the U-Net alone
        assert file.metadata()["architecture"] == f"colorpipe-{name}"
        for index, layer in enumerate([start.stem, *start.fires]):
            prefix = "stem" if index == 0 else f"fires.{index - 1}"
            same = all(
                torch.equal(file.get_tensor(f"{prefix}.{key}"), value.half())
                for key, value in layer.state_dict().items()
            )
            assert same == (index < FROZEN), prefix

    interrupted = make(encoder=squeezenet, checkpoint_minutes=0)
    own = interrupted.losses

    def dies(network: nn.Module, L: Tensor, ab: Tensor, step: int) -> Iterator[Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return own(network, L, ab, step)

    interrupted.losses = dies
    with pytest.raises(KeyboardInterrupt):
        training.fit(interrupted, data, cut)
    training.fit(make(encoder=squeezenet, resume=True), data, cut)
    curves = [[(row["step"], row["loss"]) for row in log(output)] for output in (whole, cut)]
    assert curves[0] == curves[1]
    with safe_open(whole, "pt") as a, safe_open(cut, "pt") as b:
        assert all(torch.equal(a.get_tensor(key), b.get_tensor(key)) for key in a.keys())  # noqa: SIM118

    grey = np.random.default_rng(2).integers(0, 256, (40, 50), np.uint8)
    assert Session(name, weights=cut, device="cpu", precision="fp32").colorize(grey).shape == (40, 50, 3)


@pytest.mark.parametrize("make", [gan_task, vae_task])
def test_a_preprocessor_is_what_it_learns_through(make: Any, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "averaged.safetensors"
    task = make(steps=2, preprocessor="superpixels")
    training.fit(task, data, output)
    with safe_open(output, "pt") as file:
        assert '"preprocessor": "superpixels"' in file.metadata()["training"]
    torch.manual_seed(0)
    network, rgb = task.network(), torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        averaged = task.validate(network, rgb)
        task.view = None
        assert task.validate(network, rgb)["loss"] != averaged["loss"]


# --- weights ----------------------------------------------------------------------------------------------------------


def test_one_methods_weights_are_not_the_others(tmp_path: Path) -> None:
    for size, method, other in ((LATENT, Gan, "vae"), (0, Vae, "gan")):
        file = tmp_path / f"{other}.safetensors"
        training.save_weights(file, UNet(size).state_dict(), {})
        with pytest.raises(WeightsError, match=f"holds the weights of {other}") as caught:
            method().build(file)
        assert caught.value.hint == f"use --colorizer {other}"
    tensors = dict(UNet().state_dict())
    tensors["refine16.weight"] = tensors["refine16.weight"][:, :1]
    training.save_weights(tmp_path / "odd.safetensors", tensors, {})
    with pytest.raises(WeightsError, match=r"odd\.safetensors as gan: .*refine16\.weight is \(160, 1, 3, 3\)"):
        Gan().build(tmp_path / "odd.safetensors")
    training.save_weights(tmp_path / "judge.safetensors", Judge().state_dict(), {})
    with pytest.raises(WeightsError, match="missing"):
        Gan().build(tmp_path / "judge.safetensors")
    with pytest.raises(WeightsError, match="gan needs weights"):
        Gan().build(None)


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_the_bundled_weights_know_sky_from_skin(name: str) -> None:
    session = Session(name, device="cpu", precision="fp32")

    def colour(sample: str, rows: slice) -> Any:
        """Mean ab of some rows."""
        rgb = session.colorize(SAMPLES / sample)
        return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[rows, :, 1:].mean((0, 1))

    sky, skin = colour("buffalo-niagara-street-1908.jpg", slice(150)), colour("migrant-mother-1936.jpg", slice(None))
    assert sky[1] < -3, "blue"
    assert skin[0] > 3, "reddish"
    assert skin[1] > 5, "yellowish"


def test_samples_differ_and_repeat(tmp_path: Path) -> None:
    photo = SAMPLES / "colour" / "coffee.jpg"

    def painted(sample: int) -> Any:
        rgb = Session("vae", device="cpu", precision="fp32", sample=sample).colorize(photo)
        return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]

    mean, one, two = (painted(sample) for sample in (0, 1, 2))
    assert np.array_equal(two, painted(2))
    for a, b in ((mean, one), (one, two)):
        assert np.hypot(*np.moveaxis(a - b, 2, 0)).mean() > 2, "to be seen, two colourings differ by 2 units or more"


def test_the_command_line_takes_a_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.tile(np.arange(0, 240, 5, dtype=np.uint8), (40, 1)))
    for sample in ("0", "3"):
        words = ["run", str(tmp_path / "grey.png"), "-o", str(tmp_path / f"{sample}.png"), "--colorizer", "vae"]
        assert main([*words, "--sample", sample, "--precision", "fp32", "-q"]) == 0
    assert (cv2.imread(str(tmp_path / "0.png")) != cv2.imread(str(tmp_path / "3.png"))).any()
    assert main([*words, "--sample", "-1"]) == 2
    assert "sample" in capsys.readouterr().err
