"""Many inputs: threads, devices, journal, locks on outputs, one outcome for each input.

May import: ground, color, weights, media, plugins, inference, guidance, temporal, pipeline.
"""
