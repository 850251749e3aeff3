"""The journals that a run writes: one for each folder of results and each thing that is made there."""

from __future__ import annotations

import threading
from pathlib import Path

from colorpipe.batch.journal import NAME, Journal
from colorpipe.batch.journal_index import Index
from colorpipe.batch.request import RunRequest
from colorpipe.media.inputs import Job


class Journals:
    """Journals by jobs. Those of several recipes in one folder share what was read of it. Safe to use from several
    threads.

    Args:
        digest: Of the run's recipe.
        read: Journals that were read already, by their folders; takes those that are read now.
        engine: As of ``Journal``.
    """

    def __init__(
        self, request: RunRequest, digest: str, read: dict[Path, Index] | None = None, engine: str = ""
    ) -> None:
        self._request, self._digest, self._engine = request, digest, engine
        self._read = {} if read is None else read
        self._journals: dict[tuple[Path, str], Journal] = {}
        self._lock = threading.Lock()

    def folder(self, job: Job) -> Path:
        """The folder that records a job's result."""
        root = self._request.root
        return root if job.output.is_relative_to(root) and not job.exact else job.output.parent

    def index(self, folder: Path) -> Index:
        """What is known of a folder's journal."""
        if folder not in self._read:
            self._read[folder] = Index(folder / NAME)
        return self._read[folder]

    def of(self, job: Job, what: str = "") -> Journal:
        """The journal of a job.

        Args:
            what: The recipe makes it besides the result itself.
        """
        folder = self.folder(job)
        preview = "" if job.preview is None else f"preview {job.preview:g}"
        key = folder, " ".join(filter(None, (self._digest, preview, what)))
        with self._lock:
            if key not in self._journals:
                self._journals[key] = Journal(*key, self.index(folder), self._engine)
            return self._journals[key]
