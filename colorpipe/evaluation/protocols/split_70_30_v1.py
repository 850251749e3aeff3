from colorpipe.evaluation.protocol import Protocol

PROTOCOL = Protocol(
    name="split-70-30.v1",
    summary="scores three pictures in ten, chosen by name, as whole-256.v1; fair to methods trained on the other seven",
    source="course report 001, which split its pictures so",
    side=256,
    share=0.3,
)
