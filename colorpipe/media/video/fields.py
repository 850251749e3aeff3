"""Fields: which of a frame's two comes first, as the decoded frame tells."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.filter
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from colorpipe.media.video.container import open_container

Order = Literal["top", "bottom"]
FIELDS = "fields"
"""Key of ``Frame.metadata.extra``: the ``Order`` of an interlaced frame; a progressive one has none."""
MARKS: dict[Order, str] = {"top": "tff", "bottom": "bff"}
"""Names that FFmpeg's filter ``setfield`` and libx264 use."""
PROGRESSIVE_ONLY = {
    "vp8",
    "vp9",
    "av1",
    "hevc",
    "mjpeg",
    "png",
    "theora",
    "gif",
    "flv1",
    "h261",
    "wmv1",
    "wmv2",
    "svq3",
}
"""Codecs that know no fields, or whose frames are fields of their own (H.265)."""
SAMPLES = 8
"""Places of a film that are searched for fields before it is begun."""
_TOP = 1
"""FFmpeg's filter ``select``: the ``interlace_type`` of a frame whose top field is first."""


class FieldReader:
    """Tells the order of decoded frames. PyAV has no attribute for it; one of FFmpeg's filters sees it."""

    def __init__(self, image: VideoFrame) -> None:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=image.width,
            height=image.height,
            format=VideoFormat(image.format.name),
            time_base=image.time_base or Fraction(1, 25),
        )
        chosen, sink = graph.add("select", rf"eq(interlace_type\,{_TOP})"), graph.add("buffersink")
        source.link_to(chosen)
        chosen.link_to(sink)
        graph.configure()
        self._graph = graph

    def order(self, image: VideoFrame) -> Order | None:
        """None: it is progressive."""
        if not image.interlaced_frame:
            return None
        self._graph.push(image)
        try:
            self._graph.vpull()
        except BlockingIOError:
            return "bottom"
        return "top"


def fields_ahead(path: Path, index: int) -> bool:
    """Whether a key frame is interlaced, of some that are spread evenly over a film.

    Args:
        index: Of the video stream.
    """
    with open_container(path) as film:
        stream = film.streams.video[[video.index for video in film.streams.video].index(index)]
        context = stream.codec_context
        if context.name in PROGRESSIVE_ONLY or not film.duration:
            return False
        context.skip_frame = "NONKEY"
        for sample in range(SAMPLES):
            try:
                film.seek(film.duration * (2 * sample + 1) // (2 * SAMPLES) + (film.start_time or 0))
                image = next(film.decode(stream), None)
            except (av.FFmpegError, IndexError):
                return False
            if image is not None and image.interlaced_frame:
                return True
    return False
