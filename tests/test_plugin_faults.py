"""What a plugin's author meets: code that has changed, errors in ``predict``, and results that cannot be right."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from colorpipe import DeviceError, PluginError, Session
from colorpipe.inference.runtime import Runtime
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Batch, Chroma
from tests.conftest import TINT, Cli
from tests.helpers import Painter, host_with, write_grey

FAULTY = """
from colorpipe import Chroma, Colorizer, hookimpl

class Faulty(Colorizer):
    name = "faulty"
    summary = "as it is told"
    licence = "Apache-2.0"

    def predict(self, batch):
        import torch

        ab = torch.zeros(len(batch), 2, 4, 4)
        {body}

@hookimpl
def colorpipe_colorizers():
    return [Faulty]
"""


@pytest.fixture
def faulty(workplace: Path) -> Path:
    for name in ("a", "b", "c", "d"):
        write_grey(workplace / "album" / f"{name}.png")
    return workplace / "faulty.py"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return Chroma(ab[:, :1])", "failed in predict: ValueError: Chroma: ab is (N, 2, h, w)"),
        ("return Chroma(torch.cat([ab, ab]))", "faulty gave 2 results for 1 pictures"),
        ("return Chroma(ab.long())", "faulty gave int64, not floating-point numbers"),
        ("return Chroma(ab / 0)", "faulty gave chroma that is not a number"),
        (
            "return Chroma(ab + 255)",
            "faulty gave chroma of 255 on average, and CIE units of what a screen shows",
        ),
        ("return ab", "faulty returned Tensor, not Chroma"),
        ("return Chroma(ab[9].nothing)", "failed in predict: IndexError: index 9 is out of bounds"),
    ],
)
def test_a_result_that_cannot_be_right_is_refused_in_a_run(faulty: Path, cli: Cli, body: str, told: str) -> None:
    faulty.write_text(FAULTY.format(body=body))
    status, _, said = cli("run", "album", "--plugin", faulty, "--colorizer", "faulty", "--batch", "1")
    said = " ".join(said.split())
    assert status == 1
    assert said.count(told) >= 4
    assert not list(faulty.parent.glob("colorized/*.png"))


def test_an_error_names_plugin_and_line_and_is_traced_once(faulty: Path, cli: Cli) -> None:
    faulty.write_text(FAULTY.format(body='raise KeyError("palette")'))
    status, _, said = cli("run", "album", "--plugin", faulty, "--colorizer", "faulty")
    line = faulty.read_text().splitlines().index('        raise KeyError("palette")') + 1
    assert status == 1
    assert said.count("Traceback (most recent call last)") == 1
    failed = [told for told in said.splitlines() if told.startswith("failed ")]
    assert len(failed) == 4
    for told, name in zip(sorted(failed), "abcd", strict=True):
        assert f"album/{name}.png: faulty failed in predict: KeyError: 'palette' (faulty.py, line {line})" in told


def test_an_error_while_the_network_is_made_is_one_line(faulty: Path, cli: Cli) -> None:
    text = FAULTY.format(body="return Chroma(ab)")
    faulty.write_text(
        text.replace("    def predict", "    def build(self, weights):\n        return 1 / 0\n\n    def predict")
    )
    status, _, said = cli("run", "album", "--plugin", faulty, "--colorizer", "faulty")
    assert status == 2
    assert "faulty failed in build: ZeroDivisionError: division by zero (faulty.py, line 10)" in said
    assert "Traceback" not in said


def test_a_result_of_changed_code_is_made_anew(workplace: Path, tint: Path, cli: Cli) -> None:
    write_grey(workplace / "a.png")
    words = ["run", "a.png", "--plugin", tint, "--colorizer", "tint"]
    assert "1 done" in cli(*words)[2]
    first = (workplace / "colorized" / "a.png").read_bytes()
    assert "1 skipped" in cli(*words)[2]
    tint.write_text(TINT.replace("sign * self.options.strength", "sign * self.options.strength / 2"))
    assert "1 done" in cli(*words)[2]
    assert (workplace / "colorized" / "a.png").read_bytes() != first
    assert "1 skipped" in cli(*words)[2]


def test_a_project_s_other_modules_count_too(tmp_path: Path) -> None:
    package = tmp_path / "project" / "side_by_side_method"
    package.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text(
        '[project.entry-points.colorpipe]\nside-by-side-method = "side_by_side_method"\n'
    )
    (package / "__init__.py").write_text(TINT.replace('"tint"', '"side-by-side-method"'))
    (package / "tables.py").write_text("VALUES = 1\n")

    def version() -> str:
        host = PluginHost.load([tmp_path / "project"])
        return host.version(host.colorizer("side-by-side-method"))

    first = version()
    assert first.startswith("sha256:")
    assert version() == first
    (package / "tables.py").write_text("VALUES = 2\n")
    assert version() != first


WITH_FILES = """
from pathlib import Path

import torch
from colorpipe import Chroma, Colorizer, Model, hookimpl

HERE = Path(__file__).parent


class Words(Colorizer):
    name = "words"
    summary = "reads a list beside its weights"
    licence = "Apache-2.0"
    default_weights = "words"

    def build(self, weights):
        self.strength = float((HERE / "words.txt").read_text())

    def predict(self, batch):
        return Chroma(torch.full((len(batch), 2, 4, 4), self.strength))


@hookimpl
def colorpipe_colorizers():
    return [Words]


@hookimpl
def colorpipe_models():
    file = HERE / "words.bin"
    return [
        Model(
            name="words", colorizer="words", licence="Apache-2.0", summary="none", sha256="DIGEST", size=1,
            bundled=file, files=(HERE / "words.txt",),
        )
    ]
"""


def test_a_declared_side_file_is_part_of_the_digest(tmp_path: Path) -> None:
    (tmp_path / "words.bin").write_bytes(b"w")
    (tmp_path / "words.txt").write_text("10")
    (tmp_path / "words.py").write_text(WITH_FILES.replace("DIGEST", hashlib.sha256(b"w").hexdigest()))
    grey = np.full((8, 8), 120, np.uint8)

    def session() -> Session:
        return Session("words", host=PluginHost.load([tmp_path / "words.py"]), device="cpu")

    first, again = session(), session()
    assert first.digest == again.digest
    assert "files:" in first.recipe.colorizer.version
    (tmp_path / "words.txt").write_text("20")
    assert session().digest != first.digest
    assert not np.array_equal(session().colorize(grey), first.colorize(grey))
    (tmp_path / "words.txt").unlink()
    with pytest.raises(PluginError, match=r"file cannot be read: .*words\.txt"):
        session()


def test_an_installed_method_keeps_its_plain_version() -> None:
    host = PluginHost.load()
    assert host.version(host.colorizer("zhang")).replace(".", "").isdigit()


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_plugins_test_says_why_loading_failed(workplace: Path, cli: Cli) -> None:
    assert cli("plugins", "new", "my-method")[0] == 0
    (module,) = (workplace / "my-method").glob("colorpipe_*/__init__.py")
    whole = module.read_text()
    for text, why in (
        (whole + "\nimport nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        (whole.replace("def predict", "def predikt"), "does not implement predict"),
        (whole.replace('name = "my-method"', 'name = "My Method"'), "is not lower-case words joined by hyphens"),
    ):
        _forget("colorpipe_my_method")  # another test's, or the one before
        module.write_text(text)
        for words in (("plugins", "test", "my-method"), ("plugins", "test", "my-method", "--plugin", "my-method")):
            status, _, told = cli(*words)
            assert status == 2
            assert why in " ".join(told.split()), told
    _forget("colorpipe_my_method")  # what follows may make one of that name


# --- what a method may ask for ----------------------------------------------------------------------------------------


class Together(Painter):
    """A method that is fastest with five pictures a call."""

    name = "together"
    preferred_batch = 5

    def predict(self, batch: Batch) -> Chroma:
        self.sizes = [*getattr(self, "sizes", []), len(batch)]
        return super().predict(batch)


def test_a_method_s_own_batch_is_used_unless_another_is_asked_for() -> None:
    for asked, sizes in ((None, [5, 5]), (2, [2, 2, 2, 2])):
        runtime = Runtime(Together(), device="cpu", batch=asked)
        runtime.lanes = 1
        assert len(runtime.predict(np.full((7, 1, 8, 8), 50, np.float32))) == 7
        assert runtime.colorizer.sizes == sizes


def test_a_method_runs_where_it_can_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu(Painter):
        name = "on-gpu"
        devices = frozenset({"cuda"})

    class OnCpu(Painter):
        name = "on-cpu"
        devices = frozenset({"cpu"})

    host = host_with(OnGpu, OnCpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Session("on-cpu", host=host).recipe.device == "cpu"  # auto, though there is a GPU
    with pytest.raises(DeviceError, match="on-cpu does not run on --device cuda; it runs on cpu"):
        Session("on-cpu", host=host, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        DeviceError, match="on-gpu does not run on --device auto; this machine has none: it runs on cuda"
    ):
        Session("on-gpu", host=host)
