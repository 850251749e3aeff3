"""Steady colour on films, from a colorizer that knows single pictures only.

The network sees key frames. What lies between them takes their chroma along the optical flow, from both sides, each as
far as its flow can be trusted; a key frame's own chroma is made to agree with what its shot has been given so far; no
colour crosses a cut. ::

    small luma of each frame -> Planner: shots, motion, key frames
    -> Carrier, with the network's chroma of the key frames -> chroma of every frame

``Planner`` needs no colour and ``Carrier`` no luma but the small one: they run in different threads. Nothing is drawn
by chance, and memory is bounded by the distance between key frames. Hint and reference files lead a shot's colour from
the frame that they name (``Lead``); for that ``Strands`` and ``Weaver`` stand around the two. ``Film`` does all in
turn, without such files.

May import: ground, color, guidance.
"""

from colorpipe.temporal.hint_tracker import Lead
from colorpipe.temporal.keyframes import Planner, Step
from colorpipe.temporal.optical_flow import shrink
from colorpipe.temporal.propagate import Carrier
from colorpipe.temporal.spans import Strands, Turn, Weaver, unpacked

__all__ = ["Carrier", "Lead", "Planner", "Step", "Strands", "Turn", "Weaver", "shrink", "unpacked"]
