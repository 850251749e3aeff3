"""The part that the conformance suites of the four kinds share."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from colorpipe import options
from colorpipe.errors import OptionError
from colorpipe.plugins.host import FILE_MODULE, PluginHost, contract_breach
from colorpipe.plugins.interfaces import KINDS, Plugin
from colorpipe.plugins.reserved import clashing

if TYPE_CHECKING:
    import torch

HEAVY = ("torch", "cv2", "numpy", "av", "pyvips")
"""Modules that importing a plugin must not import: the command line loads every plugin for every call."""
SUMMARY_LENGTH = 100
PluginT = TypeVar("PluginT", bound=Plugin)


def require(condition: object, message: str) -> None:
    """An assertion that ``python -O`` keeps, with a reason for a person."""
    if not condition:
        raise AssertionError(message)


def require_close(found: torch.Tensor, wanted: torch.Tensor, message: str, tolerance: float = 1e-3) -> None:
    """Equal but for what the order of additions does, relative to the largest value."""
    require(found.shape == wanted.shape, f"{message}: {tuple(found.shape)}, not {tuple(wanted.shape)}")
    difference = float((found.float() - wanted.float()).abs().max())
    scale = max(1.0, float(wanted.float().abs().max()))
    require(difference <= tolerance * scale, f"{message} (by {difference:.2g})")


@functools.cache
def heavy_imports(module: str, file: str | None) -> tuple[str, ...]:
    """Modules of ``HEAVY`` that a fresh interpreter has loaded after importing a module, or after running ``file`` if
    it is a plugin loaded from a file."""
    load = f"runpy.run_path({file!r})" if module.startswith(FILE_MODULE) else f"__import__({module!r})"
    code = f"import runpy, sys; {load}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    require(done.returncode == 0, f"importing {module} failed: {done.stderr.strip()[-300:]}")
    return tuple(done.stdout.split())


class PluginSuite(Generic[PluginT]):
    """The base of the four suites. Inherit from the suite of your kind and set ``plugin``."""

    plugin: type[PluginT]
    host: ClassVar[PluginHost | None] = None

    def test_declares_what_the_table_shows(self) -> None:
        reason = contract_breach(self.plugin, KINDS[self.plugin.kind])
        require(not reason, reason)
        summary = self.plugin.summary
        require(
            "\n" not in summary and len(summary) <= SUMMARY_LENGTH, f"summary is one line of {SUMMARY_LENGTH} letters"
        )

    def test_options_have_names_of_their_own(self) -> None:
        for name in clashing(self.plugin.Options):
            flag = name.replace("_", "-")
            raise AssertionError(
                f"the option {name!r} has the name of an option of the core: --{flag} does not reach the plugin, only "
                f"--{self.plugin.name}-{flag} does; rename it, or declare it with option(..., qualified=True)"
            )

    def test_options_survive_json(self) -> None:
        made = self.plugin.Options()
        again = options.build(self.plugin.Options, json.loads(json.dumps(made.as_dict())))
        require(again == made, f"{made} came back from JSON as {again}")

    def test_unacceptable_options_are_refused(self) -> None:
        for field in options.fields(self.plugin.Options):
            wrong: list[Any] = ["a text"] if field.type in (bool, int, float) else []
            wrong += [math.nan, math.inf] if field.type in (int, float) else []
            wrong += [field.min - 1] if field.min is not None else []
            wrong += [field.max + 1] if field.max is not None else []
            wrong += ["no such choice"] if field.choices else []
            for value in wrong:
                try:
                    options.build(self.plugin.Options, {field.name: value})
                except OptionError as error:
                    require(field.name in str(error), f"the error for {field.name}={value!r} does not name it: {error}")
                else:
                    raise AssertionError(f"{field.name}={value!r} was accepted")

    def test_importing_it_is_light(self) -> None:
        module = self.plugin.__module__
        heavy = heavy_imports(module, inspect.getsourcefile(self.plugin))
        require(not heavy, f"importing {module} imports {', '.join(heavy)}; import them where they are used")

    def extremes(self) -> Iterator[PluginT]:
        """The plugin with its defaults, then with each number at each of its bounds and each choice."""
        yield self.plugin()
        for field in options.fields(self.plugin.Options):
            for value in (field.min, field.max, *field.choices):
                if value is not None:
                    yield self.plugin(options.build(self.plugin.Options, {field.name: value}))
