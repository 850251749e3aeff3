"""What several tests need: plugins made on the spot, and small pictures."""

from __future__ import annotations

import types
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from colorpipe.plugins.hookspecs import hookimpl
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Colorizer
from colorpipe.types import Batch, Chroma, Lab

if TYPE_CHECKING:
    import torch


class Painter(Colorizer):
    """Chroma that depends on the lightness alone, so that a result can be told in advance."""

    name = "painter"
    summary = "a follows the lightness, b its opposite"
    licence = "Apache-2.0"

    def predict(self, batch: Batch) -> Chroma:
        import torch

        return Chroma(torch.cat([batch.L * 0.3 - 15, 15 - batch.L * 0.3], 1))


class Learner(Painter):
    """The mean colour of what it learned from, and it must have learned."""

    name = "learner"
    learns_from_reference = True
    made: ClassVar[list[weakref.ref[Learner]]] = []
    """Those that learned, one entry for each time."""

    def learn(self, reference: Lab, device: torch.device) -> None:
        import torch

        assert reference.ab is not None
        self.made.append(weakref.ref(self))
        self.mean = torch.from_numpy(reference.ab.mean((0, 1)))

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(self.mean.view(1, 2, 1, 1).expand(len(batch), 2, 4, 4))


def plugin(colorizers: Iterable[type[Colorizer]] = (), **hooks: Any) -> Any:
    """A plugin module with these classes."""
    module = types.ModuleType("throwaway")
    module.colorpipe_colorizers = hookimpl(lambda: list(colorizers))  # type: ignore[attr-defined]
    for name, classes in hooks.items():
        setattr(module, name, hookimpl(lambda classes=classes: list(classes)))
    return module


def host_with(*colorizers: type[Colorizer]) -> PluginHost:
    """The installed plugins and these."""
    host = PluginHost.load()
    host.register(plugin(colorizers), name="throwaway", source="the test")
    return host


def write_grey(path: Path, height: int = 48, width: int = 64, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    """A smooth random grey picture, written by OpenCV; returns its codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).random((6, 8)).astype(np.float32)
    grey = np.clip(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    codes = (grey * np.iinfo(dtype).max).astype(dtype)
    assert cv2.imwrite(str(path), codes)
    return codes
