"""Steady colour on films, from a colorizer that knows single pictures only.

The network sees key frames. What lies between them takes their chroma along the optical flow, from both sides, each as
far as its flow can be trusted; a key frame's own chroma is made to agree with what its shot has been given so far; no
colour crosses a cut. ::

    small luma of each frame -> Planner: shots, motion, key frames
    -> Carrier, with the network's chroma of the key frames -> chroma of every frame

``Planner`` needs no colour and ``Carrier`` no luma but the small one: they run in different threads. Nothing is drawn
by chance, and memory is bounded by the distance between key frames. ``Film`` does all of it in turn.
"""

from colorpipe.temporal.carry import Carrier
from colorpipe.temporal.film import Film
from colorpipe.temporal.motion import shrink
from colorpipe.temporal.plan import Planner, Step

__all__ = ["Carrier", "Film", "Planner", "Step", "shrink"]
