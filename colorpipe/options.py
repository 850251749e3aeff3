"""Options declared once: the field is the flag, the help, the validation and the recipe entry.

A plugin nests a dataclass in its class::

    class AnnealedMean(Decoder):
        @dataclass(frozen=True)
        class Options(colorpipe.Options):
            T: float | None = option(None, "softmax temperature; 1 leaves the network's own", min=0.0, max=2.0)

The same declaration validates ``--T`` on the command line, ``AnnealedMean.Options(T=0.38)`` in Python and ``"T": 0.38``
in a recipe. A field's type is one of ``bool``, ``int``, ``float``, ``str``, ``pathlib.Path`` or ``Literal[...]``,
each optionally ``| None``.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union

from colorpipe.errors import OptionError, PluginError

_KEY = "colorpipe"
SCALARS: tuple[type, ...] = (bool, int, float, str, Path)
_SWITCH = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True)
class Field:
    """One option, resolved: all that a flag, a help text and a check need."""

    name: str
    type: type
    """One of ``SCALARS``; a value is converted to it."""
    default: Any
    help: str
    optional: bool
    """Whether ``None`` is a value (it means: decided when used)."""
    min: float | None
    max: float | None
    choices: tuple[str, ...]
    qualified: bool = False
    """The plugin's author knows that the bare flag is the core's, and uses ``--NAME-option`` alone."""

    @property
    def flag(self) -> str:
        """``batch_size`` -> ``batch-size``; the case of a one-letter name is kept."""
        return self.name.replace("_", "-")

    @property
    def range(self) -> str:
        """``0..2``, ``>= 1``, ``guided|bilinear`` or an empty string."""
        if self.choices:
            return "|".join(self.choices)
        if self.min is not None and self.max is not None:
            return f"{self.min:g}..{self.max:g}"
        if self.min is not None:
            return f">= {self.min:g}"
        return f"<= {self.max:g}" if self.max is not None else ""

    def convert(self, value: Any, owner: str) -> Any:
        """``value`` as this field's type, checked.

        Raises:
            OptionError: naming owner, field, value and what is accepted.
        """
        if value is None and self.optional:
            return None
        wanted = f"{owner}: {self.name} takes {_an(self.type)}{f' in {self.range}' if self.range else ''}"
        if self.type is not bool and isinstance(value, bool):
            raise OptionError(f"{wanted}, not {value!r}")
        try:
            converted = _to_bool(value) if self.type is bool else self.type(value)
        except (TypeError, ValueError, OverflowError):
            raise OptionError(f"{wanted}, not {value!r}") from None
        if self.type is int and converted != float(value):
            raise OptionError(f"{wanted}, not {value!r}")
        if self.choices and converted not in self.choices:
            raise OptionError(f"{wanted}, not {value!r}")
        if self.type in (int, float):
            low = self.min is not None and converted < self.min
            high = self.max is not None and converted > self.max
            if low or high or not math.isfinite(converted):
                raise OptionError(f"{wanted}, not {value!r}")
        return converted

    def parse(self, text: str, owner: str) -> Any:
        """``convert`` for typed text: ``yes`` or ``no`` for a switch, ``none`` where None is a value.

        Raises:
            OptionError: as ``convert``.
        """
        word = text.strip().lower()
        if self.optional and word == "none" and (self.choices or self.type not in (str, Path)):
            return None
        return self.convert(_SWITCH.get(word, text) if self.type is bool else text, owner)


def option(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    qualified: bool = False,
) -> Any:
    """A dataclass field that is also a flag.

    Args:
        default: Used when nothing is given. ``None`` needs a type with ``| None``.
        help: One line: what it does, its unit, what larger means.
        min, max: Inclusive bounds of a number.
        qualified: For a plugin's option that has the name of one of the core's: its flag is ``--NAME-option``, and the
            conformance suite lets it pass.
    """
    if not help:
        raise PluginError("option() needs a help text", hint="say in one line what the option does")
    return dataclasses.field(
        default=default, metadata={_KEY: {"help": help, "min": min, "max": max, "qualified": qualified}}
    )


@dataclass(frozen=True)
class Options:
    """Base of every options dataclass: checks and converts its values when made.

    Raises:
        OptionError: a value is not acceptable; the message names class, field, value and range.
    """

    _owner: ClassVar[str] = ""

    def __post_init__(self) -> None:
        owner = self._owner or type(self).__qualname__.removesuffix(".Options").rpartition(".")[2]
        for field in fields(type(self)):
            object.__setattr__(self, field.name, field.convert(getattr(self, field.name), owner))

    def as_dict(self) -> dict[str, Any]:
        """Name -> value, ready for JSON."""
        values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: str(value) if isinstance(value, Path) else value for name, value in values}


OptionsT = TypeVar("OptionsT", bound=Options)


def build(cls: type[OptionsT], values: Mapping[str, Any], owner: str = "") -> OptionsT:
    """An options object from names and values, as a recipe holds them.

    Raises:
        OptionError: an unknown name (with the known ones) or an unacceptable value.
    """
    known = {field.name for field in fields(cls)}
    for name in values:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise OptionError(f"{owner or cls.__qualname__} has no option {name!r}", hint=f"its options: {listed}")
    return cls(**values)


def fields(cls: type[Options]) -> list[Field]:
    """The declared options of a class, in order.

    Raises:
        PluginError: a field was declared without ``option()``, or with a type that cannot be a flag.
    """
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise PluginError(f"{cls!r} is not a dataclass", hint="decorate the Options class with @dataclass(frozen=True)")
    hints = typing.get_type_hints(cls)
    resolved = []
    for field in dataclasses.fields(cls):
        meta = field.metadata.get(_KEY)
        if meta is None:
            raise PluginError(
                f"{cls.__qualname__}.{field.name} is not declared with option()",
                hint='write: name: type = option(default, "what it does")',
            )
        kind, optional, choices = _resolve(hints[field.name], f"{cls.__qualname__}.{field.name}")
        bounds = (meta["min"], meta["max"])
        resolved.append(
            Field(field.name, kind, field.default, meta["help"], optional, *bounds, choices, meta["qualified"])
        )
    return resolved


@dataclass(frozen=True)
class Owner:
    """The owner of options: a plugin of a call, or the core."""

    cls: type[Options]
    plugin: str = ""
    """The plugin's name; empty for the core."""
    kind: str = ""
    """The plugin's kind, which tells two plugins of one name apart."""


@dataclass(frozen=True)
class NamedField:
    """An option with the names that it has in a call."""

    owner: int
    """Index of its owner."""
    field: Field
    names: tuple[str, ...]
    """Names as flags without dashes, the bare one first. A field of the core has a bare name. A plugin's field has a
    qualified one, ``PLUGIN-option``, and also the bare one if nobody else has it."""
    shadows: tuple[str, ...] = ()
    """The qualified names of the plugins' fields that would have the bare name of this field of the core."""


def named_fields(owners: Sequence[Owner], reserved: Iterable[str] = ()) -> list[NamedField]:
    """Every option of a call with its names: the one place that decides what a name means, for the command line, for
    Python and for the methods of a comparison.

    The core's names are never a plugin's. A name that two plugins have belongs to neither, and both are qualified.

    Args:
        reserved: Names that no option can have: a command's own.
    """
    declared = [(index, field) for index, owner in enumerate(owners) for field in fields(owner.cls)]
    core = set(reserved) | {form for index, field in declared if not owners[index].plugin for form in forms(field)}
    bare = Counter(form for index, field in declared if owners[index].plugin for form in forms(field))
    shared = Counter(owner.plugin for owner in owners)
    made, shadowed = [], dict[str, list[str]]()
    for index, field in declared:
        owner, names = owners[index], [field.flag]
        if owner.plugin:
            prefix = owner.plugin if shared[owner.plugin] == 1 else f"{owner.kind}-{owner.plugin}"
            qualified = f"{prefix}-{field.flag}"
            free = all(form not in core and bare[form] == 1 for form in forms(field))
            names = [*names, qualified] if free else [qualified]
            if not free:
                shadowed.setdefault(field.flag, []).append(qualified)
        made.append(NamedField(index, field, tuple(names)))
    return [
        one if owners[one.owner].plugin else dataclasses.replace(one, shadows=tuple(shadowed.get(one.field.flag, ())))
        for one in made
    ]


def distribute(values: Mapping[str, Any], owners: Sequence[Owner]) -> tuple[list[dict[str, Any]], list[str]]:
    """Option values by name, as in ``named_fields`` with underscores, -> the values of each owner, and what to tell.

    Raises:
        OptionError: nobody knows a name, or several plugins do.
    """
    taken: list[dict[str, Any]] = [{} for _ in owners]
    known = named_fields(owners)
    places = {name.replace("-", "_"): one for one in known for name in one.names}
    notes = []
    for name, value in values.items():
        place = places.get(name)
        if place is None:
            rivals = [one.names[0].replace("-", "_") for one in known if one.field.name == name]
            if rivals:
                raise OptionError(f"several plugins have an option {name!r}", hint=f"write {' or '.join(rivals)}")
            chosen = ", ".join(dict.fromkeys(owner.plugin for owner in owners if owner.plugin))
            there = ", ".join(sorted({one.field.name for one in known}))
            raise OptionError(f"none of {chosen} has an option {name!r}", hint=f"there are {there}")
        taken[place.owner][place.field.name] = value
        if place.shadows:
            notes.append(shadow_note(place, name, [other.replace("-", "_") for other in place.shadows]))
    return taken, notes


def shadow_note(place: NamedField, name: str, others: Sequence[str]) -> str:
    """The message for a person who gave an option of the core that a chosen plugin has too."""
    return f"{name} is colorpipe's own: {place.field.help}; the plugin's option is {' or '.join(others)}"


def forms(field: Field) -> list[str]:
    """The forms of a field's bare flag."""
    return [field.flag, f"no-{field.flag}"] if field.type is bool else [field.flag]


def _resolve(hint: Any, where: str) -> tuple[type, bool, tuple[str, ...]]:
    """Type hint -> (scalar type, may be None, choices)."""
    optional = False
    if typing.get_origin(hint) in (Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        optional = len(members) < len(typing.get_args(hint))
        if len(members) == 1:
            hint = members[0]
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if all(isinstance(choice, str) for choice in choices):
            return str, optional, choices
    if hint in SCALARS:
        return hint, optional, ()
    raise PluginError(
        f"{where}: a flag cannot hold {hint!r}",
        hint="use bool, int, float, str, Path or Literal, each optionally | None",
    )


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(value)


def _an(kind: type) -> str:
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        Path: "a path",
    }[kind]
