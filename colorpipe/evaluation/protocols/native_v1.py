from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="native.v1",
    summary="the whole picture at its own size, grey of the same CIE lightness",
    side=None,
)
