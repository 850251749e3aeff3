"""Display times of frames: the file's statements, and what to trust where they conflict or are missing."""

from __future__ import annotations

from collections import Counter

from av.video.frame import VideoFrame

EVEN = 0.9
"""Share of equal steps from which on a film's rate is even."""
NEAR = 0.1
"""Share of a step by which another may differ and still be equal to it: rounding to a coarse clock."""
MOST_LOST = 10
"""Seconds: a longer gap is another clock's, not lost frames'. In steps of a film of 25 frames a second, 250."""
_WITHOUT = ("avi",)
"""Containers that count packets in the order of decoding and know no time of presentation: what FFmpeg gives for one is
made up."""


class Clock:
    """The time of decoded frames, by the rule of FFmpeg's ``best_effort_timestamp``: the time of presentation, unless
    those of decoding have been the more orderly so far.

    Args:
        demuxer: FFmpeg's name of the container.
    """

    def __init__(self, demuxer: str) -> None:
        self._decoding_only = demuxer in _WITHOUT
        self._last_shown = self._last_decoded = -(1 << 63)
        self._faulty_shown = self._faulty_decoded = 0

    @property
    def counts_times(self) -> bool:
        """Whether a frame without a time is a fault: the last frames of a container that counts have none."""
        return not self._decoding_only

    def best(self, image: VideoFrame) -> int | None:
        """The frame's time in ticks of its stream; None if the file states none."""
        shown, decoded = image.pts, image.dts
        if self._decoding_only:
            return decoded
        if decoded is not None:
            self._faulty_decoded += decoded <= self._last_decoded
            self._last_decoded = decoded
        elif shown is not None:
            self._last_decoded = shown
        if shown is not None:
            self._faulty_shown += shown <= self._last_shown
            self._last_shown = shown
        elif decoded is not None:
            self._last_shown = decoded
        believed = shown is not None and (decoded is None or self._faulty_shown <= self._faulty_decoded)
        return shown if believed else decoded


class Steps:
    """The steps from frame to frame of a film."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._firsts: dict[int, int] = {}

    def add(self, ticks: int, index: int) -> None:
        """The step that leads to frame ``index``."""
        self._counts[ticks] += 1
        self._firsts.setdefault(ticks, index)

    @property
    def repeated(self) -> int:
        """The number of frames that repeat the one before them, if the clock counts frames."""
        return sum((ticks - 1) * count for ticks, count in self._counts.items())

    @property
    def lost(self) -> tuple[int, int]:
        """The number of missing frames at an even rate, and the frame after the first gap; 0, 0 if the rate is
        uneven."""
        if not self._counts:
            return 0, 0
        usual = self._counts.most_common(1)[0][0]
        equal = sum(count for ticks, count in self._counts.items() if abs(ticks - usual) <= NEAR * usual)
        total, longest = sum(self._counts.values()), MOST_LOST * 25 * usual
        gaps = {ticks: round(ticks / usual) - 1 for ticks in self._counts if 1.5 * usual < ticks <= longest}
        if equal < EVEN * total or not gaps:
            return 0, 0
        return sum(self._counts[ticks] * missing for ticks, missing in gaps.items()), min(
            self._firsts[ticks] for ticks in gaps
        )
