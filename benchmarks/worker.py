"""One contender in a process of its own: reads commands as lines of JSON, answers each with one line.

``{"do": "run", "pictures": [..], "to": FOLDER, "suffix": ".png"}`` -> seconds, cpu, peak_mb, results
``{"do": "compare", "picture": FILE, "result": FILE, "step": N}`` -> mean dE2000 of every Nth pixel each way
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
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

        from benchmarks.reference import Script

        torch.set_num_threads(threads)
        self.script = Script(network, Path(checkpoint))

    def run(self, pictures: list[str], to: str, suffix: str) -> dict[str, Any]:
        Path(to).mkdir(parents=True, exist_ok=True)
        results = [Path(to, Path(picture).stem + suffix) for picture in pictures]
        start, cpu = time.perf_counter(), _cpu()
        for picture, result in zip(pictures, results, strict=True):
            self.script.save(self.script.colorize(Path(picture)), result)
        return {"seconds": time.perf_counter() - start, "cpu": _cpu() - cpu}

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
        import torch

        from colorpipe import Recipe
        from colorpipe.plugins import PluginHost

        torch.set_num_threads(threads)
        self.host = PluginHost.load()
        self.recipe = Recipe.from_json(recipe)

    def run(self, pictures: list[str], to: str, suffix: str) -> dict[str, Any]:
        from colorpipe import runner

        class Clock(runner.Silent):
            def used(self, device: str, precision: str, weights: str) -> None:
                self.precision, self.start, self.cpu = precision, time.perf_counter(), _cpu()

        clock, plan = Clock(), runner.plan

        def with_suffix(*arguments: Any, **options: Any) -> list[Any]:
            jobs = plan(*arguments, **options)
            return [dataclasses.replace(job, output=job.output.with_suffix(suffix)) for job in jobs]

        # A folder's results keep their sources' formats; the rows that go from JPEG to PNG ask for another.
        if suffix:
            runner.plan = with_suffix
        try:
            request = runner.RunRequest(inputs=pictures, recipe=self.recipe, output=Path(to), overwrite=True)
            outcomes = runner.run(request, self.host, clock)
        finally:
            runner.plan = plan
        spent = {"seconds": time.perf_counter() - clock.start, "cpu": _cpu() - clock.cpu}
        failed = [outcome.error for outcome in outcomes if outcome.status != "done"]
        if failed:
            raise SystemExit(f"colorpipe failed: {failed[0]}")
        return {**spent, "precision": clock.precision, "results": [str(outcome.output) for outcome in outcomes]}


def main() -> None:
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    contender = {"reference": Reference, "ours": Ours}[kind](**arguments)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(contender, command.pop("do"))(**command)
        answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
