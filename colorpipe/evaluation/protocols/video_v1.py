from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="video.v1",
    summary="the first 100 frames of a film, its shorter side at most 256; its luma is colorized as in a run",
    medium="video",
    frames=100,
    side=256,
    resampling="area",
    grey="luma",
)
