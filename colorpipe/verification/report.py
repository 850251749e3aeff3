"""The findings of a comparison: one ``Check`` for each thing that must hold, together a ``Report``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["equal", "lossy", "differs", "left out"]
Verdict = Literal["exact", "lossy", "broken"]
"""``exact``: all that could be kept is the source's own. ``lossy``: all but for what the result's format does to grey
at its quality. ``broken``: something was changed or lost."""
Progress = Callable[[int, int | None], None]
"""Called with the number of frames compared and in all; the latter is None if unknown."""


@dataclass(frozen=True)
class Check:
    """One thing that was compared."""

    name: str
    """``luma``, ``frames``, ``timestamps``, ``streams`` ..."""
    status: Status
    """``lossy`` is what the result's format does to values at its quality, and no more: a JPEG's rounding.
    ``left out`` is what the result's format cannot hold, or what ``run`` says that it does not read: other pages,
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
        """Whether nothing differs, not even by a lossy format; something may be left out."""
        return all(check.status not in ("differs", "lossy") for check in self.checks)

    @property
    def verdict(self) -> Verdict:
        """What became of the promise that the source is kept."""
        if any(check.status == "differs" for check in self.checks):
            return "broken"
        return "exact" if self.equal else "lossy"

    @property
    def summary(self) -> str:
        """The verdict in one sentence, what is fine first: ``a JPEG: lightness differs by 0.4 codes on average, as
        JPEG does; nothing else was changed``."""
        if self.verdict == "broken":
            return str(self.first_difference)
        lossy = [check for check in self.checks if check.status == "lossy"]
        told = "; ".join(_loss(check) for check in lossy)
        rest = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{told}; nothing else was changed{rest}" if lossy else f"nothing was changed{rest}"

    @property
    def left_out(self) -> list[str]:
        """Names of the checks that found something left out."""
        return [check.name for check in self.checks if check.status == "left out"]

    @property
    def complete(self) -> bool:
        """Whether nothing differs and nothing is left out."""
        return all(check.status == "equal" for check in self.checks)

    @property
    def first_difference(self) -> str | None:
        """The first check that does not hold, in one line; one that a lossy format explains comes last."""
        found = [check for status in ("differs", "lossy") for check in self.checks if check.status == status]
        return f"{found[0].name}: {found[0].says}" if found else None

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
            "verdict": self.verdict,
            "summary": self.summary,
            "checks": {
                check.name: {"status": check.status, "says": check.says, **check.numbers} for check in self.checks
            },
            "notes": list(self.notes),
        }


def _loss(check: Check) -> str:
    """``a JPEG: lightness differs by 0.4 codes on average, as JPEG does``."""
    if "format" not in check.numbers:
        return f"{check.name} {check.says}"
    name, still = check.numbers["format"], "kept" in check.numbers
    what = f"{'an' if name[0] in 'AH' else 'a'} {name}{'' if still else ' film'}"
    return (
        f"{what}: {'lightness' if still else 'brightness'} differs by {check.numbers['codes']:.1f} codes on average, "
        f"as {name} does"
    )
