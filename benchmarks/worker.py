"""One contender in a process of its own: reads commands as lines of JSON, answers each with one line.

``{"do": "run", "pictures": [..], "to": FOLDER, "suffix": ".png"}`` -> seconds, cpu, peak_mb, results
``{"do": "film", "film": FILE, "to": FOLDER}`` -> seconds, cpu, frames, key_frames
``{"do": "stages", "film": FILE, "to": FOLDER}`` -> for each stage its wall and CPU seconds a frame
``{"do": "stroke", "changes": N}``, or ``"settings"`` -> seconds and CPU seconds of each change on the page
``{"do": "solve", "to": FILE}`` -> seconds and CPU seconds of spreading painted colours over a picture
``{"do": "compare", "picture": FILE, "result": FILE, "step": N}`` -> mean dE2000 of every Nth pixel each way
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


def _cpu() -> float:
    """CPU seconds of all of this process's threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Reference:
    """The published way."""

    def __init__(self, network: str, checkpoint: str, threads: int) -> None:
        import torch

        from benchmarks.reference import script

        torch.set_num_threads(threads)
        self.script = script(network, Path(checkpoint))

    def run(self, pictures: list[str], to: str, suffix: str) -> dict[str, Any]:
        Path(to).mkdir(parents=True, exist_ok=True)
        results = [Path(to, Path(picture).stem + suffix) for picture in pictures]
        start, cpu = time.perf_counter(), _cpu()
        for picture, result in zip(pictures, results, strict=True):
            self.script.save(self.script.colorize(Path(picture)), result)
        return {"seconds": time.perf_counter() - start, "cpu": _cpu() - cpu}

    def film(self, film: str, to: str) -> dict[str, Any]:
        Path(to).mkdir(parents=True, exist_ok=True)
        start, cpu = time.perf_counter(), _cpu()
        frames = self.script.film(Path(film), Path(to, Path(film).name))
        return {"seconds": time.perf_counter() - start, "cpu": _cpu() - cpu, "frames": frames}

    def compare(self, picture: str, result: str, step: int) -> dict[str, Any]:
        """Of this contender's float result, rounded, and the other's file."""
        import cv2
        from skimage.color import deltaE_ciede2000, rgb2lab

        theirs = np.rint(self.script.colorize(Path(picture))[::step, ::step] * 255) / 255
        ours = cv2.imread(result)[::step, ::step, ::-1] / 255
        return {"dE": float(deltaE_ciede2000(rgb2lab(ours), rgb2lab(theirs)).mean())}


class Ours:
    """``colorpipe run``, from the moment when its network is loaded."""

    def __init__(self, recipe: str, threads: int) -> None:
        from colorpipe import Recipe
        from colorpipe.plugins.host import PluginHost

        self.host = PluginHost.load()
        self.recipe = Recipe.from_json(recipe)
        if self.recipe.engine == "torch":  # another engine may do without: it goes by OMP_NUM_THREADS
            import torch

            torch.set_num_threads(threads)

    def run(self, pictures: list[str], to: str, suffix: str) -> dict[str, Any]:
        from colorpipe.batch import preparation, request, runner
        from colorpipe.media.inputs import Plan

        class Clock(request.NullListener):
            def used(self, device: str, precision: str, weights: str) -> None:
                self.precision, self.start, self.cpu = precision, time.perf_counter(), _cpu()

        clock, plan = Clock(), preparation.plan

        def with_suffix(*arguments: Any, **options: Any) -> Plan:
            jobs = plan(*arguments, **options)
            names = {place: str(Path(name).with_suffix(suffix)) for place, name in enumerate(jobs.found.names)}
            return Plan(jobs.found, jobs.root, names, None, False)

        # A folder's results keep their sources' formats; the rows that go from JPEG to PNG ask for another.
        if suffix:
            preparation.plan = with_suffix
        try:
            asked = request.RunRequest(
                inputs=pictures, recipe=self.recipe, output=Path(to), overwrite=True, int8_limit=1e9
            )
            outcomes = runner.run(asked, self.host, clock)
        finally:
            preparation.plan = plan
        spent = {"seconds": time.perf_counter() - clock.start, "cpu": _cpu() - clock.cpu}
        failed = [outcome.error for outcome in outcomes if outcome.status != "done"]
        if failed:
            raise SystemExit(f"colorpipe failed: {failed[0]}")
        return {
            **spent,
            "precision": clock.precision,
            "results": [str(outcome.output) for outcome in outcomes],
            "frames": sum(outcome.frames for outcome in outcomes),
            "key_frames": sum(outcome.key_frames for outcome in outcomes),
        }

    def film(self, film: str, to: str) -> dict[str, Any]:
        return self.run([film], to, "")

    def stages(self, film: str, to: str) -> dict[str, Any]:
        """What a film with steady colour takes, stage by stage, each over all frames before the next: its CPU seconds
        are then its own, and its wall seconds what a film would take that had no other stage."""
        import cv2

        from colorpipe import Session, media
        from colorpipe.temporal import ChromaPropagator, Planner, small_luma

        session = Session(self.recipe, host=self.host)
        pipeline, spent = session.pipeline, {}
        cv2.setNumThreads(1)  # as in a run
        Path(to).mkdir(parents=True, exist_ok=True)

        @contextlib.contextmanager
        def timed(stage: str) -> Iterator[None]:
            start, cpu = time.perf_counter(), time.process_time()
            yield
            spent[stage] = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}

        with media.open_source(Path(film), session.media) as source:
            sink = media.open_sink(Path(to, Path(film).name), source, session.media)
            with timed("decode"):
                frames = [pipeline.restore(frame, sink.encoding) for frame in source]
            planner = Planner(session.merge.key_distance or 1)
            with timed("flow"):
                steps = [step for frame in frames for step in planner.push(small_luma(frame.luma, frame.encoding.bits))]
                steps += planner.finish()
            keys = [frame for frame, step in zip(frames, steps, strict=True) if step.key]
            pipeline.predict([pipeline.network_view(keys[0])])
            with timed("network"):
                views = [pipeline.network_view(frame) for frame in keys]
                predicted = iter(
                    [pipeline.crop_chroma(view, pipeline.predict([view], alone=True)[0])[0] for view in views]
                )
            carrier = ChromaPropagator()
            with timed("carry"):
                chroma = [ab for step in steps for ab in carrier.push(step, next(predicted) if step.key else None)]
                chroma += carrier.finish()
            with timed("merge"):
                coloured = [
                    pipeline.merge_chroma(frame, ab, ab.shape[:2]) for frame, ab in zip(frames, chroma, strict=True)
                ]
            with timed("encode"):
                for frame in coloured:
                    sink.write(frame)
                sink.commit()
                sink.tidy()
        each = {stage: {kind: value / len(frames) for kind, value in took.items()} for stage, took in spent.items()}
        return {"stages": each, "frames": len(frames), "key_frames": len(keys)}


class Page:
    """The page of ``colorpipe paint``, asked as a browser asks it."""

    def __init__(self, picture: str, to: str, threads: int) -> None:
        import threading

        import torch

        from colorpipe.web.album import Album
        from colorpipe.web.server import PageServer

        torch.set_num_threads(threads)
        self.server = PageServer(Album([picture], Path(to)))
        threading.Thread(target=self.server.serve, daemon=True).start()
        self._call("GET", "/api/items/1/picture?kind=result")

    def stroke(self, changes: int) -> dict[str, Any]:
        """One more stroke each time, over the picture."""
        strokes: list[dict[str, Any]] = []

        def one(number: int) -> tuple[str, dict[str, Any]]:
            x, y = 0.1 + 0.8 * (number * 0.37 % 1), 0.1 + 0.8 * (number * 0.61 % 1)
            line = [[x, y], [min(1.0, x + 0.03), y], [min(1.0, x + 0.03), min(1.0, y + 0.03)]]
            strokes.append({"points": line, "radius": 0.01, "lab": [None, 40 - 4 * number, 3 * number - 30]})
            return "strokes", {"frame": 0, "strokes": strokes}

        return self._timed(changes, one)

    def settings(self, changes: int) -> dict[str, Any]:
        """Another temperature each time, with five strokes on the picture."""
        self.stroke(5)
        return self._timed(changes, lambda n: ("settings", {"options": {"decoder": {"T": 0.1 + 0.02 * n}}}))

    def _timed(self, changes: int, one: Callable[[int], tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        seconds, cpus = [], []
        for number in range(changes + 1):
            what, body = one(number)
            start, cpu = time.perf_counter(), _cpu()
            self._call("PUT", f"/api/items/1/{what}", body)
            data = self._call("GET", "/api/items/1/picture?kind=result")
            seconds.append(time.perf_counter() - start)
            cpus.append(_cpu() - cpu)
            assert data[:2] == b"\xff\xd8"
        return {"seconds": seconds[1:], "cpu": cpus[1:]}  # tables are made in the first

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        import urllib.request

        headers = {"X-Colorpipe-Token": self.server.token, "Sec-Fetch-Site": "same-origin"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        address = f"http://127.0.0.1:{self.server.port}{path}"
        request = urllib.request.Request(address, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())


class Spread:
    """``levin``'s problem on one picture in colour, of which dots are painted.

    Args:
        way: ``fast``, as a run does it, or ``direct``, by SciPy's sparse LU.
    """

    def __init__(self, way: str, picture: str, side: int, threads: int) -> None:
        import cv2

        from benchmarks import levin

        cv2.setNumThreads(threads)
        self._Y, self._uv = levin.photograph(picture, side)
        self._painted = levin.dots(self._Y.shape)
        self._way, self._levin = way, levin

    def solve(self, to: str) -> dict[str, Any]:
        start, cpu = time.perf_counter(), _cpu()
        if self._way == "fast":
            found: np.ndarray = self._levin.fast(self._Y, self._uv, self._painted, 4)
        else:
            found = self._levin.direct(self._Y, self._uv, self._painted)
        taken = {"seconds": time.perf_counter() - start, "cpu": _cpu() - cpu}
        np.save(to, found.astype(np.float32))
        return taken

    def apart(self, first: str, second: str) -> dict[str, Any]:
        """RMSE of chroma, and its own RMS, codes of 255."""
        difference = np.load(first) - np.load(second)
        missed, signal = (255 * float(np.sqrt(np.mean(values**2))) for values in (difference, self._uv))
        return {"missed": missed, "signal": signal}


def main() -> None:
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    contender = {"reference": Reference, "ours": Ours, "page": Page, "spread": Spread}[kind](**arguments)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(contender, command.pop("do"))(**command)
        answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
