from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="whole-256.v1",
    summary="the whole picture at 256x256, grey of the same CIE lightness",
    source="that of most papers since Zhang, Isola and Efros 2016, and of the figures in colorpipe's README",
    side=256,
)
