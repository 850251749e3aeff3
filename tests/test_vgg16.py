"""VGG-16 as a measure: the network to the key, what it is fed, and what is told of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from colorpipe import Encoding, Frame, PluginError, UsageError, WeightsError
from colorpipe.plugins.host import PluginHost
from colorpipe.weights.store import ModelStore
from colorpipe_vgg16 import VGG16, colorpipe_models
from colorpipe_vgg16 import network as networks

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Places of torchvision's convolutions in ``features``."""
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


def tensors() -> dict[str, torch.Tensor]:
    """The official keys and shapes, random; rows overlap in memory, so that a file of them is small."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, gain: float) -> torch.Tensor:
        strides = (5, 1, 7, 11)[: len(shape)]
        length = 1 + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
        values = torch.randn(length, generator=generator) * gain / np.prod(shape[1:], dtype=float) ** 0.5
        return values.as_strided(shape, strides)

    made = {}
    for place, (inputs, outputs) in zip(CONVOLUTIONS, itertools.pairwise(CHANNELS), strict=True):
        made[f"features.{place}.weight"] = random(outputs, inputs, 3, 3, gain=1.4)
        made[f"features.{place}.bias"] = random(outputs, gain=0.1)
    for place, inputs, outputs, gain in ((0, 25088, 4096, 1.4), (3, 4096, 4096, 1.4), (6, 4096, 1000, 0.01)):
        made[f"classifier.{place}.weight"] = random(outputs, inputs, gain=gain)
        made[f"classifier.{place}.bias"] = random(outputs, gain=0.1)
    return made


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vgg16") / "vgg16.pth"
    torch.save(tensors(), file)
    assert file.stat().st_size < 1e6
    return file


@pytest.fixture(scope="module")
def evaluator(weights: Path) -> VGG16:
    names = weights.with_name("names.txt")
    names.write_text("\n".join(f"thing {index}" for index in range(1000)) + "\n")
    made = VGG16(VGG16.Options(names=names))
    made.build(weights)
    return made


def picture(height: int = 300, width: int = 420, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 6, 3)).astype(np.uint8))
    rgb = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return Frame(rgb[..., 1].copy(), Encoding("rgb", 8), colour=tuple(np.moveaxis(rgb, -1, 0).copy()))


# --- the network ------------------------------------------------------------------------------------------------------


def test_parameters_are_torchvisions() -> None:
    with torch.device("meta"):
        made = networks.VGG16()
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    assert shapes == {name: tuple(value.shape) for name, value in tensors().items()}
    assert sum(value.numel() for value in made.parameters()) == 138_357_544


@pytest.mark.parametrize(("height", "width"), [(300, 420), (333, 250), (256, 256), (100, 90), (2, 2), (900, 256)])
def test_the_view_is_pillows_resize_and_crop(height: int, width: int) -> None:
    frame = picture(height, width)
    assert frame.colour is not None
    short = min(height, width)
    size = (int(256 * width / short), int(256 * height / short))
    resized = Image.fromarray(np.dstack(frame.colour)).resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - 224) / 2) for side in size)
    crop = np.asarray(resized)[top : top + 224, left : left + 224] / 255.0
    theirs = (crop - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    found = networks.view(frame).permute(1, 2, 0).numpy()
    assert np.abs(found - theirs).max() < 0.02  # Pillow rounds to codes in between: half a code is 0.0087


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 2)])
def test_the_view_of_odd_pictures(shape: tuple[int, int]) -> None:
    frame = Frame(np.full(shape, 40000, np.uint16), Encoding("rgb", 16))
    found = networks.view(frame)
    assert found.shape == (3, 224, 224)
    assert torch.allclose(found[0], torch.tensor((40000 / 65535 - 0.485) / 0.229), atol=1e-4)


# --- the scores -------------------------------------------------------------------------------------------------------


def configuration_d(x: torch.Tensor) -> torch.Tensor:
    """The paper's table 1 written out: 2, 2, 3, 3, 3 convolutions, each group followed by a 2x2 maximum."""
    given = tensors()
    for place in CONVOLUTIONS:
        x = F.conv2d(x, given[f"features.{place}.weight"], given[f"features.{place}.bias"], padding=1).relu()
        x = F.max_pool2d(x, 2) if place in (2, 7, 14, 21, 28) else x
    x = x.flatten(1)
    for place in (0, 3, 6):
        x = F.linear(x, given[f"classifier.{place}.weight"], given[f"classifier.{place}.bias"])
        x = x if place == 6 else x.relu()
    return x


def test_scores_are_the_probabilities_of_the_classes_seen(evaluator: VGG16) -> None:
    truth, other = picture(), picture(seed=3)
    views = [networks.view(frame) for frame in (truth, other, replace(truth, colour=None))]
    seen = configuration_d(torch.stack(views)).softmax(1).numpy()
    best = [int(index) for index in seen.argmax(1)]
    assert best[0] != best[1], "the pictures do not look different to these weights"
    assert 0.1 < seen.max(1).min() < seen.max(1).max() < 0.95

    same = evaluator.update(truth, truth)
    assert same["vgg16-agreement"] == 1
    for name in ("confidence", "truth-class", "original-confidence"):
        assert same[f"vgg16-{name}"] == pytest.approx(seen[0].max(), rel=1e-3)
    different = evaluator.update(other, truth)
    assert different["vgg16-agreement"] == 0
    assert different["vgg16-confidence"] == pytest.approx(seen[1].max(), rel=1e-3)
    assert different["vgg16-truth-class"] == pytest.approx(seen[1, best[0]], rel=1e-3)
    assert different["vgg16-grey-agreement"] == (best[2] == best[0])
    assert different["vgg16-grey-confidence"] == pytest.approx(seen[2].max(), rel=1e-3)
    assert different["vgg16-grey-truth-class"] == pytest.approx(seen[2, best[0]], rel=1e-3)
    assert evaluator.remarks() == {
        "class": f"{best[1]} thing {best[1]}",
        "class of the truth": f"{best[0]} thing {best[0]}",
        "class of grey": f"{best[2]} thing {best[2]}",
    }
    total = evaluator.finish()
    assert set(total) == set(VGG16.higher_is_better)
    assert total == pytest.approx({name: (same[name] + different[name]) / 2 for name in total})
    assert evaluator.finish() == {}


def test_class_names_are_a_thousand_lines(weights: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("basset\n")
    with pytest.raises(UsageError, match=r"names\.txt has 1 lines, not 1000"):
        VGG16(VGG16.Options(names=names)).build(weights)
    with pytest.raises(UsageError, match="cannot read the class names"):
        VGG16(VGG16.Options(names=tmp_path / "nowhere")).build(weights)


# --- the weights ------------------------------------------------------------------------------------------------------


def test_without_weights_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no weights.*build"):
        VGG16().update(picture(), picture())
    store = ModelStore({model.name: model for model in colorpipe_models()}, tmp_path)
    with pytest.raises(WeightsError, match="the weights vgg16 are not on this machine") as caught:
        store.resolve(None, VGG16)
    for way in ("models pull vgg16", "models import vgg16 FILE", "vgg16:weights=FILE"):
        assert way in caught.value.hint


def test_a_file_is_taken_and_other_networks_are_not(weights: Path, tmp_path: Path) -> None:
    store = ModelStore(PluginHost.load().models, tmp_path)
    found = store.resolve(str(weights), VGG16)
    assert found is not None
    assert found.path == weights
    with pytest.raises(UsageError, match="eccv16 are zhang's, not vgg16's"):
        store.resolve("eccv16", VGG16)
    with pytest.raises(UsageError, match="vgg16's weights: vgg16"):
        store.resolve("nowhere", VGG16)
    file = tmp_path / "part.pth"
    torch.save({name: value for name, value in tensors().items() if "classifier.6" not in name}, file)
    with pytest.raises(WeightsError, match=r"part\.pth as vgg16: keys differ: 2 missing \(classifier\.6\.weight"):
        VGG16().build(file)


def test_the_registered_address_carries_the_hash() -> None:
    (model,) = colorpipe_models()
    assert f"-{model.sha256[:8]}." in model.url  # as torch.hub checks it
    assert len(model.sha256) == 64
