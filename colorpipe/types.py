"""The values that flow through colorpipe. Shapes are checked when a value is made.

Outside the network arrays are numpy, height x width (x channels); inside they are torch, N x C x H x W. L is 0..100,
ab are CIE units (white point D65, 2 degrees). Neither numpy nor torch is imported: only ``shape`` and ``dtype`` are
looked at, so that the command line can name these types without paying for them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

Matrix = Literal["bt601", "bt709", "bt2020", "smpte240m"]


_LIMITS = ("max_pixels", "max_seconds", "damaged")
"""Settings that let an input in or not, and change no result of a sound one."""


_LATER = {"hint_reach": 0.6, "temperature": 0.0}
"""Settings that came after the first digests: with these values they are left out, and a digest stays what it was."""


_SWITCHES = ("keep_colour",)
"""Settings that decide something only where they are on: a recipe from before they were there is the same one."""


def _check(condition: bool, owner: str, message: str) -> None:
    if not condition:
        raise ValueError(f"{owner}: {message}")


def _shape(array: Any) -> tuple[int, ...] | None:
    return None if array is None else tuple(array.shape)


@dataclass(frozen=True)
class Encoding:
    """How a frame's code values stand for light.

    A still is ``rgb``: its luma is a grey value in the sRGB transfer curve and its colour is three planes. A video is
    ``yuv``: its luma is the decoded Y plane and its colour two chroma planes, subsampled, in the file's own matrix and
    range.
    """

    family: Literal["rgb", "yuv"]
    bits: int
    """Significant bits of a code value, 8..16."""
    full_range: bool = True
    matrix: Matrix = "bt601"
    subsampling: tuple[int, int] = (0, 0)
    """log2 of the horizontal and vertical chroma subsampling: 4:2:0 is (1, 1), 4:4:4 is (0, 0)."""

    def __post_init__(self) -> None:
        _check(8 <= self.bits <= 16, "Encoding", f"bits is 8..16, not {self.bits}")

    @property
    def peak(self) -> int:
        """The largest code value."""
        return (1 << self.bits) - 1

    def chroma_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a chroma plane; odd sizes round up, as FFmpeg does."""
        horizontal, vertical = self.subsampling
        return -(-height >> vertical), -(-width >> horizontal)


@dataclass(frozen=True)
class Metadata:
    """A picture's metadata. Blobs are kept byte for byte."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further facts that source and sink of one medium agree on (resolution, loop counts)."""


@dataclass(frozen=True)
class Frame:
    """One picture on its way: its luma, and colour once there is some."""

    luma: np.ndarray
    """(H, W) uint8 or uint16 code values; never written to."""
    encoding: Encoding
    colour: tuple[np.ndarray, ...] | None = None
    """rgb: three (H, W) planes. yuv: U and V at chroma resolution. Of the luma's dtype; None where there is none."""
    alpha: np.ndarray | None = None
    """(H, W), of the luma's dtype."""
    index: int = 0
    pts: Fraction | None = None
    """Presentation time in seconds; None for a still."""
    origin: Path = Path()
    """The file it came from."""
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        shape = _shape(self.luma)
        _check(shape is not None and len(shape) == 2 and 0 not in shape, "Frame", f"luma is (H, W), not {shape}")
        _check(str(self.luma.dtype) in ("uint8", "uint16"), "Frame", f"luma is uint8 or uint16, not {self.luma.dtype}")
        _check(self.alpha is None or _shape(self.alpha) == shape, "Frame", "alpha has the luma's shape")
        if self.colour is not None:
            rgb = self.encoding.family == "rgb"
            wanted = (self.height, self.width) if rgb else self.encoding.chroma_shape(self.height, self.width)
            _check(len(self.colour) == (3 if rgb else 2), "Frame", f"{len(self.colour)} colour planes")
            for plane in self.colour:
                _check(_shape(plane) == wanted, "Frame", f"a colour plane is {wanted}, not {_shape(plane)}")

    @property
    def height(self) -> int:
        return int(self.luma.shape[0])

    @property
    def width(self) -> int:
        return int(self.luma.shape[1])

    def __repr__(self) -> str:
        colour = "colour" if self.colour is not None else "grey"
        return f"Frame({self.width}x{self.height} {self.luma.dtype} {colour} #{self.index} of {self.origin.name!r})"


@dataclass(frozen=True)
class Lab:
    """CIE Lab, D65 / 2 degrees."""

    L: np.ndarray
    """(H, W) float32, 0..100."""
    ab: np.ndarray | None = None
    """(H, W, 2) float32, CIE units; None for a grey picture."""

    def __post_init__(self) -> None:
        shape = _shape(self.L)
        _check(shape is not None and len(shape) == 2, "Lab", f"L is (H, W), not {shape}")
        _check(str(self.L.dtype) == "float32", "Lab", f"L is float32, not {self.L.dtype}")
        if self.ab is not None:
            _check(_shape(self.ab) == (*self.L.shape, 2), "Lab", f"ab is (H, W, 2), not {_shape(self.ab)}")
            _check(str(self.ab.dtype) == "float32", "Lab", f"ab is float32, not {self.ab.dtype}")

    def __repr__(self) -> str:
        return f"Lab({self.L.shape[1]}x{self.L.shape[0]}{' grey' if self.ab is None else ''})"


@dataclass(frozen=True)
class Companion:
    """What belongs to one picture of a batch, besides the picture."""

    reference: Lab | None = None
    """The colour picture that counts for it: its own, else the run's."""
    prompt: str = ""
    """Words about it, from ``NAME.prompt.txt`` beside it."""
    seed: int = 0
    """A number made of the picture, 0..2**63-1: the same wherever it is coloured, and for all frames of a film."""
    result: int = 0
    """Which of its results is asked for, 0 .. ``Colorizer.results`` - 1."""


@dataclass(frozen=True)
class Batch:
    """The input of a colorizer."""

    L: torch.Tensor
    """(N, 1, h, w) float, 0..100."""
    hints: torch.Tensor | None = None
    """(N, 3, h, w): a and b in CIE units, and a mask 0..1; None where nobody painted any."""
    reference: Lab | None = None
    """A colour picture to take colour from."""
    companions: tuple[Companion, ...] = ()
    """One for each picture, for a method with ``looks_at`` or several results; else empty."""
    clip: torch.Tensor | None = None
    """(N, 2k, h, w) L of a film's k frames before each, oldest first, and k after, for a method with ``neighbours``."""
    in_shot: torch.Tensor | None = None
    """(N, 2k) bool: whether ``clip`` holds that frame; False beyond a cut, where the nearest of the shot stands."""

    def __post_init__(self) -> None:
        shape = _shape(self.L)
        _check(shape is not None and len(shape) == 4 and shape[1] == 1, "Batch", f"L is (N, 1, h, w), not {shape}")
        if self.hints is not None:
            wanted = (self.L.shape[0], 3, *self.L.shape[2:])
            _check(_shape(self.hints) == wanted, "Batch", f"hints are {wanted}, not {_shape(self.hints)}")

    def __len__(self) -> int:
        return int(self.L.shape[0])


Shrinking = Literal["bicubic", "bilinear", "two-point"]


@dataclass(frozen=True)
class InputSize:
    """The size of a network's input."""

    side: int | None = 256
    """Pictures are squeezed to a square of this side, as the published networks were trained; None keeps their size."""
    multiple: int = 1
    """Height and width are resized to multiples of this, with ``side=None``."""
    limit: int | None = None
    """The longer side is shrunk to at most this, with ``side=None``."""
    by: Shrinking = "bicubic"
    """As the published script does it: ``bicubic`` and ``bilinear`` with antialiasing, which is Pillow's;
    ``two-point`` between the two nearest rows and columns without, which is OpenCV's INTER_LINEAR."""


VIVID = 80.0
"""Chroma, CIE units, of the strongest colours that photographs have much of."""


@dataclass(frozen=True)
class ChromaDistribution:
    """A distribution over chroma bins for each place, as Zhang, Isola and Efros (2016) predict it."""

    logits: torch.Tensor
    """(N, Q, h', w'), before the softmax."""
    bins: torch.Tensor
    """(Q, 2) ab centres, CIE units."""
    natural_T: float = 1.0
    """The temperature at which the stock model is decoded; 1 is the softmax as it stands."""
    natural_vibrance: float = 1.0
    """Factor by which weak colours of a mean are strengthened, as its makers advise; 1 leaves them as they are."""
    natural_grey_T: float | None = None
    """The temperature where the network is sure that a place is grey; None is ``natural_T`` everywhere."""
    vibrance_at: torch.Tensor | None = None
    """(N, 1, h', w'), 0 or more: ``natural_vibrance`` place by place, where the method knows it; below 1 weakens."""

    NEAR_GREY: ClassVar[float] = 11.0
    """Chroma, CIE units, up to which a bin counts as grey: the centre of a 10-unit grid and its four neighbours."""

    def __post_init__(self) -> None:
        shape, bins, wanted = _shape(self.logits), _shape(self.bins), (self.logits.shape[1], 2)
        _check(shape is not None and len(shape) == 4, "ChromaDistribution", f"logits are (N, Q, h, w), not {shape}")
        _check(bins == wanted, "ChromaDistribution", f"bins are {wanted}, not {bins}")
        _check(self.natural_T > 0, "ChromaDistribution", f"natural_T is above 0, not {self.natural_T}")
        grey, vibrance = self.natural_grey_T, self.natural_vibrance
        _check(grey is None or grey > 0, "ChromaDistribution", f"natural_grey_T is above 0, not {grey}")
        _check(vibrance >= 1, "ChromaDistribution", f"natural_vibrance is at least 1, not {vibrance}")
        if shape and self.vibrance_at is not None:
            found, places = _shape(self.vibrance_at), (shape[0], 1, *shape[2:])
            _check(found == places, "ChromaDistribution", f"vibrance_at is {places}, not {found}")

    def first(self, count: int) -> ChromaDistribution:
        """That of the first ``count`` pictures."""
        at = None if self.vibrance_at is None else self.vibrance_at[:count]
        return dataclasses.replace(self, logits=self.logits[:count], vibrance_at=at)

    @staticmethod
    def strengthen(ab: torch.Tensor, vibrance: float | torch.Tensor) -> torch.Tensor:
        """ab (N, 2, h, w) with weak colours made stronger, CIE units: a mean over many hues is paler than any of them.

        Chroma c becomes ``vibrance * c / (1 + (vibrance - 1) * c / VIVID)``: nearly ``vibrance * c`` close to grey, c
        itself at ``VIVID`` and beyond. The hue stays. ``vibrance`` is one number, or one for each place (N, 1, h, w);
        below 1 it makes weak colours weaker.
        """
        if isinstance(vibrance, (int, float)) and vibrance == 1:
            return ab
        chroma = (ab * ab).sum(1, keepdim=True).sqrt()
        return ab * (vibrance / (1 + (vibrance - 1) * (chroma / VIVID).clamp(max=1)))


@dataclass(frozen=True)
class Chroma:
    """Predicted chroma, at whatever resolution the network works."""

    ab: torch.Tensor
    """(N, 2, h', w'), CIE units."""
    confidence: torch.Tensor | None = None
    """(N, 1, h', w') 0..1, or None."""

    def __post_init__(self) -> None:
        shape = _shape(self.ab)
        _check(shape is not None and len(shape) == 4 and shape[1] == 2, "Chroma", f"ab is (N, 2, h, w), not {shape}")
        if self.confidence is not None:
            wanted = (self.ab.shape[0], 1, *self.ab.shape[2:])
            _check(_shape(self.confidence) == wanted, "Chroma", f"confidence is {wanted}")


@dataclass(frozen=True)
class Stage:
    """One plugin of a recipe: its name, the version of its distribution, and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a result, so that it can be told, compared and repeated."""

    colorizer: Stage
    decoder: Stage | None = None
    preprocessors: tuple[Stage, ...] = ()
    weights: str | None = None
    """Registry name or file, as it was asked for."""
    weights_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The core's own options: upsampling, codec, quality, grey formula ..."""
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    """What computes the network on a CPU: ``torch``, ``openvino``, or ``auto``, which is decided on each machine."""
    seed: int = 0
    reference_sha256: str | None = None
    """SHA-256 of the colour reference, where one was given."""
    version: str = ""
    """colorpipe's."""
    guides: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of one input's hint and reference files, by kind and frame, as ``hints 0``."""
    in_effect: Mapping[str, Any] = field(default_factory=dict)
    """What ``auto`` and the weights came to where the recipe was made: ``precision``, ``T``, ``vibrance``; ``versions``
    and ``machine``. This field does not count for ``digest``."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, default=str)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of ``to_json``.

        Raises:
            ValueError: the text is not a recipe.
        """
        try:
            raw = json.loads(text)
            stages = tuple(Stage(**stage) for stage in raw.pop("preprocessors", ()))
            decoder = raw.pop("decoder", None)
            return cls(
                colorizer=Stage(**raw.pop("colorizer")),
                decoder=Stage(**decoder) if decoder else None,
                preprocessors=stages,
                **raw,
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a recipe: {error}") from None

    def digest(self) -> str:
        """SHA-256 over what decides the pixels: two runs with equal digests make equal results.

        The device is left out: a restart on another machine continues the same job.
        """
        settings = {
            name: value
            for name, value in self.settings.items()
            if name not in _LIMITS and not (name in _SWITCHES and not value) and _LATER.get(name) != value
        }
        decisive = dataclasses.asdict(dataclasses.replace(self, device="", weights=None, settings=settings))
        del decisive["in_effect"]
        if self.engine == "auto":  # as before there was a choice
            del decisive["engine"]
        if not self.guides:
            del decisive["guides"]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """One input's fate."""

    input: Path
    status: Literal["done", "skipped", "failed", "passed over"]
    """``passed over``: a picture of another kind in a folder, which was not tried."""
    output: Path | None = None
    width: int | None = None
    height: int | None = None
    frames: int = 0
    shots: int = 0
    """Shots of a film with steady colour; of a film that was resumed, those from there on."""
    key_frames: int = 0
    """Frames of it that the network saw."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Per stage: read, predict, write, total; for a film with steady colour also motion (which read counts as well) and
    carry (which write does); compare for a film's."""
    device: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Remarks for a person: a page left out, a stream that could not be copied."""
    error: str | None = None
    """The reason for the failure, in one line, with the advice."""
    error_type: str | None = None
    """Name of the error's class: ``InputError``, ``OutputError`` ..., or of what was not expected."""
    hint: str | None = None
    """The advice alone, if there is any."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: paths are strings, seconds are rounded to milliseconds."""
        raw = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        raw["input"] = str(self.input)
        raw["output"] = None if self.output is None else str(self.output)
        raw["seconds"] = {stage: round(value, 3) for stage, value in self.seconds.items()}
        raw["scores"], raw["notes"] = dict(self.scores), list(self.notes)
        return raw
