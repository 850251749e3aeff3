"""The driver: lists, passes over what the journal knows, hands out paths in chunks, and tells each input's fate.

A worker gets a task when it has none, so that nothing piles up, however fast the listing is. A task whose worker died
is handed out again: results appear whole, so that doing a thing twice is doing it once. A film is parted where several
workers can make it (``film_plan``). The driver itself holds nothing that the next one could not find on disk.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from colorpipe.batch.cluster.film_plan import FilmPlan
from colorpipe.batch.cluster.pool import Pool
from colorpipe.batch.cluster.tasks import Answer, Chunk, JoinFilm, Known, MakePart, PlanFilm, Setup, Task
from colorpipe.batch.journals import Journals
from colorpipe.batch.request import Listener, RunRequest
from colorpipe.batch.threads import tell_of_colour, warn_of_replacing
from colorpipe.errors import ColorpipeError
from colorpipe.files import remove, working_folder
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.media.inputs import Job, Plan, is_video
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome

log = logging.getLogger(__name__)
MOST = 64
"""Pictures of a task at most."""
ROUNDS = 4
"""Tasks that each worker gets at least, of many pictures: so that none waits long for the last one."""
DEATHS = 10
"""Workers that one input may cost. Machines go for reasons of their own; ten in turn over one picture are no chance."""
_POLL = 0.3
"""Seconds between looks at the plans of films."""
PLAN = "plan.jsonl"


def run_on_cluster(request: RunRequest, host: PluginHost, listener: Listener, jobs: Plan) -> list[Outcome]:
    """As ``runner.run``, once inputs are found.

    Raises:
        ColorpipeError: nothing was started: no Ray, no cluster, or no worker can do it.
    """
    assert request.cluster is not None
    with Pool(request.cluster) as pool:
        cores = pool.cores
        asked = dataclasses.replace(
            request, inputs=(), jobs=request.jobs or 2 * cores, worker=True, forget=False, fail_fast=False,
            save_recipe=None, shard=None, cluster=None, bag=request.bag,
        )  # fmt: skip
        pool.set_up(Setup(asked, tuple(path.absolute() for path in host.files), Path.cwd(), cores))
        return Driver(request, host, listener, jobs, pool).go()


class Driver:
    """One call of ``run_on_cluster``."""

    def __init__(self, request: RunRequest, host: PluginHost, listener: Listener, jobs: Plan, pool: Pool) -> None:
        self._request, self._listener, self._jobs, self._pool = request, listener, jobs, pool
        self._colorizer = host.colorizer(request.recipe.colorizer.name)
        self._outcomes: dict[int, Outcome] = {}
        self._places: dict[Path, int] = {}
        """Numbers of the jobs in work, by their outputs."""
        self._again: deque[Task] = deque()
        """Tasks that go before all that were not begun."""
        self._tasks: Iterator[Task] = iter(())
        self._films: dict[Path, FilmPlan] = {}
        """Films in parts, by their outputs."""
        self._parts_left: dict[Path, set[Path]] = {}
        self._deaths: Counter[Path] = Counter()
        self._in_colour = self._ended = 0
        self._told: set[str] = set()
        self._stop = self._listed = False

    def go(self) -> list[Outcome]:
        while self._pool.facts is None:
            self._pool.wait(1.0)
        facts = self._pool.facts
        self._device = facts.name
        self._journals = Journals(self._request, facts.digest)
        if self._request.save_recipe is not None:
            self._request.save_recipe(facts.recipe + "\n")
        self._listener.started(len(self._jobs))
        warn_of_replacing(self._journals.of, self._request, self._jobs)
        self._listener.used(f"{facts.device}, on {self._pool.where}", facts.precision, facts.weights)
        self._numbered = self._crowded()
        self._tasks = self._cut()
        while True:
            while self._pool.idle and (task := self._next()) is not None:
                self._pool.give(task)
            if not self._pool.busy and (self._stop or (self._listed and not self._again and not self._films)):
                break
            for ended, answer in self._pool.wait(_POLL):
                if answer is None:
                    self._bury(ended)
                else:
                    self._take(ended, answer)
            self._look_at_films()
        tell_of_colour(self._in_colour, self._request.only_grey)
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def _next(self) -> Task | None:
        if self._stop:
            return None
        if self._again:
            return self._fresh(self._again.popleft())
        task = next(self._tasks, None)
        self._listed = task is None
        return task

    def _cut(self) -> Iterator[Task]:
        """The jobs as tasks, one ahead of what is handed out: a million paths are never listed here again."""
        pictures: list[Job] = []
        most = max(1, min(MOST, len(self._jobs) // (ROUNDS * self._pool.size)))
        for number, job in enumerate(self._jobs):
            if self._is_done(number, job):
                continue
            self._places[job.output] = number
            if is_video(job.output) and not job.error:
                yield self._film(job)
                continue
            pictures.append(job)
            if len(pictures) >= most:
                yield self._chunk(pictures)
                pictures = []
        if pictures:
            yield self._chunk(pictures)

    def _film(self, job: Job) -> Task:
        """A film's first task: to be parted, where there is anybody to share it with."""
        self._listener.job_started(job, None)
        if self._pool.size < 2 or job.preview is not None or self._request.hints is not None:
            return self._chunk([job])
        file = working_folder(job.output) / PLAN
        remove(file)  # what a killed driver left may be of another source
        self._films[job.output] = FilmPlan(job, file, self._pool.size)
        self._parts_left[job.output] = set()
        return PlanFilm(job, self._known(job), file)

    def _is_done(self, number: int, job: Job) -> bool:
        """Whether the journal settles it, and nothing else is to be made: a worker looks at every other case."""
        request = self._request
        if job.error or request.overwrite or request.compare or request.sidecar:
            return False
        try:
            guides = SidecarFiles.of(job.input, self._colorizer, request.hints).identity
            if self._journals.of(job).state(job.input, job.output, guides) != "done":
                return False
        except (ColorpipeError, OSError):
            return False
        self._settle(number, job, Outcome(job.input, "skipped", job.output, device=self._device))
        return True

    def _crowded(self) -> dict[str, list[Path]]:
        """Results with a number in their names, ``a-2.jpg``, by the name without: one that has to give way passes them
        over. Only those beside which there is a result without."""
        found: dict[str, list[Path]] = {}
        for output in self._jobs.outputs():
            match = re.search(r"^(.*)-\d+(\.[^./]+)$", output)
            if match and self._jobs.is_planned(Path(match[1] + match[2])):
                found.setdefault(match[1] + match[2], []).append(Path(output))
        return found

    def _chunk(self, jobs: list[Job]) -> Chunk:
        beside = (path for job in jobs for path in self._numbered.get(str(job.output), ()))
        lines = [self._known(job) for job in jobs]
        known = dataclasses.replace(lines[0], lines=tuple(line for one in lines for line in one.lines))
        return Chunk(tuple(jobs), known, frozenset(beside), sum(is_video(job.output) for job in jobs))

    def _known(self, job: Job) -> Known:
        folder = self._journals.folder(job)
        index = self._journals.index(folder)
        key = self._journals.of(job).key(job.output)
        return Known(folder, index.seen, tuple(index.lines(os.path.abspath(job.input), key)))

    def _fresh(self, task: Task) -> Task:
        """The task with what the journal says by now: a worker that began since has not read what came before."""
        if isinstance(task, JoinFilm):
            self._journals.index(task.chunk.known.folder).read()
            return dataclasses.replace(task, chunk=self._chunk(list(task.chunk.jobs)))
        if isinstance(task, MakePart):
            return task
        self._journals.index(task.known.folder).read()
        if isinstance(task, PlanFilm):
            return dataclasses.replace(task, known=self._known(task.job))
        return self._chunk(list(task.jobs))

    def _take(self, task: Task, answer: Answer) -> None:
        for level, text in answer.logged:
            if text not in self._told:
                self._told.add(text)
                log.log(level, "%s", text)
        self._in_colour += answer.in_colour
        if isinstance(task, Chunk):
            self._settle_all(task, answer.outcomes)
        elif isinstance(task, PlanFilm):
            plan = self._films.get(task.job.output)
            if plan is not None and not (answer.parted or plan.begun):
                self._films.pop(task.job.output)
                self._again.append(self._chunk([task.job]))
        elif isinstance(task, MakePart):
            self._end_part(task, answer)
        elif answer.error is not None:
            self._fail(task.chunk.jobs[0], answer.error)
        else:
            plan = self._films.pop(task.chunk.jobs[0].output)
            notes = [note for note in answer.outcomes[0].notes if not note.startswith("an earlier run had made")]
            outcome = dataclasses.replace(
                answer.outcomes[0], shots=plan.shots, key_frames=plan.key_frames, notes=tuple(notes)
            )
            self._settle_all(task.chunk, [outcome])

    def _settle_all(self, chunk: Chunk, outcomes: list[Outcome]) -> None:
        for job, outcome in zip(chunk.jobs, outcomes, strict=True):
            if outcome.status == "skipped" and self._deaths[job.output] and outcome.output is not None:
                note = "a worker made it that ended before it could say so"
                outcome = dataclasses.replace(outcome, status="done", notes=(*outcome.notes, note))
            self._settle(self._places.pop(job.output), job, outcome)

    def _settle(self, number: int, job: Job, outcome: Outcome) -> None:
        if not self._request.forget:
            self._outcomes[number] = outcome
        self._deaths.pop(job.output, None)
        self._listener.job_done(job, outcome)
        self._stop = self._stop or (outcome.status == "failed" and self._request.fail_fast)

    def _fail(self, job: Job, reason: str) -> None:
        self._films.pop(job.output, None)
        named = reason if str(job.input) in reason else f"{job.input}: {reason}"
        failed = Outcome(job.input, "failed", error=named, error_type="OutputError")
        self._settle(self._places.pop(job.output), job, failed)

    def _bury(self, task: Task) -> None:
        """A worker died over a task: it is handed out again, in pieces from the second time on."""
        jobs = task.jobs if isinstance(task, Chunk) else task.chunk.jobs if isinstance(task, JoinFilm) else (task.job,)
        outputs = [job.part.film if job.part is not None else job.output for job in jobs]
        self._deaths.update(outputs)
        if isinstance(task, Chunk) and len(jobs) > 1:
            if self._deaths[outputs[0]] == 1:
                self._again.append(task)
            else:
                self._again.extend(self._chunk([job]) for job in jobs)
        elif self._deaths[outputs[0]] >= DEATHS:
            if outputs[0] in self._places:
                job = self._jobs[self._places[outputs[0]]]
                self._fail(job, f"{DEATHS} workers ended while they made it; is there enough memory?")
        elif not (isinstance(task, PlanFilm) and self._is_planned(task)):
            self._again.append(task)

    def _is_planned(self, task: PlanFilm) -> bool:
        """Whether a film's plan is there in full, though nobody said so."""
        self._look_at_films()
        plan = self._films.get(task.job.output)
        return plan is None or plan.complete

    def _look_at_films(self) -> None:
        """Hand out the parts that are known by now."""
        for plan in list(self._films.values()):
            for part in plan.look():
                job = dataclasses.replace(plan.job, output=part.output, part=part)
                self._parts_left[plan.job.output].add(part.output)
                self._again.append(MakePart(job, plan.key))
            self._join(plan)

    def _end_part(self, task: MakePart, answer: Answer) -> None:
        part = task.job.part
        assert part is not None
        plan = self._films.get(part.film)
        if plan is None:
            return  # another part has failed
        if answer.error is not None:
            self._fail(plan.job, answer.error)
            return
        self._parts_left[part.film].discard(part.output)
        for _ in range(part.start, part.stop or plan.frames or part.start):
            self._listener.frame_done(plan.job)
        self._join(plan)

    def _join(self, plan: FilmPlan) -> None:
        film = plan.job.output
        if plan.complete and film in self._films and self._parts_left.get(film) == set():
            self._parts_left.pop(film)
            self._again.append(JoinFilm(self._chunk([plan.job]), tuple(plan.parts), plan.key))
