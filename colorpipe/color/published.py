"""Laying chroma over a still as those published scripts do that work in YUV: U and V over the source's own luma.

The others, which work in Lab, need nothing of their own: clipped ab under the source's lightness is ``color.merge``.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from colorpipe.color import spaces as color
from colorpipe.color.spaces import Float
from colorpipe.types import Frame

UV_SCALES = np.array([0.492, 0.877], np.float32)
"""U of B - Y and V of R - Y, as OpenCV's RGB2YUV has them."""


def differences(L: Float, ab: Float) -> Float:
    """L (h, w) and ab (h, w, 2) -> B - Y and R - Y (h, w, 2) of the sRGB-coded colour, 0..1; also beyond the gamut."""
    lightness = L if L.shape == ab.shape[:2] else cv2.resize(L, ab.shape[1::-1], interpolation=cv2.INTER_AREA)
    coded = color.encode(color.light_of(np.asarray(lightness, np.float32), ab))
    luma = coded @ np.array(color.GREY_WEIGHTS["rec601"], np.float32)
    return np.asarray(np.stack([coded[..., 2] - luma, coded[..., 0] - luma], -1), np.float32)


def over_luma(frame: Frame, over: Float) -> Frame:
    """The frame with the differences (H, W, 2) over its luma, each channel clipped, which may change the luma.

    Of an 8-bit frame they are held as such scripts hold U and V: in 8 bits about 128, of whole codes of B, R and Y.
    """
    encoding = frame.encoding
    red, green, blue = color.GREY_WEIGHTS["rec601"]
    codes = np.empty((frame.height, frame.width, 3), frame.luma.dtype)
    rows = max(1, color.STRIP // frame.width)
    for top in range(0, frame.height, rows):
        strip = slice(top, top + rows)
        grey = color.look_up(color.grey_table(encoding), frame.luma[strip])
        B, R = np.moveaxis(_held(over[strip]) if encoding.bits == 8 else over[strip], -1, 0)
        rgb = np.stack([grey + R, grey - (red * R + blue * B) / np.float32(green), grey + B], -1)
        codes[strip] = color.quantize(np.clip(rgb, 0, 1) * np.float32(encoding.peak), encoding)
    return replace(frame, colour=tuple(np.moveaxis(codes, -1, 0)))


def _held(over: Float) -> Float:
    """B - Y and R - Y as U and V in 8 bits leave them."""
    whole = np.rint(over * np.float32(255))
    return np.asarray(np.clip(np.rint(whole * UV_SCALES), -128, 127) / (UV_SCALES * 255), np.float32)
