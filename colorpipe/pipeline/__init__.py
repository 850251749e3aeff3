"""One recipe, turned into live stages, and the path that a frame takes through them.

May import: ground, color, weights, media, plugins, inference, guidance, temporal.
"""
