from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="left-right-256.v1",
    summary="256x256; learns from the left half's colours, colorizes the right half; 0.21 R + 0.72 G + 0.07 B",
    source="course report 004: a palette with grey patches, and a fully convolutional network",
    side=256,
    grey="luminosity",
    learn=(0.0, 0.0, 1.0, 0.5),
    score=(0.0, 0.5, 1.0, 1.0),
)
