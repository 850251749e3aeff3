"""Merging on a GPU: what ``resample.upsample`` and ``color.merge`` do on a CPU, by the same formulas, in torch.

Beside a network on a GPU the CPU would be what a job waits for. Results differ from the CPU's by rounding, a code here
and there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colorpipe.color import resample, spaces, spaces_torch
from colorpipe.color.resample import Upsampling
from colorpipe.color.spaces import Float, Gamut, Keep
from colorpipe.types import Encoding, Frame

STRIP = 1 << 22
"""Pixels merged at a time: some 300 MB of the device's memory."""


class DeviceMerge:
    """Upsampling and merging for the frames of one run, on ``device``."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._tables: dict[Encoding, Tensor] = {}
        self._luminance = self._tensor(spaces.XYZ_FROM_RGB[1].astype(np.float32))
        self._luma = self._tensor(np.array(spaces.GREY_WEIGHTS["rec601"], np.float32))

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    @torch.inference_mode()
    def __call__(
        self,
        frame: Frame,
        ab: Float,
        *,
        method: Upsampling,
        view_size: tuple[int, int],
        keep: Keep,
        gamut: Gamut,
    ) -> Frame:
        """The frame with the chroma ``ab`` (h, w, 2) under its luma; the arguments as on the CPU."""
        encoding = frame.encoding
        codes = frame.luma if encoding.bits == 8 else frame.luma.astype(np.int32)
        luma = self._tensor(codes)
        grey = self._table(encoding)[luma.long()]
        size = grey.shape[0], grey.shape[1]
        if encoding.family == "yuv":
            size = encoding.chroma_shape(*size)
        chroma = self._upsample(self._tensor(ab).permute(2, 0, 1), grey, size, method, view_size)
        if encoding.family == "yuv":
            return replace(frame, colour=self._chroma_planes(luma, chroma, encoding, gamut))
        rows = max(1, STRIP // size[1])
        parts = []
        for top in range(0, size[0], rows):
            strip = slice(top, top + rows)
            rgb = self._rgb(spaces_torch.lightness_of(grey[strip]), chroma[:, strip], gamut)
            if keep == "luma":
                rgb = self._with_luma(rgb, grey[strip])
            parts.append(_codes(rgb * encoding.peak, encoding))
        planes = [np.concatenate(channel) for channel in zip(*parts, strict=True)]
        return replace(frame, colour=(planes[0], planes[1], planes[2]))

    def _table(self, encoding: Encoding) -> Tensor:
        if encoding not in self._tables:
            self._tables[encoding] = self._tensor(spaces.grey_table(encoding))
        return self._tables[encoding]

    def _upsample(
        self, ab: Tensor, guide: Tensor, size: tuple[int, int], method: Upsampling, view_size: tuple[int, int]
    ) -> Tensor:
        """(2, h, w) -> (2, H, W): see ``resample.upsample``."""
        if method == "bilinear":
            return _resize(_resize(ab, view_size), size)
        if method == "nearest":
            return F.interpolate(ab[None], size, mode="nearest")[0]
        if ab.shape[1:] == size:
            return ab
        scale = min(1.0, resample.GUIDE_SIDE / max(guide.shape))
        fit = max(1, round(guide.shape[0] * scale)), max(1, round(guide.shape[1] * scale))
        small = _average(guide[None], fit)
        radius = resample.radius_of(fit, tuple(ab.shape[1:]))
        mean_guide = _mean(small, radius)
        variance = (_mean(small * small, radius) - mean_guide * mean_guide).clamp(min=0)
        values = _resize(ab, fit)
        mean_values = _mean(values, radius)
        covariance = _mean(small * values, radius) - mean_guide * mean_values
        slope = covariance / (variance + resample.GUIDE_REGULARISATION)
        gain, offset = _mean(slope, radius), _mean(mean_values - slope * mean_guide, radius)
        for _ in range(resample.BACK_PROJECTIONS):
            offset = offset + _resize(ab - _average(gain * small + offset, tuple(ab.shape[1:])), fit)
        guide = guide[None] if guide.shape == size else _average(guide[None], size)
        return _resize(gain, size) * guide + _resize(offset, size)

    def _rgb(self, L: Tensor, ab: Tensor, gamut: Gamut) -> Tensor:
        """L (h, w) and ab (2, h, w) -> sRGB (3, h, w) 0..1."""
        light = spaces_torch.lab_to_light(L, ab[0], ab[1])
        clipped = light.clamp(0, 1)
        if gamut == "fit":
            wanted = torch.einsum("r,rhw->hw", self._luminance, light).clamp(0, 1)
            got = torch.einsum("r,rhw->hw", self._luminance, clipped).clamp(0, 1)
            darker = clipped * (wanted / got.clamp(min=1e-9))
            lighter = clipped + (1 - clipped) * ((wanted - got) / (1 - got).clamp(min=1e-9))
            clipped = torch.where(got > wanted, darker, lighter).clamp(0, 1)
        return spaces_torch.encode(clipped)

    def _with_luma(self, rgb: Tensor, luma: Tensor) -> Tensor:
        difference = rgb - torch.einsum("r,rhw->hw", self._luma, rgb)
        room = torch.where(difference > 0, 1 - luma, luma)
        fit = (room / difference.abs().clamp(min=1e-6)).amin(0)
        return luma + difference * fit.clamp(max=1)

    def _chroma_planes(self, luma: Tensor, ab: Tensor, encoding: Encoding, gamut: Gamut) -> tuple[Any, Any]:
        if luma.shape != ab.shape[1:]:  # in whole codes, as the CPU averages them
            luma = (_average(luma.float()[None], tuple(ab.shape[1:]))[0] + 0.5).floor()
        rgb = self._rgb(spaces_torch.lightness_of(self._table(encoding)[luma.long()]), ab, gamut)
        matrix = self._tensor(spaces.chroma_matrix(encoding))
        codes = torch.einsum("cr,rhw->chw", matrix[:, :3], rgb) + matrix[:, 3, None, None]
        u, v = _codes(codes, encoding)
        return u, v


def _codes(values: Tensor, encoding: Encoding) -> NDArray[Any]:
    """Code values as floats -> the encoding's dtype, rounded, clipped, on the CPU."""
    kind = torch.uint8 if encoding.bits == 8 else torch.int32
    codes: NDArray[Any] = values.round().clamp(0, encoding.peak).to(kind).cpu().numpy()
    return codes if encoding.bits == 8 else codes.astype(np.uint16)


def _resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) -> (C, *size), bilinear."""
    return F.interpolate(planes[None], size, mode="bilinear", align_corners=False)[0]


def _average(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    """(C, H, W) -> (C, *size): each value the mean of the area that it stands for."""
    down, across = (_shares(planes.shape[axis], size[axis - 1]).to(planes.device) for axis in (1, 2))
    return down @ planes @ across.T


@lru_cache(maxsize=16)
def _shares(full: int, length: int) -> Tensor:
    """(length, full): by how much each of ``full`` values counts in the mean of each of ``length`` equal stretches."""
    edges = np.arange(length + 1)[:, None] * (full / length)
    below = np.clip(edges - np.arange(full), 0, 1)  # the part of each value that lies before each edge
    return torch.from_numpy((np.diff(below, axis=0) * (length / full)).astype(np.float32))


def _mean(planes: Tensor, radius: int) -> Tensor:
    """(C, h, w), over windows of ``2 * radius + 1``, mirrored at the borders."""
    for axis in (1, 2):
        length = planes.shape[axis]
        places = torch.arange(-radius, length + radius, device=planes.device) % (2 * length)
        planes = planes.index_select(axis, torch.minimum(places, 2 * length - 1 - places))
    side = 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(planes, (side, 1), 1), (1, side), 1)
