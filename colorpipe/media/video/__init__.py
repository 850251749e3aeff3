"""Films: read and written by FFmpeg through PyAV, in segments that survive a crash."""
