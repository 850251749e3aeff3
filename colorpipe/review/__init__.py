"""Results to look at: a page with what deserves a look first, and before and after under a slider.

``records`` reads what journals know, ``small`` makes small pictures, ``measures`` looks at them, ``reasons`` says what
stands out, ``gather`` does it for all and remembers, ``page`` writes the page. ``report`` is ``run --report``.

May import: ground, pages, color, temporal, media, plugins, pipeline, batch.
"""
