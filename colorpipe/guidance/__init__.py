"""What a person gives to lead colour: hint files, reference pictures, and the files beside an input.

Imports ground modules, ``color``, ``plugins`` and ``media``.
"""
