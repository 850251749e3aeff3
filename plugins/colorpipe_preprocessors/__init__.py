"""Preprocessors: what the network sees (``greyscale``, ``resize``, ``pad-square``, ``superpixels``), and repairs that
show in the result (``denoise``, ``autocontrast``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import colorpipe
from colorpipe import InputError, Preprocessor, hookimpl, option

if TYPE_CHECKING:
    from colorpipe import Frame, Lab

colorpipe_contract = 1

_LUMA_OF = {"bt601": "rec601", "bt709": "rec709"}
"""The formula whose grey a film's Y plane is, by its matrix."""


class Greyscale(Preprocessor):
    """Chooses how a colour picture becomes grey. Grey pictures stay as they are.

    A film's grey is its Y plane, which stays untouched: a formula other than the one that its Y plane was made by is an
    error, not a silent change.
    """

    name = "greyscale"
    summary = "chooses the formula by which a colour source becomes grey"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        formula: Literal["rec601", "rec709", "luminosity", "average"] | None = option(
            None, "weights of R, G and B [default: rec601 for photos, the film's own for films]"
        )

    options: Options

    def convert(self, frame: Frame) -> Frame:
        formula = self.options.formula
        if frame.colour is None:
            return frame
        if frame.encoding.family == "yuv":
            own = _LUMA_OF.get(frame.encoding.matrix, frame.encoding.matrix)
            if formula not in (None, own):
                raise InputError(
                    f"{frame.origin}: a film's grey is its Y plane, here {own}; it cannot be {formula}",
                    hint="leave --formula out for films",
                )
            return frame
        from colorpipe import color

        red, green, blue = frame.colour
        return replace(frame, luma=color.grey((red, green, blue), formula or "rec601"))

    def apply(self, lab: Lab) -> Lab:
        return lab


class Resize(Preprocessor):
    """Shrinks what the network sees, keeping its aspect. A picture that is small enough stays as it is."""

    name = "resize"
    summary = "bounds the size, and so the detail, that the network sees"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        max_side: int = option(1024, "the longer side is shrunk to at most this many pixels", min=1)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        from colorpipe_preprocessors import ops

        return ops.shrink(lab, self.options.max_side)


class PadSquare(Preprocessor):
    """Borders the picture to a square, so that a network with a square input sees it undistorted."""

    name = "pad-square"
    summary = "borders the picture to a square, so that the network sees its true aspect"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        fill: float = option(100.0, "lightness of the border: 0 is black, 100 white", min=0.0, max=100.0)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        from colorpipe_preprocessors import ops

        return ops.pad_square(lab, self.options.fill)

    def locate(self, height: int, width: int) -> tuple[float, float, float, float]:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        return top / side, left / side, (top + height) / side, (left + width) / side


class Superpixels(Preprocessor):
    """Replaces L by its mean over superpixels, regions of like lightness: texture goes, outlines stay.

    Works on a copy of at most ``side`` pixels, for a network sees no more and the time grows with the area.
    """

    name = "superpixels"
    summary = "averages what the network sees over regions of like lightness"
    paper = "Achanta et al. 2012, SLIC Superpixels Compared to State-of-the-Art Superpixel Methods"
    licence = "Apache-2.0"

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        segments: int = option(400, "number of superpixels, about", min=1, max=100_000)
        compactness: float = option(
            10.0, "units of L that count as much as a superpixel's side: more makes them squarer", min=0.1, max=1000
        )
        sigma: float = option(1.0, "Gaussian blur before, pixels: less ragged outlines", min=0.0, max=20.0)
        side: int = option(512, "the longer side is shrunk to at most this many pixels first", min=16, max=4096)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        from colorpipe_preprocessors import ops

        options = self.options
        small = ops.shrink(lab, options.side)
        return ops.superpixels(small, options.segments, options.compactness, options.sigma)


class Denoise(Preprocessor):
    """Removes grain and sensor noise by non-local means; the result shows it too."""

    name = "denoise"
    summary = "removes grain; changes the result's brightness, too"
    paper = "Buades, Coll and Morel 2011, Non-Local Means Denoising, doi 10.5201/ipol.2011.bcm_nlm"
    licence = "Apache-2.0"
    restores = True

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        strength: float = option(
            2.0, "standard deviation of the noise, in units of L; larger removes detail too", min=0.0, max=30.0
        )

    options: Options

    def apply(self, lab: Lab) -> Lab:
        from colorpipe_preprocessors import ops

        return ops.denoise(lab, self.options.strength)


class Autocontrast(Preprocessor):
    """Stretches lightness to the full range, cutting a share of the pixels at either end; the result shows it too.

    Each frame of a film is stretched on its own.
    """

    name = "autocontrast"
    summary = "stretches a faded picture from black to white; changes the result's brightness, too"
    licence = "Apache-2.0"
    restores = True

    @dataclass(frozen=True)
    class Options(colorpipe.Options):
        cut_dark: float = option(0.5, "percent of the pixels that become black", min=0.0, max=49.0)
        cut_light: float = option(0.5, "percent of the pixels that become white", min=0.0, max=49.0)

    options: Options

    def apply(self, lab: Lab) -> Lab:
        from colorpipe_preprocessors import ops

        return ops.stretch(lab, self.options.cut_dark, self.options.cut_light)


@hookimpl
def colorpipe_preprocessors() -> list[type[Preprocessor]]:
    return [Greyscale, Resize, PadSquare, Superpixels, Denoise, Autocontrast]
