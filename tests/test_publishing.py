"""What a release needs: one version, metadata that agree, types in an editable install."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import colorpipe

ROOT = Path(__file__).parents[1]
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_stands_in_one_place_that_imports_nothing() -> None:
    tree = ast.parse((ROOT / "colorpipe" / "_version.py").read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "colorpipe._version.__version__"}
    others = [
        path
        for path in (ROOT / "colorpipe").rglob("*.py")
        if re.search(r"^__version__\s*=", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert [path.name for path in others] == ["_version.py"]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == colorpipe.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    for heading in headings[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading), heading
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_workflow_tries_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert matrix["python"] == promised
    assert PYPROJECT["project"]["requires-python"] == f">={promised[0]}"
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_the_workflow_runs_what_a_newcomer_and_ci_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    runs = [step["run"].strip() for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    readme = re.findall(r"^```console\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert runs == ["bash .ci/run", *(block.strip() for block in readme)]


@pytest.mark.parametrize(
    "path", [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name
)
def test_the_services_files_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_the_sdist_holds_its_own_build_backend() -> None:
    backend = ROOT / PYPROJECT["build-system"]["backend-path"][0] / f"{PYPROJECT['build-system']['build-backend']}.py"
    assert backend.is_file()
    assert f"include {backend.relative_to(ROOT).as_posix()}" in (ROOT / "MANIFEST.in").read_text("utf-8")


USER = """
from pathlib import Path

import colorpipe
from colorpipe import Batch, Chroma, Colorizer, Session, hookimpl


class Mine(Colorizer):
    name, summary, licence = "mine", "a test", "MIT"

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(ab=batch.L)


session = Session("zhang", T=0.2, device="cpu")
reveal_type(session)
reveal_type(colorpipe.evaluate([Path("photos")], ["zhang"]))
session.colorise("grandmother.jpg")
"""


def test_types_are_found_after_an_editable_install(tmp_path: Path) -> None:
    """Without the dependencies in reach, whose reading would take mypy a minute. A build writes in its tree: a copy."""
    home, script, tree = tmp_path / "home", tmp_path / "user.py", tmp_path / "tree"
    for folder in ("colorpipe", "plugins", "tools"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for file in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / file, tree / file)
    script.write_text(USER)
    venv.create(home, with_pip=False)
    built = subprocess.run(
        [sys.executable, "-c", f"import build_backend; print(build_backend.build_editable({str(tmp_path)!r}))"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "tools")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (packages,) = [*home.glob("lib/python*/site-packages"), *home.glob("Lib/site-packages")]
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        wheel.extractall(packages)
    python = next(path for path in (home / "bin" / "python", home / "Scripts" / "python.exe") if path.exists())
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "--config-file=", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = checked.stdout
    assert re.search(r'Revealed type is "colorpipe\.\S*Session"', told), told
    assert re.search(r'Revealed type is "colorpipe\.\S*Evaluation"', told), told
    assert '"Session" has no attribute "colorise"' in told
    assert "Found 1 error" in told, told
