"""``python benchmarks/run.py``: every row of the speed table, measured here and now, into ``docs/benchmarks.md``.

The reference and colorpipe take turns, each in a process of its own that has its network loaded; what is compared are
the minima over the rounds. A row whose minimum is below 0.8 of its median was disturbed and is not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from benchmarks import rows, table  # noqa: E402  the path comes first

THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
"""Of either side; one where the benchmarks themselves are held to one core (``taskset -c 1``)."""
STEADY = 0.8


class Worker:
    """A contender in its process."""

    def __init__(self, kind: str, **arguments: Any) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(THREADS)}
        command = [sys.executable, "-m", "benchmarks.worker", kind, json.dumps(arguments)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        self._answer()

    def __call__(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with status {self._process.wait()}")
        return dict(json.loads(line))

    def close(self) -> None:
        self._process.communicate()


class Bench:
    """The rows, measured in a scratch folder that keeps its pictures from one call to the next."""

    def __init__(self, folder: Path, rounds: int, quick: bool) -> None:
        self.folder, self.rounds, self.quick = folder, rounds, quick

    def make(self, what: str, *arguments: Any) -> Any:
        """Pictures and checkpoints, made by a process of its own: this one stays small, see ``ru_maxrss``."""
        code = f"import json; from benchmarks import pictures; r = pictures.{what}(*json.loads(input()))"
        code += "; print(json.dumps([str(f) for f in r] if isinstance(r, list) else str(r)))"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
        made = subprocess.run(
            [sys.executable, "-c", "from pathlib import Path\n" + code], input=json.dumps(arguments), text=True,
            stdout=subprocess.PIPE, check=True, env=environment,
        )  # fmt: skip
        return json.loads(made.stdout.splitlines()[-1])

    def recipe(self, row: rows.Row | rows.FilmRow, **settings: Any) -> str:
        weights = row.weights
        if weights not in rows.BUNDLED:
            weights = self.make("checkpoint", str(self.folder / f"{weights}.pth"), weights)
        stage = {"name": row.colorizer}
        recipe = {
            "colorizer": stage,
            "weights": weights,
            "settings": {**row.settings, **settings},
            "precision": row.precision,
            "engine": row.engine,
        }
        return json.dumps({**recipe, "device": "cpu"})

    def row(self, row: rows.Row) -> dict[str, Any]:
        """Both contenders in turns."""
        theirs_count, ours_count = (1, row.pictures[1] // 2) if self.quick else row.pictures
        pictures = self.make("photographs", str(self.folder / row.size), row.size, ours_count)
        checkpoint = self.make("checkpoint", str(self.folder / f"{row.network}.pth"), row.network)
        reference = Worker("reference", network=row.network, checkpoint=checkpoint, threads=THREADS)
        if row.engine != "torch":  # converted and tried by a process of its own, which needs torch and its memory
            first = Worker("ours", recipe=self.recipe(row), threads=THREADS)
            first("run", pictures=pictures, suffix=row.suffix, to=str(self.folder / "out" / row.name))
            first.close()
        ours = Worker("ours", recipe=self.recipe(row), threads=THREADS)
        to = {"to": str(self.folder / "out" / row.name)}
        suffix = row.reference_suffix or row.suffix
        theirs_times, ours_times = [], []
        ours("run", pictures=pictures[:2], suffix=row.suffix, **to)  # measures the precision once, fills caches
        reference("run", pictures=pictures[:1], suffix=suffix, to=to["to"] + "-reference")
        for turn in range(self.rounds):
            part = [pictures[(turn + i) % len(pictures)] for i in range(theirs_count)]
            theirs_times.append(reference("run", pictures=part, suffix=suffix, to=to["to"] + "-reference"))
            ours_times.append(ours("run", pictures=pictures, suffix=row.suffix, **to))
            _say(f"  {row.name} {turn + 1}/{self.rounds}")
        result = {
            "reference": _rates(theirs_times, theirs_count),
            "ours": _rates(ours_times, ours_count),
            "precision": ours_times[-1]["precision"],
            "dE": None,
        }
        ours.close()
        if row.dE is not None:
            step = 4 if row.size == "12mp" else 1
            results = ours_times[-1]["results"][: 1 if self.quick else 3]
            differences = [
                reference("compare", picture=picture, result=done, step=step)["dE"]
                for picture, done in zip(pictures, results, strict=False)
            ]
            result["dE"] = statistics.mean(differences)
        reference.close()
        return result

    def film(self, row: rows.FilmRow) -> dict[str, Any]:
        """The reference, ours frame by frame and ours with steady colour, in turns; then the stages of the last."""
        counts = dict(zip(("reference", "none", "auto"), row.quick if self.quick else row.frames, strict=True))
        films = {side: self.make("old_film", str(self.folder / f"old{n}.mp4"), n) for side, n in counts.items()}
        checkpoint = self.make("checkpoint", str(self.folder / "eccv16.pth"), "eccv16")
        workers = {"reference": Worker("reference", network="eccv16", checkpoint=checkpoint, threads=THREADS)}
        for side in ("none", "auto"):
            workers[side] = Worker("ours", recipe=self.recipe(row, temporal=side), threads=THREADS)
        to = {side: str(self.folder / "out" / f"{row.name}-{side}") for side in workers}
        answers: dict[str, list[dict[str, Any]]] = {side: [] for side in workers}
        for side, worker in workers.items():  # measures the precision once, fills caches
            worker("film", film=films["reference"], to=to[side])
        rounds = min(self.rounds, 2) if self.quick else self.rounds
        for turn in range(rounds):
            for side, worker in workers.items():
                answers[side].append(worker("film", film=films[side], to=to[side]))
            _say(f"  {row.name} {turn + 1}/{rounds}")
        result: dict[str, Any] = {side: _rates(found, counts[side]) for side, found in answers.items()}
        result["precision"] = answers["auto"][-1]["precision"]
        result["network"] = answers["auto"][-1]["key_frames"] / answers["auto"][-1]["frames"]
        result["stages"] = workers["auto"]("stages", film=films["auto"], to=to["auto"])["stages"]
        for worker in workers.values():
            worker.close()
        return result

    def memory(self, name: str) -> dict[str, Any]:
        """Peak memory of a short and of a ten times longer job, each in a fresh process; the bundled model."""
        recipe = self.recipe(next(row for row in rows.ROWS if row.name == "compact-jpeg"))
        peaks = []
        for count in (40, 400) if name == "memory-pictures" else (240, 2400):
            if name == "memory-pictures":
                made = self.make("photographs", str(self.folder / "1080p"), "1080p", 16)
                inputs = _repeated(self.folder / f"many{count}", made, count)
            else:
                inputs = [self.make("film", str(self.folder / f"film{count}.mp4"), count)]
            ours = Worker("ours", recipe=recipe, threads=THREADS)
            peaks.append(ours("run", pictures=inputs, to=str(self.folder / "out" / name), suffix="")["peak_mb"])
            ours.close()
            _say(f"  {name} {count}: {peaks[-1]:.0f} MB")
        return {"peaks": peaks}

    def page(self, name: str) -> dict[str, Any]:
        """Seconds from a change to its picture, over HTTP, of a 12-megapixel photo with the default model."""
        picture = self.make("photographs", str(self.folder / "12mp"), "12mp", 1)[0]
        page = Worker("page", picture=picture, to=str(self.folder / "out" / "page"), threads=THREADS)
        answer = page(name.removeprefix("page-"), changes=8 if self.quick else 20)
        page.close()
        return answer

    def spread(self, name: str) -> dict[str, Any]:
        """``levin`` and SciPy's direct solution in turns."""
        side = 640 if self.quick else 1920
        picture = self.make("coloured", str(self.folder / "coloured-1080p.png"), "1080p")
        given = {"picture": picture, "side": side, "threads": THREADS}
        workers = {way: Worker("spread", way=way, **given) for way in ("direct", "fast")}
        to = {way: str(self.folder / f"{name}-{way}.npy") for way in workers}
        answers: dict[str, list[dict[str, Any]]] = {way: [] for way in workers}
        workers["fast"]("solve", to=to["fast"])  # fills caches
        rounds = min(self.rounds, 3)
        for turn in range(rounds):
            for way, worker in workers.items():
                answers[way].append(worker("solve", to=to[way]))
            _say(f"  {name} {turn + 1}/{rounds}")
        apart = workers["fast"]("apart", first=to["fast"], second=to["direct"])
        for worker in workers.values():
            worker.close()
        rates = {way: _rates(found, 1) for way, found in answers.items()}
        return {"reference": rates["direct"], "ours": rates["fast"], "side": side, "rounds": rounds, **apart}

    def start(self, name: str) -> dict[str, Any]:
        """Wall seconds of fresh processes; the fastest counts."""
        picture = self.make("photographs", str(self.folder / "1080p"), "1080p", 1)[0]
        command = [sys.executable, "-m", "colorpipe"]
        run = ["run", picture, "--overwrite", "--weights", "zhang-compact", "-o", str(self.folder / "one.jpg")]
        run += ["--engine", "openvino" if name.endswith("openvino") else "torch"]
        command += {"help": ["--help"], "plugins": ["plugins"]}.get(name, run)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
        # as it is installed: modules are compiled by then, here in the round that does not count
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        times = []
        for _ in range(self.rounds + 1):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
            times.append(time.perf_counter() - start)
        return {"seconds": times[1:]}


def _rates(answers: list[dict[str, Any]], pictures: int) -> dict[str, Any]:
    """Seconds a picture, wall and CPU, of each round."""
    wall = [answer["seconds"] / pictures for answer in answers]
    return {
        "wall": wall,
        "cpu": [answer["cpu"] / pictures for answer in answers],
        "peak_mb": answers[-1]["peak_mb"],
        "steady": min(wall) >= STEADY * statistics.median(wall),
    }


def _repeated(folder: Path, pictures: list[str], count: int) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = [folder / f"{index:04}.jpg" for index in range(count)]
    for index, file in enumerate(files):
        os.link(pictures[index % len(pictures)], file)
    return [str(folder)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", nargs="+", choices=rows.EVERY, metavar="ROW",
                        help=f"some of {', '.join(rows.EVERY)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few pictures a round and no long jobs; 2 to 3 minutes")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "colorpipe-benchmarks",
                        help="for pictures and results; kept")  # fmt: skip
    parser.add_argument("--output", type=Path, help="the table [default: docs/benchmarks.md; with --quick stdout]")
    arguments = parser.parse_args()
    bench = Bench(arguments.folder, arguments.rounds, arguments.quick)
    measured: dict[str, dict[str, Any]] = {}
    every = [name for name in rows.EVERY if not (arguments.quick and name in rows.MEMORY)]
    for name in arguments.rows or every:
        _say(name)
        if name in rows.STARTS:
            measured[name] = bench.start(name)
        elif name in rows.MEMORY:
            measured[name] = bench.memory(name)
        elif name in rows.SPREAD:
            measured[name] = bench.spread(name)
        elif name in rows.PAGE:
            measured[name] = bench.page(name)
        elif name in {row.name for row in rows.FILMS}:
            measured[name] = bench.film(next(row for row in rows.FILMS if row.name == name))
        else:
            measured[name] = bench.row(next(row for row in rows.ROWS if row.name == name))
    options = " --quick" if arguments.quick else ""
    text = table.page(measured, arguments.rounds, THREADS, options)
    output = arguments.output or (None if arguments.quick else ROOT / "docs" / "benchmarks.md")
    if output is None:
        print(text)
    else:
        output.write_text(text, "utf-8")
        _say(f"written to {output}")


if __name__ == "__main__":
    main()
