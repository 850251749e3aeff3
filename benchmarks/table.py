"""What was measured, as a page of Markdown."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import rows

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
LIBRARIES = (
    "torch",
    "openvino",
    "nncf",
    "numpy",
    "opencv-python",
    "pyvips",
    "pyvips-binary",
    "scikit-image",
    "pillow",
    "matplotlib",
)
MOST_GROWTH, MOST_PAGE = 0.03, 0.3
STARTS = {
    "help": ("`colorpipe --help`", 0.2),
    "plugins": ("`colorpipe plugins`", 0.2),
    "one-picture": ("one 1080p picture, fresh process, compact model", 2.5),
    "one-picture-openvino": ("the same by OpenVINO, its graph in the cache", 1.5),
}
"""What is started, and the seconds that it may take."""


def page(measured: dict[str, dict[str, Any]], rounds: int, threads: int, options: str = "") -> str:
    """The whole of ``docs/benchmarks.md``."""
    speed = [row for row in rows.ROWS if row.name in measured]
    facts = {"machine": _machine(), "libraries": _libraries(), "day": date.today(), "options": options}
    each = "1 thread" if threads == 1 else f"{threads} threads"
    parts = [_HEAD.format(rounds=rounds, threads=each, **facts)]
    if speed:
        parts.append(_SPEED_HEAD + "\n".join(_speed(row, measured[row.name]) for row in speed))
        parts.append(_SECONDS_HEAD + "\n".join(_seconds(row, measured[row.name]) for row in speed))
    films = [row for row in rows.FILMS if row.name in measured]
    if films:
        parts.append(_FILM_HEAD + "\n".join(_film(row, measured[row.name]) for row in films))
        parts.append(_STAGES_HEAD + "\n".join(_stages(row, measured[row.name]) for row in films))
    spread = [_spread(measured[name]) for name in rows.SPREAD if name in measured]
    if spread:
        parts.append(_SPREAD_HEAD + "\n".join(spread))
    other = [_other(name, measured[name]) for name in (*rows.MEMORY, *rows.STARTS, *rows.PAGE) if measured.get(name)]
    if other:
        parts.append("| what | at most | measured |\n|---|---|---|\n" + "\n".join(other))
    parts.append(_FOOT)
    return "\n\n".join(parts) + "\n"


_HEAD = """# Benchmarks

Made on {day} by `python benchmarks/run.py{options}`. `--quick` takes fewer pictures a round, `--rows NAME...` some of
the rows.

{machine} {libraries}.

The reference is what a user would run instead: the published demo, written plainly in `benchmarks/reference.py`
(eager fp32, one picture after the other, scikit-image's Lab of the full picture, Pillow's bicubic 256 x 256,
`F.interpolate`, `lab2rgb`, matplotlib's `imsave`), with the same random weights under the published keys. Both have
{threads} and take turns, {rounds} rounds, each in a process that has its network loaded. Ratios are of the
fastest rounds; a row of which either side's fastest is under 0.8 of its median was disturbed and is not judged. The
colour difference is the mean dE2000 to the reference's float result, rounded to 8 bits; of 12-megapixel pictures every
fourth pixel each way is compared. The published networks run with `--upsample bilinear --gamut clip`, the script's own
steps, unless said; the compact one with the defaults. DDColor's and DeOldify's references are their own scripts'
ways (`plain_ddcolor.py`, `plain_deoldify.py`: OpenCV, Pillow, eager fp32); DDColor runs with `--upsample nearest`.
Pictures are made from `samples/`: enlarged, with grain, as grey
JPEG."""

_SPEED_HEAD = """| work | at least | pictures a second | per CPU second | mean dE | peak memory | verdict |
|---|---|---|---|---|---|---|
"""

_SECONDS_HEAD = """| row | reference s (median) | CPU s | MB | ours s (median) | CPU s | MB | precision |
|---|---|---|---|---|---|---|---|
"""

_FILM_HEAD = """Films: the sample film enlarged to 1080p, with grain, to H.264 by x264 veryfast; medians over the
rounds. The reference is the script's loop over every frame with eccv16, decoded and encoded by PyAV; `none` and `auto`
are colorpipe's `--temporal`. Key frames are those that the network saw.

| model | at least | reference | `none` | `auto`, frames/s | auto / none | by CPU | over reference | key | verdict |
|---|---|---|---|---|---|---|---|---|---|
"""

_STAGES_HEAD = """Where the CPU time goes with `--temporal auto`, each stage measured over all frames before the next
begins; and how many frames a second are only decoded, or only encoded. A run does all of it at the same time.

| model | CPU ms a frame | of the run | {stages} | decode alone, frames/s | encode alone | the run, of that |
|---|---|---|{lines}|---|---|---|
""".format(stages=" | ".join(rows.STAGES), lines="|".join("---" for _ in rows.STAGES))

_SPREAD_HEAD = """Hints: `levin` spreads dots of the true colour, 5% of the picture, over the rest, at a quarter of the
size, and brings them up along the grey. The reference is SciPy's sparse direct solution (`scipy.sparse.linalg.splu`) of
the whole problem, which is exact. Medians, in turns; *apart* is the RMSE of the two's U and V, codes of 255, and in
brackets their RMS.

| picture | rounds | reference s | CPU s | MB | ours s | CPU s | MB | seconds | CPU | apart |
|---|---|---|---|---|---|---|---|---|---|---|
"""

_FOOT = """Nothing here has run on a GPU: the code for one is the same, with fp16 and pinned transfers, and its tests
are marked `gpu`."""


def _speed(row: rows.Row, result: dict[str, Any]) -> str:
    theirs, ours = result["reference"], result["ours"]
    wall = min(theirs["wall"]) / min(ours["wall"])
    cpu = min(theirs["cpu"]) / min(ours["cpu"])
    memory = ours["peak_mb"] / theirs["peak_mb"]
    failed = [f"{wall / row.target:.0%} of the speed"] if wall < row.target else []
    if row.dE is not None and result["dE"] > row.dE:
        failed.append("colour")
    if memory > row.memory:
        failed.append("memory")
    verdict = "not met: " + ", ".join(failed) if failed else "met"
    if not (theirs["steady"] and ours["steady"]):
        verdict = "not judged, unsteady"
    target = f"{row.target:g}x" + (f", dE {row.dE:g}" if row.dE is not None else "")
    dE = "" if result["dE"] is None else f"{result['dE']:.4f}"
    return f"| {row.work} | {target} | {wall:.1f}x | {cpu:.1f}x | {dE} | {memory:.2f}x | {verdict} |"


def _seconds(row: rows.Row, result: dict[str, Any]) -> str:
    def side(times: dict[str, Any]) -> str:
        wall = f"{min(times['wall']):.3f} ({statistics.median(times['wall']):.3f})"
        return f"{wall} | {min(times['cpu']):.3f} | {times['peak_mb']:.0f}"

    return f"| {row.name} | {side(result['reference'])} | {side(result['ours'])} | {result['precision']} |"


def _film(row: rows.FilmRow, result: dict[str, Any]) -> str:
    theirs, none, auto = (statistics.median(result[side]["wall"]) for side in ("reference", "none", "auto"))
    cpu = statistics.median(result["none"]["cpu"]) / statistics.median(result["auto"]["cpu"])
    failed = []
    if row.target is not None and none / auto < row.target:
        failed.append(f"{none / auto / row.target:.0%} of the ratio")
    if row.rate is not None and 1 / auto < row.rate:
        failed.append(f"{1 / auto / row.rate:.0%} of the speed")
    verdict = "not met: " + ", ".join(failed) if failed else "met"
    if not (result["none"]["steady"] and result["auto"]["steady"]):
        verdict = "not judged, unsteady"
    wanted = [f"{row.target:g}x none"] if row.target is not None else []
    wanted += [f"{row.rate:g} frames/s"] if row.rate is not None else []
    rates = " | ".join(f"{1 / seconds:.2f}" for seconds in (theirs, none, auto))
    return (
        f"| {row.work} | {', '.join(wanted)} | {rates} | {none / auto:.1f}x | {cpu:.1f}x | {theirs / auto:.0f}x | "
        f"{result['network']:.1%} | {verdict} |"
    )


def _stages(row: rows.FilmRow, result: dict[str, Any]) -> str:
    stages = result["stages"]
    total = sum(stages[stage]["cpu"] for stage in rows.STAGES)
    shares = " | ".join(f"{stages[stage]['cpu'] / total:.0%}" for stage in rows.STAGES)
    alone = " | ".join(f"{1 / stages[stage]['wall']:.0f}" for stage in ("decode", "encode"))
    run, wall = (statistics.median(result["auto"][kind]) for kind in ("cpu", "wall"))
    speed = stages["encode"]["wall"] / wall
    return f"| {row.work} | {total * 1000:.1f} | {run * 1000:.1f} | {shares} | {alone} | {speed:.0%} |"


def _spread(result: dict[str, Any]) -> str:
    sides = [result["reference"], result["ours"]]
    wall, cpu = ([statistics.median(side[kind]) for side in sides] for kind in ("wall", "cpu"))
    seconds = " | ".join(
        f"{taken:.2f} | {used:.2f} | {side['peak_mb']:.0f}" for taken, used, side in zip(wall, cpu, sides, strict=True)
    )
    side = result["side"]
    return (
        f"| {side}x{side * 9 // 16} | {result['rounds']} | {seconds} | {wall[0] / wall[1]:.0f}x | "
        f"{cpu[0] / cpu[1]:.0f}x | {result['missed']:.2f} ({result['signal']:.1f}) |"
    )


def _other(name: str, result: dict[str, Any]) -> str:
    if name in rows.MEMORY:
        few, many = result["peaks"]
        what = "40 to 400 pictures" if name == "memory-pictures" else "a film of 240 to 2,400 frames"
        growth = many / few - 1
        verdict = "met" if growth <= MOST_GROWTH else "not met"
        return (
            f"| peak memory from {what} | +{MOST_GROWTH:.0%} | {few:.0f} to {many:.0f} MB, {growth:+.1%}: {verdict} |"
        )
    if name in rows.PAGE:
        what = (
            "a stroke on the page" if name == "page-stroke" else "another temperature on the page, under five strokes"
        )
        middle, cpu = statistics.median(result["seconds"]), statistics.median(result["cpu"])
        verdict = "met" if middle <= MOST_PAGE else "not met"
        return (
            f"| {what}, to its picture (1280 pixels of 12 megapixels, default model) | {MOST_PAGE:g} s | "
            f"median {middle:.2f} s (least {min(result['seconds']):.2f}, CPU {cpu:.2f}): {verdict} |"
        )
    what, most = STARTS[name]
    seconds = result["seconds"]
    verdict = "met" if min(seconds) <= most else "not met"
    return f"| {what} | {most:g} s | {min(seconds):.2f} s (median {statistics.median(seconds):.2f}): {verdict} |"


def _machine() -> str:
    """In general words: cores and what they can do, no names of hosts."""
    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                flags = set(value.split())
            elif name.strip() == "model name":
                model = value.strip()
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    features = ", ".join(feature for feature in FEATURES if feature in flags) or "features unknown"
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA")
    held = f" Held to {isa} by ONEDNN_MAX_CPU_ISA: as on such a machine, not on one." if isa else ""
    cores, ours = os.cpu_count(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    part = f"{ours} of {cores}" if ours is not None and ours != cores else cores
    return f"{part} cores ({model}; {features}), {memory:.0f} GB, {platform.system()}.{held}"


def _libraries() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
