"""The places of several results for each input, for a method that gives such: ``NAME``, ``NAME-2``, ``NAME-3``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from colorpipe.errors import UsageError
from colorpipe.media.inputs import Job, Plan
from colorpipe.media.listing import Overwriting


class Several(Sequence[Job]):
    """The jobs of a plan, each as often as there are results; the first of an input keeps its name.

    A number is left out where another input has that name.

    Raises:
        UsageError: a result would replace an input.
    """

    def __init__(self, jobs: Plan, count: int) -> None:
        self._plan, self._jobs = jobs, []
        self.films = jobs.films * count
        self._more: set[Path] = set()
        guard = Overwriting(jobs.found)
        guarded = guard.applies_to(jobs.root)
        for job in jobs:
            self._jobs.append(job)
            names = (job.numbered(number) for number in itertools.count(2))
            for result in range(1, 1 if job.error else count):
                output = next(name for name in names if not self.is_planned(name))
                if guarded and guard.is_input(str(output)):
                    raise UsageError(f"the result {output} would replace an input", hint="give another folder to -o")
                self._more.add(output)
                self._jobs.append(replace(job, output=output, result=result))

    def is_planned(self, output: Path) -> bool:
        """Whether this is the place of an input's result."""
        return output in self._more or self._plan.is_planned(output)

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, number: int) -> Job: ...
    @overload
    def __getitem__(self, number: slice) -> list[Job]: ...
    def __getitem__(self, number: int | slice) -> Job | list[Job]:
        return self._jobs[number]

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)


def several(jobs: Plan, count: int) -> Plan | Several:
    """The jobs of a method that gives ``count`` results for each input."""
    return jobs if count == 1 else Several(jobs, count)
