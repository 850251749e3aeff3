"""Runs whose inputs or results are behind URLs: staged, batch by batch, through a folder on this machine.

::

    s3://prints/1931/a.jpg  ->  STAGE/in/1931/a.jpg  ->  STAGE/out/1931/a.jpg  ->  s3://colour/1931/a.jpg

What was done is recorded in whole objects under ``.colorpipe/`` beside the results, two for each batch: what is begun,
before anything is sent, and what is done. They hold the lines of the journal, which no object store could append to.
The next batch is fetched while one is colorized. A stage is kept where a run is killed, and the same command takes it
up: a film goes on after its last whole segment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from colorpipe import files
from colorpipe.batch.context import RunContext
from colorpipe.batch.memory import spare_memory
from colorpipe.batch.output_lock import OutputLock
from colorpipe.batch.preparation import session_for
from colorpipe.batch.record import place_of
from colorpipe.batch.remote_inputs import RemoteInputs
from colorpipe.batch.remote_store import RemotePath, Store, url_of
from colorpipe.batch.request import Listener, NullListener, RunRequest
from colorpipe.batch.threads import Threads
from colorpipe.errors import ColorpipeError, OutputError, UsageError
from colorpipe.media.inputs import Job, is_video
from colorpipe.media.passed import Passed
from colorpipe.pipeline.session import Session
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome
from colorpipe.weights.store import default_cache

log = logging.getLogger(__name__)
BATCH = 64
"""Inputs that are fetched, made and sent together."""
RECORDS = ".colorpipe"
Staged = tuple[int, Job]
"""An input's number, and its job on the stage."""


def run_remote(request: RunRequest, host: PluginHost, listener: Listener) -> list[Outcome]:
    """As ``runner.run``.

    Raises:
        ColorpipeError: nothing was started.
    """
    refused = {
        "--cluster": request.cluster, "--bag": request.bag, "--preview": request.preview, "--only": request.only,
    }  # fmt: skip
    for flag, given in refused.items():
        if given:
            raise UsageError(
                f"{flag} does not go with inputs or results behind a URL", hint="mount the store as a folder for that"
            )
    return _Remote(request, host, listener).go()


class _Lot:
    """The jobs of a batch, as ``Jobs`` says."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs, self.films = jobs, sum(is_video(job.output) for job in jobs)

    def is_planned(self, output: Path) -> bool:
        return True  # each has its place: no other is ever chosen

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)


class _Watch(NullListener):
    """Hands on what tells of progress; outcomes come when their results are sent."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.job_started = listener.job_started  # type: ignore[method-assign]
        self.frame_done = listener.frame_done  # type: ignore[method-assign]
        self.frame_skipped = listener.frame_skipped  # type: ignore[method-assign]
        self.film_told = listener.film_told  # type: ignore[method-assign]


class _Remote:
    """One call of ``run_remote``."""

    def __init__(self, request: RunRequest, host: PluginHost, listener: Listener) -> None:
        self._request, self._host, self._listener = request, host, listener
        self._out = Store(url_of(request.output) or str(request.root))
        self._inputs = RemoteInputs(request.inputs, self._out, request.shard)
        self._done: dict[str, dict[str, Any]] = {}
        """Result -> the latest entry about it."""
        self._sizes: dict[str, int] = {}
        """Results that are there."""
        self._outcomes: list[Outcome] = []
        self._stop = False

    def go(self) -> list[Outcome]:
        self._listener.passed_over(Passed())
        self._listener.started(len(self._inputs))
        if not len(self._inputs):
            return []
        self._read_records()
        name = f"{self._out.place} {self._request.shard} {sorted(map(str, self._request.inputs))}"
        stage = default_cache().parent / "stage" / hashlib.sha256(name.encode()).hexdigest()[:16]
        lock = OutputLock.take(stage)
        if lock is None:  # the same command is at work
            stage = stage.with_name(f"{stage.name}-{secrets.token_hex(4)}")
            lock = OutputLock.take(stage)
        try:
            self._run(stage)
            shutil.rmtree(stage, ignore_errors=True)
        finally:
            if lock is not None:
                lock.release()
        return self._outcomes

    def _run(self, stage: Path) -> None:
        spare_memory(self._inputs.films > 0)
        session = session_for(self._request, self._host)
        if self._request.save_recipe is not None:
            self._request.save_recipe(session.pinned().to_json() + "\n")
        runtime = session.pipeline.runtime
        self._listener.used(session.recipe.device, runtime.precision, session.recipe.weights or "none")
        with ThreadPoolExecutor(1, "fetch") as fetcher:
            ahead = None
            for lot in self._lots(session, stage):
                fetched = fetcher.submit(self._fetch, lot)
                if ahead is not None:
                    self._make(session, stage, *ahead.result())
                ahead = fetched
                if self._stop:
                    break
            if ahead is not None and not self._stop:
                self._make(session, stage, *ahead.result())

    def _lots(self, session: Session, stage: Path) -> Iterator[list[Staged]]:
        """What is to be made, some at a time, with its places on the stage."""
        lot: list[Staged] = []
        for number in range(len(self._inputs)):
            name, result = self._inputs.relative(number), self._inputs.result(number)
            told = RemotePath(self._inputs.url(number)), RemotePath(self._out.told(result))
            try:
                fate = self._fate(session, number, result)
            except OutputError as error:
                self._end(Job(*told), Outcome(told[0], "failed", error=str(error), error_type="OutputError"))
                continue
            if fate is not None:
                notes = (fate,) if fate else ()
                self._end(Job(*told), Outcome(told[0], "skipped", told[1], device=session.recipe.device, notes=notes))
                continue
            root = stage / "in" / str(self._inputs.root_of(number))
            lot.append((number, Job(root / name, stage / "out" / result, exact=True, relative=name)))
            if len(lot) == BATCH:
                yield lot
                lot = []
        if lot:
            yield lot

    def _fate(self, session: Session, number: int, result: str) -> str | None:
        """A note where it is skipped, empty where there is nothing to say; None where it is to be made.

        Raises:
            OutputError: something else is there.
        """
        size, entry = self._sizes.get(result), self._done.get(result)
        if self._request.overwrite or size is None:
            return None
        if entry is None:
            raise OutputError(
                f"{self._out.told(result)} exists and was not made by colorpipe", hint="--overwrite replaces it"
            )
        source = entry["source"]
        if source["path"] != self._inputs.url(number):
            raise OutputError(
                f"{self._out.told(result)} is the result of {source['path']}", hint="give another place to -o"
            )
        if entry["event"] != "done":
            return None
        if entry["size"] != size:
            return "was changed since colorpipe made it: left as it is; --overwrite replaces it"
        known = self._inputs.known(number)
        same = (source["size"], source["version"]) == (known["size"], known["version"])
        guides = source.get("guides", {}) == self._inputs.guides(number)
        return "" if same and guides and entry["recipe"] == session.digest else None

    def _fetch(self, lot: list[Staged]) -> tuple[list[Staged], dict[int, str]]:
        """A batch on the stage, and why some of it could not be had."""
        failed: dict[int, str] = {}
        for number, job in lot:
            try:
                self._inputs.fetch(number, job.input)
            except (ColorpipeError, OSError) as error:
                failed[number] = str(error)
        return lot, failed

    def _make(self, session: Session, stage: Path, lot: list[Staged], failed: dict[int, str]) -> None:
        had = [(number, job) for number, job in lot if number not in failed]
        self._record("begun", [self._entry(session, number) for number, _ in had])
        jobs = _Lot([job for _, job in had])
        request = dataclasses.replace(
            self._request, output=stage / "out", overwrite=True, worker=True, forget=False, fail_fast=False, shard=None
        )
        context = RunContext(request, session, jobs, _Watch(self._listener))
        outcomes = iter(Threads(context, jobs).go() if had else ())
        done: list[dict[str, Any]] = []
        for number, job in lot:
            reason = failed.get(number)
            outcome = Outcome(job.input, "failed", error=reason) if reason else next(outcomes)
            if outcome.status == "done":
                outcome = self._send(session, number, job, outcome, done)
            self._end(job, self._renamed(number, job, outcome))
            for path in (job.input, job.output, place_of(job.output), job.comparison):
                files.remove(path)
        self._record("done", done)

    def _send(self, session: Session, number: int, job: Job, outcome: Outcome, done: list[dict[str, Any]]) -> Outcome:
        """A result and what stands beside it, the result last."""
        result = self._inputs.result(number)
        folder = result.rpartition("/")[0]
        try:
            for beside in (place_of(job.output), job.comparison):
                if beside.exists():
                    self._out.send(beside, f"{folder}/{beside.name}".lstrip("/"))
            self._out.send(job.output, result)
        except OutputError as error:
            return dataclasses.replace(outcome, status="failed", error=str(error), error_type="OutputError")
        told = {"size": job.output.stat().st_size, "sha256": files.sha256(job.output), "recipe": session.digest}
        done.append({**self._entry(session, number), **told})
        return outcome

    def _entry(self, session: Session, number: int) -> dict[str, Any]:
        known, guides = self._inputs.known(number), self._inputs.guides(number)
        source = {"path": self._inputs.url(number), "size": known["size"], "version": known["version"]}
        return {"output": self._inputs.result(number), "source": {**source, **({"guides": guides} if guides else {})}}

    def _record(self, event: str, entries: list[dict[str, Any]]) -> None:
        """Entries as one object, whose name sorts by time."""
        if entries:
            lines = "".join(json.dumps({"event": event, **entry}) + "\n" for entry in entries)
            self._out.write(f"{RECORDS}/{time.time_ns():020}-{secrets.token_hex(4)}.jsonl", lines.encode())

    def _read_records(self) -> None:
        names = []
        for name, known in self._out.list():
            if name.startswith(f"{RECORDS}/"):
                names.append(name)
            else:
                self._sizes[name] = int(known.get("size") or 0)
        for data in self._out.read(sorted(names)):
            for entry in map(json.loads, data.splitlines()):
                self._done[entry["output"]] = entry

    def _renamed(self, number: int, job: Job, outcome: Outcome) -> Outcome:
        """The outcome, told of URLs and not of the stage."""
        source = RemotePath(self._inputs.url(number))
        output = None if outcome.output is None else RemotePath(self._out.told(self._inputs.result(number)))
        error = outcome.error and outcome.error.replace(str(job.input), str(source))
        notes = tuple(note.replace(str(job.output), str(output)) for note in outcome.notes)
        return dataclasses.replace(outcome, input=source, output=output, error=error, notes=notes)

    def _end(self, job: Job, outcome: Outcome) -> None:
        if not self._request.forget:
            self._outcomes.append(outcome)
        self._listener.job_done(job, outcome)
        self._stop = self._stop or (outcome.status == "failed" and self._request.fail_fast)
