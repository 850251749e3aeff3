"""HTML pages that need no other program: they work from a disk or a stick, and no request leaves them.

What pages share stands here: their looks (``base.css``), two pictures under a slider (``slider.*``), and pictures one
by one, with a list of them (``viewer.*``).

May import: ground.
"""

from __future__ import annotations

from colorpipe.pages.page import data_text, filled, part, text, viewer

__all__ = ["data_text", "filled", "part", "text", "viewer"]
