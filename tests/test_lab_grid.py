"""The grid classifier: its cells, its classes and their weights, its network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from colorpipe import Batch, WeightsError
from colorpipe.color import rgb_to_lab
from colorpipe.training import RunFiles, fit, save_weights
from colorpipe.training.data import Pictures, find_pictures
from colorpipe_lab_grid import LabGrid
from colorpipe_lab_grid.network import GridNetwork
from colorpipe_lab_grid.options import TrainOptions
from colorpipe_lab_grid.training import GridTask, cells, middles

COLOURS = np.uint8([[128, 120, 105], [200, 60, 50], [40, 90, 180]])
"""R, G, B of the pictures, in shares of 5:2:1."""
SHARES = np.array([5, 2, 1]) / 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures of eight stripes in three colours."""
    folder = tmp_path_factory.mktemp("pictures")
    stripes = np.repeat(COLOURS[[0, 0, 1, 0, 2, 0, 1, 0]], 32, 0)
    for index in range(20):
        cv2.imwrite(str(folder / f"{index}.png"), np.broadcast_to(stripes[:, None, ::-1], (256, 256, 3)))
    return folder


@pytest.fixture(scope="module")
def prepared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> GridTask:
    task = GridTask(TrainOptions(width=0.0625))
    task.prepare(Pictures(find_pictures(data), 256, tmp_path_factory.mktemp("map"), pytest.fail), list(range(20)))
    return task


def test_the_grid_has_224_cells_of_which_srgb_reaches_113() -> None:
    assert len(middles()) == 224
    assert torch.equal(cells(*middles().unbind(1)), torch.arange(224))
    steps = np.linspace(0, 1, 65, dtype=np.float32)
    ab = rgb_to_lab(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)).ab
    reached = cells(*torch.from_numpy(ab[0]).unbind(1))
    assert len(reached.unique()) == 113
    distance = (torch.from_numpy(ab[0]) - middles()[reached]).abs().max()
    assert distance <= 8.001  # none of them was beyond the grid


def test_unseen_cells_are_dropped_and_seen_ones_show_their_mean(prepared: GridTask) -> None:
    truth = rgb_to_lab(COLOURS[None] / np.float32(255)).ab[0]
    assert prepared.colours.shape == (3, 2)
    distances = torch.cdist(torch.from_numpy(truth), prepared.colours)
    assert distances.min(1).values.max() < 0.05
    classes = prepared.class_of[cells(*torch.from_numpy(truth).unbind(1))]
    assert torch.equal(classes, distances.argmin(1))
    nearest = torch.cdist(middles(), prepared.colours).argmin(1)
    assert (prepared.class_of != nearest).sum() <= 3  # what falls into a dropped cell goes to the nearest class


def test_rare_classes_weigh_more_and_the_expectation_is_one(prepared: GridTask) -> None:
    truth = rgb_to_lab(COLOURS[None] / np.float32(255)).ab[0]
    weights = prepared.weights[prepared.class_of[cells(*torch.from_numpy(truth).unbind(1))]].numpy()
    wanted = 1 / (0.5 * SHARES + 0.5 / 3)  # these colours are far apart: smoothing changes nothing
    np.testing.assert_allclose(weights, wanted / (SHARES * wanted).sum(), rtol=1e-3)


def test_the_loss_is_a_weighed_cross_entropy_over_places(prepared: GridTask) -> None:
    truth = torch.from_numpy(rgb_to_lab(COLOURS[None] / np.float32(255)).ab[0])
    classes = prepared.class_of[cells(*truth.unbind(1))]
    logits = torch.randn(1, 3, 1, 3)
    each = F.cross_entropy(logits[0, :, 0].T, classes, reduction="none")
    found = prepared._cross_entropy(logits, truth.T.reshape(1, 2, 1, 3))
    torch.testing.assert_close(found, (each * prepared.weights[classes]).mean())


def test_at_full_width_it_is_zhang_s_network() -> None:
    with torch.device("meta"):
        network = GridNetwork(64, 313)
    last = 2 * 313  # the published one keeps its bins as a layer
    assert sum(parameter.numel() for parameter in network.parameters()) == 32_236_011 - last


def test_logits_are_a_quarter_of_the_size() -> None:
    with torch.no_grad():
        assert GridNetwork(2, 7).eval()(torch.rand(1, 1, 64, 96) * 100).shape == (1, 7, 16, 24)


def test_the_file_tells_width_classes_and_temperature(tmp_path: Path) -> None:
    network, file = GridNetwork(3, 9), tmp_path / "w.safetensors"
    for metadata, wanted in (({"natural_T": "0.2"}, 0.2), ({}, 0.09)):
        save_weights(file, network.state_dict(), metadata)
        colorizer = LabGrid()
        colorizer.network = colorizer.build(file)
        with torch.no_grad():
            found = colorizer.predict(Batch(torch.full((1, 1, 256, 256), 50.0)))
        assert found.logits.shape == (1, 9, 64, 64)
        assert found.natural_T == wanted
    save_weights(file, network.state_dict(), {"natural_T": "hot"})
    with pytest.raises(WeightsError, match="natural_T = hot"):
        LabGrid().build(file)


def test_both_checkpoints_are_kept(data: Path, tmp_path: Path) -> None:
    small = TrainOptions(steps=2, batch=2, side=32, final_side=32, validate_every=1, device="cpu", width=0.0625)
    fit(GridTask(small), data, tmp_path / "w.safetensors")
    for file in (tmp_path / "w.safetensors", RunFiles(tmp_path / "w.safetensors").best):
        assert LabGrid().build(file) is not None
