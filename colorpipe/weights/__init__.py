"""Weights: registered models, where their files lie, how one is read safely. Imports ground modules and ``plugins``."""
