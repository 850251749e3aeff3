"""Side data: what lies beside a film's pixels, in its stream's header and with single frames.

``Inventory`` sees each frame once and says at the end what was met and is not carried into the result. What is carried
travels with the frame, in ``Frame.metadata.extra``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from av.video.frame import VideoFrame

CAPTIONS, MESSAGES = "captions", "messages"
"""Keys of ``Frame.metadata.extra``: CEA-608 and 708 closed captions (triplets of bytes, as in ATSC A/53), and messages
of unregistered users (H.264 D.1.7: 16 bytes UUID, then the text)."""
_CARRIED = {
    "DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "A53_CC", "SEI_UNREGISTERED",
    "GOP_TIMECODE",
}  # fmt: skip
"""The last one as a tag, from the first frame: time codes count on from there."""
_OF_THE_CODING = {"MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST", "VIDEO_HINT", "FILM_GRAIN_PARAMS"}
"""About how the source was coded; film grain is in the frames by the time they are decoded."""
_NAMES = {
    "PANSCAN": "pan and scan positions",
    "STEREO3D": "how two views are packed (3D)",
    "AFD": "active format descriptions",
    "S12M_TIMECODE": "time codes of single frames (SMPTE ST 12-1)",
    "SPHERICAL": "spherical projection (360 degrees)",
    "ICC_PROFILE": "ICC profile",
    "DYNAMIC_HDR_PLUS": "HDR10+ data",
    "DOVI_RPU_BUFFER": "Dolby Vision data",
    "DOVI_METADATA": "Dolby Vision data",
    "DYNAMIC_HDR_VIVID": "HDR Vivid data",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "DETECTION_BBOXES": "boxes around what was detected",
    # libavutil 60, frame.h
    "KIND_28": "an enhancement layer (LCEVC)",
    "KIND_29": "which view a frame is of (MV-HEVC: the other view is left out)",
    "KIND_30": "reference displays for 3D",
    "KIND_31": "EXIF of single frames",
    "KIND_32": "HDR data (SMPTE ST 2094-50)",
}
_STREAM_CARRIED = ("cpb properties", "display matrix", "mastering display metadata", "content light level metadata")
"""Names that ``av_dump_format`` uses; the first is about the coding."""
_STREAM_NAMES = {
    "dovi configuration record": "Dolby Vision configuration",
    "frame cropping": "what players are to crop",
    "stereo 3d": _NAMES["STEREO3D"],
    "stereo3d": _NAMES["STEREO3D"],
    "spherical mapping": _NAMES["SPHERICAL"],
    "spherical": _NAMES["SPHERICAL"],
    "icc profile": _NAMES["ICC_PROFILE"],
    "ambient viewing environment": _NAMES["AMBIENT_VIEWING_ENVIRONMENT"],
}
_ENCODERS = (
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),  # libx264 tells its settings
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),  # libx265
)


class Inventory:
    """The side data in the frames of one film."""

    def __init__(self, lines: list[str]) -> None:
        """``lines``: the stream's of ``container.stream_lines``."""
        self._lines = lines
        self._counts: dict[str, int] = {}
        self.captions = False
        """A frame had closed captions."""

    def take(self, image: VideoFrame) -> dict[str, Any]:
        """The data that a frame carries into the result, for ``Frame.metadata.extra``."""
        items: Any = image.side_data  # a sequence of items, which PyAV's stubs take for a mapping
        if not len(items):
            return {}
        carried: dict[str, Any] = {}
        for item in items:
            name = item.type.name
            if name == "A53_CC":
                carried[CAPTIONS] = bytes(item)
                self.captions = True
            elif name == "SEI_UNREGISTERED":
                data = bytes(item)
                if data[:16] not in _ENCODERS:
                    carried.setdefault(MESSAGES, []).append(data)
            elif not (name in _CARRIED or name in _OF_THE_CODING or _says_nothing(name, item)):
                self._counts[name] = self._counts.get(name, 0) + 1
        return carried

    def notes(self) -> Iterator[str]:
        """One sentence for each kind of data that is not carried."""
        told = set()
        for name in dict.fromkeys([*side_data_of(self._lines), *(_named(kind) for kind in self._counts)]):
            kinds = [count for kind, count in self._counts.items() if _named(kind) == name]
            where = f" ({max(kinds)} frames have it)" if kinds else ""
            if name not in told:
                told.add(name)
                yield f"left out: {name}{where}"


def side_data_of(lines: list[str]) -> list[str]:
    """Data in a stream's header that a result does not get, found in its lines of ``container.stream_lines``."""
    if "Side data:" not in lines:
        return []
    found = []
    for line in lines[lines.index("Side data:") + 1 :]:
        name = line.split(":")[0].strip().lower()
        if not name or name.startswith(("metadata", "stream")):
            break
        if name in _STREAM_CARRIED or name.startswith("rotation of"):
            continue
        told = _STREAM_NAMES.get(name, f"side data of its stream ({name})")
        found.append(f"{told} ({line.split(':', 1)[1].strip()})" if name == "frame cropping" else told)
    return list(dict.fromkeys(found))


def _named(kind: str) -> str:
    return _NAMES.get(kind, f"side data of a kind that is not known ({kind.lower()})")


def _says_nothing(name: str, item: Any) -> bool:
    """Whether an item is the empty one that MPEG-2's decoder adds to every frame."""
    if name == "PANSCAN":  # AVPanScan: id, width, height, then three pairs of 16-bit positions
        return not any(bytes(item)[12:24])
    return False
