"""Photographs: read and written by libvips, with their metadata."""
