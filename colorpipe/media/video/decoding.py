"""Choice of a decoder for a film's stream, and of its number of threads."""

from __future__ import annotations

import os
from typing import Any

import av
from av.video.stream import VideoStream

MAX_DECODER_THREADS = 8
"""Each thread of a frame-threaded decoder holds a frame; more cost memory and are not faster than the network."""
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these know nothing of WebM's transparency."""


def decoder_of(stream: VideoStream) -> Any:
    """The decoder for a stream: FFmpeg's first choice, or one that decodes the stream's stated transparency."""
    name = ALPHA_DECODERS.get(stream.codec_context.name)
    decoder: Any = stream.codec_context
    if name is not None and stream.metadata.get("alpha_mode") == "1" and name in av.codecs_available:
        decoder = av.CodecContext.create(name, "r")
        decoder.width, decoder.height = stream.codec_context.width, stream.codec_context.height
        if stream.codec_context.extradata:
            decoder.extradata = stream.codec_context.extradata
    decoder.thread_type = "AUTO"
    decoder.thread_count = min(os.cpu_count() or 1, MAX_DECODER_THREADS)
    return decoder
