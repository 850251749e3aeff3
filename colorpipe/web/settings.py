"""Settings of a page: what can be chosen, with range and help, and how a choice becomes a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colorpipe import options
from colorpipe.errors import OptionError, UsageError
from colorpipe.options import Field, Options
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import Colorizer, Plugin
from colorpipe.settings import Limits, MediaOptions, MergeOptions
from colorpipe.types import Recipe, Stage
from colorpipe.weights.store import ModelStore

MAIN = ("decoder.T", "decoder.vibrance", "merge.saturation", "merge.temperature", "merge.hint_reach")
"""Options that a page always shows, where there are such."""
CORE: Mapping[str, type[Options]] = {"merge": MergeOptions, "media": MediaOptions}
_KINDS = {bool: "switch", int: "whole", float: "number"}
_GROUPS = ("colorizer", "decoder", "merge", "media")


def core_options(recipe: Recipe) -> tuple[MergeOptions, MediaOptions]:
    """A recipe's options of merging and of files, checked.

    Raises:
        OptionError: a value is not acceptable.
    """
    merge, media = ({k: v for k, v in recipe.settings.items() if k in _names(cls)} for cls in CORE.values())
    return options.build(MergeOptions, merge, "merge"), options.build(MediaOptions, media, "media")


class Catalogue:
    """The methods of this machine, and what a page may change of a recipe.

    Args:
        given: The recipe of the command line: a method or a file of weights that it names may be used whatever it is.
    """

    def __init__(self, host: PluginHost, given: Recipe) -> None:
        self._host, self._given = host, given
        self._store = ModelStore(host.models)

    def told(self) -> dict[str, Any]:
        """All methods, decoders and options, ready for JSON."""
        rows = {row.name: row.cls for row in self._host.rows if row.cls is not None}
        colorizers = [cls for cls in rows.values() if issubclass(cls, Colorizer)]
        decoders = [row.cls for row in self._host.rows if row.kind == "decoder" and row.cls is not None]
        return {
            "methods": [self._method(cls, [decoder.name for decoder in decoders]) for cls in colorizers],
            "decoders": {cls.name: _options(cls.Options) for cls in decoders},
            "merge": _options(MergeOptions),
            "media": _options(MediaOptions),
            "main": list(MAIN),
        }

    def available(self) -> list[type[Colorizer]]:
        """Methods that can be used here and now, the given one first."""
        given = self._host.colorizer(self._given.colorizer.name)
        found = [row.cls for row in self._host.rows if row.cls is not None and issubclass(row.cls, Colorizer)]
        return [given, *(cls for cls in found if cls is not given and self.reason(cls) is None)]

    def reason(self, cls: type[Colorizer]) -> str | None:
        """Why a method cannot be used; None if it can."""
        if cls.name == self._given.colorizer.name:
            return None
        if cls.learns_from_reference and cls.default_weights is None:
            return "it learns from a colour picture: `colorpipe run --reference` uses it"
        if cls.default_weights is not None and not any(self._here(name) for name in self._weights(cls)):
            return f"its weights are not on this machine: `colorpipe models pull {cls.default_weights}`"
        return None

    def _method(self, cls: type[Colorizer], decoders: list[str]) -> dict[str, Any]:
        reason = self.reason(cls)
        weights = [
            {
                "name": name,
                "here": self._here(name),
                "default": name == cls.default_weights,
                "summary": self._host.models[name].summary,
            }
            for name in self._weights(cls)
        ]
        return {
            "name": cls.name,
            "summary": cls.summary,
            "distribution": cls.yields_distribution,
            "decoder": cls.default_decoder,
            "decoders": decoders if cls.yields_distribution else [],
            "own_hints": cls.takes_hints,
            "available": reason is None,
            "reason": reason,
            "weights": weights,
            "options": _options(cls.Options),
        }

    def _weights(self, cls: type[Colorizer]) -> list[str]:
        return [model.name for model in self._host.models.values() if model.colorizer == cls.name]

    def _here(self, name: str) -> bool:
        return self._store.status(name) != "absent"

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        """A recipe as a page shows it, every option with its value."""
        decoder = self._decoder(recipe)
        merge, media = core_options(recipe)
        weights = recipe.weights
        return {
            "colorizer": recipe.colorizer.name,
            "weights": weights if weights is None or weights in self._host.models else Path(weights).name,
            "decoder": None if decoder is None else decoder.name,
            "preprocessors": [stage.name for stage in recipe.preprocessors],
            "options": {
                "colorizer": _values(self._host.colorizer(recipe.colorizer.name), recipe.colorizer),
                "decoder": {} if decoder is None else _values(self._host.decoder(decoder.name), decoder),
                "merge": merge.as_dict(),
                "media": media.as_dict(),
            },
        }

    def _decoder(self, recipe: Recipe) -> Stage | None:
        default = self._host.colorizer(recipe.colorizer.name).default_decoder
        return recipe.decoder or (Stage(default) if default else None)

    def changed(self, recipe: Recipe, asked: object) -> Recipe:
        """The recipe with a page's choice over it.

        Args:
            asked: Any part of what ``settings`` gives.

        Raises:
            UsageError, OptionError: an unknown name, a value out of range, or one that a page may not change.
        """
        if not isinstance(asked, dict):
            raise UsageError("settings are an object")
        known = ("colorizer", "weights", "decoder", "preprocessors", "options")
        for name in asked:
            if name not in known:
                raise UsageError(f"settings have no {str(name)[:60]!r}", hint=f"there are {', '.join(known)}")
        before = self.settings(recipe)
        if asked.get("preprocessors", before["preprocessors"]) != before["preprocessors"]:
            raise UsageError("preprocessors are chosen on the command line")
        recipe = self._with_method(recipe, asked)
        if "decoder" in asked and asked["decoder"] != self.settings(recipe)["decoder"]:
            recipe = self._with_decoder(recipe, asked["decoder"])
        groups = asked.get("options", {})
        if not isinstance(groups, dict) or not all(isinstance(values, dict) for values in groups.values()):
            raise UsageError("options are an object of objects", hint=f"its parts: {', '.join(_GROUPS)}")
        for group, values in groups.items():
            if group not in _GROUPS:
                raise UsageError(f"options have no part {str(group)[:60]!r}", hint=f"its parts: {', '.join(_GROUPS)}")
            recipe = self._with_options(recipe, group, values)
        return recipe

    def _with_method(self, recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
        name = asked.get("colorizer", recipe.colorizer.name)
        if not isinstance(name, str):
            raise UsageError("the colorizer is a name")
        if name != recipe.colorizer.name:
            cls = self._host.colorizer(name)
            reason = self.reason(cls)
            if reason is not None:
                raise UsageError(f"{name} cannot be used: {reason}")
            if name == self._given.colorizer.name:
                given = self._given
                recipe = dataclasses.replace(
                    recipe, colorizer=given.colorizer, decoder=given.decoder, weights=given.weights
                )
            else:
                decoder = Stage(cls.default_decoder) if cls.default_decoder else None
                recipe = dataclasses.replace(recipe, colorizer=Stage(name), decoder=decoder, weights=None)
            recipe = _unpinned(recipe)
        shown = self.settings(recipe)["weights"]
        weights = asked.get("weights", shown)
        if weights != shown:
            cls = self._host.colorizer(recipe.colorizer.name)
            if weights is not None and not (weights in self._weights(cls) and self._here(weights)):
                there = [name for name in self._weights(cls) if self._here(name)]
                raise UsageError(
                    f"{cls.name} has no weights {str(weights)[:60]!r} here",
                    hint=f"there are {', '.join(there) or 'none'}",
                )
            recipe = _unpinned(dataclasses.replace(recipe, weights=weights))
        return recipe

    def _with_decoder(self, recipe: Recipe, name: object) -> Recipe:
        cls = self._host.colorizer(recipe.colorizer.name)
        if not cls.yields_distribution or not isinstance(name, str):
            raise UsageError(f"{cls.name} predicts chroma directly: there is nothing to decode")
        return dataclasses.replace(recipe, decoder=Stage(self._host.decoder(name).name))

    def _with_options(self, recipe: Recipe, group: str, values: Mapping[str, Any]) -> Recipe:
        if group in CORE:
            made = _over(CORE[group], group, self.settings(recipe)["options"][group], values)
            return dataclasses.replace(recipe, settings={**recipe.settings, **made})
        stage = recipe.colorizer if group == "colorizer" else self._decoder(recipe)
        if stage is None:
            if values:
                raise OptionError(f"{recipe.colorizer.name} has no decoder, and so none of its options")
            return recipe
        cls = self._host.colorizer(stage.name) if group == "colorizer" else self._host.decoder(stage.name)
        made = _over(cls.Options, cls.name, _values(cls, stage), values)
        stages = {group: Stage(stage.name, made, stage.version)}
        return dataclasses.replace(recipe, **stages)  # type: ignore[arg-type]  # the group is the field's name


def _unpinned(recipe: Recipe) -> Recipe:
    """Without what a saved recipe fixed of another network."""
    return dataclasses.replace(recipe, weights_sha256=None, reference_sha256=None, in_effect={})


def _values(cls: type[Plugin], stage: Stage) -> dict[str, Any]:
    return options.build(cls.Options, stage.options, cls.name).as_dict()


def _over(cls: type[Options], owner: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others, each checked; None takes an option's default."""
    known = {field.name: field for field in options.fields(cls)}
    made = dict(before)
    for name, value in values.items():
        if name not in known:
            raise OptionError(f"{owner} has no option {str(name)[:60]!r}", hint=f"its options: {', '.join(known)}")
        field = known[name]
        value = field.default if value is None else value
        if value == made[name]:
            continue
        if not editable(field, cls):
            raise UsageError(f"{owner}: {name} is not changed on the page", hint=f"give --{field.flag} to the command")
        if isinstance(value, str) and field.type is not str:
            raise OptionError(f"{owner}: {name} takes no text")
        made[name] = value
    return options.build(cls, made, owner).as_dict()


def editable(field: Field, cls: type[Options]) -> bool:
    """Whether a page may change an option. A free text may name a file, and limits guard the machine."""
    if cls is MediaOptions and field.name in _names(Limits):
        return False
    if field.type in (str, Path) and not field.choices:
        return cls is MergeOptions
    return True


def _names(cls: type[Options]) -> set[str]:
    return {field.name for field in options.fields(cls)}


def _options(cls: type[Options]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "type": "choice" if field.choices else _KINDS.get(field.type, "text"),
            "default": str(field.default) if isinstance(field.default, Path) else field.default,
            "optional": field.optional,
            "min": field.min,
            "max": field.max,
            "choices": list(field.choices),
            "help": field.help,
            "editable": editable(field, cls),
        }
        for field in options.fields(cls)
    ]
