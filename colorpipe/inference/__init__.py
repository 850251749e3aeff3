"""A network on a device: precision, batches, threads. Imports ground modules, ``color``, ``plugins``, ``weights``."""
