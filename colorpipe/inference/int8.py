"""int8: a network quantised on pictures, told how far its colours are from exact ones, and refused if that is far.

NNCF quantises (post-training, after Wu et al. 2020, arXiv 2004.09602): it watches the range of each layer's values on
some pictures and corrects the layers' biases. What decodes the network's output stays exact.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from colorpipe.errors import UsageError
from colorpipe.files import sha256
from colorpipe.inference import conversion, engines, kept_graphs, openvino_library, trial
from colorpipe.inference.conversion import CannotConvertError
from colorpipe.inference.graph_runtime import GraphRuntime
from colorpipe.inference.kept_graphs import Verdict
from colorpipe.inference.openvino_library import INSTALL, Graph
from colorpipe.settings import INT8_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from colorpipe.color import Float
    from colorpipe.inference.engines import Wanted
    from colorpipe.inference.runtime import Runtime

log = logging.getLogger(__name__)
FEW = 8
"""With fewer, each is also shown mirrored and darker: ranges of one picture are too narrow for the next."""


def calibrate(plain: Runtime, wanted: Wanted, fresh: Callable[[str], Runtime], views: Sequence[Float]) -> GraphRuntime:
    """Quantise the method of ``plain``, measure it and keep it.

    Args:
        plain: The method in torch, fp32.
        views: L (1, 1, h, w) of pictures as the network sees them, at least one.

    Raises:
        UsageError: it cannot be quantised.
    """
    log.info("quantising once, on %d of the first inputs: half a minute or so", len(views))
    seen, shown = _split(views)
    try:
        exact = [plain.predict(view)[0] for view in seen]
        quantised, off, seconds = _best(conversion.whole(plain, [*views, *trial.views(plain)]), seen, shown, exact)
        torch_seconds = trial._seconds(lambda: plain.predict(seen[0]))
    except (CannotConvertError, RuntimeError) as error:
        raise UsageError(f"--precision int8: {plain.colorizer.name}: {error}", hint="use --precision auto") from error
    network = plain.colorizer.network
    assert network is not None
    weights = wanted.weights_sha256 or conversion.digest(network)
    asked = engines.question(plain.colorizer, plain.decoder, wanted, weights)
    file = kept_graphs.keep_graph(asked, quantised)
    facts: dict[str, Any] = {"mean": round(float(np.mean(off)), 3), "worst": round(max(off), 3), "pictures": len(seen)}
    facts["sha256"] = "" if file is None else sha256(file.with_suffix(".bin"))
    reason = f"8-bit arithmetic, {torch_seconds / max(seconds, 1e-9):.1f} times as fast as torch's exact one here"
    verdict = Verdict("openvino", "int8", reason, graph=asked, quantised=facts, **trial.facts(plain))
    kept_graphs.keep(asked, verdict)
    colorizer, decoder = plain.colorizer, plain.decoder
    return GraphRuntime(
        type(colorizer)(colorizer.options), None if decoder is None else type(decoder)(decoder.options), verdict,
        lambda: fresh("fp32"), batch=wanted.batch, model=None if file is not None else quantised,
    )  # fmt: skip


def _best(
    model: Any, seen: Sequence[Float], shown: Sequence[Float], exact: Sequence[Float]
) -> tuple[Any, list[float], float]:
    """A quantised model, its dE2000 to ``exact`` for each picture of ``seen``, and its seconds for one.

    All layers are quantised; where that is too much for the colours, the plain convolutions alone, which do most of the
    work: narrow layers (1x1, depthwise) bear less.
    """
    found = []
    for layers in ("all", "wide"):
        quantised = _quantised(model.clone(), shown, layers)
        graph = Graph(quantised, "int8")
        given = [np.asarray(graph([[view]])[0][0][0].transpose(1, 2, 0), np.float32) for view in seen]
        off = [difference(view, a, b) for view, a, b in zip(seen, given, exact, strict=True)]
        found.append((quantised, off, trial._seconds(functools.partial(graph, [[seen[0]]]))))
        if np.mean(off) <= INT8_LIMIT:
            break
    return min(found, key=lambda one: float(np.mean(one[1])))


def difference(view: Float, first: Float, second: Float) -> float:
    """Mean dE2000 between two chromas (h', w', 2) under one lightness (1, 1, h, w)."""
    from skimage.color import deltaE_ciede2000

    L = view[0, 0]
    labs = [
        np.dstack([L, cv2.resize(ab, (L.shape[1], L.shape[0]), interpolation=cv2.INTER_LINEAR)])
        for ab in (first, second)
    ]
    return float(np.mean(deltaE_ciede2000(*labs)))


def _split(views: Sequence[Float]) -> tuple[Sequence[Float], list[Float]]:
    """The pictures to measure on, and those to quantise on: every second one where there are enough of them."""
    if len(views) >= 2 * FEW:
        return views[1::2], list(views[::2])
    mirrored = [np.ascontiguousarray(view[..., ::-1]) for view in views]
    darker = [np.asarray(100 * (view / 100) ** 1.5, np.float32) for view in views]
    return views, [*views, *mirrored, *darker] if len(views) < FEW else list(views)


def _quantised(model: Any, views: Sequence[Float], layers: str) -> Any:
    try:
        with openvino_library.no_reports():
            import nncf
    except ImportError as error:
        raise UsageError(f"--precision int8: NNCF is not installed ({error})", hint=INSTALL) from None
    nncf.set_log_level(logging.ERROR)
    exact = [one.get_friendly_name() for one in model.get_ops() if "network" not in one.get_friendly_name()]
    if layers == "wide":
        exact += [one.get_friendly_name() for one in model.get_ops() if _is_narrow(one)]
    attends = sum(one.get_type_name() in ("Softmax", "ScaledDotProductAttention") for one in model.get_ops()) > 1
    # its progress bars go to stdout, which belongs to --json -
    with openvino_library.no_reports(), contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            model, nncf.Dataset(list(views)), subset_size=len(views), preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            ignored_scope=nncf.IgnoredScope(names=sorted(set(exact)), validate=False),
        )  # fmt: skip


def _is_narrow(operation: Any) -> bool:
    """Whether it multiplies and is no plain convolution of more than one place."""
    kind = operation.get_type_name()
    if kind != "Convolution":
        return kind in ("GroupConvolution", "MatMul", "Multiply", "Add", "ReduceMean")
    kernel = operation.input_value(1).get_partial_shape()
    return bool(max(kernel[2].get_length(), kernel[3].get_length()) == 1)
