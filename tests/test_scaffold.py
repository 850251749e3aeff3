from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from colorpipe.plugins.contract import CONTRACT
from colorpipe.plugins.interfaces import KINDS
from tests.conftest import Cli


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_the_suite_at_once(kind: str, cli: Cli, workplace: Path) -> None:
    name = f"fresh_{kind}"
    status, _, told = cli("plugins", "new", name, "--kind", kind)
    assert status == 0
    assert f"pip install ./{name}" in told
    status, _, told = cli("plugins", "test", name)
    assert status == 0, told
    assert "failed" not in told
    assert "passed importing it is light" in told
    assert f"{kind} fresh-{kind}" in told


def test_its_own_tests_pass_under_pytest(cli: Cli, workplace: Path) -> None:
    assert cli("plugins", "new", "own_tests", "--kind", "preprocessor")[0] == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=workplace / "own_tests",
        env={"PYTHONPATH": str(workplace / "own_tests"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


def test_it_runs_before_it_is_installed(cli: Cli, workplace: Path) -> None:
    cli("plugins", "new", "warm_light")
    status, out, _ = cli("run", "--help", "--plugin", "warm_light", "--colorizer", "warm_light")
    assert status == 0
    assert "--strength" in out
    assert "<0..60>" in out


def test_its_project_declares_what_an_installer_needs(cli: Cli, workplace: Path) -> None:
    from colorpipe.plugins.host import project_entry_points

    cli("plugins", "new", "my_method", "--into", "sub")
    assert project_entry_points(workplace / "sub" / "my_method") == {"my-method": "colorpipe_my_method"}
    assert (workplace / "sub/my_method/README.md").read_text().count("$") == 0


def test_it_states_its_contract_and_brings_a_workflow(cli: Cli, workplace: Path) -> None:
    cli("plugins", "new", "my_method")
    assert f"\ncolorpipe_contract = {CONTRACT}\n" in Path("my_method/colorpipe_my_method/__init__.py").read_text()
    workflow = yaml.safe_load(Path("my_method/.github/workflows/tests.yml").read_text())
    job = workflow["jobs"]["tests"]
    assert job["runs-on"] == "${{ matrix.os }}"
    assert [step["run"] for step in job["steps"][-2:]] == ["colorpipe plugins test my-method", "pytest"]


@pytest.mark.slow
def test_it_can_be_built_as_a_wheel(cli: Cli, workplace: Path) -> None:
    cli("plugins", "new", "my_method")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "my_method"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [file.name for file in Path("my_method/dist").iterdir()] == ["colorpipe_my_method-0.1.0-py3-none-any.whl"]


@pytest.mark.parametrize("name", ["My_Method", "2fast", "a--b", "a/b", "../up", "a b", "-x", "é"])
def test_a_name_that_is_none_is_refused(name: str, cli: Cli, workplace: Path) -> None:
    assert cli("plugins", "new", "--", name)[0] == 2
    assert list(workplace.iterdir()) == []


def test_a_name_that_is_taken_is_refused(cli: Cli, workplace: Path) -> None:
    status, _, told = cli("plugins", "new", "zhang")
    assert status == 2
    assert "there is a colorizer zhang already" in told


def test_nothing_is_overwritten(cli: Cli, workplace: Path) -> None:
    (workplace / "mine").mkdir()
    (workplace / "mine" / "notes.txt").write_text("years of work")
    status, _, told = cli("plugins", "new", "mine")
    assert status == 2
    assert "mine exists" in told
    assert [file.name for file in (workplace / "mine").iterdir()] == ["notes.txt"]
