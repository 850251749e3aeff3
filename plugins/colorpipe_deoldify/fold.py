"""The published tensors -> the network's: norms folded into the layers beside them, spectral norms divided out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from colorpipe_deoldify.layout import Config
from colorpipe_deoldify.network import DeOldify

BATCH_EPSILON = 1e-5
"""torch's default, which the published batch norms have."""
Layer = tuple[Tensor, Tensor | None]
"""Weight and bias."""


class Published:
    """A checkpoint's tensors, read in float64 so that folding adds nothing of its own."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key].double()

    def batch_norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Scale and shift of each channel."""
        scale = self[f"{name}.weight"] / (self[f"{name}.running_var"] + BATCH_EPSILON).sqrt()
        return scale, self[f"{name}.bias"] - self[f"{name}.running_mean"] * scale

    def spectral(self, name: str) -> Tensor:
        """The weight over its spectral norm as the checkpoint has it: u' W v."""
        weight = self[f"{name}.weight_orig"]
        return weight / (self[f"{name}.weight_u"] @ weight.flatten(1) @ self[f"{name}.weight_v"])

    def weight_norm(self, name: str) -> Tensor:
        """Direction times length (Salimans and Kingma 2016, arXiv 1602.07868)."""
        direction = self[f"{name}.weight_v"]
        length: Tensor = torch.linalg.vector_norm(direction.flatten(1), dim=1)
        return direction * (self[f"{name}.weight_g"] / length.view(-1, 1, 1, 1))


def fold(tensors: Mapping[str, Tensor], config: Config) -> DeOldify:
    """The network of a checkpoint whose keys and shapes are ``layout.shapes(config)``."""
    with torch.device("meta"):
        network = DeOldify(config)
    state: dict[str, Tensor] = {}
    published = Published(tensors)
    _encoder(state, published, config)
    _middle(state, published)
    norm = _ups(state, published, config)
    _ends(state, published, norm)
    state = {name: value.float().contiguous() for name, value in state.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _put(state: dict[str, Tensor], name: str, layer: Layer) -> None:
    # at once in float32: the wide network twice in float64 would not fit where it fits
    weight, bias = layer
    state[f"{name}.weight"] = weight.float()
    if bias is not None:
        state[f"{name}.bias"] = bias.float()


def _after(layer: Layer, scale: Tensor, shift: Tensor) -> Layer:
    """A layer whose outputs are scaled and shifted."""
    weight, bias = layer
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return weight * scale.view(shape), shift if bias is None else bias * scale + shift


def _before(layer: Layer, scale: Tensor, shift: Tensor) -> Layer:
    """A layer, without padding, whose inputs are scaled and shifted."""
    weight, bias = layer
    shape = (1, -1) + (1,) * (weight.dim() - 2)
    added = (weight * shift.view(shape)).flatten(1).sum(1)
    return weight * scale.view(shape), added if bias is None else bias + added


def _encoder(state: dict[str, Tensor], published: Published, config: Config) -> None:
    stem = published["layers.0.0.weight"], None
    _put(state, "encoder.stem", _after(stem, *published.batch_norm("layers.0.1")))
    for stage, depth in enumerate(config.blocks):
        for index in range(depth):
            source, target = f"layers.0.{4 + stage}.{index}", f"encoder.stages.{stage}.{index}"
            for number in range(3 if config.bottleneck else 2):
                layer: Layer = (published[f"{source}.conv{number + 1}.weight"], None)
                layer = _after(layer, *published.batch_norm(f"{source}.bn{number + 1}"))
                _put(state, f"{target}.convolutions.{number}", layer)
            if f"{source}.downsample.0.weight" in published.tensors:
                layer = published[f"{source}.downsample.0.weight"], None
                _put(state, f"{target}.shortcut", _after(layer, *published.batch_norm(f"{source}.downsample.1")))


def _middle(state: dict[str, Tensor], published: Published) -> None:
    _put(state, "deepest", published.batch_norm("layers.1"))
    for index in range(2):
        _put(state, f"middle.{index}", (published.spectral(f"layers.3.{index}.0"), None))
    _put(state, "middle_norm", published.batch_norm("layers.3.0.2"))


def _ups(state: dict[str, Tensor], published: Published, config: Config) -> tuple[Tensor, Tensor] | None:
    """Gives the batch norm that whoever reads the last step has to fold."""
    given: tuple[Tensor, Tensor] | None = published.batch_norm("layers.3.1.2")
    for index, step in enumerate(config.steps):
        source, target = f"layers.{4 + index}", f"ups.{index}"
        widen: Layer = (published.spectral(f"{source}.shuf.conv.0"), None)
        if given is not None:
            widen = _before(widen, *given)
        _put(state, f"{target}.widen", _after(widen, *published.batch_norm(f"{source}.shuf.conv.1")))
        _put(state, f"{target}.skip", published.batch_norm(f"{source}.bn"))
        last = f"{source}.conv2" if config.deep else f"{source}.conv"
        if config.deep:
            _put(state, f"{target}.join", (published.spectral(f"{source}.conv1.0"), None))
            _put(state, f"{target}.norm", published.batch_norm(f"{source}.conv1.2"))
            _put(state, f"{target}.again", (published.spectral(f"{last}.0"), None))
        else:
            _put(state, f"{target}.join", (published.spectral(f"{last}.0"), None))
        given = published.batch_norm(f"{last}.2")
        if step.attends:
            _put(state, f"{target}.last", given)
            gamma = published[f"{last}.3.gamma"]
            for part in ("query", "key", "value"):
                weight = published.spectral(f"{last}.3.{part}")[:, :, 0]
                _put(state, f"{target}.attention.{part}", (weight * gamma if part == "value" else weight, None))
            given = None
    return given


def _ends(state: dict[str, Tensor], published: Published, norm: tuple[Tensor, Tensor] | None) -> None:
    widen: Layer = (published.weight_norm("layers.8.conv.0"), published["layers.8.conv.0.bias"])
    _put(state, "widen", widen if norm is None else _before(widen, *norm))
    for index in range(2):
        name = f"layers.10.layers.{index}.0"
        _put(state, f"refine.{index}", (published.spectral(name), published[f"{name}.bias"]))
    _put(state, "colour", (published.spectral("layers.11.0"), published["layers.11.0.bias"]))
