"""The plugin contract's number: stated, checked, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from colorpipe.plugins import contract
from colorpipe.plugins.host import PluginHost
from tests.conftest import TINT, Cli
from tests.helpers import Painter, plugin


def stating(number: object) -> PluginHost:
    module = plugin([Painter])
    module.colorpipe_contract = number
    host = PluginHost()
    host.register(module, name="painter", source="test")
    return host


def test_the_contract_that_we_have_is_accepted() -> None:
    assert stating(contract.CONTRACT).colorizer("painter") is Painter


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        (contract.CONTRACT + 1, f"has {contract.CONTRACT}: update colorpipe"),
        (contract.OLDEST_CONTRACT - 1, "update the plugin"),
        ("1", "a whole number, such as 1, not '1'"),
        (True, "not True"),
        (1.5, "not 1.5"),
    ],
)
def test_another_contract_is_refused_with_what_to_do(stated: object, reason: str) -> None:
    host = stating(stated)
    assert reason in host.rows[0].error
    assert host.classes("colorizer") == {}


def test_older_contracts_that_are_kept_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "CONTRACT", 4)
    monkeypatch.setattr(contract, "OLDEST_CONTRACT", 3)
    assert stating(3).rows[0].error == ""
    assert "keeps 3 to 4: update the plugin" in stating(2).rows[0].error


def test_a_person_reads_it_in_the_list_of_plugins(cli: Cli, workplace: Path) -> None:
    Path("later.py").write_text(f"colorpipe_contract = 99\n{TINT}")
    status, out, _ = cli("plugins", "list", "--plugin", "later.py")
    assert status == 0
    (row,) = [line for line in out.splitlines() if "contract 99" in line or line.startswith("later")]
    assert "broken" in row
    status, _, told = cli("run", "photo.jpg", "--plugin", "later.py", "--colorizer", "tint")
    assert status == 2
    assert "for plugin contract 99" in told


def test_a_name_that_another_colorpipe_has_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "newer.py"
    file.write_text("from colorpipe import HolographicColorizer\n")
    (row,) = [row for row in PluginHost.load([file]).rows if row.error]
    assert "HolographicColorizer" in row.error
    assert "the plugin may be for another version" in row.error
