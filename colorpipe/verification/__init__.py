"""Proof that a result has kept its source: both are decoded and compared, nothing is taken on trust.

::

    from colorpipe.verification import verify

    report = verify("film.mkv", "colorized/film.mkv")
    report.equal                # luma, frames, timestamps, sound, subtitles ... are the source's
    report.first_difference     # 'luma: first at frame 57 (2.28 s), x 14, y 3: 81 in the source, 82 in the result; ..'
    report["timestamps"].says

A film is read in lockstep with its result, two frames in memory, whatever its length.

May import: ground, color, media.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from colorpipe.errors import InputError
from colorpipe.media import open_source
from colorpipe.settings import MediaOptions
from colorpipe.verification.pairs import Pair, find_pairs
from colorpipe.verification.report import Check, Progress, Report, Status

__all__ = ["Check", "Pair", "Progress", "Report", "Status", "find_pairs", "verify", "verify_pair"]


def verify(
    source: str | Path, result: str | Path, options: MediaOptions | None = None, progress: Progress | None = None
) -> Report:
    """Decode a source and its result and compare them.

    Of a film: size, depth, the Y plane value for value, frame count, each timestamp (exactly, or within half a tick
    where the result's clock is too coarse for the source's, which is said), transparency, rotation, pixel aspect,
    colour tags, fields, HDR data, every other stream packet by packet, chapters and tags. Of a still: size, depth, its
    grey within rounding (CIE lightness, else BT.601 luma; which of the two is said), transparency, ICC profile, EXIF,
    XMP and IPTC; EXIF orientation is taken into account.

    Args:
        source, result: Files.
        options: Limits for reading; None for the usual ones.
        progress: Is told of each frame of a film.

    Returns:
        A report. A file that is missing or cannot be read is a difference (``readable``), not an exception.
    """
    source, result, options = Path(source), Path(result), options or MediaOptions()
    checks: list[Check] = []
    notes: list[str] = []
    try:
        with open_source(source, options) as before, open_source(result, options) as after:
            if before.info.medium != after.info.medium:
                says = f"a {before.info.medium} in the source, a {after.info.medium} in the result"
                checks.append(Check("medium", "differs", says))
            elif before.info.medium == "still":
                from colorpipe.verification.stills import compare_stills

                checks += compare_stills(before, after)
            else:
                from colorpipe.media.video.source import VideoSource
                from colorpipe.verification.films import compare_frames, compare_tags
                from colorpipe.verification.streams import compare_streams

                ours, theirs = cast(VideoSource, before), cast(VideoSource, after)
                checks += compare_frames(ours, theirs, progress)
                checks += compare_tags(ours, theirs)
                checks += compare_streams(source, result, ours.index, theirs.index)
            notes += [f"source: {note}" for note in before.info.notes]
            notes += [f"result: {note}" for note in after.info.notes]
    except InputError as error:
        checks.append(Check("readable", "differs", str(error)))
    return Report(source, result, tuple(checks), tuple(notes))


def verify_pair(pair: Pair, options: MediaOptions | None = None, progress: Progress | None = None) -> Report:
    """``verify``, for what ``find_pairs`` found: a missing result is a difference, and is called so."""
    error = pair.error
    if error is None and not pair.result.exists():
        error = f"{pair.result} is missing"
    if error is not None:
        return Report(pair.source, pair.result, (Check("readable", "differs", error),))
    return verify(pair.source, pair.result, options, progress)
