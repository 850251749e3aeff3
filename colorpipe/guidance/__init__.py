"""What a person gives to guide colour: hint files, reference pictures, and the files beside an input.

May import: ground, color, media, plugins.
"""
