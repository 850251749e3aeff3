"""Files of weights -> the family's networks: which one a file holds is told from its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from colorpipe import WeightsError
from colorpipe.weights import load_strictly, read_tensors
from colorpipe_zhang.base import BaseZhang
from colorpipe_zhang.compact import CompactZhang
from colorpipe_zhang.eccv16 import Eccv16
from colorpipe_zhang.emphasis import Emphasis, holds_emphasis
from colorpipe_zhang.quantised import restore

Network = Eccv16 | CompactZhang | BaseZhang
Architecture = Literal["eccv16", "compact", "base"]


def open_file(file: Path) -> tuple[Network, dict[str, str]]:
    """The network in ``file``, in float32 and evaluation mode, and the file's metadata.

    Raises:
        WeightsError: the file holds none of the family's networks, to the key.
    """
    tensors, metadata = read_tensors(file)
    architecture = architecture_of(tensors, file)
    network: Network
    with torch.device("meta"):  # the file's tensors take every place: random ones would cost time and memory
        if architecture == "eccv16":
            network = Eccv16()
        else:
            network = BaseZhang(empty=True) if architecture == "base" else CompactZhang(empty=True)
            network.emphasis = Emphasis() if holds_emphasis(tensors) else None
    load_strictly(network, restore(tensors, file), f"{file} as {architecture}")
    return network.eval(), metadata


def open_teacher(weights: str) -> nn.Module:
    """The network that another one learns from: ``zhang-base``, or a file of any network of the family.

    Raises:
        WeightsError: there is no such file, or it holds another network.
    """
    from colorpipe_zhang import BASE

    file = BASE if weights == "zhang-base" else Path(weights).expanduser()
    if not file.is_file():
        raise WeightsError(f"the teacher {weights} is not a file", hint="give zhang-base, or a file of weights")
    return open_file(file)[0]


def architecture_of(tensors: Mapping[str, Tensor], file: Path) -> Architecture:
    """Recognise a network by key names that no other network of the family has.

    Raises:
        WeightsError: they are none of its.
    """
    if any(key.startswith("model1short10.") for key in tensors):
        raise WeightsError(f"{file} holds siggraph17's weights", hint="use --colorizer siggraph17")
    if any(key.startswith(("model1.", "model8.")) for key in tensors):
        return "eccv16"
    if any(key.startswith("encoder.") for key in tensors):
        return "base"
    if any(key.startswith(("stem.", "classify.")) for key in tensors):
        return "compact"
    few = ", ".join(sorted(tensors)[:3])
    raise WeightsError(f"{file} holds none of zhang's networks: base, compact, eccv16 (its keys: {few}, ..)")


def load_trained(
    network: CompactZhang | BaseZhang, path: Path, encoder_only: bool, log_weights: Tensor | None = None
) -> None:
    """Start ``network`` from weights of its kind in ``path``, without what their export added to the logits.

    It gets the file's emphasis, where there is one.

    Args:
        encoder_only: The decoder is left as it is.
        log_weights: (313,) of the training that begins: rebalancing adds them to what is learned, in place of those
            of the training before.

    Raises:
        WeightsError: the file holds another network.
    """
    tensors, metadata = read_tensors(path)
    tensors = {name: tensor.float() for name, tensor in restore(tensors, path).items()}
    if "classify.bias" in tensors and "logit_shift" in metadata:
        tensors["classify.bias"] = tensors["classify.bias"] - torch.tensor(json.loads(metadata["logit_shift"]))
        if log_weights is not None and "log_weights" in metadata:
            tensors["classify.bias"] += log_weights - torch.tensor(json.loads(metadata["log_weights"]))
    if holds_emphasis(tensors) and not encoder_only:
        network.emphasis = Emphasis()
    if encoder_only:
        parts = ("encoder.",) if isinstance(network, BaseZhang) else ("stem.", "blocks.")
        tensors = {**network.state_dict(), **{n: t for n, t in tensors.items() if n.startswith(parts)}}
    load_strictly(network, tensors, f"{path} as {'base' if isinstance(network, BaseZhang) else 'compact'}")
