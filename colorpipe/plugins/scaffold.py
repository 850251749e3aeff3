"""``colorpipe plugins new``: a plugin's project, small, installable and passing the conformance suite as it stands."""

from __future__ import annotations

from pathlib import Path
from string import Template

from colorpipe._version import __version__
from colorpipe.errors import OutputError, UsageError
from colorpipe.plugins.contract import CONTRACT
from colorpipe.plugins.host import NAME, normalised

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$distribution"
version = "0.1.0"
description = "$summary"
readme = "README.md"
requires-python = ">=3.10"
license = "Apache-2.0"
dependencies = ["colorpipe>=$version"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.colorpipe]
$name = "$package"

[tool.setuptools]
packages = ["$package"]
"""

_README = """\
# $name

A $kind for colorpipe: $summary.

```sh
pip install .
colorpipe plugins show $name
colorpipe plugins test $name
$example
```

The method is the class `$cls` in `$package/__init__.py`; each field of its `Options` is a flag. Heavy imports (torch,
numpy, OpenCV) go inside the methods that use them, so that `colorpipe --help` stays fast. `plugins test` checks what
every plugin promises; `pytest` runs the same checks, and so does `.github/workflows/tests.yml` on GitHub.
`colorpipe_contract` is the version of the plugin contract that it was written for.
"""

_WORKFLOW = """\
name: tests

on:
  push:
    branches: [main]
  pull_request:
  schedule:
    - cron: "0 6 1 * *"  # once a month: does it still fit the latest colorpipe?

permissions:
  contents: read

jobs:
  tests:
    runs-on: $${{ matrix.os }}
    strategy:
      fail-fast: false
      matrix:
        os: [ubuntu-latest, macos-latest, windows-latest]
        python: ["3.10", "3.14"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: $${{ matrix.python }}
      - run: pip install --extra-index-url https://download.pytorch.org/whl/cpu '.[test]'
        shell: bash
      - run: colorpipe plugins test $name
      - run: pytest
"""

_TESTS = """\
from colorpipe.testing import ${base}Suite

from $package import $cls


class Test$cls(${base}Suite):
    plugin = $cls
"""

_COLORIZER = '''\
"""$summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Chroma, Colorizer, hookimpl, option

if TYPE_CHECKING:
    from colorpipe import Batch

colorpipe_contract = $contract


class $cls(Colorizer):
    """Warm light, cool shadows: hue follows lightness."""

    name = "$name"
    summary = "$summary"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(15.0, "chroma of black and of white, CIE units", min=0, max=60)

    options: Options

    def predict(self, batch: Batch) -> Chroma:
        import torch

        warmth = (batch.L / 50 - 1) * self.options.strength  # (N, 1, h, w)
        return Chroma(ab=torch.cat([0.3 * warmth, warmth], dim=1))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [$cls]
'''

_DECODER = '''\
"""$summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import colorpipe
from colorpipe import Chroma, Decoder, hookimpl, option

if TYPE_CHECKING:
    from colorpipe import ChromaDistribution

colorpipe_contract = $contract


class $cls(Decoder):
    """The mean of the most probable bins."""

    name = "$name"
    summary = "$summary"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        k: int = option(5, "how many of the most probable bins are averaged", min=1, max=313)

    options: Options

    def decode(self, distribution: ChromaDistribution) -> Chroma:
        logits, bins = distribution.logits.float(), distribution.bins.float()  # (N, Q, h, w), (Q, 2)
        top, index = logits.topk(min(self.options.k, len(bins)), dim=1)  # (N, k, h, w)
        weights = top.softmax(dim=1).unsqueeze(-1)
        return Chroma(ab=(bins[index] * weights).sum(dim=1).permute(0, 3, 1, 2))


@hookimpl
def colorpipe_decoders() -> list[type[Decoder]]:
    return [$cls]
'''

_PREPROCESSOR = '''\
"""$summary."""

from __future__ import annotations

from dataclasses import dataclass

import colorpipe
from colorpipe import Lab, Preprocessor, hookimpl, option

colorpipe_contract = $contract


class $cls(Preprocessor):
    """Brightens or darkens what the network sees; the result keeps the source's lightness."""

    name = "$name"
    summary = "$summary"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        gamma: float = option(0.8, "exponent of lightness: below 1 brightens, above 1 darkens", min=0.2, max=5.0)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        import numpy as np

        return Lab((100 * (lab.L / 100) ** self.options.gamma).astype(np.float32))


@hookimpl
def colorpipe_preprocessors() -> list[type[Preprocessor]]:
    return [$cls]
'''

_EVALUATOR = '''\
"""$summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from colorpipe import Evaluator, hookimpl

if TYPE_CHECKING:
    from colorpipe import Frame, Options

colorpipe_contract = $contract


class $cls(Evaluator):
    """Mean absolute difference of the colour planes, 0..1."""

    name = "$name"
    summary = "$summary"
    licence = "Apache-2.0"
    higher_is_better: ClassVar[Mapping[str, bool]] = {"mae": False}

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._scores: list[float] = []

    def update(self, result: Frame, truth: Frame) -> Mapping[str, float]:
        from colorpipe.color import rgb

        score = float(abs(rgb(result) - rgb(truth)).mean())
        self._scores.append(score)
        return {"mae": score}

    def finish(self) -> Mapping[str, float]:
        mean = sum(self._scores) / len(self._scores)
        self._scores.clear()
        return {"mae": mean}


@hookimpl
def colorpipe_evaluators() -> list[type[Evaluator]]:
    return [$cls]
'''

# kind -> (module, summary, how a reader tries it)
_KINDS = {
    "colorizer": (_COLORIZER, "warm light, cool shadows", "colorpipe run photo.jpg --colorizer $name --strength 25"),
    "decoder": (_DECODER, "mean of the most probable colours", "colorpipe run photo.jpg --decoder $name --k 3"),
    "preprocessor": (
        _PREPROCESSOR,
        "brightens what the network sees",
        "colorpipe run photo.jpg --preprocessor $name --gamma 0.6",
    ),
    "evaluator": (_EVALUATOR, "mean absolute difference to the truth", "colorpipe plugins show $name"),
}


def write(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the project of a new plugin.

    Args:
        name: ``my_method`` or ``my-method``.
        kind: ``colorizer``, ``decoder``, ``preprocessor`` or ``evaluator``.
        folder: Made by this; nothing is ever overwritten.

    Returns:
        The files.

    Raises:
        UsageError: the name is not a plugin's name, or the folder exists.
        OutputError: it cannot be written.
    """
    plugin = normalised(name)
    if not NAME.fullmatch(plugin):
        raise UsageError(
            f"{name!r} is not a plugin's name", hint="lower-case words joined by _ or -, such as my_method"
        )
    if folder.exists():
        raise UsageError(
            f"{folder} exists", hint="nothing is overwritten; choose another name, or --into another folder"
        )
    module, summary, example = _KINDS[kind]
    words = plugin.replace("-", "_")
    values: dict[str, object] = {
        "name": plugin,
        "kind": kind,
        "base": kind.capitalize(),
        "cls": "".join(word.capitalize() for word in plugin.split("-")),
        "package": f"colorpipe_{words}",
        "distribution": f"colorpipe-{plugin}",
        "summary": summary,
        "version": __version__,
        "contract": CONTRACT,
    }
    values["example"] = Template(example).substitute(values)
    texts = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"{values['package']}/__init__.py": module,
        f"tests/test_{words}.py": _TESTS,
        ".github/workflows/tests.yml": _WORKFLOW,
    }
    try:
        for relative, text in texts.items():
            file = folder / relative
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(values), "utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from None
    return [folder / relative for relative in texts]
