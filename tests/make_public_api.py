"""Write ``tests/public_api.txt``: every public name with its signature. ``python tests/make_public_api.py``

A test compares the file with the program. A change of it is a change of what plugins and programs rely on: it belongs
into CHANGELOG.md, and whatever goes follows the deprecation rule of ``docs/reference/public-api.md``.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import colorpipe

FILE = Path(__file__).with_name("public_api.txt")


def modules() -> list[ModuleType]:
    """What may be imported from: ``colorpipe`` and its public packages."""
    return [colorpipe, *(importlib.import_module(f"colorpipe.{name}") for name in colorpipe.PUBLIC_MODULES)]


def text() -> str:
    """One line for each name."""
    lines = [line for module in modules() for name in sorted(module.__all__) for line in described(module, name)]
    return "".join(f"{line}\n" for line in lines)


def described(module: ModuleType, name: str) -> Iterator[str]:
    value, path = getattr(module, name), f"{module.__name__}.{name}"
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"class {path}({', '.join(bases)})"
        home = f"{value.__module__}.{value.__qualname__}"
        if module is not colorpipe and getattr(colorpipe, name, None) is value:
            return  # described where it stands first
        yield from members(value, path, home)
    elif inspect.isroutine(value) or hasattr(value, "__signature__"):
        yield f"def {path}{signature(value)}"
    elif name == "__version__":
        yield f"{path}: str"
    else:
        yield f"{path}: {type(value).__name__}"


def members(cls: type, path: str, home: str) -> Iterator[str]:
    fields = {field.name: field for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    if "__init__" in vars(cls):
        yield f"  {path}{signature(cls)}"
    own: dict[str, str] = dict(getattr(cls, "__annotations__", {}))
    for name in sorted({*vars(cls), *own}):
        if name.startswith("_") or name in fields:
            continue
        value = inspect.getattr_static(cls, name, None)
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            yield f"  {path}.{name}: property"
        elif isinstance(value, (staticmethod, classmethod)):
            yield f"  {path}.{name}{signature(getattr(cls, name))}  [{type(value).__name__}]"
        elif inspect.isfunction(value):
            abstract = "  [abstract]" if getattr(value, "__isabstractmethod__", False) else ""
            yield f"  {path}.{name}{signature(value)}{abstract}"
        elif name in own:
            yield f"  {path}.{name}: {own[name]}"


def signature(value: Any) -> str:
    """As it is written; addresses, which differ from run to run, left out."""
    made = str(inspect.signature(value)).replace("'", "")
    return re.sub(r" at 0x[0-9a-f]+", "", made)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(FILE)
