"""``colorpipe merge``: another program's colours on one's own grey."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from colorpipe.cli import dynamic
from colorpipe.cli.dynamic import Given, Group
from colorpipe.errors import UsageError
from colorpipe.settings import MediaOptions, MergeOptions

SUMMARY = "Take the colours of a coloured copy, and keep the original's grey."


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    groups = [Group("merge", "Colour", MergeOptions), Group("media", "Files", MediaOptions)]
    app.command("merge", help=SUMMARY)(dynamic.extend(merge, groups))


def merge(
    original: Annotated[
        Path,
        typer.Argument(metavar="ORIGINAL", help="The grey photo or film; only its grey counts.", show_default=False),
    ],
    coloured: Annotated[
        Path,
        typer.Argument(
            metavar="COLOURED", help="A copy in colour, of another size, cropped or turned.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RESULT", help="Where the result goes.")],
    as_hints: Annotated[
        bool, typer.Option("--as-hints", help="Write a hint file for `colorpipe run` instead, a PNG.")
    ] = False,
    doubt: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Refuse a copy whose place is more doubtful: 0 fits exactly, 1 not at all."
        ),
    ] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    *,
    given: Given,
) -> None:
    """Lay another's chroma under an original's luma."""
    from colorpipe.pipeline import merging

    laying = dynamic.merged(MergeOptions, "merge", {}, given["merge"])
    options = dynamic.merged(MediaOptions, "media", {}, given["media"])
    for path in (original, coloured):
        if not path.is_file():
            raise UsageError(f"{path} is no file", hint="merge takes one original and one coloured copy")
    merging.check_places(original, coloured, output, overwrite)
    if as_hints:
        made = merging.as_hints(original, coloured, output, options, doubt)
    else:
        made = merging.merge(original, coloured, output, options, laying, doubt)
    if not quiet:
        sys.stdout.write(
            f"{output}: {made.frames} frame{'s' if made.frames != 1 else ''}, doubt {made.doubt:.2f}, "
            f"{made.covered:.0%} of the original covered\n"
        )
        for note in made.notes:
            sys.stdout.write(f"  {note}\n")
