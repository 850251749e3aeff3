"""The command line: one file per command, ``app`` for the error boundary, ``dynamic`` for plugins' options as flags.

May import: everything else. Nothing imports it.
"""
