"""Fields: which of a frame's two comes first, as the decoded frame tells."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
import av.filter
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

Order = Literal["top", "bottom"]
FIELDS = "fields"
"""Key of ``Frame.metadata.extra``: the ``Order`` of an interlaced frame; a progressive one has none."""
MARKS: dict[Order, str] = {"top": "tff", "bottom": "bff"}
"""As FFmpeg's filter ``setfield`` and libx264 call them."""
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
