"""``colorpipe run --dry-run``: what a run would do, for a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from colorpipe.cli import console
from colorpipe.cli.progress import duration
from colorpipe.media.inputs import DEFAULT_OUTPUT

if TYPE_CHECKING:
    from colorpipe.batch.forecast import Expected
    from colorpipe.batch.request import RunRequest
    from colorpipe.plugins.host import PluginHost

_WORDS = {"make": "would be made", "replace": "would be replaced", "skip": "would be skipped", "refuse": "would fail"}


def tell(request: RunRequest, host: PluginHost, *, verbose: bool) -> int:
    """Print the forecast on standard output.

    Args:
        verbose: Name each input, not only those that are replaced or refused.

    Returns:
        The exit status that the run would have, as far as can be told: 1 where an input would fail.
    """
    from colorpipe.batch.forecast import forecast

    found = forecast(request, host)
    out = console.stdout(None)
    for fate, words in _WORDS.items():
        those = found.of(fate)  # type: ignore[arg-type]  # a key of _WORDS
        if not those:
            continue
        out.print(f"{_counted(those)} {words}{':' if verbose or fate != 'make' else ''}", style="bold", markup=False)
        for one in those if verbose or fate in ("replace", "refuse") else [one for one in those if one.reason]:
            named = f"{one.input} -> {one.output}"
            out.print(f"  {named}{f': {one.reason}' if one.reason else ''}", markup=False, soft_wrap=True)
    if found.seconds is not None and found.bytes is not None:
        room = f"{_size(found.bytes)}; {_size(found.free)} are free in {request.output or DEFAULT_OUTPUT}"
        out.print(f"about {duration(found.seconds)} or less, by a trial on this computer, and {room}", markup=False)
        if found.bytes > found.free:
            out.print("there is not room enough: choose another disk with -o", style="bold red", markup=False)
    return 1 if found.of("refuse") else 0


def _counted(those: Sequence[Expected]) -> str:
    films = sum(one.film for one in those)
    kinds = [(len(those) - films, "picture"), (films, "film")]
    if not all(one.pixels for one in those):  # an unopened input may be either
        kinds = [(len(those), "input")]
    return " and ".join(f"{count} {kind}{'s' * (count != 1)}" for count, kind in kinds if count)


def _size(count: int) -> str:
    if count < 1e6:
        return f"{math.ceil(count / 1e3)} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
