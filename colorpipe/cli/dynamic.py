"""Flags from options dataclasses: a command's own, and those of the chosen plugins.

Typer reads a function's signature; ``extend`` gives it one that is put together when the command line is known.
A flag that was not given is ``None``, so that a recipe's value can be told from a default.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from colorpipe import options
from colorpipe.cli import console
from colorpipe.errors import UsageError
from colorpipe.options import Field, NamedField, Options, OptionsT
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Plugin

GIVEN = "given"
"""The parameter through which a command receives the given values of its groups: group key -> option -> value."""
Given = Mapping[str, Mapping[str, Any]]
_TYPE_NAMES: dict[type, str] = {bool: "", int: "whole number", float: "number", str: "text", Path: "path"}


@dataclass(frozen=True)
class Group:
    """The options of one owner: a panel of the help, and a prefix that makes its flags unique."""

    key: str
    panel: str
    cls: type[Options]
    prefix: str = ""
    """A plugin's name; empty for the core's own options, whose flags nothing shadows."""


def plugin_group(cls: type[Plugin], declared: type[Options] | None = None) -> Group:
    """The group of a plugin's options (or of another class of options that it declares)."""
    title = f"{cls.kind.capitalize()} {cls.name}"
    return Group(group_key(cls), title, declared or cls.Options, cls.name)


def group_key(cls: type[Plugin]) -> str:
    return f"{cls.kind}:{cls.name}"


@dataclass(frozen=True)
class Flag:
    """One option as it stands on the command line."""

    group: Group
    field: Field
    names: tuple[str, ...]
    """The flags without dashes, the shortest first."""
    named: NamedField

    @property
    def parameter(self) -> inspect.Parameter:
        """The parameter that Typer reads."""
        field = self.field
        # Numbers arrive as text, so that the field's own check is the only one and says what it always says.
        annotation: Any = Literal[field.choices] if field.choices else str if field.type in (int, float) else field.type
        if field.type is bool:
            declared = [f"--{name}/--no-{name}" for name in self.names]
        else:
            declared = [f"--{name}" for name in self.names]
        info = typer.Option(
            *declared,
            help=describe(field),
            metavar=None if field.type is bool else f"<{field.range or _TYPE_NAMES[field.type]}>",
            show_default=False,
            rich_help_panel=self.group.panel,
        )
        return inspect.Parameter(
            self.identifier, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation | None, info]
        )

    @property
    def identifier(self) -> str:
        """A Python name that no other flag has."""
        owner = "".join(letter if letter.isalnum() else "_" for letter in self.group.key)
        return f"{owner}__{self.field.name}"


def describe(field: Field) -> str:
    """Help text of a field with its default, safe to be shown as rich markup."""
    text = field.help[:1].upper() + field.help[1:]
    if field.default is not None:
        text += f" [default: {shown(field.default)}]"
    return text.replace("[", "\\[")


def shown(value: Any) -> str:
    """A default as a person would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def flags(groups: Sequence[Group], reserved: Iterable[str]) -> list[Flag]:
    """All flags of some groups, named as ``options.named_fields`` says.

    Args:
        reserved: Flags (without dashes) of the command's own parameters.
    """
    owners = [options.Owner(group.cls, group.prefix, group.key.partition(":")[0]) for group in groups]
    return [Flag(groups[one.owner], one.field, one.names, one) for one in options.named_fields(owners, reserved)]


def extend(core: Callable[..., Any], groups: Sequence[Group], **bound: Any) -> Callable[..., Any]:
    """A function for Typer: ``core``'s parameters and a flag for every option of ``groups``.

    A parameter of ``core`` whose type is a dataclass stands for a flag for each field of it. ``core`` takes what was
    given of ``groups`` in its parameter ``given``, and ``bound`` as it is.
    """
    declared = inspect.signature(core, eval_str=True).parameters.values()
    own: list[inspect.Parameter] = []
    made: dict[str, tuple[type[Any], list[str]]] = {}
    """Parameter -> its dataclass and the flags that fill it."""
    for parameter in declared:
        if parameter.name in (GIVEN, *bound):
            continue
        if isinstance(parameter.annotation, type) and dataclasses.is_dataclass(parameter.annotation):
            parts = _parameters(parameter.annotation)
            own += parts
            made[parameter.name] = parameter.annotation, [part.name for part in parts]
        else:
            own.append(parameter)
    added = flags(groups, reserved_names(own))

    def command(**values: Any) -> Any:
        given: dict[str, dict[str, Any]] = {group.key: {} for group in groups}
        for flag in added:
            value = values.pop(flag.identifier)
            if value is not None:
                owner = flag.group.prefix or f"--{flag.field.flag}"
                given[flag.group.key][flag.field.name] = flag.field.convert(value, owner)
                if flag.named.shadows and not values.get("quiet"):
                    others = [f"--{other}" for other in flag.named.shadows]
                    console.warn(options.shadow_note(flag.named, f"--{flag.field.flag}", others))
        filled = {name: cls(**{part: values.pop(part) for part in parts}) for name, (cls, parts) in made.items()}
        return core(**values, **filled, **bound, **{GIVEN: given})

    command.__doc__ = core.__doc__
    command.__name__ = core.__name__
    # mypy knows no __signature__ on functions; inspect documents it.
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + [flag.parameter for flag in added]
    )
    return command


def _parameters(cls: type[Any]) -> list[inspect.Parameter]:
    """A parameter for each field of a dataclass of flags."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(cls)
    ]


def reserved_names(parameters: Iterable[inspect.Parameter]) -> set[str]:
    """The flags of a command's own parameters, without dashes."""
    names = {"help"}
    for parameter in parameters:
        names.add(parameter.name.replace("_", "-"))
        for info in getattr(parameter.annotation, "__metadata__", ()):
            # As Typer reads Annotated[..., Option("--a", "-b")]: the first declaration is in ``default``.
            declared = [getattr(info, "default", None), *(getattr(info, "param_decls", None) or ())]
            for declaration in declared:
                if isinstance(declaration, str):
                    names |= {part.strip().lstrip("-") for part in declaration.split("/")}
    return names


def merged(cls: type[OptionsT], owner: str, recipe: Mapping[str, Any], given: Mapping[str, Any]) -> OptionsT:
    """Options from a recipe, overridden by those given on the command line."""
    return options.build(cls, {**recipe, **given}, owner)


def words(argv: Sequence[str], flag: str) -> list[str]:
    """The values given to ``flag`` in ``argv``, as ``--flag value`` or ``--flag=value``."""
    found = []
    for index, word in enumerate(argv):
        if word == "--":
            break
        if word == flag and index + 1 < len(argv):
            found.append(argv[index + 1])
        elif word.startswith(f"{flag}="):
            found.append(word.partition("=")[2])
    return found


def explain(flag: str, host: PluginHost, chosen: Sequence[type[Plugin]], command: str) -> UsageError | None:
    """An error that names the plugin a flag belongs to, and what to do. None if the flag belongs to no plugin."""
    name = flag.lstrip("-")
    owners = [row.cls for row in host.rows if row.cls is not None and name in _all_names(row.cls)]
    if not owners:
        return None
    attached = [owner for owner in owners if owner in chosen]
    if attached:
        listed = " or ".join(f"--{owner.name}-{name}" for owner in attached)
        return UsageError(f"{flag} could be meant for {_list(attached)}", hint=f"write {listed}")
    belongs = f"{flag} belongs to the {_list(owners)}"
    owner = owners[0]
    colorizer = next((cls for cls in chosen if cls.kind == "colorizer"), None)
    if owner.kind == "decoder" and colorizer is not None and not getattr(colorizer, "yields_distribution", False):
        others = [row.name for row in host.rows if getattr(row.cls, "yields_distribution", False)]
        return UsageError(
            f"{belongs}, which {colorizer.name} does not use: it predicts chroma directly",
            hint=f"leave {flag} out, or choose a colorizer that predicts a distribution: {', '.join(sorted(others))}",
        )
    if command == "eval":
        spec = f"--evaluator {owner.name}" if owner.kind == "evaluator" else "--colorizer NAME"
        return UsageError(f"{belongs}, and goes into a SPEC", hint=f"write {spec}:{name.replace('-', '_')}=VALUE")
    if command not in ("run", "paint") or owner.kind == "evaluator":
        return UsageError(
            f"{belongs}, which `colorpipe {command}` does not use", hint=f"see `colorpipe {command} --help`"
        )
    choose = " or ".join(f"--{cls.kind} {cls.name}" for cls in owners)
    return UsageError(f"{belongs}, which this call does not use", hint=f"add {choose}")


def _all_names(cls: type[Plugin]) -> set[str]:
    forms = [form for field in options.fields(cls.Options) for form in options.forms(field)]
    return {*forms, *(f"{cls.name}-{form}" for form in forms), *(f"no-{cls.name}-{form}" for form in forms)}


def _list(owners: Sequence[type[Plugin]]) -> str:
    if len({owner.kind for owner in owners}) == 1 and len(owners) > 1:
        return f"{owners[0].kind}s {' and '.join(owner.name for owner in owners)}"
    return " and ".join(f"{owner.kind} {owner.name}" for owner in owners)
