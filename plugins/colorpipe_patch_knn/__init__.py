"""Each pixel takes the palette colour of the reference's most similar grey patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, OptionError, hookimpl, option

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Lab

colorpipe_contract = 1


class PatchKnn(Colorizer):
    """Grey patches of a reference, each with a colour of its k-means palette; the nearest ones vote."""

    name = "patch-knn"
    summary = "colours of a reference, chosen by its most similar grey patches"
    licence = "Apache-2.0"
    input_size = InputSize(side=None, limit=1024)
    learns_from_reference = True

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        k: int = option(5, "colours in the palette", min=2, max=64)
        patch: int = option(3, "side of a patch in pixels, odd: more sees more, and is slower", min=3, max=15)
        neighbours: int = option(6, "patches that vote", min=1, max=64)
        vote: Literal["majority", "mean"] = option(
            "majority", "the colour of most patches (of equals that of the nearest), or the mean of theirs"
        )
        grey: Literal["luminosity", "rec601", "rec709", "average"] = option(
            "luminosity", "how the reference becomes grey; rec601 is how colour photos do"
        )
        seed: int = option(0, "start of the k-means", min=0)

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.patch % 2 == 0:
                raise OptionError(f"patch-knn: patch is odd, not {self.patch}", hint="a patch has a middle pixel")

    options: Options

    def learn(self, reference: Lab, device: torch.device) -> None:
        from colorpipe.guidance import code_values, palette, patches, tint
        from colorpipe_patch_knn.knn import PatchIndex

        rgb, grey = code_values(reference, self.options.grey, self.input_size)
        colours, self._colour_of = palette(rgb.reshape(-1, 3), self.options.k, self.options.seed)
        self._tints = tint(colours)  # (k, 2)
        self._index = PatchIndex(patches(grey, self.options.patch), self.options.neighbours)

    def predict(self, batch: Batch) -> Chroma:
        import numpy as np
        import torch

        from colorpipe.guidance import grey_codes, patches
        from colorpipe_patch_knn import knn

        L = batch.L[:, 0].cpu().float().numpy()  # (N, h, w)
        seen, which = knn.distinct(np.concatenate([patches(grey_codes(one), self.options.patch) for one in L]))
        colours = self._colour_of[self._index.nearest(seen)]  # (M, n), the nearest first
        if self.options.vote == "majority":
            tints = self._tints[knn.majority(colours)]
        else:
            tints = knn.mean(self._tints, colours)
        ab = tints[which].reshape(*L.shape, 2) * (L[..., None] + 16)
        return Chroma(torch.from_numpy(ab).permute(0, 3, 1, 2).to(batch.L.device))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [PatchKnn]
