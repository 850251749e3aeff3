"""Comparing methods: colour pictures or films are made grey by a protocol, colorized by each method and scored.

``protocols`` are data, one file each; ``specs`` reads what a person writes to name a method; ``cases`` makes a picture
into a task and its truth, ``clips`` a film; ``scoring`` does the work; ``records`` and ``results`` are what came of it;
``table``, ``export`` and ``report`` show it. Importing this package is light.

May import: ground, pages, color, weights, media, plugins, inference, guidance, pipeline, training.
"""
