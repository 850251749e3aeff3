from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="left-right-120.v1",
    summary="120x120; learns from the left half's colours, colorizes the right half; 0.21 R + 0.72 G + 0.07 B",
    source="course report 000: a k-means palette and grey patches, and a small network over them",
    side=120,
    grey="luminosity",
    learn=(0.0, 0.0, 1.0, 0.5),
    score=(0.0, 0.5, 1.0, 1.0),
)
