"""Plugins: their contracts, hooks, discovery, and the project that ``colorpipe plugins new`` writes. Light to import.

May import: ground, color, weights.
"""
