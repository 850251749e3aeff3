"""Scores of a prediction against the truth while training, in torch, in batches.

The protocol is most papers': square pictures, chroma predicted from the true lightness and put back over it, RGB in
0..1 clipped to the gamut, scores per picture and averaged.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from colorpipe.color import Float
from colorpipe.color.spaces_torch import lab_to_rgb, rgb_to_lab
from colorpipe.types import ChromaDistribution

__all__ = ["ValidationBatch", "colourfulness", "lab_to_rgb", "psnr", "to_ab"]


def to_ab(
    logits: Tensor, centres: Tensor, T: float, vibrance: float | Tensor = 1.0, grey_T: float | None = None
) -> Tensor:
    """Logits (N,Q,h,w) decoded at temperature ``T`` -> ab (N,2,h,w), as ``annealed-mean`` does it.

    ``T`` 0 takes the likeliest bin. With ``grey_T``, temperature and vibrance act by the probability of grey; a
    vibrance (N,1,h,w) acts as it stands.
    """
    if T == 0:
        return centres[logits.argmax(1)].permute(0, 3, 1, 2)

    def mean(at: float) -> Tensor:
        return torch.einsum("nqhw,qc->nchw", (logits / at).softmax(1), centres)

    if grey_T is None:
        return ChromaDistribution.strengthen(mean(T), vibrance)
    near = (centres.norm(dim=1) <= ChromaDistribution.NEAR_GREY).to(logits.dtype)
    grey = torch.einsum("nqhw,q->nhw", logits.softmax(1), near)[:, None]
    placed = vibrance if isinstance(vibrance, Tensor) else 1 + (vibrance - 1) * (1 - grey)
    return ChromaDistribution.strengthen(torch.lerp(mean(T), mean(grey_T), grey), placed)


def psnr(rgb: Tensor, truth: Tensor) -> Tensor:
    """Peak signal to noise ratio per picture, dB, over all three channels; (N,3,h,w) 0..1 -> (N,)."""
    return -10 * ((rgb - truth) ** 2).mean((1, 2, 3)).clamp(min=1e-10).log10()


def colourfulness(rgb: Tensor) -> Tensor:
    """Hasler and Suesstrunk 2003, signed opponents, on a scale of 0..255; (N,3,h,w) 0..1 -> (N,)."""
    r, g, b = (rgb * 255).flatten(2).unbind(1)
    rg, yb = r - g, (r + g) / 2 - b
    spread = (rg.var(1, correction=0) + yb.var(1, correction=0)).sqrt()
    return spread + 0.3 * (rg.mean(1) ** 2 + yb.mean(1) ** 2).sqrt()


class ValidationBatch:
    """A batch of colour pictures (N,h,w,3) uint8: what is known, ``L`` (N,1,h,w), and what is not, ``ab``.

    ``seen`` is L as the network is to see it: a task gives its ``see``.
    """

    def __init__(self, rgb: Tensor, see: Callable[[Float], Float] = lambda L: L) -> None:
        self.rgb = rgb.permute(0, 3, 1, 2).float() / 255
        with torch.autocast(rgb.device.type, enabled=False):  # bfloat16 has steps of 0.5 at L = 100
            lab = rgb_to_lab(self.rgb)
        self.L, self.ab = lab[:, :1], lab[:, 1:]
        views = [torch.from_numpy(see(L[0].cpu().numpy())) for L in self.L]
        self.seen = torch.stack(views)[:, None].to(rgb.device)

    def colourize(self, ab: Tensor) -> Tensor:
        """ab (N,2,h',w') of any resolution over the true lightness: sRGB (N,3,h,w) 0..1."""
        ab = F.interpolate(ab, self.L.shape[2:], mode="bilinear", align_corners=False)
        return lab_to_rgb(torch.cat([self.L, ab], 1))

    def score(self, ab: Tensor) -> dict[str, float]:
        """``gain``, dB of PSNR over grey; ``vivid``, the batch's mean colourfulness over the truth's."""
        with torch.autocast(ab.device.type, enabled=False):
            result, grey = self.colourize(ab.float()), lab_to_rgb(F.pad(self.L, (0, 0, 0, 0, 0, 2)))
            gain = psnr(result, self.rgb).mean() - psnr(grey, self.rgb).mean()
            vivid = colourfulness(result).mean() / colourfulness(self.rgb).mean().clamp(min=1e-6)
        return {"gain": float(gain), "vivid": float(vivid)}
