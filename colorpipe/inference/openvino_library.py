"""OpenVINO, as far as colorpipe uses it: graphs compiled for the CPU, called from several threads. Imports no torch."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import queue
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Arithmetic = Literal["fp32", "bf16", "int8"]
Arrays = Sequence[NDArray[Any]]
INSTALL = "pip install 'colorpipe[openvino]' installs it"
_REPORTS = "openvino_telemetry"
"""The module through which OpenVINO and NNCF send notes of their use to their maker."""
_CONVERTER = "openvino.tools.ovc"
"""Half of the time that importing OpenVINO takes is this part's, which a run needs once for each method, if at all."""


@functools.cache
def version() -> str:
    """``2026.4.1``, without importing it; empty where it is not installed."""
    try:
        if importlib.util.find_spec("openvino") is None:
            return ""
        return importlib.metadata.version("openvino")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""


@contextlib.contextmanager
def _without(module: str) -> Iterator[None]:
    """An import of that module fails within."""
    before = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # so says the language's reference, under import
    try:
        yield
    finally:
        if before is None:
            del sys.modules[module]
        else:
            sys.modules[module] = before


def no_reports() -> contextlib.AbstractContextManager[None]:
    """Keeps what is imported within from reporting its use over the network: colorpipe sends nothing to anybody. Both
    libraries are prepared for that import to fail."""
    return _without(_REPORTS)


@functools.cache
def library() -> Any:
    """The module ``openvino``, without what converts: a run with a graph that is there already starts sooner so."""
    with no_reports(), _without(_CONVERTER):
        import openvino
    module: Any = openvino
    if not hasattr(module, "convert_model"):

        def late(name: str) -> Any:
            """What the module would have: for others in this process who use it."""
            if name == "convert_model":
                return converter()
            raise AttributeError(f"module 'openvino' has no attribute {name!r}")

        module.__getattr__ = late
    return module


@functools.cache
def converter() -> Any:
    """``openvino.convert_model``."""
    library()
    with no_reports():
        return importlib.import_module(_CONVERTER).convert_model


@functools.cache
def core() -> Any:
    return library().Core()


@functools.cache
def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Graph:
    """A graph compiled for the CPU. Calls may come from several threads; all share one copy of the weights.

    Args:
        model: An ``openvino.Model``, or the file of one.
        arithmetic: ``fp32`` and ``int8`` compute in float32 what is not quantised.
        lanes: Calls that are computed at once, with ``threads`` threads in all.
        compiled: A folder that keeps the compiled form, which loads faster than it is made.
    """

    def __init__(
        self, model: Any, arithmetic: Arithmetic, *, lanes: int = 1, threads: int = 1, compiled: Path | None = None
    ) -> None:
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if arithmetic == "bf16" else "f32",
            "NUM_STREAMS": lanes,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # readers and writers want the same cores
        }
        if compiled is not None:
            config["CACHE_DIR"] = str(compiled)
        self.lanes = lanes
        self._compiled = core().compile_model(str(model) if isinstance(model, Path) else model, "CPU", config)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(lanes):
            self._idle.put(self._compiled.create_infer_request())
        self.outputs = len(self._compiled.outputs)

    def __call__(self, calls: Sequence[Arrays]) -> list[list[NDArray[Any]]]:
        """The outputs of each call, in order.

        Raises:
            RuntimeError: from the library, as for an input of a shape that the graph is not for.
        """
        results: list[list[NDArray[Any]]] = [[] for _ in calls]
        waiting, running = deque(enumerate(calls)), deque[tuple[int, Any, list[Any]]]()
        try:
            while waiting or running:
                request = self._request(wait=not running) if waiting else None
                if request is not None:
                    place, arrays = waiting.popleft()
                    running.append((place, request, self._start(request, arrays)))
                    continue
                place, request, _ = running[0]
                request.wait()
                results[place] = [np.array(request.get_output_tensor(i).data) for i in range(self.outputs)]
                self._idle.put(running.popleft()[1])
        finally:
            for _, request, _ in running:  # an error in one: the others end before they are given back
                with contextlib.suppress(RuntimeError):
                    request.wait()
                self._idle.put(request)
        return results

    def _request(self, *, wait: bool) -> Any:
        """One that nobody uses; None where there is none and ``wait`` is false."""
        try:
            return self._idle.get(block=wait)
        except queue.Empty:
            return None

    def _start(self, request: Any, arrays: Arrays) -> list[Any]:
        """Begin a call; what is returned must live until its end."""
        try:
            tensors = [library().Tensor(np.ascontiguousarray(array), shared_memory=True) for array in arrays]
            for index, tensor in enumerate(tensors):
                request.set_input_tensor(index, tensor)
            request.start_async()
        except BaseException:
            self._idle.put(request)
            raise
        return tensors
