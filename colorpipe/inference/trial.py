"""The trial of an engine against torch: which one is faster for a method here, and do both give the same colours."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from colorpipe.errors import ColorpipeError, oneline
from colorpipe.inference import conversion, engines, kept_graphs, openvino_library
from colorpipe.inference.conversion import CannotConvertError
from colorpipe.inference.graph_runtime import GraphRuntime
from colorpipe.inference.kept_graphs import Verdict, Way
from colorpipe.inference.openvino_library import Arithmetic, Graph
from colorpipe.inference.precision import CLOSE, WORTH, one_thread
from colorpipe.types import ChromaDistribution

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.inference.engines import Wanted
    from colorpipe.inference.runtime import Runtime

log = logging.getLogger(__name__)
SAME = 0.02
"""CIE units by which exact arithmetic of another engine may differ on average: it adds in another order, and that
makes some 1e-5. More means that something was converted wrongly."""
SMALL = 0.004
"""Seconds for a picture. A method that needs no more is left as it is: reading and writing takes longer."""
BUDGET = 1.5
"""Seconds for the timing of one contender."""


@dataclass(frozen=True)
class Candidate:
    """A graph that gives the right colours."""

    way: Way
    precision: Arithmetic
    model: Any
    seconds: float
    ranks: tuple[int, ...] = ()
    several: bool = False


def consider(plain: Runtime, wanted: Wanted, fresh: Callable[[str], Runtime]) -> Runtime | GraphRuntime:
    """The runtime that computes the method: ``plain``, torch's, or one by OpenVINO where that is asked for or better.

    Tried the first time, which is logged; then read from the cache.

    Args:
        fresh: Another torch runtime of the method, in a precision.
    """
    reason = unfit(plain)
    if wanted.engine == "torch" or reason:
        if wanted.forced:
            log.warning("torch computes %s: %s", plain.colorizer.name, reason)
        return plain
    network = plain.colorizer.network
    assert network is not None  # ``unfit`` says so
    weights = wanted.weights_sha256 or conversion.digest(network)
    asked = engines.question(plain.colorizer, plain.decoder, wanted, weights)
    verdict, found = kept_graphs.find(asked), None
    if wanted.precision == "int8" and (verdict is None or verdict.precision != "int8"):
        plain.engine, plain.uncalibrated = "openvino", True
        return plain
    if verdict is None:
        verdict, found = _tried(asked, plain, wanted, fresh)
    if verdict.engine == "torch":
        if wanted.forced:
            log.warning("torch computes %s: %s", plain.colorizer.name, verdict.reason)
        return plain
    model = None if found is None or kept_graphs.graph_file(verdict.graph).is_file() else found.model
    if verdict.way == "whole":
        colorizer, decoder = plain.colorizer, plain.decoder
        anew = None if decoder is None else type(decoder)(decoder.options)
        made = type(colorizer)(colorizer.options)
        return GraphRuntime(made, anew, verdict, lambda: fresh("fp32"), batch=wanted.batch, model=model)
    exact = plain if plain.precision == "fp32" else fresh("fp32")
    return _attached(exact, verdict, model)


def unfit(runtime: Runtime) -> str:
    """Why a method cannot be converted, whatever the engine; empty if it can."""
    colorizer = runtime.colorizer
    if colorizer.network is None:
        return "it has no network"
    if runtime.device.type != "cpu":
        return f"it runs on {runtime.device}"
    if colorizer.own_weights:
        return "it is made of other methods"
    return "it learns from the reference" if runtime.reference is not None else ""


def views(runtime: Runtime) -> list[Float]:
    """Pictures of waves and of steps, dark and light ones, (1, 1, h, w), in all sizes that the method may be given:
    where a method decides something by the picture, one of them is likely to show it."""
    sizes = {(side, side) for size in _sizes(runtime) if (side := size.side)}
    for size in _sizes(runtime):
        if size.side is None:
            longest = min(size.limit or 256, 256) // size.multiple * size.multiple or size.multiple
            shorter = max(size.multiple, longest * 3 // 4 // size.multiple * size.multiple)
            sizes |= {(longest, longest), (shorter, longest), (longest, shorter)}
    made = []
    for height, width in sorted(sizes):
        x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)[:, None]
        waves = 50 + 30 * np.sin(9 * x) + 20 * np.cos(14 * y * y)
        steps = 15 + 70 * ((np.floor(6 * x) + np.floor(4 * y)) % 3) / 2 + 8 * np.sin(40 * x * y)
        pictures = (waves, steps, 0.25 * waves, 100 - 0.3 * steps)
        made += [np.asarray(np.clip(L, 0, 100), np.float32)[None, None] for L in pictures]
    return made


def _sizes(runtime: Runtime) -> list[Any]:
    film = runtime.colorizer.film_input_size
    return [runtime.input_size, *([film] if film else [])]


def _tried(
    asked: str, plain: Runtime, wanted: Wanted, fresh: Callable[[str], Runtime]
) -> tuple[Verdict, Candidate | None]:
    if kept_graphs.ended_badly(asked):
        verdict = Verdict("torch", plain.precision, "OpenVINO ended the program when it was tried here")
        kept_graphs.keep(asked, verdict)
        return verdict, None
    kept_graphs.begin(asked)
    try:
        verdict, found = _trial(asked, plain, wanted, fresh)
        if found is not None:
            kept_graphs.keep_graph(verdict.graph, found.model)
        kept_graphs.keep(asked, verdict)
    finally:
        kept_graphs.give_up(asked)
    return verdict, found


def _trial(
    asked: str, plain: Runtime, wanted: Wanted, fresh: Callable[[str], Runtime]
) -> tuple[Verdict, Candidate | None]:
    seen = views(plain)
    with one_thread(), torch.inference_mode():
        torch_seconds = _seconds(lambda: plain._run(seen[0], None, plain.precision, size=1))
    if not wanted.forced and torch_seconds < SMALL:
        return Verdict("torch", plain.precision, "it takes little time as it is"), None
    log.info("trying once whether OpenVINO is faster for this method on this computer: ten seconds or so")
    try:
        exact = plain if plain.precision == "fp32" else fresh("fp32")
        candidates = _candidates(exact, seen, _precisions(wanted))
    except CannotConvertError as error:
        return Verdict("torch", plain.precision, str(error)), None
    best = min(candidates, key=lambda one: one.seconds)
    times = torch_seconds / max(best.seconds, 1e-9)
    if not wanted.forced and best.seconds > WORTH * torch_seconds:
        return Verdict("torch", plain.precision, f"OpenVINO is no faster here ({times:.1f} times torch's speed)"), None
    kind = "rounded" if best.precision == "bf16" else "exact"
    speed = f"{times:.1f} times as fast as torch here" if times >= 1 else f"{times:.2f} of torch's speed here"
    known = facts(exact)
    known["effect"]["call"] = {"ranks": best.ranks, "several": best.several}
    told = f"{kind} arithmetic, {speed}, and the colours look the same"
    return Verdict("openvino", best.precision, told, way=best.way, graph=asked, **known), best


def facts(exact: Runtime) -> dict[str, Any]:
    """The verdict's parts that only the built method knows."""
    film = exact.colorizer.film_input_size
    sizes = {"input_size": asdict(exact.input_size), "film_input_size": asdict(film) if film else None}
    effect = {"decoding": decoding(exact), "instructions": torch.backends.cpu.get_cpu_capability()}
    return {"sizes": sizes, "effect": effect}


def decoding(runtime: Runtime) -> dict[str, float | None]:
    """The decoder's own options; those left to the weights are filled in with the network's values."""
    if runtime.decoder is None:
        return {}
    seen: list[ChromaDistribution] = []
    before, runtime.watch = runtime.watch, seen.append
    try:
        runtime.sample()
    finally:
        runtime.watch = before
    given = seen[0]
    own = {"T": given.natural_T, "vibrance": given.natural_vibrance, "grey_T": given.natural_grey_T}
    options = runtime.decoder.options.as_dict()
    return {name: options[name] if options[name] is not None else own[name] for name in own if name in options}


def _precisions(wanted: Wanted) -> list[Arithmetic]:
    bf16 = openvino_library.has_bf16()
    if wanted.precision == "bf16" and not bf16:
        raise CannotConvertError("this processor has no bfloat16")
    if wanted.precision == "auto":
        return ["fp32", "bf16"] if bf16 else ["fp32"]
    return ["bf16"] if wanted.precision == "bf16" else ["fp32"]


def _candidates(exact: Runtime, seen: Sequence[Float], precisions: Sequence[Arithmetic]) -> list[Candidate]:
    """Graphs whose colours agree with torch's exact ones: the whole method, or else its network in exact arithmetic.

    Raises:
        CannotConvertError: there are none.
    """
    reasons = []
    with one_thread(), torch.inference_mode():
        truth = [exact._run(view, None, "fp32", size=1)[0] for view in seen]
    try:
        model = conversion.whole(exact, seen)
    except CannotConvertError as error:
        model = None
        reasons.append(str(error))
    found = []
    for precision in precisions if model is not None else ():
        try:
            graph = _compiled(model, precision)
            differences = [_difference(_chroma(graph, view), ab) for view, ab in zip(seen, truth, strict=True)]
        except CannotConvertError as error:  # of this arithmetic: a processor may have less than it says
            reasons.append(str(error))
            continue
        if max(differences) <= (CLOSE if precision == "bf16" else SAME):
            found.append(Candidate("whole", precision, model, _seconds(functools.partial(_chroma, graph, seen[0]))))
        else:
            reasons.append(f"its colours would be off by {max(differences):.2f}")
    if found:
        return found
    if "fp32" not in precisions:
        raise CannotConvertError(reasons[0])
    return [_of_network(exact, seen, truth, reasons[0])]


def _of_network(exact: Runtime, seen: Sequence[Float], truth: Sequence[Float], reason: str) -> Candidate:
    try:
        model, ranks, several = conversion.network(exact, seen)
    except CannotConvertError:
        raise CannotConvertError(reason) from None
    network = exact.colorizer.network
    assert network is not None
    exact.colorizer.network = conversion.Outside(network, _compiled(model, "fp32"), ranks, several)
    try:
        with one_thread(), torch.inference_mode():
            found = [exact._run(view, None, "fp32", size=1)[0] for view in seen]
            seconds = _seconds(lambda: exact._run(seen[0], None, "fp32", size=1))
    except (ColorpipeError, RuntimeError) as error:
        raise CannotConvertError(f"{reason}; its network alone neither ({oneline(error)[:160]})") from None
    finally:
        exact.colorizer.network = network
    difference = max(_difference(ab, right) for ab, right in zip(found, truth, strict=True))
    if difference > SAME:
        raise CannotConvertError(f"{reason}; with its network alone, colours would be off by {difference:.2f}")
    return Candidate("network", "fp32", model, seconds, tuple(ranks), several)


def _attached(exact: Runtime, verdict: Verdict, model: Any) -> Runtime:
    """The runtime with its network computed by the engine."""
    network = exact.colorizer.network
    assert network is not None
    given = kept_graphs.graph_file(verdict.graph) if model is None else model
    compiled = kept_graphs.compiled() if model is None else None
    graph = Graph(given, "fp32", lanes=exact.lanes, threads=torch.get_num_threads(), compiled=compiled)
    call = verdict.effect["call"]
    exact.colorizer.network = conversion.Outside(network, graph, call["ranks"], call["several"])
    exact.engine, exact.reason = "openvino", f"OpenVINO: {verdict.reason}"
    return exact


def _compiled(model: Any, precision: Arithmetic) -> Graph:
    try:
        return Graph(model, precision)
    except RuntimeError as error:
        raise CannotConvertError(f"OpenVINO cannot run it ({oneline(error)[:160]})") from error


def _chroma(graph: Graph, view: Float) -> Float:
    try:
        return np.asarray(graph([[view]])[0][0][0].transpose(1, 2, 0), np.float32)
    except RuntimeError as error:
        raise CannotConvertError(f"OpenVINO cannot run it ({oneline(error)[:160]})") from error


def _difference(first: Float, second: Float) -> float:
    """Mean distance in CIE units; infinite where shapes differ or something is no number."""
    if first.shape != second.shape or not np.isfinite(first).all():
        return float("inf")
    return float(np.abs(first - second).mean())


def _seconds(call: Callable[[], object]) -> float:
    """CPU seconds of a call, the least of a few: other work on the machine changes it little."""
    call()  # prepares what later ones reuse
    times, start = list[float](), time.monotonic()
    while len(times) < 5 and (not times or time.monotonic() - start < BUDGET):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return min(times)
