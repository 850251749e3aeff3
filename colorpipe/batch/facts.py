"""What a run knows of a result and nobody could measure later: kept in the journal, for a review."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from colorpipe.batch.state import JobState

MOST_NOTES, LONGEST = 8, 300
"""Notes that are kept, and characters of each."""


def facts_of(state: JobState, notes: Iterable[str] = ()) -> dict[str, Any]:
    """The facts of a result, ready for the journal (docs/reference/journal.md); what is not known is left out.

    Args:
        notes: Those of the sink, besides the job's own.
    """
    facts: dict[str, Any] = {}
    sure = [value for value in state.confidences if math.isfinite(value)]  # a plugin may say anything
    if sure:
        facts["confidence"] = round(fmean(sure), 4)
    if state.flicker is not None:
        facts |= {"frames": state.frames, "shots": state.shots, "key_frames": state.key_frames}
        found = state.flicker.found()
        if found is not None:
            facts["flicker"] = {"mean": round(found.mean, 3), "spike": round(found.spike, 3), "frame": found.frame}
    told = [note[:LONGEST] for note in [*state.notes, *notes]][:MOST_NOTES]
    return facts | ({"notes": told} if told else {})
