"""Write ``tests/public_api.txt``: every public name with its signature. ``python -m tests.make_public_api``

A test compares the file with the program. A change of it is a change of what plugins and programs rely on: it belongs
into CHANGELOG.md, and whatever goes follows the deprecation rule of ``docs/reference/public-api.md``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import colorpipe

FILE = Path(__file__).with_name("public_api.txt")


def text() -> str:
    """One line for each name, package by package."""
    named = {"colorpipe": colorpipe.__all__, **{f"colorpipe.{name}": names for name, names in colorpipe.PUBLIC.items()}}
    modules = {path: importlib.import_module(path) for path in named}
    lines = [line for path in named for name in sorted(named[path]) for line in described(modules[path], name)]
    return "".join(f"{line}\n" for line in lines)


def described(module: ModuleType, name: str) -> Iterator[str]:
    value, path = getattr(module, name), f"{module.__name__}.{name}"
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"class {path}({', '.join(bases)})"
        yield from members(value, path)
    elif inspect.isroutine(value) or hasattr(value, "__signature__"):
        yield f"def {path}{signature(value)}"
    elif name == "__version__":
        yield f"{path}: str"
    else:
        yield f"{path}: {type(value).__name__}"


def members(cls: type, path: str) -> Iterator[str]:
    """A class's own, and those that it has from classes of colorpipe which are not public themselves."""
    if "__init__" in vars(cls):
        yield f"  {path}{signature(cls)}"
    public = [getattr(colorpipe, name) for name in colorpipe.__all__]
    homes = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "colorpipe"]
    homes = [base for base in homes if base is cls or base not in public]
    for name in sorted({name for home in homes for name in (*vars(home), *_annotations(home))}):
        if name.startswith("_"):
            continue
        home = next(home for home in homes if name in vars(home) or name in _annotations(home))
        value, kind = inspect.getattr_static(cls, name, None), ""
        if isinstance(value, (staticmethod, classmethod)):
            value, kind = getattr(cls, name), f"  [{type(value).__name__}]"
        if isinstance(value, (property, functools.cached_property)):
            yield f"  {path}.{name}: property"
        elif inspect.isroutine(value):
            kind += "  [abstract]" if getattr(value, "__isabstractmethod__", False) else ""
            yield f"  {path}.{name}{signature(value)}{kind}"
        elif name in _annotations(home):
            yield f"  {path}.{name}: {_annotations(home)[name]}"


def _annotations(cls: type) -> dict[str, str]:
    return dict(inspect.get_annotations(cls))


def signature(value: Any) -> str:
    """As it is written; addresses, which differ from run to run, left out."""
    made = str(inspect.signature(value))
    for quote in "\"'":  # of annotations, which are texts
        made = re.sub(rf"(: |-> ){quote}([^{quote}]*){quote}", r"\1\2", made)
    return re.sub(r" at 0x[0-9a-f]+", "", made)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(FILE)
