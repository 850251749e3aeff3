"""A page on the user's own machine: photos, films and whole albums corrected by hand, in the browser.

``album`` is the engine, which knows nothing of HTTP; ``server`` gives it to a page in ``static``.

May import: ground, color, weights, media, plugins, inference, guidance, temporal, pipeline, batch.
"""
