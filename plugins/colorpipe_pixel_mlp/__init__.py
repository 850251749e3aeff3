"""A small network that learns from a reference which colour lies in the middle of a grey patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import colorpipe
from colorpipe import Chroma, Colorizer, InputSize, OptionError, hookimpl, option

if TYPE_CHECKING:
    import torch

    from colorpipe import Batch, Lab

colorpipe_contract = 1


class PixelMlp(Colorizer):
    """Patch of grey -> 20 sigmoid units -> RGB, or a palette's colour; learned one pixel at a time."""

    name = "pixel-mlp"
    summary = "a 9-20-3 network, learned from a reference's grey patches and their colours"
    licence = "Apache-2.0"
    input_size = InputSize(side=None)
    learns_from_reference = True

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        hidden: int = option(20, "units of the hidden layer", min=1, max=256)
        alpha: float = option(0.1, "learning rate", min=1e-6, max=10)
        steps: int = option(72_000, "pixels that it learns from, one at a time", min=1)
        patch: int = option(3, "side of a patch in pixels, odd", min=3, max=15)
        output: Literal["rgb", "palette"] = option(
            "rgb", "what it predicts: a colour, or which colour of a palette is the likeliest", qualified=True
        )
        k: int = option(5, "colours in the palette, with --pixel-mlp-output palette", min=2, max=64)
        grey: Literal["luminosity", "rec601", "rec709", "average"] = option(
            "luminosity", "how the reference becomes grey; rec601 is how colour photos do"
        )
        seed: int = option(0, "of the first weights, the order of the pixels and the k-means", min=0)

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.patch % 2 == 0:
                raise OptionError(f"pixel-mlp: patch is odd, not {self.patch}", hint="a patch has a middle pixel")

    options: Options

    def learn(self, reference: Lab, device: torch.device) -> None:
        import numpy as np

        from colorpipe.guidance import code_values, palette, patches
        from colorpipe_pixel_mlp.mlp import Mlp

        options = self.options
        rgb, grey = code_values(reference, options.grey, self.input_size)
        colours = rgb.reshape(-1, 3)
        inputs = patches(grey, options.patch)
        rng = np.random.default_rng(options.seed)
        if options.output == "rgb":
            self._mlp = Mlp(inputs.shape[1], options.hidden, 3, rng)
            self._mlp.learn(inputs, colours / np.float32(255), options.alpha, options.steps, rng)
        else:
            self._palette, entry = palette(colours, options.k, options.seed)
            k = len(self._palette)
            self._mlp = Mlp(inputs.shape[1], options.hidden, k, rng, softmax=True)
            self._mlp.learn(inputs, np.eye(k, dtype=np.float32)[entry], options.alpha, options.steps, rng)

    def predict(self, batch: Batch) -> Chroma:
        import numpy as np
        import torch

        from colorpipe.guidance import grey_codes, patches, tint

        made = []
        for L in batch.L[:, 0].cpu().float().numpy():  # (h, w)
            said = self._mlp.predict(patches(grey_codes(L), self.options.patch))
            rgb = 255 * said if self.options.output == "rgb" else self._palette[said.argmax(1)]
            made.append(tint(rgb).reshape(*L.shape, 2) * (L[..., None] + 16))
        return Chroma(torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(batch.L.device))


@hookimpl
def colorpipe_colorizers() -> list[type[Colorizer]]:
    return [PixelMlp]
