"""What a lossy video codec does to the Y plane at the quality that it was asked for, frame by frame.

x264 and x265 write their settings into the film. Their constant rate factor is a quantiser, whose step doubles every
six (ITU-T H.264, 8.5.9): noise and drift grow with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from colorpipe.verification.drift import Drift, Most
from colorpipe.verification.reading import Film, Picture, opened, read

CODECS: Mapping[str, str] = {
    "h264": "H.264", "hevc": "H.265", "mpeg4": "MPEG-4", "mpeg2video": "MPEG-2", "mpeg1video": "MPEG-1", "vp8": "VP8",
    "vp9": "VP9", "libvpx": "VP8", "libvpx-vp9": "VP9", "av1": "AV1", "libdav1d": "AV1", "mjpeg": "Motion JPEG",
    "prores": "ProRes", "dnxhd": "DNxHD", "dvvideo": "DV", "theora": "Theora",
}  # fmt: skip
"""Decoders of codecs that are lossy, and the names that people know them by."""
_UNKNOWN = 23.0
"""The quality that is assumed where a file states none: x264's own default."""


def stated_quality(film: Film) -> float | None:
    """The constant rate factor (or quantiser) that x264 or x265 wrote into a film; None where none is found.

    Of several the last one counts: messages of a source's encoder are carried along, before the result's own.
    """
    told = bytes(film.stream.codec_context.extradata or b"")
    with opened(film.path) as container:
        packet = next(read(container, container.streams[film.index]), None)
        told = (b"" if packet is None else bytes(packet)) + told
    if re.search(rb"(?<= )lossless(?= )", told):
        return -100.0
    found = re.findall(rb"\bcrf=([\d.]+)|\brc=cqp\b[^\0]*?\bqp=(\d+)", told)
    if not found:
        return None
    crf, quantiser = found[-1]
    if not crf and int(quantiser) == 0 and film.stream.codec_context.name == "h264":
        return -100.0  # x264 codes without loss then
    return float(crf or quantiser)


def most_at(quality: float) -> Most:
    """The most that the codec does to a frame, in codes of 255.

    Seen over old film, panned grain and pure noise at 0 to 40, libx264 and libx265: noise up to 1.2 steps and 0.8,
    a shift of 0.1 step, 0.9 steps over 8 pixels, 0.45 over 16 and 0.22 over 32; less as the step grows.
    """
    step = 2 ** ((quality - 4) / 6)
    if quality < 0:
        return Most(0, 0, 0, 0)
    return Most(noise=1.4 * step + 0.8, shift=0.12 * step + 0.15, near=1.6 * step + 0.8, wide=0.3 * step + 0.5)


class FilmLoss:
    """Whether a codec explains the differences between two films, frame by frame."""

    def __init__(self, result: Film) -> None:
        self.name = CODECS[result.stream.codec_context.name]
        self.quality = stated_quality(result)
        factor = ((1 << result.bits) - 1) / 255
        self._frame = most_at(_UNKNOWN if self.quality is None else self.quality) * factor
        self._sum, self._values = 0.0, 0
        self._beyond: str | None = None
        self._factor = factor

    @classmethod
    def of(cls, result: Film) -> FilmLoss | None:
        """None for a film whose codec keeps every value."""
        return cls(result) if result.stream.codec_context.name in CODECS else None

    def add(self, wanted: Picture, got: Picture) -> None:
        """One more pair of frames of equal size and depth."""
        drift = Drift()
        drift.add(np.subtract(got.luma, wanted.luma, dtype=np.float32))
        self._sum += drift.shift * drift.values
        self._values += drift.values
        if self._beyond is None and (beyond := drift.beyond(self._frame)) is not None:
            self._beyond = f"in frame {wanted.index} {beyond}"

    def beyond(self) -> str | None:
        """What no encoding of that quality explains; None where all is explained."""
        shift, most = self._sum / max(1, self._values), self._frame.shift / 2
        if self._beyond is None and abs(shift) > most:
            shade = "brighter" if shift > 0 else "darker"
            return f"the film is {abs(shift):.2g} codes {shade} on average, where up to {most:.2g} comes of it"
        return self._beyond

    @property
    def at(self) -> str:
        """``at crf 16``, for a sentence."""
        return "(which states no quality)" if self.quality is None else f"at crf {self.quality:g}"

    def as_dict(self) -> dict[str, Any]:
        return {"format": self.name, "crf": self.quality, "most": vars(self._frame)}
