"""The findings of a comparison: one ``Check`` for each thing that must hold, together a ``Report``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["equal", "differs", "left out"]
Progress = Callable[[int, int | None], None]
"""Called with the number of frames compared and in all; the latter is None if unknown."""


@dataclass(frozen=True)
class Check:
    """One thing that was compared."""

    name: str
    """``luma``, ``frames``, ``timestamps``, ``streams`` ..."""
    status: Status
    """``left out`` is what the result's format cannot hold, or what ``run`` says that it does not read: other pages,
    data tracks, sixteen bits in a JPEG. It is no damage to what was kept."""
    says: str
    """A sentence for a person; the first difference where there is one."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """The same for a program: ``largest``, ``mean``, ``psnr``, ``first`` ..."""


@dataclass(frozen=True)
class Report:
    """A result held against its source."""

    source: Path
    result: Path
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    """Remarks of the readers about the files: damage, conversions."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs; something may be left out."""
        return all(check.status != "differs" for check in self.checks)

    @property
    def complete(self) -> bool:
        """Whether nothing differs and nothing is left out."""
        return all(check.status == "equal" for check in self.checks)

    @property
    def first_difference(self) -> str | None:
        """The first check that does not hold, in one line."""
        return next((f"{check.name}: {check.says}" for check in self.checks if check.status == "differs"), None)

    def __getitem__(self, name: str) -> Check:
        """The check of that name.

        Raises:
            KeyError: it was not made: a still has no timestamps.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "source": str(self.source),
            "result": str(self.result),
            "equal": self.equal,
            "complete": self.complete,
            "checks": {
                check.name: {"status": check.status, "says": check.says, **check.numbers} for check in self.checks
            },
            "notes": list(self.notes),
        }
