"""The state that the threads of one run share."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from colorpipe.batch.channel import Channel
from colorpipe.batch.jobs import JobQueue, Jobs
from colorpipe.batch.journal import Journal
from colorpipe.batch.journal_index import Index
from colorpipe.batch.journals import Journals
from colorpipe.batch.request import Listener, RunRequest
from colorpipe.batch.state import Item
from colorpipe.errors import OutputError
from colorpipe.media.inputs import Job
from colorpipe.media.provenance import recipe_of
from colorpipe.pipeline.session import Session
from colorpipe.types import Outcome

AHEAD = 4
"""Frames that wait for a writer."""


class RunContext:
    """The request, the session, and everything that the threads share: queues, locks, journals, the listener.

    Args:
        read: As for ``Journals``.
    """

    def __init__(
        self,
        request: RunRequest,
        session: Session,
        jobs: Jobs,
        listener: Listener,
        read: dict[Path, Index] | None = None,
    ) -> None:
        self.request, self.session, self.listener = request, session, listener
        self.pipeline = session.pipeline
        self.total = len(jobs)
        self.is_planned = jobs.is_planned
        self.lanes = max(1, min(request.jobs or min(8, os.cpu_count() or 1), self.total))
        """Jobs in work at once: a reader and a writer for each."""
        self.stop = threading.Event()
        self.lock = threading.Lock()
        """Lock for calls of the listener and for changes to the jobs or the journals."""
        self.jobs = JobQueue(jobs, self.lock, self.stop, forget=request.forget)
        self.ready: Channel[Item] = Channel(2 * self.pipeline.runtime.at_once + 2, self.stop)
        """Items on their way from the readers to the network."""
        self.results: list[Channel[Item | None]] = [Channel(AHEAD, self.stop) for _ in range(self.lanes)]
        """Items on their way from the network to each writer; None is the end."""
        self.in_colour = 0
        """Stills that were in colour before; changed under the lock."""
        self.failed: list[tuple[Job, Outcome]] = []
        """Jobs that failed; changed under the lock."""
        self._journals = Journals(request, session.digest, read, session.engine)

    def journal(self, job: Job, what: str = "") -> Journal:
        """The journal of the folder that a result goes to; ``what`` the recipe makes besides the result itself."""
        return self._journals.of(job, what)

    def record_failures(self) -> None:
        """Leave in the journals why inputs failed, for a review. A folder without any result gets no journal."""
        for job, outcome in self.failed:
            with contextlib.suppress(OutputError):
                self.journal(job).failed(job.input, job.output, outcome.error or "", outcome.error_type or "")

    def is_done(
        self,
        journal: Journal,
        source: Path,
        output: Path,
        sidecars: Mapping[str, str] | None = None,
        notes: list[str] | None = None,
        *,
        heal: bool = True,
    ) -> bool:
        """Whether a result is there and is left: made by this recipe from this source, or changed by a person since.

        Args:
            notes: Takes what a person should know of it.
            heal: Record a result again that is known by its mark alone.

        Raises:
            OutputError: something else is there: a file of somebody's, the result of another source, or one of which
                nothing is known any more.
        """
        if self.request.overwrite:
            return False
        notes = [] if notes is None else notes
        state = journal.state(source, output, sidecars)
        if state == "touched":
            notes.append(f"{output} was changed since colorpipe made it: left as it is; --overwrite replaces it")
            return True
        if state == "another" and not output.exists():
            return False  # nothing is replaced: what is half made of the other film steps aside
        if state == "another":
            raise OutputError(
                f"{output} is the result of {journal.origin(output)}, not of {source}",
                hint="give another name to -o; --overwrite replaces it",
            )
        if state != "foreign":
            return state == "done"
        made = recipe_of(output)
        if made is None:
            raise OutputError(f"{output} exists and was not made by colorpipe", hint="--overwrite replaces it")
        if made != self.session.digest or sidecars or output.stat().st_mtime_ns < source.stat().st_mtime_ns:
            raise OutputError(
                f"{output} was made by colorpipe with other settings or of another source, and its record is lost: it "
                "may have been changed since",
                hint="another folder for -o keeps both; --overwrite replaces it",
            )
        notes.append(f"{output} is known by its mark: the folder's record of it was lost, and is written anew")
        if heal:
            journal.done(source, output)
        return True
