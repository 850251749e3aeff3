from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import colorpipe
from colorpipe import Session, hookimpl
from colorpipe.cli import app
from colorpipe.plugins.host import PluginHost
from colorpipe.testing.suite import HEAVY
from colorpipe.weights.store import ModelStore
from tests.conftest import Cli
from tests.helpers import write_grey

TWIN = """
from dataclasses import dataclass
import colorpipe
from colorpipe import Preprocessor, hookimpl, option

class Twin(Preprocessor):
    name = "twin"
    summary = "has an option of the same name as tint's"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(1.0, "how much", min=0, max=1)

    def apply(self, lab):
        return lab

@hookimpl
def colorpipe_preprocessors():
    return [Twin]
"""


# --- weight -----------------------------------------------------------------------------------------------------------


LIGHT = ("--help", "plugins", "--version", "models", "plugins show zhang", "verify --help", "eval --help")
"""Calls that only look around."""


def test_looking_around_imports_nothing_heavy() -> None:
    """Each of the calls in turn, in one fresh process: what the first one imports, the next ones have."""
    code = f"""
import io, sys
from colorpipe.cli.app import main
for line in {LIGHT!r}:
    sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    status, told = main(line.split()), sys.stdout.tell()
    print(line, status, told > 0, [name for name in {HEAVY!r} if name in sys.modules], sep=": ", file=sys.__stdout__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{line}: 0: True: []" for line in LIGHT]


# --- help -------------------------------------------------------------------------------------------------------------


def test_root_help_has_a_line_for_each_command(cli: Cli) -> None:
    status, out, _ = cli("--help")
    assert status == 0
    for command in ("run", "train", "eval", "plugins", "models", "verify"):
        assert f"│   {command} " in out
    assert cli() == (status, out, "")


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"colorpipe {colorpipe.__version__}\n", "")


def test_help_shows_a_decoders_flag_with_range_and_meaning_in_its_panel(cli: Cli) -> None:
    _, out, _ = cli("run", "--help", "--colorizer", "zhang")
    panel = out.partition("Decoder annealed-mean")[2].partition("╰")[0]
    assert "--T,--annealed-mean-T" in panel
    assert "<0..2>" in panel
    assert "temperature" in panel


def test_help_shows_what_is_chosen_only(cli: Cli) -> None:
    _, out, _ = cli("run", "--help", "--colorizer", "siggraph17", "--preprocessor=resize")
    assert "annealed-mean" not in out
    assert "Preprocessor resize" in out


def test_train_help_has_the_flags_of_the_colorizer(cli: Cli) -> None:
    _, out, _ = cli("train", "zhang", "--help")
    assert "--steps" in out
    assert "--resume" in out
    _, out, _ = cli("train", "--help")
    assert "zhang" in " ".join(out.split()).partition("Methods that learn: ")[2]


# --- flags ------------------------------------------------------------------------------------------------------------


def test_a_flag_of_a_decoder_that_is_not_attached_names_its_owner(cli: Cli, workplace: Path) -> None:
    status, out, told = cli("run", "samples/", "--T", "0.09", "--colorizer", "siggraph17")
    assert (status, out) == (2, "")
    assert (
        "--T belongs to the decoder annealed-mean, which siggraph17 does not use: it predicts chroma directly" in told
    )
    assert "zhang" in told


def test_a_flag_of_a_plugin_that_is_not_chosen_says_how_to_choose_it(cli: Cli, workplace: Path) -> None:
    status, _, told = cli("run", "g.png", "--max-side", "300")
    assert status == 2
    assert "--max-side belongs to the preprocessor resize" in told
    assert "add --preprocessor resize" in told
    assert cli("run", "g.png", "--resize-max-side", "300")[2] == told.replace("--max-side", "--resize-max-side")


def test_a_flag_of_nobody_is_refused(cli: Cli) -> None:
    status, _, told = cli("run", "g.png", "--frobnicate")
    assert status == 2
    assert "No such option: --frobnicate" in told
    assert "colorpipe run --help" in told


def test_a_decoder_where_there_is_nothing_to_decode_is_refused(cli: Cli) -> None:
    status, _, told = cli("run", "g.png", "--decoder", "mode", "--colorizer", "siggraph17")
    assert status == 2
    assert "--decoder mode: siggraph17 predicts chroma directly" in told


def test_the_core_is_never_shadowed(cli: Cli, tint: Path, workplace: Path) -> None:
    _, out, _ = cli("run", "--help", "--plugin", tint, "--colorizer", "tint")
    panel = out.partition("Colorizer tint")[2].partition("╰")[0]
    assert "--strength,--tint-strength" in panel
    assert "--tint-quality" in panel
    assert "--quality," not in panel
    assert "--no-cool" in panel


def test_a_name_of_the_core_is_the_core_s_from_python_too_and_that_is_said(
    cli: Cli, tint: Path, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_grey(workplace / "g.png")
    words = ["run", "g.png", "--plugin", tint, "--colorizer", "tint"]
    status, _, told = cli(*words, "--quality", "80", "--tint-quality", "2", "--save-recipe", "r.json")
    assert status == 0
    assert "--quality is colorpipe's own" in told
    assert "the plugin's option is --tint-quality" in told
    given = json.loads(Path("r.json").read_text())
    assert "own" not in cli(*words, "--quality", "70", "-q", "-o", "again.png")[2]
    session = Session("tint", host=PluginHost.load([tint]), quality=80, tint_quality=2)
    assert session.recipe.settings["quality"] == given["settings"]["quality"] == 80
    assert session.recipe.colorizer.options["quality"] == given["colorizer"]["options"]["quality"] == 2
    assert "quality is colorpipe's own: quality of JPEG" in caplog.text
    assert "the plugin's option is tint_quality" in caplog.text


def test_a_bare_flag_of_two_plugins_asks_which(cli: Cli, tint: Path, workplace: Path) -> None:
    twin = tint.with_name("twin.py")
    twin.write_text(TWIN)
    words = ["run", "g.png", "--plugin", tint, "--plugin", twin, "--colorizer", "tint", "--preprocessor", "twin"]
    status, _, told = cli(*words, "--strength", "1")
    assert status == 2
    assert "--tint-strength" in told
    assert "--twin-strength" in told
    write_grey(workplace / "g.png")
    assert cli(*words, "--tint-strength", "30", "--twin-strength", "1")[0] == 0


@pytest.mark.parametrize("value", ["3", "-1", "warm", "nan"])
def test_a_value_out_of_range_names_plugin_option_and_range(value: str, cli: Cli) -> None:
    status, _, told = cli("run", "g.png", "--T", value)
    assert status == 2
    assert f"annealed-mean: T takes a number in 0..2, not '{value}'" in told


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"], ["run"], ["run", "g.png", "--colorizer", "zorn"], ["run", "g.png", "--batch", "0"],
        ["run", "g.png", "-q", "-v"], ["run", "g.png", "--plugin", "nothing.py"],
        ["run", "g.png", "--recipe", "none.json"],
        ["plugins", "show", "zorn"], ["plugins", "test", "zorn"], ["train", "siggraph17", ".", "-o", "w.safetensors"],
        ["models", "pull", "zorn"], ["models", "import", "eccv16", "nothing.pth"], ["run", "nothing-here.png"],
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line_and_status_2(words: list[str], cli: Cli, workplace: Path) -> None:
    status, out, told = cli(*words)
    assert (status, out) == (2, "")
    assert told.startswith("colorpipe: ")
    assert "Traceback" not in told


# --- running ----------------------------------------------------------------------------------------------------------


def test_json_is_all_that_stdout_gets_and_a_broken_picture_is_named(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "album" / "a.png")
    write_grey(workplace / "album" / "b.png")
    (workplace / "album" / "[red]broken[red].png").write_text("no picture")
    status, out, told = cli("run", "album", "--plugin", tint, "--colorizer", "tint", "--json", "-")
    assert status == 1
    rows = {Path(row["input"]).name: row for row in map(json.loads, out.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done", "b.png": "done", "[red]broken[red].png": "failed",
    }  # fmt: skip
    wanted = "input output status width height frames seconds device scores error"
    assert set(rows["a.png"]) >= set(wanted.split())
    assert "failed" in told
    assert "album/[red]broken[red].png" in told
    assert "2 done, 1 failed in " in told.splitlines()[-1]
    assert sorted(path.name for path in (workplace / "colorized").rglob("*.png")) == ["a.png", "b.png"]


def test_what_is_done_is_skipped(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.png")
    words = ["run", "a.png", "--plugin", tint, "--colorizer", "tint", "--json", "log.jsonl"]
    assert cli(*words)[0] == 0
    status, _, told = cli(*words)
    assert status == 0
    assert "0 done, 1 skipped in " in told
    assert json.loads((workplace / "log.jsonl").read_text())["status"] == "skipped"


def test_quiet_says_nothing_when_all_is_well(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.png")
    assert cli("run", "a.png", "--plugin", tint, "--colorizer", "tint", "-q") == (0, "", "")


def test_verbose_says_a_line_for_each_input(cli: Cli, tint: Path, workplace: Path) -> None:
    write_grey(workplace / "a.png")
    _, _, told = cli("run", "a.png", "-o", "c.png", "--plugin", tint, "--colorizer", "tint", "-v")
    assert "done a.png -> c.png in " in told
    assert "device cpu" in told


def test_a_recipe_is_saved_repeated_and_overridden(cli: Cli, tint: Path, workplace: Path) -> None:
    import cv2

    write_grey(workplace / "a.png")
    common = ["run", "a.png", "--plugin", tint]
    first = [*common, "--colorizer", "tint", "--strength", "40", "--tint-quality", "5", "--cool", "--saturation", "1.5"]
    assert cli(*first, "-o", "1.png", "--save-recipe", "r.json")[0] == 0
    recipe = colorpipe.Recipe.from_json((workplace / "r.json").read_text())
    assert recipe.colorizer.options == {"strength": 40.0, "quality": 5, "cool": True}
    assert recipe.settings["saturation"] == 1.5
    assert cli(*common, "-o", "2.png", "--recipe", "r.json")[0] == 0
    assert cli(*common, "-o", "3.png", "--recipe", "r.json", "--no-cool")[0] == 0
    one, two, three = (cv2.imread(f"{n}.png") for n in (1, 2, 3))
    assert (one == two).all()
    assert one[..., 0].mean() > three[..., 0].mean() + 20  # blue, then orange


def test_a_recipe_that_is_none_is_a_wrong_call(cli: Cli, workplace: Path) -> None:
    (workplace / "r.json").write_text('{"colorizer": 3}')
    status, _, told = cli("run", "a.png", "--recipe", "r.json")
    assert status == 2
    assert "--recipe r.json: not a recipe" in told


def test_an_explicit_plugin_that_is_broken_is_an_error(cli: Cli, workplace: Path) -> None:
    (workplace / "p.py").write_text("import not_installed_anywhere")
    status, _, told = cli("run", "a.png", "--plugin", "p.py")
    assert status == 2
    assert "--plugin p.py: import failed: ModuleNotFoundError" in told


def test_interrupting_is_status_130(cli: Cli, tint: Path, workplace: Path) -> None:
    tint.write_text(tint.read_text().replace("import torch", "raise KeyboardInterrupt"))
    write_grey(workplace / "a.png")
    status, _, told = cli("run", "a.png", "--plugin", tint, "--colorizer", "tint")
    assert status == 130
    assert "interrupted" in told
    assert not list(workplace.rglob("colorized/*.png"))


# --- plugins and models -----------------------------------------------------------------------------------------------


def test_plugins_lists_all_kinds_and_what_is_broken(cli: Cli, tint: Path, workplace: Path) -> None:
    (workplace / "typo.py").write_text("from colorpipe import hookimpl\n@hookimpl\ndef colorpipe_colorizer(): ...\n")
    status, out, _ = cli("plugins", "--plugin", tint, "--plugin", "typo.py")
    assert status == 0
    for name in ("zhang", "siggraph17", "annealed-mean", "greyscale", "tint"):
        assert f"\n{name} " in out
    assert "unknown hook 'colorpipe_colorizer'" in " ".join(out.split())
    assert "broken" in out
    assert cli("plugins", "list", "--plugin", tint, "--plugin", "typo.py")[1] == out


def test_show_has_options_ranges_and_weights(cli: Cli, workplace: Path) -> None:
    _, out, _ = cli("plugins", "show", "annealed_mean")
    assert "--T" in out
    assert "0..2" in out
    _, out, _ = cli("plugins", "show", "siggraph17")
    assert "takes colour hints" in out
    assert "BSD-2-Clause" in out
    assert "absent" in out


def test_models_lists_what_is_absent(cli: Cli, workplace: Path) -> None:
    status, out, told = cli("models")
    assert status == 0
    assert "siggraph17" in out
    assert "absent" in out
    assert "models pull" in told


def test_models_verify_finds_a_damaged_file(cli: Cli, workplace: Path) -> None:
    store = ModelStore(PluginHost.load().models)
    store.cache.mkdir(parents=True)
    (store.cache / store["siggraph17"].filename).write_bytes(b"half a download")
    status, _, told = cli("models", "verify")
    assert status == 1
    assert "siggraph17" in told
    assert "damaged" in told


def test_importing_another_file_is_refused(cli: Cli, workplace: Path) -> None:
    (workplace / "other.pth").write_bytes(b"something else")
    status, _, told = cli("models", "import", "siggraph17", "other.pth")
    assert status == 2
    assert "other.pth is not siggraph17" in told


# --- the boundary -----------------------------------------------------------------------------------------------------


def test_a_bug_keeps_its_traceback_and_plugins_add_commands(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    class Module:
        @hookimpl
        def colorpipe_commands(self, app: typer.Typer) -> None:
            @app.command("explode", help="divide by zero")
            def explode() -> None:
                raise ZeroDivisionError

    def load(files: object) -> PluginHost:
        host = PluginHost()
        host.register(Module(), name="mine", source="test")
        return host

    monkeypatch.setattr(PluginHost, "load", load)
    assert "explode" in cli("--help")[1]
    with pytest.raises(ZeroDivisionError):
        app.main(["explode"])
