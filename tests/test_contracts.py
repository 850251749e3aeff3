"""Every installed plugin keeps to the conformance suite of its kind."""

from __future__ import annotations

from colorpipe.plugins.host import PluginHost
from colorpipe.testing import SUITES

HOST = PluginHost.load()


def _suites() -> dict[str, type]:
    made = {}
    for row in HOST.rows:
        if row.cls is not None:
            name = f"Test_{row.kind}_{row.name.replace('-', '_')}"
            made[name] = type(name, (SUITES[row.kind],), {"plugin": row.cls, "host": HOST, "__module__": __name__})
    return made


globals().update(_suites())


def test_no_installed_plugin_is_broken() -> None:
    assert [row for row in HOST.rows if row.error] == []


def test_each_kind_of_first_party_plugin_is_installed() -> None:
    names = {row.name for row in HOST.rows}
    assert names >= {"zhang", "siggraph17", "annealed-mean", "mode", "mean", "greyscale", "resize", "pad-square"}
    assert names >= {"denoise", "autocontrast"}
