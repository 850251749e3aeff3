"""Colorization using optimization (Levin, Lischinski and Weiss 2004): painted colours alone, spread along the grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colorpipe import Chroma, Colorizer, InputSize, hookimpl

if TYPE_CHECKING:
    from colorpipe import Batch


class Levin(Colorizer):
    """Scribbles and lightness at a quarter of 1080p, or the picture's own size -> ab there. Without scribbles, grey."""

    name = "levin"
    summary = "spreads painted colours along the grey; no network, grey where nothing is painted"
    paper = "Levin, Lischinski and Weiss 2004, Colorization using Optimization, ACM Transactions on Graphics 23 (3)"
    licence = "Apache-2.0"
    input_size = InputSize(limit=480, multiple=1)
    takes_hints = True

    def predict(self, batch: Batch) -> Chroma:
        import numpy as np
        import torch

        from colorpipe_levin import colours, optimization

        L = batch.L[:, 0].cpu().float().numpy()  # (N, h, w)
        hints = np.zeros((len(L), 3, *L.shape[1:]), np.float32)
        if batch.hints is not None:
            hints = batch.hints.cpu().float().numpy()
        made = []
        for lightness, (a, b, mask) in zip(L, hints, strict=True):
            Y, scribbles = colours.to_yuv(lightness, np.dstack([a, b]))
            made.append(colours.to_ab(Y, optimization.spread(Y, scribbles, mask > 0)))
        return Chroma(torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(batch.L.device))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [Levin]
