"""What is timed against what: the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PUBLISHED = {"upsample": "bilinear", "gamut": "clip"}
"""What the published script does after the network, which makes the results comparable pixel by pixel."""

NEAREST = {"upsample": "nearest", "gamut": "clip"}
"""Likewise of DDColor."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    work: str
    target: float
    """Times the reference's pictures a second."""
    network: str = "eccv16"
    """The reference's network."""
    colorizer: str = "zhang"
    weights: str = "eccv16"
    """Made from random numbers under the published keys, unless they are ``BUNDLED``."""
    size: str = "1080p"
    suffix: str = ".png"
    reference_suffix: str | None = None
    """Where the reference writes another format."""
    settings: dict[str, Any] = field(default_factory=lambda: dict(PUBLISHED))
    precision: str = "auto"
    engine: str = "torch"
    memory: float = 0.6
    """At most so many times the reference's peak memory."""
    dE: float | None = None
    """The largest mean colour difference; None where results differ by intent or by a lossy format."""
    pictures: tuple[int, int] = (2, 16)
    """A round's pictures: the reference's, ours."""


BUNDLED = ("zhang-base", "zhang-compact")
ROWS = (
    Row("eccv16-png", "eccv16, 1080p JPEG -> PNG", 5.0, dE=0.3),
    Row("eccv16-jpeg", "the same -> JPEG, quality 95", 3.3, suffix=".jpg"),
    Row("eccv16-default", "the same -> PNG, guided upsampling and gamut fitting (the defaults)", 5.0, settings={}),
    Row("siggraph17-png", "siggraph17, 1080p JPEG -> PNG", 5.5, "siggraph17", "siggraph17", "siggraph17", dE=0.3),
    Row("eccv16-12mp", "eccv16, 12 megapixels -> PNG", 12.0, size="12mp", dE=0.3, pictures=(1, 6)),
    Row(
        "eccv16-12mp-fp32", "the same, fp32", 2.8, size="12mp", precision="fp32", dE=0.01, pictures=(1, 6)
    ),
    Row("eccv16-fp32", "eccv16, 1080p JPEG -> PNG, fp32", 2.8, precision="fp32", dE=0.01),
    Row(
        "ddcolor-png", "DDColor-T at 512, 1080p JPEG -> PNG, against its own script", 2.5, "ddcolor-tiny", "ddcolor",
        "ddcolor-tiny", settings=NEAREST, pictures=(1, 4),
    ),
    Row(
        "ddcolor-png-fp32", "the same, fp32", 2.5, "ddcolor-tiny", "ddcolor", "ddcolor-tiny", settings=NEAREST,
        precision="fp32", dE=0.5, pictures=(1, 4),
    ),
    Row(
        "deoldify-png", "DeOldify artistic at 560, 1080p JPEG -> PNG, against its own script", 2.0, "deoldify-artistic",
        "deoldify", "deoldify-artistic", pictures=(1, 2),
    ),
    Row(
        "deoldify-png-fp32", "the same, fp32", 2.0, "deoldify-artistic", "deoldify", "deoldify-artistic",
        precision="fp32", dE=0.5, pictures=(1, 2),
    ),
    Row(
        "compact-jpeg", "bundled compact model, 1080p -> JPEG, against eccv16's reference -> PNG", 25.0,
        weights="zhang-compact", suffix=".jpg", reference_suffix=".png", settings={}, pictures=(2, 32),
    ),
    Row(
        "base-jpeg", "bundled base model, the default, the same", 10.0,
        weights="zhang-base", suffix=".jpg", reference_suffix=".png", settings={}, pictures=(2, 32),
    ),
    Row(
        "compact-jpeg-jpeg", "bundled compact model, 1080p -> JPEG, against eccv16's reference -> JPEG", 25.0,
        weights="zhang-compact", suffix=".jpg", settings={}, pictures=(2, 32),
    ),
    Row("eccv16-openvino", "eccv16, 1080p JPEG -> PNG, by OpenVINO", 5.0, engine="openvino", dE=0.3),
    Row(
        "eccv16-openvino-fp32", "the same, fp32", 2.8, engine="openvino", precision="fp32", dE=0.01
    ),
    Row("eccv16-int8", "the same, int8 (random weights: the colours say nothing)", 6.0, engine="openvino",
        precision="int8"),
    Row(
        "compact-openvino", "bundled compact model by OpenVINO, 1080p -> JPEG, against eccv16's reference -> PNG", 40.0,
        weights="zhang-compact", suffix=".jpg", reference_suffix=".png", settings={}, pictures=(2, 32),
        engine="openvino", memory=0.5,
    ),
    Row(
        "compact-openvino-jpeg", "the same, against eccv16's reference -> JPEG", 25.0,
        weights="zhang-compact", suffix=".jpg", settings={}, pictures=(2, 32), engine="openvino", memory=0.5,
    ),
    Row(
        "compact-int8", "the same, int8, against eccv16's reference -> PNG", 40.0,
        weights="zhang-compact", suffix=".jpg", reference_suffix=".png", settings={}, pictures=(2, 32),
        engine="openvino", precision="int8", memory=0.5,
    ),
    Row(
        "compact-int8-jpeg", "the same, against eccv16's reference -> JPEG", 25.0,
        weights="zhang-compact", suffix=".jpg", settings={}, pictures=(2, 32), engine="openvino", precision="int8",
        memory=0.5,
    ),
    Row(
        "base-openvino", "bundled base model by OpenVINO, 1080p -> JPEG, against eccv16's reference -> PNG", 10.0,
        weights="zhang-base", suffix=".jpg", reference_suffix=".png", settings={}, pictures=(2, 32), engine="openvino",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class FilmRow:
    """One line of the table of films: 1080p, x264 veryfast; the reference is eccv16's, frame by frame."""

    name: str
    work: str
    weights: str
    """As ``Row.weights``."""
    target: float | None = None
    """Times the frames a second of ``--temporal none``."""
    rate: float | None = None
    """Frames a second."""
    colorizer: str = "zhang"
    precision: str = "auto"
    engine: str = "torch"
    frames: tuple[int, int, int] = (3, 16, 240)
    """A round's: the reference's, ours with ``--temporal none`` and with ``auto``."""
    quick: tuple[int, int, int] = (1, 6, 30)
    settings: dict[str, Any] = field(default_factory=lambda: {"preset": "veryfast"})


FILMS = (
    FilmRow("film-eccv16", "eccv16", "eccv16", target=5.0),
    FilmRow("film-compact", "bundled compact model", "zhang-compact", rate=25.0),
    FilmRow(
        "film-compact-openvino", "bundled compact model by OpenVINO", "zhang-compact", rate=27.5, engine="openvino"
    ),
    FilmRow("film-base", "bundled base model, the default", "zhang-base", rate=25.0),
)
STAGES = ("decode", "flow", "network", "carry", "merge", "encode")
"""Of a film with steady colour."""
MEMORY = ("memory-pictures", "memory-film")
STARTS = ("help", "plugins", "one-picture", "one-picture-openvino")
PAGE = ("page-stroke", "page-settings")
"""From a change on the page of ``colorpipe paint`` to its picture: a new stroke, another temperature."""
SPREAD = ("levin-hints",)
"""``levin`` on a 1080p frame of which 5% is painted, against SciPy's sparse direct solution of the whole problem. The
latter takes a minute or more and some gigabytes."""
EVERY = (*(row.name for row in (*ROWS, *FILMS)), *MEMORY, *STARTS, *PAGE, *SPREAD)
