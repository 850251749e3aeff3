"""A network on a device: precision, batches, threads.

May import: ground, color, weights, plugins.
"""
