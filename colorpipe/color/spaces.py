"""Colour: the only owner of units.

L is 0..100 and ab are CIE units, white point D65 / 2 degrees (IEC 61966-2-1, CIE 15). A *grey* value is 0..1 in the
sRGB transfer curve: the code value of a still divided by its peak, or a film's luma after its range is undone. Arrays
are numpy, H x W (x channels), float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe.errors import OptionError
from colorpipe.types import Encoding, Frame, Lab

Float = NDArray[np.float32]
Plane = NDArray[Any]
"""(H, W) uint8 or uint16 code values."""
Keep = Literal["lightness", "luma"]
Gamut = Literal["fit", "clip"]

XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
"""Linear sRGB -> XYZ, as scikit-image and OpenCV have it."""
RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)
WHITE = XYZ_FROM_RGB.sum(axis=1)
"""XYZ of D65, 2 degree observer, as the matrix has it: 0.950456, 1, 1.088754. Tables round to 0.95047 and 1.08883,
which would make equal channels not quite neutral."""

GREY_WEIGHTS: dict[str, tuple[float, float, float]] = {
    "rec601": (0.299, 0.587, 0.114),  # ITU-R BT.601: analogue television, JPEG, OpenCV, Pillow
    "rec709": (0.2126, 0.7152, 0.0722),  # ITU-R BT.709: high definition
    "luminosity": (0.21, 0.72, 0.07),  # as commonly taught
    "average": (1 / 3, 1 / 3, 1 / 3),
}
MATRICES: dict[str, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),  # ITU-R BT.2020, non-constant luminance
    "smpte240m": (0.212, 0.087),
}
"""Kr and Kb of each YCbCr matrix."""

STRIP = 1 << 16
"""Pixels merged at a time: what lies between the steps then stays in a core's cache, and memory does not grow with the
picture. 1080p, one core: 17 ms in strips, 27 ms whole."""
FILM_STRIP = 1 << 15
"""The same for a film's chroma: its reader and its encoder use the cache too."""
LIGHT_STEPS = 65535
"""Linear light is encoded through a table of this many steps: at its steepest, near black, half a step is 0.025 of an
8-bit code."""
IN_GAMUT = 1e-5
"""Luminance that clipping may add or take before a colour counts as outside of the gamut: above float32's noise, and
0.03 of an 8-bit code where the curve is steepest."""
_WIDE_LUT = int(cv2.__version__.split(".")[0]) >= 5
"""Whether OpenCV looks 16-bit codes up, a third of numpy's time."""


# --- grey, linear light, lightness ------------------------------------------------------------------------------------


def linear(grey: Float) -> Float:
    """sRGB code value 0..1 -> linear light 0..1 (IEC 61966-2-1)."""
    return np.where(grey <= 0.04045, grey / 12.92, ((np.maximum(grey, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encode(light: Float) -> Float:
    """Linear light 0..1 -> sRGB code value 0..1; the inverse of ``linear``."""
    curve = 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve).astype(np.float32)


def lightness_of(grey: Float) -> Float:
    """Grey 0..1 -> L 0..100."""
    Y = linear(grey)
    return np.where(Y > 0.008856, 116 * np.cbrt(Y) - 16, 903.3 * Y).astype(np.float32)


def grey_of(L: Float) -> Float:
    """L 0..100 -> grey 0..1; the inverse of ``lightness_of``."""
    return encode(np.where(L > 7.9996, ((L + 16) / 116) ** 3, L / 903.3).astype(np.float32))


@lru_cache(maxsize=8)
def grey_table(encoding: Encoding) -> Float:
    """Code value -> grey 0..1, one entry per code; what a limited range leaves over is clipped."""
    codes = np.arange(encoding.peak + 1, dtype=np.float64)
    black, white = luma_range(encoding)
    table = np.clip((codes - black) / (white - black), 0, 1).astype(np.float32)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=8)
def light_tables(encoding: Encoding) -> tuple[Float, Float]:
    """Code value -> L 0..100, and code value -> luminance Y 0..1, as ``grey_table``."""
    grey = grey_table(encoding)
    tables = lightness_of(grey), linear(grey)
    for table in tables:
        table.setflags(write=False)
    return tables


def luma_range(encoding: Encoding) -> tuple[int, int]:
    """Code values of black and white: 0..255, or 16..235 for a limited range, scaled to the depth."""
    if encoding.full_range:
        return 0, encoding.peak
    return 16 << (encoding.bits - 8), 235 << (encoding.bits - 8)


def grey_plane(frame: Frame) -> Float:
    """The frame's luma as grey 0..1, (H, W)."""
    return look_up(grey_table(frame.encoding), frame.luma)


def lightness(frame: Frame) -> Lab:
    """The frame's luma as L, exact for every code value: one table look-up per pixel."""
    return Lab(look_up(light_tables(frame.encoding)[0], frame.luma))


def look_up(table: Float, codes: Plane) -> Float:
    """``table[codes]`` for a table of one float32 per code value; OpenCV's where it has one."""
    return np.asarray(_look_up(table, codes), np.float32)


def _look_up(table: NDArray[Any], codes: Plane) -> NDArray[Any]:
    """``table[codes]`` of the table's dtype and the codes' shape."""
    if len(table) == 1 << (8 * codes.itemsize) and (codes.dtype == np.uint8 or _WIDE_LUT):
        return np.asarray(cv2.LUT(codes, table.reshape(-1, 1))).reshape(codes.shape)
    return np.asarray(np.take(table, codes, mode="clip"))


def to_codes(grey: Float, encoding: Encoding) -> Plane:
    """Grey 0..1 -> code values of the encoding, rounded to nearest: the inverse of ``grey_plane``."""
    black, white = luma_range(encoding)
    return quantize(grey * (white - black) + black, encoding)


def quantize(values: Float, encoding: Encoding) -> Plane:
    """Code values as floats -> integers of the encoding's dtype, rounded to nearest, clipped to 0..peak."""
    kind = cv2.CV_8U if encoding.bits == 8 else cv2.CV_16U
    # OpenCV's conversion rounds to nearest and saturates; of its functions this one leaves the values alone
    codes = np.asarray(cv2.addWeighted(values, 1, values, 0, 0, dtype=kind)).reshape(values.shape)
    return codes if encoding.bits in (8, 16) else np.minimum(codes, np.uint16(encoding.peak))


def grey(planes: tuple[Plane, Plane, Plane], formula: str = "rec601") -> Plane:
    """R, G, B code values -> grey code values of the same dtype, rounded to nearest.

    Equal channels give that value exactly, whatever the formula.

    Raises:
        OptionError: an unknown formula.
    """
    if formula not in GREY_WEIGHTS:
        raise OptionError(f"unknown grey formula {formula!r}", hint=f"formulas: {', '.join(GREY_WEIGHTS)}")
    total = sum(np.float32(w) * plane for w, plane in zip(GREY_WEIGHTS[formula], planes, strict=True))
    return np.asarray(np.rint(np.asarray(total)), planes[0].dtype)


# --- Lab <-> RGB ------------------------------------------------------------------------------------------------------


def rgb_to_lab(rgb: Float) -> Lab:
    """sRGB (H, W, 3) float 0..1 -> Lab. OpenCV's own interpolates in a coarse table and is off by up to 0.3."""
    xyz = linear(rgb) @ (XYZ_FROM_RGB / WHITE[:, None]).T.astype(np.float32)
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + np.float32(16 / 116)), -1, 0)
    return Lab(116 * y - 16, np.stack([500 * (x - y), 200 * (y - z)], -1))


def lab_to_rgb(lab: Lab) -> Float:
    """Lab -> sRGB (H, W, 3) float, clipped to 0..1: what is outside of the gamut changes its lightness."""
    ab = np.zeros((*lab.L.shape, 2), np.float32) if lab.ab is None else lab.ab
    return encode(np.clip(light_of(lab.L, ab), 0, 1))


def light_of(L: Float, ab: Float) -> Float:
    """Lab -> linear sRGB (..., 3), outside of 0..1 where it does not fit."""
    fy = (L + 16) / 116
    xyz = []
    for f, white in zip((fy + ab[..., 0] / 500, fy, fy - ab[..., 1] / 200), WHITE, strict=True):
        xyz.append(np.float32(white) * np.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787))
    return np.asarray(np.stack(xyz, -1) @ RGB_FROM_XYZ.T, np.float32)


def fit_to_gamut(light: Float) -> Float:
    """Linear sRGB (..., 3) brought inside 0..1 with its luminance, and so its lightness, kept.

    Channels are clipped, as the published scripts leave it; what that added to the luminance is taken away by scaling
    towards black, what it took is given back by mixing with white.
    """
    weights = XYZ_FROM_RGB[1].astype(np.float32)
    clipped = np.clip(light, 0, 1)
    wanted, got = (np.clip(x @ weights, 0, 1)[..., None] for x in (light, clipped))
    darker = clipped * (wanted / np.maximum(got, 1e-9))
    lighter = clipped + (1 - clipped) * ((wanted - got) / np.maximum(1 - got, 1e-9))
    return np.asarray(np.where(got > wanted, darker, lighter), np.float32)


def _coded(L: Float, Y: Float, ab: Float, gamut: Gamut, table: NDArray[Any]) -> NDArray[Any]:
    """Lab -> (H, W, 3) of ``table``'s dtype, ``table`` giving a value for each of ``LIGHT_STEPS`` of linear light.

    Args:
        Y: The luminance 0..1 that ``L`` means, which a table of codes gives cheaper than the formula.
    """
    lab = cv2.merge([L, *_planes(ab)])
    light = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2LRGB), np.float32)  # clipped to 0..1
    if gamut == "fit":
        _give_back(light, Y)
    flat = light.reshape(L.shape[0], -1)
    steps = np.asarray(cv2.addWeighted(flat, LIGHT_STEPS, flat, 0, 0, dtype=cv2.CV_16U))
    return _look_up(table, steps).reshape(light.shape)


def _planes(ab: Float) -> tuple[Float, Float]:
    """a and b, each contiguous; no copy where they lie in planes already."""
    return np.ascontiguousarray(ab[..., 0]), np.ascontiguousarray(ab[..., 1])


def _give_back(light: Float, Y: Float) -> None:
    """``fit_to_gamut`` for light (H, W, 3) that is clipped already, in place; ``Y`` is the luminance it should have.

    Most pixels are inside of the gamut and are left alone.
    """
    got = np.asarray(cv2.transform(light, XYZ_FROM_RGB[1:2].astype(np.float32)), np.float32).reshape(Y.shape)
    outside = np.flatnonzero(cv2.absdiff(got, Y) > IN_GAMUT)
    if not outside.size:
        return
    got, wanted = got.reshape(-1)[outside], Y.reshape(-1)[outside]
    darker = got > wanted
    scale = np.where(darker, wanted, 1 - wanted) / np.maximum(np.where(darker, got, 1 - got), np.float32(1e-9))
    white = np.where(darker, np.float32(0), 1 - scale)
    pixels = light.reshape(-1, 3)
    few = np.take(pixels, outside, axis=0)
    # three equal channels: numpy is ten times slower on rows of three that share a factor
    few *= cv2.merge([scale] * 3).reshape(-1, 3)
    few += cv2.merge([white] * 3).reshape(-1, 3)
    pixels[outside] = few


def _exact_rgb(L: Float, ab: Float, gamut: Gamut) -> Float:
    """Lab -> sRGB (H, W, 3) 0..1 by the formulas: the steps of a table would show in 16 bits."""
    light = light_of(L, ab)
    return np.clip(encode(fit_to_gamut(light) if gamut == "fit" else np.clip(light, 0, 1)), 0, 1)


@lru_cache(maxsize=1)
def _srgb_table() -> Float:
    """Linear light in ``LIGHT_STEPS`` -> sRGB 0..1."""
    return encode(np.linspace(0, 1, LIGHT_STEPS + 1, dtype=np.float32))


@lru_cache(maxsize=1)
def _code_table() -> Plane:
    """Linear light in ``LIGHT_STEPS`` -> 8-bit sRGB codes."""
    return quantize(_srgb_table().reshape(1, -1) * np.float32(255), Encoding("rgb", 8)).reshape(-1)


def warm_up() -> None:
    """Makes the tables that this module and OpenCV make when they are first used: 0.1 s while the first picture is read
    and predicted, rather than after it."""
    _code_table()
    cv2.cvtColor(np.zeros((1, 1, 3), np.float32), cv2.COLOR_Lab2LRGB)


# --- merging chroma under an untouched luma ---------------------------------------------------------------------------


class Rows(Protocol):
    """Chroma (H, W, 2), of which rows are taken: an array, or what makes them when it is asked."""

    def __getitem__(self, rows: slice, /) -> Float: ...


def merge(frame: Frame, ab: Rows, keep: Keep = "lightness", gamut: Gamut = "fit") -> Frame:
    """The frame with colour: its luma as it was, its chroma from ``ab``.

    Args:
        frame: An ``rgb`` frame takes ``ab`` of (H, W, 2); a ``yuv`` frame of its chroma planes' size.
        keep: What stays the source's own in an rgb result. ``lightness``: the CIE lightness of each pixel.
            ``luma``: its BT.601 luma, as OpenCV and Pillow convert colour to grey. Both hold within rounding.
            A yuv result keeps its Y plane, value for value, either way.
        gamut: Colour that sRGB cannot show is drawn in with its lightness kept (``fit``), or its channels are clipped
            as the published scripts do, which changes its lightness (``clip``).
    """
    if frame.encoding.family == "yuv":
        return replace(frame, colour=_chroma_planes(frame, ab, gamut))
    encoding, grey_codes = frame.encoding, grey_table(frame.encoding)
    L_table, Y_table = light_tables(encoding)
    codes = np.empty((frame.height, frame.width, 3), frame.luma.dtype)
    rows = max(1, STRIP // frame.width)
    for top in range(0, frame.height, rows):
        strip = slice(top, top + rows)
        luma, chroma = frame.luma[strip], ab[strip]
        L, Y = look_up(L_table, luma), look_up(Y_table, luma)
        if encoding.bits == 8 and keep == "lightness":
            codes[strip] = _coded(L, Y, chroma, gamut, _code_table())
            continue
        rgb = _coded(L, Y, chroma, gamut, _srgb_table()) if encoding.bits == 8 else _exact_rgb(L, chroma, gamut)
        if keep == "luma":
            rgb = _with_luma(rgb, look_up(grey_codes, luma))
        codes[strip] = quantize(rgb * np.float32(encoding.peak), encoding)
    return replace(frame, colour=tuple(np.moveaxis(codes, -1, 0)))


def interleaved(planes: Sequence[Plane]) -> Plane:
    """Planes (H, W) -> (H, W, C); not copied where they are the channels of such an array, as ``merge`` leaves them."""
    whole = planes[0].base
    if whole is not None and whole.shape == (*planes[0].shape, len(planes)):
        channels = zip(planes, np.moveaxis(whole, -1, 0), strict=True)
        if all(plane.__array_interface__ == channel.__array_interface__ for plane, channel in channels):
            return whole
    return np.asarray(cv2.merge(planes))


def _with_luma(rgb: Float, luma: Float) -> Float:
    """The same Cb and Cr over another luma; colour that does not fit is drawn towards grey."""
    weights = np.array(GREY_WEIGHTS["rec601"], np.float32)
    difference = rgb - (rgb @ weights)[..., None]
    luma = luma[..., None]
    room = np.where(difference > 0, 1 - luma, luma)
    fit = np.min(room / np.maximum(np.abs(difference), 1e-6), axis=-1, keepdims=True)
    return np.asarray(luma + difference * np.minimum(1, fit), np.float32)


def _chroma_planes(frame: Frame, ab: Rows, gamut: Gamut) -> tuple[Plane, Plane]:
    """U and V code values in the frame's own matrix and range."""
    encoding = frame.encoding
    height, width = encoding.chroma_shape(frame.height, frame.width)
    codes = frame.luma
    if codes.shape != (height, width):
        codes = np.asarray(cv2.resize(codes, (width, height), interpolation=cv2.INTER_AREA))
    L_table, Y_table = light_tables(encoding)
    # OpenCV turns three channels into three ten times faster than into two: the third row is of no use
    matrix = np.vstack([chroma_matrix(encoding), np.zeros((1, 4), np.float32)])
    u, v = (np.empty((height, width), frame.luma.dtype) for _ in range(2))
    rows = max(1, FILM_STRIP // width)
    for top in range(0, height, rows):
        strip = slice(top, top + rows)
        L, chroma = look_up(L_table, codes[strip]), ab[strip]
        if encoding.bits > 10:
            rgb = _exact_rgb(L, chroma, gamut)
        else:
            rgb = _coded(L, look_up(Y_table, codes[strip]), chroma, gamut, _srgb_table())
        planes = quantize(np.asarray(cv2.transform(rgb, matrix), np.float32), encoding)
        cv2.mixChannels([planes], [u[strip], v[strip]], [0, 0, 1, 1])
    return u, v


def chroma_matrix(encoding: Encoding) -> Float:
    """(2, 4): U and V code values from R, G, B (0..1) and 1, in a yuv encoding's own matrix and range."""
    kr, kb = MATRICES[encoding.matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    middle = 1 << (encoding.bits - 1)
    scale = encoding.peak if encoding.full_range else 224 << (encoding.bits - 8)  # BT.601 2.5.3: 16..240
    blue = (np.array([0, 0, 1]) - luma) * scale / (2 * (1 - kb))
    red = (np.array([1, 0, 0]) - luma) * scale / (2 * (1 - kr))
    return np.array([[*blue, middle], [*red, middle]], np.float32)


def rgb(frame: Frame) -> Float:
    """Any frame as sRGB-coded (H, W, 3) 0..1; without colour, its grey three times."""
    if frame.colour is None:
        return np.asarray(cv2.merge([grey_plane(frame)] * 3))
    if frame.encoding.family == "yuv":
        return yuv_to_rgb(frame)
    return np.asarray(cv2.merge(frame.colour) / np.float32(frame.encoding.peak), np.float32)


def yuv_to_rgb(frame: Frame) -> Float:
    """A yuv frame with colour as sRGB-coded (H, W, 3) 0..1; chroma is brought to full size bilinearly.

    Raises:
        ValueError: the frame has no chroma planes.
    """
    encoding = frame.encoding
    if encoding.family != "yuv" or frame.colour is None:
        raise ValueError(f"{frame!r} has no chroma planes")
    kr, kb = MATRICES[encoding.matrix]
    middle = 1 << (encoding.bits - 1)
    scale = encoding.peak if encoding.full_range else 224 << (encoding.bits - 8)
    size = (frame.width, frame.height)
    u, v = (
        cv2.resize((plane.astype(np.float32) - middle) / scale, size, interpolation=cv2.INTER_LINEAR)
        for plane in frame.colour
    )
    y = grey_plane(frame)
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.asarray(np.clip(np.dstack([red, green, blue]), 0, 1), np.float32)
