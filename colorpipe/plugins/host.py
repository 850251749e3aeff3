"""Discovery: from entry points and files to name -> class.

A plugin that fails to load, has a misspelt hook, breaks its contract or takes a name that is taken becomes a row with
its reason; everything else still works.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from colorpipe import options
from colorpipe._version import __version__
from colorpipe.errors import ColorpipeError, PluginError, UsageError
from colorpipe.plugins import fingerprint, hookspecs
from colorpipe.plugins.contract import contract_mismatch
from colorpipe.plugins.interfaces import KINDS, Colorizer, Decoder, Evaluator, Plugin, Preprocessor

if TYPE_CHECKING:
    import typer

    from colorpipe.weights.registry import Model

ENTRY_POINT_GROUP = "colorpipe"
DEFAULT_COLORIZER = "zhang"
"""The method of a call that names none; a name like any other, not a part of the core."""
PluginT = TypeVar("PluginT", bound=Plugin)
FILE_MODULE = "colorpipe_plugin_file_"
"""Start of the module name of a plugin that was loaded from a file."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""Lower-case words joined by hyphens."""


@dataclass(frozen=True)
class PluginRecord:
    """One line of ``colorpipe plugins``: a class that can be used, or a plugin that cannot, and why."""

    name: str
    kind: str
    """``preprocessor``, ``colorizer``, ``decoder``, ``evaluator``; of what cannot be used also ``model``, or ``plugin``
    where loading failed before a kind was known."""
    source: str
    """Distribution and version, or the file."""
    cls: type[Plugin] | None = None
    version: str = ""
    local: Path | None = None
    """Its source, a file or a folder, where that may change under one version: a file, a project's folder, or an
    editable installation."""
    error: str = ""


class PluginHost:
    """All plugins of this process. Make one with ``load()``."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.rows: list[PluginRecord] = []
        self.models: dict[str, Model] = {}
        self.files: list[Path] = []
        """Files and folders of plugins that were given, besides those that are installed."""

    @classmethod
    def load(cls, files: Iterable[Path] = ()) -> PluginHost:
        """Everything installed under the entry-point group ``colorpipe``, then ``files``, in order.

        Entry points are loaded one by one, so that a failing one is a row of its own.
        """
        host = cls()
        for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
            distributor, version = _distribution(entry.dist) if entry.dist else ("", "")
            source = f"{distributor} {version}" if distributor else entry.value
            try:
                module = entry.load()
            except Exception as error:  # a plugin may raise anything on import; it becomes a row
                host._broken(entry.name, source, f"import of {entry.value} failed: {_oneline(error)}")
                continue
            if entry.dist is not None and distributor != hookspecs.PROJECT and fingerprint.is_editable(entry.dist):
                version = fingerprint.versioned(version, module)  # colorpipe's own methods go by its version alone
            host.register(module, name=entry.name, source=source, version=version)
        for file in files:
            host.add_file(file)
        return host

    def add_file(self, path: Path) -> None:
        """Load one Python file, or the project in a folder, as a plugin.

        A failure becomes a row, except that a missing file is the caller's error.

        Raises:
            UsageError: there is no such file, or the folder is no plugin's project.
        """
        self.files.append(path)
        if path.is_dir():
            entries = project_entry_points(path)
            if not entries:
                raise UsageError(
                    f"--plugin {path}: its pyproject.toml has no [project.entry-points.{ENTRY_POINT_GROUP}]",
                    hint="give a plugin's project folder, or one Python file",
                )
            self.add_project(path, entries)
            return
        if not path.is_file():
            raise UsageError(f"--plugin {path}: no such file", hint="give a Python file, or a plugin's project folder")
        name = f"{FILE_MODULE}{re.sub(r'[^0-9A-Za-z]', '_', str(path.resolve()))}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"--plugin {path}: not a Python file", hint="its name must end in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # as above
            del sys.modules[name]
            self._broken(path.stem, str(path), f"import failed: {_oneline(error)}")
            return
        self.register(module, name=path.stem, source=str(path), version=fingerprint.versioned("", module))

    def add_project(self, folder: Path, entries: Mapping[str, str]) -> None:
        """Load a plugin's project that is not installed, from its folder; the folder goes on ``sys.path``.

        Args:
            entries: Entry points, as ``project_entry_points`` reads them. One that is installed already is left out.
        """
        for root in (folder.resolve(), folder.resolve() / "src"):
            if root.is_dir() and str(root) not in sys.path:
                sys.path.insert(0, str(root))
        for name, value in entries.items():
            if self.manager.has_plugin(name):
                continue
            try:
                module = importlib.metadata.EntryPoint(name, value, ENTRY_POINT_GROUP).load()
            except Exception as error:  # as above
                self._broken(name, str(folder), f"import of {value} failed: {_oneline(error)}")
                continue
            self.register(module, name=name, source=str(folder), version=fingerprint.versioned("", module))

    def register(self, module: Any, *, name: str, source: str, version: str = "") -> None:
        """Take in one plugin module (or object with hook implementations).

        A misspelt hook, or a contract that this colorpipe does not have, discards the whole plugin.
        """
        reason = contract_mismatch(module) or _misspelt(module)
        if reason:
            self._broken(name, source, reason)
            return
        try:
            self.manager.register(module, name=name)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self.manager.unregister(name=name) if self.manager.has_plugin(name) else None
            self._broken(name, source, _oneline(error))
            return
        for kind, base in KINDS.items():
            for cls in self._call(module, f"colorpipe_{kind}s", name, source):
                self._add(cls, kind, base, name, source, version)
        for model in self._call(module, "colorpipe_models", name, source):
            if model.name in self.models:
                self._broken(model.name, source, f"the weights name {model.name!r} is taken already", kind="model")
            else:
                self.models[model.name] = model

    def add_commands(self, app: typer.Typer) -> None:
        """Let each plugin add its commands; one that fails becomes a row."""
        for name, module in self.manager.list_name_plugin():
            add = getattr(module, "colorpipe_commands", None)
            if add is not None:
                try:
                    add(app)
                except Exception as error:  # as above
                    self._broken(name, name, f"colorpipe_commands failed: {_oneline(error)}")

    def classes(self, kind: str) -> dict[str, type[Plugin]]:
        """Name -> class of one kind, the usable ones."""
        return {row.name: row.cls for row in self.rows if row.cls is not None and row.kind == kind}

    def version(self, cls: type[Plugin]) -> str:
        """Version of the distribution that a class came from, and ``sha256:`` with the first digits of its source's
        digest where that may change under one version: a file, a project's folder, an editable installation."""
        return next((row.version for row in self.rows if row.cls is cls), "")

    def colorizer(self, name: str) -> type[Colorizer]:
        return cast("type[Colorizer]", self._get("colorizer", name))

    def decoder(self, name: str) -> type[Decoder]:
        return cast("type[Decoder]", self._get("decoder", name))

    def preprocessor(self, name: str) -> type[Preprocessor]:
        return cast("type[Preprocessor]", self._get("preprocessor", name))

    def evaluator(self, name: str) -> type[Evaluator]:
        return cast("type[Evaluator]", self._get("evaluator", name))

    def _get(self, kind: str, name: str) -> type[Plugin]:
        found = self.classes(kind)
        name = normalised(name)
        if name in found:
            return found[name]
        for row in self.rows:
            if row.error and row.name == name:
                raise UsageError(
                    f"{name} could not be loaded: {row.error}", hint="`colorpipe plugins` lists all plugins"
                )
        for row in self.rows:
            if row.name == name and row.cls is not None:
                raise UsageError(f"{name} is a {row.kind}, not a {kind}", hint=f"{kind}s: {', '.join(sorted(found))}")
        raise UsageError(
            f"there is no {kind} {name!r}", hint=f"{kind}s: {', '.join(sorted(found)) or 'none installed'}"
        )

    def _call(self, module: Any, hook: str, name: str, source: str) -> list[Any]:
        function = getattr(module, hook, None)
        if function is None:
            return []
        try:
            return list(function())
        except Exception as error:  # as above
            self._broken(name, source, f"{hook}() failed: {_oneline(error)}")
            return []

    def _add(self, cls: Any, kind: str, base: type[Plugin], plugin: str, source: str, version: str) -> None:
        name = str(getattr(cls, "name", plugin))
        reason = contract_breach(cls, base)
        taken = self.classes(kind).get(name)
        if not reason and taken is not None:
            first = next(row.source for row in self.rows if row.cls is taken)
            own = f"{cls.__qualname__} of {source}"
            reason = f"the name {name!r} is taken: {own} comes after {taken.__qualname__} of {first}"
        if reason:
            self._broken(name, source, reason, kind=kind)
        else:
            self.rows.append(PluginRecord(name, kind, source, cls, version))

    def _broken(self, name: str, source: str, reason: str, kind: str = "plugin") -> None:
        self.rows.append(PluginRecord(name, kind, source, error=reason))


@lru_cache
def _distribution(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """Name and version. Each question for one parses all of the distribution's metadata, its README included."""
    facts = distribution.metadata
    return facts["Name"], facts["Version"]


def project_entry_points(folder: Path) -> dict[str, str]:
    """The colorpipe entry points that a project's ``pyproject.toml`` declares; empty where there is none."""
    try:
        text = (folder / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        points = tomllib.loads(text).get("project", {}).get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    except (tomllib.TOMLDecodeError, AttributeError):
        return {}
    return {str(name): str(value) for name, value in points.items()} if isinstance(points, dict) else {}


def normalised(name: str) -> str:
    """A plugin's name as it is registered: ``my_method`` and ``my-method`` are the same."""
    return name.replace("_", "-")


def contract_breach(cls: Any, base: type[Plugin]) -> str:
    """Why a class cannot be used as a plugin of its kind, in one line; empty when it can."""
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        return f"{cls!r} is not a subclass of colorpipe.{base.__name__}"
    if inspect.isabstract(cls):
        return f"{cls.__name__} does not implement {', '.join(sorted(cls.__abstractmethods__))}"
    for attribute in ("name", "summary", "licence"):
        if not isinstance(getattr(cls, attribute, None), str) or not getattr(cls, attribute):
            return f"{cls.__name__} has no {attribute}"
    if not NAME.fullmatch(cls.name):
        return f"the name {cls.name!r} is not lower-case words joined by hyphens"
    declared = [made for made in (cls.Options, getattr(cls, "TrainOptions", None)) if made is not None]
    try:
        for options_class in declared:
            if not issubclass(options_class, options.Options):
                return f"{cls.__name__}.{options_class.__name__} is not a subclass of colorpipe.Options"
            options.fields(options_class)
    except ColorpipeError as error:
        return str(error)
    except Exception as error:  # an unresolvable annotation, for one
        return f"the options of {cls.__name__} cannot be read: {_oneline(error)}"
    return ""


def _misspelt(module: Any) -> str:
    """A function that looks like a hook and is none: the wrong name, or no decorator."""
    known = {name for name in vars(hookspecs) if name.startswith("colorpipe_")}
    for name, value in vars(module).items() if hasattr(module, "__dict__") else ():
        if not name.startswith("colorpipe_") or not inspect.isfunction(value):
            continue
        if name not in known:
            return f"unknown hook {name!r}; the hooks are {', '.join(sorted(known))}"
        if not hasattr(value, f"{hookspecs.PROJECT}_impl"):
            return f"{name} is not decorated with @colorpipe.hookimpl"
    return ""


def _oneline(error: BaseException) -> str:
    if isinstance(error, PluginError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "colorpipe":
        text += f" (colorpipe is {__version__}; the plugin may be for another version)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
