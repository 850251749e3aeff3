"""A torch method -> a graph that another engine computes: the whole of it, or its network alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from colorpipe.errors import PluginError, oneline
from colorpipe.inference import openvino_library
from colorpipe.inference.openvino_library import Graph
from colorpipe.types import Batch, ChromaDistribution

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.inference.runtime import Runtime


class CannotConvertError(Exception):
    """The method, or its network, cannot be a graph; the text is the reason."""


class Whole(nn.Module):
    """L (1, 1, h, w) -> ab (1, 2, h', w'), CIE units, and, where the method tells one, its mean confidence (1): a
    colorizer with its decoder."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._colorizer, self._decoder = runtime.colorizer, runtime.decoder
        self.network = runtime.colorizer.network

    def forward(self, lightness: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        found = self._colorizer.predict(Batch(lightness))
        if isinstance(found, ChromaDistribution):
            if self._decoder is None:
                raise PluginError(f"{self._colorizer.name} predicts a distribution and has no decoder attached")
            found = self._decoder.decode(found)
        if found.confidence is None:
            return found.ab.float()
        return found.ab.float(), found.confidence.float().mean((1, 2, 3))


class Outside(nn.Module):
    """Stands where a plugin has its network: the same calls, computed by a graph.

    A call that the graph is not for goes to the network itself.

    Args:
        several: The network gives a tuple of tensors, not one.
    """

    def __init__(self, network: nn.Module, graph: Graph, ranks: Sequence[int], several: bool) -> None:
        super().__init__()
        self.network, self._graph, self._ranks, self._several = network, graph, tuple(ranks), several

    def forward(self, *inputs: Any, **named: Any) -> Any:
        tensors = all(isinstance(one, Tensor) and one.dtype == torch.float32 for one in inputs)
        if named or not tensors or tuple(one.ndim for one in inputs) != self._ranks:
            return self.network(*inputs, **named)
        outputs = [torch.from_numpy(output) for output in self._graph([[one.numpy() for one in inputs]])[0]]
        return tuple(outputs) if self._several else outputs[0]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)  # what plugins ask of their network


def whole(runtime: Runtime, views: Sequence[Float]) -> Any:
    """The method as an ``openvino.Model``, for views of the sizes of ``views``, (1, 1, h, w) each.

    Raises:
        CannotConvertError: it is not made of what the engine has.
    """
    return _converted(Whole(runtime), [[torch.from_numpy(view)] for view in views])


def network(runtime: Runtime, views: Sequence[Float]) -> tuple[Any, list[int], bool]:
    """The network alone, as the plugin calls it for ``views``; the ranks of its inputs; whether it gives several.

    Raises:
        CannotConvertError: as ``whole``, or it is called with other things than tensors.
    """
    module, calls, results = runtime.colorizer.network, list[Any](), list[Any]()
    assert module is not None

    def seen(_: nn.Module, inputs: Any, named: Any, output: Any) -> None:
        calls.append((inputs, named))
        results.append(output)

    hook = module.register_forward_hook(seen, with_kwargs=True)
    try:
        for view in views:
            runtime._run(view, None, "fp32", size=1)
    finally:
        hook.remove()
    several = isinstance(results[0], (tuple, list)) if results else False
    outputs = [one for result in results for one in (result if isinstance(result, (tuple, list)) else [result])]
    inputs = [list(given) for given, _ in calls]
    plain = all(isinstance(one, Tensor) for one in [*outputs, *(one for given in inputs for one in given)])
    if not calls or any(named for _, named in calls) or not plain or len({len(given) for given in inputs}) != 1:
        raise CannotConvertError("its network is not called with tensors alone")
    return _converted(module, inputs), [one.ndim for one in inputs[0]], several


def _converted(module: nn.Module, examples: Sequence[Sequence[Tensor]]) -> Any:
    """The model, its inputs as large as the examples': sides that differ between these stay open."""
    library, convert = openvino_library.library(), openvino_library.converter()
    copies = [[one.detach().clone() for one in example] for example in examples]
    try:
        # With gradients on, layers take the plain way that is one node, not a quick one made of many.
        with warnings.catch_warnings(record=True) as told, openvino_library.no_reports(), torch.enable_grad():
            warnings.simplefilter("always")  # also of checks of shapes, which do no harm: agreement is measured
            model = convert(module.eval(), example_input=tuple(copies[0]))
        if any("NumPy array" in str(one.message) for one in told):  # the example's numbers would stand in the graph
            raise CannotConvertError("it goes through numpy on its way")
        shapes = []
        for together in zip(*copies, strict=True):
            sides = zip(*(one.shape for one in together), strict=True)
            shapes.append(library.PartialShape([side[0] if len(set(side)) == 1 else -1 for side in sides]))
        if len(model.inputs) != len(shapes):
            raise CannotConvertError("a part of its input decides nothing")
        model.reshape(dict(enumerate(shapes)))
    except CannotConvertError:
        raise
    except Exception as error:  # the library's, torch's and the plugin's own
        raise CannotConvertError(f"it cannot be converted ({oneline(error)[:160]})") from error
    return model


def digest(network: nn.Module) -> str:
    """SHA-256 of a network's values and their names."""
    found = hashlib.sha256(type(network).__qualname__.encode())
    for name, value in network.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        flat = value.detach().cpu().reshape(-1).clone()  # whatever its memory layout
        found.update(flat.view(torch.uint8).numpy())
    return found.hexdigest()
