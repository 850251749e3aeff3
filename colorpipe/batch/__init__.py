"""Many inputs: threads, devices, journal, locks on outputs, one outcome for each input.

May import: ground, color, media, plugins, inference, guidance, temporal, pipeline.
"""
