"""One recipe and the one path that a frame takes. Imports all that works on frames, none that works on inputs."""
