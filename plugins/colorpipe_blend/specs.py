"""The notation for the methods of a blend. Light to import: the flags are read on every start."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from colorpipe import OptionError

APART = re.compile(r"[,+]")
"""Between methods, and between weights; ``colorpipe eval`` keeps the comma for itself."""


@dataclass(frozen=True)
class Spec:
    """One method of a blend."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    """Its options, its decoder's, and ``weights`` and ``decoder``."""

    @property
    def label(self) -> str:
        return ":".join([self.name, *(f"{key}={value}" for key, value in self.values.items())])


def read_members(text: str) -> list[Spec]:
    """``ddcolor:weights=FILE:input_size=256,deoldify`` -> the methods.

    Raises:
        OptionError: fewer than two, or something that is no ``KEY=VALUE``.
    """
    members = [_member(part) for part in APART.split(text)]
    if len(members) < 2:
        raise OptionError(f"blend: {text!r} is one method", hint="name two or more: --blend ddcolor,deoldify")
    if any(member.name == "blend" for member in members):
        raise OptionError(f"blend: {text!r} blends a blend", hint="name all the methods in one")
    return members


def read_weights(text: str | None, members: list[Spec]) -> list[float]:
    """``0.6,0.4`` -> shares of 1; equal ones where None is given.

    Raises:
        OptionError: not as many numbers as methods, one below 0, or none above.
    """
    if text is None:
        return [1 / len(members)] * len(members)
    try:
        found = [float(part) for part in APART.split(text)]
    except ValueError:
        found = []
    if len(found) != len(members) or not all(0 <= value < math.inf for value in found) or sum(found) == 0:
        raise OptionError(
            f"blend: blend_weights takes {len(members)} numbers from 0, one for each method, not {text!r}",
            hint="for example " + ",".join(["1"] * len(members)),
        )
    return [value / sum(found) for value in found]


def _member(text: str) -> Spec:
    name, *rest = text.split(":")
    values: dict[str, str] = {}
    key = ""
    for part in rest:
        before, equals, value = part.partition("=")
        if equals and before.strip():
            key = before.strip().replace("-", "_")
            if key in values:
                raise OptionError(f"blend: {text!r} gives {key} twice")
            values[key] = value
        elif key:  # a colon inside of a value: C:\weights.pth
            values[key] += f":{part}"
        else:
            raise OptionError(f"blend: {part!r} of {text!r} is no KEY=VALUE", hint="write NAME:KEY=VALUE:KEY=VALUE")
    if not name.strip() or not all(values.values()):
        raise OptionError(f"blend: {text!r} is no method", hint="write NAME, or NAME:KEY=VALUE")
    return Spec(name.strip(), values)
