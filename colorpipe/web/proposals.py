"""Six ways to begin with: the method's temperature and vibrance, its samples, and other methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colorpipe import options

if TYPE_CHECKING:
    from colorpipe.plugins.host import PluginHost
    from colorpipe.plugins.interfaces import Colorizer
    from colorpipe.web.items import Item
    from colorpipe.web.settings import Catalogue

COUNT = 6
LIKELY_T, BLENDED_T = 0.1, 1.0
"""Near the likeliest colours, and the mean of all."""
STRONGER = 1.4
"""What vibrance, or saturation where there is none, is multiplied by."""
SAMPLE = "sample"
"""Name of the option by which a method gives another colouring for each number."""


@dataclass(frozen=True)
class Proposal:
    """One of them."""

    number: int
    label: str
    settings: Mapping[str, Any]
    """A part of what ``Catalogue.settings`` gives."""

    def told(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"number": self.number, "label": self.label, "settings": self.settings}


def of(item: Item, catalogue: Catalogue, host: PluginHost) -> list[Proposal]:
    """At most six: first as it is, then the method's own variants, then other methods."""
    now = catalogue.settings(item.recipe)
    own = host.colorizer(item.recipe.colorizer.name)
    variants = [{}, *_variants(own, now, item.natural)]
    others = [cls for cls in catalogue.available() if cls is not own and not cls.takes_hints]
    # A method that is made of others, and needs no weights of its own, shows nothing new.
    others = [cls for cls in others if cls.default_weights is not None]
    room = COUNT - len(variants)
    labelled = [(_label(one), one) for one in variants]
    labelled += [(cls.name, {"colorizer": cls.name}) for cls in others[: max(0, room)]]
    return [Proposal(number, label, settings) for number, (label, settings) in enumerate(labelled[:COUNT])]


def _variants(
    own: type[Colorizer], now: Mapping[str, Any], natural: Mapping[str, float | None]
) -> Iterator[dict[str, Any]]:
    decoder = now["options"]["decoder"]
    if "T" in decoder:
        yield {"options": {"decoder": {"T": LIKELY_T}}}
        yield {"options": {"decoder": {"T": BLENDED_T}}}
    field = {field.name: field for field in options.fields(own.Options)}.get(SAMPLE)
    if field is not None and field.type is int:
        before = now["options"]["colorizer"].get(SAMPLE) or 0
        yield {"options": {"colorizer": {SAMPLE: before + 1}}}
        yield {"options": {"colorizer": {SAMPLE: before + 2}}}
    if "vibrance" in decoder:
        vibrance = decoder["vibrance"] or natural.get("vibrance") or 1.0
        yield {"options": {"decoder": {"vibrance": round(min(4.0, vibrance * STRONGER), 2)}}}
    else:
        yield {
            "options": {"merge": {"saturation": round(min(4.0, now["options"]["merge"]["saturation"] * STRONGER), 2)}}
        }


def _label(settings: Mapping[str, Any]) -> str:
    for values in settings.get("options", {}).values():
        for name, value in values.items():
            return f"{name} {value:g}"
    return "as it is"
