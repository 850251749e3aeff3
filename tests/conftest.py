"""What several test files share as fixtures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Tests are about torch's results unless they ask for another engine: a trial takes seconds in each fresh cache.
os.environ.setdefault("COLORPIPE_ENGINE", "torch")

TINT = """
from dataclasses import dataclass

import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl, option


class Tint(Colorizer):
    name = "tint"
    summary = "one hue for all"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(20.0, "chroma, CIE units", min=0, max=60)
        quality: int = option(3, "has the name of a flag of the core", min=1, max=5)
        cool: bool = option(False, "blue, not orange")

    def predict(self, batch):
        import torch

        sign = -1 if self.options.cool else 1
        return Chroma(torch.full((len(batch), 2, 4, 4), sign * self.options.strength))


@hookimpl
def colorpipe_colorizers():
    return [Tint]
"""


@pytest.fixture
def tint(tmp_path: Path) -> Path:
    """A whole plugin in a file: the colorizer ``tint``, without a network."""
    file = tmp_path / "plugins" / "tint.py"
    file.parent.mkdir()
    file.write_text(TINT)
    return file


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder and an empty cache of weights."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    return folder


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line; gives exit status, stdout and stderr."""
    from colorpipe.cli.app import main

    monkeypatch.setenv("COLUMNS", "120")

    def call(*words: str | Path) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        told = capfd.readouterr()
        return status, told.out, told.err

    return call
