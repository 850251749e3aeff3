"""How a film's video is encoded: pixel format, settings and tags, settled before any work is done.

An ``EncoderPlan`` makes as many equal encoders as are asked for: one for each segment of a film, and one that writes
the header.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import av
import av.container
import av.filter
import cv2
from av.codec.context import Flags
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from colorpipe.errors import OutputError, UsageError
from colorpipe.media.video import sei
from colorpipe.media.video.fields import MARKS, Order
from colorpipe.media.video.ways import ISO
from colorpipe.settings import MediaOptions
from colorpipe.types import Encoding

if TYPE_CHECKING:
    from colorpipe.media.video.source import VideoSource

Codec = Literal["libx264", "libx265", "ffv1"]

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
"""Options of libx264 and libx265."""
_SETTINGS = (
    "width", "height", "pix_fmt", "time_base", "framerate", "sample_aspect_ratio", "thread_type", "flags", "gop_size",
    "bit_rate", "bit_rate_tolerance", "codec_tag", "color_range", "color_primaries", "color_trc", "colorspace",
    "field_order",
)  # fmt: skip
"""The settings of an encoder: all that PyAV's ``add_stream``, ``add_to`` and ``VideoTags.apply`` set."""
_AVX_512F = 13
"""OpenCV's number of that feature (``CV_CPU_AVX_512F``)."""
_SAME_BITS = "asm=avx2"
"""With AVX-512, libx264 reads memory that it has not written to, and encodes one film in several ways: at 8 bits, with
macroblock trees, as glibc's ``MALLOC_PERTURB_`` shows. Its AVX2 code does not, and gives what the other often gives."""
_CHROMA_NAMES = {(2, 2): "410", (2, 0): "411", (1, 1): "420", (1, 0): "422", (0, 1): "440", (0, 0): "444"}


class EncoderPlan:
    """The encoder for one source in one container.

    Args:
        muxer: FFmpeg's name of the container.

    Raises:
        UsageError: the preset does not exist.
        OutputError: the encoder cannot hold the source's bit depth.
    """

    def __init__(self, source: VideoSource, options: MediaOptions, muxer: str) -> None:
        self.notes: list[str] = []
        """The properties that the encoder cannot keep, one sentence each."""
        self.codec: Codec = options.codec
        if self.codec != "ffv1" and options.preset not in PRESETS:
            raise UsageError(f"--preset {options.preset}: no such preset", hint=f"one of {', '.join(PRESETS)}")
        self._tags, self._muxer = source.tags, muxer
        self._size = source.info.width, source.info.height
        self.pixel_format, self.encoding = self._choose(source)
        self.has_alpha = self.pixel_format.startswith("yuva")
        self._fields = self._field_order(source)
        """The field that comes first. libx264 codes a whole film either with fields or without."""
        places = source.layout.subsampling == self.encoding.subsampling == (1, 1)
        self._chroma_location = source.tags.chroma_location if places else None
        self._settings = self._encoder_options(options)
        self._graphs: dict[Order | None, av.filter.Graph | None] = {}

    def add_to(self, output: av.container.OutputContainer) -> Any:
        """A video stream of ``output`` with its encoder."""
        tags, codec = self._tags, self.codec
        stream: Any = output.add_stream(
            codec,
            rate=tags.nominal_rate.limit_denominator(1_000_000),
            options=self._settings,
            width=self._size[0],
            height=self._size[1],
            time_base=tags.time_base,
        )
        context = stream.codec_context
        context.pix_fmt = self.pixel_format
        # PyAV's default, SLICE, makes libx264 cut each frame into slices, which costs quality. FFV1 has slices anyway.
        context.thread_type = "SLICE" if codec == "ffv1" else "AUTO"
        if codec == "ffv1":
            context.gop_size = 1  # each frame on its own: damage stays in one, and the film can be cut anywhere
        context.flags |= Flags.global_header  # PyAV sets it too, but not where one muxer is reached through another
        if codec == "libx265" and self._muxer in ISO:
            context.codec_tag = "hvc1"  # the only form that Apple's players accept
        if self._fields is not None:
            context.flags |= Flags.interlaced_dct
        tags.apply(stream, self.encoding.matrix, self.encoding.full_range)
        return stream

    def another(self, encoder: Any) -> Any:
        """An encoder like the one of a stream that ``add_to`` made.

        Without a stream: a stream and its container refer to each other, so that they, and the encoder's buffers with
        them, would live until Python's collector of cycles comes by.
        """
        context: Any = av.CodecContext.create(self.codec, "w")
        for name in _SETTINGS:
            value = getattr(encoder, name)
            if value is not None:
                setattr(context, name, value)
        context.options = dict(self._settings)
        return context

    @property
    def interlaces(self) -> bool:
        """Whether each frame must say which fields it has, or that it has none."""
        return self._fields is not None

    def marked(self, image: VideoFrame, order: Order | None) -> VideoFrame:
        """The frame in the form that the encoder takes; ``order`` is the order of its fields."""
        if self._fields is not None:
            order = self._fields  # libx264 takes one order for all; what is none is said in the packet
        if order not in self._graphs:
            self._graphs[order] = self._marks(order)
        graph = self._graphs[order]
        if graph is None:
            return image
        graph.push(image)
        return graph.vpull()

    def finished(self, packet: bytes, order: Order | None, captions: bytes | None, unregistered: list[bytes]) -> bytes:
        """An encoded picture with the data that PyAV cannot pass to the encoder.

        Args:
            order: Of the frame's fields.
            captions, unregistered: As ``sei.messages``.
        """
        if self._fields is not None and order is None:
            packet = sei.as_progressive(packet)
        if self.codec in sei.CODECS and (captions or unregistered):
            return sei.messages(self.codec, captions, unregistered) + packet
        return packet

    def loses(self, order: Order | None, captions: bytes | None, unregistered: list[bytes]) -> Iterator[str]:
        """Names of the facts about a frame that the result does not state."""
        if order is not None and self.codec == "libx264" and self._fields is None and not self._told_of_fields:
            yield "interlaced frames, encoded as progressive since the film begins without"
        if order is not None and self._fields is not None and order != self._fields:
            yield f"frames whose other field is first, marked as the rest: {self._fields} first"
        if order is not None and self.codec == "libx265" and not self._tags.interlaced:
            yield "interlaced frames, encoded as progressive: libx265 knows no fields"
        if captions and self.codec not in sei.CODECS:
            yield "frames with closed captions, which are left out: FFV1 has no place for them"
        if unregistered and self.codec not in sei.CODECS:
            yield "frames with messages of their encoder or camera, which are left out: FFV1 has no place for them"

    def _choose(self, source: VideoSource) -> tuple[str, Encoding]:
        """The encoder's pixel format of the source's depth, in its chroma layout or the nearest that holds it."""
        codec, bits, wanted = self.codec, source.encoding.bits, source.layout.subsampling
        known = {pixels.name for pixels in av.codec.Codec(codec, "w").video_formats or ()}
        depth = "" if bits == 8 else f"{bits}le"
        if wanted is None:
            wanted = (1, 1)
            self.notes.append(
                "the source is grey: its colour is stored at half the sharpness (4:2:0), which every player shows"
            )
        width, height = self._size
        for subsampling in sorted(_CHROMA_NAMES, key=sum, reverse=True):
            horizontal, vertical = subsampling
            fits = horizontal <= wanted[0] and vertical <= wanted[1]
            # libx264 and libx265 refuse sizes that are not whole chroma samples; FFV1 rounds up.
            whole = codec == "ffv1" or (width % (1 << horizontal) == 0 and height % (1 << vertical) == 0)
            chroma = f"{_CHROMA_NAMES[subsampling]}p{depth}"
            if not (fits and whole and f"yuv{chroma}" in known):
                continue
            if subsampling != wanted:
                self.notes.append(
                    f"chroma is stored as {_as_ratio(subsampling)} instead of {_as_ratio(wanted)}, "
                    f"since {codec} cannot hold that at {width}x{height}"
                )
            alpha = source.has_alpha and codec == "ffv1" and f"yuva{chroma}" in known
            if source.has_alpha and not alpha:
                self.notes.append(f"transparency is left out: {codec} cannot hold it (ffv1 can, at most depths)")
            name = f"yuva{chroma}" if alpha else f"yuv{chroma}"
            return name, dataclasses.replace(source.encoding, subsampling=subsampling)
        raise OutputError(
            f"{source.path}: {codec} cannot encode {bits} bits a sample, and none are dropped unasked",
            hint="use --codec ffv1" + (" or --codec libx265" if codec == "libx264" and bits == 12 else ""),
        )

    def _field_order(self, source: VideoSource) -> Order | None:
        self._told_of_fields = False
        if self.codec == "libx265" and source.tags.interlaced:
            self.notes.append("libx265 encodes the interlaced frames as progressive; the container says interlaced")
        if self.codec != "libx264" or not source.may_have_fields:
            return None
        if self._size[1] % 4 and self.encoding.subsampling[1]:
            self.notes.append("the interlaced frames are encoded as progressive: libx264 wants a height in fours")
            self._told_of_fields = True
            return None
        return "bottom" if source.tags.interlaced and not source.tags.top_field_first else "top"

    def _encoder_options(self, options: MediaOptions) -> dict[str, str]:
        tags, place = self._tags, {}
        if self._chroma_location:
            place = {"chroma_sample_location": self._chroma_location}
        if options.codec == "ffv1":
            aspect = tags.sample_aspect_ratio or Fraction(1)
            if aspect != 1 and self._muxer == "matroska":
                told = f"the pixels' aspect ratio, {aspect}, is told by the FFV1 frames, not by the container"
                self.notes.append(told)
            if tags.mastering_display or tags.content_light:
                self.notes.append("HDR mastering data is left out: FFV1 has no place for it")
            return {"level": "3", "slicecrc": "1", **place}  # RFC 9043 version 3, each slice with its checksum
        settings = {"preset": options.preset, "crf": str(options.crf), **place}
        if options.codec == "libx264":
            names, extra = ("mastering-display", "cll"), []
            if cv2.checkHardwareSupport(_AVX_512F):
                extra.append(_SAME_BITS)
            if self._fields is not None:
                extra.append(f"{MARKS[self._fields]}=1")
        else:
            names, extra = ("master-display", "max-cll"), ["log-level=error"]
        values = zip(names, (tags.mastering_display, tags.content_light), strict=True)
        extra += [f"{name}={value}" for name, value in values if value]
        if extra:
            settings["x264-params" if options.codec == "libx264" else "x265-params"] = ":".join(extra)
        return settings

    def _marks(self, order: Order | None) -> av.filter.Graph | None:
        """Filters that write into each frame what PyAV cannot set on it; they do not touch its planes."""
        tags, codec, filters = self._tags, self.codec, []
        if order is not None and (codec == "ffv1" or self._fields is not None):
            filters.append(("setfield", MARKS[order]))
        aspect = tags.sample_aspect_ratio or Fraction(1)
        if aspect != 1 and codec == "ffv1" and self._muxer == "matroska":
            filters.append(("setsar", f"{aspect.numerator}/{aspect.denominator}"))
        if not filters:
            return None
        graph, (width, height) = av.filter.Graph(), self._size
        last = graph.add_buffer(
            width=width, height=height, format=VideoFormat(self.pixel_format), time_base=tags.time_base
        )
        for name, argument in [*filters, ("buffersink", None)]:
            step = graph.add(name, argument)
            last.link_to(step)
            last = step
        graph.configure()
        return graph


def _as_ratio(subsampling: tuple[int, int]) -> str:
    return ":".join(_CHROMA_NAMES[subsampling])
