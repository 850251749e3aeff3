"""How decoded frames become planes: the planar layout that holds a decoder's pixel format."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from colorpipe.media.video.tags import FULL_RANGE

DEPTHS = (8, 9, 10, 12, 14, 16)
"""Bit depths for which FFmpeg has planar YUV formats."""
_NATIVE = re.compile(r"(?P<family>yuvj|yuva|yuv|gray)(?P<chroma>4\d\d)?p?(?P<bits>\d+)?(le)?")
_SUBSAMPLING = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_CHROMA = {subsampling: name for name, subsampling in _SUBSAMPLING.items()}


@dataclass(frozen=True)
class PixelLayout:
    """How a decoded frame becomes planes."""

    format: str
    """The planar format that planes are taken from; frames of another are converted to it by libswscale."""
    bits: int
    subsampling: tuple[int, int] | None
    """None for grey."""
    alpha: bool
    rgb: bool
    """Made from RGB: the luma is computed, in full range."""
    rearranged: bool
    """Converted without arithmetic: the same values in another order of bytes."""


def layout_of(pixels: VideoFormat) -> PixelLayout:
    """The planar layout that holds a decoder's pixel format without loss, where there is one."""
    match = _NATIVE.fullmatch(pixels.name)
    if match:
        family, bits = match["family"], int(match["bits"] or 8)
        return PixelLayout(
            # The yuvj names are the yuv ones with a range that is told separately: the planes are alike.
            format=pixels.name.replace("yuvj", "yuv"),
            bits=bits,
            subsampling=_SUBSAMPLING[match["chroma"]] if match["chroma"] else None,
            alpha=family == "yuva",
            rgb=False,
            rearranged=False,
        )
    components = pixels.components
    alpha = any(component.is_alpha for component in components)
    widest = max(component.bits for component in components)
    bits = next((depth for depth in DEPTHS if depth >= widest), DEPTHS[-1])
    depth = "" if bits == 8 else f"{bits}le"
    if len(components) == 1 and not (pixels.has_palette or pixels.is_bayer):
        return PixelLayout(f"gray{depth}", bits, None, alpha=False, rgb=False, rearranged=True)
    other = pixels.is_rgb or pixels.is_bayer or pixels.has_palette or pixels.name.startswith("xyz")
    is_yuv = len(components) >= 3 and not other
    if is_yuv:
        wide = VideoFormat(pixels.name, 64, 64)
        subsampling = (64 // wide.chroma_width()).bit_length() - 1, (64 // wide.chroma_height()).bit_length() - 1
    else:
        subsampling = (0, 0)
    name = f"yuv{'a' if alpha else ''}{_CHROMA[subsampling]}p{depth}"
    return PixelLayout(name, bits, subsampling, alpha=alpha, rgb=not is_yuv, rearranged=is_yuv)


def planes_of(image: VideoFrame, layout: PixelLayout, matrix: str) -> list[np.ndarray]:
    """A decoded frame's planes, read-only: luma, then chroma and transparency where there are any.

    Args:
        matrix: For one that is made from RGB.
    """
    if layout.rgb:
        colours = 1 if matrix == "bt709" else 5
        image = image.reformat(format=layout.format, dst_colorspace=colours, dst_color_range=FULL_RANGE)
    elif image.format.name != layout.format and layout.rearranged:
        image = image.reformat(format=layout.format)
    dtype = np.dtype(np.uint8 if layout.bits == 8 else "<u2")
    planes = []
    for plane in image.planes:
        rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]
        values = np.ascontiguousarray(rows if plane.line_size > 0 else rows[::-1])
        values.setflags(write=False)
        planes.append(values)
    return planes
