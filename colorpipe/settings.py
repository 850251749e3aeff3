"""The core's own options: how files are read and written, and how chroma is put under the source's luma.

Light to import: the command line makes flags of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colorpipe.errors import OptionError
from colorpipe.options import Options, option

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
        "libx264", "video encoder; ffv1 keeps every value of the luma, losslessly"
    )
    crf: int = option(16, "quality of libx264 and libx265: lower is better and larger", min=0, max=51)
    preset: str = option("medium", "speed of libx264 and libx265, ultrafast .. veryslow")
    quality: int = option(95, "quality of JPEG, WebP and AVIF", min=1, max=100)
    provenance: bool = option(True, "mark results as colorized, in their metadata")


@dataclass(frozen=True)
class MergeOptions(Options):
    """How chroma is put under the source's luma."""

    upsample: Literal["guided", "bilinear", "nearest"] | None = option(
        None,
        "how chroma reaches full size; guided follows the picture's edges, bilinear and nearest are the published "
        "scripts' ways "
        "[default: guided for stills, bilinear for films]",
    )
    keep: Literal["lightness", "luma"] = option(
        "lightness", "what a still keeps exactly: its CIE lightness, or its BT.601 luma; films keep their luma"
    )
    gamut: Literal["fit", "clip"] | None = option(
        None,
        "colour that sRGB cannot show: fit it, keeping the lightness, or clip it as the published scripts do "
        "[default: fit, but clip for stills with --upsample bilinear or nearest]",
    )
    saturation: float = option(1.0, "chroma is multiplied by this", min=0.0, max=4.0)
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
        "steady colour in films: the network sees key frames, at most this many frames apart, and their colour is "
        "propagated along the optical flow in between; auto chooses, none colours every frame on its own",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temporal not in ("auto", "none") and not (self.temporal.isdecimal() and 1 <= int(self.temporal) <= 250):
            raise OptionError(f"temporal takes auto, none or a whole number in 1..250, not {self.temporal!r}")

    @property
    def key_distance(self) -> int | None:
        """Most frames of a film between those that the network sees; None where it sees all."""
        if self.temporal == "none":
            return None
        return KEY_DISTANCE if self.temporal == "auto" else int(self.temporal)
