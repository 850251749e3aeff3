"""A run on many machines: a driver that lists and hands out, workers that colorize, and Ray between them."""
