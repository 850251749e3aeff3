"""What a user would run instead: the published demo, written plainly, one picture after the other.

https://github.com/richzhang/colorization, demo_release.py and colorizers/util.py: Pillow, eager fp32, batch 1,
scikit-image's Lab of the full picture, ``F.interpolate``, ``lab2rgb``, matplotlib's ``imsave``. The layers are the
plugins', which have the published keys; nothing of what colorpipe does to make them fast is done here. A film goes
through it frame by frame, decoded and encoded with PyAV. DDColor's and DeOldify's ways are in ``plain_ddcolor`` and
``plain_deoldify``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

X264 = {"preset": "veryfast", "crf": "16"}
matplotlib.use("agg")
# Random weights leave the gamut more often than trained ones; scikit-image says so for each picture.
warnings.filterwarnings("ignore", message="Conversion from CIE-LAB")


class Codes:
    """The scripts that work with OpenCV and 8-bit codes: DDColor's and DeOldify's."""

    def __init__(self, network: str, checkpoint: Path) -> None:
        from benchmarks.plain_ddcolor import DDColorScript
        from benchmarks.plain_deoldify import DeOldifyScript

        self.script = DDColorScript(checkpoint) if network.startswith("ddcolor") else DeOldifyScript(checkpoint)

    def colorize(self, picture: Path) -> NDArray[np.float64]:
        """RGB (H, W, 3), 0..1."""
        grey = np.asarray(Image.open(picture).convert("RGB"))
        return np.asarray(self.script.of(grey), np.float64)  # three equal channels: their order says nothing

    def save(self, rgb: NDArray[np.float64], result: Path) -> None:
        import cv2

        cv2.imwrite(str(result), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))


def script(network: str, checkpoint: Path) -> Script | Codes:
    """A network's published script, loaded."""
    return (Codes if network.startswith(("ddcolor", "deoldify")) else Script)(network, checkpoint)


class Script:
    """The demo with its network loaded."""

    def __init__(self, network: str, checkpoint: Path) -> None:
        self.network = network
        state = torch.load(checkpoint, weights_only=True)
        if network == "eccv16":
            from colorpipe_zhang.eccv16 import Eccv16

            self.layers: torch.nn.Module = Eccv16()
        else:
            from colorpipe_siggraph17.network import Siggraph17

            self.layers = Siggraph17()
        self.layers.load_state_dict(state)
        self.layers.eval()

    def colorize(self, picture: Path) -> NDArray[np.float64]:
        """RGB (H, W, 3), 0..1."""
        return self.of(np.asarray(Image.open(picture)))

    def of(self, rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
        """As ``colorize``, of codes (H, W) or (H, W, 3)."""
        if rgb.ndim == 2:
            rgb = np.tile(rgb[:, :, None], 3)
        small = np.asarray(Image.fromarray(rgb).resize((256, 256), resample=Image.Resampling.BICUBIC))
        L_full = torch.Tensor(rgb2lab(rgb)[:, :, 0])[None, None]
        L_small = torch.Tensor(rgb2lab(small)[:, :, 0])[None, None]
        with torch.no_grad():
            ab = self._forward(L_small)
        ab = F.interpolate(ab, size=L_full.shape[2:], mode="bilinear")
        lab = torch.cat((L_full, ab), dim=1)
        return np.asarray(lab2rgb(lab.numpy()[0].transpose((1, 2, 0))))

    def _forward(self, L: Any) -> Any:
        if self.network == "siggraph17":
            return self.layers(L, torch.zeros(1, 3, *L.shape[2:]))
        ab = self.layers.model_out(self.layers(L).softmax(dim=1))  # type: ignore[operator]
        return F.interpolate(ab, scale_factor=4, mode="bilinear") * 110

    def film(self, film: Path, result: Path) -> int:
        """Every frame by itself, H.264 as colorpipe is asked for it; gives their number."""
        import av

        count = 0
        with av.open(str(film)) as source, av.open(str(result), "w") as container:
            given = source.streams.video[0]
            stream = container.add_stream("libx264", rate=given.average_rate, options=dict(X264))
            stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
            for image in source.decode(video=0):
                rgb = self.of(image.to_ndarray(format="rgb24"))
                codes = np.rint(rgb * 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(codes, format="rgb24")))
                count += 1
            container.mux(stream.encode())
        return count

    def save(self, rgb: NDArray[np.float64], result: Path) -> None:
        import matplotlib.pyplot as plt

        quality = {"pil_kwargs": {"quality": 95}} if result.suffix == ".jpg" else {}
        plt.imsave(result, rgb, **quality)
