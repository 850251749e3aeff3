"""The palette classifier: its palette, its two heads, its padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from colorpipe import Batch, TrainingError
from colorpipe.training import save_weights
from colorpipe_palette_cnn import PaletteCNN
from colorpipe_palette_cnn.network import ConvHead, DenseHead, PaletteNetwork
from colorpipe_palette_cnn.options import TrainOptions
from colorpipe_palette_cnn.training import PaletteTask, palette_of


def built(head: torch.nn.Module, colours: int, folder: Path, side: int = 64) -> PaletteCNN:
    """The plugin with a file of this head's."""
    network = PaletteNetwork(head, colours)
    network.palette.copy_(torch.randn(colours, 2).mul(30).half())
    save_weights(folder / "w.safetensors", network.state_dict(), {"side": str(side)})
    colorizer = PaletteCNN()
    colorizer.network = colorizer.build(folder / "w.safetensors")
    return colorizer


def test_the_palette_finds_clusters() -> None:
    rng = np.random.default_rng(0)
    middles = np.float32([[0, 0], [40, 30], [-30, 40], [10, -50]])
    colours = (middles[rng.integers(0, 4, 4000)] + rng.normal(0, 2, (4000, 2))).astype(np.float32)
    palette = palette_of(colours, 4, seed=0)
    distances = np.linalg.norm(palette[:, None] - middles, axis=-1)
    assert sorted(distances.argmin(1).tolist()) == [0, 1, 2, 3]
    assert distances.min(1).max() < 0.5
    assert np.array_equal(palette_of(colours, 4, seed=0), palette)


@pytest.mark.parametrize("head", [DenseHead(2, 5), ConvHead(5)], ids=["dense", "conv"])
def test_a_file_tells_its_head_and_sizes(head: torch.nn.Module, tmp_path: Path) -> None:
    colorizer = built(head, 5, tmp_path)
    assert isinstance(colorizer.network, PaletteNetwork)
    assert type(colorizer.network.head) is type(head)
    with torch.no_grad():
        found = colorizer.predict(Batch(torch.rand(2, 1, 40, 64) * 100))
    assert found.logits.shape == (2, 5, 40, 64)
    assert torch.equal(found.bins, colorizer.network.palette)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 64), (64, 33), (1, 1)])
def test_the_network_sees_the_picture_in_the_middle_of_a_white_square(height: int, width: int, tmp_path: Path) -> None:
    colorizer = built(DenseHead(2, 3), 3, tmp_path)
    L = torch.rand(1, 1, height, width) * 100
    square = torch.full((1, 1, 64, 64), 100.0)
    top, left = (64 - height) // 2, (64 - width) // 2
    square[..., top : top + height, left : left + width] = L
    assert colorizer.network is not None
    with torch.no_grad():
        wanted = colorizer.network(square)[..., top : top + height, left : left + width]
        torch.testing.assert_close(colorizer.predict(Batch(L)).logits, wanted)


def test_the_convolutional_head_may_be_trained_at_another_size(tmp_path: Path) -> None:
    colorizer = built(ConvHead(3), 3, tmp_path, side=128)
    assert colorizer.input_size.limit == 128
    with torch.no_grad():
        assert colorizer.predict(Batch(torch.rand(1, 1, 128, 90) * 100)).logits.shape == (1, 3, 128, 90)
        for height, width in ((1, 1), (7, 30)):
            assert PaletteNetwork(ConvHead(3), 3)(torch.rand(1, 1, height, width)).shape == (1, 3, height, width)
    assert PaletteCNN.input_size.limit == 64


def test_the_reported_layers_have_a_thousand_million_parameters() -> None:
    with torch.device("meta"):
        network = PaletteNetwork(DenseHead(4096, 32), 32)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_073_877_312


def test_the_dense_head_has_one_size() -> None:
    with pytest.raises(TrainingError, match="takes --side 64, not 96"):
        PaletteTask(TrainOptions(side=96, final_side=96))
    with pytest.raises(TrainingError, match="one size"):
        PaletteTask(TrainOptions(head="conv", side=64, final_side=96))
    PaletteTask(TrainOptions(head="conv", side=96, final_side=96))


def test_the_loss_is_the_cross_entropy_of_the_nearest_colour() -> None:
    task = PaletteTask(TrainOptions(head="conv", colours=3))
    task.palette = torch.tensor([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    network = task.network()
    ab = torch.tensor([[35.0, 4.0], [1.0, 2.0]]).T.reshape(1, 2, 1, 2)
    logits = torch.randn(1, 3, 1, 2)
    wanted = F.cross_entropy(logits[0, :, 0].T, torch.tensor([1, 0]))
    torch.testing.assert_close(task._cross_entropy(network, logits, ab), wanted)
