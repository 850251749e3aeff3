"""Steady colour on films, from a colorizer that knows single pictures only.

The network sees key frames. The frames between them take their chroma along the optical flow, from both sides, as far
as the flow can be trusted. A key frame's own chroma is made to agree with the colour of its shot so far. No colour
crosses a cut. ::

    small luma of each frame -> Planner: shots, motion, key frames
    -> ChromaPropagator, with the network's chroma of the key frames -> chroma of every frame

``Planner`` needs no colour, and ``ChromaPropagator`` no luma but the small one: they run in different threads. Nothing
is random, and memory is bounded by the distance between key frames. Hint and reference files guide a shot's colour from
the frame that they name (``HintTracker``); ``SpanPlanner`` and ``SpanMerger`` stand around the two for that.

May import: ground, color, guidance.
"""

from colorpipe.temporal.hint_tracker import HintTracker
from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.neighbours import Neighbourhood, Scout
from colorpipe.temporal.optical_flow import small_luma
from colorpipe.temporal.propagate import ChromaPropagator
from colorpipe.temporal.spans import SpanMerger, SpanPlanner, SpanStep, unpacked

__all__ = [
    "ChromaPropagator",
    "HintTracker",
    "Neighbourhood",
    "Planner",
    "Scout",
    "SpanMerger",
    "SpanPlanner",
    "SpanStep",
    "Step",
    "small_luma",
    "unpacked",
]
