"""Proof that a result has kept its source: both are decoded and compared, nothing is taken on trust.

Films are read by a path of its own (``reading``), which shares nothing with that of ``run``.

::

    from colorpipe.verification import verify

    report = verify("film.mkv", "colorized/film.mkv")
    report.equal                # luma, frames, timestamps, sound, subtitles ... are the source's
    report.verdict              # 'exact'; 'lossy' where a JPEG or H.264 rounds as it does; 'broken'
    report.first_difference     # 'luma: first at frame 57 (2.28 s), x 14, y 3: 81 in the source, 82 in the result; ..'
    report["timestamps"].says

A film is read in lockstep with its result, two frames in memory, whatever its length.

May import: ground, color, media, batch.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from colorpipe.errors import InputError
from colorpipe.media import open_source, sniff
from colorpipe.settings import MediaOptions
from colorpipe.verification.pairs import Pair, find_pairs
from colorpipe.verification.report import Check, Progress, Report, Status, Verdict

__all__ = ["Check", "Pair", "Progress", "Report", "Status", "Verdict", "find_pairs", "verify", "verify_pair"]


def verify(
    source: str | Path, result: str | Path, options: MediaOptions | None = None, progress: Progress | None = None
) -> Report:
    """Decode a source and its result and compare them.

    Of a film: size, depth, the Y plane value for value, frame count, each timestamp (exactly, or within half a tick
    where the result's clock is too coarse for the source's, which is said), transparency, rotation, pixel aspect,
    colour tags, the fields of each frame, closed captions, side data, the place of chroma, HDR data, time code, every
    other stream packet by packet and each packet's time, chapters and tags. A recording's times may be moved, all by as
    much, so that it begins at 0, and once more where its clock begins again. Of a still: size, depth, its
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
        kinds = ["still" if sniff.kind_of(path) in sniff.STILLS else "video" for path in (source, result)]
        if kinds == ["still", "still"]:
            from colorpipe.verification.stills import compare_stills

            with open_source(source, options) as before, open_source(result, options) as after:
                checks += compare_stills(before, after)
                notes += [f"source: {note}" for note in before.info.notes]
                notes += [f"result: {note}" for note in after.info.notes]
        elif kinds == ["video", "video"]:
            compare_films(source, result, options, progress, checks, notes)
        else:
            says = f"a {kinds[0]} in the source, a {kinds[1]} in the result"
            checks.append(Check("medium", "differs", says))
    except InputError as error:
        checks.append(Check("readable", "differs", str(error)))
    return Report(source, result, tuple(checks), tuple(notes))


def compare_films(
    source: Path,
    result: Path,
    options: MediaOptions,
    progress: Progress | None,
    checks: list[Check],
    notes: list[str],
) -> None:
    """``verify`` of two films; what was found before one of them turned out unreadable stays in ``checks``."""
    from colorpipe.verification.films import FramesCompared, compare_tags
    from colorpipe.verification.reading import Film
    from colorpipe.verification.streams import compare_streams

    with contextlib.ExitStack() as stack:
        films = []
        for path in (source, result):
            film = Film(path, options)
            stack.callback(film.close)
            films.append(film)
        before, after = films
        frames = FramesCompared(before, after)
        frames.run(progress)
        checks += frames.checks()
        checks += compare_tags(frames)
        checks += compare_streams(before, after, frames.times)
        notes += [
            f"{what}: {note}" for what, film in zip(("source", "result"), films, strict=True) for note in film.notes()
        ]


def verify_pair(pair: Pair, options: MediaOptions | None = None, progress: Progress | None = None) -> Report:
    """``verify`` for a result of ``find_pairs``: a missing file is reported as a difference."""
    error = pair.error
    if error is None and not pair.result.exists():
        error = f"{pair.result} is missing"
    if error is not None:
        return Report(pair.source, pair.result, (Check("readable", "differs", error),))
    return verify(pair.source, pair.result, options, progress)
