"""A million pictures on paper: listing, planning and the journal, in seconds and bytes.

    python benchmarks/million.py [--count 1000000] [--keep FOLDER]

Makes a tree of that many empty files, in folders of 1,000, and a journal that records every one as done; then, each in
a fresh process: listing and planning a first run, with no output folder, and planning a run over what is done. Last the
time of one append and one look-up in journals of growing length. The tree is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from colorpipe.batch.journal import NAME
from colorpipe.batch.journal_index import Index

BOX = 1000
"""Files of a folder."""


def names(count: int) -> Iterator[str]:
    """Like an archive's: boxes on shelves."""
    for number in range(count):
        yield f"shelf-{number // (100 * BOX):02}/box-{number // BOX:04}/print-{number:07}.jpg"


def make_tree(root: Path, count: int) -> None:
    for name in names(count):
        path = root / name
        if name.endswith("000.jpg"):
            path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def make_journal(source: Path, folder: Path, count: int, first: int = 0) -> None:
    """What a run over the tree would have written."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = "9b03" * 16
    with (folder / NAME).open("a") as file:
        for name in list(names(count))[first:]:
            known = {"path": str(source / name), "place": str(source / name)}
            file.write(json.dumps({"event": "begun", "output": name, "source": known}) + "\n")
            known |= {"size": 0, "mtime_ns": 1764288000000000000, "sha256": digest}  # type: ignore[dict-item]
            done = {"event": "done", "output": name, "size": 48211, "mtime_ns": 1764288000000000000, "sha256": digest}
            file.write(json.dumps({**done, "recipe": digest, "source": known}) + "\n")


def measured(step: str, source: Path, output: Path) -> dict[str, float]:
    words = [sys.executable, __file__, "--step", step, "--keep", str(source), "--output", str(output)]
    told: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return told


def do(step: str, source: Path, output: Path) -> dict[str, float]:
    """One step, in this process: its seconds, and the memory that the process took at most."""
    from colorpipe.batch.preparation import prepare
    from colorpipe.batch.request import RunRequest
    from colorpipe.types import Recipe, Stage

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    jobs, _ = prepare(RunRequest([source], Recipe(Stage("zhang")), output))
    done = 0
    if step == "again":
        index = Index(output / NAME)
        done = sum(index.is_done(job.relative) for job in jobs)
    end = time.perf_counter()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "inputs": len(jobs),
        "done": done,
        "seconds": end - start,
        "cpu": time.process_time() - cpu,
        "peak_MB": most / 1024,
        "of_which_imports_MB": before / 1024,
    }


def times_of_one(folder: Path, lengths: list[int]) -> Iterator[tuple[int, float, float]]:
    """Entries, microseconds of an append, microseconds of a look-up."""
    index, before = Index(folder / NAME), 0
    for length in lengths:
        make_journal(Path("/archive"), folder, length, before)
        before = length
        index.read()
        listed = list(names(length))
        start = time.perf_counter()
        for number in range(1000):
            index.append({"event": "begun", "output": f"new/{number}", "source": {"path": "x", "place": "/x"}})
        appended = time.perf_counter()
        for number in range(1000):
            index.read()
            assert index.get(listed[number * 7919 % length]) is not None
        yield length, (appended - start) * 1e3, (time.perf_counter() - appended) * 1e3


def show(step: str, told: dict[str, float]) -> None:
    print(f"| {step} | {told['inputs']:,} | {told['seconds']:.1f} | {told['cpu']:.1f} | {told['peak_MB']:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="make the tree here, and leave it")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(do(given.step, given.keep, given.output)))
        return
    work = Path(tempfile.mkdtemp(prefix="million-"))
    try:
        source = given.keep or work / "archive"
        make_tree(source, given.count)
        print("| step | inputs | seconds | CPU seconds | peak MB |\n|---|---|---|---|---|")
        show("list and plan", measured("first", source, work / "new"))
        make_journal(source, work / "out", given.count)
        show("list, plan, read a journal of all", measured("again", source, work / "out"))
        print("\n| entries | one append, us | one look-up, us |\n|---|---|---|")
        lengths = [length for length in (1000, 10_000, 100_000, 1_000_000) if length <= given.count]
        for length, append, look_up in times_of_one(work / "growing", lengths):
            print(f"| {length:,} | {append:.0f} | {look_up:.0f} |")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
