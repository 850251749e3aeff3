"""Plugins: their contracts, hooks, discovery, and the project that ``colorpipe plugins new`` writes.

Imports ground modules only. Importing it is light.
"""
