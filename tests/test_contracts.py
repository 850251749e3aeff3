"""Every installed plugin keeps to the conformance suite of its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from colorpipe.plugins.host import PluginHost
from colorpipe.testing import SUITES, ColorizerSuite
from colorpipe_fcn import training as fcn_training

HOST = PluginHost.load()


class Small(ColorizerSuite):
    """Pictures a quarter as wide as the network's own: it takes any size, and 256 costs seconds a picture."""

    def pictures(self, count: int) -> torch.Tensor:
        return super().pictures(count)[..., ::4, ::4].contiguous()


@pytest.fixture(autouse=True, scope="module")
def few_steps() -> Iterator[None]:
    """What is looked at here is the same after a tenth of fcn's steps of learning."""
    learn = fcn_training.learn

    def short(reference: Any, size: Any, options: Any, device: Any) -> Any:
        return learn(reference, size, dataclasses.replace(options, epochs=options.epochs // 10), device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcn_training, "learn", short)
        yield


def _suites() -> dict[str, type]:
    made = {}
    for row in HOST.rows:
        if row.cls is not None:
            name = f"Test_{row.kind}_{row.name.replace('-', '_')}"
            suite = Small if row.name == "siggraph17" else SUITES[row.kind]
            made[name] = type(name, (suite,), {"plugin": row.cls, "host": HOST, "__module__": __name__})
    return made


globals().update(_suites())


def test_no_installed_plugin_is_broken() -> None:
    assert [row for row in HOST.rows if row.error] == []


def test_each_kind_of_first_party_plugin_is_installed() -> None:
    names = {row.name for row in HOST.rows}
    assert names >= {"zhang", "siggraph17", "annealed-mean", "mode", "mean", "greyscale", "resize", "pad-square"}
    assert names >= {"denoise", "autocontrast"}
