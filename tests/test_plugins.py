from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from colorpipe import UsageError, hookimpl
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Colorizer
from tests.helpers import Painter, plugin

BROKEN = {
    "misspelt": ("from colorpipe import hookimpl\n@hookimpl\ndef colorpipe_colorizer():\n    return []\n",
                 "unknown hook 'colorpipe_colorizer'"),
    "undecorated": ("def colorpipe_colorizers():\n    return []\n", "not decorated with @colorpipe.hookimpl"),
    "raising": ("raise RuntimeError('no licence server')\n", "import failed: RuntimeError: no licence server"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "hook_raises": ("from colorpipe import hookimpl\n@hookimpl\ndef colorpipe_colorizers():\n    return [1 / 0]\n",
                    "colorpipe_colorizers() failed: ZeroDivisionError"),
    "not_a_class": ("from colorpipe import hookimpl\n@hookimpl\ndef colorpipe_decoders():\n    return [3]\n",
                    "3 is not a subclass of colorpipe.Decoder"),
    "abstract": ("from colorpipe import Colorizer, hookimpl\nclass C(Colorizer):\n    name = summary = licence = 'c'\n"
                 "@hookimpl\ndef colorpipe_colorizers():\n    return [C]\n", "does not implement predict"),
    "takes_arguments": ("from colorpipe import hookimpl\n@hookimpl\ndef colorpipe_colorizers(device):\n    return []\n",
                        "device"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_becomes_a_row_and_the_others_work(name: str, tmp_path: Path, tint: Path) -> None:
    text, reason = BROKEN[name]
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    host = PluginHost.load([file, tint])
    (row,) = [row for row in host.rows if row.source == str(file)]
    assert reason in row.error
    assert row.cls is None
    assert host.colorizer("tint").name == "tint"
    assert host.colorizer("zhang").name == "zhang"


def test_a_name_that_is_taken_names_both_classes() -> None:
    class Second(Painter):
        pass

    host = PluginHost()
    host.register(plugin([Painter]), name="one", source="one 1.0")
    host.register(plugin([Second]), name="two", source="two 1.0")
    (row,) = [row for row in host.rows if row.error]
    assert "Painter" in row.error
    assert "Second" in row.error
    assert row.source == "two 1.0"
    assert host.colorizer("painter") is Painter


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Pain ter"}, "not lower-case words"),
        ({"summary": ""}, "has no summary"),
        ({"licence": None}, "has no licence"),
        ({"Options": dict}, "is not a subclass of colorpipe.Options"),
    ],
)
def test_a_class_that_breaks_the_contract_is_left_out(changes: dict[str, object], reason: str) -> None:
    host = PluginHost()
    cls: type[Colorizer] = type("Changed", (Painter,), changes)
    host.register(plugin([cls]), name="changed", source="test")
    assert reason in host.rows[0].error
    assert host.classes("colorizer") == {}


def test_an_entry_point_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.entry_points

    def with_one_more(**select: str) -> list[importlib.metadata.EntryPoint]:
        broken = importlib.metadata.EntryPoint("aaa", "colorpipe_not_there", "colorpipe")
        return [broken, *real(**select)]

    monkeypatch.setattr(importlib.metadata, "entry_points", with_one_more)
    host = PluginHost.load()
    (row,) = [row for row in host.rows if row.name == "aaa"]
    assert "import of colorpipe_not_there failed: ModuleNotFoundError" in row.error
    assert host.colorizer("zhang").name == "zhang"


def test_names_are_looked_up_by_kind() -> None:
    host = PluginHost()
    host.register(plugin([Painter]), name="one", source="test")
    with pytest.raises(UsageError, match="painter is a colorizer, not a decoder"):
        host.decoder("painter")
    with pytest.raises(UsageError, match=r"there is no colorizer 'zorn'.*painter"):
        host.colorizer("zorn")


def test_underscores_and_hyphens_are_the_same() -> None:
    host = PluginHost.load()
    assert host.decoder("annealed_mean") is host.decoder("annealed-mean")


def test_a_file_that_is_not_there_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        PluginHost.load([tmp_path / "nothing.py"])


def test_a_command_that_cannot_be_added_becomes_a_row() -> None:
    import typer

    class Module:
        @hookimpl
        def colorpipe_commands(self, app: typer.Typer) -> None:
            raise OSError("no terminal")

    host = PluginHost()
    host.register(Module(), name="shell", source="test")
    host.add_commands(typer.Typer())
    assert host.rows[0].error == "colorpipe_commands failed: OSError: no terminal"
