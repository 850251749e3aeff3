"""Pictures and films as files: sources of frames and sinks for them, under one contract (``base``).

Importing this package is light; libvips, OpenCV and FFmpeg are loaded when a file is opened.

May import: ground, color.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from colorpipe.errors import OutputError
from colorpipe.media import sniff
from colorpipe.media.inputs import VIDEO_SUFFIXES, is_video

if TYPE_CHECKING:
    from colorpipe.media.base import Provenance, Sink, Source
    from colorpipe.media.video.source import VideoSource
    from colorpipe.settings import MediaOptions
    from colorpipe.types import Frame


def open_source(path: Path, options: MediaOptions, preview: float | None = None) -> Source:
    """A picture or a film, opened for reading. The content decides, not the name.

    Args:
        preview: Of a film, only so many seconds, spread over its length.

    Raises:
        InputError: it is not there, neither picture nor film, damaged, or of a kind that cannot be colorized.
    """
    kind = sniff.kind_of(path)
    if kind in sniff.STILLS:
        from colorpipe.media.still.source import StillSource

        return StillSource(path, kind, options)
    # A film's name gets a chance: FFmpeg knows formats that have no fixed first bytes.
    if kind == "video" or (kind == sniff.UNKNOWN and path.suffix.lower() in VIDEO_SUFFIXES):
        from colorpipe.media.video.source import open_video, opened

        if preview is not None:
            from colorpipe.media.video.preview import Preview

            return opened(partial(Preview, seconds=preview), path, options, whole=False)
        return open_video(path, options)
    raise sniff.refusal(path, kind)


def first_frame(path: Path, options: MediaOptions) -> Frame:
    """A picture, or the first frame of a film.

    Raises:
        InputError: as ``open_source``.
    """
    with open_source(path, options) as source:
        return next(iter(source))


def open_sink(
    path: Path,
    source: Source,
    options: MediaOptions,
    provenance: Provenance | None = None,
    job: Mapping[str, Any] | None = None,
) -> Sink:
    """The place for a source's result: a still for a still, a film for a film.

    Args:
        job: Digests of recipe and source; a film goes on where an earlier run of the same job stopped.

    Raises:
        OutputError: the format cannot be written.
    """
    if source.info.medium == "still":
        if is_video(path):
            raise OutputError(
                f"{source.path} is a picture, and {path} is a film's name",
                hint="give the picture the name of its format, or a picture's name to -o",
            )
        return open_still_sink(path, options, provenance)
    from colorpipe.media.video.sink import VideoSink

    return VideoSink(path, cast("VideoSource", source), options, provenance, job)


def open_still_sink(path: Path, options: MediaOptions, provenance: Provenance | None = None) -> Sink:
    """The place for a still, in the format of its extension.

    Raises:
        OutputError: the format cannot be written.
    """
    from colorpipe.media.still.sink import StillSink

    return StillSink(path, options, provenance)
