"""The core's own options: how files are read and written, and how chroma is put under the source's luma.

Light to import: the command line makes flags of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe.errors import OptionError
from colorpipe.options import Options, option

DAYLIGHT = (0.134, 0.991)
"""Way of length 1 in ab from white under D65 to white under D50: (2.4, 17.6) CIE units."""
KEY_DISTANCE = 24
"""``--temporal auto``: one second of film. Memory holds that many frames."""

INT8_LIMIT = 1.0
"""Mean dE2000 to exact colours above which ``--precision int8`` is refused: about what can be seen side by side."""


@dataclass(frozen=True)
class Limits(Options):
    """Limits on inputs. They guard against damage, and against files that would fill the memory or never end. They
    change no result of a sound file."""

    max_pixels: int = option(250_000_000, "refuse pictures, and frames of films, of more pixels than this", min=1)
    max_seconds: int = option(
        86_400,  # a day: longer than any film on a shelf, far below what damaged and hostile timestamps claim
        "refuse films that last longer than this",
        min=1,
    )
    damaged: bool = option(
        False, "go on with what can be decoded of a damaged picture; the missing part is left grey, and said"
    )


@dataclass(frozen=True)
class MediaOptions(Limits):
    """How files are read and written."""

    codec: Literal["libx264", "libx265", "ffv1"] = option(
        "libx264",
        "how a film is stored: libx264 (H.264, plays everywhere), libx265 (H.265, smaller), or ffv1, which keeps every "
        "value of the brightness, in large files",
    )
    crf: int = option(16, "quality of libx264 and libx265: lower is better and larger", min=0, max=51)
    preset: str = option("medium", "speed of libx264 and libx265, ultrafast .. veryslow; slower makes smaller files")
    quality: int = option(95, "quality of JPEG, WebP and AVIF", min=1, max=100)
    provenance: bool = option(True, "mark results as colorized, in the data that a picture carries along (metadata)")


@dataclass(frozen=True)
class MergeOptions(Options):
    """How chroma is put under the source's luma."""

    upsample: Literal["guided", "bilinear", "nearest"] | None = option(
        None,
        "how the colours, which are found on a small copy, are enlarged to the picture; guided follows the picture's "
        "edges, bilinear (softly) and nearest (in squares) are what the published programs do "
        "[default: guided for stills, bilinear for films]",
    )
    keep: Literal["lightness", "luma"] = option(
        "lightness",
        "what a still keeps exactly: its lightness as the eye sees it (CIE), or its luma, the grey that most programs "
        "make of colour (BT.601); films keep their luma",
    )
    gamut: Literal["fit", "clip"] | None = option(
        None,
        "colours too strong for a screen (outside sRGB): fit makes them weaker and keeps the brightness, clip cuts "
        "them as the published programs do "
        "[default: fit, but clip for stills with --upsample bilinear or nearest]",
    )
    saturation: float = option(
        1.0, "how strong the colours are: 1 as found, 0 none, 2 twice as strong", min=0.0, max=4.0
    )
    temperature: float = option(
        0.0,
        "warmer above 0, colder below, as daylight is; 1 is about the least that the eye sees (CIE units)",
        min=-30.0,
        max=30.0,
    )
    hint_reach: float = option(
        0.6,
        "how far a painted hint goes where nothing stops it, as a share of the picture's longer side",
        min=0.01,
        max=10.0,
    )
    keep_colour: bool = option(
        False, "leave places that have a colour already as they are: titles in red, tinted reels, hand-coloured prints"
    )
    temporal: str = option(
        "auto",
        "steady colour in films: the method colours key frames, at most this many frames apart, and their colours are "
        "carried along with the motion to the frames between; auto chooses, none colours every frame on its own",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temporal not in ("auto", "none") and not (self.temporal.isdecimal() and 1 <= int(self.temporal) <= 250):
            raise OptionError(f"temporal takes auto, none or a whole number in 1..250, not {self.temporal!r}")

    @property
    def shift(self) -> tuple[float, float] | None:
        """a and b that are added to each colour, CIE units; None for none."""
        if not (self.temperature and self.saturation):  # without saturation there is no colour to move
            return None
        return self.temperature * DAYLIGHT[0], self.temperature * DAYLIGHT[1]

    @property
    def key_distance(self) -> int | None:
        """Most frames of a film between those that the network sees; None where it sees all."""
        if self.temporal == "none":
            return None
        return KEY_DISTANCE if self.temporal == "auto" else int(self.temporal)
