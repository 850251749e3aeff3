"""The conformance suites: what every plugin keeps to, ours and other people's.

With pytest, in a plugin's own project::

    from colorpipe.testing import ColorizerSuite
    from colorpipe_sepia import Sepia

    class TestSepia(ColorizerSuite):
        plugin = Sepia

From the command line, without pytest: ``colorpipe plugins test sepia``.

May import: ground, weights, plugins.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Plugin
from colorpipe.testing.colorizer import ColorizerSuite
from colorpipe.testing.stages import DecoderSuite, EvaluatorSuite, PreprocessorSuite
from colorpipe.testing.suite import PluginSuite, require, require_close

__all__ = [
    "SUITES",
    "CheckResult",
    "ColorizerSuite",
    "DecoderSuite",
    "EvaluatorSuite",
    "PluginSuite",
    "PreprocessorSuite",
    "check",
    "require",
    "require_close",
]

SUITES: dict[str, type[PluginSuite[Any]]] = {
    "colorizer": ColorizerSuite,
    "decoder": DecoderSuite,
    "preprocessor": PreprocessorSuite,
    "evaluator": EvaluatorSuite,
}


@dataclass(frozen=True)
class CheckResult:
    """How one check ended."""

    name: str
    """The check's name, as a sentence."""
    status: Literal["passed", "failed", "skipped"]
    reason: str = ""


def check(plugin: type[Plugin], host: PluginHost | None = None) -> Iterator[CheckResult]:
    """Run the suite of a plugin's kind over it, one check after the other.

    Args:
        host: Where weights are registered; None loads what is installed.
    """
    base = SUITES[plugin.kind]
    suite = type(f"{plugin.__name__}Suite", (base,), {"plugin": plugin, "host": host})()
    names = dict.fromkeys(name for cls in reversed(base.__mro__) for name in vars(cls) if name.startswith("test_"))
    for name in names:
        title = name.removeprefix("test_").replace("_", " ")
        try:
            getattr(suite, name)()
        except unittest.SkipTest as skip:
            yield CheckResult(title, "skipped", str(skip))
        except AssertionError as failure:
            yield CheckResult(title, "failed", str(failure))
        except Exception as error:  # whatever a plugin raises is this check's result, not the end of the others
            yield CheckResult(title, "failed", f"{type(error).__name__}: {error}")
        else:
            yield CheckResult(title, "passed")
