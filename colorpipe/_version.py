"""The version, in its one place. Nothing is imported here, so that build tools and every module can read it."""

__version__ = "0.1.0"
