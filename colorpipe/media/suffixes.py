"""Suffixes of pictures and films: which are looked for, and which are written."""

from __future__ import annotations

STILL_SUFFIXES = frozenset(
    {
        ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pam", ".pbm", ".pgm",
        ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3g2", ".3gp", ".asf", ".avc", ".avi", ".dif", ".divx", ".dv", ".evo", ".f4v", ".flv", ".gxf",
        ".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mod",
        ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm",
        ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro", ".webm", ".wmv", ".wtv", ".y4m",
    }
)  # fmt: skip
"""Suffixes that are picked out of folders and patterns. A file that is named itself is always taken."""
SHARED_SUFFIXES = frozenset({".avc", ".dif", ".evo", ".gxf", ".mod", ".mpv", ".nut", ".ogm", ".tod", ".tp", ".trp"})
"""Suffixes that other kinds of files share, above all music: in folders the content decides."""
SEARCHED = STILL_SUFFIXES | VIDEO_SUFFIXES
WRITABLE_STILLS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
"""Extensions that a still's result can have; other sources give a .png."""
